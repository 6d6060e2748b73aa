#include "portal/json/json.h"
#include "portal/json/yaml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void reads(const char *yaml, const char *json)
{
    struct err e = ERR_INIT;
    BUF_AUTO out = BUF_INIT;
    json_t *v = NULL;
    if (yaml_read(yaml, strlen(yaml), NULL, NULL, NULL, &v, NULL, &e))
        fail_msg("%s: %s", yaml, e.msg);
    json_write(v, &out);
    assert_string_equal(buf_cstr(&out), json);
    json_decref(v);
}

static void refused_as(int code, const char *yaml, const char *words)
{
    struct err e = ERR_INIT;
    json_t *v = NULL;
    assert_int_equal(yaml_read(yaml, strlen(yaml), "t.yaml", NULL, NULL, &v, NULL, &e), code);
    if (!strstr(e.msg, words))
        fail_msg("%s: \"%s\" has no \"%s\"", yaml, e.msg, words);
}

static void scalars_are_those_of_the_core_schema(void **state)
{
    (void)state;
    reads("[null, Null, ~, '', ]", "[null,null,null,\"\"]");
    reads("a:\nb: ~", "{\"a\":null,\"b\":null}");
    reads("[true, True, TRUE, false, yes, no, on, off, y, n]", "[true,true,true,false,\"yes\",\"no\",\"on\",\"off\",\"y\",\"n\"]");
    reads("[12, -3, +4, 0o17, 0x1F, 017, 0b1, 1_000]", "[12,-3,4,15,31,17,\"0b1\",\"1_000\"]");
    reads("[1.5, .5, 1., 1e3, -1.5E-2, 1.2.3, ., e1]", "[1.5,0.5,1.0,1000.0,-0.015,\"1.2.3\",\".\",\"e1\"]");
    reads("['12', \"true\", !!str 12, ! 13, !!int '7', !!float 1, !!bool 'true', !!null '']", "[\"12\",\"true\",\"12\",\"13\",7,1.0,true,null]");
    reads("[1:30, 2026-01-31, 12:30:00, =, 1.0.0]", "[\"1:30\",\"2026-01-31\",\"12:30:00\",\"=\",\"1.0.0\"]");
    reads("9223372036854775807", "9223372036854775807");
    reads("a: |\n  x\n  y\nb: >-\n  x\n  y\n", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}");
    reads("true: 1\n5: 2\n", "{\"5\":2,\"true\":1}");
    reads("", "null");
    reads("# only a comment\n", "null");
    reads("\xEF\xBB\xBF" "a: 1\n", "{\"a\":1}");
    reads("{\"a\": [1, {\"b\": \"c\"}],\t\"d\": null}", "{\"a\":[1,{\"b\":\"c\"}],\"d\":null}");
}

static void what_is_ambiguous_is_refused_with_its_place(void **state)
{
    (void)state;
    refused_as(ERR_INVALID, "a: 1\nb: 2\na: 3\n", "t.yaml:3:1: this key stands twice");
    refused_as(ERR_INVALID, "a: 1\n'a': 3\n", "twice");
    refused_as(ERR_INVALID, "x: &a {b: 1}\ny:\n  <<: *a\n", "t.yaml:3:3: merge keys");
    refused_as(ERR_INVALID, "a: 1\n---\nb: 2\n", "second document");
    refused_as(ERR_INVALID, "a: .inf\n", "infinity");
    refused_as(ERR_INVALID, "a: -.Inf\n", "infinity");
    refused_as(ERR_INVALID, "a: .nan\n", "NaN");
    refused_as(ERR_INVALID, "a: 99999999999999999999\n", "64 bits");
    refused_as(ERR_INVALID, "a: 1e999\n", "too large");
    refused_as(ERR_INVALID, "[1, 2]: x\n", "a key must be plain text");
    refused_as(ERR_INVALID, "a: !thing x\n", "tag is not known");
    refused_as(ERR_INVALID, "a: !!binary x\n", "tag is not known");
    refused_as(ERR_INVALID, "a: !!set {x}\n", "tag is not known");
    refused_as(ERR_INVALID, "a: !!int x\n", "not a whole number");
    refused_as(ERR_INVALID, "a: *b\n", "alias names an anchor");
    refused_as(ERR_INVALID, "a: &a [*a]\n", "alias names an anchor");
    refused_as(ERR_INVALID, "a: \"x\\0y\"\n", "U+0000");
    refused_as(ERR_INVALID, "a: \"x\xff\"\n", "not UTF-8");
    refused_as(ERR_INVALID, "a: [1, 2\nb: 3\n", "t.yaml:2");
    refused_as(ERR_INVALID, "a:\n\t- b\n", "t.yaml:2");
    refused_as(ERR_INVALID, "&a a: 1\n", "anchor");
}

