// label: threads
/* The routes and the hooks, through a real server and a real database. */
#include "portal/http/testkit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/stat.h>

#include "portal/auth/auth_private.h"
#include "portal/auth/idempotency.h"
#include "portal/core/fs.h"
#include "portal/crypto/keyring.h"
#include "portal/db/testdb.h"

static struct testdb *database;
static struct db *pool;
static struct auth *auth;
static struct keyring *keys;
static struct http_server *server;
static char folder[64], root_token[CRYPTO_TOKEN_MAX];

static int hello(struct http_req *r, struct err *e)
{
    (void)e;
    return http_reply(r, 200, "application/json", "\"hello\"", 7);
}

static const struct http_route more_routes[] = {
    {"GET", "/targets", NULL, "scope:monitoring", hello, 0, 0},
    {"GET", "/read", NULL, "signed-in", hello, 0, 0},
    {"POST", "/write", NULL, "signed-in", hello, 0, 0},
    {"GET", "/approvers", NULL, "approver", hello, 0, 0},
    {"GET", "/anybody", NULL, "public", hello, 0, 0},
    {"GET", "/forgotten", NULL, NULL, hello, 0, 0},
    {0},
};

static const struct http_hooks hooks = {.authenticate = auth_authenticate, .authorize = auth_authorize, .idempotency_begin = idempotency_begin, .idempotency_end = idempotency_end};

static int set_up(void **state)
{
    (void)state;
    database = testdb_new();
    if (!database)
        return 0;
    char path[96];
    bool created;
    pool = testdb_pool(database, 24);
    snprintf(folder, sizeof folder, "/tmp/auth-api-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/keys", folder);
    if (keyring_init_file(path, NULL) || keyring_open(path, &keys, NULL))
        return -1;
    keyring_set_instance(keys);
    struct auth_options o = {.db = pool, .requests_per_minute = 600, .sign_ins_per_minute = 20, .public_url = "https://soma.example.com/portal"};
    if (auth_new(&o, &auth, NULL) || auth_bootstrap(pool, "root", "correct horse", &created, root_token, NULL))
        return -1;
    auth_set_instance(auth);
    server = kit_server(&(struct http_options){.hooks = &hooks, .threads = 24}, auth_routes);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (!database)
        return 0;
    http_server_drain(server, 2000);
    http_server_free(server);
    auth_free(auth);
    db_close(pool);
    keyring_free(keys);
    testdb_free(database);
    return fs_remove_tree(folder, NULL);
}

/* ---- asking ---- */

/* Who asks: a bearer token, or a cookie with its CSRF token. */
struct caller { char bearer[96], cookie[160], csrf[64]; };

static struct caller with_token(const char *token)
{
    struct caller c = {0};
    snprintf(c.bearer, sizeof c.bearer, "%s", token);
    return c;
}

static struct answer ask_as(const struct http_server *s, const struct caller *who, const char *method, const char *path, const char *extra, const char *body)
{
    BUF_AUTO b = BUF_INIT;
    buf_printf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s", method, path, extra ? extra : "");
    if (who && *who->bearer)
        buf_printf(&b, "Authorization: Bearer %s\r\n", who->bearer);
    if (who && *who->cookie)
        buf_printf(&b, "Cookie: theme=dark; soma_session=%s\r\n", who->cookie);
    if (who && *who->csrf)
        buf_printf(&b, "X-CSRF-Token: %s\r\n", who->csrf);
    if (body)
        buf_printf(&b, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    else
        buf_str(&b, "\r\n");
    return kit_ask(s, b.data);
}

static json_t *parsed(struct answer *a)
{
    json_t *j = a->body.len ? json_loadb(a->body.data, a->body.len, JSON_DECODE_ANY, NULL) : json_object();
    assert_non_null(j);
    return j;
}

/* Asks, wants this status, hands the body over. */
static json_t *ask(const struct caller *who, const char *method, const char *path, const char *extra, const char *body, int want)
{
    if (!database)
        skip();
    struct answer a = ask_as(server, who, method, path, extra, body);
    if (a.status != want)
        fail_msg("%s %s answered %d, not %d: %s", method, path, a.status, want, buf_cstr(&a.body));
    json_t *j = parsed(&a);
    kit_answer_done(&a);
    return j;
}

static void expect(const struct caller *who, const char *method, const char *path, const char *body, int want)
{
    json_decref(ask(who, method, path, NULL, body, want));
}

/* Asks, wants this status and these words in the problem's detail. */
static void refused(const struct caller *who, const char *method, const char *path, const char *extra, const char *body, int want, const char *words)
{
    json_t *j = ask(who, method, path, extra, body, want);
    const char *detail = json_string_value(json_object_get(j, "detail"));
    if (!detail || !strstr(detail, words))
        fail_msg("%s %s: `%s` does not say `%s`", method, path, detail ? detail : "", words);
    json_decref(j);
}

static const char *text(const json_t *j, const char *member)
{
    const char *s = json_string_value(json_object_get(j, member));
    return s ? s : "";
}

static struct caller root(void)
{
    return with_token(root_token);
}

static struct caller sign_in(const char *name, const char *password)
{
    char body[200];
    struct caller c = {0};
    if (!database)
        skip();
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"password\":\"%s\"}", name, password);
    struct answer a = ask_as(server, NULL, "POST", "/api/v1/session", NULL, body);
    if (a.status != 201)
        fail_msg("sign-in answered %d %s", a.status, buf_cstr(&a.body));
    const char *cookie = kit_header(&a, "Set-Cookie");
    assert_non_null(cookie);
    assert_true(!strncmp(cookie, "soma_session=", 13));
    assert_non_null(strstr(cookie, "; HttpOnly"));
    assert_non_null(strstr(cookie, "; SameSite=Lax"));
    assert_null(strstr(cookie, "; Secure"));
    snprintf(c.cookie, sizeof c.cookie, "%.*s", (int)strcspn(cookie + 13, ";"), cookie + 13);
    json_t *j = parsed(&a);
    snprintf(c.csrf, sizeof c.csrf, "%s", text(j, "csrf_token"));
    json_decref(j);
    kit_answer_done(&a);
    return c;
}

