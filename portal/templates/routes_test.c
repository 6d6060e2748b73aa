// label: threads
/* The routes through a real server, and the jobs on a real queue: register, read by the worker, webhook, refusals. */
#include "portal/http/testkit.h"

#include "portal/auth/auth.h"
#include "portal/core/clock.h"
#include "portal/core/fs.h"
#include "portal/crypto/crypto.h"
#include "portal/crypto/keyring.h"
#include "portal/db/testdb.h"
#include "portal/git/git.h"
#include "portal/git/testgit.h"
#include "portal/secrets/secrets.h"
#include "portal/templates/templates.h"

static struct testdb *database;
static struct db *pool;
static struct auth *auth;
static struct keyring *keys;
static struct http_server *server;
static struct jobs *jobs;
static char *base;
static char root[128], vera[128], secret[80];

static const char manifest[] = "apiVersion: soma/v1\nkind: Template\nmetadata: {name: api-db, title: One}\nspec:\n  owner: platform\n  type: database\n";
static const char module[] = "variable \"soma\" {\n  type = object({ name = string })\n}\n";

static int set_up(void **state)
{
    (void)state;
    static const struct http_hooks hooks = {.authenticate = auth_authenticate, .authorize = auth_authorize};
    char path[200];
    bool created;
    struct db_conn *c = NULL;
    if (!(database = testdb_new()))
        return 0;
    base = testgit_folder();
    pool = testdb_pool(database, 8);
    snprintf(path, sizeof path, "%s/keys", base);
    if (keyring_init_file(path, NULL) || keyring_open(path, &keys, NULL) || auth_new(&(struct auth_options){.db = pool}, &auth, NULL))
        return -1;
    secrets_set_keyring(keys);
    keyring_set_instance(keys);
    auth_set_instance(auth);
    if (auth_bootstrap(pool, "root", NULL, &created, root, NULL) || db_connect(database->admin, "test", &c, NULL))
        return -1;
    int r = db_script(c, "insert into soma.team (name) values ('payments'); insert into soma.account (id, kind, name) values (gen_random_uuid(), 'person', 'vera');"
                         "insert into soma.role_binding (id, account, role, team) select gen_random_uuid(), id, 'viewer', 'payments' from soma.account where name = 'vera'", NULL);
    db_give(c);
    if (r || auth_issue_token(pool, "vera", "t", vera, NULL))
        return -1;
    templates_configure(&(struct templates_options){.db = pool, .data_dir = base, .refresh_ms = 1000, .fetch_ms = 20000});
    testgit_write(base, "repo/db/template.yaml", manifest);
    testgit_write(base, "repo/db/main.tf", module);
    testgit_run(base, "cd repo; git init -q -b main .; git add .; git commit -qm one");
    server = kit_server(&(struct http_options){.hooks = &hooks, .threads = 2}, templates_routes);
    return jobs_start(&(struct jobs_options){.db = pool, .node_id = "n", .threads = 2, .lease_ms = 10000, .poll_ms = 100, .kinds = templates_jobs}, &jobs, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    if (!database)
        return 0;
    jobs_drain(jobs, 5000);
    jobs_free(jobs);
    http_server_drain(server, 1000);
    http_server_free(server);
    templates_configure(&(struct templates_options){0});
    auth_free(auth);
    db_close(pool);
    keyring_free(keys);
    testdb_free(database);
    testgit_remove(base);
    return 0;
}

static json_t *call(const char *token, const char *method, const char *path, const char *headers, const char *body, int want)
{
    BUF_AUTO request = BUF_INIT;
    if (!database)
        skip();
    buf_printf(&request, "%s %s HTTP/1.1\r\nHost: x\r\n%s", method, path, headers ? headers : "");
    if (token)
        buf_printf(&request, "Authorization: Bearer %s\r\n", token);
    if (body)
        buf_printf(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    else
        buf_printf(&request, "%s\r\n", strcmp(method, "GET") == 0 ? "" : "Content-Length: 0\r\n");
    struct answer a = kit_ask(server, request.data);
    if (a.status != want)
        fail_msg("%s %s answered %d: %s", method, path, a.status, buf_cstr(&a.body));
    json_t *j = a.body.len ? json_loadb(a.body.data, a.body.len, 0, NULL) : json_null();
    assert_non_null(j);
    kit_answer_done(&a);
    return j;
}

#define repository_path "/api/v1/templates/repositories/repo"

/* Until `seconds` have passed: the pointer's value in the document. */
static void await(const char *path, const char *key, const char *want, int seconds)
{
    int64_t end = clock_mono_ms() + seconds * 1000;
    for (;;) {
        json_auto_t *j = call(vera, "GET", path, NULL, NULL, 200);
        const char *text = json_string_value(json_object_get(j, key));
        if (text && strcmp(text, want) == 0)
            return;
        if (clock_mono_ms() > end)
            fail_msg("%s of %s is still %s", key, path, text ? text : "nothing");
        clock_sleep_ms(100);
    }
}

static void registered_repository_is_read_by_the_worker(void **state)
{
    (void)state;
    char body[400];
    snprintf(body, sizeof body, "{\"name\":\"repo\",\"url\":\"file://%s/repo\",\"ref\":\"main\"}", base);
    json_decref(call(vera, "POST", "/api/v1/templates/repositories", NULL, body, 403));
    json_decref(call(NULL, "POST", "/api/v1/templates/repositories", NULL, body, 401));
    json_auto_t *made = call(root, "POST", "/api/v1/templates/repositories", NULL, body, 201);
    snprintf(secret, sizeof secret, "%s", json_string_value(json_object_get(json_object_get(made, "webhook"), "secret")));
    assert_string_equal(json_string_value(json_object_get(made, "state")), "refreshing");
    json_auto_t *again = call(root, "POST", "/api/v1/templates/repositories", NULL, body, 409);
    assert_string_equal(json_string_value(json_object_get(again, "link")), repository_path);
    await(repository_path, "state", "ready", 20);
    json_auto_t *list = call(vera, "GET", "/api/v1/templates?q=ONE", NULL, NULL, 200);
    assert_int_equal(json_array_size(json_object_get(list, "items")), 1);
    json_auto_t *one = call(vera, "GET", "/api/v1/templates/api-db", NULL, NULL, 200);
    assert_string_equal(json_string_value(json_object_get(json_object_get(one, "parameters"), "type")), "object");
    json_decref(call(vera, "GET", "/api/v1/templates/api-db/versions/1", NULL, NULL, 200));
    json_decref(call(vera, "GET", "/api/v1/templates/api-db/versions/2", NULL, NULL, 404));
    json_decref(call(vera, "GET", "/api/v1/templates/api-db/versions/x", NULL, NULL, 404));
    json_decref(call(vera, "GET", "/api/v1/templates/none", NULL, NULL, 404));
    json_decref(call(NULL, "GET", "/api/v1/templates", NULL, NULL, 401));
    json_auto_t *repositories = call(vera, "GET", "/api/v1/templates/repositories", NULL, NULL, 200);
    assert_int_equal(json_array_size(json_object_get(repositories, "items")), 1);
}

static void schedule_finds_a_push(void **state)
{
    (void)state;
    if (!database)
        skip();
    testgit_run(base, "cd repo; sed -i s/One/Two/ db/template.yaml; git commit -qam two");
    await("/api/v1/templates/api-db", "title", "Two", 30);
}

static void hook(const char *headers, const char *body, int want)
{
    json_decref(call(NULL, "POST", repository_path "/webhook", headers, body, want));
}

static void webhook_wants_its_signature(void **state)
{
    (void)state;
    if (!database)
        skip();
    static const char body[] = "{\"ref\":\"refs/heads/main\"}";
    uint8_t mac[CRYPTO_DIGEST];
    char hex[65], header[200];
    crypto_hmac(secret, strlen(secret), body, strlen(body), mac);
    crypto_hex(mac, sizeof mac, hex);
    snprintf(header, sizeof header, "X-Hub-Signature-256: sha256=%s\r\n", hex);
    hook(header, body, 202);
    hook(header, "{\"ref\":\"refs/heads/evil\"}", 401);
    snprintf(header, sizeof header, "X-Gitea-Signature: %s\r\n", hex);
    hook(header, body, 202);
    snprintf(header, sizeof header, "X-Gitlab-Token: %s\r\n", secret);
    hook(header, body, 202);
    hook("X-Gitlab-Token: wrong\r\n", body, 401);
    hook("X-Hub-Signature-256: sha256=\r\n", body, 401);
    hook(NULL, body, 401);
    hook(NULL, NULL, 401);
    json_decref(call(NULL, "POST", "/api/v1/templates/repositories/unknown/webhook", header, body, 401));
    await(repository_path, "state", "ready", 20);
}

static void bad_input_names_its_field(void **state)
{
    (void)state;
    static const struct { const char *body; const char *pointer; } cases[] = {
        {"{\"name\":\"x\",\"url\":\"ftp://h/x\"}", "/url"}, {"{\"name\":\"x\",\"url\":\"https://u:p@h/x\"}", "/url"}, {"{\"name\":\"X\",\"url\":\"file:///srv/x\"}", "/name"},
        {"{\"name\":\"x\",\"url\":\"file:///srv/x\",\"ref\":\"a..b\"}", "/ref"}, {"{\"url\":\"file:///srv/x\"}", "/name"}, {"{\"name\":\"x\"}", "/url"},
        {"{\"name\":\"x\",\"url\":\"https://h/x\",\"credentials\":{\"username\":\"u\"}}", "/credentials"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_auto_t *j = call(root, "POST", "/api/v1/templates/repositories", NULL, cases[i].body, 422);
        assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(j, "errors"), 0), "pointer")), cases[i].pointer);
    }
}

