/* The queue's SQL, statement by statement, on a real PostgreSQL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "jobs_queries.h"
#include "portal/core/clock.h"
#include "portal/core/id.h"
#include "portal/db/testdb.h"
#include "portal/jobs/jobs.h"

static struct testdb *database;
static struct db_conn *conn, *admin, *other;
static struct err err;

static const char *const inc_a = "00000000-0000-4000-8000-00000000000a";
static const char *const inc_b = "00000000-0000-4000-8000-00000000000b";

#define OK(x) do { int r_ = (x); if (r_) fail_msg("%s: %d %s", #x, r_, err.msg); } while (0)

static int group_setup(void **state)
{
    (void)state;
    if (!(database = testdb_new()))
        return 0;
    OK(db_connect(database->app, "test", &conn, &err));
    OK(db_connect(database->app, "test", &other, &err));
    OK(db_connect(database->admin, "test", &admin, &err));
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    db_give(conn);
    db_give(other);
    db_give(admin);
    testdb_free(database);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    if (!database)
        return 0;
    OK(db_script(admin, "truncate soma.job, soma.job_ready, soma.job_lease, soma.job_leash, soma.job_team, soma.job_limit, soma.job_schedule", &err));
    return 0;
}

#define NEEDS_DATABASE() do { if (!database) skip(); } while (0)

static int64_t number(const char *sql)
{
    struct db_query q = {sql, sql};
    DB_RESULT_AUTO row = NULL;
    OK(db_one(admin, q, &row, &err));
    return db_i64(row, 0, 0);
}

static void enqueue(struct jobs_spec s)
{
    OK(jobs_enqueue(conn, &s, NULL, &err));
}

/* One claim of a node; what came, by subject. */
struct claim { int n, busy, more; int64_t next; struct { char id[40], token[40], subject[40], team[40]; int64_t fence; int attempt, crashes; } jobs[64]; };

static struct claim turn(struct db_conn *c, const char *node, const char *done, const char *done_token, int want, const char *labels)
{
    struct claim out = {.next = -1};
    DB_RESULT_AUTO rows = NULL;
    char ids[64] = "{}", tokens[64] = "{}";
    if (done) {
        snprintf(ids, sizeof ids, "{%s}", done);
        snprintf(tokens, sizeof tokens, "{%s}", done_token);
    }
    OK(db_run(c, Q_JOB_TURN, &rows, &err, db_text(node), db_text(inc_a), db_text(ids), db_text(tokens), db_text("{}"), db_text("{}"), db_text("{}"), db_text("{}"),
              db_text("{}"), db_int(want), db_int(30000), db_text("{k,other}"), db_text(labels)));
    for (int i = 0; i < db_rows(rows); i++) {
        const char *what = db_str(rows, i, 0);
        out.busy += what[0] == 'b';
        out.more += what[0] == 'm';
        if (what[0] == 'n')
            out.next = db_i64(rows, i, 8);
        if (what[0] != 'c')
            continue;
        snprintf(out.jobs[out.n].id, 40, "%s", db_str(rows, i, 1));
        snprintf(out.jobs[out.n].subject, 40, "%s", db_str(rows, i, 3));
        snprintf(out.jobs[out.n].team, 40, "%s", db_str(rows, i, 4));
        snprintf(out.jobs[out.n].token, 40, "%s", db_str(rows, i, 7));
        out.jobs[out.n].fence = db_i64(rows, i, 8);
        out.jobs[out.n].attempt = (int)db_i64(rows, i, 9);
        out.jobs[out.n].crashes = (int)db_i64(rows, i, 10);
        out.n++;
    }
    return out;
}

static struct claim claim(const char *node, int want)
{
    return turn(conn, node, NULL, NULL, want, "{}");
}

static struct job job_of(const struct claim *c, int i)
{
    return (struct job){.id = c->jobs[i].id, .token = c->jobs[i].token};
}

static int reap(const char *node, const char *incarnation, const char *held)
{
    DB_RESULT_AUTO row = NULL;
    OK(db_one(other, Q_JOB_REAP, &row, &err, db_text(node), db_text(incarnation), db_text(held), db_flag(true)));
    return (int)db_i64(row, 0, 0);
}

static int beats(const struct claim *c)
{
    char ids[64], tokens[64];
    snprintf(ids, sizeof ids, "{%s}", c->jobs[0].id);
    snprintf(tokens, sizeof tokens, "{%s}", c->jobs[0].token);
    DB_RESULT_AUTO rows = NULL;
    OK(db_run(other, Q_JOB_BEAT, &rows, &err, db_text(ids), db_text(tokens), db_int(30000)));
    return db_rows(rows);
}

