// label: threads
/* The cluster thread with real streams on a real PostgreSQL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "portal/cluster/cluster.h"
#include "portal/core/clock.h"
#include "portal/core/log.h"
#include "portal/db/testdb.h"

static struct testdb *database;
static struct db *pool;
static struct db_conn *conn, *admin;
static struct loop *loop;
static struct streams *streams;
static struct err err;

#define OK(x) do { int r_ = (int)(x); if (r_ < 0) fail_msg("%s: %d %s", #x, r_, err.msg); } while (0)
#define NEEDS_DATABASE() do { if (!database) skip(); } while (0)

static int group_setup(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    if (!(database = testdb_new()))
        return 0;
    pool = testdb_pool(database, 16);
    OK(db_take(pool, &conn, &err));
    OK(db_connect(database->admin, "test", &admin, &err));
    OK(loop_new(&loop, &err));
    OK(loop_start(loop, &err));
    streams = streams_new(loop);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    if (!database)
        return 0;
    streams_free(streams);
    loop_stop(loop);
    loop_free(loop);
    db_give(conn);
    db_give(admin);
    db_close(pool);
    testdb_free(database);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    if (database)
        OK(db_script(admin, "truncate soma.event, soma.leader, soma.node cascade; update soma.event_horizon set xid = '0', id = 0", &err));
    return 0;
}

static atomic_int woken_jobs, reconnected;

static void woken(const char *topic, void *arg)
{
    (void)arg;
    atomic_fetch_add(strcmp(topic, "jobs") ? &reconnected : &woken_jobs, 1);
}

static struct cluster *start(const char *node)
{
    struct cluster *c = NULL;
    struct cluster_options o = {.db = pool, .conninfo = database->app, .node_id = node, .name = node, .role = "serve", .version = "1", .woken = woken, .streams = streams,
                                .poll_ms = 100, .beat_ms = 100, .leader_lease_ms = 500, .check_ms = 100};
    OK(cluster_start(&o, &c, &err));
    return c;
}

static int64_t number(const char *sql)
{
    struct db_query q = {sql, sql};
    DB_RESULT_AUTO row = NULL;
    OK(db_one(admin, q, &row, &err));
    return db_i64(row, 0, 0);
}

#define WAIT_FOR(cond) do { int64_t end_ = clock_mono_ms() + 15000; while (!(cond) && clock_mono_ms() < end_) clock_sleep_ms(5); assert_true(cond); } while (0)

/* --- a client at the other end --- */

struct client { int fd; char *text; size_t len, cap; atomic_int freed, allowed; bool over; };

static bool check(void *arg)
{
    return atomic_load(&((struct client *)arg)->allowed);
}

static void freed(void *arg)
{
    atomic_fetch_add(&((struct client *)arg)->freed, 1);
}

static void subscribe(struct cluster *c, struct client *cl, const char *entity, const char *teams, const char *cursor)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    *cl = (struct client){.fd = fds[1]};
    atomic_store(&cl->allowed, 1);
    struct stream *s = stream_new(streams, fds[0], NULL);
    OK(cluster_subscribe(c, s, &(struct cluster_subscription){entity, teams, cursor, check, freed, cl}, &err));
}

static void pull(struct client *cl, int flags)
{
    if (cl->cap - cl->len <= 65536) /* what is read, and the NUL behind it */
        cl->text = realloc(cl->text, cl->cap = cl->cap * 2 + 131072);
    ssize_t n = recv(cl->fd, cl->text + cl->len, 65536, flags);
    if (n == 0)
        cl->over = true;
    if (n > 0)
        cl->len += (size_t)n;
    cl->text[cl->len] = 0;
}

static int count_of(const struct client *cl, const char *word)
{
    int n = 0;
    for (const char *p = cl->text; p && (p = strstr(p, word)); p += strlen(word))
        n++;
    return n;
}

static bool has(struct client *cl, const char *word, int n)
{
    pull(cl, MSG_DONTWAIT);
    return count_of(cl, word) >= n;
}

static void done(struct client *cl)
{
    close(cl->fd);
    free(cl->text);
}

