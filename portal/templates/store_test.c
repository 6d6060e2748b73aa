/* Repositories in git, versions in PostgreSQL: what a refresh publishes, withdraws, refuses and leaves alone. */
#include "portal/core/fs.h"
#include "portal/crypto/keyring.h"
#include "portal/db/testdb.h"
#include "portal/git/git.h"
#include "portal/git/testgit.h"
#include "portal/json/json.h"
#include "portal/secrets/secrets.h"
#include "portal/templates/templates.h"
#include "templates_queries.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static struct testdb *test;
static struct db *pool;
static struct db_conn *conn;
static struct keyring *keys;
static char *base;

static const char module[] = "variable \"soma\" {\n  type = object({ name = string })\n}\nvariable \"size\" {\n  type = string\n}\n"
                             "variable \"password\" {\n  type = string\n  sensitive = true\n}\noutput \"host\" {\n  value = \"h\"\n}\n";

static void write_template(const char *repo, const char *folder, const char *name, const char *title)
{
    char path[300], text[1200];
    snprintf(text, sizeof(text),
             "apiVersion: soma/v1\nkind: Template\nmetadata:\n  name: %s\n  title: %s\n  tags: [one, two]\nspec:\n  owner: platform\n  type: database\n  engine: {tofu: '>= 1.6'}\n"
             "  environments: [local]\n  parameters:\n    type: object\n    properties:\n      size: {type: string, enum: [small, large], default: small}\n"
             "  generate:\n    password: {type: password, length: 40, special: true}\n  outputs:\n    host: {title: Host}\n", name, title);
    snprintf(path, sizeof(path), "%s/%s/template.yaml", repo, folder);
    testgit_write(base, path, text);
    snprintf(path, sizeof(path), "%s/%s/main.tf", repo, folder);
    testgit_write(base, path, module);
}

static void commit(const char *repo)
{
    testgit_run(base, "cd %s; [ -d .git ] || git init -q -b main .; git add -A; git commit -q --allow-empty -m x", repo);
}

static int setup_all(void **state)
{
    struct err e = ERR_INIT;
    char path[300];
    (void)state;
    test = testdb_new();
    if (!test)
        return 0;
    base = testgit_folder();
    pool = testdb_pool(test, 4);
    snprintf(path, sizeof(path), "%s/keys", base);
    if (keyring_init_file(path, &e) || keyring_open(path, &keys, &e) || db_take(pool, &conn, &e))
        fail_msg("%s", e.msg);
    secrets_set_keyring(keys);
    templates_configure(&(struct templates_options){.db = pool, .data_dir = base, .refresh_ms = 60000, .fetch_ms = 20000});
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    if (!test)
        return 0;
    templates_configure(&(struct templates_options){0});
    db_give(conn);
    db_close(pool);
    testdb_free(test);
    keyring_free(keys);
    testgit_remove(base);
    return 0;
}

#define need_database() do { if (!test) skip(); } while (0)

static void add(const char *name, const char *repo)
{
    struct err e = ERR_INIT;
    char url[300], secret[65];
    snprintf(url, sizeof(url), "file://%s/%s", base, repo);
    if (templates_add_repository(conn, name, url, "main", NULL, "test", secret, &e) != 0)
        fail_msg("%s", e.msg);
    assert_int_equal(strlen(secret), 64);
}

static void refresh(const char *name)
{
    struct err e = ERR_INIT;
    if (templates_refresh(pool, name, NULL, NULL, &e) != 0)
        fail_msg("%s", e.msg);
}

static json_t *repository(const char *name)
{
    struct err e = ERR_INIT;
    DB_RESULT_AUTO r = NULL;
    json_t *j = NULL;
    if (db_one(conn, Q_REPOSITORY_DOCUMENT, &r, &e, db_text(name), db_flag(true)) || json_read(db_str(r, 0, 0), strlen(db_str(r, 0, 0)), 0, &j, &e))
        fail_msg("%s", e.msg);
    return j;
}

static void expect_state(const char *name, const char *state, const char *words)
{
    json_auto_t *j = repository(name);
    const char *problem = json_string_value(json_object_get(j, "problem"));
    if (strcmp(json_string_value(json_object_get(j, "state")), state) != 0 || (words && (!problem || !strstr(problem, words))) || (!words && problem))
        fail_msg("%s is %s: %s", name, json_string_value(json_object_get(j, "state")), problem ? problem : "-");
}

