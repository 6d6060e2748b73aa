// label: threads
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/audit/audit.h"
#include "portal/crypto/crypto.h"
#include "portal/db/testdb.h"

static struct testdb *database;
static struct db *pool;

static int set_up(void **state)
{
    (void)state;
    database = testdb_new();
    pool = database ? testdb_pool(database, 8) : NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    db_close(pool);
    testdb_free(database);
    return 0;
}

static struct db_conn *as_app(void)
{
    struct db_conn *c = NULL;
    struct err e = ERR_INIT;
    if (!database)
        skip();
    assert_int_equal(db_take(pool, &c, &e), 0);
    return c;
}

/* Tampering, as somebody with the owner's rights could do it. */
static void tamper(const char *sql)
{
    DB_CONN_AUTO c = NULL;
    struct err e = ERR_INIT;
    char text[1024];
    assert_int_equal(db_connect(database->admin, "test", &c, &e), 0);
    snprintf(text, sizeof text, "alter table soma.audit_entry disable trigger user; %s; alter table soma.audit_entry enable trigger user", sql);
    int r = db_script(c, text, &e);
    if (r)
        fail_msg("%s", e.msg);
}

static void append(struct db_conn *c, const char *action)
{
    struct err e = ERR_INIT;
    struct audit_entry a = {.actor = "id-1", .actor_name = "ada", .person_name = "ada", .address = "127.0.0.1", .action = action, .subject = "service:orders-db", .team = "payments",
                            .before = "{\"n\":1}", .after = "{\"n\":2}", .detail = "{\"zwei\": \"\\u00fc \\\"x\\\"\"}", .request_id = "r1"};
    if (audit_append(c, &a, &e))
        fail_msg("%s", e.msg);
}

static int64_t verified(struct db_conn *c, const char *anchor, char *head)
{
    struct err e = ERR_INIT;
    int64_t n = -1;
    if (audit_verify_anchor(c, anchor, &n, head, &e))
        fail_msg("%s", e.msg);
    return n;
}

static void broken(struct db_conn *c, const char *words, int64_t good)
{
    struct err e = ERR_INIT;
    int64_t n = -1;
    assert_int_equal(audit_verify(c, &n, &e), ERR_CONFLICT);
    if (!strstr(e.msg, words))
        fail_msg("`%s` does not say `%s`", e.msg, words);
    assert_int_equal(n, good);
}

static void test_chain_grows_at_commit(void **state)
{
    (void)state;
    DB_CONN_AUTO c = as_app();
    struct err e = ERR_INIT;
    int64_t n = verified(c, NULL, NULL);
    assert_int_equal(db_begin(c, &e), 0);
    append(c, "order.create");
    append(c, "order.plan");
    assert_int_equal(db_commit(c, &e), 0);
    assert_int_equal(verified(c, NULL, NULL), n + 2);
    /* What is rolled back leaves no entry and no gap. */
    assert_int_equal(db_begin(c, &e), 0);
    append(c, "order.create");
    db_rollback(c);
    append(c, "secret.reveal");
    assert_int_equal(verified(c, NULL, NULL), n + 3);
}

static const struct db_query q_last = {"last", "select e.*, e.detail::text from soma.audit_entry e order by id desc limit 1"};

/* The documented form: anybody can compute a hash from the columns. */
static void test_hash_is_as_documented(void **state)
{
    (void)state;
    DB_CONN_AUTO c = as_app();
    DB_RESULT_AUTO row = NULL;
    ARENA_AUTO a = arena_new();
    append(c, "secret.reveal");
    assert_int_equal(db_one(c, q_last, &row, NULL), 0);
    char digest[65];
    crypto_sha256_hex("{\"n\":2}", 7, digest);
    assert_string_equal(db_str(row, 0, 10), digest);
    BUF_AUTO text = BUF_INIT;
    size_t n = 0;
    const void *previous = db_blob(row, 0, 13, a, &n);
    buf_add(&text, previous, n);
    assert_int_equal(n, 32);
    char at[40];
    /* "2026-01-31 10:20:30.123456+00" as the session shows it; trailing zeros of the fraction are left out there. */
    snprintf(at, sizeof at, "%s", db_str(row, 0, 1));
    at[10] = 'T';
    char *plus = strchr(at, '+'), *dot = strchr(at, '.');
    assert_non_null(plus);
    *plus = 0;
    if (!dot)
        strcat(at, ".");
    while (strlen(strchr(at, '.')) < 7)
        strcat(at, "0");
    buf_printf(&text, "[\"%s\", \"%sZ\", \"id-1\", \"ada\", \"ada\", \"127.0.0.1\", \"secret.reveal\", \"service:orders-db\", \"payments\", \"%s\", \"%s\", ", db_str(row, 0, 0), at,
               db_str(row, 0, 9), db_str(row, 0, 10));
    buf_str(&text, "\"{\\\"zwei\\\": \\\"\\\\u00fc \\\\\\\"x\\\\\\\"\\\"}\", \"r1\"]");
    uint8_t want[32];
    crypto_sha256(text.data, text.len, want);
    const void *hash = db_blob(row, 0, 14, a, &n);
    assert_memory_equal(hash, want, 32);
}

