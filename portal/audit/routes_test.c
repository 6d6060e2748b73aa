/* The audit's routes through a real server: who sees which entries, filters, pages, verification. */
#include "portal/http/testkit.h"

#include <stdint.h>

#include "portal/audit/audit.h"
#include "portal/auth/auth.h"
#include "portal/core/fs.h"
#include "portal/crypto/crypto.h"
#include "portal/crypto/keyring.h"
#include "portal/db/testdb.h"

static struct testdb *database;
static struct db *pool;
static struct auth *auth;
static struct keyring *keys;
static struct http_server *server;
static char folder[64], root[128], vera[128];

static void append(const char *action, const char *actor, const char *subject, const char *team)
{
    DB_CONN_AUTO c = NULL;
    struct err e = ERR_INIT;
    struct audit_entry a = {.actor = "1", .actor_name = actor, .person_name = "olga", .action = action, .subject = subject, .team = team, .detail = "{\"n\": 1}"};
    assert_int_equal(db_take(pool, &c, &e), 0);
    assert_int_equal(audit_append(c, &a, &e), 0);
}

static int set_up(void **state)
{
    (void)state;
    static const struct http_hooks hooks = {.authenticate = auth_authenticate, .authorize = auth_authorize};
    char path[96];
    bool created;
    struct db_conn *c = NULL;
    if (!(database = testdb_new()))
        return 0;
    pool = testdb_pool(database, 4);
    snprintf(folder, sizeof folder, "/tmp/audit-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/keys", folder);
    if (keyring_init_file(path, NULL) || keyring_open(path, &keys, NULL) || auth_new(&(struct auth_options){.db = pool}, &auth, NULL))
        return -1;
    keyring_set_instance(keys);
    auth_set_instance(auth);
    if (auth_bootstrap(pool, "root", NULL, &created, root, NULL) || db_connect(database->admin, "test", &c, NULL))
        return -1;
    int r = db_script(c, "insert into soma.team (name) values ('payments'), ('search'); insert into soma.account (id, kind, name) values (gen_random_uuid(), 'person', 'vera');"
                         "insert into soma.role_binding (id, account, role, team) select gen_random_uuid(), id, 'viewer', 'payments' from soma.account where name = 'vera'", NULL);
    db_give(c);
    if (r || auth_issue_token(pool, "vera", "t", vera, NULL))
        return -1;
    server = kit_server(&(struct http_options){.hooks = &hooks, .threads = 2}, audit_routes);
    append("order.create", "ci", "service:a", "payments");
    append("secret.reveal", "ci", "service:a", "payments");
    append("secret.reveal", "dora", "service:b", "search");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (!database)
        return 0;
    http_server_drain(server, 1000);
    http_server_free(server);
    auth_free(auth);
    db_close(pool);
    keyring_free(keys);
    testdb_free(database);
    return fs_remove_tree(folder, NULL);
}

static json_t *get(const char *token, const char *path, int want)
{
    char request[1600];
    if (!database)
        skip();
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", path, token);
    struct answer a = kit_ask(server, request);
    if (a.status != want)
        fail_msg("%s answered %d: %s", path, a.status, buf_cstr(&a.body));
    json_t *j = json_loadb(a.body.data, a.body.len, 0, NULL);
    assert_non_null(j);
    kit_answer_done(&a);
    return j;
}

/* The actions of a list, newest first, in one text. */
static void lists(const char *token, const char *query, const char *want)
{
    char path[1400];
    BUF_AUTO b = BUF_INIT;
    snprintf(path, sizeof path, "/api/v1/audit%s", query);
    json_t *j = get(token, path, 200), *item;
    size_t i;
    json_array_foreach(json_object_get(j, "items"), i, item)
        buf_printf(&b, "%s:%s ", json_string_value(json_object_get(item, "action")), json_string_value(json_object_get(item, "subject")));
    json_decref(j);
    assert_string_equal(buf_cstr(&b), want);
}

static void test_who_sees_what(void **state)
{
    (void)state;
    lists(vera, "", "secret.reveal:service:a order.create:service:a ");
    lists(vera, "?team=search", "");
    lists(root, "?team=search", "secret.reveal:service:b ");
    lists(root, "?action=secret.reveal", "secret.reveal:service:b secret.reveal:service:a ");
    lists(root, "?action=person.*", "person.create:account:root ");
    lists(root, "?action=secret", "");
    lists(root, "?actor=dora", "secret.reveal:service:b ");
    lists(root, "?actor=olga&subject=service%3Aa", "secret.reveal:service:a order.create:service:a ");
    lists(root, "?actor=ci&since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z", "secret.reveal:service:a order.create:service:a ");
    lists(root, "?actor=ci&since=2100-01-01T00:00:00Z", "");
    json_decref(get(root, "/api/v1/audit?since=soon", 400));
    json_decref(get(root, "/api/v1/audit?cursor=x", 400));
    json_t *j = get(vera, "/api/v1/audit?limit=1", 200), *item = json_array_get(json_object_get(j, "items"), 0);
    assert_string_equal(json_string_value(json_object_get(item, "person")), "olga");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(item, "detail"), "n")), 1);
    assert_int_equal(strlen(json_string_value(json_object_get(item, "hash"))), 64);
    json_decref(j);
}

static void test_pages(void **state)
{
    (void)state;
    char query[1300];
    json_t *j = get(vera, "/api/v1/audit?limit=1&actor=ci", 200);
    snprintf(query, sizeof query, "?limit=1&actor=ci&cursor=%s", json_string_value(json_object_get(j, "next")));
    json_decref(j);
    lists(vera, query, "order.create:service:a ");
}

static void test_verify(void **state)
{
    (void)state;
    char path[200];
    json_decref(get(vera, "/api/v1/audit/verify", 403));
    json_t *j = get(root, "/api/v1/audit/verify", 200);
    assert_true(json_is_true(json_object_get(j, "intact")));
    assert_true(json_integer_value(json_object_get(j, "entries")) >= 6);
    snprintf(path, sizeof path, "/api/v1/audit/verify?anchor=%s", json_string_value(json_object_get(json_object_get(j, "head"), "anchor")));
    json_decref(j);
    append("order.create", "ci", "service:c", "search");
    j = get(root, path, 200);
    assert_true(json_is_true(json_object_get(j, "intact")));
    json_decref(j);
    path[strlen(path) - 1] ^= 1;
    j = get(root, path, 200);
    assert_true(json_is_false(json_object_get(j, "intact")));
    assert_non_null(strstr(json_string_value(json_object_get(j, "problem")), "anchor"));
    json_decref(j);
    json_decref(get(root, "/api/v1/audit/verify?anchor=1", 400));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_who_sees_what), cmocka_unit_test(test_pages), cmocka_unit_test(test_verify)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
