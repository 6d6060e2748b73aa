#include "portal/json/json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static json_t *from(const char *text)
{
    struct err e = ERR_INIT;
    json_t *v = NULL;
    if (json_read(text, strlen(text), 0, &v, &e))
        fail_msg("%s: %s", text, e.msg);
    return v;
}

static void refused(const char *text, size_t len, const char *words)
{
    struct err e = ERR_INIT;
    json_t *v = NULL;
    assert_int_equal(json_read(text, len, 0, &v, &e), ERR_INVALID);
    if (!strstr(e.msg, words))
        fail_msg("%s: \"%s\" has no \"%s\"", text, e.msg, words);
}
#define REFUSED(text, words) refused((text), sizeof(text) - 1, (words))

static void broken_text_is_refused_with_its_place(void **state)
{
    (void)state;
    REFUSED("{\"a\": 1,\n \"b\": }", "line 2, column 7");
    REFUSED("{\"a\": 1, \"a\": 2}", "a key stands twice");
    REFUSED("{\"a\": 1} x", "more text behind");
    REFUSED("", "line 1, column 1, byte 0");
    REFUSED("{\"a\": \"\xff\"}", "not UTF-8");
    REFUSED("\"\\u0000\"", "U+0000");
    REFUSED("\"\\ud800\"", "not JSON");
    REFUSED("[99999999999999999999]", "too large");
    REFUSED("[1e999]", "too large");
    REFUSED("{'a': 1}", "not JSON");
    REFUSED("[1,]", "not JSON");
    REFUSED("nul\0l", "line 1");
}

static void a_message_never_repeats_the_text(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    json_t *v;
    assert_int_equal(json_read("{\"password\": hunter2}", 21, 0, &v, &e), ERR_INVALID);
    assert_null(strstr(e.msg, "hunter2"));
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    char text[401];
    struct err e = ERR_INIT;
    json_t *v;
    memset(text, '[', 200);
    memset(text + 200, ']', 200);
    text[400] = 0;
    refused(text, 400, "nested deeper than 64");
    assert_int_equal(json_read(text, 400, 200, &v, &e), 0);
    json_decref(v);
    /* Brackets in text are no nesting. */
    json_decref(from("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\""));
}

static void canonical_text_is_the_same_for_equal_values(void **state)
{
    (void)state;
    BUF_AUTO out = BUF_INIT;
    json_t *v = from("{\"b\": [1, 2.5, 0.1, 1.0, -0.0, 1e300, 9007199254740993, true, null], \"a\": {\"\\u00e9\": \"\\n\\\"\"}, \"\": \"/\"}");
    json_write(v, &out);
    assert_string_equal(buf_cstr(&out), "{\"\":\"/\",\"a\":{\"\xc3\xa9\":\"\\n\\\"\"},\"b\":[1,2.5,0.1,1.0,-0.0,1e+300,9007199254740993,true,null]}");
    json_t *again = from(buf_cstr(&out));
    assert_true(json_same(v, again));
    assert_true(json_equal(v, again));
    json_decref(again);
    buf_clear(&out);
    json_write_pretty(v, &out);
    again = from(buf_cstr(&out));
    assert_true(json_equal(v, again));
    json_decref(again);
    json_decref(v);
}

static void numbers_compare_without_losing_digits(void **state)
{
    (void)state;
    json_t *v = from("[9007199254740993, 9007199254740992.0, 1, 1.0, 9223372036854775807, 9223372036854775808.0]");
    assert_int_equal(json_compare_numbers(json_array_get(v, 0), json_array_get(v, 1)), 1);
    assert_true(json_same(json_array_get(v, 2), json_array_get(v, 3)));
    assert_int_equal(json_compare_numbers(json_array_get(v, 4), json_array_get(v, 5)), -1);
    json_decref(v);
}

