// label: threads
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "portal/db/testdb.h"

static struct testdb *database;

static const struct db_query q_echo = {"echo", "select $1::text, $2::bigint, $3::bytea, $4::text is null, $5::boolean"};
static const struct db_query q_pid = {"pid", "select pg_backend_pid()"};
static const struct db_query q_make = {"make", "insert into counted (n) values ($1)"};
static const struct db_query q_count = {"count", "select count(*) from counted"};
static const struct db_query q_bad = {"bad", "select $1::int / 0"};

static int group_setup(void **state)
{
    (void)state;
    database = testdb_new();
    if (!database)
        return 0;
    struct err e = ERR_INIT;
    struct db_conn *c = NULL;
    if (db_connect(database->admin, "setup", &c, &e) || db_script(c, "create table counted (n int primary key); grant all on counted to soma_app", &e))
        return -1;
    db_give(c);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    testdb_free(database);
    return 0;
}

static struct db *pool_or_skip(int size)
{
    if (!database)
        skip();
    return testdb_pool(database, size);
}

static void values_come_back_as_given(void **state)
{
    (void)state;
    struct db *d = pool_or_skip(1);
    struct err e = ERR_INIT;
    struct db_conn *c = NULL;
    struct db_result *r = NULL;
    assert_int_equal(db_take(d, &c, &e), 0);
    for (int i = 0; i < 3; i++) { /* the second time through the prepared statement */
        assert_int_equal(db_one(c, q_echo, &r, &e, db_text("a'b"), db_int(-9007199254740993), db_bytes("\0\1\xff", 3), db_null(), db_flag(true)), 0);
        assert_string_equal(db_str(r, 0, 0), "a'b");
        assert_true(db_i64(r, 0, 1) == -9007199254740993);
        ARENA_AUTO a = arena_new();
        size_t n = 0;
        assert_memory_equal(db_blob(r, 0, 2, a, &n), "\0\1\xff", 3);
        assert_int_equal(n, 3);
        assert_true(db_bool(r, 0, 3));
        assert_true(db_bool(r, 0, 4));
        db_result_free(r);
    }
    db_give(c);
    db_close(d);
}

static void failure_names_query_and_state(void **state)
{
    (void)state;
    struct db *d = pool_or_skip(1);
    struct err e = ERR_INIT;
    struct db_conn *c = NULL;
    assert_int_equal(db_take(d, &c, &e), 0);
    assert_int_equal(db_run(c, q_bad, NULL, &e, db_int(1)), ERR_INVALID);
    assert_non_null(strstr(e.msg, "bad"));
    assert_string_equal(db_sqlstate(c), "22012");
    db_give(c);
    db_close(d);
}

static void failed_transaction_leaves_nothing(void **state)
{
    (void)state;
    struct db *d = pool_or_skip(1);
    struct err e = ERR_INIT;
    struct db_conn *c = NULL;
    struct db_result *r = NULL;
    assert_int_equal(db_take(d, &c, &e), 0);
    assert_int_equal(db_begin(c, &e), 0);
    assert_int_equal(db_run(c, q_make, NULL, &e, db_int(1)), 0);
    assert_int_equal(db_run(c, q_make, NULL, &e, db_int(1)), ERR_CONFLICT);
    assert_string_equal(db_constraint(c), "counted_pkey");
    db_give(c); /* forgets to roll back */
    assert_int_equal(db_take(d, &c, &e), 0);
    assert_int_equal(db_one(c, q_count, &r, &e), 0);
    assert_int_equal(db_i64(r, 0, 0), 0);
    db_result_free(r);
    db_give(c);
    db_close(d);
}

