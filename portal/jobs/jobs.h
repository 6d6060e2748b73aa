/* The queue on PostgreSQL: three tables (job, job_ready, job_lease), leases with a random token and a growing fence, heartbeat in one
 * batch a node, retry with backoff and full jitter, dead letter with a reason, fairness between teams, limits per environment.
 *
 * A job's function runs on a job thread (THREAD_JOB) of the work role and may block for long. Everything it writes must be in a transaction
 * that called jobs_guard() first. When a worker dies, the lease runs out and another takes the job, unless the job holds a *leash*
 * (a process tree outside): then only after the leash's end was recorded (jobs_leash_ended). */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/err.h"
#include "portal/db/db.h"
#include <jansson.h>
#include <stdatomic.h>

struct jobs; /* the worker's side; one per work process */

struct job {
    const char *id;      /* UUID */
    const char *kind;
    const char *subject; /* entity id, e.g. the order's; at most one job of (kind, subject) is queued or running */
    const char *team, *environment;
    json_t *args;
    const char *token;   /* of the lease */
    int64_t fence;       /* grows with every claim of this job */
    int attempt;         /* 1 at the first try */
    int crashes;         /* how often a worker died under it */
    struct arena *arena;
    struct db *db;
    struct jobs *jobs;
};

enum jobs_result { JOBS_DONE = 0, JOBS_RETRY = 1, JOBS_DEAD = 2 };
/* Returns JOBS_DONE, or JOBS_RETRY / JOBS_DEAD with the reason in e. ERR_FENCED in a job ends it without a word: another has it. */
typedef int (*job_fn)(struct job *j, struct err *e);

struct jobs_kind {
    const char *kind;
    job_fn fn;
    int max_attempts;      /* dead letter after that many JOBS_RETRY */
    int max_crashes;       /* dead letter after that many dead workers (0: 5) */
    int64_t backoff_ms;    /* first; doubles, full jitter, at most backoff_max_ms */
    int64_t backoff_max_ms;
    int64_t every_ms;      /* > 0: a schedule; one job of this kind, subject "schedule", is enqueued each interval by the leader */
    /* A job of this kind went to the dead letters: last words for its subject (runs in the transaction). May be NULL. */
    int (*dead)(struct db_conn *c, const char *subject, json_t *args, const char *reason, struct err *e);
};

struct jobs_spec { const char *kind, *subject, *team, *environment; const json_t *args; int64_t delay_ms; int priority; };
/* In the caller's transaction. A queued job of the same (kind, subject) is kept (its run_after becomes the earlier); one that is running is
 * marked to run once more after it is done. ret_id (ID_LEN + 1) may be NULL. Wakes workers by the outbox notifier, not by NOTIFY here. */
int jobs_enqueue(struct db_conn *c, const struct jobs_spec *s, char *ret_id, struct err *e);
/* Takes a queued job back: 1 taken, 0 it runs or is not there. */
int jobs_cancel(struct db_conn *c, const char *kind, const char *subject, struct err *e);

/* First statement of every transaction of a job: ERR_FENCED unless the lease is still ours; holds it until commit. */
int jobs_guard(struct db_conn *c, const struct job *j, struct err *e);
/* Boot-clock time (ms) until which the lease is surely ours; moves with each heartbeat; 0 once lost. Any thread. */
int64_t jobs_lease_until(const struct job *j);
/* Records that a process tree hangs on this job: `node` is this node's id, `run` the run's folder name. Before it is spawned. */
int jobs_leash_begin(struct db_conn *c, const struct job *j, const char *node, const char *run, struct err *e);
/* The supervisor's word that the tree of (node, run) has ended. Idempotent; needs no lease. */
int jobs_leash_ended(struct db_conn *c, const char *node, const char *run, struct err *e);

struct jobs_options { struct db *db; const char *node_id; int threads; int lease_ms; int poll_ms; const char *labels; const struct jobs_kind *kinds; /* ends with kind NULL */ void *user; };
int jobs_start(const struct jobs_options *o, struct jobs **ret, struct err *e); /* starts claimer/heartbeat thread and job threads */
void jobs_wake(struct jobs *j);                              /* any thread: a hint that something was queued */
void jobs_drain(struct jobs *j, int timeout_ms);             /* claims no more; waits for what runs; then hands back what can be */
bool jobs_draining(const struct jobs *j);                    /* a job that may stop at a boundary asks this and returns JOBS_RETRY */
void jobs_free(struct jobs *j);
void *jobs_user(const struct job *j);
struct jobs_stats { int64_t claimed, done, retried, dead, fenced; int running, queued; };
int jobs_get_stats(struct jobs *j, struct jobs_stats *ret);