static bool has_problem(const char *repo, const char *path, const char *words)
{
    json_auto_t *j = repository(repo);
    json_t *p;
    size_t i;
    bool found = false;
    json_array_foreach(json_object_get(j, "problems"), i, p) {
        if (strcmp(json_string_value(json_object_get(p, "path")), path) == 0 && strstr(json_string_value(json_object_get(p, "reason")), words))
            found = true;
        else
            print_message("    %s: %s\n", json_string_value(json_object_get(p, "path")), json_string_value(json_object_get(p, "reason")));
    }
    return found;
}

/* Number of the current version; 0: there is none or it was withdrawn. */
static int64_t current(const char *name)
{
    struct err e = ERR_INIT;
    ARENA_AUTO a = arena_new();
    TEMPLATE_VERSION_AUTO v = {0};
    int rc = templates_get(conn, name, a, &v, &e);
    assert_true(rc == 0 || rc == ERR_NOT_FOUND);
    return rc == 0 ? v.number : 0;
}

static void versions_are_published_when_content_changes(void **state)
{
    (void)state;
    need_database();
    write_template("one", "db", "first-db", "First");
    commit("one");
    add("one", "one");
    refresh("one");
    expect_state("one", "ready", NULL);
    assert_int_equal(current("first-db"), 1);
    refresh("one");
    testgit_write(base, "one/README.md", "beside");
    commit("one");
    refresh("one");
    assert_int_equal(current("first-db"), 1);
    write_template("one", "db", "first-db", "Better");
    commit("one");
    refresh("one");
    assert_int_equal(current("first-db"), 2);
    write_template("one", "db", "first-db", "First"); /* what was there before is a new version, with the old archive */
    commit("one");
    refresh("one");
    assert_int_equal(current("first-db"), 3);
}

static void broken_one_stays_as_it_was(void **state)
{
    (void)state;
    need_database();
    write_template("two", "a", "good-a", "A");
    write_template("two", "b", "good-b", "B");
    commit("two");
    add("two", "two");
    refresh("two");
    testgit_write(base, "two/a/template.yaml", "apiVersion: soma/v1\nkind: Template\nmetadata: {name: good-a}\n");
    write_template("two", "b", "good-b", "B2");
    commit("two");
    refresh("two");
    assert_true(has_problem("two", "a/template.yaml", "spec"));
    assert_int_equal(current("good-a"), 1);
    assert_int_equal(current("good-b"), 2);
    expect_state("two", "ready", NULL);
    testgit_run(base, "cd two; git rm -rq a");
    commit("two");
    refresh("two");
    assert_int_equal(current("good-a"), 0); /* it left the repository */
    write_template("two", "a", "good-a", "A");
    commit("two");
    refresh("two");
    assert_int_equal(current("good-a"), 1); /* back, the same as it was */
}

static void taken_name_is_a_problem_not_a_takeover(void **state)
{
    (void)state;
    need_database();
    struct err e = ERR_INIT;
    write_template("mine", "db", "wanted", "Mine");
    write_template("yours", "db", "wanted", "Yours");
    write_template("yours", "other", "yours-only", "Other");
    commit("mine");
    commit("yours");
    add("mine", "mine");
    add("yours", "yours");
    refresh("mine");
    refresh("yours");
    assert_true(has_problem("yours", "db/template.yaml", "taken by repository \"mine\""));
    assert_int_equal(current("yours-only"), 1);
    ARENA_AUTO a = arena_new();
    struct template_version v = {0};
    assert_int_equal(templates_get(conn, "wanted", a, &v, &e), 0);
    assert_string_equal(v.title, "Mine");
    assert_string_equal(v.repository, "mine");
    char *id = arena_strdup(a, v.id);
    templates_version_done(&v);
    /* the owner goes: the name is free, the version stays */
    assert_int_equal(templates_remove_repository(conn, "mine", &e), 0);
    assert_int_equal(current("wanted"), 0);
    refresh("yours");
    assert_int_equal(current("wanted"), 2);
    assert_int_equal(templates_get_version(conn, id, a, &v, &e), 0);
    assert_string_equal(v.title, "Mine");
    templates_version_done(&v);
    expect_state("yours", "ready", NULL);
}

