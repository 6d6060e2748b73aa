/* Rendering, by itself and against promtool where there is one. The built-in golden paths' own files are among the cases. */
#include "portal/core/fs.h"
#include "portal/json/json.h"
#include "portal/json/schema.h"
#include "portal/json/yaml.h"
#include "portal/monitoring/monitoring_private.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static json_t *values(const char *database)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:{s:s},s:{s:s,s:i,s:s,s:s,s:s,s:n},s:{s:s}}", "name", "orders-db", "team", "payments", "owner", "ada {{ x", "environment", "local",
                     "region", "eu-central-1", "cost_centre", "cc-7", "parameters", "size", "small", "outputs", "database", database, "connection_limit", 20,
                     "bucket", "orders-db-local-1", "name", "orders-db-local", "region", "eu-central-1", "dead_letter_name", "settings", "secret_thing", "s");
}

static const char *rules(const char *text, const json_t *v, struct arena *a)
{
    struct err e = ERR_INIT;
    const char *out = NULL;
    if (monitoring_render_rules("rules.yaml", text, strlen(text), v, a, &out, &e))
        fail_msg("%s", e.msg);
    return out;
}

static void refused(const char *text, const char *words)
{
    struct err e = ERR_INIT;
    ARENA_AUTO a = arena_new();
    const char *out;
    json_t *v = values("orders-db");
    assert_int_equal(monitoring_render_rules("rules.yaml", text, strlen(text), v, a, &out, &e), ERR_INVALID);
    json_decref(v);
    if (!strstr(e.msg, words) || strncmp(e.msg, "rules.yaml", 10) != 0)
        fail_msg("\"%s\" has no \"%s\"", e.msg, words);
}

#define RULE(expr) "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: " expr "\n"

static void values_stand_where_they_are_named(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    struct err e = ERR_INIT;
    json_t *v = values("orders-db"), *doc;
    const char *out = rules(RULE("'x{d=\"{{ soma.outputs.database }}\"} > {{soma.outputs.connection_limit}} # {{ $value }}'") "        labels: {severity: warning, team: other}\n"
                            "        annotations: {summary: \"{{ soma.name }}: {{ $value | humanize }}\"}\n", v, a);
    assert_true(strncmp(out, "groups:\n", 8) == 0);
    assert_int_equal(yaml_read(out, strlen(out), NULL, NULL, NULL, &doc, NULL, &e), 0);
    assert_string_equal(json_string_value(json_pointer_get(doc, "/groups/0/name")), "orders-db/g");
    assert_string_equal(json_string_value(json_pointer_get(doc, "/groups/0/rules/0/expr")), "x{d=\"orders-db\"} > 20 # {{ $value }}");
    assert_string_equal(json_string_value(json_pointer_get(doc, "/groups/0/rules/0/annotations/summary")), "orders-db: {{ $value | humanize }}");
    assert_string_equal(json_string_value(json_pointer_get(doc, "/groups/0/rules/0/labels/team")), "payments");
    assert_string_equal(json_string_value(json_pointer_get(doc, "/groups/0/rules/0/labels/service")), "orders-db");
    assert_string_equal(json_string_value(json_pointer_get(doc, "/groups/0/rules/0/labels/owner")), "ada {{ \"{{\" }} x");
    json_decref(doc);
    json_decref(v);
}

static void a_value_cannot_leave_its_place(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    struct err e = ERR_INIT;
    json_t *v = values("x\"} or up{a=\"\n- alert: B\\"), *doc;
    const char *out = rules(RULE("'x{d=\"{{ soma.outputs.database }}\"} > 1'") "        annotations: {summary: '{{ soma.outputs.database }}'}\n", v, a);
    assert_int_equal(yaml_read(out, strlen(out), NULL, NULL, NULL, &doc, NULL, &e), 0);
    assert_int_equal(json_array_size(json_pointer_get(doc, "/groups/0/rules")), 1);
    assert_string_equal(json_string_value(json_pointer_get(doc, "/groups/0/rules/0/expr")), "x{d=\"x\\x22} or up{a=\\x22\\n- alert: B\\\\\"} > 1");
    json_decref(doc);
    const char *dashboard = "{\"title\": \"{{ soma.outputs.database }}\", \"panels\": [], \"id\": 5}", *board;
    assert_int_equal(monitoring_render_dashboard("d.json", dashboard, strlen(dashboard), v, a, &board, &e), 0);
    assert_int_equal(json_read(board, strlen(board), 0, &doc, &e), 0);
    assert_string_equal(json_string_value(json_object_get(doc, "title")), "x\"} or up{a=\"\n- alert: B\\");
    assert_string_equal(json_string_value(json_object_get(doc, "uid")), "orders-db");
    assert_null(json_object_get(doc, "id"));
    json_decref(doc);
    json_decref(v);
}

