// label: threads
/* Whole workers on a real PostgreSQL: many at once, cut off, restarted, drained. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "portal/core/clock.h"
#include "portal/core/log.h"
#include "portal/db/testdb.h"
#include "portal/jobs/jobs.h"

#define MANY 1500
#define WORKERS 16

static struct testdb *database;
static struct db *pool;
static struct db_conn *admin;
static struct err err;

#define OK(x) do { int r_ = (x); if (r_) fail_msg("%s: %d %s", #x, r_, err.msg); } while (0)
#define NEEDS_DATABASE() do { if (!database) skip(); } while (0)

static int group_setup(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    if (!(database = testdb_new()))
        return 0;
    pool = testdb_pool(database, 60);
    OK(db_connect(database->admin, "test", &admin, &err));
    OK(db_script(admin, "create table soma.ran (id bigint generated always as identity, subject text, fence bigint, node text);"
                        "grant insert, select on soma.ran to soma_app", &err));
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    db_give(admin);
    db_close(pool);
    testdb_free(database);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    if (database)
        OK(db_script(admin, "truncate soma.job, soma.job_ready, soma.job_lease, soma.job_leash, soma.job_team, soma.job_limit, soma.job_schedule, soma.ran", &err));
    return 0;
}

static int64_t number(const char *sql)
{
    struct db_query q = {sql, sql};
    DB_RESULT_AUTO row = NULL;
    OK(db_one(admin, q, &row, &err));
    return db_i64(row, 0, 0);
}

/* Waits until the query's number is `want`; false after 20 s. */
static bool becomes(const char *sql, int64_t want)
{
    for (int i = 0; i < 2000; i++) {
        if (number(sql) == want)
            return true;
        clock_sleep_ms(10);
    }
    return false;
}

static void enqueue(struct jobs_spec s)
{
    DB_CONN_AUTO c = NULL;
    OK(db_take(pool, &c, &err));
    OK(jobs_enqueue(c, &s, NULL, &err));
}

static const struct db_query q_ran = {"ran", "insert into ran (subject, fence) values ($1, $2)"};

static int record(struct db_conn *c, void *arg, struct err *e)
{
    struct job *j = arg;
    int r = jobs_guard(c, j, e);
    return r ? r : db_run(c, q_ran, NULL, e, db_text(j->subject), db_int(j->fence));
}

static int run_once(struct job *j, struct err *e)
{
    return db_tx(j->db, record, j, e) ? JOBS_RETRY : JOBS_DONE;
}

static atomic_int slow_ms = 1500, begun;

static int run_slow(struct job *j, struct err *e)
{
    atomic_fetch_add(&begun, 1);
    int64_t until = clock_mono_ms() + atomic_load(&slow_ms);
    while (clock_mono_ms() < until && !jobs_draining(j->jobs))
        clock_sleep_ms(5);
    if (jobs_draining(j->jobs))
        return JOBS_RETRY;
    return run_once(j, e);
}

static int run_failing(struct job *j, struct err *e)
{
    (void)j;
    return err_set(e, ERR_IO, "the \"cloud\" said \\no\\"), JOBS_RETRY;
}

static int run_hopeless(struct job *j, struct err *e)
{
    (void)j;
    return err_set(e, ERR_INVALID, "no such region"), JOBS_DEAD;
}

/* Cut in the middle of a character, and with bytes that are none. */
static int run_garbled(struct job *j, struct err *e)
{
    return err_set(e, ERR_IO, "gr\xc3\xbc\xc3\x9f \xed\xa0\x80 \xff %s \xe2\x82", json_string_value(json_object_get(j->args, "a")) ? "with" : "without"), JOBS_RETRY;
}

static int last_words(struct db_conn *c, const char *subject, json_t *args, const char *reason, struct err *e)
{
    char text[300];
    snprintf(text, sizeof text, "%s|%s|%s", subject, json_string_value(json_object_get(args, "a")), reason);
    return db_run(c, q_ran, NULL, e, db_text(text), db_int(0));
}

