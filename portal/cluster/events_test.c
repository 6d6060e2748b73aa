// label: threads
/* The event log on a real PostgreSQL: order, filters, cursors under concurrent commits, retention. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster_queries.h"
#include "portal/cluster/cluster.h"
#include "portal/core/clock.h"
#include "portal/db/testdb.h"

static struct testdb *database;
static struct db *pool;
static struct db_conn *conn, *other, *admin;
static struct err err;

#define OK(x) do { int r_ = (int)(x); if (r_ < 0) fail_msg("%s: %d %s", #x, r_, err.msg); } while (0)
#define NEEDS_DATABASE() do { if (!database) skip(); } while (0)

static int group_setup(void **state)
{
    (void)state;
    if (!(database = testdb_new()))
        return 0;
    pool = testdb_pool(database, 16);
    OK(db_take(pool, &conn, &err));
    OK(db_take(pool, &other, &err));
    OK(db_connect(database->admin, "test", &admin, &err));
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    db_give(conn);
    db_give(other);
    db_give(admin);
    db_close(pool);
    testdb_free(database);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    if (database)
        OK(db_script(admin, "truncate soma.event; update soma.event_horizon set xid = '0', id = 0", &err));
    return 0;
}

/* The server is shared by other tests, whose transactions hold the log's edge back for moments: reads wait until `want` events are there. */
struct seen { int n, stop_at; char types[512], cursor[48]; };

static int note(const struct event *ev, void *arg)
{
    struct seen *s = arg;
    assert_true(strlen(ev->at) == 24);
    snprintf(s->types + strlen(s->types), sizeof s->types - strlen(s->types), "%s ", ev->type);
    return ++s->n == s->stop_at;
}

static int page(struct seen *s, const char *entity, const char *teams, const char *cursor, int limit)
{
    return events_read(conn, entity, teams, cursor, limit, note, s, s->cursor, &err);
}

static struct seen read_until(int want, const char *entity, const char *teams, const char *cursor)
{
    struct seen s = {0};
    for (int i = 0; i < 500; i++) {
        s = (struct seen){0};
        OK(page(&s, entity, teams, cursor, 100));
        if (s.n >= want)
            break;
        clock_sleep_ms(10);
    }
    assert_int_equal(s.n, want);
    return s;
}

static void append(struct db_conn *c, const char *entity, const char *team, const char *type)
{
    OK(events_append(c, entity, team, type, "{\"n\": 1}", &err));
}

static void queries_prepare(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    const struct db_query *all[] = {&Q_EVENT_APPEND, &Q_EVENT_READ_ALL, &Q_EVENT_READ_ENTITY, &Q_EVENT_CURSOR_LOST, &Q_EVENT_CURSOR_NOW, &Q_EVENT_TRIM,
                                    &Q_EVENT_REBASE, &Q_NODE_READY, &Q_NODE_BEAT, &Q_NODE_LEAVE, &Q_NODE_FORGET, &Q_NODE_LIST, &Q_NOTIFY, &Q_LEADER_TAKE,
                                    &Q_LEADER_GUARD, &Q_LEADER_LEAVE};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char sql[4096];
        snprintf(sql, sizeof sql, "prepare q%zu as %s", i, all[i]->sql);
        OK(db_script(conn, sql, &err));
    }
}

static void reads_in_order_and_by_page(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    append(conn, "order:1", "a", "one");
    append(conn, "order:2", "b", "two");
    append(conn, "order:1", "a", "three");
    append(conn, "news", "", "four");
    assert_string_equal(read_until(4, NULL, NULL, "").types, "one two three four ");
    assert_string_equal(read_until(2, "order:1", NULL, "").types, "one three ");
    assert_string_equal(read_until(3, NULL, "[\"a\"]", "").types, "one three four ");
    assert_string_equal(read_until(1, NULL, "[]", "").types, "four ");
    assert_int_equal(read_until(0, "order:1", "[\"b\"]", "").n, 0);
    struct seen s = {.stop_at = 2};
    OK(page(&s, NULL, NULL, "", 100));
    assert_int_equal(s.n, 2);
    struct seen rest = {0};
    OK(page(&rest, NULL, NULL, s.cursor, 1));
    assert_string_equal(rest.types, "three ");
    OK(page(&rest, NULL, NULL, rest.cursor, 100));
    assert_string_equal(rest.types, "three four ");
    char end[48];
    snprintf(end, sizeof end, "%s", rest.cursor);
    assert_int_equal(page(&rest, NULL, NULL, rest.cursor, 100), 0);
    assert_string_equal(rest.cursor, end);
    char now[48];
    OK(events_cursor_now(conn, now, &err));
    assert_int_equal(page(&rest, NULL, NULL, now, 100), 0);
}

static void refuses_what_is_no_cursor(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    const char *const bad[] = {"x", "1", "1-", "-1", "1-2-3", " 1-2", "1-2 ", "99999999999999999999-1", "1--2", "1-2'"};
    struct seen s = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(page(&s, NULL, NULL, bad[i], 10), ERR_INVALID);
    assert_int_equal(page(&s, NULL, NULL, "", 0), ERR_INVALID);
    /* This server never gave it out: another life of the database. */
    assert_int_equal(page(&s, NULL, NULL, "900000000000-1", 10), ERR_NOT_FOUND);
}

