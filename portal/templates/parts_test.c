/* The small parts by themselves: paths, version constraints, expressions, archives. */
#include "portal/core/fs.h"
#include "portal/templates/archive.h"
#include "portal/templates/check.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static void paths_stay_inside(void **state)
{
    (void)state;
    static const struct { const char *folder, *relative, *expected; } cases[] = {
        {"a/b", ".", "a/b"}, {"a/b", "../c", "a/c"}, {"a/b", "./x//y/", "a/b/x/y"}, {"a", "..", ""}, {"", "x", "x"}, {"a", "../..", NULL}, {"", "..", NULL}, {"a", "/etc", NULL},
        {"a", "x/../../../b", NULL}, {"a", "...", "a/..."}};
    BUF_AUTO b = BUF_INIT;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        bool inside = path_join(cases[i].folder, cases[i].relative, &b);
        assert_int_equal(inside, cases[i].expected != NULL);
        if (inside)
            assert_string_equal(buf_cstr(&b), cases[i].expected);
    }
    assert_true(path_below("a/b", "a"));
    assert_true(path_below("a", ""));
    assert_false(path_below("ab", "a"));
    assert_false(path_below("a", "a"));
}

static void hostile_names_are_seen(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "/a", "a//b", "../a", "a/..", "./a", "a\\b", "a\nb", "\xff", "a/.git/config", "a/.GIT", "a\x7f"};
    static const char *const good[] = {"a", "a/b.tf", ".terraform.lock.hcl", "ä/ü.tf", "a b", "..a", ".gitignore"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (!path_problem(bad[i]))
            fail_msg("accepted: %s", bad[i]);
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_null(path_problem(good[i]));
}

static void skeletons_take_their_values_and_nothing_else(void **state)
{
    (void)state;
    static const struct { const char *text, *expected; } cases[] = {
        {"", ""}, {"plain $ { } text", "plain $ { } text"}, {"${a}", "one"}, {"x${a}y${b}z", "xoneytwoz"}, {"${a}${a}", "oneone"}, {"${c}", "${c}"}, {"$${a}", "${a}"},
        {"$${c}", "$${c}"}, {"$$${a}", "$${a}"}, {"${ a }", "${ a }"}, {"${a", "${a"}, {"${", "${"}, {"$", "$"}, {"${}", "${}"}, {"${a.b}", "${a.b}"}, {"#{a} {{a}} %{a}", "#{a} {{a}} %{a}"},
        {"${d}", "${a}"}};
    json_t *values = json_pack("{s:s,s:s,s:s}", "a", "one", "b", "two", "d", "${a}");
    BUF_AUTO b = BUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear(&b);
        skeleton_fill(cases[i].text, strlen(cases[i].text), values, &b);
        if (strcmp(buf_cstr(&b), cases[i].expected))
            fail_msg("%s: %s", cases[i].text, buf_cstr(&b));
    }
    json_decref(values);
}

