/* The one libuv thread of a process: timers, hand-over of work, children by pidfd, descriptors, live streams. It never blocks.
 * Functions marked (any) may be called from any thread; callbacks run on the loop (THREAD_LOOP). */
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
void loop_stop(struct loop *l);                           /* (any) closes what is open, joins */
void loop_free(struct loop *l);
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg); /* (any) runs fn soon, in order of posting */
/* (any) first after `first_ms`, then each `every_ms` (0: once). Ended by loop_timer_stop (any); a once-timer frees itself after it ran. */
struct loop_timer *loop_timer_start(struct loop *l, int64_t first_ms, int64_t every_ms, void (*fn)(void *arg), void *arg);
void loop_timer_stop(struct loop_timer *t);
/* (any) watches a descriptor for reading; the callback reads what is there without blocking. */
struct loop_watch *loop_watch_read(struct loop *l, int fd, void (*fn)(int fd, void *arg), void *arg);
void loop_watch_stop(struct loop_watch *w);               /* (any) does not close the descriptor */
/* (any) calls fn once with the wait status when the child ends, and reaps it. */
int loop_watch_child(struct loop *l, pid_t pid, void (*fn)(pid_t pid, int status, void *arg), void *arg, struct err *e);
