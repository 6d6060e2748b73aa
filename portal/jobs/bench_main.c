/* One measurement of the queue: enqueues N jobs in batches while a worker works them off; prints the seconds from the first enqueue until the
 * table is empty. bench-queue CONNINFO N BATCH PRODUCERS; "bench-queue CONNINFO migrate" makes the schema. tests/bench/queue runs it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/core/clock.h"
#include "portal/core/log.h"
#include "portal/jobs/jobs.h"

#define BATCH_MAX 1000
#define PRODUCERS_MAX 64

static atomic_int done;

static int noop(struct job *j, struct err *e)
{
    (void)j;
    (void)e;
    atomic_fetch_add(&done, 1);
    return JOBS_DONE;
}

static const struct jobs_kind kinds[] = {{.kind = "noop", .fn = noop, .max_attempts = 3}, {0}};

static void must(int r, const struct err *e)
{
    if (r) {
        fprintf(stderr, "bench-queue: %s\n", e->msg);
        exit(1);
    }
}

/* In the caller's transaction in real life; here each batch is one. */
static void enqueue(struct db *db, struct jobs *jobs, int from, int batch)
{
    struct err e = ERR_INIT;
    struct jobs_spec specs[BATCH_MAX];
    char subjects[BATCH_MAX][24];
    json_t *args[BATCH_MAX];
    for (int i = 0; i < batch; i++) {
        snprintf(subjects[i], sizeof subjects[i], "%d", from + i);
        args[i] = json_pack("{s:i}", "id", from + i);
        specs[i] = (struct jobs_spec){.kind = "noop", .subject = subjects[i], .args = args[i]};
    }
    DB_CONN_AUTO c = NULL;
    must(db_take(db, &c, &e), &e);
    must(jobs_enqueue_many(c, specs, batch, &e), &e);
    for (int i = 0; i < batch; i++)
        json_decref(args[i]);
    jobs_wake(jobs);
}

static int64_t count_left(struct db *db)
{
    static const struct db_query q = {"left", "select count(*) from (select from job limit 1) one"};
    struct err e = ERR_INIT;
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    must(db_take(db, &c, &e), &e);
    must(db_one(c, q, &row, &e), &e);
    return db_i64(row, 0, 0);
}

struct plan { struct db *db; struct jobs *jobs; int n, batch; atomic_int next; };

static void *produce(void *arg)
{
    struct plan *p = arg;
    for (int from; (from = atomic_fetch_add(&p->next, p->batch)) < p->n;)
        enqueue(p->db, p->jobs, from, p->batch);
    return NULL;
}

static double measure(struct db *db, int n, int batch, int producers)
{
    struct err e = ERR_INIT;
    struct plan p = {.db = db, .n = n, .batch = batch};
    pthread_t threads[PRODUCERS_MAX];
    must(jobs_start(&(struct jobs_options){.db = db, .node_id = "bench", .kinds = kinds}, &p.jobs, &e), &e);
    int64_t began = clock_mono_ms();
    for (int i = 0; i < producers; i++)
        must(pthread_create(&threads[i], NULL, produce, &p) ? err_set(&e, ERR_IO, "cannot start a thread") : 0, &e);
    for (int i = 0; i < producers; i++)
        pthread_join(threads[i], NULL);
    while (atomic_load(&done) < n || count_left(db))
        clock_sleep_ms(1);
    double seconds = (double)(clock_mono_ms() - began) / 1000;
    jobs_free(p.jobs);
    return seconds;
}

static int migrate(const char *conninfo)
{
    struct err e = ERR_INIT;
    struct db_conn *c = NULL;
    int applied;
    must(db_connect(conninfo, "bench", &c, &e), &e);
    must(db_migrate(c, &applied, &e), &e);
    db_give(c);
    return 0;
}

int main(int argc, char **argv)
{
    log_set_level(LOG_LEVEL_WARN);
    if (argc == 3 && !strcmp(argv[2], "migrate"))
        return migrate(argv[1]);
    int n = argc == 5 ? atoi(argv[2]) : 0, batch = argc == 5 ? atoi(argv[3]) : 0, producers = argc == 5 ? atoi(argv[4]) : 0;
    if (n < 1 || batch < 1 || batch > BATCH_MAX || producers < 1 || producers > PRODUCERS_MAX) {
        fprintf(stderr, "usage: bench-queue CONNINFO (migrate | N BATCH PRODUCERS)\n");
        return 2;
    }
    struct err e = ERR_INIT;
    struct db *db = NULL;
    must(db_open(&(struct db_options){.conninfo = argv[1], .application = "bench", .size = 10, .wait_ms = 60000}, &db, &e), &e);
    printf("%.3f\n", measure(db, n, batch, producers));
    db_close(db);
    return 0;
}
