#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "portal/cli/output.h"
#include "portal/cli/text.h"

static json_t *json(const char *text)
{
    json_error_t e;
    json_t *v = json_loads(text, JSON_DECODE_ANY, &e);
    assert_non_null(v);
    return v;
}

static void width_counts_columns(void **state)
{
    (void)state;
    assert_int_equal(text_width(""), 0);
    assert_int_equal(text_width("Müller"), 6);
    assert_int_equal(text_width("e\u0301a"), 2);  /* a combining accent takes none */
    assert_int_equal(text_width("東京"), 4);
    assert_int_equal(text_width("✓ ok"), 4);
    assert_int_equal(text_width("a\xff" "b"), 3);  /* a byte that is no UTF-8 stands for one letter */
    assert_int_equal(text_width("\xe6\x9d"), 2);
}

static void fit(const char *text, size_t columns, const char *expected)
{
    BUF_AUTO out = BUF_INIT;
    text_fit(&out, text, columns);
    assert_string_equal(buf_cstr(&out), expected);
    assert_true(text_width(buf_cstr(&out)) <= columns);
}

static void text_is_fitted(void **state)
{
    (void)state;
    fit("orders-db", 9, "orders-db");
    fit("orders-db", 5, "orde…");
    fit("東京都庁", 5, "東京…");
    fit("東京都庁", 4, "東…");
    fit("abc", 1, "…");
    fit("abc", 0, "");
}

static void clean(const char *text, bool lines, const char *expected)
{
    BUF_AUTO out = BUF_INIT;
    text_clean(&out, text, lines);
    assert_string_equal(buf_cstr(&out), expected);
}

static void nothing_steers_the_terminal(void **state)
{
    (void)state;
    clean("\033[31mred\033[0m", false, "\uFFFD[31mred\uFFFD[0m");
    clean("a\nb\tc\r", false, "a b c");
    clean("a\nb", true, "a\nb");
    clean("\xc2\x9b" "2J", false, "\uFFFD2J");   /* CSI as one C1 control */
    clean("a\u202eb\u2066c", false, "a\uFFFDb\uFFFDc");
    clean("\xff\xc3", false, "\uFFFD\uFFFD");
    clean("größe 東 ✓", false, "größe 東 ✓");
}

static void duration(double seconds, const char *expected)
{
    BUF_AUTO out = BUF_INIT;
    text_duration(&out, seconds);
    assert_string_equal(buf_cstr(&out), expected);
}

static void times_are_told(void **state)
{
    (void)state;
    duration(0.04, "0.0 s");
    duration(9.94, "9.9 s");
    duration(9.96, "10 s");
    duration(59.6, "1 min 00 s");
    duration(185, "3 min 05 s");
    duration(7800, "2 h 10 min");
    duration(-1, "-");
    assert_true(text_time_ms("1970-01-02T00:00:01.250Z") == 86401250);
    assert_true(text_time_ms("1970-01-02T02:00:00+02:00") == 86400000);
    assert_true(text_time_ms("1970-01-01T22:30:00-01:30") == 86400000);
    assert_true(text_time_ms("yesterday") == -1);
    setenv("TZ", "UTC", 1);
    tzset();
    BUF_AUTO out = BUF_INIT;
    text_time(&out, "2026-01-31T10:20:30.123Z");
    buf_char(&out, '|');
    text_time(&out, "not a time");
    assert_string_equal(buf_cstr(&out), "2026-01-31 10:20:30|not a time");
}

static const struct column columns[] = {
    {"NAME", "name", COLUMN_TEXT}, {"STATE", "state", COLUMN_STATE}, {"N", "count.of|count", COLUMN_NUMBER}, {"TEAMS", "teams", COLUMN_LIST}, {0},
};

static void a_table_is_laid_out(void **state)
{
    (void)state;
    json_t *items = json("[{\"name\":\"Zoë\",\"state\":\"ready\",\"count\":{\"of\":5},\"teams\":[\"a\",{\"name\":\"b\"}]},"
                         "{\"name\":\"東京-db\",\"state\":\"failed\",\"count\":1234,\"teams\":null},{}]");
    BUF_AUTO out = BUF_INIT;
    output_table(&out, columns, items, 0, false);
    assert_string_equal(buf_cstr(&out), "NAME     STATE      N  TEAMS\n"
                                        "Zoë      ready      5  a, b\n"
                                        "東京-db  failed  1234  -\n"
                                        "-        -          -  -\n");
    buf_clear(&out);
    output_table(&out, columns, items, 0, true);
    assert_non_null(strstr(buf_cstr(&out), "\033[32mready\033[0m "));
    assert_non_null(strstr(buf_cstr(&out), "\033[31mfailed\033[0m"));
    json_decref(items);
}

static void a_table_fits_the_terminal(void **state)
{
    (void)state;
    static const struct column two[] = {{"NAME", "name", COLUMN_TEXT}, {"WHAT", "what", COLUMN_TEXT}, {0}};
    json_t *items = json("[{\"name\":\"a-rather-long-name-of-a-service\",\"what\":\"and a much longer sentence that says what it is good for\"}]");
    BUF_AUTO out = BUF_INIT;
    output_table(&out, two, items, 40, false);
    for (char *line = strtok(out.data, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(text_width(line) <= 40);
    json_decref(items);
}

static void a_record_leaves_out_what_is_not_there(void **state)
{
    (void)state;
    static const struct column fields[] = {{"Name", "name", COLUMN_TEXT}, {"Cost centre", "cost_centre", COLUMN_TEXT}, {"Live", "live", COLUMN_TEXT}, {"Tags", "tags", COLUMN_JSON}, {0}};
    json_t *item = json("{\"name\":\"x\",\"cost_centre\":null,\"live\":true,\"tags\":{\"a\":1}}");
    BUF_AUTO out = BUF_INIT;
    output_record(&out, fields, item, false);
    assert_string_equal(buf_cstr(&out), "Name         x\nLive         yes\nTags         {\"a\":1}\n");
    json_decref(item);
}

static void errors_name_their_fields(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    BUF_AUTO out = BUF_INIT;
    err_field(&e, "/parameters/size", "must be one of small, medium, large");
    output_error(&out, &e, false);
    assert_string_equal(buf_cstr(&out), "soma: size: must be one of small, medium, large\n");
    err_field(&e, "/parameters/backup/keep~1days", "must be at least 1");
    buf_clear(&out);
    output_error(&out, &e, false);
    assert_string_equal(buf_cstr(&out), "soma: 2 fields are wrong:\n  size: must be one of small, medium, large\n  backup.keep/days: must be at least 1\n");
    err_set(&e, ERR_INVALID, "the order is wrong\033[2J");
    e.n_fields = 0;
    buf_clear(&out);
    output_error(&out, &e, false);
    assert_string_equal(buf_cstr(&out), "soma: the order is wrong\uFFFD[2J\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(width_counts_columns), cmocka_unit_test(text_is_fitted),          cmocka_unit_test(nothing_steers_the_terminal),
        cmocka_unit_test(times_are_told),       cmocka_unit_test(a_table_is_laid_out),     cmocka_unit_test(a_table_fits_the_terminal),
        cmocka_unit_test(a_record_leaves_out_what_is_not_there), cmocka_unit_test(errors_name_their_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
