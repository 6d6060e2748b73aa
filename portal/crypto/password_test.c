// label: threads
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "portal/core/clock.h"
#include "portal/crypto/password.h"

static void test_hash_and_verify(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    char one[PASSWORD_PHC_MAX], two[PASSWORD_PHC_MAX];
    assert_int_equal(password_hash("correct horse", one, &e), 0);
    assert_int_equal(password_hash("correct horse", two, &e), 0);
    assert_string_not_equal(one, two);
    assert_true(!strncmp(one, "$argon2id$v=19$m=19456,t=2,p=1$", 31));
    assert_int_equal(password_verify(one, "correct horse", &e), 0);
    assert_int_equal(password_verify(one, "correct horsf", &e), ERR_UNAUTHENTICATED);
    assert_int_equal(password_verify(one, "", &e), ERR_UNAUTHENTICATED);
    assert_int_equal(password_verify("$argon2id$broken", "x", &e), ERR_INTERNAL);
}

static void test_unknown_costs_the_same(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    char phc[PASSWORD_PHC_MAX];
    int64_t known = 0, unknown = 0;
    assert_int_equal(password_hash("a password", phc, &e), 0);
    for (int i = 0; i < 6; i++) {
        int64_t t0 = clock_mono_ms();
        assert_int_equal(password_verify(phc, "wrong", &e), ERR_UNAUTHENTICATED);
        int64_t t1 = clock_mono_ms();
        assert_int_equal(password_verify(NULL, "wrong", &e), ERR_UNAUTHENTICATED);
        known += t1 - t0;
        unknown += clock_mono_ms() - t1;
    }
    assert_true(unknown * 3 > known && known * 3 > unknown);
}

static void test_length(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    char tall[PASSWORD_MAX + 2];
    memset(tall, 'a', sizeof tall - 1);
    tall[sizeof tall - 1] = 0;
    assert_int_equal(password_check("1234567", "/password", &e), ERR_INVALID);
    assert_string_equal(e.fields[0].pointer, "/password");
    assert_int_equal(password_check("12345678", "/password", &e), 0);
    assert_int_equal(password_check(tall, "/password", &e), ERR_INVALID);
}

static atomic_int done, refused;

static void *verify_once(void *phc)
{
    struct err e = ERR_INIT;
    int r = password_verify(phc, "a password", &e);
    if (r == 0)
        done++;
    else if (r == ERR_RATE && e.retry_after == 1)
        refused++;
    return NULL;
}

static void test_two_at_once(void **state)
{
    (void)state;
    char phc[PASSWORD_PHC_MAX];
    pthread_t thread[16];
    assert_int_equal(password_hash("a password", phc, NULL), 0);
    for (int i = 0; i < 16; i++)
        pthread_create(&thread[i], NULL, verify_once, phc);
    for (int i = 0; i < 16; i++)
        pthread_join(thread[i], NULL);
    assert_true(done >= 2);
    assert_true(refused >= 1);
    assert_int_equal(done + refused, 16);
    assert_int_equal(password_verify(phc, "a password", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hash_and_verify), cmocka_unit_test(test_unknown_costs_the_same), cmocka_unit_test(test_length), cmocka_unit_test(test_two_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
