#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/core/fs.h"
#include "portal/crypto/keyring.h"
#include "portal/db/testdb.h"
#include "portal/secrets/secrets.h"

static char folder[64], path[96];
static struct keyring *keys;

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/secrets-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/keys", folder);
    if (keyring_init_file(path, NULL) || keyring_open(path, &keys, NULL))
        return -1;
    secrets_set_keyring(keys);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    keyring_free(keys);
    return fs_remove_tree(folder, NULL);
}

static void test_opens_only_where_it_belongs(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    BUF_AUTO sealed = BUF_INIT, again = BUF_INIT, plain = BUF_INIT;
    buf_str(&sealed, "before");
    assert_int_equal(secrets_seal("order", "o1", 3, "s3cret", 6, &sealed, &e), 0);
    assert_memory_equal(sealed.data, "before", 6);
    assert_null(memmem(sealed.data, sealed.len, "s3cret", 6));
    const char *value = sealed.data + 6;
    size_t n = sealed.len - 6;
    assert_int_equal(secrets_open("order", "o1", 3, value, n, &plain, &e), 0);
    assert_string_equal(plain.data, "s3cret");
    buf_clear(&plain);
    assert_int_equal(secrets_open("service", "o1", 3, value, n, &plain, &e), ERR_INVALID);
    assert_int_equal(secrets_open("order", "o2", 3, value, n, &plain, &e), ERR_INVALID);
    assert_int_equal(secrets_open("order", "o1", 4, value, n, &plain, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "order o1, version 4"));
    assert_int_equal(plain.len, 0);
    assert_int_equal(secrets_seal("order", "o1", 3, "s3cret", 6, &again, &e), 0);
    assert_memory_not_equal(value, again.data, n);
}

static void test_refuses_every_changed_byte(void **state)
{
    (void)state;
    BUF_AUTO sealed = BUF_INIT, plain = BUF_INIT;
    assert_int_equal(secrets_seal("t", "r", 0, "value", 5, &sealed, NULL), 0);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.data[i] ^= 0x40;
        assert_int_not_equal(secrets_open("t", "r", 0, sealed.data, sealed.len, &plain, NULL), 0);
        sealed.data[i] ^= 0x40;
        assert_int_not_equal(secrets_open("t", "r", 0, sealed.data, i, &plain, NULL), 0);
    }
    struct err e = ERR_INIT;
    memset(sealed.data + 1, 0, 4);
    assert_int_equal(secrets_open("t", "r", 0, sealed.data, sealed.len, &plain, &e), ERR_INVALID);
    sealed.data[1] = 1;
    assert_int_equal(secrets_open("t", "r", 0, sealed.data, sealed.len, &plain, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "key file"));
}

static void test_empty_value(void **state)
{
    (void)state;
    BUF_AUTO sealed = BUF_INIT, plain = BUF_INIT;
    assert_int_equal(secrets_seal("t", "", -1, "", 0, &sealed, NULL), 0);
    assert_int_equal(secrets_open("t", "", -1, sealed.data, sealed.len, &plain, NULL), 0);
    assert_int_equal(plain.len, 0);
}

static const struct db_query q_put = {"put", "insert into soma.seal_test (id, serial, state, key) values ($1, $2::bigint, $3::bytea, $4::bytea)"};
static const struct db_query q_get = {"get", "select id, serial, state, key from soma.seal_test order by id, serial"};
static const struct secrets_column columns[] = {{"seal_test", "id", "serial", "state"}, {"seal_test", "id", NULL, "key"}, {0}};

static void put(struct db_conn *c, int i)
{
    char id[16], text[32];
    BUF_AUTO state = BUF_INIT, key = BUF_INIT;
    snprintf(id, sizeof id, "row-%d", i / 2);
    snprintf(text, sizeof text, "value %d", i);
    assert_int_equal(secrets_seal("seal_test", id, i, text, strlen(text), &state, NULL), 0);
    assert_int_equal(secrets_seal("seal_test", id, 0, id, strlen(id), &key, NULL), 0);
    struct err e = ERR_INIT;
    int r = db_run(c, q_put, NULL, &e, db_text(id), db_int(i), db_bytes(state.data, state.len), i % 3 ? db_bytes(key.data, key.len) : db_null());
    assert_int_equal(r, 0);
}

static void check_all(struct db_conn *c, int want)
{
    DB_RESULT_AUTO rows = NULL;
    ARENA_AUTO a = arena_new();
    assert_int_equal(db_run(c, q_get, &rows, NULL), 0);
    assert_int_equal(db_rows(rows), want);
    for (int i = 0; i < want; i++) {
        BUF_AUTO plain = BUF_INIT;
        size_t n = 0;
        const void *p = db_blob(rows, i, 2, a, &n);
        assert_int_equal(secrets_open("seal_test", db_str(rows, i, 0), db_i64(rows, i, 1), p, n, &plain, NULL), 0);
        assert_int_equal(atoll(plain.data + 6), db_i64(rows, i, 1));
    }
}

static void test_reseal(void **state)
{
    (void)state;
    struct testdb *t = testdb_new();
    if (!t)
        skip();
    struct err e = ERR_INIT;
    struct db_conn *c = NULL;
    struct db *pool = testdb_pool(t, 2);
    uint32_t old = keyring_active(keys);
    int64_t n = -1;
    assert_int_equal(db_connect(t->admin, "test", &c, &e), 0);
    assert_int_equal(db_script(c, "create table soma.seal_test (id text, serial bigint, state bytea, key bytea, primary key (id, serial));"
                                  "grant select, insert, update on soma.seal_test to soma_app", &e), 0);
    for (int i = 0; i < 250; i++)
        put(c, i);
    secrets_register(columns);
    secrets_register(columns);
    assert_int_equal(secrets_reseal(pool, &n, &e), 0);
    assert_int_equal(n, 0);
    assert_int_equal(keyring_rotate_file(path, NULL, &e), 0);
    assert_int_equal(secrets_count(pool, old, &n, &e), 0);
    assert_int_equal(n, 250 + 166);
    assert_int_equal(secrets_reseal(pool, &n, &e), 0);
    assert_int_equal(n, 250 + 166);
    assert_int_equal(secrets_count(pool, old, &n, &e), 0);
    assert_int_equal(n, 0);
    assert_int_equal(keyring_drop_file(path, old, &e), 0);
    assert_int_equal(keyring_reload(keys, &e), 0);
    check_all(c, 250);

    /* One that was tampered with is left, counted and named; the others are re-sealed all the same. */
    assert_int_equal(db_script(c, "update soma.seal_test set state = set_byte(state, 20, get_byte(state, 20) # 1) where serial = 7", &e), 0);
    assert_int_equal(keyring_rotate_file(path, NULL, &e), 0);
    assert_int_equal(secrets_reseal(pool, &n, &e), ERR_CONFLICT);
    assert_non_null(strstr(e.msg, "1 sealed values do not open and were left as they are, 415 were re-sealed; the first: seal_test row-3, version 7"));
    db_give(c);
    db_close(pool);
    testdb_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_opens_only_where_it_belongs), cmocka_unit_test(test_refuses_every_changed_byte), cmocka_unit_test(test_empty_value), cmocka_unit_test(test_reseal)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
