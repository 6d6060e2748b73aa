/* Which kind of thread runs: each entry point asserts the one that its header names. */
#pragma once

enum thread_role { THREAD_MAIN = 1, THREAD_HTTP = 2, THREAD_LOOP = 4, THREAD_JOB = 8, THREAD_AUX = 16, THREAD_ANY = 31 };
void thread_set_role(enum thread_role role, const char *name); /* name: up to 15 bytes, shown by ps */
enum thread_role thread_get_role(void);
/* Ends the process with a log line when the calling thread is none of `allowed` (a mask). */
void thread_assert(int allowed, const char *where);
#define THREAD_ASSERT(mask) thread_assert((mask), __func__)