static void make_person(const char *name)
{
    struct caller r = root();
    char body[120];
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"password\":\"pass of %s\"}", name, name);
    expect(&r, "POST", "/api/v1/people", body, 201);
}

static void make_team(const char *name)
{
    struct caller r = root();
    char body[120];
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"title\":\"T\",\"cost_centre\":\"CC-1\"}", name);
    expect(&r, "POST", "/api/v1/teams", body, 201);
}

static void give_role(const char *account, const char *role, const char *team)
{
    struct caller r = root();
    char body[200];
    snprintf(body, sizeof body, "{\"account\":\"%s\",\"role\":\"%s\",\"team\":%s%s%s}", account, role, team ? "\"" : "", team ? team : "null", team ? "\"" : "");
    expect(&r, "POST", "/api/v1/roles/bindings", body, 201);
}

/* A token; `body` is the request. ret_id may be NULL. */
static struct caller make_token(const struct caller *who, const char *body, char *ret_id)
{
    static int n;
    char key[64];
    snprintf(key, sizeof key, "Idempotency-Key: token-%d\r\n", n++);
    json_t *j = ask(who, "POST", "/api/v1/tokens", key, body, 201);
    struct caller c = with_token(text(j, "token"));
    if (ret_id)
        snprintf(ret_id, 37, "%s", text(j, "id"));
    json_decref(j);
    return c;
}

/* ---- the tests ---- */

static void test_sign_in_and_out(void **state)
{
    (void)state;
    refused(NULL, "GET", "/api/v1/session", NULL, NULL, 401, "nobody is signed in");
    refused(NULL, "POST", "/api/v1/session", NULL, "{\"name\":\"root\",\"password\":\"wrong\"}", 401, "name or password is wrong");
    refused(NULL, "POST", "/api/v1/session", NULL, "{\"name\":\"nobody\",\"password\":\"wrong\"}", 401, "name or password is wrong");
    struct caller c = sign_in("root", "correct horse");
    json_t *j = ask(&c, "GET", "/api/v1/session", NULL, NULL, 200);
    assert_string_equal(text(json_object_get(j, "account"), "name"), "root");
    assert_string_equal(text(json_object_get(j, "person"), "name"), "root");
    assert_string_equal(text(j, "csrf_token"), c.csrf);
    assert_true(json_is_null(json_object_get(j, "token")));
    assert_string_equal(text(json_array_get(json_object_get(j, "roles"), 0), "role"), "platform-admin");
    json_decref(j);
    /* An old cookie does not keep one from signing in anew. */
    struct answer a = ask_as(server, &(struct caller){.cookie = "garbage"}, "POST", "/api/v1/session", NULL, "{\"name\":\"root\",\"password\":\"correct horse\"}");
    assert_int_equal(a.status, 201);
    kit_answer_done(&a);
    expect(&c, "DELETE", "/api/v1/session", NULL, 204);
    expect(&c, "GET", "/api/v1/session", NULL, 401);
    struct caller r = root();
    refused(&r, "DELETE", "/api/v1/session", NULL, NULL, 409, "revoke it with DELETE /api/v1/tokens/");
}