static void expire(void)
{
    OK(db_script(admin, "update soma.job_lease set lease_until = clock_timestamp() - interval '1 s'", &err));
}

/* Every query is one that PostgreSQL accepts, with the rights of the node. */
static void queries_prepare(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    const struct db_query *all[] = {&Q_JOB_ENQUEUE, &Q_JOB_ENQUEUE_MANY, &Q_JOB_CANCEL, &Q_JOB_GUARD, &Q_JOB_TURN, &Q_JOB_BEAT, &Q_JOB_REAP, &Q_JOB_BURY, &Q_JOB_TICK, &Q_LEASH_BEGIN,
                                    &Q_LEASH_ENDED, &Q_LIMIT_SET, &Q_LIMIT_DROP, &Q_JOB_COUNTS, &Q_JOB_FORGET_DEAD, &Q_JOB_LIST, &Q_JOB_GET, &Q_JOB_REVIVE};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char sql[4096];
        snprintf(sql, sizeof sql, "prepare q%zu as %s", i, all[i]->sql);
        OK(db_script(conn, sql, &err));
    }
}

static void enqueue_keeps_one_queued(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    char first[ID_LEN + 1], second[ID_LEN + 1];
    json_auto_t *args = json_pack("{s:i}", "n", 2);
    OK(jobs_enqueue(conn, &(struct jobs_spec){.kind = "k", .subject = "s", .delay_ms = 60000, .priority = 1}, first, &err));
    assert_int_equal(claim("n", 1).n, 0);
    OK(jobs_enqueue(conn, &(struct jobs_spec){.kind = "k", .subject = "s", .args = args, .delay_ms = 30000}, second, &err));
    assert_string_equal(first, second);
    assert_int_equal(number("select count(*) from soma.job_ready"), 1);
    assert_int_equal(number("select (args->>'n')::int from soma.job"), 2);
    assert_int_equal(number("select (run_after < clock_timestamp() + interval '31 s')::int from soma.job_ready"), 1);
    assert_int_equal(number("select priority from soma.job_ready"), 1);
    /* A later time does not put it off; another kind is another job. */
    enqueue((struct jobs_spec){.kind = "k", .subject = "s", .delay_ms = 90000});
    enqueue((struct jobs_spec){.kind = "other", .subject = "s"});
    assert_int_equal(number("select (min(run_after) < clock_timestamp() + interval '31 s')::int from soma.job_ready"), 1);
    assert_int_equal(number("select count(*) from soma.job_ready"), 2);
    enqueue((struct jobs_spec){.kind = "k", .subject = "s"});
    assert_int_equal(claim("n", 5).n, 2);
    assert_int_equal(jobs_enqueue(conn, &(struct jobs_spec){.kind = "k"}, NULL, &err), ERR_INVALID);
}

static void enqueue_while_running_runs_once_more(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue((struct jobs_spec){.kind = "k", .subject = "s"});
    struct claim c = claim("n", 1);
    enqueue((struct jobs_spec){.kind = "k", .subject = "s"});
    enqueue((struct jobs_spec){.kind = "k", .subject = "s"});
    assert_int_equal(number("select count(*) from soma.job_ready"), 0);
    struct claim again = turn(conn, "n", c.jobs[0].id, c.jobs[0].token, 1, "{}");
    assert_int_equal(again.n, 1);
    assert_string_equal(again.jobs[0].id, c.jobs[0].id);
    assert_true(again.jobs[0].fence > c.jobs[0].fence);
    assert_string_not_equal(again.jobs[0].token, c.jobs[0].token);
    assert_int_equal(turn(conn, "n", again.jobs[0].id, again.jobs[0].token, 1, "{}").n, 0);
    assert_int_equal(number("select count(*) from soma.job"), 0);
}

