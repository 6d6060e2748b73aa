/* One measurement of the queue: enqueues N jobs in batches while a worker works them off; prints the seconds from the first enqueue until the
 * table is empty. bench-queue CONNINFO N BATCH [THREADS]; "bench-queue CONNINFO migrate" makes the schema. tests/bench/queue runs it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/core/clock.h"
#include "portal/core/log.h"
#include "portal/jobs/jobs.h"

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
    struct jobs_spec specs[1000];
    char subjects[1000][24];
    json_t *args[1000];
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

static double measure(struct db *db, int n, int batch, int threads)
{
    struct err e = ERR_INIT;
    struct jobs *jobs = NULL;
    must(jobs_start(&(struct jobs_options){.db = db, .node_id = "bench", .threads = threads, .kinds = kinds}, &jobs, &e), &e);
    int64_t began = clock_mono_ms();
    for (int i = 0; i < n; i += batch)
        enqueue(db, jobs, i, batch);
    while (atomic_load(&done) < n || count_left(db))
        clock_sleep_ms(1);
    double seconds = (double)(clock_mono_ms() - began) / 1000;
    struct jobs_stats s;
    jobs_get_stats(jobs, &s);
    fprintf(stderr, "%lld turns, %.0f jobs each\n", (long long)s.turns, (double)n / (double)s.turns);
    jobs_free(jobs);
    return seconds;
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    if (argc < 3 || (argc < 4 && strcmp(argv[2], "migrate"))) {
        fprintf(stderr, "usage: bench-queue CONNINFO (migrate | N BATCH [THREADS])\n");
        return 2;
    }
    log_set_level(LOG_LEVEL_WARN);
    if (argc < 4) {
        struct db_conn *c = NULL;
        int applied;
        must(db_connect(argv[1], "bench", &c, &e), &e);
        must(db_migrate(c, &applied, &e), &e);
        db_give(c);
        return 0;
    }
    struct db *db = NULL;
    int batch = atoi(argv[3]);
    must(db_open(&(struct db_options){.conninfo = argv[1], .application = "bench", .size = 10, .wait_ms = 5000}, &db, &e), &e);
    if (batch < 1 || batch > 1000)
        return 2;
    printf("%.3f\n", measure(db, atoi(argv[2]), batch, argc > 4 ? atoi(argv[4]) : 4));
    db_close(db);
    return 0;
}