static void repository_in_trouble_changes_nothing(void **state)
{
    (void)state;
    need_database();
    write_template("frail", "db", "frail-db", "Frail");
    commit("frail");
    add("frail", "frail");
    refresh("frail");
    testgit_run(base, "mv frail frail-away");
    refresh("frail");
    expect_state("frail", "failed", "there is no repository");
    assert_int_equal(current("frail-db"), 1);
    assert_true(has_problem("frail", "", "there is no repository"));
    testgit_run(base, "mv frail-away frail");
    refresh("frail");
    expect_state("frail", "ready", NULL);
    /* hostile: a tree that no git client makes */
    testgit_run(base, "cd frail; blob=$(echo x | git hash-object -w --stdin); "
                      "tree=$(/usr/bin/python3 -c \"import sys; sys.stdout.buffer.write(b'100644 ..\\\\0' + bytes.fromhex('$blob'))\" | git hash-object -t tree -w --literally --stdin); "
                      "git update-ref HEAD $(git commit-tree $tree -m x)");
    refresh("frail");
    expect_state("frail", "failed", "hostile");
    assert_int_equal(current("frail-db"), 1);
}

static void hostile_content_is_a_problem_of_its_template(void **state)
{
    (void)state;
    need_database();
    static const struct { const char *folder, *command, *path, *words; } cases[] = {
        {"link", "ln -s . link/loop", "link/loop", "symbolic link"},
        {"huge", "truncate -s 1G huge/blob", "huge/blob", "1.0 GiB"},
        {"lfs", "printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:0\\nsize 9\\n' >lfs/model", "lfs/model", "LFS"},
        {"sub", "git update-index --add --cacheinfo 160000,1234567890123456789012345678901234567890,sub/module", "sub/module", "submodule"},
        {"up", "printf 'module \"m\" {\\n  source = \"../../../etc\"\\n}\\n' >>up/main.tf", "up/main.tf", ""},
    };
    size_t n = sizeof(cases) / sizeof(*cases);
    char name[32];
    testgit_run(base, "mkdir -p zoo; cd zoo; git init -q -b main .");
    write_template("zoo", "fine", "zoo-fine", "Fine");
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "zoo-%s", cases[i].folder);
        write_template("zoo", cases[i].folder, name, "Hostile");
        testgit_run(base, "cd zoo; %s", cases[i].command);
    }
    testgit_run(base, "cd zoo; git -c core.bigFileThreshold=1m add link huge lfs up fine sub/main.tf sub/template.yaml; git commit -qm zoo; rm huge/blob");
    add("zoo", "zoo");
    refresh("zoo");
    expect_state("zoo", "ready", NULL);
    assert_int_equal(current("zoo-fine"), 1);
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "zoo-%s", cases[i].folder);
        assert_int_equal(current(name), 0);
        assert_true(has_problem("zoo", cases[i].path, cases[i].words));
    }
}

static void what_lies_beside_is_told(void **state)
{
    (void)state;
    need_database();
    write_template("beside", "db", "beside-db", "Beside");
    testgit_run(base, "cd beside; git init -q -b main .; ln -s . circle; ln -s b a; ln -s a b; ln -s /etc out; ln -s db/main.tf fine; head -c 40000000 /dev/zero >huge; "
                      "git update-index --add --cacheinfo 160000,1234567890123456789012345678901234567890,sub; git add a b circle out fine huge db; git commit -qm x");
    add("beside", "beside");
    refresh("beside");
    expect_state("beside", "ready", NULL);
    assert_int_equal(current("beside-db"), 1);
    assert_true(has_problem("beside", "circle", "circle"));
    assert_true(has_problem("beside", "a", "circle"));
    assert_true(has_problem("beside", "b", "circle"));
    assert_true(has_problem("beside", "out", "out of the repository"));
    assert_true(has_problem("beside", "huge", "38 MiB"));
    assert_true(has_problem("beside", "sub", "submodule"));
    assert_false(has_problem("beside", "fine", ""));
}