static void many_at_once_are_as_one_by_one(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue((struct jobs_spec){.kind = "k", .subject = "there", .delay_ms = 60000});
    enqueue((struct jobs_spec){.kind = "other", .subject = "runs"});
    struct claim running = claim("n", 1);
    json_auto_t *args = json_pack("{s:s}", "a", "quote \" back \\ comma, brace }");
    struct jobs_spec specs[] = {{.kind = "k", .subject = "there", .args = args}, {.kind = "k", .subject = "new", .team = "t\"", .priority = 3, .args = args},
                                {.kind = "k", .subject = "new", .priority = 7}, {.kind = "other", .subject = "runs"}, {.kind = "k", .subject = "later", .delay_ms = 50000}};
    OK(jobs_enqueue_many(conn, specs, 5, &err));
    assert_int_equal(number("select count(*) from soma.job"), 4);
    assert_int_equal(number("select count(*) from soma.job_ready where due"), 2);
    assert_int_equal(number("select count(*) from soma.job_ready where priority = 7 and team = 't\"'"), 1);
    assert_int_equal(number("select count(*) from soma.job where subject = 'there' and args->>'a' = 'quote \" back \\ comma, brace }'"), 1);
    assert_int_equal(turn(conn, "n", running.jobs[0].id, running.jobs[0].token, 9, "{}").n, 3);
    assert_int_equal(jobs_enqueue_many(conn, specs, 0, &err), ERR_INVALID);
    specs[2].subject = "";
    assert_int_equal(jobs_enqueue_many(conn, specs, 5, &err), ERR_INVALID);
}

static void a_locked_job_is_settled_later(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue((struct jobs_spec){.kind = "k", .subject = "s"});
    struct claim c = claim("n", 1);
    /* An enqueue of the same job that has not committed: the turn does not wait, and does not lose the mark. */
    OK(db_begin(other, &err));
    OK(jobs_enqueue(other, &(struct jobs_spec){.kind = "k", .subject = "s"}, NULL, &err));
    assert_int_equal(turn(conn, "n", c.jobs[0].id, c.jobs[0].token, 1, "{}").busy, 1);
    OK(db_commit(other, &err));
    struct claim again = turn(conn, "n", c.jobs[0].id, c.jobs[0].token, 1, "{}");
    assert_int_equal(again.busy, 0);
    assert_int_equal(again.n, 1);
}

static void cancel_takes_only_what_is_queued(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue((struct jobs_spec){.kind = "k", .subject = "a"});
    assert_int_equal(jobs_cancel(conn, "k", "a", &err), 1);
    assert_int_equal(jobs_cancel(conn, "k", "a", &err), 0);
    enqueue((struct jobs_spec){.kind = "k", .subject = "a"});
    assert_int_equal(claim("n", 1).n, 1);
    assert_int_equal(jobs_cancel(conn, "k", "a", &err), 0);
    assert_int_equal(number("select count(*) from soma.job"), 1);
}

static void guard_holds_the_lease(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue((struct jobs_spec){.kind = "k", .subject = "s"});
    struct claim c = claim("n", 1);
    struct job mine = job_of(&c, 0), stranger = mine;
    stranger.token = inc_b;
    OK(db_begin(conn, &err));
    OK(jobs_guard(conn, &mine, &err));
    expire();
    assert_int_equal(reap("m", inc_b, "{}"), 0);   /* no takeover under an open guard */
    assert_int_equal(beats(&c), 1);                /* but the heartbeat passes */
    OK(db_commit(conn, &err));
    expire();
    assert_int_equal(beats(&c), 1);                /* expired, not taken: ours again */
    assert_int_equal(reap("m", inc_b, "{}"), 0);
    expire();
    assert_int_equal(reap("m", inc_b, "{}"), 1);
    assert_int_equal(beats(&c), 0);
    assert_int_equal(jobs_guard(conn, &mine, &err), ERR_FENCED);
    assert_int_equal(jobs_guard(conn, &stranger, &err), ERR_FENCED);
    struct claim next = claim("m", 1);
    assert_int_equal(next.jobs[0].crashes, 1);
    assert_int_equal(next.jobs[0].attempt, 1);     /* a dead worker is no attempt */
    assert_true(next.jobs[0].fence > c.jobs[0].fence);
    /* The late worker's word changes nothing. */
    turn(conn, "n", c.jobs[0].id, c.jobs[0].token, 0, "{}");
    assert_int_equal(number("select count(*) from soma.job_lease"), 1);
}