static void what_prometheus_would_refuse_is_refused(void **state)
{
    (void)state;
    refused(RULE("x{d=\"{{ soma.outputs.missing }}\"}"), "names no single value");
    refused(RULE("'{{ soma.settings.secret_thing }}'"), "names no single value");
    refused(RULE("'{{ soma.outputs }}'"), "names no single value");
    refused(RULE("'{{ soma.name | upper }}'"), "is no placeholder");
    refused(RULE("'x ('"), "rules.yaml:5: /groups/0/rules/0/expr has a bracket");
    refused(RULE("'x{a=\"}'"), "quote that is not closed");
    refused(RULE("'x)'"), "closes a bracket");
    refused(RULE("x") "        fore: 5m\n", "rules.yaml:6: /groups/0/rules/0/fore is not known; did you mean for?");
    refused(RULE("x") "        for: 5 minutes\n", "rules.yaml:6");
    refused(RULE("5"), "must be text");
    refused("groups: []\n", "at least 1 item");
    refused("a: 1\n", "groups is required");
    refused("groups:\n  - name: g\n    rules:\n      - record: a:b\n        expr: x\n        for: 5m\n", "rules.yaml:6");
    refused("groups:\n  - name: g\n    rules:\n      - expr: x\n", "alert is required");
    refused("groups:\n  - name: g\n    rules: [{alert: A, expr: x}]\n  - name: g\n    rules: [{alert: A, expr: x}]\n", "same name");
    refused("groups: [", "rules.yaml:");
}

static void expressions_are_looked_over(void **state)
{
    (void)state;
    assert_null(monitoring_expression_problem("sum(rate(x{a=\"(\\\"\", b='[', c=`{\\`}[5m])) # (\n > 0"));
    assert_non_null(monitoring_expression_problem("sum(rate(x[5m))"));
    assert_non_null(monitoring_expression_problem("x{a='}"));
    assert_non_null(monitoring_expression_problem("((("));
}

static void targets_are_as_prometheus_wants_them(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"127.0.0.1:9187", "{\"labels\":{\"__meta_soma_services\":\",a,b,\",\"environment\":\"local\",\"exporter\":\"postgresql\"},\"targets\":[\"127.0.0.1:9187\"]}"},
        {"https://x.example.org:9187/m", "{\"labels\":{\"__meta_soma_services\":\",a,b,\",\"__metrics_path__\":\"/m\",\"__scheme__\":\"https\",\"environment\":\"local\","
                                         "\"exporter\":\"postgresql\"},\"targets\":[\"x.example.org:9187\"]}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        BUF_AUTO out = BUF_INIT;
        json_t *group = monitoring_target(cases[i][0], "local", "postgresql", "a,b");
        json_write(group, &out);
        assert_string_equal(buf_cstr(&out), cases[i][1]);
        json_decref(group);
    }
    BUF_AUTO line = BUF_INIT;
    json_t *labels = json_pack("{s:s,s:s,s:i}", "datname", "a\"\\\n", "team", "forged", "n", 5);
    monitoring_info_line(&line, "a", "payments", "local", "ada", "postgres-database", labels);
    assert_string_equal(buf_cstr(&line), "soma_service_info{service=\"a\",team=\"payments\",environment=\"local\",owner=\"ada\",template=\"postgres-database\",datname=\"a\\\"\\\\\\n\"} 1\n");
    json_decref(labels);
}