static void test_application_cannot_alter(void **state)
{
    (void)state;
    DB_CONN_AUTO c = as_app();
    static const char *const forbidden[] = {
        "update soma.audit_entry set actor = 'x'", "delete from soma.audit_entry", "truncate soma.audit_entry", "insert into soma.audit_entry select * from soma.audit_entry",
        "update soma.audit_head set id = 0", "delete from soma.audit_head", "insert into soma.audit_head values (true, 0, '')", "truncate soma.audit_head",
        "insert into soma.audit_pending (actor, actor_name, action, subject) values ('a', 'b', 'c', 'd')", "delete from soma.audit_pending", "select * from soma.audit_pending",
        "alter table soma.audit_entry disable trigger all", "drop table soma.audit_entry", "drop trigger audit_refuse on soma.audit_entry", "select soma.audit_chain()",
        "create or replace function soma.audit_hash(e soma.audit_entry) returns bytea language sql as $$ select ''::bytea $$", "set session_replication_role = replica",
    };
    append(c, "order.create");
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        struct err e = ERR_INIT;
        if (db_script(c, forbidden[i], &e) == 0)
            fail_msg("the node's role may: %s", forbidden[i]);
        if (strcmp(db_sqlstate(c), "42501") && strcmp(db_sqlstate(c), "0A000"))
            fail_msg("%s: %s %s", forbidden[i], db_sqlstate(c), e.msg);
    }
    verified(c, NULL, NULL);
}

static void test_owner_is_stopped(void **state)
{
    (void)state;
    DB_CONN_AUTO c = as_app();
    append(c, "order.create");
    static const char *const mistakes[] = {"update soma.audit_entry set actor = 'x'", "delete from soma.audit_entry where id = 1", "truncate soma.audit_entry"};
    DB_CONN_AUTO owner = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(db_connect(database->admin, "test", &owner, &e), 0);
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        assert_int_equal(db_script(owner, mistakes[i], &e), ERR_DENIED);
        assert_non_null(strstr(e.msg, "append-only"));
    }
}

static void test_verify_finds_tampering(void **state)
{
    (void)state;
    DB_CONN_AUTO c = as_app();
    while (verified(c, NULL, NULL) < 12)
        append(c, "order.create");
    char text[200];
    int64_t n = verified(c, NULL, NULL);

    tamper("update soma.audit_entry set actor_name = 'eve' where id = 5");
    broken(c, "entry 5 (order.create of service:orders-db by eve) was changed", 4);
    tamper("update soma.audit_entry set actor_name = 'ada' where id = 5");
    verified(c, NULL, NULL);

    /* The hash made to fit: then the next entry does not follow. */
    tamper("create table soma.kept as select * from soma.audit_entry; update soma.audit_entry set actor_name = 'eve' where id = 6;"
           "update soma.audit_entry e set hash = soma.audit_hash(e) where id = 6");
    broken(c, "entry 7 (", 6);
    tamper("delete from soma.audit_entry; insert into soma.audit_entry select * from soma.kept");
    verified(c, NULL, NULL);

    tamper("delete from soma.audit_entry where id = 8");
    broken(c, "entry 8 is missing: entry 9 comes next", 7);
    tamper("insert into soma.audit_entry select * from soma.kept where id = 8");

    snprintf(text, sizeof text, "delete from soma.audit_entry where id > %d", (int)n - 2);
    tamper(text);
    snprintf(text, sizeof text, "entry %d is missing: the log was cut off", (int)n - 1);
    broken(c, text, n - 2);
    tamper("truncate soma.audit_entry");
    broken(c, "entry 1 is missing", 0);
    tamper("insert into soma.audit_entry select * from soma.kept");

    tamper("update soma.audit_entry set detail = '{}' where id = 3");
    broken(c, "entry 3", 2);
    tamper("update soma.audit_entry set team = null, detail = (select detail from soma.kept where id = 3) where id = 3");
    broken(c, "entry 3", 2);
    tamper("delete from soma.audit_entry where id = 3; insert into soma.audit_entry select * from soma.kept where id = 3; drop table soma.kept");
    assert_int_equal(verified(c, NULL, NULL), n);
}