static void skeletons_files_stay_inside(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    json_t *values = json_pack("{s:s,s:s,s:s,s:s,s:s}", "name", "shop", "up", "..", "slash", "a/b", "none", "", "git", ".git");
    static const struct { const char *path, *expected; } cases[] = {
        {"src/${name}/main.py", "src/shop/main.py"}, {"${name}", "shop"}, {"${other}.txt", "${other}.txt"}, {"${up}/x", NULL}, {"x/${up}/${up}/y", NULL}, {"${slash}", NULL},
        {"${none}/x", NULL}, {"x/${none}", NULL}, {"${git}/config", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        struct templates_file f;
        int rc = skeleton_render(cases[i].path, "${name}\n", 8, values, a, &f, &e);
        assert_int_equal(rc, cases[i].expected ? 0 : ERR_INVALID);
        if (cases[i].expected) {
            assert_string_equal(f.path, cases[i].expected);
            assert_int_equal(f.len, 5);
            assert_memory_equal(f.data, "shop\n", 5);
        }
    }
    static const struct { const char *data; size_t len; bool text, executable; } kinds[] = {
        {"#!/bin/sh ${name}", 17, true, true}, {"${name}\0", 8, false, false}, {"\xff${name}", 8, false, false}, {"\xc3\xa4${name}", 9, true, false}, {"", 0, true, false}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct err e = ERR_INIT;
        struct templates_file f;
        assert_int_equal(skeleton_render("x", kinds[i].data, kinds[i].len, values, a, &f, &e), 0);
        assert_int_equal(f.executable, kinds[i].executable);
        if (!kinds[i].text) {
            assert_int_equal(f.len, kinds[i].len);
            assert_memory_equal(f.data, kinds[i].data, f.len);
        } else if (kinds[i].len) {
            assert_non_null(memmem(f.data, f.len, "shop", 4));
        }
    }
    json_decref(values);
}

static void constraints_hold_as_terraform_reads_them(void **state)
{
    (void)state;
    static const struct { const char *constraint, *version; bool allowed; } cases[] = {
        {">= 1.5", "1.5.0", true}, {">= 1.5", "1.4.9", false}, {">= 1.5, < 2.0", "1.12.6", true}, {">= 1.5, < 2.0", "2.0.0", false}, {"~> 1.5", "1.99.0", true},
        {"~> 1.5", "2.0.0", false}, {"~> 1.5.2", "1.5.9", true}, {"~> 1.5.2", "1.6.0", false}, {"~> 1.5.2", "1.5.1", false}, {"1.5.7", "1.5.7", true}, {"= 1.5.7", "1.5.8", false},
        {"!= 1.5.7", "1.5.8", true}, {"!= 1.5.7", "1.5.7", false}, {"> 1.5", "1.5.0", false}, {"<= 1.5", "1.5.0", true}, {">=1.5,<2", "1.6.0", true},
        {">= 1.5", "1.6.0-rc1", false}, {"1.6.0-rc1", "1.6.0-rc1", true}, {"", "1.0.0", false}};
    ARENA_AUTO a = arena_new();
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (constraint_allows(cases[i].constraint, cases[i].version) != cases[i].allowed)
            fail_msg("%s against %s", cases[i].version, cases[i].constraint);
    static const char *const bad[] = {"", "abc", ">= ", "1.2.3.4", "=> 1", ">= 1.x", "1.0,", ">= 1.0; rm", "~1.0", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (!constraint_problem(bad[i], a))
            fail_msg("accepted: %s", bad[i]);
    assert_null(constraint_problem(">= 1.5, != 1.7.0, < 2.0", a));
}

static void expressions_are_filled(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    json_auto_t *values = json_pack("{s:s, s:{s:s, s:i}, s:{s:b}}", "name", "orders-db", "outputs", "host", "db.example.com", "port", 5432, "parameters", "ha", 1);
    assert_string_equal(templates_expand("postgresql://${outputs.host}:${outputs.port}/${name}", values, a), "postgresql://db.example.com:5432/orders-db");
    assert_string_equal(templates_expand("${parameters.ha} ${parameters.none}|${no.such.thing}|$${name} $5 ${", values, a), "true ||${name} $5 ${");
    assert_null(expand_each("a ${x} $${ ${y.z}", NULL, NULL));
    assert_non_null(expand_each("${", NULL, NULL));
    assert_non_null(expand_each("${x", NULL, NULL));
    assert_non_null(expand_each("${x y}", NULL, NULL));
    assert_non_null(expand_each("${}", NULL, NULL));
}

static int count_file(const struct archive_file *f, void *arg, struct err *e)
{
    (void)f;
    (void)e;
    ++*(int *)arg;
    return 0;
}

static void archives_are_written_and_confined(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    BUF_AUTO b = BUF_INIT;
    BUF_AUTO read = BUF_INIT;
    char dir[] = "/tmp/soma-archive-XXXXXX", path[100];
    struct stat st;
    int n = 0;
    assert_non_null(mkdtemp(dir));
    archive_begin(&b);
    archive_add(&b, "a/b/main.tf", "x\ny", 3);
    archive_add(&b, "empty", "", 0);
    assert_int_equal(archive_each(b.data, b.len, count_file, &n, &e), 0);
    assert_int_equal(n, 2);
    assert_int_equal(archive_export(b.data, b.len, dir, &e), 0);
    snprintf(path, sizeof(path), "%s/a/b/main.tf", dir);
    assert_int_equal(fs_read(path, 100, &read, &e), 0);
    assert_string_equal(read.data, "x\ny");
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    snprintf(path, sizeof(path), "%s/a", dir);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(archive_export(b.data, b.len, dir, &e), ERR_CONFLICT); /* never over what is there */
    /* a folder that became a link is not followed */
    buf_clear(&b);
    archive_begin(&b);
    archive_add(&b, "link/evil", "x", 1);
    snprintf(path, sizeof(path), "%s/link", dir);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_int_not_equal(archive_export(b.data, b.len, dir, &e), 0);
    assert_int_equal(access("/tmp/evil", F_OK), -1);
    assert_int_equal(fs_remove_tree(dir, &e), 0);
}

static void damaged_archives_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "soma files 2\n", "soma files 1\nx", "soma files 1\n5 a\nxx", "soma files 1\n1 ../a\nx", "soma files 1\n1 /a\nx", "soma files 1\n-1 a\n",
                                      "soma files 1\n 1 a\nx", "soma files 1\n999999999 a\nx", "soma files 1\n1 \nx"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct err e = ERR_INIT;
        int n = 0;
        if (archive_each(bad[i], strlen(bad[i]), count_file, &n, &e) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_stay_inside), cmocka_unit_test(hostile_names_are_seen), cmocka_unit_test(skeletons_take_their_values_and_nothing_else),
        cmocka_unit_test(skeletons_files_stay_inside), cmocka_unit_test(constraints_hold_as_terraform_reads_them),
        cmocka_unit_test(expressions_are_filled), cmocka_unit_test(archives_are_written_and_confined), cmocka_unit_test(damaged_archives_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
