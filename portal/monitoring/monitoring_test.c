/* The step and the routes on a real database, with the built-in golden paths published from a real repository. */
#include "monitoring_queries.h"
#include "portal/auth/auth.h"
#include "portal/core/fs.h"
#include "portal/crypto/keyring.h"
#include "portal/db/testdb.h"
#include "portal/git/git.h"
#include "portal/git/testgit.h"
#include "portal/http/testkit.h"
#include "portal/json/json.h"
#include "portal/json/schema.h"
#include "portal/json/yaml.h"
#include "portal/monitoring/monitoring_private.h"
#include "portal/secrets/secrets.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct testdb *test;
static struct db *pool;
static struct db_conn *conn;
static struct keyring *keys;
static char *base;
static struct http_server *server;
static struct arena *arena;
static struct template_version version;

static struct principal viewer; /* of team payments */

static int as_viewer(struct http_req *r, struct err *e)
{
    (void)e;
    r->who = &viewer;
    return 0;
}

static void publish_builtin(void)
{
    struct err e = ERR_INIT;
    char url[300], secret[65];
    DB_RESULT_AUTO problems = NULL;
    static const struct db_query listed = {"listed_problems", "select path, line::text, reason from template_problem union all select name, '0', problem from template_repository where problem is not null"};
    testgit_run(base, "mkdir paths; cp -r '%.*stemplates/.' paths/", (int)(strlen(__FILE__) - strlen("portal/monitoring/monitoring_test.c")), __FILE__);
    testgit_run(base, "cd paths; git init -q -b main .; git add -A; git commit -q -m x");
    snprintf(url, sizeof url, "file://%s/paths", base);
    if (templates_add_repository(conn, "builtin", url, "main", NULL, "test", secret, &e) || templates_refresh(pool, "builtin", NULL, NULL, &e) ||
        db_run(conn, listed, &problems, &e))
        fail_msg("%s", e.msg);
    for (int i = 0; i < db_rows(problems); i++)
        fail_msg("%s:%s: %s", db_str(problems, i, 0), db_str(problems, i, 1), db_str(problems, i, 2));
    if (templates_get(conn, "postgres-database", arena, &version, &e))
        fail_msg("%s", e.msg);
}

static int setup_all(void **state)
{
    static const struct http_hooks hooks = {.authenticate = as_viewer};
    struct err e = ERR_INIT;
    char path[300];
    (void)state;
    test = testdb_new();
    if (!test)
        return 0;
    base = testgit_folder();
    pool = testdb_pool(test, 4);
    arena = arena_new();
    snprintf(path, sizeof path, "%s/keys", base);
    if (keyring_init_file(path, &e) || keyring_open(path, &keys, &e) || db_take(pool, &conn, &e))
        fail_msg("%s", e.msg);
    secrets_set_keyring(keys);
    templates_configure(&(struct templates_options){.db = pool, .data_dir = base, .fetch_ms = 20000});
    publish_builtin();
    viewer = (struct principal){.name = "ada", .n_teams = 1, .teams = calloc(1, sizeof *viewer.teams)};
    viewer.teams[0].team = "payments";
    viewer.teams[0].roles = ROLE_VIEWER;
    monitoring_set_db(pool);
    struct http_options o = {.threads = 2, .hooks = &hooks, .header_timeout_ms = 5000, .body_timeout_ms = 5000};
    server = kit_server(&o, monitoring_routes);
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    if (!test)
        return 0;
    if (server)
        http_server_drain(server, 1000);
    http_server_free(server);
    free(viewer.teams);
    templates_version_done(&version);
    templates_configure(&(struct templates_options){0});
    db_give(conn);
    db_close(pool);
    testdb_free(test);
    keyring_free(keys);
    arena_free(arena);
    testgit_remove(base);
    return 0;
}

#define need_database() do { if (!test) skip(); } while (0)

static void script(const char *sql)
{
    struct err e = ERR_INIT;
    if (db_script(conn, sql, &e))
        fail_msg("%s", e.msg);
}

static int apply(const char *id, const char *name, const char *team, const char *database)
{
    struct err e = ERR_INIT;
    json_t *values = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:{s:s},s:{s:s*,s:i}}", "name", name, "team", team, "owner", "ada", "environment", "local", "region", "", "cost_centre", "c",
                               "parameters", "size", "small", "outputs", "database", database, "connection_limit", 20);
    struct monitoring_service s = {.id = id, .name = name, .team = team, .environment = "local", .version = &version, .values = values};
    int code = monitoring_apply(conn, &s, arena, &e);
    json_decref(values);
    if (code && code != ERR_INVALID)
        fail_msg("%s", e.msg);
    return code;
}

static const char one[] = "01890000-0000-7000-8000-000000000001", two[] = "01890000-0000-7000-8000-000000000002";

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

