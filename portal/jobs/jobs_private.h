/* Shared by the files of portal/jobs alone. */
#pragma once
#include "portal/core/buf.h"
#include "portal/core/id.h"
#include "portal/jobs/jobs.h"
#include <pthread.h>

#define WANT_MAX 512        /* jobs claimed by one statement at most */
#define PREFETCH_US 50000   /* claimed ahead: at most that much work a thread */
#define STALE_MS 1000       /* claimed ahead and not begun for so long: handed back */
#define COUNT_MS 10000      /* the whole queue's length is measured so often */
#define FORGET_MS 3600000
#define GATHER_MS 10        /* ended jobs wait so long for company while there is other work */

enum held_state { HELD_QUEUED, HELD_RUNNING, HELD_ENDED };

/* A job whose lease is ours. `job` is first: jobs_lease_until() finds the rest by it. */
struct held {
    struct job job;
    const struct jobs_kind *kind;
    char *args;                         /* JSON text */
    atomic_int_fast64_t lease_until;    /* boot clock; 0: lost */
    struct held *prev, *next;           /* all that are held */
    struct held *line_next;             /* in `queued` or `ended` */
    int64_t claimed_ms;                 /* mono clock */
    enum held_state state;
    /* how it ended: done, or back to the queue */
    bool back, counts;
    int64_t delay_ms;
    char *reason;                       /* or NULL */
};

struct line { struct held *first, *last; int n; };

struct jobs {
    struct db *db;
    char *node_id;
    char incarnation[ID_LEN + 1];
    const struct jobs_kind *kinds;
    void *user;
    int n_threads, lease_ms, poll_ms;
    char *kinds_array, *labels_array;                    /* PostgreSQL array literals */
    char *tick_kinds, *tick_every; int n_ticks;
    pthread_t claimer, *threads;

    pthread_mutex_t lock;
    pthread_cond_t work, turn, drained;                  /* for job threads, the claimer, jobs_drain */
    struct held *all;
    int n_all, running;
    struct line queued, ended;
    int64_t first_ended_ms;
    double job_us;                                       /* running mean of a job's time; 0: none yet */
    bool woken, stop_threads, stop_claimer;
    atomic_bool draining;
    struct jobs_stats stats;

    /* The claimer's own; mono clock. */
    struct db_conn *conn;
    int64_t poll_at, beat_at, reap_at, tick_at, count_at, forget_at, connect_at;
    bool complained;
};

/* array.c: PostgreSQL array literals, grown element by element in an empty buf; array_end closes one, also an empty one. */
void array_add(struct buf *b, const char *plain);   /* uuid, number, t, f, NULL: nothing that needs quotes */
void array_quote(struct buf *b, const char *text);
const char *array_end(struct buf *b);

/* worker.c */
void held_free(struct held *h);
void line_push(struct line *l, struct held *h);
struct held *line_pop(struct line *l);
void held_forget(struct jobs *j, struct held *h); /* under lock: out of `all`, freed */
const struct jobs_kind *jobs_kind_of(const struct jobs *j, const char *kind);

/* claimer.c */
void *jobs_claimer(void *arg);
bool jobs_want_more(const struct jobs *j); /* under lock: there is room for jobs that are not yet claimed */