static const struct jobs_kind kinds[] = {
    {.kind = "once", .fn = run_once, .max_attempts = 10, .backoff_ms = 5, .backoff_max_ms = 20},
    {.kind = "slow", .fn = run_slow, .max_attempts = 3, .backoff_ms = 5, .backoff_max_ms = 20},
    {.kind = "failing", .fn = run_failing, .max_attempts = 3, .backoff_ms = 5, .backoff_max_ms = 20, .dead = last_words},
    {.kind = "garbled", .fn = run_garbled, .max_attempts = 2, .backoff_ms = 5, .backoff_max_ms = 20},
    {.kind = "hopeless", .fn = run_hopeless, .dead = last_words},
    {0},
};

static const struct jobs_kind ticking[] = {{.kind = "tick", .fn = run_once, .max_attempts = 3, .every_ms = 200}, {0}};

static struct jobs *start_as(const char *node, const struct jobs_kind *k, int threads, int lease_ms)
{
    struct jobs *j = NULL;
    struct jobs_options o = {.db = pool, .node_id = node, .threads = threads, .lease_ms = lease_ms, .poll_ms = 50, .kinds = k};
    OK(jobs_start(&o, &j, &err));
    return j;
}

static struct jobs *start(const char *node, int threads, int lease_ms)
{
    return start_as(node, kinds, threads, lease_ms);
}

static void enqueue_many(int n)
{
    static const struct db_query q = {"many", "select count(soma.job_enqueue(gen_random_uuid(), 'once', 's' || i, 't' || i % 7, '', '', '{}', 0, 0)) from generate_series(1, $1) i"};
    OK(db_run(admin, q, NULL, &err, db_int(n)));
}

static void sixteen_workers_run_each_job_once(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue_many(MANY);
    int64_t deadlocks = number("select deadlocks from pg_stat_database where datname = current_database()");
    struct jobs *workers[WORKERS];
    char node[24];
    for (int i = 0; i < WORKERS; i++) {
        snprintf(node, sizeof node, "node-%d", i);
        workers[i] = start(node, 2, 30000);
    }
    assert_true(becomes("select count(*) from soma.job", 0));
    for (int i = 0; i < WORKERS; i++)
        jobs_free(workers[i]);
    assert_int_equal(number("select count(*) from soma.ran"), MANY);
    assert_int_equal(number("select count(distinct subject) from soma.ran"), MANY);
    assert_int_equal(number("select count(distinct fence) from soma.ran"), MANY);
    assert_int_equal(number("select count(*) from soma.job_lease"), 0);
    /* Counters are reported by each backend at its end, a moment late. */
    clock_sleep_ms(100);
    assert_int_equal(number("select deadlocks from pg_stat_database where datname = current_database()"), deadlocks);
}