static void a_leash_keeps_others_away(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue((struct jobs_spec){.kind = "k", .subject = "s"});
    struct claim c = claim("n", 1);
    struct job mine = job_of(&c, 0);
    /* Begun in a transaction that is still open while the lease is found expired: the reaper must not pass between. */
    OK(db_begin(conn, &err));
    OK(jobs_leash_begin(conn, &mine, "n", "run-1", &err));
    expire();
    assert_int_equal(reap("m", inc_b, "{}"), 0);
    OK(db_commit(conn, &err));
    assert_int_equal(reap("m", inc_b, "{}"), 0);
    OK(jobs_leash_ended(conn, "n", "run-2", &err));
    OK(jobs_leash_ended(conn, "m", "run-1", &err));
    assert_int_equal(reap("m", inc_b, "{}"), 0);
    /* Nor does it end or go back while the tree lives. */
    assert_int_equal(turn(conn, "n", mine.id, mine.token, 0, "{}").busy, 1);
    DB_RESULT_AUTO row = NULL;
    OK(db_one(conn, Q_JOB_BURY, &row, &err, db_text(mine.id), db_text(mine.token), db_text("reason"), db_text(inc_b)));
    assert_false(db_bool(row, 0, 0));
    OK(jobs_leash_ended(conn, "n", "run-1", &err));
    OK(jobs_leash_ended(conn, "n", "run-1", &err));
    assert_int_equal(reap("m", inc_b, "{}"), 1);
    struct job late = mine;
    assert_int_equal(jobs_leash_begin(conn, &late, "n", "run-3", &err), ERR_FENCED);
    assert_int_equal(number("select count(*) from soma.job_leash"), 0);
}

static void a_restarted_node_frees_its_own(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue((struct jobs_spec){.kind = "k", .subject = "free"});
    enqueue((struct jobs_spec){.kind = "k", .subject = "leashed"});
    struct claim c = claim("n", 2);
    struct job leashed = job_of(&c, 1);
    OK(jobs_leash_begin(conn, &leashed, "n", "run-1", &err));
    assert_int_equal(jobs_release_node(conn, "m", inc_b, &err), 0);
    assert_int_equal(jobs_release_node(conn, "n", inc_a, &err), 0);
    assert_int_equal(jobs_release_node(conn, "n", inc_b, &err), 1);
    OK(jobs_leash_ended(conn, "n", "run-1", &err));
    assert_int_equal(jobs_release_node(conn, "n", inc_b, &err), 1);
    assert_int_equal(number("select min(crashes) from soma.job"), 1);
    assert_int_equal(claim("n", 5).n, 2);
}

static void an_unknown_claim_of_ones_own_comes_back_without_blame(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue((struct jobs_spec){.kind = "k", .subject = "known"});
    enqueue((struct jobs_spec){.kind = "k", .subject = "answer was lost"});
    struct claim c = claim("n", 2);
    char held[64];
    snprintf(held, sizeof held, "{%s}", c.jobs[0].id);
    expire(); /* also then: what it holds is its own */
    assert_int_equal(reap("n", inc_a, held), 1);
    assert_int_equal(number("select sum(crashes) from soma.job"), 0);
    assert_string_equal(claim("n", 5).jobs[0].subject, "answer was lost");
}

static void teams_take_turns(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    char subject[32], order[32] = "";
    for (int i = 0; i < 8; i++) {
        snprintf(subject, sizeof subject, "a%d", i);
        enqueue((struct jobs_spec){.kind = "k", .subject = subject, .team = "a"});
    }
    for (int i = 0; i < 3; i++) {
        snprintf(subject, sizeof subject, "b%d", i);
        enqueue((struct jobs_spec){.kind = "k", .subject = subject, .team = "b", .environment = i ? "x" : "y"});
    }
    enqueue((struct jobs_spec){.kind = "k", .subject = "c0", .team = "c"});
    /* One place at a time: remembered across claims. */
    for (int i = 0; i < 6; i++) {
        struct claim c = claim("n", 1);
        assert_int_equal(c.n, 1);
        strcat(order, c.jobs[0].team);
    }
    assert_string_equal(order, "abcaba"); /* who waited longest is first; then in turn */
    /* And within one claim. */
    struct claim rest = claim("n", 3);
    assert_int_equal(rest.n, 3);
    assert_string_equal(rest.jobs[0].team, "b");
    assert_string_equal(rest.jobs[1].team, "a");
    assert_string_equal(rest.jobs[2].team, "a");
}