static void killed_idle_connection_is_replaced(void **state)
{
    (void)state;
    struct db *d = pool_or_skip(1);
    struct err e = ERR_INIT;
    struct db_conn *c = NULL, *admin = NULL;
    struct db_result *r = NULL;
    assert_int_equal(db_take(d, &c, &e), 0);
    assert_int_equal(db_one(c, q_pid, &r, &e), 0);
    char kill[64];
    snprintf(kill, sizeof kill, "select pg_terminate_backend(%s)", db_str(r, 0, 0));
    db_result_free(r);
    db_give(c);
    assert_int_equal(db_connect(database->admin, "killer", &admin, &e), 0);
    assert_int_equal(db_script(admin, kill, &e), 0);
    db_give(admin);
    assert_int_equal(db_take(d, &c, &e), 0);
    assert_int_equal(db_one(c, q_pid, &r, &e), 0);
    db_result_free(r);
    db_give(c);
    db_close(d);
}

static void full_pool_refuses_with_words(void **state)
{
    (void)state;
    if (!database)
        skip();
    struct err e = ERR_INIT;
    struct db *d = NULL;
    struct db_conn *a = NULL, *b = NULL;
    assert_int_equal(db_open(&(struct db_options){.conninfo = database->app, .size = 1, .wait_ms = 20}, &d, &e), 0);
    assert_int_equal(db_take(d, &a, &e), 0);
    assert_int_equal(db_take(d, &b, &e), ERR_UNAVAILABLE);
    assert_true(e.retry_after > 0);
    db_give(a);
    db_close(d);
}

static int add_hundred(struct db_conn *c, void *arg, struct err *e)
{
    int r = 0;
    for (int i = 0; i < 100 && !r; i++)
        r = db_run(c, q_make, NULL, e, db_int(*(int *)arg + i));
    return r;
}

static void *adder(void *arg)
{
    struct { struct db *d; int from; } *job = arg;
    struct err e = ERR_INIT;
    return (void *)(intptr_t)db_tx(job->d, add_hundred, &job->from, &e);
}

static void threads_share_a_small_pool(void **state)
{
    (void)state;
    struct db *d = pool_or_skip(2);
    struct { struct db *d; int from; } jobs[8];
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        jobs[i].d = d;
        jobs[i].from = 1000 * (i + 1);
        pthread_create(&threads[i], NULL, adder, &jobs[i]);
    }
    for (int i = 0; i < 8; i++) {
        void *r;
        pthread_join(threads[i], &r);
        assert_null(r);
    }
    struct db_stats stats;
    db_get_stats(d, &stats);
    assert_true(stats.open <= 2);
    db_close(d);
}

static void node_refuses_the_owner_and_an_old_schema(void **state)
{
    (void)state;
    struct db *d = pool_or_skip(1);
    struct err e = ERR_INIT;
    struct db_conn *c = NULL;
    assert_int_equal(db_connect(database->admin, "owner", &c, &e), 0);
    assert_int_equal(db_check_schema(c, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "soma_app"));
    db_give(c);
    assert_int_equal(db_take(d, &c, &e), 0);
    assert_int_equal(db_check_schema(c, &e), 0);
    db_give(c);
    db_close(d);
}

static void wrong_connection_string_is_said(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct db *d = NULL;
    assert_int_equal(db_open(&(struct db_options){.conninfo = "nonsense=1"}, &d, &e), ERR_INVALID);
    assert_int_equal(db_open(&(struct db_options){.conninfo = "host=127.0.0.1 port=1 dbname=x", .wait_ms = 100}, &d, &e), 0);
    struct db_conn *c = NULL;
    assert_int_equal(db_take(d, &c, &e), ERR_UNAVAILABLE);
    db_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back_as_given), cmocka_unit_test(failure_names_query_and_state),
        cmocka_unit_test(failed_transaction_leaves_nothing), cmocka_unit_test(killed_idle_connection_is_replaced),
        cmocka_unit_test(full_pool_refuses_with_words), cmocka_unit_test(threads_share_a_small_pool),
        cmocka_unit_test(node_refuses_the_owner_and_an_old_schema), cmocka_unit_test(wrong_connection_string_is_said),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