/* Every guarded write happens once though connections die under claims, heartbeats, writes and outcomes. */
static void killed_connections_lose_nothing(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue_many(MANY);
    struct jobs *a = start("a", 4, 10000), *b = start("b", 4, 10000);
    for (int i = 0; i < 12; i++) {
        clock_sleep_ms(15);
        OK(db_script(admin, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'soma_app' and datname = current_database()", &err));
    }
    bool done = becomes("select count(*) from soma.job where dead_at is null", 0);
    jobs_free(a);
    jobs_free(b);
    assert_true(done);
    assert_int_equal(number("select count(*) from soma.job"), 0);
    assert_int_equal(number("select count(distinct subject) from soma.ran"), MANY);
    assert_int_equal(number("select count(*) from soma.job_lease"), 0);
}

#define STORM_MS 1500
static atomic_bool storm_over;
static atomic_int storm_errors, storm_enqueued;

/* Applications that enqueue and cancel a few subjects, several in one transaction (in one order, as two callers that meet must). */
static void *storm(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    struct err e = ERR_INIT;
    struct db_conn *c = NULL;
    bool ok = !db_take(pool, &c, &e);
    while (ok && !atomic_load(&storm_over)) {
        ok = !db_begin(c, &e);
        for (int subject = rand_r(&seed) % 8; ok && subject < 24; subject += 1 + rand_r(&seed) % 8) {
            char name[16];
            snprintf(name, sizeof name, "%02d", subject);
            int team = subject % 5;
            struct jobs_spec s = {.kind = "once", .subject = name, .team = (const char *[]){"", "a", "b", "c", "d"}[team], .environment = team % 2 ? "prod" : "", .delay_ms = rand_r(&seed) % 3};
            ok = rand_r(&seed) % 6 ? !jobs_enqueue(c, &s, NULL, &e) : jobs_cancel(c, "once", name, &e) >= 0;
            atomic_fetch_add(&storm_enqueued, 1);
        }
        ok = ok && !db_commit(c, &e);
    }
    if (!ok) {
        print_error("storm: %s\n", e.msg);
        atomic_fetch_add(&storm_errors, 1);
    }
    db_give(c);
    return NULL;
}

/* Enqueues, marks, cancels, claims, takeovers all at once: nobody deadlocks, and the three tables stay in step. */
static void the_tables_stay_in_step(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    struct jobs *workers[6];
    pthread_t threads[4];
    char node[24];
    OK(db_script(admin, "insert into soma.job_limit values ('prod', 2)", &err));
    int64_t deadlocks = number("select deadlocks from pg_stat_database where datname = current_database()");
    atomic_store(&storm_over, false);
    for (int i = 0; i < 6; i++) {
        snprintf(node, sizeof node, "node-%d", i);
        workers[i] = start(node, 2, 30000);
    }
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, storm, (void *)(uintptr_t)(i + 1)), 0);
    int64_t until = clock_mono_ms() + STORM_MS, most = 0;
    while (clock_mono_ms() < until) {
        /* A worker that lost its lease: others take over at once. */
        OK(db_script(admin, "update soma.job_lease set lease_until = clock_timestamp() - interval '1 s' where job_id in (select job_id from soma.job_lease order by random() limit 1 for update skip locked)", &err));
        int64_t prod = number("select count(*) from soma.job_lease where environment = 'prod'");
        most = prod > most ? prod : most;
        assert_int_equal(number("select count(*) from soma.job j where dead_at is null and (exists (select from soma.job_ready r where r.job_id = j.id))::int"
                                " + (exists (select from soma.job_lease l where l.job_id = j.id))::int <> 1"), 0);
    }
    atomic_store(&storm_over, true);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    bool drained = becomes("select count(*) from soma.job where dead_at is null", 0);
    for (int i = 0; i < 6; i++)
        jobs_free(workers[i]);
    assert_true(drained);
    assert_int_equal(atomic_load(&storm_errors), 0);
    assert_true(atomic_load(&storm_enqueued) > 100);
    assert_true(most <= 2);
    assert_int_equal(number("select count(*) from soma.job_ready") + number("select count(*) from soma.job_lease"), 0);
    clock_sleep_ms(100);
    assert_int_equal(number("select deadlocks from pg_stat_database where datname = current_database()"), deadlocks);
}

static void heartbeats_keep_a_long_job(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    atomic_store(&slow_ms, 1200);
    enqueue((struct jobs_spec){.kind = "slow", .subject = "s"});
    struct jobs *a = start("a", 1, 300), *b = start("b", 1, 300);
    assert_true(becomes("select count(*) from soma.job", 0));
    struct jobs_stats sa, sb;
    jobs_get_stats(a, &sa);
    jobs_get_stats(b, &sb);
    jobs_free(a);
    jobs_free(b);
    assert_int_equal(number("select count(*) from soma.ran"), 1);
    assert_int_equal(sa.claimed + sb.claimed, 1);
    assert_int_equal(sa.fenced + sb.fenced, 0);
    assert_true(sa.beats + sb.beats >= 8);
}

static void the_database_away_for_a_while(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    char sql[200];
    atomic_store(&slow_ms, 5000);
    atomic_store(&begun, 0);
    enqueue((struct jobs_spec){.kind = "slow", .subject = "s"});
    struct jobs *a = start("a", 1, 2000), *b = start("b", 1, 2000);
    while (!atomic_load(&begun))
        clock_sleep_ms(5);
    struct db_conn *server = NULL;
    OK(db_connect(getenv("SOMA_TEST_DATABASE"), "test", &server, &err));
    snprintf(sql, sizeof sql, "alter database %s with allow_connections = false", database->name);
    OK(db_script(server, sql, &err));
    snprintf(sql, sizeof sql, "select pg_terminate_backend(pid) from pg_stat_activity where datname = '%s' and usename = 'soma_app'", database->name);
    OK(db_script(server, sql, &err));
    clock_sleep_ms(3000); /* beyond the lease */
    snprintf(sql, sizeof sql, "alter database %s with allow_connections = true", database->name);
    OK(db_script(server, sql, &err));
    db_give(server);
    /* Nobody took it meanwhile, so its worker may have it back; if another was quicker the first is fenced. Either way it counts once. */
    assert_true(becomes("select count(*) from soma.job", 0));
    jobs_free(a);
    jobs_free(b);
    assert_int_equal(number("select count(*) from soma.ran"), 1);
}