static void text_from_anywhere_becomes_utf8(void **state)
{
    (void)state;
    json_t *v = json_text("a\xff\xc3\xa9\xed\xa0\x80");
    assert_string_equal(json_string_value(v), "a\xEF\xBF\xBD\xc3\xa9\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    json_decref(v);
    assert_true(json_is_null(json_text(NULL)));
}

static void pointers_lead_where_they_say(void **state)
{
    (void)state;
    BUF_AUTO p = BUF_INIT;
    json_t *v = from("{\"a/b\": [10, {\"m~n\": 5}], \"\": 7}");
    json_pointer_add(&p, "a/b");
    json_pointer_add_index(&p, 1);
    json_pointer_add(&p, "m~n");
    assert_string_equal(buf_cstr(&p), "/a~1b/1/m~0n");
    assert_int_equal(json_integer_value(json_pointer_get(v, buf_cstr(&p))), 5);
    assert_int_equal(json_integer_value(json_pointer_get(v, "/")), 7);
    assert_ptr_equal(json_pointer_get(v, ""), v);
    assert_null(json_pointer_get(v, "/a~1b/01"));
    assert_null(json_pointer_get(v, "/a~1b/2"));
    assert_null(json_pointer_get(v, "/a~2b"));
    assert_null(json_pointer_get(v, "a"));
    json_decref(v);
}

static void getters_name_the_member(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    const char *s = NULL;
    int64_t n = 0;
    bool b = false;
    const json_t *sub = NULL;
    json_t *v = from("{\"name\": \"x\", \"n\": 5, \"real\": 5.0, \"price\": \"-12.50\", \"no\": null, \"list\": [], \"yes\": true}");
    assert_int_equal(json_need_str(v, "/in", "name", &s, &e), 0);
    assert_string_equal(s, "x");
    assert_int_equal(json_opt_str(v, "/in", "no", "other", &s, &e), 0);
    assert_string_equal(s, "other");
    assert_int_equal(json_need_int(v, "/in", "n", 1, 5, &n, &e), 0);
    assert_int_equal(n, 5);
    assert_int_equal(json_need_decimal(v, "/in", "price", &s, &e), 0);
    assert_string_equal(s, "-12.50");
    assert_int_equal(json_need_bool(v, "", "yes", &b, &e), 0);
    assert_true(b);
    assert_int_equal(json_need_array(v, "", "list", &sub, &e), 0);
    assert_int_equal(e.code, 0);
    assert_int_equal(json_need_int(v, "/in", "real", 1, 5, &n, &e), ERR_INVALID);
    assert_int_equal(json_need_int(v, "/in", "n", 6, 9, &n, &e), ERR_INVALID);
    assert_int_equal(json_need_str(v, "/in", "missing/x", &s, &e), ERR_INVALID);
    assert_int_equal(json_need_decimal(v, "/in", "n", &s, &e), ERR_INVALID);
    assert_int_equal(json_need_object(v, "/in", "list", &sub, &e), ERR_INVALID);
    assert_int_equal(e.n_fields, 5);
    assert_string_equal(e.fields[0].pointer, "/in/real");
    assert_string_equal(e.fields[0].detail, "must be a whole number, not a number");
    assert_string_equal(e.fields[1].detail, "must be from 6 to 9");
    assert_string_equal(e.fields[2].pointer, "/in/missing~1x");
    assert_string_equal(e.fields[2].detail, "is missing; it must be text");
    assert_string_equal(e.fields[4].detail, "must be an object, not a list");
    json_decref(v);
}

static void the_near_word_is_found(void **state)
{
    (void)state;
    const char *const names[] = {"size", "backup_days", "dead_letter", NULL};
    assert_string_equal(json_near_word("siez", names), "size");
    assert_string_equal(json_near_word("Size", names), "size");
    assert_string_equal(json_near_word("dead-letter", names), "dead_letter");
    assert_string_equal(json_near_word("backupdays", names), "backup_days");
    assert_null(json_near_word("colour", names));
    assert_null(json_near_word("", names));
    assert_null(json_near_word("x", names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_text_is_refused_with_its_place), cmocka_unit_test(a_message_never_repeats_the_text), cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(canonical_text_is_the_same_for_equal_values), cmocka_unit_test(numbers_compare_without_losing_digits),
        cmocka_unit_test(text_from_anywhere_becomes_utf8), cmocka_unit_test(pointers_lead_where_they_say), cmocka_unit_test(getters_name_the_member),
        cmocka_unit_test(the_near_word_is_found),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