static void removed_repository_withdraws(void **state)
{
    (void)state;
    json_decref(call(vera, "POST", repository_path "/refresh", NULL, NULL, 403));
    json_auto_t *asked = call(root, "POST", repository_path "/refresh", NULL, NULL, 202);
    assert_string_equal(json_string_value(json_object_get(asked, "state")), "refreshing");
    await(repository_path, "state", "ready", 20);
    json_decref(call(vera, "DELETE", repository_path, NULL, NULL, 403));
    json_decref(call(root, "DELETE", repository_path, NULL, NULL, 204));
    json_decref(call(root, "DELETE", repository_path, NULL, NULL, 404));
    json_decref(call(root, "POST", repository_path "/refresh", NULL, NULL, 404));
    json_auto_t *gone = call(vera, "GET", "/api/v1/templates/api-db", NULL, NULL, 200);
    assert_string_equal(json_string_value(json_object_get(gone, "state")), "withdrawn");
    json_auto_t *list = call(vera, "GET", "/api/v1/templates", NULL, NULL, 200);
    assert_int_equal(json_array_size(json_object_get(list, "items")), 0);
}

int main(int argc, char **argv)
{
    if (git_helper_wanted(argc, argv))
        return git_helper_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registered_repository_is_read_by_the_worker), cmocka_unit_test(schedule_finds_a_push), cmocka_unit_test(webhook_wants_its_signature),
        cmocka_unit_test(bad_input_names_its_field), cmocka_unit_test(removed_repository_withdraws),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