static void a_lost_lease_is_known(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    atomic_store(&slow_ms, 600);
    atomic_store(&begun, 0);
    enqueue((struct jobs_spec){.kind = "slow", .subject = "s"});
    struct jobs *a = start("a", 1, 400);
    while (!atomic_load(&begun))
        clock_sleep_ms(5);
    OK(db_script(admin, "update soma.job_lease set token = gen_random_uuid(), node_id = 'other', lease_until = clock_timestamp() + interval '1 h'", &err));
    struct jobs_stats s;
    do {
        clock_sleep_ms(10);
        jobs_get_stats(a, &s);
    } while (s.running);
    jobs_free(a);
    assert_int_equal(s.fenced, 1);
    assert_int_equal(s.done + s.retried + s.dead, 0);
    assert_int_equal(number("select count(*) from soma.ran"), 0);
    assert_int_equal(number("select count(*) from soma.job_lease where node_id = 'other'"), 1);
}

static void failures_become_dead_letters(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    json_auto_t *args = json_pack("{s:s}", "a", "b");
    enqueue((struct jobs_spec){.kind = "failing", .subject = "f", .args = args});
    enqueue((struct jobs_spec){.kind = "hopeless", .subject = "h", .args = args});
    struct jobs *a = start("a", 2, 30000);
    bool dead = becomes("select count(*) from soma.job where dead_at is not null", 2);
    struct jobs_stats s;
    jobs_get_stats(a, &s);
    jobs_free(a);
    assert_true(dead);
    assert_int_equal(number("select attempts from soma.job where kind = 'failing'"), 2); /* the third was the last */
    assert_int_equal(number("select count(*) from soma.job where dead_reason = 'failed 3 times; the last: the \"cloud\" said \\no\\'"), 1);
    assert_int_equal(number("select count(*) from soma.job where dead_reason = 'no such region'"), 1);
    assert_int_equal(number("select count(*) from soma.ran where subject = 'f|b|failed 3 times; the last: the \"cloud\" said \\no\\'"), 1);
    assert_int_equal(number("select count(*) from soma.ran where subject = 'h|b|no such region'"), 1);
    assert_int_equal(s.retried, 2);
    assert_int_equal(s.dead, 2);
}

static void any_reason_can_be_told(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    json_auto_t *args = json_pack("{s:s%}", "a", "x\0y", (size_t)3);
    enqueue((struct jobs_spec){.kind = "garbled", .subject = "g", .args = args});
    struct jobs *a = start("a", 1, 30000);
    bool dead = becomes("select count(*) from soma.job where dead_at is not null", 1);
    jobs_free(a);
    assert_true(dead);
    assert_int_equal(number("select count(*) from soma.job where attempts = 1 and dead_reason = 'failed 2 times; the last: gr\xc3\xbc\xc3\x9f ?" "?" "? ? with ?" "?'"), 1);
}

static void poison_is_not_swallowed_for_ever(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue((struct jobs_spec){.kind = "failing", .subject = "p"});
    OK(db_script(admin, "update soma.job set crashes = 5", &err));
    struct jobs *a = start("a", 1, 30000);
    bool dead = becomes("select count(*) from soma.job where dead_at is not null", 1);
    jobs_free(a);
    assert_true(dead);
    assert_int_equal(number("select attempts from soma.job"), 0);
    assert_int_equal(number("select count(*) from soma.ran where subject like 'p|%|5 workers died%'"), 1);
}