static void priority_goes_first(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue((struct jobs_spec){.kind = "k", .subject = "low", .team = "a"});
    enqueue((struct jobs_spec){.kind = "k", .subject = "high", .team = "b", .priority = 5});
    enqueue((struct jobs_spec){.kind = "k", .subject = "high too", .team = "b", .priority = 5});
    struct claim c = claim("n", 3);
    assert_string_equal(c.jobs[0].subject, "high");
    assert_string_equal(c.jobs[1].subject, "high too");
    assert_string_equal(c.jobs[2].subject, "low");
    assert_true(c.jobs[0].fence < c.jobs[1].fence && c.jobs[1].fence < c.jobs[2].fence);
}

static void environments_have_limits(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    OK(jobs_set_environment_limit(conn, "prod", 2, &err));
    char subject[32];
    for (int i = 0; i < 6; i++) {
        snprintf(subject, sizeof subject, "p%d", i);
        enqueue((struct jobs_spec){.kind = "k", .subject = subject, .team = i % 2 ? "a" : "b", .environment = "prod"});
    }
    enqueue((struct jobs_spec){.kind = "k", .subject = "dev", .environment = "dev"});
    struct claim first = claim("n", 10);
    assert_int_equal(first.n, 3); /* two of prod, and dev is not held up */
    assert_int_equal(claim("m", 10).n, 0);
    int prod = strcmp(first.jobs[0].subject, "dev") ? 0 : 1;
    assert_int_equal(turn(conn, "n", first.jobs[prod].id, first.jobs[prod].token, 10, "{}").n, 1);
    OK(jobs_set_environment_limit(conn, "prod", 3, &err));
    assert_int_equal(claim("n", 10).n, 1);
    OK(jobs_set_environment_limit(conn, "prod", 0, &err));
    assert_int_equal(claim("n", 10).n, 2);
    assert_int_equal(jobs_set_environment_limit(conn, "", 1, &err), ERR_INVALID);
}

/* Who counts at the same moment as another must not count the same free place. */
static void limits_hold_under_two_claimers(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    OK(jobs_set_environment_limit(conn, "prod", 1, &err));
    enqueue((struct jobs_spec){.kind = "k", .subject = "1", .environment = "prod"});
    enqueue((struct jobs_spec){.kind = "k", .subject = "2", .environment = "prod"});
    OK(db_begin(conn, &err));
    assert_int_equal(claim("n", 1).n, 1);
    struct claim rival = turn(other, "m", NULL, NULL, 1, "{}");
    assert_int_equal(rival.n, 0);
    assert_int_equal(rival.more, 1);
    OK(db_commit(conn, &err));
    assert_int_equal(turn(other, "m", NULL, NULL, 1, "{}").n, 0);
}

static void labels_choose_workers(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue((struct jobs_spec){.kind = "k", .subject = "eu", .label = "eu"});
    enqueue((struct jobs_spec){.kind = "k", .subject = "any"});
    enqueue((struct jobs_spec){.kind = "unknown here", .subject = "x"});
    struct claim c = claim("n", 5);
    assert_int_equal(c.n, 1);
    assert_string_equal(c.jobs[0].subject, "any");
    assert_int_equal(turn(conn, "n", NULL, NULL, 5, "{us}").n, 0);
    c = turn(conn, "n", NULL, NULL, 5, "{us,eu}");
    assert_int_equal(c.n, 1);
    assert_string_equal(c.jobs[0].subject, "eu");
}

static void delayed_jobs_wait(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue((struct jobs_spec){.kind = "k", .subject = "s", .delay_ms = 150});
    struct claim c = claim("n", 1);
    assert_int_equal(c.n, 0);
    assert_in_range(c.next, 1, 150);
    clock_sleep_ms(c.next + 1);
    assert_int_equal(claim("n", 1).n, 1);
}

