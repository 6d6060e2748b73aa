// label: threads
/* What needs PostgreSQL and no server: bootstrap, reading principals, watches, identities, the last administrator, idempotency under concurrency. */
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

#include "auth_queries.h"
#include "portal/auth/auth_private.h"
#include "portal/core/clock.h"
#include "portal/core/fs.h"
#include "portal/core/id.h"
#include "portal/core/thread.h"
#include "portal/crypto/keyring.h"
#include "portal/db/testdb.h"

static struct testdb *database;
static struct db *pool;
static struct auth *auth;
static struct keyring *keys;
static char folder[64], key_file[96], admin_token[CRYPTO_TOKEN_MAX];

static int set_up(void **state)
{
    (void)state;
    thread_set_role(THREAD_HTTP, "test");
    database = testdb_new();
    if (!database)
        return 0;
    pool = testdb_pool(database, 24);
    snprintf(folder, sizeof folder, "/tmp/auth-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(key_file, sizeof key_file, "%s/keys", folder);
    if (keyring_init_file(key_file, NULL) || keyring_open(key_file, &keys, NULL))
        return -1;
    keyring_set_instance(keys);
    if (auth_new(&(struct auth_options){.db = pool}, &auth, NULL))
        return -1;
    auth_set_instance(auth);
    bool created = false;
    return auth_bootstrap(pool, "root", "correct horse", &created, admin_token, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    auth_free(auth);
    db_close(pool);
    keyring_free(keys);
    testdb_free(database);
    return database ? fs_remove_tree(folder, NULL) : 0;
}

static struct db_conn *take(void)
{
    struct db_conn *c = NULL;
    if (!database)
        skip();
    assert_int_equal(db_take(pool, &c, NULL), 0);
    return c;
}

static void run(const char *sql)
{
    DB_CONN_AUTO c = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(db_connect(database->admin, "test", &c, &e), 0);
    if (db_script(c, sql, &e))
        fail_msg("%s: %s", sql, e.msg);
}

static int by_token(struct db_conn *c, const char *token, struct arena *a, struct principal **ret)
{
    uint8_t hash[CRYPTO_DIGEST];
    crypto_sha256(token, strlen(token), hash);
    return load_token(c, hash, NULL, a, ret, NULL);
}

static void test_bootstrap_once(void **state)
{
    (void)state;
    DB_CONN_AUTO c = take();
    ARENA_AUTO a = arena_new();
    struct err e = ERR_INIT;
    struct principal *p = NULL;
    assert_true(crypto_token_valid("soma_", admin_token));
    assert_int_equal(by_token(c, admin_token, a, &p), 0);
    assert_string_equal(p->name, "root");
    assert_string_equal(p->person, p->actor);
    assert_true(auth_has(p, ROLE_ADMIN, NULL));
    bool created = true;
    char token[CRYPTO_TOKEN_MAX] = "x";
    assert_int_equal(auth_bootstrap(pool, "other", "correct horse", &created, token, &e), 0);
    assert_false(created);
    assert_string_equal(token, "");
    assert_int_equal(auth_bootstrap(pool, "Bad Name", NULL, &created, token, &e), ERR_INVALID);
    assert_string_equal(e.fields[0].pointer, "/name");
    assert_int_equal(auth_bootstrap(pool, "good", "short", &created, token, &e), ERR_INVALID);
    assert_int_equal(auth_issue_token(pool, "root", "again", token, &e), 0);
    assert_int_equal(by_token(c, token, a, &p), 0);
    assert_int_equal(auth_issue_token(pool, "nobody", "again", token, &e), ERR_NOT_FOUND);
}

static void add_person(const char *name)
{
    DB_CONN_AUTO c = take();
    char id[ID_LEN + 1];
    id_new(id);
    assert_int_equal(db_run(c, Q_PERSON_INSERT, NULL, NULL, db_text(id), db_text(name), db_null(), db_null(), db_null()), 0);
}

static void bind_role(const char *name, const char *role, const char *team)
{
    DB_CONN_AUTO c = take();
    DB_RESULT_AUTO row = NULL;
    char id[ID_LEN + 1];
    id_new(id);
    assert_int_equal(db_one(c, Q_ACCOUNT_FIND, &row, NULL, db_text(name)), 0);
    assert_int_equal(db_run(c, Q_BINDING_INSERT, NULL, NULL, db_text(id), db_text(db_str(row, 0, 0)), db_text(role), db_text(team)), 0);
}

static void test_service_account_is_bounded_by_its_owner(void **state)
{
    (void)state;
    DB_CONN_AUTO c = take();
    ARENA_AUTO a = arena_new();
    struct principal *p = NULL;
    char token[CRYPTO_TOKEN_MAX];
    uint8_t hash[CRYPTO_DIGEST];
    add_person("olga");
    run("insert into soma.team (name) values ('payments'), ('search')");
    run("insert into soma.account (id, kind, name, owner, team) select gen_random_uuid(), 'service_account', 'ci', id, 'payments' from soma.account where name = 'olga'");
    bind_role("ci", "developer", "payments");
    bind_role("olga", "viewer", "payments");
    crypto_token_new("soma_", token);
    crypto_sha256(token, strlen(token), hash);
    char sql[400], hex[65];
    crypto_hex(hash, sizeof hash, hex);
    snprintf(sql, sizeof sql, "insert into soma.api_token (id, hash, account, name, expires_at) select gen_random_uuid(), '\\x%s', id, 'x', now() + interval '1 hour' from soma.account where name = 'ci'", hex);
    run(sql);
    assert_int_equal(by_token(c, token, a, &p), 0);
    assert_true(p->service_account);
    assert_string_equal(p->name, "ci");
    assert_string_equal(p->person_name, "olga");
    assert_true(auth_has(p, ROLE_VIEWER, "payments"));
    assert_false(auth_has(p, ROLE_DEVELOPER, "payments"));
    bind_role("olga", "developer", "payments");
    assert_int_equal(by_token(c, token, a, &p), 0);
    assert_true(auth_has(p, ROLE_DEVELOPER, "payments"));
    run("update soma.account set disabled_at = now() where name = 'olga'");
    assert_int_equal(by_token(c, token, a, &p), ERR_UNAUTHENTICATED);
    run("update soma.account set disabled_at = null where name = 'olga'");
    assert_int_equal(by_token(c, token, a, &p), 0);
    run("update soma.api_token set expires_at = now() where name = 'x'");
    assert_int_equal(by_token(c, token, a, &p), ERR_UNAUTHENTICATED);
}

static void test_identity(void **state)
{
    (void)state;
    DB_CONN_AUTO c = take();
    ARENA_AUTO a = arena_new();
    struct err e = ERR_INIT;
    struct principal *p = NULL, *again = NULL;
    char cookie[CRYPTO_TOKEN_MAX];
    uint8_t hash[CRYPTO_DIGEST];
    struct auth_identity who = {.issuer = "https://id.example.com", .subject = "42", .name = "ida", .email = "ida@example.com"};
    assert_int_equal(auth_session_from_identity(auth, &who, "127.0.0.1", cookie, &e), 0);
    crypto_sha256(cookie, strlen(cookie), hash);
    assert_int_equal(load_session(c, hash, NULL, 0, a, &p, &e), 0);
    assert_string_equal(p->name, "ida");
    assert_int_equal(p->n_teams, 0);
    who.name = "renamed-elsewhere";
    assert_int_equal(auth_session_from_identity(auth, &who, NULL, cookie, &e), 0);
    crypto_sha256(cookie, strlen(cookie), hash);
    assert_int_equal(load_session(c, hash, NULL, 0, a, &again, &e), 0);
    assert_string_equal(again->actor, p->actor);
    /* A stranger does not become an account that is there. */
    who = (struct auth_identity){.issuer = "https://id.example.com", .subject = "43", .name = "root"};
    assert_int_equal(auth_session_from_identity(auth, &who, NULL, cookie, &e), ERR_CONFLICT);
    who.issuer = "https://evil.example.com", who.subject = "42", who.name = "ida";
    assert_int_equal(auth_session_from_identity(auth, &who, NULL, cookie, &e), ERR_CONFLICT);
    run("update soma.account set disabled_at = now() where name = 'ida'");
    who.issuer = "https://id.example.com";
    assert_int_equal(auth_session_from_identity(auth, &who, NULL, cookie, &e), ERR_DENIED);
    assert_int_equal(load_session(c, hash, NULL, 0, a, &again, &e), ERR_UNAUTHENTICATED);
}

static void test_watch_ends_with_the_right(void **state)
{
    (void)state;
    DB_CONN_AUTO c = take();
    ARENA_AUTO a = arena_new();
    struct principal *p = NULL;
    char cookie[CRYPTO_TOKEN_MAX];
    uint8_t hash[CRYPTO_DIGEST];
    struct auth_identity who = {.issuer = "i", .subject = "w", .name = "walter"};
    assert_int_equal(auth_session_from_identity(auth, &who, NULL, cookie, NULL), 0);
    run("insert into soma.team (name) values ('web'), ('ops')");
    bind_role("walter", "developer", "web");
    bind_role("walter", "viewer", "ops");
    crypto_sha256(cookie, strlen(cookie), hash);
    assert_int_equal(load_session(c, hash, NULL, 0, a, &p, NULL), 0);
    struct auth_watch *web = auth_watch_new(pool, p, "web"), *ops = auth_watch_new(pool, p, "ops"), *all = auth_watch_new(pool, p, NULL);
    clock_sleep_ms(2050);
    assert_true(auth_watch_check(web) && auth_watch_check(ops) && auth_watch_check(all));
    run("delete from soma.role_binding where team = 'web'");
    assert_true(auth_watch_check(web)); /* not asked again so soon */
    clock_sleep_ms(2050);
    assert_false(auth_watch_check(web));
    assert_true(auth_watch_check(ops));
    assert_false(auth_watch_check(all)); /* it could read web when it began */
    run("delete from soma.session");
    clock_sleep_ms(2050);
    assert_false(auth_watch_check(ops));
    auth_watch_free(web);
    auth_watch_free(ops);
    auth_watch_free(all);
    auth_watch_free(NULL);
}

static atomic_int removed, refused;

static int take_admin_away(struct db_conn *c, void *arg, struct err *e)
{
    int r = db_run(c, Q_LOCK_ADMINS, NULL, e);
    DB_RESULT_AUTO done = NULL;
    static const struct db_query q = {"unbind_admin", "delete from soma.role_binding b using soma.account a where a.id = b.account and a.name = $1 and b.role = 'platform-admin'"};
    if (!r)
        r = db_run(c, q, &done, e, db_text(arg));
    return r ? r : db_run(c, Q_KEEP_ADMIN, NULL, e);
}

static void *remove_one(void *arg)
{
    struct err e = ERR_INIT;
    int r = db_tx(pool, take_admin_away, arg, &e);
    if (r == 0)
        removed++;
    if (r == ERR_CONFLICT && strstr(e.msg, "give it to somebody else first"))
        refused++;
    return NULL;
}

/* Each of the five is removed by somebody at the same time: one must stay. */
static void test_last_administrator_stays(void **state)
{
    (void)state;
    static const char *const names[] = {"root", "adm-a", "adm-b", "adm-c", "adm-d"};
    db_give(take());
    for (int i = 1; i < 5; i++) {
        add_person(names[i]);
        bind_role(names[i], "platform-admin", NULL);
    }
    pthread_t thread[5];
    for (int i = 0; i < 5; i++)
        pthread_create(&thread[i], NULL, remove_one, (void *)(uintptr_t)names[i]);
    for (int i = 0; i < 5; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(removed, 4);
    assert_int_equal(refused, 1);
    run("delete from soma.role_binding where role = 'platform-admin'");
    bind_role("root", "platform-admin", NULL);
}

static void test_sign_in_buckets(void **state)
{
    (void)state;
    db_give(take());
    struct err e = ERR_INIT;
    for (int i = 0; i < 10; i++)
        assert_int_equal(attempt_take("bob", "192.0.2.1", &e), 0);
    assert_int_equal(attempt_take("bob", "192.0.2.2", &e), ERR_RATE);
    assert_in_range(e.retry_after, 1, 7);
    assert_int_equal(attempt_take("eve", "192.0.2.1", &e), 0);
    attempt_give_back("bob", "192.0.2.1");
    assert_int_equal(attempt_take("bob", "192.0.2.1", &e), 0);
    assert_int_equal(attempt_take("bob", "192.0.2.1", &e), ERR_RATE);
    for (int i = 0; i < 49; i++) {
        char name[32];
        snprintf(name, sizeof name, "guess%d", i);
        assert_int_equal(attempt_take(name, "192.0.2.1", &e), 0);
    }
    assert_int_equal(attempt_take("more", "192.0.2.1", &e), ERR_RATE);
    assert_int_equal(attempt_take("more", "192.0.2.9", &e), 0);
    /* One who has an IPv6 address has a whole /64. */
    for (int i = 0; i < 60; i++) {
        char name[32], address[64];
        snprintf(name, sizeof name, "six%d", i);
        snprintf(address, sizeof address, "2001:db8:0:7::%x", i);
        assert_int_equal(attempt_take(name, address, &e), 0);
    }
    assert_int_equal(attempt_take("six60", "2001:db8:0:7:ffff::1", &e), ERR_RATE);
    assert_int_equal(attempt_take("six60", "2001:db8:0:8::1", &e), 0);
}

/* ---- idempotency, as the server calls it ---- */

static const struct http_route plain_route = {"POST", "/things", NULL, "signed-in", NULL, HTTP_IDEMPOTENT, 0}, secret_route = {"POST", "/secrets", NULL, "signed-in", NULL, HTTP_IDEMPOTENT | HTTP_SECRET_BODY, 0};

struct call {
    struct arena *arena;
    struct http_req r;
    int begun, status;
    struct buf headers, body;
    struct err e;
};

static void call_begin(struct call *k, const struct http_route *route, const char *account, const char *key, const char *body)
{
    k->arena = arena_new();
    struct principal *p = arena_alloc(k->arena, sizeof *p);
    p->actor = account;
    k->r = (struct http_req){.arena = k->arena, .method = "POST", .path = route->pattern, .route = route, .idempotency_key = key, .body = body, .body_len = strlen(body), .who = p};
    k->begun = idempotency_begin(&k->r, &k->status, &k->headers, &k->body, &k->e);
}

static void call_done(struct call *k)
{
    buf_done(&k->headers);
    buf_done(&k->body);
    arena_free(k->arena);
    *k = (struct call){0};
}

static char *account_id(const char *name)
{
    static char id[ID_LEN + 1];
    DB_CONN_AUTO c = take();
    DB_RESULT_AUTO row = NULL;
    assert_int_equal(db_one(c, Q_ACCOUNT_FIND, &row, NULL, db_text(name)), 0);
    snprintf(id, sizeof id, "%s", db_str(row, 0, 0));
    return id;
}

static void test_idempotency_replays(void **state)
{
    (void)state;
    const char *me = account_id("root");
    struct call k = {0};
    call_begin(&k, &plain_route, me, "k1", "{\"a\":1}");
    assert_int_equal(k.begun, 0);
    struct call second = {0};
    call_begin(&second, &plain_route, me, "k1", "{\"a\":1}");
    assert_int_equal(second.begun, ERR_CONFLICT);
    assert_int_equal(second.e.retry_after, 1);
    call_done(&second);
    idempotency_end(&k.r, 201, "Content-Type: application/json\r\nlocation: /things/1\r\nETag: \"1\"\r\n", "{\"id\":1}", 8);
    call_done(&k);
    call_begin(&k, &plain_route, me, "k1", "{\"a\":1}");
    assert_int_equal(k.begun, 1);
    assert_int_equal(k.status, 201);
    assert_string_equal(k.body.data, "{\"id\":1}");
    assert_string_equal(k.headers.data, "Content-Type: application/json\r\nLocation: /things/1\r\nETag: \"1\"\r\n");
    call_done(&k);
    call_begin(&k, &plain_route, me, "k1", "{\"a\":2}");
    assert_int_equal(k.begun, ERR_INVALID);
    assert_int_equal(k.e.n_fields, 1);
    assert_string_equal(k.e.type, "idempotency-key-reused");
    call_done(&k);
    /* The key belongs to this caller, method and path. */
    add_person("idem");
    char other[ID_LEN + 1];
    snprintf(other, sizeof other, "%s", account_id("idem"));
    call_begin(&k, &plain_route, other, "k1", "{\"a\":2}");
    assert_int_equal(k.begun, 0);
    call_done(&k);
    call_begin(&k, &secret_route, account_id("root"), "k1", "{\"a\":2}");
    assert_int_equal(k.begun, 0);
    idempotency_end(&k.r, 422, "", "", 0); /* refused: forgotten */
    call_done(&k);
    call_begin(&k, &secret_route, account_id("root"), "k1", "another");
    assert_int_equal(k.begun, 0);
    call_done(&k);
    call_begin(&k, &plain_route, me, NULL, "");
    assert_int_equal(k.begun, 0);
    assert_null(k.r.who->claim);
    call_done(&k);
}

static void test_idempotency_seals_secrets(void **state)
{
    (void)state;
    const char *me = account_id("root");
    struct call k = {0};
    call_begin(&k, &secret_route, me, "s1", "{}");
    idempotency_end(&k.r, 201, "", "{\"token\":\"soma_geheim\"}", 23);
    call_done(&k);
    DB_CONN_AUTO c = take();
    DB_RESULT_AUTO row = NULL;
    static const struct db_query q = {"raw", "select body, position('geheim'::bytea in body_sealed), length(body_sealed) from soma.idempotency_key where key = 's1'"};
    assert_int_equal(db_one(c, q, &row, NULL), 0);
    assert_true(db_is_null(row, 0, 0));
    assert_int_equal(db_i64(row, 0, 1), 0);
    assert_in_range(db_i64(row, 0, 2), 23, 100);
    /* It opens, also after the keys were rotated and everything was re-sealed. */
    assert_int_equal(keyring_rotate_file(key_file, NULL, NULL), 0);
    int64_t n = 0;
    assert_int_equal(secrets_reseal(pool, &n, NULL), 0);
    assert_int_equal(n, 1);
    call_begin(&k, &secret_route, me, "s1", "{}");
    assert_int_equal(k.begun, 1);
    assert_string_equal(k.body.data, "{\"token\":\"soma_geheim\"}");
    assert_non_null(strstr(k.headers.data, "Cache-Control: no-store"));
    call_done(&k);
}

static int effect(struct db_conn *c, void *arg, struct err *e)
{
    struct call *k = arg;
    static const struct db_query q = {"effect", "insert into soma.team (name) values ('effect-' || (select count(*) from soma.team)::text)"};
    int x = db_run(c, q, NULL, e);
    return x ? x : idempotency_record(c, &k->r, 202, "/things/7", "{\"id\":7}", 8, e);
}

static int effects(void)
{
    DB_CONN_AUTO c = take();
    DB_RESULT_AUTO row = NULL;
    static const struct db_query q = {"effects", "select count(*) from soma.team where name like 'effect-%'"};
    assert_int_equal(db_one(c, q, &row, NULL), 0);
    return (int)db_i64(row, 0, 0);
}

static pthread_barrier_t barrier;
static atomic_int done, conflict, replayed, other_end;

static void *post(void *me)
{
    struct call k = {0};
    thread_set_role(THREAD_HTTP, "test");
    pthread_barrier_wait(&barrier);
    call_begin(&k, &plain_route, me, "many", "{}");
    if (k.begun == 0) {
        int x = db_tx(pool, effect, &k, &k.e);
        idempotency_end(&k.r, x ? 500 : 202, "Location: /things/7\r\n", "{\"id\":7}", 8);
        x ? other_end++ : done++;
    } else if (k.begun == 1) {
        k.status == 202 && !strcmp(k.body.data, "{\"id\":7}") && strstr(k.headers.data, "Location: /things/7\r\n") ? replayed++ : other_end++;
    } else {
        k.begun == ERR_CONFLICT ? conflict++ : other_end++;
    }
    call_done(&k);
    return NULL;
}

static void test_twenty_at_once(void **state)
{
    (void)state;
    char me[ID_LEN + 1];
    snprintf(me, sizeof me, "%s", account_id("root"));
    int before = effects();
    pthread_t thread[20];
    pthread_barrier_init(&barrier, NULL, 20);
    for (int i = 0; i < 20; i++)
        pthread_create(&thread[i], NULL, post, me);
    for (int i = 0; i < 20; i++)
        pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&barrier);
    assert_int_equal(other_end, 0);
    assert_int_equal(done, 1);
    assert_int_equal(conflict + replayed, 19);
    assert_int_equal(effects(), before + 1);
}

/* A process that died leaves a claim; after a minute another takes it, and the first, should it still live, can no longer commit. */
static void test_claim_of_the_dead_is_taken_over(void **state)
{
    (void)state;
    const char *me = account_id("root");
    struct call slow = {0}, next = {0};
    int before = effects();
    call_begin(&slow, &plain_route, me, "dead", "{}");
    run("update soma.idempotency_key set claimed_at = now() - interval '59 seconds' where key = 'dead'");
    call_begin(&next, &plain_route, me, "dead", "{}");
    assert_int_equal(next.begun, ERR_CONFLICT);
    call_done(&next);
    run("update soma.idempotency_key set claimed_at = now() - interval '61 seconds' where key = 'dead'");
    call_begin(&next, &plain_route, me, "dead", "{}");
    assert_int_equal(next.begun, 0);
    assert_int_equal(db_tx(pool, effect, &slow, &slow.e), ERR_CONFLICT);
    idempotency_end(&slow.r, 409, "", "", 0);
    assert_int_equal(effects(), before);
    assert_int_equal(db_tx(pool, effect, &next, &next.e), 0);
    idempotency_end(&next.r, 202, "", "", 0);
    assert_int_equal(effects(), before + 1);
    call_done(&slow);
    call_done(&next);
    /* Committed, but the handler could not know: the answer is there all the same. */
    call_begin(&next, &plain_route, me, "unknown", "{}");
    assert_int_equal(db_tx(pool, effect, &next, &next.e), 0);
    idempotency_end(&next.r, 503, "", "", 0);
    call_done(&next);
    call_begin(&next, &plain_route, me, "unknown", "{}");
    assert_int_equal(next.begun, 1);
    call_done(&next);
    /* The ETag that the handler sent with a recorded answer is kept, too. */
    call_begin(&next, &plain_route, me, "tagged", "{}");
    assert_int_equal(db_tx(pool, effect, &next, &next.e), 0);
    idempotency_end(&next.r, 202, "Content-Type: application/json\r\nETag: \"3\"\r\n", "{\"id\":7}", 8);
    call_done(&next);
    call_begin(&next, &plain_route, me, "tagged", "{}");
    assert_int_equal(next.begun, 1);
    assert_non_null(strstr(next.headers.data, "ETag: \"3\"\r\n"));
    call_done(&next);
}

static void test_keys_last_a_day(void **state)
{
    (void)state;
    const char *me = account_id("root");
    DB_CONN_AUTO c = take();
    struct call k = {0};
    call_begin(&k, &plain_route, me, "old", "{}");
    idempotency_end(&k.r, 201, "", "x", 1);
    call_done(&k);
    run("update soma.idempotency_key set expires_at = now() - interval '1 second' where key = 'old'");
    call_begin(&k, &plain_route, me, "old", "{\"other\":true}");
    assert_int_equal(k.begun, 0);
    idempotency_end(&k.r, 201, "", "y", 1);
    call_done(&k);
    run("update soma.idempotency_key set expires_at = now() - interval '1 second' where key = 'old'");
    int n = 0;
    assert_int_equal(idempotency_collect(c, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(auth_collect(c, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bootstrap_once), cmocka_unit_test(test_service_account_is_bounded_by_its_owner), cmocka_unit_test(test_identity), cmocka_unit_test(test_watch_ends_with_the_right),
        cmocka_unit_test(test_last_administrator_stays), cmocka_unit_test(test_sign_in_buckets), cmocka_unit_test(test_idempotency_replays), cmocka_unit_test(test_idempotency_seals_secrets),
        cmocka_unit_test(test_twenty_at_once), cmocka_unit_test(test_claim_of_the_dead_is_taken_over), cmocka_unit_test(test_keys_last_a_day),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
