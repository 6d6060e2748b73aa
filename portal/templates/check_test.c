/* The check of a folder: a golden path in order, and one mutation for each thing that is refused, with the line it must name. */
#include "portal/core/fs.h"
#include "portal/git/testgit.h"
#include "portal/templates/templates.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static const char manifest[] =
    "apiVersion: soma/v1\n"                                                     /* 1 */
    "kind: Template\n"                                                          /* 2 */
    "metadata:\n"                                                               /* 3 */
    "  name: little-db\n"                                                       /* 4 */
    "  title: A little database\n"                                              /* 5 */
    "  tags: [database]\n"                                                      /* 6 */
    "spec:\n"                                                                   /* 7 */
    "  owner: platform\n"                                                       /* 8 */
    "  type: database\n"                                                        /* 9 */
    "  engine: \">= 1.5\"\n"                                                    /* 10 */
    "  module: .\n"                                                             /* 11 */
    "  environments: [local, dev]\n"                                            /* 12 */
    "  parameters:\n"                                                           /* 13 */
    "    type: object\n"                                                        /* 14 */
    "    required: [size]\n"                                                    /* 15 */
    "    properties:\n"                                                         /* 16 */
    "      size:\n"                                                             /* 17 */
    "        type: string\n"                                                    /* 18 */
    "        enum: [small, large]\n"                                            /* 19 */
    "        ui:widget: radio\n"                                                /* 20 */
    "  generate:\n"                                                             /* 21 */
    "    password: {type: password, length: 24}\n"                              /* 22 */
    "  outputs:\n"                                                              /* 23 */
    "    host: {title: Host}\n"                                                 /* 24 */
    "    url: {title: URL, sensitive: true}\n"                                  /* 25 */
    "  monitoring:\n"                                                           /* 26 */
    "    rules: rules.yaml\n"                                                   /* 27 */
    "    labels: {datname: \"${name}\"}\n"                                      /* 28 */
    "  catalog:\n"                                                              /* 29 */
    "    endpoints:\n"                                                          /* 30 */
    "      - {title: PostgreSQL, url: \"postgresql://${outputs.host}/\"}\n"; /* 31 */

static const char module[] =
    "variable \"soma\" {\n  type = object({ name = string })\n}\n"              /* 1-3 */
    "variable \"size\" {\n  type = string\n}\n"                                 /* 4-6 */
    "variable \"password\" {\n  type      = string\n  sensitive = true\n}\n"    /* 7-10 */
    "output \"host\" {\n  value = \"h\"\n}\n"                                   /* 11-13 */
    "output \"url\" {\n  value     = var.password\n  sensitive = true\n}\n";    /* 14-17 */

static const char rules[] = "groups:\n  - name: g\n    rules:\n      - alert: Down\n        expr: up == 0\n";

static char *base; /* base/db is the golden path */

static int setup(void **state)
{
    (void)state;
    base = testgit_folder();
    testgit_write(base, "db/template.yaml", manifest);
    testgit_write(base, "db/main.tf", module);
    testgit_write(base, "db/rules.yaml", rules);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    testgit_remove(base);
    return 0;
}

static char *replaced(const char *text, const char *from, const char *to)
{
    BUF_AUTO b = BUF_INIT;
    const char *at = strstr(text, from);
    if (!at)
        fail_msg("the sample does not hold: %s", from);
    buf_add(&b, text, (size_t)(at - text));
    buf_str(&b, to);
    buf_str(&b, at + strlen(from));
    return buf_take(&b, NULL);
}

static void print_report(const struct template_report *r)
{
    for (size_t i = 0; i < r->n_findings; i++)
        print_message("    %s:%d: %s\n", r->findings[i].path, r->findings[i].line, r->findings[i].reason);
}

static bool has_finding(const struct template_report *r, const char *path, int line, const char *words)
{
    for (size_t i = 0; i < r->n_findings; i++)
        if (strcmp(r->findings[i].path, path) == 0 && r->findings[i].line == line && strstr(r->findings[i].reason, words))
            return true;
    return false;
}

static void check(struct template_report *r)
{
    struct err e = ERR_INIT;
    char dir[300];
    snprintf(dir, sizeof(dir), "%s/db", base);
    if (templates_check_dir(dir, r, &e) != 0)
        fail_msg("%s", e.msg);
}

