// label: threads
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
#include <sys/stat.h>
#include <unistd.h>

#include "portal/core/fs.h"
#include "portal/crypto/cursor.h"
#include "portal/crypto/keyring.h"

struct place { char folder[64], path[96]; };

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    snprintf(p->folder, sizeof p->folder, "/tmp/keyring-test-XXXXXX");
    if (!p || !mkdtemp(p->folder))
        return -1;
    snprintf(p->path, sizeof p->path, "%s/keys", p->folder);
    *state = p;
    return keyring_init_file(p->path, NULL);
}

static int tear_down(void **state)
{
    struct place *p = *state;
    int r = fs_remove_tree(p->folder, NULL);
    free(p);
    return r;
}

static void test_init_never_overwrites(void **state)
{
    struct place *p = *state;
    struct err e = ERR_INIT;
    struct stat st;
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(keyring_init_file(p->path, &e), ERR_CONFLICT);
}

static void test_rotation_keeps_old_keys(void **state)
{
    struct place *p = *state;
    struct err e = ERR_INIT;
    struct keyring *k = NULL;
    uint8_t before[CRYPTO_KEY], after[CRYPTO_KEY], other[CRYPTO_KEY];
    uint32_t first, second, used, ids[4];
    assert_int_equal(keyring_open(p->path, &k, &e), 0);
    assert_int_equal(keyring_derive(k, 0, "seal", before, &first, &e), 0);
    assert_int_equal(keyring_derive(k, 0, "cursor", other, NULL, &e), 0);
    assert_memory_not_equal(before, other, CRYPTO_KEY);
    assert_int_equal(keyring_rotate_file(p->path, &second, &e), 0);
    assert_int_not_equal(first, second);
    assert_int_equal(keyring_active(k), first);
    /* Another process sealed with the new key: meeting its id reads the file again. */
    assert_int_equal(keyring_derive(k, second, "seal", after, &used, &e), 0);
    assert_int_equal(used, second);
    assert_memory_not_equal(before, after, CRYPTO_KEY);
    assert_int_equal(keyring_active(k), second);
    assert_int_equal(keyring_ids(k, ids, 4), 2);
    assert_int_equal(keyring_derive(k, first, "seal", other, NULL, &e), 0);
    assert_memory_equal(before, other, CRYPTO_KEY);

    assert_int_equal(keyring_drop_file(p->path, second, &e), ERR_CONFLICT);
    assert_int_equal(keyring_drop_file(p->path, first, &e), 0);
    assert_int_equal(keyring_drop_file(p->path, first, &e), ERR_NOT_FOUND);
    assert_int_equal(keyring_reload(k, &e), 0);
    assert_int_equal(keyring_derive(k, first, "seal", other, NULL, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "put back"));
    assert_int_equal(keyring_derive(k, 0, "seal", other, NULL, &e), 0);
    assert_memory_equal(after, other, CRYPTO_KEY);
    keyring_free(k);
}

static void test_open_checks_who_may_read(void **state)
{
    struct place *p = *state;
    struct err e = ERR_INIT;
    struct keyring *k = NULL;
    chmod(p->path, 0640);
    assert_int_equal(keyring_open(p->path, &k, &e), ERR_DENIED);
    assert_non_null(strstr(e.msg, "chmod 600"));
    chmod(p->path, 0400);
    assert_int_equal(keyring_open(p->path, &k, &e), 0);
    keyring_free(k);
    assert_int_equal(keyring_open(p->folder, &k, &e), ERR_INVALID);
    unlink(p->path);
    assert_int_equal(keyring_open(p->path, &k, &e), ERR_NOT_FOUND);
}