/* Every event of 0..n-1 once and in order. */
static void assert_whole(const struct client *cl, int n)
{
    const char *p = cl->text;
    for (int i = 0; i < n; i++) {
        char word[48];
        snprintf(word, sizeof word, "\"n\": %d}", i);
        const char *q = strstr(p, "\"n\": ");
        if (!q || strncmp(q, word, strlen(word)))
            fail_msg("event %d: got %.60s", i, q ? q : "nothing");
        p = q + 1;
    }
    assert_null(strstr(p, "\"n\": "));
}

static void append(const char *entity, const char *team, int n)
{
    char data[64];
    snprintf(data, sizeof data, "{\"n\": %d}", n);
    OK(events_append(conn, entity, team, "counted", data, &err));
}

static void streams_replay_and_follow_without_a_seam(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enum { CLIENTS = 12, EVENTS = 600 };
    struct cluster *c = start("a");
    struct client clients[CLIENTS];
    int joined = 0;
    /* They come while events are being written: part is replayed, part is live, at another place for each. */
    for (int i = 0; i < EVENTS; i++) {
        append("order:1", "a", i);
        if (i % 7 == 0)
            cluster_poke(c);
        if (i % (EVENTS / CLIENTS) == 3)
            subscribe(c, &clients[joined++], i % 2 ? "order:1" : NULL, NULL, "");
    }
    cluster_poke(c);
    assert_int_equal(joined, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        WAIT_FOR(has(&clients[i], "event: counted", EVENTS));
        assert_whole(&clients[i], EVENTS);
    }
    struct cluster_stats s;
    cluster_get_stats(c, &s);
    assert_int_equal(s.subscriptions, CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i].fd);
    WAIT_FOR((cluster_get_stats(c, &s), s.subscriptions) == 0);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(atomic_load(&clients[i].freed), 1);
        free(clients[i].text);
    }
    cluster_stop(c);
}

static void each_sees_what_it_may(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    struct cluster *c = start("a");
    struct client a, b, one, late;
    append("order:0", "a", 100);
    WAIT_FOR(number("select count(*) from soma.event where xid < pg_snapshot_xmin(pg_current_snapshot())") == 1);
    subscribe(c, &a, NULL, "[\"a\"]", "");
    subscribe(c, &b, NULL, "[\"b\"]", "");
    subscribe(c, &one, "order:1", NULL, "");
    subscribe(c, &late, NULL, NULL, NULL);
    WAIT_FOR(has(&a, "event: counted", 1));
    clock_sleep_ms(50);
    append("order:1", "a", 0);
    append("order:2", "b", 1);
    append("news", "", 2);
    cluster_poke(c);
    WAIT_FOR(has(&a, "event: counted", 3) && has(&b, "event: counted", 2) && has(&one, "event: counted", 1) && has(&late, "event: counted", 3));
    clock_sleep_ms(150);
    assert_false(has(&a, "\"n\": 1}", 1) || has(&b, "\"n\": 0}", 1) || has(&one, "\"n\": 1}", 1) || has(&late, "\"n\": 100}", 1));
    /* Rights end while it is open. */
    atomic_store(&b.allowed, 0);
    WAIT_FOR((pull(&b, MSG_DONTWAIT), b.over));
    WAIT_FOR(atomic_load(&b.freed));
    cluster_stop(c);
    WAIT_FOR((pull(&a, MSG_DONTWAIT), a.over));
    done(&a);
    done(&b);
    done(&one);
    done(&late);
    WAIT_FOR(streams_count(streams) == 0);
}

/* A log far larger than what may be pending, and a reader that takes its time: nothing is lost, the others do not wait. */
static void a_slow_reader_is_fed_at_its_pace(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enum { EVENTS = 3000 };
    struct cluster *c = start("a");
    struct client slow, quick;
    subscribe(c, &slow, NULL, NULL, "");
    OK(db_script(admin, "insert into soma.event (entity, team, type, data) select 'e', '', 'counted', ('{\"pad\":\"' || repeat('x', 300) || '\",\"n\": ' || i || '}')::json"
                        " from generate_series(0, 2999) i order by i", &err));
    subscribe(c, &quick, NULL, NULL, "");
    WAIT_FOR(has(&quick, "\"n\": 2999}", 1));
    WAIT_FOR(has(&slow, "\"n\": 2999}", 1) || (clock_sleep_ms(2), false));
    assert_whole(&quick, EVENTS);
    assert_whole(&slow, EVENTS);
    struct streams_stats st;
    streams_get_stats(streams, &st);
    assert_int_equal(st.dropped, 0);
    done(&slow);
    done(&quick);
    cluster_stop(c);
    WAIT_FOR(streams_count(streams) == 0);
}