/* The folder must have this finding and no golden path in order. */
static void expect(const char *path, int line, const char *words)
{
    struct template_report r;
    check(&r);
    if (!has_finding(&r, path, line, words) || r.n_names) {
        print_report(&r);
        fail_msg("expected %s:%d: ...%s...", path, line, words);
    }
    templates_report_done(&r);
}

static void good_one_is_in_order(void **state)
{
    (void)state;
    struct template_report r;
    check(&r);
    print_report(&r);
    assert_int_equal(r.n_findings, 0);
    assert_int_equal(r.n_names, 1);
    assert_string_equal(r.names[0], "little-db");
    templates_report_done(&r);
}

/* from -> to in the manifest must be refused at that line with these words. */
static void broken_manifests_name_their_line(void **state)
{
    (void)state;
    static const struct { const char *from, *to; int line; const char *words; } cases[] = {
        {"apiVersion: soma/v1", "apiVersion: v1", 1, "/apiVersion"},
        {"kind: Template", "kind: Component", 2, "/kind"},
        {"  name: little-db\n", "", 3, "name"},
        {"name: little-db", "name: Little_DB", 4, "/metadata/name"},
        {"name: little-db", "name: repositories", 4, "/metadata/name"},
        {"  title: A little database", "  titel: A little database", 5, "titel"},
        {"tags: [database]", "tags: database", 6, "/metadata/tags"},
        {"  owner: platform\n", "", 7, "owner"},
        {"type: database", "type: 7", 9, "/spec/type"},
        {"engine: \">= 1.5\"", "engine: \"newest\"", 10, "no version constraint"},
        {"module: .", "module: ../other", 11, "/spec/module"},
        {"module: .", "module: nowhere", 11, "/spec/module"},
        {"module: .", "modul: .", 11, "modul"},
        {"module: .", "module: .\n  destroy: { endSessions: mysql }", 12, "/spec/destroy/endSessions"},
        {"module: .", "module: .\n  name: { nott: { const: a } }", 12, "nott"},
        {"module: .", "module: .\n  name: { type: integer }", 12, "/spec/name/type"},
        {"module: .", "module: .\n  name: { pattern: \"(\" }", 12, "/spec/name/pattern"},
        {"module: .", "module: .\n  name: small", 12, "/spec/name"},
        {"[local, dev]", "[local, local]", 12, "/spec/environments"},
        {"    type: object\n", "", 13, "type"},
        {"required: [size]", "required: [size, colour]", 15, "colour"},
        {"        type: string", "        type: strnig", 18, "/spec/parameters/properties/size/type"},
        {"enum: [small, large]", "enumm: [small, large]", 19, "enumm"},
        {"enum: [small, large]", "default: 7", 19, "default"},
        {"      size:\n", "      size: {}\n      soma:\n", 18, "reserved"},
        {"      size:\n", "      size: {}\n      9lives:\n", 18, "variable"},
        {"      size:\n", "      size: {}\n      password:\n", 18, "generated"},
        {"      size:\n", "      size: {}\n      colour:\n", 18, "no variable \"colour\""},
        {"required: [size]", "required: []", -4, "variable \"size\" has no default"},
        {"length: 24", "length: 2", 22, "/spec/generate/password/length"},
        {"type: password", "type: passwort", 22, "/spec/generate/password/type"},
        {"    password: {", "    secret: {", 22, "no variable \"secret\""},
        {"    host: {", "    hots: {", 24, "no output \"hots\""},
        {", sensitive: true}", "}", 25, "sensitive"},
        {"rules: rules.yaml", "rules: none.yaml", 27, "not there"},
        {"rules: rules.yaml", "rules: ../rules.yaml", 27, "must lie in"},
        {"${name}", "${nam}", 28, "not known"},
        {"${outputs.host}", "${outputs.url}", 31, "sensitive"},
        {"${outputs.host}", "${outputs.x}", 31, "names no output"},
        {"${outputs.host}", "${parameters.x}", 31, "names no parameter"},
        {"${outputs.host}", "${outputs.host", 31, "${"},
        {"kind: Template", "kind: [", 4, ""},
        {"kind: Template", "kind: Template\nkind: Template", 3, "twice"},
        {"kind: Template", "kind: !!python/object Template", 2, ""},
        {"title: A little database", "title: \"a\\0b\"", 5, ""},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct template_report r;
        char *text = replaced(manifest, cases[i].from, cases[i].to);
        testgit_write(base, "db/template.yaml", text);
        free(text);
        check(&r);
        bool in_module = cases[i].line < 0;
        if (r.n_names || !has_finding(&r, in_module ? "main.tf" : "template.yaml", abs(cases[i].line), cases[i].words)) {
            print_message("`%s` -> `%s` should say %d: %s, but says:\n", cases[i].from, cases[i].to, cases[i].line, cases[i].words);
            print_report(&r);
            failed++;
        }
        templates_report_done(&r);
    }
    assert_int_equal(failed, 0);
}