static void test_open_names_the_wrong_line(void **state)
{
    struct place *p = *state;
    static const char good[] = "key 00000001 2026-01-01T00:00:00Z AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    static const struct { const char *text, *words; } wrong[] = {
        {"", "names no active key"}, {"active 00000001\n", "names no active key"}, {"# c\n\nbanana\n", ":3:"}, {"key 00000001 now c2hvcnQ=\n", ":1: a key is 32 bytes"},
        {"key 0 now AAAA\n", ":1: an id is"}, {"active 00000001\nactive 00000001\n", ":2:"}, {"key 00000001\n", ":1: expected"}, {"key 00000000 now AAAA\n", ":1: an id"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err e = ERR_INIT;
        struct keyring *k = NULL;
        assert_int_equal(fs_write_atomic(p->path, wrong[i].text, strlen(wrong[i].text), 0600, &e), 0);
        assert_int_equal(keyring_open(p->path, &k, &e), ERR_INVALID);
        assert_non_null(strstr(e.msg, wrong[i].words));
    }
    BUF_AUTO text = BUF_INIT;
    struct keyring *k = NULL;
    buf_printf(&text, "%s%sactive 00000001", good, good);
    assert_int_equal(fs_write_atomic(p->path, text.data, text.len, 0600, NULL), 0);
    assert_int_equal(keyring_open(p->path, &k, NULL), ERR_INVALID);
    buf_clear(&text);
    buf_printf(&text, "%sactive 00000001", good);
    assert_int_equal(fs_write_atomic(p->path, text.data, text.len, 0600, NULL), 0);
    assert_int_equal(keyring_open(p->path, &k, NULL), 0);
    /* A file that went bad does not take the keys from a running process. */
    assert_int_equal(fs_write_atomic(p->path, "x", 1, 0600, NULL), 0);
    assert_int_equal(keyring_reload(k, NULL), ERR_INVALID);
    assert_int_equal(keyring_active(k), 1);
    keyring_free(k);
}

static void test_cursor(void **state)
{
    struct place *p = *state;
    struct err e = ERR_INIT;
    struct keyring *k = NULL;
    ARENA_AUTO a = arena_new();
    const char *text = NULL, *plain = NULL;
    assert_int_equal(cursor_sign("people", "ada", a, &text, &e), ERR_INTERNAL);
    assert_int_equal(keyring_open(p->path, &k, &e), 0);
    keyring_set_instance(k);
    assert_int_equal(cursor_sign("people", "ada", a, &text, &e), 0);
    assert_null(strstr(text, "ada"));
    assert_int_equal(keyring_rotate_file(p->path, NULL, &e), 0);
    assert_int_equal(keyring_reload(k, &e), 0);
    assert_int_equal(cursor_open(text, "people", a, &plain, &e), 0);
    assert_string_equal(plain, "ada");
    assert_int_equal(cursor_open(text, "tokens", a, &plain, &e), ERR_INVALID);
    assert_string_equal(e.type, "bad-cursor");
    assert_int_equal(e.n_fields, 0);
    char *changed = arena_strdup(a, text);
    for (size_t i = 0; i < strlen(text); i++) {
        changed[i] = text[i] == 'A' ? 'B' : 'A';
        assert_int_equal(cursor_open(changed, "people", a, &plain, &e), ERR_INVALID);
        changed[i] = text[i];
    }
    static const char *const wrong[] = {"", "x", "!!!!", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(cursor_open(wrong[i], "people", a, &plain, &e), ERR_INVALID);
    assert_int_equal(cursor_open(NULL, "people", a, &plain, &e), 0);
    assert_null(plain);
    assert_int_equal(cursor_sign("people", NULL, a, &text, &e), 0);
    assert_null(text);
    keyring_free(k);
    assert_null(keyring_instance());
}

struct race { struct keyring *k; uint32_t first; const char *path; atomic_bool stop; };

static void *derive_often(void *arg)
{
    struct race *race = arg;
    uint8_t key[CRYPTO_KEY];
    uint32_t used;
    while (!race->stop)
        if (keyring_derive(race->k, race->first, "seal", key, &used, NULL) || used != race->first)
            abort();
    return NULL;
}

static void test_reload_while_in_use(void **state)
{
    struct place *p = *state;
    struct race race = {.path = p->path};
    pthread_t thread[3];
    assert_int_equal(keyring_open(p->path, &race.k, NULL), 0);
    race.first = keyring_active(race.k);
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, derive_often, &race);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(keyring_rotate_file(p->path, NULL, NULL), 0);
        assert_int_equal(keyring_reload(race.k, NULL), 0);
    }
    race.stop = true;
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(keyring_ids(race.k, NULL, 0), 11);
    keyring_free(race.k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_init_never_overwrites, set_up, tear_down), cmocka_unit_test_setup_teardown(test_rotation_keeps_old_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_open_checks_who_may_read, set_up, tear_down), cmocka_unit_test_setup_teardown(test_open_names_the_wrong_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cursor, set_up, tear_down), cmocka_unit_test_setup_teardown(test_reload_while_in_use, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