/* promtool beside the Prometheus that SOMA_PROMETHEUS names, or on PATH; NULL: none. */
static const char *promtool(struct arena *a)
{
    const char *prometheus = getenv("SOMA_PROMETHEUS"), *path = getenv("PATH");
    const char *slash = prometheus ? strrchr(prometheus, '/') : NULL;
    const char *dirs = slash ? arena_printf(a, "%.*s", (int)(slash - prometheus), prometheus) : path ? path : "";
    while (*dirs) {
        size_t n = strcspn(dirs, ":");
        const char *file = arena_printf(a, "%.*s/promtool", (int)n, dirs);
        if (access(file, X_OK) == 0)
            return file;
        dirs += n + (dirs[n] == ':');
    }
    return NULL;
}

static int check_rules(const char *tool, const char *text)
{
    char path[] = "/tmp/soma-rules-XXXXXX";
    int fd = mkstemp(path), status;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    pid_t child = fork();
    if (child == 0) {
        execl(tool, tool, "check", "rules", path, (char *)NULL);
        _exit(127);
    }
    waitpid(child, &status, 0);
    unlink(path);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void read_builtin(const char *template, const char *file, struct buf *text)
{
    struct err e = ERR_INIT;
    char path[400];
    /* This file is compiled with its path from the checkout's root, or an absolute one. */
    snprintf(path, sizeof path, "%.*stemplates/%s/monitoring/%s", (int)(strlen(__FILE__) - strlen("portal/monitoring/render_test.c")), __FILE__, template, file);
    if (fs_read(path, 1 << 20, text, &e))
        fail_msg("%s", e.msg);
}

static const char *const builtin[] = {"postgres-database", "s3-bucket", "sqs-queue"};

static void the_builtin_files_are_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        ARENA_AUTO a = arena_new();
        BUF_AUTO text = BUF_INIT;
        struct err e = ERR_INIT;
        const char *out;
        json_t *v = values("orders-db"), *doc;
        read_builtin(builtin[i], "rules.yaml", &text);
        assert_non_null(strstr(rules(text.data, v, a), "orders-db"));
        buf_clear(&text);
        read_builtin(builtin[i], "dashboard.json", &text);
        if (monitoring_render_dashboard("dashboard.json", text.data, text.len, v, a, &out, &e))
            fail_msg("%s", e.msg);
        assert_null(strstr(out, "{{ soma"));
        assert_non_null(strstr(out, "${datasource}")); /* Grafana's own stay */
        assert_int_equal(json_read(out, strlen(out), 0, &doc, &e), 0);
        assert_true(json_array_size(json_object_get(doc, "panels")) > 0);
        json_decref(doc);
        json_decref(v);
    }
}

static void promtool_takes_the_rules(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    BUF_AUTO all = BUF_INIT;
    const char *tool = promtool(a);
    if (!tool) {
        arena_freep(&a); /* skip() leaves without cleaning up */
        skip();
    }
    buf_str(&all, "groups:\n");
    for (size_t i = 0; i < 3; i++) {
        BUF_AUTO text = BUF_INIT;
        json_t *v = values("o\"r{{d\\e}r's`\n-db");
        read_builtin(builtin[i], "rules.yaml", &text);
        const char *one = rules(text.data, v, a);
        assert_int_equal(check_rules(tool, one), 0);
        buf_str(&all, one + strlen("groups:\n"));
        json_decref(v);
    }
    assert_int_equal(check_rules(tool, all.data), 0);
    assert_int_not_equal(check_rules(tool, "groups:\n  - nam: x\n"), 0);
}

static void the_schema_of_rules_compiles(void **state)
{
    (void)state;
    assert_non_null(monitoring_rules_schema());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_schema_of_rules_compiles), cmocka_unit_test(values_stand_where_they_are_named), cmocka_unit_test(a_value_cannot_leave_its_place),
        cmocka_unit_test(what_prometheus_would_refuse_is_refused), cmocka_unit_test(expressions_are_looked_over), cmocka_unit_test(targets_are_as_prometheus_wants_them),
        cmocka_unit_test(the_builtin_files_are_in_order), cmocka_unit_test(promtool_takes_the_rules),
    };
    return cmocka_run_group_tests_name("monitoring/render", tests, NULL, NULL);
}