static void test_csrf(void **state)
{
    (void)state;
    struct caller c = sign_in("root", "correct horse"), bare = c, wrong = c;
    *bare.csrf = 0;
    snprintf(wrong.csrf, sizeof wrong.csrf, "%s", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    refused(&bare, "POST", "/api/v1/teams", NULL, "{\"name\":\"csrf\"}", 403, "X-CSRF-Token");
    refused(&wrong, "POST", "/api/v1/teams", NULL, "{\"name\":\"csrf\"}", 403, "X-CSRF-Token");
    refused(&c, "POST", "/api/v1/teams", "Origin: https://evil.example.com\r\n", "{\"name\":\"csrf\"}", 403, "a page of https://evil.example.com");
    refused(&c, "POST", "/api/v1/teams", "Origin: null\r\n", "{\"name\":\"csrf\"}", 403, "a page of null");
    refused(NULL, "POST", "/api/v1/session", "Origin: https://evil.example.com\r\n", "{\"name\":\"root\",\"password\":\"correct horse\"}", 403, "a page of");
    json_decref(ask(&c, "POST", "/api/v1/teams", "Origin: http://localhost\r\n", "{\"name\":\"csrf-a\"}", 201));
    json_decref(ask(&c, "POST", "/api/v1/teams", "Origin: https://soma.example.com\r\n", "{\"name\":\"csrf-b\"}", 201));
    expect(&bare, "GET", "/api/v1/teams", NULL, 200);
    expect(&c, "DELETE", "/api/v1/session", NULL, 204);
}

static void test_people(void **state)
{
    (void)state;
    struct caller r = root();
    json_t *j = ask(&r, "POST", "/api/v1/people", NULL, "{\"name\":\"made\",\"title\":\"M. Ade\",\"email\":\"m@example.com\"}", 201);
    char password[64];
    snprintf(password, sizeof password, "%s", text(j, "password"));
    assert_int_equal(strlen(password), 20);
    json_decref(j);
    struct caller made = sign_in("made", password);
    j = ask(&r, "POST", "/api/v1/people", NULL, "{\"name\":\"made\"}", 409);
    assert_string_equal(text(j, "link"), "/api/v1/people/made");
    json_decref(j);
    refused(&r, "POST", "/api/v1/people", NULL, "{\"name\":\"No Good\"}", 422, "name");
    refused(&r, "POST", "/api/v1/people", NULL, "{\"name\":\"fine\",\"password\":\"short\"}", 422, "at least 8");
    refused(&made, "GET", "/api/v1/people", NULL, NULL, 403, "needs the role platform-admin");
    refused(&made, "GET", "/api/v1/people/root", NULL, NULL, 403, "needs the role platform-admin");
    j = ask(&made, "GET", "/api/v1/people/made", NULL, NULL, 200);
    assert_string_equal(text(j, "email"), "m@example.com");
    assert_null(json_object_get(j, "password"));
    json_decref(j);
    expect(&r, "GET", "/api/v1/people/nobody", NULL, 404);
    expect(&r, "POST", "/api/v1/people/nobody/disable", NULL, 404);

    /* A new password ends the sessions; the person changes it, which ends the others. */
    j = ask(&r, "POST", "/api/v1/people/made/password", NULL, "{}", 200);
    snprintf(password, sizeof password, "%s", text(j, "password"));
    json_decref(j);
    expect(&made, "GET", "/api/v1/session", NULL, 401);
    made = sign_in("made", password);
    struct caller other = sign_in("made", password);
    refused(&made, "PUT", "/api/v1/session/password", NULL, "{\"current_password\":\"wrong\",\"new_password\":\"my own words\"}", 422, "not the current password");
    char body[200];
    snprintf(body, sizeof body, "{\"current_password\":\"%s\",\"new_password\":\"my own words\"}", password);
    expect(&made, "PUT", "/api/v1/session/password", body, 204);
    expect(&made, "GET", "/api/v1/session", NULL, 200);
    expect(&other, "GET", "/api/v1/session", NULL, 401);
    made = sign_in("made", "my own words");

    /* Shutting out ends everything at once. */
    struct caller token = make_token(&made, "{\"name\":\"mine\"}", NULL);
    expect(&token, "GET", "/api/v1/session", NULL, 200);
    j = ask(&r, "POST", "/api/v1/people/made/disable", NULL, NULL, 200);
    assert_string_equal(text(j, "state"), "disabled");
    json_decref(j);
    expect(&made, "GET", "/api/v1/session", NULL, 401);
    expect(&token, "GET", "/api/v1/session", NULL, 401);
    expect(NULL, "POST", "/api/v1/session", "{\"name\":\"made\",\"password\":\"my own words\"}", 401);
    expect(&r, "POST", "/api/v1/people/made/enable", NULL, 200);
    made = sign_in("made", "my own words");
    expect(&token, "GET", "/api/v1/session", NULL, 401);
    refused(&r, "POST", "/api/v1/people/root/disable", NULL, NULL, 409, "nobody with the role platform-admin");
}

static void test_teams_and_roles(void **state)
{
    (void)state;
    struct caller r = root();
    make_person("dora");
    make_person("vera");
    make_team("payments");
    make_team("search");
    give_role("dora", "developer", "payments");
    give_role("vera", "viewer", NULL);
    struct caller dora = sign_in("dora", "pass of dora"), vera = sign_in("vera", "pass of vera");
    json_t *j = ask(&dora, "GET", "/api/v1/teams", NULL, NULL, 200);
    assert_int_equal(json_array_size(json_object_get(j, "items")), 1);
    assert_string_equal(text(json_array_get(json_object_get(j, "items"), 0), "cost_centre"), "CC-1");
    json_decref(j);
    j = ask(&dora, "GET", "/api/v1/teams/payments", NULL, NULL, 200);
    assert_string_equal(text(json_array_get(json_object_get(j, "members"), 0), "account"), "dora");
    json_decref(j);
    refused(&dora, "GET", "/api/v1/teams/search", NULL, NULL, 403, "needs the role viewer in team search");
    expect(&vera, "GET", "/api/v1/teams/search", NULL, 200);
    expect(&vera, "GET", "/api/v1/teams/none", NULL, 404);
    refused(&dora, "POST", "/api/v1/teams", NULL, "{\"name\":\"mine\"}", 403, "platform-admin");
    j = ask(&r, "POST", "/api/v1/teams", NULL, "{\"name\":\"payments\"}", 409);
    assert_string_equal(text(j, "link"), "/api/v1/teams/payments");
    json_decref(j);

    refused(&r, "POST", "/api/v1/roles/bindings", NULL, "{\"account\":\"ghost\",\"role\":\"viewer\"}", 422, "no account `ghost`");
    refused(&r, "POST", "/api/v1/roles/bindings", NULL, "{\"account\":\"dora\",\"role\":\"viewer\",\"team\":\"ghost\"}", 422, "no team `ghost`");
    refused(&r, "POST", "/api/v1/roles/bindings", NULL, "{\"account\":\"dora\",\"role\":\"platform-admin\",\"team\":\"search\"}", 422, "everywhere");
    refused(&r, "POST", "/api/v1/roles/bindings", NULL, "{\"account\":\"dora\",\"role\":\"king\"}", 422, "the roles are");
    refused(&dora, "POST", "/api/v1/roles/bindings", NULL, "{\"account\":\"dora\",\"role\":\"platform-admin\"}", 403, "platform-admin");
    j = ask(&r, "POST", "/api/v1/roles/bindings", NULL, "{\"account\":\"dora\",\"role\":\"developer\",\"team\":\"payments\"}", 409);
    assert_true(!strncmp(text(j, "link"), "/api/v1/roles/bindings/", 23));
    char binding[120];
    snprintf(binding, sizeof binding, "%s", text(j, "link"));
    json_decref(j);
    expect(&dora, "GET", binding, NULL, 200);
    expect(&dora, "DELETE", binding, NULL, 403);
    expect(&r, "DELETE", binding, NULL, 204);
    expect(&r, "DELETE", binding, NULL, 404);
    /* Taken away at once on this node. */
    refused(&dora, "GET", "/api/v1/teams/payments", NULL, NULL, 403, "viewer in team payments");
    j = ask(&vera, "GET", "/api/v1/roles/bindings?account=vera", NULL, NULL, 200);
    assert_int_equal(json_array_size(json_object_get(j, "items")), 1);
    json_decref(j);
    expect(&r, "GET", "/api/v1/roles/bindings/not-an-id", NULL, 404);

    /* The last administrator's own binding stays. */
    j = ask(&r, "GET", "/api/v1/session", NULL, NULL, 200);
    snprintf(binding, sizeof binding, "/api/v1/roles/bindings/%s", text(json_array_get(json_object_get(j, "roles"), 0), "id"));
    json_decref(j);
    refused(&r, "DELETE", binding, NULL, NULL, 409, "nobody with the role platform-admin");
    expect(&r, "GET", binding, NULL, 200);
}

static void test_tokens(void **state)
{
    (void)state;
    make_person("tess");
    struct caller tess = sign_in("tess", "pass of tess"), r = root();
    refused(&tess, "POST", "/api/v1/tokens", NULL, "{\"name\":\"a\"}", 400, "Idempotency-Key");
    json_t *first = ask(&tess, "POST", "/api/v1/tokens", "Idempotency-Key: tess-1\r\n", "{\"name\":\"laptop\",\"expires_in\":3600}", 201);
    json_t *again = ask(&tess, "POST", "/api/v1/tokens", "Idempotency-Key: tess-1\r\n", "{\"name\":\"laptop\",\"expires_in\":3600}", 201);
    assert_true(json_equal(first, again));
    assert_true(crypto_token_valid("soma_", text(first, "token")));
    json_decref(again);
    refused(&tess, "POST", "/api/v1/tokens", "Idempotency-Key: tess-1\r\n", "{\"name\":\"other\"}", 422, "another body");
    struct caller token = with_token(text(first, "token"));
    char path[80];
    snprintf(path, sizeof path, "/api/v1/tokens/%s", text(first, "id"));
    json_decref(first);
    json_t *j = ask(&tess, "GET", "/api/v1/tokens", NULL, NULL, 200);
    assert_int_equal(json_array_size(json_object_get(j, "items")), 1);
    assert_null(json_object_get(json_array_get(json_object_get(j, "items"), 0), "token"));
    json_decref(j);
    j = ask(&token, "GET", "/api/v1/session", NULL, NULL, 200);
    assert_string_equal(text(json_object_get(j, "token"), "name"), "laptop");
    assert_true(json_is_null(json_object_get(j, "csrf_token")));
    json_decref(j);

    refused(&tess, "POST", "/api/v1/tokens", "Idempotency-Key: t2\r\n", "{\"name\":\"a\",\"scopes\":[\"root\"]}", 422, "scopes");
    refused(&tess, "POST", "/api/v1/tokens", "Idempotency-Key: t3\r\n", "{\"name\":\"a\",\"expires_at\":\"yesterday-ish\"}", 422, "not a time");
    refused(&tess, "POST", "/api/v1/tokens", "Idempotency-Key: t4\r\n", "{\"name\":\"a\",\"expires_at\":\"2020-01-01T00:00:00Z\"}", 422, "in the future");
    refused(&tess, "POST", "/api/v1/tokens", "Idempotency-Key: t5\r\n", "{\"name\":\"a\",\"expires_in\":60,\"expires_at\":\"2030-01-01T00:00:00Z\"}", 422, "not both");
    refused(&tess, "POST", "/api/v1/tokens", "Idempotency-Key: t6\r\n", "{\"name\":\"a\",\"expires_in\":99999999999}", 422, "366 days");

    make_person("mallory");
    struct caller mallory = sign_in("mallory", "pass of mallory");
    expect(&mallory, "GET", path, NULL, 404);
    expect(&mallory, "DELETE", path, NULL, 404);
    expect(&mallory, "GET", "/api/v1/tokens?account=tess", NULL, 404);
    expect(&r, "GET", path, NULL, 200);
    expect(&tess, "DELETE", path, NULL, 204);
    expect(&tess, "DELETE", path, NULL, 204);
    refused(&token, "GET", "/api/v1/session", NULL, NULL, 401, "does not stand");
    j = ask(&r, "GET", "/api/v1/tokens?account=tess", NULL, NULL, 200);
    assert_string_equal(text(json_array_get(json_object_get(j, "items"), 0), "state"), "revoked");
    json_decref(j);
    struct caller broken = with_token("soma_000000000000000000000000000000000000000000000");
    refused(&broken, "GET", "/api/v1/session", NULL, NULL, 401, "not one that Soma gave out");
}

static void test_tokens_by_tokens(void **state)
{
    (void)state;
    struct caller r = root();
    char id[37], path[80];
    struct caller reader = make_token(&r, "{\"name\":\"reader\",\"scopes\":[\"read\"]}", id);
    refused(&reader, "POST", "/api/v1/tokens", "Idempotency-Key: x1\r\n", "{\"name\":\"more\"}", 403, "scope `orders`");
    struct caller orders = make_token(&r, "{\"name\":\"orders\",\"scopes\":[\"orders\"]}", NULL);
    refused(&orders, "POST", "/api/v1/tokens", "Idempotency-Key: x2\r\n", "{\"name\":\"more\"}", 403, "scope `admin`");
    snprintf(path, sizeof path, "/api/v1/tokens/%s", id);
    refused(&orders, "DELETE", path, NULL, NULL, 403, "scope `admin`");
    struct caller admin = make_token(&r, "{\"name\":\"admin\",\"scopes\":[\"admin\"],\"expires_in\":600}", NULL);
    json_t *j = ask(&admin, "POST", "/api/v1/tokens", "Idempotency-Key: x3\r\n", "{\"name\":\"child\",\"expires_in\":864000}", 201), *mine = ask(&admin, "GET", "/api/v1/session", NULL, NULL, 200);
    assert_string_equal(text(j, "expires_at"), text(json_object_get(mine, "token"), "expires_at"));
    assert_string_equal(json_string_value(json_array_get(json_object_get(j, "scopes"), 0)), "admin");
    json_decref(j);
    json_decref(mine);
    /* A token may give itself up, whatever its scopes. */
    expect(&reader, "DELETE", path, NULL, 204);
    expect(&reader, "GET", "/api/v1/session", NULL, 401);
}

static void test_service_accounts(void **state)
{
    (void)state;
    struct caller r = root();
    make_person("owen");
    make_team("web");
    give_role("owen", "developer", "web");
    struct caller owen = sign_in("owen", "pass of owen");
    refused(&owen, "POST", "/api/v1/service-accounts", NULL, "{\"name\":\"bot\",\"team\":\"web\",\"roles\":[\"approver\"]}", 403, "needs the role approver in team web");
    refused(&owen, "POST", "/api/v1/service-accounts", NULL, "{\"name\":\"bot\",\"team\":\"other\"}", 403, "needs the role developer in team other");
    refused(&owen, "POST", "/api/v1/service-accounts", NULL, "{\"name\":\"bot\",\"team\":\"web\",\"owner\":\"root\"}", 403, "platform-admin");
    refused(&r, "POST", "/api/v1/service-accounts", NULL, "{\"name\":\"bot\",\"team\":\"nowhere\"}", 422, "no team `nowhere`");
    refused(&r, "POST", "/api/v1/service-accounts", NULL, "{\"name\":\"bot\",\"team\":\"web\",\"owner\":\"ghost\"}", 422, "no person `ghost`");
    json_t *j = ask(&owen, "POST", "/api/v1/service-accounts", NULL, "{\"name\":\"bot\",\"team\":\"web\",\"roles\":[\"developer\"]}", 201);
    assert_string_equal(text(j, "owner"), "owen");
    json_decref(j);
    j = ask(&owen, "POST", "/api/v1/service-accounts", NULL, "{\"name\":\"root\",\"team\":\"web\"}", 409);
    assert_string_equal(text(j, "link"), "/api/v1/people/root");
    json_decref(j);
    struct caller bot = make_token(&owen, "{\"name\":\"bot\",\"service_account\":\"bot\"}", NULL);
    j = ask(&bot, "GET", "/api/v1/session", NULL, NULL, 200);
    assert_string_equal(text(json_object_get(j, "account"), "name"), "bot");
    assert_string_equal(text(json_object_get(j, "account"), "kind"), "service_account");
    assert_string_equal(text(json_object_get(j, "person"), "name"), "owen");
    json_decref(j);
    expect(&bot, "GET", "/api/v1/teams/web", NULL, 200);
    expect(&bot, "PUT", "/api/v1/session/password", "{\"current_password\":\"x\",\"new_password\":\"xxxxxxxx\"}", 403);
    refused(&r, "POST", "/api/v1/roles/bindings", NULL, "{\"account\":\"bot\",\"role\":\"platform-admin\"}", 422, "a role for people");
    make_person("nora");
    struct caller nora = sign_in("nora", "pass of nora");
    expect(&nora, "GET", "/api/v1/service-accounts/bot", NULL, 404);
    json_decref(ask(&nora, "POST", "/api/v1/tokens", "Idempotency-Key: n1\r\n", "{\"name\":\"x\",\"service_account\":\"bot\"}", 422));
    expect(&nora, "POST", "/api/v1/service-accounts/bot/disable", NULL, 404);
    /* Its owner shut out: its tokens rest. Itself disabled: they are revoked. */
    expect(&r, "POST", "/api/v1/people/owen/disable", NULL, 200);
    expect(&bot, "GET", "/api/v1/session", NULL, 401);
    expect(&r, "POST", "/api/v1/people/owen/enable", NULL, 200);
    expect(&bot, "GET", "/api/v1/session", NULL, 200);
    owen = sign_in("owen", "pass of owen");
    expect(&owen, "POST", "/api/v1/service-accounts/bot/disable", NULL, 200);
    expect(&bot, "GET", "/api/v1/session", NULL, 401);
    expect(&owen, "POST", "/api/v1/service-accounts/bot/enable", NULL, 200);
    expect(&bot, "GET", "/api/v1/session", NULL, 401);
}

static void test_pages(void **state)
{
    (void)state;
    struct caller r = root();
    char name[32], path[1200];
    for (int i = 0; i < 7; i++) {
        snprintf(name, sizeof name, "page-%d", i);
        make_team(name);
    }
    int seen = 0, pages = 0;
    snprintf(path, sizeof path, "/api/v1/teams?limit=3");
    for (bool more = true; more; pages++) {
        struct answer a = ask_as(server, &r, "GET", path, NULL, NULL);
        assert_int_equal(a.status, 200);
        json_t *j = parsed(&a);
        size_t i;
        json_t *item;
        json_array_foreach(json_object_get(j, "items"), i, item)
            seen += !strncmp(text(item, "name"), "page-", 5);
        const char *link = kit_header(&a, "Link");
        more = !json_is_null(json_object_get(j, "next"));
        assert_int_equal(more, link != NULL);
        if (more) {
            assert_non_null(strstr(link, text(j, "next")));
            assert_non_null(strstr(link, "limit=3>; rel=\"next\""));
            snprintf(path, sizeof path, "%.*s", (int)strcspn(link + 1, ">"), link + 1);
        }
        json_decref(j);
        kit_answer_done(&a);
    }
    assert_int_equal(seen, 7);
    assert_true(pages >= 3);
    refused(&r, "GET", "/api/v1/teams?cursor=made-up", NULL, NULL, 400, "cursor");
    expect(&r, "GET", "/api/v1/teams?limit=0", NULL, 400);
}

static void test_needs(void **state)
{
    (void)state;
    if (!database)
        skip();
    struct http_server *kept = server;
    struct caller r = root(), broken = with_token("soma_x");
    make_person("nils");
    make_team("needs");
    give_role("nils", "developer", "needs");
    struct caller nils = sign_in("nils", "pass of nils"), prometheus = make_token(&nils, "{\"name\":\"p\",\"scopes\":[\"monitoring\"]}", NULL),
                  reader = make_token(&nils, "{\"name\":\"r\",\"scopes\":[\"read\"]}", NULL), all = make_token(&nils, "{\"name\":\"a\"}", NULL);
    server = kit_server(&(struct http_options){.hooks = &hooks, .threads = 4}, more_routes);
    expect(&prometheus, "GET", "/targets", NULL, 200);
    expect(&r, "GET", "/targets", NULL, 200);
    refused(&all, "GET", "/targets", NULL, NULL, 403, "scope `monitoring`");
    refused(&reader, "GET", "/targets", NULL, NULL, 403, "this one has [\"read\"]");
    refused(&nils, "GET", "/targets", NULL, NULL, 403, "or the role platform-admin");
    expect(NULL, "GET", "/targets", NULL, 401);
    refused(&prometheus, "GET", "/read", NULL, NULL, 403, "scope `read`");
    struct answer a = ask_as(server, &reader, "GET", "/read", NULL, NULL);
    assert_int_equal(a.status, 200);
    assert_string_equal(kit_header(&a, "RateLimit-Policy"), "\"requests\";q=600;w=60");
    assert_true(!strncmp(kit_header(&a, "RateLimit"), "\"requests\";r=59", 15));
    kit_answer_done(&a);
    refused(&reader, "POST", "/write", NULL, "{}", 403, "scope `orders`");
    a = ask_as(server, &all, "POST", "/write", NULL, "{}");
    assert_int_equal(a.status, 200);
    kit_answer_done(&a);
    refused(&nils, "GET", "/approvers", NULL, NULL, 403, "needs the role approver");
    a = ask_as(server, &broken, "GET", "/anybody", NULL, NULL);
    assert_int_equal(a.status, 200);
    kit_answer_done(&a);
    expect(NULL, "GET", "/forgotten", NULL, 401);
    http_server_drain(server, 1000);
    http_server_free(server);
    server = kept;
}

static void test_requests_are_limited(void **state)
{
    (void)state;
    struct caller r = root(), busy = make_token(&r, "{\"name\":\"busy\"}", NULL), calm = make_token(&r, "{\"name\":\"calm\"}", NULL);
    struct client c = kit_connect(server);
    char request[300];
    int good = 0, limited = 0;
    snprintf(request, sizeof request, "GET /api/v1/teams/none HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", busy.bearer);
    for (int i = 0; i < 800 && !limited; i++) {
        kit_say(&c, request);
        struct answer a = kit_answer(&c, false);
        good += a.status == 404;
        if (a.status == 429) {
            limited++;
            const char *after = kit_header(&a, "Retry-After");
            assert_non_null(after);
            assert_in_range(atoi(after), 1, 2);
        }
        kit_answer_done(&a);
    }
    kit_close(&c);
    assert_int_equal(limited, 1);
    assert_in_range(good, 600, 700); /* ten come back each second */
    expect(&calm, "GET", "/api/v1/session", NULL, 200);
}

static void test_guessing_is_limited(void **state)
{
    (void)state;
    make_person("gus");
    int last = 0;
    for (int i = 0; i < 60 && last != 429; i++) { /* more than ten: a slow machine gets some back meanwhile */
        struct answer a = ask_as(server, NULL, "POST", "/api/v1/session", NULL, "{\"name\":\"gus\",\"password\":\"guess\"}");
        last = a.status;
        if (last == 429)
            assert_in_range(atoi(kit_header(&a, "Retry-After")), 1, 4);
        else
            assert_int_equal(last, 401);
        kit_answer_done(&a);
    }
    assert_int_equal(last, 429);
    /* Also with the right password, until the wait is over. */
    expect(NULL, "POST", "/api/v1/session", "{\"name\":\"gus\",\"password\":\"pass of gus\"}", 429);
}

static atomic_int created, conflicts, others;
static char same_token[CRYPTO_TOKEN_MAX];

static void *post_token(void *arg)
{
    struct answer a = ask_as(server, arg, "POST", "/api/v1/tokens", "Idempotency-Key: twenty\r\n", "{\"name\":\"twenty\"}");
    json_t *j = parsed(&a);
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (a.status == 201 && !*same_token)
        snprintf(same_token, sizeof same_token, "%s", text(j, "token"));
    if (a.status == 201 && !strcmp(text(j, "token"), same_token))
        created++;
    else if (a.status == 409)
        conflicts++;
    else
        others++;
    pthread_mutex_unlock(&lock);
    json_decref(j);
    kit_answer_done(&a);
    return NULL;
}

static void test_twenty_requests_make_one_token(void **state)
{
    (void)state;
    make_person("twin");
    struct caller twin = sign_in("twin", "pass of twin");
    pthread_t thread[20];
    for (int i = 0; i < 20; i++)
        pthread_create(&thread[i], NULL, post_token, &twin);
    for (int i = 0; i < 20; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(others, 0);
    assert_true(created >= 1);
    json_t *j = ask(&twin, "GET", "/api/v1/tokens", NULL, NULL, 200);
    assert_int_equal(json_array_size(json_object_get(j, "items")), 1);
    json_decref(j);
}

static int count_audit(const char *action, const char *subject)
{
    static const struct db_query q = {"count_audit", "select count(*) from soma.audit_entry where action = $1 and subject like $2"};
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    assert_int_equal(db_take(pool, &c, NULL), 0);
    assert_int_equal(db_one(c, q, &row, NULL, db_text(action), db_text(subject)), 0);
    return (int)db_i64(row, 0, 0);
}

/* Runs last: each kind of write has left its entry, and no secret is in the log. */
static void test_writes_are_audited(void **state)
{
    (void)state;
    if (!database)
        skip();
    static const char *const actions[][2] = {
        {"session.create", "account:root"}, {"session.delete", "account:root"}, {"person.create", "account:made"}, {"person.disable", "account:made"}, {"person.enable", "account:made"},
        {"password.reset", "account:made"}, {"password.change", "account:made"}, {"team.create", "team:payments"}, {"role.bind", "account:dora"}, {"role.unbind", "binding:%"},
        {"token.create", "token:%"}, {"token.revoke", "token:%"}, {"service-account.create", "account:bot"}, {"service-account.disable", "account:bot"}, {"service-account.enable", "account:bot"},
    };
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (count_audit(actions[i][0], actions[i][1]) == 0)
            fail_msg("no audit entry %s of %s", actions[i][0], actions[i][1]);
    static const struct db_query leak = {"leak", "select count(*) from soma.audit_entry e where e::text ~ 'soma_[0-9A-Za-z]{40}|my own words|argon2id'"};
    static const struct db_query hole = {"hole", "select broken from soma.audit_check(0, decode(repeat('00', 32), 'hex'), 100000)"};
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    DB_RESULT_AUTO whole = NULL;
    assert_int_equal(db_take(pool, &c, NULL), 0);
    assert_int_equal(db_one(c, leak, &row, NULL), 0);
    assert_int_equal(db_i64(row, 0, 0), 0);
    assert_int_equal(db_one(c, hole, &whole, NULL), 0);
    assert_true(db_is_null(whole, 0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign_in_and_out), cmocka_unit_test(test_csrf), cmocka_unit_test(test_people), cmocka_unit_test(test_teams_and_roles), cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_tokens_by_tokens), cmocka_unit_test(test_service_accounts), cmocka_unit_test(test_pages), cmocka_unit_test(test_needs),
        cmocka_unit_test(test_requests_are_limited), cmocka_unit_test(test_guessing_is_limited), cmocka_unit_test(test_twenty_requests_make_one_token), cmocka_unit_test(test_writes_are_audited),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
