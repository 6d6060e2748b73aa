/* The one libuv thread of a process: timers, hand-over of work, children by pidfd, descriptors, live streams. It never blocks.
 * Functions marked (any) may be called from any thread; callbacks run on the loop (THREAD_LOOP).
 *
 * Timers and watches are freed by their _stop function, or by loop_free() when nobody stopped them: so a pointer stays good until either.
 * A stop called on the loop is immediate; called elsewhere, a callback that runs at that moment still finishes. */
#pragma once
#include "portal/core/err.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct loop_timer;
struct loop_watch;

int loop_new(struct loop **ret, struct err *e);
int loop_start(struct loop *l, struct err *e);            /* starts the thread "loop" */
/* (any) runs what was posted, ends streams, closes what is open, joins. On the loop itself it only asks for that. */
void loop_stop(struct loop *l);
void loop_free(struct loop *l);                           /* stops first; takes NULL */
/* (any) runs fn soon, in order of posting. After loop_stop nothing runs any more. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);
/* (any) as loop_post; false when the loop has ended and fn will not run: the caller still owns arg. */
bool loop_try_post(struct loop *l, void (*fn)(void *arg), void *arg);
/* (any) first after `first_ms`, then each `every_ms` (0: once). Ended by loop_timer_stop (any); a once-timer frees itself after it ran. */
struct loop_timer *loop_timer_start(struct loop *l, int64_t first_ms, int64_t every_ms, void (*fn)(void *arg), void *arg);
void loop_timer_stop(struct loop_timer *t);               /* takes NULL */
/* (any) watches a descriptor for reading; the callback reads what is there without blocking. The descriptor's file becomes non-blocking.
 * NULL when it cannot be watched (a regular file, or a number that is not open). */
struct loop_watch *loop_watch_read(struct loop *l, int fd, void (*fn)(int fd, void *arg), void *arg);
void loop_watch_stop(struct loop_watch *w);               /* (any) does not close the descriptor; the caller may, right after. Takes NULL */
/* (any) calls fn once with the wait status when the child ends, and reaps it. ERR_NOT_FOUND: no such child. */
int loop_watch_child(struct loop *l, pid_t pid, void (*fn)(pid_t pid, int status, void *arg), void *arg, struct err *e);