/* Whoever rewrites the whole chain with its head is found out by an anchor that was kept. */
static void test_anchor(void **state)
{
    (void)state;
    DB_CONN_AUTO c = as_app();
    char head[AUDIT_ANCHOR_MAX], newer[AUDIT_ANCHOR_MAX];
    append(c, "order.create");
    verified(c, NULL, head);
    append(c, "order.create");
    verified(c, head, newer);
    assert_string_not_equal(head, newer);
    struct err e = ERR_INIT;
    int64_t n = 0;
    tamper("create table soma.kept as select * from soma.audit_entry; create table soma.kept_head as select * from soma.audit_head;"
           "truncate soma.audit_entry; update soma.audit_head set id = 0, hash = decode(repeat('00', 32), 'hex')");
    append(c, "order.create");
    assert_int_equal(audit_verify(c, &n, &e), 0);
    assert_int_equal(audit_verify_anchor(c, head, &n, NULL, &e), ERR_CONFLICT);
    assert_non_null(strstr(e.msg, "not the one that the anchor was taken from"));
    tamper("truncate soma.audit_entry; insert into soma.audit_entry select * from soma.kept; update soma.audit_head set id = k.id, hash = k.hash from soma.kept_head k;"
           "drop table soma.kept, soma.kept_head");
    assert_int_equal(audit_verify_anchor(c, "17", &n, NULL, &e), ERR_INVALID);
    assert_string_equal(e.fields[0].pointer, "?anchor");
    verified(c, "0:0000000000000000000000000000000000000000000000000000000000000000", NULL);
}

static void test_broken_json_is_refused(void **state)
{
    (void)state;
    DB_CONN_AUTO c = as_app();
    struct err e = ERR_INIT;
    int64_t n = verified(c, NULL, NULL);
    struct audit_entry a = {.action = "x.y", .subject = "s", .detail = "{"};
    assert_int_equal(audit_append(c, &a, &e), ERR_INVALID);
    a.detail = NULL;
    assert_int_equal(audit_append(c, &a, &e), 0);
    assert_int_equal(verified(c, NULL, NULL), n + 1);
}

enum { THREADS = 8, EACH = 40 };
static atomic_int failed;

/* Two entries a transaction, with another row locked after the first: the chain must not be what they wait for crosswise. */
static int act(struct db_conn *c, void *arg, struct err *e)
{
    static const struct db_query lock = {"lock", "select pg_advisory_xact_lock($1::bigint)"};
    struct audit_entry a = {.actor = "t", .actor_name = "t", .action = "order.create", .subject = "s"};
    int n = *(int *)arg;
    int r = db_run(c, lock, NULL, e, db_int(n % 2 ? 1 : 2));
    if (!r)
        r = audit_append(c, &a, e);
    if (!r)
        r = audit_append(c, &a, e);
    if (!r && n % 10 == 9)
        return err_set(e, ERR_CANCELED, "changed its mind");
    return r;
}

static void *act_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < EACH; i++) {
        struct err e = ERR_INIT;
        int r = db_tx(pool, act, &i, &e);
        if (r != (i % 10 == 9 ? ERR_CANCELED : 0))
            failed++;
    }
    return NULL;
}

static void test_many_at_once(void **state)
{
    (void)state;
    DB_CONN_AUTO c = as_app();
    int64_t before = verified(c, NULL, NULL);
    pthread_t thread[THREADS - 1];
    for (int i = 0; i < THREADS - 1; i++)
        pthread_create(&thread[i], NULL, act_often, NULL);
    for (int i = 0; i < THREADS - 1; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(failed, 0);
    assert_int_equal(verified(c, NULL, NULL), before + (THREADS - 1) * EACH * 9 / 10 * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain_grows_at_commit), cmocka_unit_test(test_hash_is_as_documented), cmocka_unit_test(test_application_cannot_alter), cmocka_unit_test(test_owner_is_stopped),
        cmocka_unit_test(test_verify_finds_tampering), cmocka_unit_test(test_anchor), cmocka_unit_test(test_broken_json_is_refused), cmocka_unit_test(test_many_at_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
