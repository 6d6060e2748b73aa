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
#include "portal/http/http.h"
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
/* Returns JOBS_DONE, or JOBS_RETRY / JOBS_DEAD with the reason in e. A negative code is taken as JOBS_RETRY; ERR_FENCED (returned, or e->code of a
 * JOBS_RETRY) ends it without a word: another has it. A job may run more than once: what it does outside must bear that. */
typedef int (*job_fn)(struct job *j, struct err *e);

struct jobs_kind {
    const char *kind;
    job_fn fn;
    int max_attempts;      /* dead letter after that many JOBS_RETRY (0: 10) */
    int max_crashes;       /* dead letter after that many dead workers (0: 5) */
    int64_t backoff_ms;    /* first (0: 1,000); doubles, full jitter, at most backoff_max_ms */
    int64_t backoff_max_ms; /* 0: 60,000 */
    int64_t every_ms;      /* > 0: a schedule; one job of this kind, subject "schedule", is enqueued each interval,
                            * by whichever node moves the schedule's row; while one is still queued or running the next is left out */
    /* A job of this kind goes to the dead letters: last words for its subject, in that transaction, on a job thread. When it fails, nothing
     * happened and it is tried again. May be NULL. */
    int (*dead)(struct db_conn *c, const char *subject, json_t *args, const char *reason, struct err *e);
};

/* kind and subject are required; label NULL: any worker. A higher priority goes first, before any fairness. */
struct jobs_spec { const char *kind, *subject, *team, *environment; const json_t *args; int64_t delay_ms; int priority; const char *label; };
/* In the caller's transaction. A queued job of the same (kind, subject) is kept (its run_after becomes the earlier, its priority the higher);
 * one that is running is marked to run once more after it is done, or is tried again sooner. The newest args win. A dead letter does not count.
 * ret_id (ID_LEN + 1) gets the id of the new or kept job, may be NULL. Wakes workers by the outbox notifier (cluster_poke after the commit),
 * not by NOTIFY here. ERR_INVALID: no kind or subject. */
int jobs_enqueue(struct db_conn *c, const struct jobs_spec *s, char *ret_id, struct err *e);
/* The same for up to 1,000 at once, in one statement: several times as fast, and safe against another that enqueues the same ones. */
int jobs_enqueue_many(struct db_conn *c, const struct jobs_spec *s, int n, struct err *e);
/* In the caller's transaction. Takes a queued job back: 1 taken, 0 it runs or is not there. A job that waits for its next try is queued. */
int jobs_cancel(struct db_conn *c, const char *kind, const char *subject, struct err *e);

/* How many jobs of an environment may run at once, in all nodes together; 0 or less: no limit. In the caller's transaction. */
int jobs_set_environment_limit(struct db_conn *c, const char *environment, int max_running, struct err *e);

/* First statement of every transaction of a job: ERR_FENCED unless the lease is still ours; holds it until commit (heartbeats pass, a takeover
 * does not). */
int jobs_guard(struct db_conn *c, const struct job *j, struct err *e);
/* Boot-clock time (ms) until which the lease is surely ours; moves with each heartbeat; 0 once lost. Any thread. */
int64_t jobs_lease_until(const struct job *j);
/* Records that a process tree hangs on this job: `node` is this node's id, `run` the run's folder name. Before it is spawned, in a transaction
 * that is committed before. Guards by itself: ERR_FENCED. While it stands the job neither ends nor changes hands, whatever it returns. */
int jobs_leash_begin(struct db_conn *c, const struct job *j, const char *node, const char *run, struct err *e);
/* The supervisor's word that the tree of (node, run) has ended. Idempotent; needs no lease. */
int jobs_leash_ended(struct db_conn *c, const char *node, const char *run, struct err *e);

/* labels: comma-separated labels this worker satisfies besides "any"; NULL: none. lease_ms 0: 30,000; poll_ms 0: 1,000; threads 0: 4. One connection
 * of the pool is the claimer's for good: size it at threads + 2 or more. kinds and db outlive it; strings are copied. */
struct jobs_options { struct db *db; const char *node_id; int threads; int lease_ms; int poll_ms; const char *labels; const struct jobs_kind *kinds; /* ends with kind NULL */ void *user; };
/* Starts claimer/heartbeat thread and job threads. Succeeds while the database is away; the first thing done when it is there is
 * jobs_release_node for this process's incarnation. ERR_INVALID: no kinds. */
int jobs_start(const struct jobs_options *o, struct jobs **ret, struct err *e);
/* Puts back what earlier worker processes of this node held (they are known to be dead); jobs with a leash stay until its end is recorded.
 * `incarnation` is the UUID of the living one. Returns how many, or an error. jobs_start does this by itself. */
int jobs_release_node(struct db_conn *c, const char *node_id, const char *incarnation, struct err *e);
void jobs_wake(struct jobs *j);                              /* any thread: a hint that something was queued */
/* Claims no more; waits for what runs, at most timeout_ms; then hands back what was claimed but not begun. After it returned with nothing
 * running no lease is left. */
void jobs_drain(struct jobs *j, int timeout_ms);
bool jobs_draining(const struct jobs *j);                    /* a job that may stop at a boundary asks this and returns JOBS_RETRY: that counts as no attempt */
void jobs_free(struct jobs *j);                              /* drains, waits for what runs without limit, joins. Takes NULL */
void *jobs_user(const struct job *j);
/* Of this process. fenced: leases lost; reaped: jobs of dead workers put back; turns: claim statements; beats: heartbeat statements.
 * running: on job threads; queued: in the whole installation, as counted within the last 15 s; ahead: claimed here, not begun. */
struct jobs_stats { int64_t claimed, done, retried, dead, fenced; int running, queued; int64_t reaped, turns, beats, failures; int ahead; };
int jobs_get_stats(struct jobs *j, struct jobs_stats *ret);
/* Of the whole queue: due now, waiting for their time, held by workers, dead letters. */
struct jobs_counts { int64_t due, waiting, running, dead; };
int jobs_count(struct db_conn *c, struct jobs_counts *ret, struct err *e);

extern const struct http_route jobs_routes[]; /* GET /api/v1/jobs, GET /api/v1/jobs/{id}, POST /api/v1/jobs/{id}/retry: platform-admin */
void jobs_set_db(struct db *db); /* what the routes read; before the server starts. Kept, not owned */