static void dead_letters_keep_their_reason(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue((struct jobs_spec){.kind = "k", .subject = "s"});
    struct claim c = claim("n", 1);
    enqueue((struct jobs_spec){.kind = "k", .subject = "s"}); /* once more: outlives the dead letter */
    DB_RESULT_AUTO row = NULL;
    OK(db_one(conn, Q_JOB_BURY, &row, &err, db_text(c.jobs[0].id), db_text(c.jobs[0].token), db_text("no such region"), db_text(inc_b)));
    assert_true(db_bool(row, 0, 0));
    struct jobs_counts n;
    OK(jobs_count(conn, &n, &err));
    assert_int_equal(n.dead, 1);
    assert_int_equal(n.due, 1);
    assert_int_equal(db_one(conn, Q_JOB_BURY, NULL, &err, db_text(c.jobs[0].id), db_text(c.jobs[0].token), db_text("again"), db_text(inc_b)), ERR_FENCED);
    /* It cannot come back while the new one is there. */
    assert_int_equal(db_one(conn, Q_JOB_REVIVE, NULL, &err, db_text(c.jobs[0].id)), ERR_CONFLICT);
    assert_int_equal(jobs_cancel(conn, "k", "s", &err), 1);
    DB_RESULT_AUTO revived = NULL;
    OK(db_one(conn, Q_JOB_REVIVE, &revived, &err, db_text(c.jobs[0].id)));
    assert_non_null(strstr(db_str(revived, 0, 0), "\"state\" : \"queued\""));
    assert_int_equal(db_one(conn, Q_JOB_REVIVE, NULL, &err, db_text(c.jobs[0].id)), ERR_CONFLICT);
    assert_int_equal(db_one(conn, Q_JOB_REVIVE, NULL, &err, db_text(inc_b)), ERR_NOT_FOUND);
    assert_int_equal(claim("n", 1).jobs[0].attempt, 1);
}

static void lists_by_state(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    enqueue((struct jobs_spec){.kind = "k", .subject = "runs"});
    claim("n", 1);
    enqueue((struct jobs_spec){.kind = "k", .subject = "waits"});
    enqueue((struct jobs_spec){.kind = "other", .subject = "waits"});
    const struct { const char *state, *kind; int n; } cases[] = {{NULL, NULL, 3}, {"running", NULL, 1}, {"queued", NULL, 2}, {"queued", "k", 1}, {"dead", NULL, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        DB_RESULT_AUTO rows = NULL;
        OK(db_run(conn, Q_JOB_LIST, &rows, &err, db_text(cases[i].state), db_text(cases[i].kind), db_null(), db_int(10)));
        assert_int_equal(db_rows(rows), cases[i].n);
        if (db_rows(rows) > 1) {
            DB_RESULT_AUTO rest = NULL;
            OK(db_run(conn, Q_JOB_LIST, &rest, &err, db_text(cases[i].state), db_text(cases[i].kind), db_text(db_str(rows, 0, 1)), db_int(10)));
            assert_int_equal(db_rows(rest), cases[i].n - 1);
        }
    }
}

static int64_t tick(const char *every)
{
    char ids[64], id[ID_LEN + 1];
    id_new(id);
    snprintf(ids, sizeof ids, "{%s}", id);
    DB_RESULT_AUTO row = NULL;
    OK(db_one(conn, Q_JOB_TICK, &row, &err, db_text("{k}"), db_text(every), db_text(ids)));
    return db_i64(row, 0, 0);
}

static void schedules_tick_once(void **state)
{
    (void)state;
    NEEDS_DATABASE();
    assert_in_range(tick("{60000}"), 59000, 60000);
    tick("{60000}");
    assert_int_equal(number("select count(*) from soma.job_ready"), 1);
    /* Missed for an hour: made up for once; and not at all while the last one is still there. */
    OK(db_script(admin, "update soma.job_schedule set next_at = clock_timestamp() - interval '1 h'", &err));
    assert_in_range(tick("{60000}"), 0, 60000);
    assert_int_equal(number("select count(*) from soma.job"), 1);
    struct claim c = claim("n", 1);
    turn(conn, "n", c.jobs[0].id, c.jobs[0].token, 0, "{}");
    OK(db_script(admin, "update soma.job_schedule set next_at = clock_timestamp() - interval '1 h'", &err));
    tick("{60000}");
    assert_in_range(tick("{60000}"), 0, 60000);
    assert_int_equal(number("select count(*) from soma.job"), 1);
    assert_in_range(tick("{100}"), 0, 100); /* a shorter interval counts at once */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, clean)
    const struct CMUnitTest tests[] = {
        T(queries_prepare), T(enqueue_keeps_one_queued), T(enqueue_while_running_runs_once_more), T(many_at_once_are_as_one_by_one), T(a_locked_job_is_settled_later),
        T(cancel_takes_only_what_is_queued), T(guard_holds_the_lease), T(a_leash_keeps_others_away), T(a_restarted_node_frees_its_own),
        T(an_unknown_claim_of_ones_own_comes_back_without_blame), T(teams_take_turns), T(priority_goes_first), T(environments_have_limits),
        T(limits_hold_under_two_claimers), T(labels_choose_workers), T(delayed_jobs_wait), T(dead_letters_keep_their_reason), T(lists_by_state),
        T(schedules_tick_once),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