static void a_lost_past_is_said(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    struct cluster *c = start("a");
    struct client cl, foreign;
    append("e", "", 0);
    OK(db_script(admin, "update soma.event_horizon set xid = pg_current_xact_id(), id = 0", &err));
    subscribe(c, &cl, NULL, NULL, "1-1");
    subscribe(c, &foreign, NULL, NULL, "700000000000-1");
    WAIT_FOR(has(&cl, "event: gap\n", 1) && has(&foreign, "event: gap\n", 1));
    append("e", "", 1);
    cluster_poke(c);
    WAIT_FOR(has(&cl, "\"n\": 1}", 1) && has(&foreign, "\"n\": 1}", 1));
    assert_false(has(&cl, "event: gap\n", 2));
    done(&cl);
    done(&foreign);
    cluster_stop(c);
    WAIT_FOR(streams_count(streams) == 0);
}

static void streams_outlive_a_lost_connection(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    struct cluster *c = start("a");
    struct client cl;
    WAIT_FOR(cluster_ready(c)); /* what is not connected yet cannot lose its connection */
    atomic_store(&reconnected, 0);
    subscribe(c, &cl, NULL, NULL, "");
    for (int i = 0; i < 30; i++) {
        append("e", "", i);
        if (i % 10 == 5)
            OK(db_script(admin, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'soma cluster' and datname = current_database()", &err));
        clock_sleep_ms(10);
    }
    WAIT_FOR(has(&cl, "event: counted", 30));
    assert_whole(&cl, 30);
    WAIT_FOR(atomic_load(&reconnected) > 0);
    WAIT_FOR(cluster_ready(c));
    done(&cl);
    cluster_stop(c);
    WAIT_FOR(streams_count(streams) == 0);
}

struct seen { atomic_int events, gaps; };

static void count_event(const struct event *ev, void *arg)
{
    struct seen *seen = arg;
    char want[24];
    snprintf(want, sizeof want, "service:s%d", atomic_load(&seen->events));
    assert_string_equal(ev->entity, want); /* in order, none twice */
    assert_string_equal(ev->team, "red");
    atomic_fetch_add(&seen->events, 1);
}

static void count_gap(const char *topic, void *arg)
{
    atomic_fetch_add(&((struct seen *)arg)->gaps, !strcmp(topic, "gap"));
}

/* What is committed once cluster_ready() is true reaches on_event without any stream being open. */
static void a_cache_hears_of_every_event(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    struct seen seen = {0};
    struct cluster *c = NULL;
    struct cluster_options o = {.db = pool, .conninfo = database->app, .node_id = "a", .name = "a", .role = "serve", .version = "1", .woken = count_gap, .on_event = count_event,
                                .arg = &seen, .poll_ms = 100};
    OK(events_append(conn, "service:before", "red", "service.state", "{}", &err));
    OK(cluster_start(&o, &c, &err));
    WAIT_FOR(cluster_ready(c));
    char entity[24];
    for (int i = 0; i < 50; i++) {
        snprintf(entity, sizeof entity, "service:s%d", i);
        OK(events_append(conn, entity, "red", "service.state", "{}", &err));
        if (i % 10 == 0)
            cluster_poke(c);
    }
    WAIT_FOR(atomic_load(&seen.events) == 50);
    assert_int_equal(atomic_load(&seen.gaps), 0);
    OK(db_script(admin, "update soma.event_horizon set xid = pg_current_xact_id(), id = 0", &err));
    OK(db_script(admin, "select pg_current_xact_id()", &err));
    WAIT_FOR(atomic_load(&seen.gaps) >= 1);
    OK(events_append(conn, "service:s50", "red", "service.changed", "{}", &err));
    WAIT_FOR(atomic_load(&seen.events) == 51);
    cluster_stop(c);
}

static void pokes_are_told_together(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    struct cluster *a = start("a"), *b = start("b");
    WAIT_FOR(cluster_ready(a) && cluster_ready(b));
    atomic_store(&woken_jobs, 0);
    int64_t from = clock_mono_ms();
    for (int i = 0; i < 2000; i++) {
        cluster_poke(a);
        if (i % 10 == 0)
            clock_sleep_ms(1);
    }
    int64_t took = clock_mono_ms() - from;
    WAIT_FOR(atomic_load(&woken_jobs) >= 2);
    clock_sleep_ms(50);
    struct cluster_stats s;
    cluster_get_stats(a, &s);
    assert_int_equal(s.pokes, 2000);
    assert_in_range(s.notifies, 1, took / 20 + 3);
    cluster_stop(a);
    cluster_stop(b);
}

static void one_leads_at_a_time(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    struct cluster *a = start("a"), *b = start("b");
    int64_t ta = 0, tb = 0;
    WAIT_FOR(cluster_leads(a, "t", &ta));
    for (int i = 0; i < 60; i++) { /* longer than the lease: renewed, and never both */
        assert_false(cluster_leads(b, "t", NULL));
        clock_sleep_ms(10);
    }
    assert_true(cluster_leads(a, "t", &ta));
    OK(cluster_leader_guard(conn, "t", ta, &err));
    assert_int_equal(cluster_leader_guard(conn, "t", ta + 1, &err), ERR_FENCED);
    /* Under a guard of the term nobody takes over, though the lease is over. */
    OK(db_begin(conn, &err));
    OK(cluster_leader_guard(conn, "t", ta, &err));
    cluster_stop(a);
    clock_sleep_ms(300);
    assert_false(cluster_leads(b, "t", NULL));
    OK(db_commit(conn, &err));
    WAIT_FOR(cluster_leads(b, "t", &tb));
    assert_int_equal(tb, ta + 1);
    assert_int_equal(cluster_leader_guard(conn, "t", ta, &err), ERR_FENCED);
    cluster_stop(b);
}

static void nodes_come_and_go(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    struct cluster *a = start("a");
    WAIT_FOR(number("select count(*) from soma.node_process where node_id = 'a' and role = 'serve'") == 1);
    WAIT_FOR(number("select (seen_at > started_at)::int from soma.node_process") == 1);
    WAIT_FOR(cluster_ready(a));
    cluster_stop(a);
    assert_int_equal(number("select count(*) from soma.node_process"), 0);
    assert_int_equal(number("select count(*) from soma.node"), 1);
}

static void not_ready_without_a_database(void **state)
{
    (void)state;
    struct cluster *c = NULL;
    struct cluster_options o = {.conninfo = "host=127.0.0.1 port=1 dbname=none", .node_id = "n", .name = "n", .role = "work", .version = "1"};
    OK(cluster_start(&o, &c, &err));
    cluster_poke(c);
    assert_false(cluster_leads(c, "t", NULL));
    clock_sleep_ms(50);
    assert_false(cluster_ready(c));
    cluster_stop(c);
}

static void subscriptions_are_checked(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    struct cluster *c = start("a");
    const char *const bad[][2] = {{"nonsense", "[]"}, {"", "{}"}, {"", "[" }};
    for (size_t i = 0; i < 3; i++) {
        int fds[2];
        struct client cl = {0};
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        struct stream *s = stream_new(streams, fds[0], NULL);
        assert_int_equal(cluster_subscribe(c, s, &(struct cluster_subscription){NULL, bad[i][1], bad[i][0], check, freed, &cl}, &err), ERR_INVALID);
        assert_int_equal(atomic_load(&cl.freed), 1);
        stream_close(s);
        close(fds[1]);
    }
    cluster_stop(c);
    WAIT_FOR(streams_count(streams) == 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, clean)
    const struct CMUnitTest tests[] = {
        T(streams_replay_and_follow_without_a_seam), T(each_sees_what_it_may), T(a_slow_reader_is_fed_at_its_pace), T(a_lost_past_is_said),
        T(streams_outlive_a_lost_connection), T(a_cache_hears_of_every_event), T(pokes_are_told_together), T(one_leads_at_a_time), T(nodes_come_and_go), T(not_ready_without_a_database),
        T(subscriptions_are_checked),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