static void drain_leaves_no_lease(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    atomic_store(&slow_ms, 60000);
    atomic_store(&begun, 0);
    enqueue_many(20);
    enqueue((struct jobs_spec){.kind = "slow", .subject = "s", .priority = 1});
    struct jobs *a = start("a", 1, 30000);
    while (!atomic_load(&begun))
        clock_sleep_ms(5);
    int64_t from = clock_mono_ms();
    jobs_drain(a, 5000);
    assert_in_range(clock_mono_ms() - from, 0, 2000);
    assert_int_equal(number("select count(*) from soma.job_lease"), 0);
    assert_int_equal(number("select count(*) from soma.job_ready"), 21);
    assert_int_equal(number("select max(attempts) + max(crashes) from soma.job"), 0);
    enqueue((struct jobs_spec){.kind = "once", .subject = "late"});
    jobs_wake(a);
    clock_sleep_ms(100);
    assert_int_equal(number("select count(*) from soma.job_ready"), 22);
    jobs_free(a);
}

/* What a killed process held is free for its successor, and for others after the lease. */
static void a_killed_worker_is_replaced(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue((struct jobs_spec){.kind = "once", .subject = "same node"});
    enqueue((struct jobs_spec){.kind = "once", .subject = "other node"});
    enqueue((struct jobs_spec){.kind = "once", .subject = "leashed"});
    OK(db_script(admin,
                 "delete from soma.job_ready; insert into soma.job_lease select id, gen_random_uuid(), nextval('soma.job_fence'),"
                 " case subject when 'other node' then 'b' else 'a' end, gen_random_uuid(), '', clock_timestamp(),"
                 " clock_timestamp() + case subject when 'other node' then interval '400 ms' else interval '1 h' end from soma.job;"
                 "insert into soma.job_leash select 'a', 'run-1', id from soma.job where subject = 'leashed'", &err));
    struct jobs *a = start("a", 2, 800);
    assert_true(becomes("select count(*) from soma.ran", 1));
    assert_int_equal(number("select count(*) from soma.ran where subject = 'same node'"), 1);
    assert_true(becomes("select count(*) from soma.ran", 2));
    clock_sleep_ms(300);
    assert_int_equal(number("select count(*) from soma.ran where subject = 'leashed'"), 0);
    DB_CONN_AUTO c = NULL;
    OK(db_take(pool, &c, &err));
    OK(jobs_leash_ended(c, "a", "run-1", &err));
    assert_true(becomes("select count(*) from soma.ran", 3));
    jobs_free(a);
    assert_int_equal(number("select count(*) from soma.job"), 0);
}

static void schedules_run_once_an_interval(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    struct jobs *a = start_as("a", ticking, 1, 30000), *b = start_as("b", ticking, 1, 30000);
    clock_sleep_ms(1100);
    jobs_free(a);
    jobs_free(b);
    assert_in_range(number("select count(*) from soma.ran"), 4, 7);
    assert_int_equal(number("select count(*) from soma.ran where subject = 'schedule'"), number("select count(*) from soma.ran"));
}

static void starts_without_a_database(void **state)
{
    (void)state;
    struct db *nowhere = NULL;
    OK(db_open(&(struct db_options){.conninfo = "host=127.0.0.1 port=1 dbname=none", .size = 4, .wait_ms = 100}, &nowhere, &err));
    struct jobs *j = NULL;
    struct jobs_options o = {.db = nowhere, .node_id = "n", .threads = 2, .kinds = kinds};
    OK(jobs_start(&o, &j, &err));
    clock_sleep_ms(50);
    jobs_drain(j, 100);
    jobs_free(j);
    o.kinds = &(struct jobs_kind){0};
    assert_int_equal(jobs_start(&o, &j, &err), ERR_INVALID);
    db_close(nowhere);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, clean)
    const struct CMUnitTest tests[] = {
        T(sixteen_workers_run_each_job_once), T(killed_connections_lose_nothing), T(the_tables_stay_in_step), T(heartbeats_keep_a_long_job), T(the_database_away_for_a_while),
        T(a_lost_lease_is_known), T(failures_become_dead_letters), T(any_reason_can_be_told), T(poison_is_not_swallowed_for_ever), T(drain_leaves_no_lease),
        T(a_killed_worker_is_replaced), T(schedules_run_once_an_interval), T(starts_without_a_database),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