static void repositories_are_held_against_their_skeleton(void **state)
{
    (void)state;
    struct template_report r;
    char *good = replaced(manifest, "  catalog:\n",
                          "  repository:\n"                                           /* 29 */
                          "    skeleton: skel\n"                                        /* 30 */
                          "    name: ${team}-${name}\n"                                 /* 31 */
                          "    branch: main\n"                                          /* 32 */
                          "    values:\n"                                               /* 33 */
                          "      service: ${name}\n"                                    /* 34 */
                          "      host: ${outputs.host}\n"                               /* 35 */
                          "  catalog:\n    description: ${outputs.repository_url}\n"); /* 36-37 */
    testgit_run(base, "mkdir -p 'db/skel/${service}'; echo '${host} ${HOME}' >'db/skel/${service}/x'");
    testgit_write(base, "db/template.yaml", good);
    check(&r);
    print_report(&r);
    assert_int_equal(r.n_findings, 0);
    templates_report_done(&r);
    static const struct { const char *from, *to; int line; const char *words; } cases[] = {
        {"skeleton: skel", "skeleton: none", 30, "no file"}, {"skeleton: skel", "skeleton: .", 30, "within"}, {"skeleton: skel", "skeleton: ../skel", 30, "within"},
        {"    skeleton: skel\n", "", 29, "skeleton"}, {"skeleton: skel", "skeleto: skel", 30, "skeleto"},
        {"${team}-${name}", "${team}-${outputs.host}", 31, "before anything is made"}, {"${team}-${name}", "${teem}", 31, "not known"},
        {"branch: main", "branch: a..b", 32, "branch"}, {"branch: main", "branch: -x", 32, "branch"}, {"branch: main", "branch: refs/heads/x", 32, "branch"},
        {"service: ${name}", "service: ${nam}", 34, "not known"}, {"service: ${name}", "sevice: ${name}", 34, "no file of the skeleton holds"},
        {"${outputs.host}", "${outputs.url}", 35, "sensitive"}, {"host: ${outputs.host}", "host: ${outputs.repository_url}", 35, "before the repository"},
        {"    url: {", "    repository_url: {title: R}\n    url: {", 25, "made by spec.repository"},
        {"datname: \"${name}\"", "datname: \"${outputs.repository_url}\"", 28, "only spec.catalog"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = replaced(good, cases[i].from, cases[i].to);
        testgit_write(base, "db/template.yaml", text);
        free(text);
        expect("template.yaml", cases[i].line, cases[i].words);
    }
    testgit_write(base, "db/template.yaml", good);
    testgit_run(base, "echo x >'db/skel/${colour}.txt'");
    expect("skel/${colour}.txt", 0, "in its name");
    free(good);
}

static void broken_modules_name_their_line(void **state)
{
    (void)state;
    static const struct { const char *from, *to; const char *path; int line; const char *words; } cases[] = {
        {"variable \"soma\"", "variable \"sonne\"", "template.yaml", 11, "soma"},
        {"variable \"soma\"", "variable \"sonne\"", "main.tf", 1, "sonne"},
        {"variable \"size\"", "variable \"siez\"", "template.yaml", 17, "no variable \"size\""},
        {"  sensitive = true\n}\noutput \"host\"", "}\noutput \"host\"", "main.tf", 7, "sensitive"},
        {"  sensitive = true\n}\n", "  sensitive = true\n}\nvariable \"more\" {}\n", "main.tf", 11, "has no default"},
        {"output \"host\" {\n  value = \"h\"\n}", "output \"host\" {\n  value = \"h\"\n  sensitive = true\n}", "template.yaml", 24, "sensitive"},
        {"output \"host\"", "resource \"x\" \"y\" {\n  provisioner \"local-exec\" {}\n}\noutput \"host\"", "main.tf", 12, "provisioner"},
        {"output \"host\"", "terraform {\n  backend \"s3\" {}\n}\noutput \"host\"", "main.tf", 12, "backend"},
        {"output \"host\"", "data \"external\" \"x\" {}\noutput \"host\"", "main.tf", 11, "external"},
        {"output \"host\"", "module \"m\" {\n  source = \"../../outside\"\n}\noutput \"host\"", "main.tf", 12, ""},
        {"output \"host\"", "module \"m\" {\n  source = \"git::https://example.com/x\"\n}\noutput \"host\"", "main.tf", 12, ""},
        {"output \"host\" {", "output \"host\"", "main.tf", 11, ""},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct template_report r;
        char *text = replaced(module, cases[i].from, cases[i].to);
        testgit_write(base, "db/main.tf", text);
        free(text);
        check(&r);
        if (r.n_names || !has_finding(&r, cases[i].path, cases[i].line, cases[i].words)) {
            print_message("`%s` -> `%s` should say %s:%d: %s, but says:\n", cases[i].from, cases[i].to, cases[i].path, cases[i].line, cases[i].words);
            print_report(&r);
            failed++;
        }
        templates_report_done(&r);
    }
    assert_int_equal(failed, 0);
}

static void hostile_files_are_named(void **state)
{
    (void)state;
    testgit_run(base, "cd db; ln -s /etc/passwd stolen");
    expect("stolen", 0, "symbolic link to \"/etc/passwd\"");
    testgit_run(base, "cd db; rm stolen; ln -s . loop");
    expect("loop", 0, "symbolic link");
    testgit_run(base, "cd db; rm loop; ln -s rules.yaml other.tf");
    expect("other.tf", 0, "symbolic link");
    testgit_run(base, "cd db; rm other.tf; mkfifo pipe");
    expect("pipe", 0, "neither a file nor a folder");
    testgit_run(base, "cd db; rm pipe; truncate -s 1G huge.bin");
    expect("huge.bin", 0, "1.0 GiB");
    testgit_run(base, "cd db; rm huge.bin; printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:1\\nsize 1\\n' >model.bin");
    expect("model.bin", 0, "LFS");
    testgit_run(base, "cd db; rm model.bin; touch 'a\\b'");
    expect("a\\b", 0, "backslash");
    testgit_run(base, "cd db; rm 'a\\b'; touch $(printf 'bad\\377')");
    expect("bad\xef\xbf\xbd", 0, "UTF-8");
    testgit_run(base, "cd db; rm bad*; mkdir sub; touch sub/.git sub/x");
    expect("sub", 0, "submodule");
    testgit_run(base, "cd db; rm -r sub; touch override.tf");
    expect("override.tf", 0, "");
    testgit_run(base, "cd db; rm override.tf; touch x.auto.tfvars");
    expect("x.auto.tfvars", 0, "");
}

static void limits_are_kept(void **state)
{
    (void)state;
    testgit_run(base, "cd db; mkdir many; cd many; seq 1 2001 | xargs touch");
    expect("template.yaml", 0, "files");
    testgit_run(base, "cd db; rm -r many; for i in 1 2 3 4 5; do head -c 1000000 /dev/zero >big$i; done");
    expect("template.yaml", 0, "4 MiB");
    testgit_run(base, "cd db; for i in $(seq 1 20); do head -c 1000000 /dev/zero >big$i; done");
    struct template_report r;
    check(&r);
    assert_int_equal(r.n_names, 0);
    templates_report_done(&r);
}

static void broken_files_of_monitoring_are_named(void **state)
{
    (void)state;
    testgit_write(base, "db/rules.yaml", "groups:\n  - name: g\n    rules:\n      - alert: Down\n");
    expect("rules.yaml", 4, "expr");
    testgit_write(base, "db/rules.yaml", "groups: [\n");
    expect("rules.yaml", 2, "");
    testgit_write(base, "db/rules.yaml", "alerts: []\n");
    expect("rules.yaml", 1, "groups");
    testgit_write(base, "db/rules.yaml", rules);
    char *text = replaced(manifest, "rules: rules.yaml", "dashboard: board.json");
    testgit_write(base, "db/template.yaml", text);
    free(text);
    testgit_write(base, "db/board.json", "{\n  \"panels\": [,]\n}\n");
    expect("board.json", 2, "JSON");
    testgit_write(base, "db/board.json", "{}");
    expect("board.json", 1, "panels");
}

static void one_broken_does_not_hide_others(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct template_report r;
    char *text = replaced(manifest, "little-db", "other-db");
    testgit_run(base, "mkdir many; cp -r db many/first; cp -r db many/second; cp -r db many/third; cp -r db many/nested; mkdir many/nested/in; cp db/* many/nested/in");
    testgit_write(base, "many/first/template.yaml", "kind: [");
    testgit_write(base, "many/third/template.yaml", text);
    free(text);
    text = replaced(manifest, "little-db", "outer-db");
    testgit_write(base, "many/nested/template.yaml", text);
    free(text);
    text = replaced(manifest, "little-db", "inner-db");
    testgit_write(base, "many/nested/in/template.yaml", text);
    free(text);
    char dir[300];
    snprintf(dir, sizeof(dir), "%s/many", base);
    assert_int_equal(templates_check_dir(dir, &r, &e), 0);
    print_report(&r);
    assert_int_equal(r.n_names, 4);
    assert_int_equal(r.n_manifests, 5);
    assert_true(has_finding(&r, "first/template.yaml", 2, ""));
    assert_int_equal(r.n_findings, 1);
    templates_report_done(&r);
    /* one name twice in a repository */
    testgit_write(base, "many/third/template.yaml", manifest);
    assert_int_equal(templates_check_dir(dir, &r, &e), 0);
    assert_true(has_finding(&r, "third/template.yaml", 4, "already"));
    assert_int_equal(r.n_names, 3);
    templates_report_done(&r);
}

static void shared_modules_are_reached_within_the_work_tree(void **state)
{
    (void)state;
    testgit_run(base, "git init -q .");
    testgit_write(base, "modules/naming/main.tf", "variable \"x\" {\n  type = string\n}\n");
    char *text = replaced(module, "output \"host\"", "module \"m\" {\n  source = \"../modules/naming\"\n  x      = 1\n}\noutput \"host\"");
    testgit_write(base, "db/main.tf", text);
    free(text);
    good_one_is_in_order(NULL);
    testgit_write(base, "modules/naming/main.tf", "data \"http\" \"x\" {\n}\n");
    expect("../modules/naming/main.tf", 1, "http");
}

static void what_lies_beside_does_not_matter_before_a_push(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct template_report r;
    testgit_run(base, "git init -q .; ln -s . circle; ln -s /etc out; truncate -s 1G huge; mkdir -p .cache/x node_modules/y; cp -r db .cache/x/z");
    good_one_is_in_order(NULL);
    assert_int_equal(templates_check_dir(base, &r, &e), 0);
    assert_int_equal(r.n_manifests, 2);
    templates_report_done(&r);
}

static void no_golden_path_is_an_error(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct template_report r;
    char dir[300];
    testgit_run(base, "mkdir empty");
    snprintf(dir, sizeof(dir), "%s/empty", base);
    assert_int_equal(templates_check_dir(dir, &r, &e), ERR_NOT_FOUND);
    snprintf(dir, sizeof(dir), "%s/nowhere", base);
    assert_int_equal(templates_check_dir(dir, &r, &e), ERR_NOT_FOUND);
}

#define each_anew(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each_anew(good_one_is_in_order), each_anew(broken_manifests_name_their_line), each_anew(broken_modules_name_their_line), each_anew(repositories_are_held_against_their_skeleton), each_anew(hostile_files_are_named),
        each_anew(limits_are_kept), each_anew(broken_files_of_monitoring_are_named), each_anew(one_broken_does_not_hide_others),
        each_anew(shared_modules_are_reached_within_the_work_tree), each_anew(what_lies_beside_does_not_matter_before_a_push), each_anew(no_golden_path_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