/* The trap itself, without chance: the later id commits first. A reader by `id > last` would have moved past the other for good. */
static void waits_for_what_may_still_commit(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    OK(db_begin(conn, &err));
    append(conn, "e", "", "first");
    append(other, "e", "", "second");
    struct seen early = {0};
    OK(events_read(other, NULL, NULL, "", 10, note, &early, early.cursor, &err));
    assert_int_equal(early.n, 0);
    OK(db_commit(conn, &err));
    assert_string_equal(read_until(2, NULL, NULL, early.cursor).types, "first second ");
}

#define WRITERS 6
#define EACH 150

static atomic_int writing;

static void *writer(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    struct err e = ERR_INIT;
    struct db_conn *c = NULL;
    bool ok = !db_take(pool, &c, &e);
    for (int i = 0; i < EACH && ok; i++) {
        char type[24];
        snprintf(type, sizeof type, "%zu-%d", (size_t)(uintptr_t)arg, i);
        ok = !db_begin(c, &e) && !events_append(c, "e", "", type, NULL, &e);
        if (rand_r(&seed) % 4 == 0)
            clock_sleep_ms(rand_r(&seed) % 4);
        ok = ok && !db_commit(c, &e);
    }
    db_give(c);
    atomic_fetch_sub(&writing, 1);
    return (void *)(uintptr_t)ok;
}

struct tally { int n, of[WRITERS + 1]; };

static int count_one(const struct event *ev, void *arg)
{
    struct tally *t = arg;
    int who, which;
    assert_int_equal(sscanf(ev->type, "%d-%d", &who, &which), 2);
    assert_int_equal(which, t->of[who]); /* each writer's in its order, none missing, none twice */
    t->of[who]++;
    t->n++;
    return 0;
}

/* What a cursor by id would have seen: told, not asserted, because it is chance. */
static int64_t read_naively(int64_t after, int *n)
{
    static const struct db_query q = {"naive", "select id from event where id > $1 order by id limit 100"};
    DB_RESULT_AUTO rows = NULL;
    OK(db_run(other, q, &rows, &err, db_int(after)));
    *n += db_rows(rows);
    return db_rows(rows) ? db_i64(rows, db_rows(rows) - 1, 0) : after;
}

static void loses_nothing_under_concurrent_commits(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    pthread_t threads[WRITERS];
    atomic_store(&writing, WRITERS);
    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, writer, (void *)(uintptr_t)(i + 1)), 0);
    struct tally t = {0};
    char cursor[48] = "";
    int naive = 0;
    int64_t last = 0, patience = clock_mono_ms() + 20000;
    while (t.n < WRITERS * EACH && clock_mono_ms() < patience) {
        OK(events_read(conn, NULL, NULL, cursor, 50, count_one, &t, cursor, &err));
        last = read_naively(last, &naive);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        void *ok;
        pthread_join(threads[i], &ok);
        assert_non_null(ok);
    }
    assert_int_equal(t.n, WRITERS * EACH);
    print_message("a cursor by id alone would have missed %d of %d events\n", WRITERS * EACH - naive, WRITERS * EACH);
}

static void retention_says_what_is_gone(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    append(conn, "e", "", "old-1");
    append(conn, "e", "", "old-2");
    struct seen first = {.stop_at = 1};
    read_until(2, NULL, NULL, "");
    OK(page(&first, NULL, NULL, "", 10));
    OK(db_script(admin, "update soma.event set at = clock_timestamp() - interval '40 days'", &err));
    append(conn, "e", "", "new");
    struct seen all = read_until(3, NULL, NULL, "");
    assert_int_equal(events_trim(pool, 30LL * 86400000, &err), 2);
    assert_int_equal(events_trim(pool, 30LL * 86400000, &err), 0);
    struct seen s = {0};
    assert_int_equal(page(&s, NULL, NULL, first.cursor, 10), ERR_NOT_FOUND);
    assert_int_equal(page(&s, "e", NULL, first.cursor, 10), ERR_NOT_FOUND);
    assert_int_equal(page(&s, NULL, NULL, all.cursor, 10), 0);
    assert_string_equal(read_until(1, NULL, NULL, "").types, "new ");
}

static void a_restored_log_is_readable_again(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    append(conn, "e", "", "before");
    OK(db_script(admin, "update soma.event set xid = '800000000000'", &err)); /* as from a server that had seen more */
    struct seen s = {0};
    OK(page(&s, NULL, NULL, "", 10));
    assert_int_equal(s.n, 0);
    assert_int_equal(events_rebase(conn, &err), 1);
    assert_int_equal(events_rebase(conn, &err), 0);
    append(conn, "e", "", "after");
    assert_string_equal(read_until(2, NULL, NULL, "").types, "before after ");
}

static void encodes_one_line_of_data(void **state)
{
    (void)state;
    BUF_AUTO b = BUF_INIT;
    event_encode_sse(&(struct event){"7-9", "order:1", "a", "order.state", "2026-01-31T10:20:30.123Z", "{\n \"to\":\r\n\"ready\"}"}, &b);
    assert_string_equal(b.data, "id: 7-9\nevent: order.state\ndata: {\"id\":\"7-9\",\"entity\":\"order:1\",\"type\":\"order.state\",\"at\":\"2026-01-31T10:20:30.123Z\","
                                "\"data\":{  \"to\":  \"ready\"}}\n\n");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, clean)
    const struct CMUnitTest tests[] = {
        T(queries_prepare), T(reads_in_order_and_by_page), T(refuses_what_is_no_cursor), T(waits_for_what_may_still_commit),
        T(loses_nothing_under_concurrent_commits), T(retention_says_what_is_gone), T(a_restored_log_is_readable_again), T(encodes_one_line_of_data),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