static void version_is_independent_of_its_repository(void **state)
{
    (void)state;
    need_database();
    struct err e = ERR_INIT;
    ARENA_AUTO a = arena_new();
    TEMPLATE_VERSION_AUTO v = {0};
    write_template("shared", "paths/db", "shared-db", "Shared");
    testgit_write(base, "shared/modules/naming/main.tf", "terraform {\n  required_providers {\n    postgresql = {\n      source  = \"cyrilgdn/postgresql\"\n      version = \"~> 1.0\"\n    }\n  }\n}\n");
    testgit_write(base, "shared/modules/naming/files/x.sql", "select 1;\n");
    testgit_run(base, "printf 'a\\0b\\377' >shared/modules/naming/files/binary");
    testgit_write(base, "shared/modules/other/main.tf", "\n");
    testgit_write(base, "shared/paths/db/more.tf", "module \"n\" {\n  source = \"../../modules/naming\"\n}\n");
    testgit_write(base, "shared/paths/db/.terraform.lock.hcl", "# lock\n");
    commit("shared");
    add("shared", "shared");
    refresh("shared");
    assert_int_equal(templates_get(conn, "shared-db", a, &v, &e), 0);
    testgit_run(base, "rm -rf shared; mkdir run");
    char dir[300], path[400];
    const char *folder;
    struct stat st;
    snprintf(dir, sizeof(dir), "%s/run", base);
    if (templates_export(conn, v.id, dir, a, &folder, &e) != 0)
        fail_msg("%s", e.msg);
    assert_string_equal(folder, "paths/db");
    static const char *const there[] = {"paths/db/main.tf", "paths/db/template.yaml", "modules/naming/main.tf", "modules/naming/files/x.sql"};
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, there[i]);
        assert_int_equal(lstat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
    }
    snprintf(path, sizeof(path), "%s/modules/other", dir);
    assert_int_equal(lstat(path, &st), -1);
    const char *text;
    size_t len, n;
    assert_int_equal(templates_file(conn, v.id, "../../modules/naming/files/x.sql", a, &text, &len, &e), 0);
    assert_string_equal(text, "select 1;\n");
    assert_int_equal(templates_file(conn, v.id, "../../modules/naming/files/binary", a, &text, &len, &e), 0);
    assert_int_equal(len, 4);
    assert_memory_equal(text, "a\0b\xff", 4);
    assert_int_equal(templates_file(conn, v.id, "none", a, &text, &len, &e), ERR_NOT_FOUND);
    assert_int_equal(templates_file(conn, v.id, "../../../../etc/passwd", a, &text, &len, &e), ERR_NOT_FOUND);
    struct tf_requirement *required;
    assert_int_equal(templates_providers(conn, v.id, a, &required, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_string_equal(required[0].source, "cyrilgdn/postgresql");
    assert_string_equal(required[0].constraint, "~> 1.0");
    assert_string_equal(required[0].lock, "# lock\n");
}

static void parameters_are_judged_and_completed(void **state)
{
    (void)state;
    need_database();
    struct err e = ERR_INIT;
    ARENA_AUTO a = arena_new();
    TEMPLATE_VERSION_AUTO v = {0};
    assert_int_equal(templates_get(conn, "first-db", a, &v, &e), 0);
    json_auto_t *none = NULL, *wrong = json_pack("{s:s}", "size", "enormous"), *unknown = json_pack("{s:s, s:i}", "size", "large", "colour", 1), *full = NULL, *values = NULL;
    assert_int_equal(templates_check_parameters(&v, NULL, &none, &e), 0);
    assert_string_equal(json_string_value(json_object_get(none, "size")), "small");
    assert_int_equal(templates_check_parameters(&v, wrong, &full, &e), ERR_INVALID);
    assert_string_equal(e.fields[0].pointer, "/parameters/size");
    struct err u = ERR_INIT;
    assert_int_equal(templates_check_parameters(&v, unknown, &full, &u), ERR_INVALID);
    assert_string_equal(u.fields[0].pointer, "/parameters/colour");
    assert_null(full);
    assert_int_equal(templates_check_environment(&v, "local", &e), 0);
    assert_int_equal(templates_check_environment(&v, "prod", &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "local"));
    assert_int_equal(templates_check_engine(&v, "tofu", "1.12.6", &e), 0);
    assert_int_equal(templates_check_engine(&v, "tofu", "1.5.0", &e), ERR_INVALID);
    assert_int_equal(templates_check_engine(&v, "terraform", "1.11.4", &e), ERR_INVALID);
    assert_int_equal(templates_make_values(&v, &values, &e), 0);
    const char *password = json_string_value(json_object_get(values, "password"));
    assert_int_equal(strlen(password), 40);
    json_auto_t *again = NULL;
    assert_int_equal(templates_make_values(&v, &again, &e), 0);
    assert_string_not_equal(password, json_string_value(json_object_get(again, "password")));
    assert_string_equal(json_string_value(json_object_get(templates_catalog(&v), "kind")), "Resource");
    assert_string_equal(json_string_value(json_object_get(templates_catalog(&v), "type")), "database");
}

static void registering_is_judged_and_sealed(void **state)
{
    (void)state;
    need_database();
    struct err e = ERR_INIT;
    json_auto_t *token = json_pack("{s:s}", "token", "s3cr3t-token"), *key = json_pack("{s:s}", "ssh_key", "KEY");
    assert_int_equal(templates_add_repository(conn, "one", "file:///srv/x", "", NULL, "t", NULL, &e), ERR_CONFLICT);
    assert_string_equal(e.type, "name-taken");
    assert_string_equal(e.link, "/api/v1/templates/repositories/one");
    const struct { const char *name, *url, *ref; const json_t *credentials; const char *pointer; } bad[] = {
        {"Bad", "file:///srv/x", "", NULL, "/name"}, {"x", "https://u:p@h/x", "", NULL, "/url"}, {"x", "http://git.example.com/x", "", token, "/url"},
        {"x", "ssh://git@h/x", "", key, "/credentials/host_key"}, {"x", "https://h/x", "", key, "/credentials/ssh_key"}, {"x", "file:///srv/x", "", token, "/credentials"},
        {"x", "https://h/x", "a..b", token, "/ref"}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct err why = ERR_INIT;
        assert_int_equal(templates_add_repository(conn, bad[i].name, bad[i].url, bad[i].ref, bad[i].credentials, "t", NULL, &why), ERR_INVALID);
        assert_string_equal(why.fields[0].pointer, bad[i].pointer);
    }
    assert_int_equal(templates_add_repository(conn, "sealed", "https://git.example.invalid/x", "main", token, "t", NULL, &e), 0);
    DB_RESULT_AUTO row = NULL;
    static const struct db_query all = {"test_all", "select r::text, encode(sealed, 'escape') from template_repository r where name = 'sealed'"};
    assert_int_equal(db_one(conn, all, &row, &e), 0);
    assert_null(strstr(db_str(row, 0, 0), "s3cr3t"));
    assert_null(strstr(db_str(row, 0, 1), "s3cr3t"));
    json_auto_t *shown = repository("sealed");
    assert_string_equal(json_string_value(json_object_get(shown, "credentials")), "token");
    int64_t resealed;
    char path[300];
    snprintf(path, sizeof(path), "%s/keys", base);
    assert_int_equal(keyring_rotate_file(path, NULL, &e), 0);
    assert_int_equal(keyring_reload(keys, &e), 0);
    assert_int_equal(secrets_reseal(pool, &resealed, &e), 0);
    assert_true(resealed > 0);
    refresh("sealed"); /* opens the credentials, cannot reach the host */
    expect_state("sealed", "failed", "reach");
    assert_int_equal(templates_remove_repository(conn, "sealed", &e), 0);
    assert_int_equal(templates_remove_repository(conn, "sealed", &e), ERR_NOT_FOUND);
    assert_int_equal(templates_request_refresh(conn, "sealed", &e), ERR_NOT_FOUND);
    assert_int_equal(templates_refresh(pool, "sealed", NULL, NULL, &e), 0); /* removed meanwhile */
}

static void request_during_refresh_is_not_lost(void **state)
{
    (void)state;
    need_database();
    struct err e = ERR_INIT;
    /* a time far back stands for a refresh that began before the request */
    assert_int_equal(templates_request_refresh(conn, "one", &e), 0);
    assert_int_equal(db_run(conn, Q_REPOSITORY_DONE, NULL, &e, db_text("one"), db_text("2020-01-01"), db_null(), db_null(), db_null(), db_float(60)), 0);
    expect_state("one", "refreshing", NULL);
    refresh("one");
    expect_state("one", "ready", NULL);
}

static void pages_and_documents_are_json(void **state)
{
    (void)state;
    need_database();
    struct err e = ERR_INIT;
    DB_RESULT_AUTO page = NULL;
    DB_RESULT_AUTO document = NULL;
    DB_RESULT_AUTO none = NULL;
    json_auto_t *card = NULL, *full = NULL;
    assert_int_equal(db_run(conn, Q_TEMPLATE_PAGE, &page, &e, db_text("FIRST"), db_text("two"), db_text("platform"), db_text("database"), db_null(), db_int(10)), 0);
    assert_int_equal(db_rows(page), 1);
    assert_int_equal(json_read(db_str(page, 0, 0), strlen(db_str(page, 0, 0)), 0, &card, &e), 0);
    assert_string_equal(json_string_value(json_object_get(card, "name")), "first-db");
    assert_int_equal(json_integer_value(json_object_get(card, "version")), 3);
    assert_int_equal(db_run(conn, Q_TEMPLATE_PAGE, &none, &e, db_null(), db_text("three"), db_null(), db_null(), db_null(), db_int(10)), 0);
    assert_int_equal(db_rows(none), 0);
    assert_int_equal(db_one(conn, Q_TEMPLATE_DOCUMENT, &document, &e, db_text("first-db")), 0);
    assert_int_equal(json_read(db_str(document, 0, 0), strlen(db_str(document, 0, 0)), 0, &full, &e), 0);
    assert_int_equal(json_array_size(json_object_get(full, "versions")), 3);
    assert_non_null(json_pointer_get(full, "/parameters/properties/size/enum"));
}

static void every_query_prepares(void **state)
{
    (void)state;
    need_database();
    static const struct db_query *const all[] = {
        &Q_VERSION_CURRENT, &Q_VERSION_BY_ID, &Q_VERSION_FILES, &Q_REPOSITORY_INSERT, &Q_REPOSITORY_DELETE, &Q_REPOSITORIES_REQUEST_ALL, &Q_TEMPLATES_WITHDRAW_ALL,
        &Q_REPOSITORY_REQUEST, &Q_REPOSITORY_LOAD, &Q_REPOSITORY_SECRET, &Q_REPOSITORY_LOCK, &Q_REPOSITORY_DONE, &Q_REPOSITORIES_DUE, &Q_REPOSITORY_POSTPONE, &Q_REPOSITORY_URLS,
        &Q_PROBLEMS_DELETE, &Q_PROBLEM_INSERT, &Q_TEMPLATE_ENSURE, &Q_TEMPLATE_LOCK, &Q_ARCHIVE_INSERT, &Q_VERSION_INSERT, &Q_TEMPLATE_SET, &Q_TEMPLATES_WITHDRAW, &Q_TEMPLATE_PAGE,
        &Q_TEMPLATE_DOCUMENT, &Q_TEMPLATE_VERSION_DOCUMENT, &Q_REPOSITORY_PAGE, &Q_REPOSITORY_DOCUMENT};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        struct err e = ERR_INIT;
        BUF_AUTO sql = BUF_INIT;
        buf_printf(&sql, "prepare test_%zu as %s", i, all[i]->sql);
        if (db_script(conn, sql.data, &e) != 0)
            fail_msg("%s: %s", all[i]->name, e.msg);
    }
}

int main(int argc, char **argv)
{
    if (git_helper_wanted(argc, argv))
        return git_helper_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_published_when_content_changes), cmocka_unit_test(broken_one_stays_as_it_was), cmocka_unit_test(taken_name_is_a_problem_not_a_takeover),
        cmocka_unit_test(repository_in_trouble_changes_nothing), cmocka_unit_test(hostile_content_is_a_problem_of_its_template),
        cmocka_unit_test(what_lies_beside_is_told), cmocka_unit_test(version_is_independent_of_its_repository), cmocka_unit_test(parameters_are_judged_and_completed), cmocka_unit_test(registering_is_judged_and_sealed),
        cmocka_unit_test(request_during_refresh_is_not_lost), cmocka_unit_test(pages_and_documents_are_json), cmocka_unit_test(every_query_prepares),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