static void aliases_are_copies_within_a_budget(void **state)
{
    (void)state;
    reads("a: &x {b: [1]}\nc: *x\nd: &x 5\ne: *x\n", "{\"a\":{\"b\":[1]},\"c\":{\"b\":[1]},\"d\":5,\"e\":5}");
    refused_as(ERR_TOO_LARGE, "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
               "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n", "unfolds");
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    BUF_AUTO text = BUF_INIT;
    for (int i = 0; i < 100; i++)
        buf_char(&text, '[');
    refused_as(ERR_INVALID, buf_cstr(&text), "nested too deep");
    buf_clear(&text);
    for (int i = 0; i < 60000; i++)
        buf_str(&text, "- a\n");
    refused_as(ERR_TOO_LARGE, buf_cstr(&text), "t.yaml:50000:3");
    buf_clear(&text);
    for (int i = 0; i < 1100; i++)
        buf_printf(&text, "- &a%d x\n", i);
    refused_as(ERR_TOO_LARGE, buf_cstr(&text), "too many anchors");
    buf_clear(&text);
    for (int i = 0; i < 1100000; i++)
        buf_char(&text, ' ');
    refused_as(ERR_TOO_LARGE, buf_cstr(&text), "t.yaml: the text has");
}

static void marks_tell_line_and_column(void **state)
{
    (void)state;
    const char *yaml = "metadata:\n  name: x\nspec:\n  - one\n  - two: {a/b: 1}\n  -\n    three: 3\n";
    struct err e = ERR_INIT;
    ARENA_AUTO a = arena_new();
    struct yaml_marks *m;
    json_t *v;
    int line, column;
    assert_int_equal(yaml_read(yaml, strlen(yaml), "t", NULL, a, &v, &m, &e), 0);
    static const struct { const char *pointer; int line, column; bool exact; } wanted[] = {
        {"", 1, 1, true}, {"/metadata", 1, 1, true}, {"/metadata/name", 2, 3, true}, {"/spec", 3, 1, true}, {"/spec/0", 4, 5, true},
        {"/spec/1/two/a~1b", 5, 11, true}, {"/spec/2/three", 7, 5, true}, {"/metadata/missing/x", 1, 1, false}, {"/spec/9", 3, 1, false}, {"bad", 1, 1, false},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        bool exact = yaml_marks_find(m, wanted[i].pointer, &line, &column);
        if (line != wanted[i].line || column != wanted[i].column || exact != wanted[i].exact)
            fail_msg("%s is at %d:%d", wanted[i].pointer, line, column);
    }
    json_decref(v);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    static const char *const values[] = {
        "null", "5", "\"\"", "[]", "{}", "\"yes\"", "\"1.5\"", "[[],[[1]],{},{\"a\":[]}]", "{\"a\":{\"b\":[1,{\"c\":2,\"d\":[3]}]},\"true\":\"~\"}",
        "[\" x\",\"x \",\"a: b\",\"a #b\",\"-\",\"- a\",\"? x\",\"line\\nfeed\",\"tab\\t\",\"'\",\"\\\"\",\"@x\",\"0x1F\",\"1e5\",\"2026-01-31\",\"<<\",\"*a\",\"&a\",\"!x\",\"%x\",\"{x\"]",
        "{\"<<\":1,\"a b\":2,\"a: b\":3,\"\":4,\"12\":5,\"x:\":6}", "[\"\\u007f\\u0085\\u2028\\u2029\\ufeff\\u0001\\u00a0\\ud83d\\ude00\\ufffe\"]",
        "[0.1,1e300,-0.0,9223372036854775807,true,false,null]",
        "{\"https://x/y\":{\"url\":\"postgres://a:b@c:5/d?e=f\"}}",
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct err e = ERR_INIT;
        BUF_AUTO out = BUF_INIT;
        json_t *v, *again;
        assert_int_equal(json_read(values[i], strlen(values[i]), 0, &v, &e), 0);
        yaml_write(v, &out);
        if (yaml_read(out.data, out.len, NULL, NULL, NULL, &again, NULL, &e))
            fail_msg("%s: %s\n%s", values[i], e.msg, out.data);
        if (!json_equal(v, again))
            fail_msg("%s became\n%s", values[i], out.data);
        json_decref(v);
        json_decref(again);
    }
}

static void long_keys_read_back(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    BUF_AUTO key = BUF_INIT;
    BUF_AUTO out = BUF_INIT;
    json_t *v = json_object(), *again, *list = json_array();
    for (int i = 0; i < 2000; i++)
        buf_char(&key, 'k');
    json_object_set_new(v, buf_cstr(&key), json_pack("{s:[i]}", "x", 1));
    json_array_append_new(list, v);
    yaml_write(list, &out);
    assert_int_equal(yaml_read(out.data, out.len, NULL, NULL, NULL, &again, NULL, &e), 0);
    assert_true(json_equal(list, again));
    json_decref(list);
    json_decref(again);
}

static void people_can_read_it(void **state)
{
    (void)state;
    BUF_AUTO out = BUF_INIT;
    json_t *v = json_pack("{s:s, s:[{s:s, s:i}, s], s:{}, s:{s:b}}", "name", "hello-db", "list", "a", "x y", "b", 2, "it's", "none", "more", "on", 1);
    yaml_write(v, &out);
    assert_string_equal(buf_cstr(&out), "name: hello-db\nlist:\n  - a: x y\n    b: 2\n  - \"it's\"\nnone: {}\nmore:\n  \"on\": true\n");
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_are_those_of_the_core_schema), cmocka_unit_test(what_is_ambiguous_is_refused_with_its_place),
        cmocka_unit_test(aliases_are_copies_within_a_budget), cmocka_unit_test(sizes_are_bounded), cmocka_unit_test(marks_tell_line_and_column),
        cmocka_unit_test(what_is_written_reads_back), cmocka_unit_test(long_keys_read_back), cmocka_unit_test(people_can_read_it),
    };
    return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
