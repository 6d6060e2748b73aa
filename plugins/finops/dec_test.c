#include "plugins/finops/dec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct dec d(const char *text)
{
    struct dec value;
    assert_true(dec_parse(text, &value));
    return value;
}

static void assert_reads(struct dec value, const char *text)
{
    char room[DEC_TEXT];
    assert_string_equal(dec_text(value, 0, room), text);
}

static void test_text_comes_back(void **state)
{
    static const char *const texts[] = { "0", "1", "-1", "0.0416", "0.000000015", "123456789012345678901234", "-99.99", "0.000000000001" };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_reads(d(texts[i]), texts[i]);
    assert_reads(d("1.25e-07"), "0.000000125");
    assert_reads(d("0.0530000000"), "0.053");
    assert_reads(d("+2.5E3"), "2500");
    assert_reads(d("-0"), "0");
}

static void test_at_least_so_many_places(void **state)
{
    char room[DEC_TEXT];
    (void)state;
    assert_string_equal(dec_text(d("3"), 2, room), "3.00");
    assert_string_equal(dec_text(d("3.5"), 2, room), "3.50");
    assert_string_equal(dec_text(d("3.0416"), 2, room), "3.0416");
    assert_string_equal(dec_text(dec_none(), 2, room), "");
}

static void test_what_is_no_number(void **state)
{
    static const char *const texts[] = { "", "-", ".", "1.2.3", "12a", "1e", "0x10", "nan", "inf", " 1", "1 ", "999999999999999999999999999999999999999999" };
    struct dec value;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(dec_parse(texts[i], &value));
}

static void test_money_is_exact(void **state)
{
    struct dec sum = dec_int(0);
    (void)state;
    for (int i = 0; i < 10; i++)
        sum = dec_add(sum, d("0.1"));
    assert_int_equal(dec_cmp(sum, dec_int(1)), 0); // ten times 0.1 is not 1 in doubles
    assert_reads(dec_mul(d("730"), d("0.0416")), "30.368");
    assert_reads(dec_mul(d("3840000000"), d("0.0000133334")), "51200.256");
    assert_reads(dec_mul(d("-1.5"), d("0.2")), "-0.3");
    assert_reads(dec_from_real(0.1), "0.1");
    assert_reads(dec_from_real(0.018428865), "0.018428865");
}

static void test_division_and_rounding(void **state)
{
    (void)state;
    assert_reads(dec_div(dec_int(1), dec_int(3)), "0.333333333333");
    assert_reads(dec_div(dec_int(2), dec_int(3)), "0.666666666667");
    assert_reads(dec_div(dec_int(-2), dec_int(3)), "-0.666666666667");
    assert_reads(dec_ratio(1000, 730), "1.369863013699");
    assert_reads(dec_round(d("1.005"), 2), "1.01");
    assert_reads(dec_round(d("-1.005"), 2), "-1.01");
    assert_reads(dec_round(d("1.0049"), 2), "1");
    assert_reads(dec_ceil(d("1.000000000001")), "2");
    assert_reads(dec_ceil(d("-1.5")), "-1");
    assert_reads(d("0.0000000000005"), "0.000000000001");
}

static void test_out_of_range_is_no_number(void **state)
{
    struct dec big = d("100000000000000000000000000");
    (void)state;
    assert_true(dec_is_none(dec_mul(big, big)));
    assert_true(dec_is_none(dec_add(dec_add(big, big), dec_none())));
    assert_true(dec_is_none(dec_div(big, dec_int(0))));
    assert_true(dec_is_none(dec_div(big, d("0.000000000001"))));
    assert_true(dec_is_none(dec_max(dec_none(), dec_int(1))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_comes_back),
        cmocka_unit_test(test_at_least_so_many_places),
        cmocka_unit_test(test_what_is_no_number),
        cmocka_unit_test(test_money_is_exact),
        cmocka_unit_test(test_division_and_rounding),
        cmocka_unit_test(test_out_of_range_is_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
