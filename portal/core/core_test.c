#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "portal/core/arena.h"
#include "portal/core/config.h"
#include "portal/core/fs.h"
#include "portal/core/id.h"

static void error_keeps_fields_and_says_when_there_are_more(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    for (int i = 0; i < ERR_FIELDS_MAX + 3; i++)
        assert_int_equal(err_field(&e, "/parameters/size", "is wrong (%d)", i), ERR_INVALID);
    assert_int_equal(e.n_fields, ERR_FIELDS_MAX);
    assert_string_equal(e.fields[0].pointer, "/parameters/size");
    assert_non_null(strstr(e.msg, "parameters/size: is wrong (0)"));
    assert_non_null(strstr(e.msg, "more fields"));
    assert_int_equal(err_prefix(&e, "order %d", 7), ERR_INVALID);
    assert_int_equal(strncmp(e.msg, "order 7: ", 9), 0);
}

static void arena_grows_and_resets(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    char *first = arena_strdup(a, "kept");
    for (size_t n = 1; n < 200000; n *= 3) {
        unsigned char *p = arena_alloc(a, n);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_int_equal(p[0] | p[n - 1], 0);
        memset(p, 0xff, n);
    }
    assert_string_equal(first, "kept");
    assert_string_equal(arena_printf(a, "%s-%d", "x", 5), "x-5");
    arena_reset(a);
    assert_int_equal(arena_used(a), 0);
    arena_free(a);
}

static void json_text_is_escaped_and_valid_utf8(void **state)
{
    (void)state;
    BUF_AUTO b = BUF_INIT;
    buf_char(&b, '{');
    buf_json_kv(&b, "a\"b", "line\nquote\"\\\x01 \xc3\xa9 \xff\xc0\x80 \xed\xa0\x80.");
    buf_json_kint(&b, "n", INT64_MIN);
    buf_json_kv(&b, "none", NULL);
    buf_char(&b, '}');
    assert_string_equal(b.data, "{\"a\\\"b\":\"line\\nquote\\\"\\\\\\u0001 \xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.\","
                                "\"n\":-9223372036854775808,\"none\":null}");
}

static void names_follow_the_rule(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "orders-db", "a1", "abcdefghijabcdefghijabcdefghijabcdefghij"};
    static const char *const bad[] = {"", "-a", "a-", "1a", "A", "a_b", "abcdefghijabcdefghijabcdefghijabcdefghijk", "a b", "a\n"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(id_name_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(id_name_valid(bad[i]));
}

static void ids_are_valid_distinct_and_in_order(void **state)
{
    (void)state;
    char a[ID_LEN + 1], b[ID_LEN + 1];
    id_new(a);
    usleep(2000);
    id_new(b);
    assert_true(id_valid(a) && id_valid(b));
    assert_true(strcmp(a, b) < 0);
    assert_false(id_valid("0190-no"));
}

static const struct config_key keys[] = {
    {.name = "listen", .type = CONFIG_STRING, .fallback = "127.0.0.1:8080", .help = "address"},
    {.name = "threads", .type = CONFIG_INT, .fallback = "4", .min = 1, .max = 64, .help = "workers"},
    {.name = "database", .type = CONFIG_STRING, .secret = true, .required = true, .help = "connection"},
    {0},
};

static void configuration_comes_from_file_environment_and_flags(void **state)
{
    (void)state;
    char path[] = "/tmp/soma-config-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "# c\n listen = [::1]:1 \nthreads=5\ndatabase = host=x password=y\n", 62), 62);
    close(fd);
    struct err e = ERR_INIT;
    struct config *c = config_new();
    config_add(c, "http", keys);
    assert_int_equal(config_check(c, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "database"));
    assert_int_equal(config_load_file(c, path, &e), 0);
    setenv("SOMA_THREADS", "6", 1);
    assert_int_equal(config_load_env(c, &e), 0);
    unsetenv("SOMA_THREADS");
    assert_int_equal(config_int(c, "threads"), 6);
    char words[5][16] = {"somad", "serve", "--threads=7", "--listen", "0.0.0.0:9"};
    char *argv[] = {words[0], words[1], words[2], words[3], words[4], NULL};
    int argc = 5;
    assert_int_equal(config_load_flags(c, &argc, argv, &e), 0);
    assert_int_equal(argc, 2);
    assert_string_equal(config_str(c, "listen"), "0.0.0.0:9");
    assert_int_equal(config_set(c, "threads", "65", "test", &e), ERR_INVALID);
    assert_int_equal(config_set(c, "thraeds", "5", "f:3", &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "f:3"));
    BUF_AUTO shown = BUF_INIT;
    config_show(c, &shown);
    assert_null(strstr(shown.data, "password"));
    config_free(c);
    unlink(path);
}

static void tree_is_removed_without_following_links(void **state)
{
    (void)state;
    char root[] = "/tmp/soma-fs-XXXXXX", path[128], outside[128];
    assert_non_null(mkdtemp(root));
    struct err e = ERR_INIT;
    snprintf(outside, sizeof outside, "%s-outside", root);
    snprintf(path, sizeof path, "%s/a/b", root);
    assert_int_equal(fs_mkdirs(path, 0700, &e), 0);
    assert_int_equal(fs_write_atomic(outside, "x", 1, 0600, &e), 0);
    snprintf(path, sizeof path, "%s/a/b/link", root);
    assert_int_equal(symlink(outside, path), 0);
    assert_int_equal(fs_remove_tree(root, &e), 0);
    assert_int_not_equal(access(root, F_OK), 0);
    BUF_AUTO b = BUF_INIT;
    assert_int_equal(fs_read(outside, 10, &b, &e), 0);
    assert_string_equal(b.data, "x");
    assert_int_equal(fs_read(outside, 0, &b, &e), ERR_TOO_LARGE);
    unlink(outside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_keeps_fields_and_says_when_there_are_more), cmocka_unit_test(arena_grows_and_resets),
        cmocka_unit_test(json_text_is_escaped_and_valid_utf8), cmocka_unit_test(names_follow_the_rule),
        cmocka_unit_test(ids_are_valid_distinct_and_in_order), cmocka_unit_test(configuration_comes_from_file_environment_and_flags),
        cmocka_unit_test(tree_is_removed_without_following_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