static void services_of_one_exporter_are_one_target(void **state)
{
    (void)state;
    need_database();
    kit_expect(server, GET("/api/v1/monitoring/targets"), 200, "[]");
    kit_expect(server, GET("/api/v1/monitoring/rules"), 200, "groups: []");
    script("insert into environment (name, settings) values ('local', '{}')");
    assert_int_equal(apply(one, "orders-db", "payments", "orders-db"), 0);
    assert_int_equal(apply(two, "other-db", "billing", "other-db"), 0);
    kit_expect(server, GET("/api/v1/monitoring/targets"), 200, "[]");
    script("update environment set settings = '{\"exporter\": \"127.0.0.1:9187\"}'");
    struct answer a = kit_ask(server, GET("/api/v1/monitoring/targets"));
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(kit_header(&a, "Content-Type"), "application/json"));
    struct err e = ERR_INIT;
    json_t *groups = NULL;
    assert_int_equal(json_read(a.body.data, a.body.len, 0, &groups, &e), 0);
    assert_int_equal(json_array_size(groups), 1);
    assert_string_equal(json_string_value(json_pointer_get(groups, "/0/targets/0")), "127.0.0.1:9187");
    assert_string_equal(json_string_value(json_pointer_get(groups, "/0/labels/environment")), "local");
    assert_string_equal(json_string_value(json_pointer_get(groups, "/0/labels/__meta_soma_services")), ",orders-db,other-db,");
    json_decref(groups);
    kit_answer_done(&a);
    script("update environment set settings = '{\"exporter\": \"127.0.0.1:9187\", \"exporter_postgresql\": \"127.0.0.1:9188\"}'");
    kit_expect(server, GET("/api/v1/monitoring/targets"), 200, "127.0.0.1:9188");
    kit_expect(server, GET("/api/v1/monitoring/info"), 200,
               "soma_service_info{service=\"orders-db\",team=\"payments\",environment=\"local\",owner=\"ada\",template=\"postgres-database\",datname=\"orders-db\"} 1\n");
}

static void files_are_for_those_who_may_read_the_service(void **state)
{
    (void)state;
    need_database();
    kit_expect(server, GET("/api/v1/services/orders-db/monitoring/rules"), 200, "pg_stat_database_numbackends{datname=\\\"orders-db\\\"} > 0.8 * 20");
    kit_expect(server, GET("/api/v1/services/orders-db/monitoring/dashboard"), 200, "\"uid\": \"orders-db\"");
    kit_expect(server, GET("/api/v1/services/other-db/monitoring/rules"), 404, "other-db");
    kit_expect(server, GET("/api/v1/services/none/monitoring/rules"), 404, "none");
    struct answer a = kit_ask(server, GET("/api/v1/services/orders-db/monitoring/rules"));
    char again[2500];
    snprintf(again, sizeof again, "GET /api/v1/services/orders-db/monitoring/rules HTTP/1.1\r\nHost: x\r\nIf-None-Match: %s\r\n\r\n", kit_header(&a, "ETag"));
    kit_expect(server, again, 304, NULL);
    kit_answer_done(&a);
}

static void all_rules_are_one_file(void **state)
{
    (void)state;
    need_database();
    struct answer a = kit_ask(server, GET("/api/v1/monitoring/rules"));
    struct err e = ERR_INIT;
    json_t *doc = NULL;
    assert_int_equal(yaml_read(a.body.data, a.body.len, "rules", NULL, NULL, &doc, NULL, &e), 0);
    assert_int_equal(json_array_size(json_object_get(doc, "groups")), 2);
    assert_int_equal(schema_validate(monitoring_rules_schema(), doc, "", &e), 0);
    assert_string_equal(json_string_value(json_pointer_get(doc, "/groups/1/rules/0/labels/team")), "billing");
    json_decref(doc);
    kit_answer_done(&a);
}

static void a_second_apply_replaces_and_a_failing_one_changes_nothing(void **state)
{
    (void)state;
    need_database();
    assert_int_equal(apply(one, "orders-db", "payments", "renamed"), 0);
    kit_expect(server, GET("/api/v1/services/orders-db/monitoring/rules"), 200, "renamed");
    assert_int_equal(apply(one, "orders-db", "payments", NULL), ERR_INVALID); /* no output `database` */
    kit_expect(server, GET("/api/v1/services/orders-db/monitoring/rules"), 200, "renamed");
}

static void what_is_removed_is_gone(void **state)
{
    (void)state;
    need_database();
    struct err e = ERR_INIT;
    assert_int_equal(monitoring_remove(conn, one, &e), 0);
    assert_int_equal(monitoring_remove(conn, one, &e), 0);
    kit_expect(server, GET("/api/v1/services/orders-db/monitoring/rules"), 404, "orders-db");
    kit_expect(server, GET("/api/v1/monitoring/targets"), 200, ",other-db,");
    assert_int_equal(monitoring_remove(conn, two, &e), 0);
    kit_expect(server, GET("/api/v1/monitoring/targets"), 200, "[]");
}

int main(int argc, char **argv)
{
    if (git_helper_wanted(argc, argv))
        return git_helper_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(services_of_one_exporter_are_one_target), cmocka_unit_test(files_are_for_those_who_may_read_the_service), cmocka_unit_test(all_rules_are_one_file),
        cmocka_unit_test(a_second_apply_replaces_and_a_failing_one_changes_nothing), cmocka_unit_test(what_is_removed_is_gone),
    };
    return cmocka_run_group_tests_name("monitoring", tests, setup_all, teardown_all);
}
