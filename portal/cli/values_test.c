#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "portal/cli/values.h"

static const char schema_text[] =
    "{\"type\":\"object\",\"$defs\":{\"days\":{\"type\":\"integer\"}},\"properties\":{"
    "\"size\":{\"enum\":[\"small\",\"large\"]},\"replicas\":{\"type\":\"integer\"},\"ratio\":{\"type\":\"number\"},\"public\":{\"type\":\"boolean\"},"
    "\"label\":{\"type\":\"string\"},\"maybe\":{\"type\":[\"integer\",\"null\"]},\"either\":{\"anyOf\":[{\"type\":\"boolean\"},{\"type\":\"string\"}]},"
    "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"ports\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}},"
    "\"backup\":{\"type\":\"object\",\"properties\":{\"days\":{\"$ref\":\"#/$defs/days\"},\"at\":{\"type\":\"string\"}}},"
    "\"dotted.name\":{\"type\":\"integer\"},\"loop\":{\"$ref\":\"#/properties/loop\"},\"map\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}},"
    "\"choice\":{\"enum\":[1,2]}}}";

static json_t *schema, *parameters;

static int setup(void **state)
{
    (void)state;
    schema = json_loads(schema_text, 0, NULL);
    parameters = json_object();
    return schema ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    json_decref(schema);
    json_decref(parameters);
    return 0;
}

static void set(const char *assignment)
{
    struct err e = ERR_INIT;
    if (values_set(schema, parameters, assignment, &e))
        fail_msg("%s: %s", assignment, e.msg);
}

static void refuse(const char *assignment, const char *pointer, const char *words)
{
    struct err e = ERR_INIT;
    assert_int_equal(values_set(schema, parameters, assignment, &e), ERR_INVALID);
    if (pointer) {
        assert_int_equal(e.n_fields, 1);
        assert_string_equal(e.fields[0].pointer, pointer);
        assert_non_null(strstr(e.fields[0].detail, words));
    } else {
        assert_non_null(strstr(e.msg, words));
    }
}

static void expect(const char *text)
{
    json_t *v = json_loads(text, 0, NULL);
    assert_non_null(v);
    if (!json_equal(v, parameters)) {
        char *got = json_dumps(parameters, JSON_COMPACT);
        fail_msg("expected %s, got %s", text, got);
    }
    json_decref(v);
}

static void values_take_their_type(void **state)
{
    (void)state;
    set("size=small");
    set("replicas=3");
    set("ratio=0.5");
    set("public=true");
    set("label=007");
    set("maybe=null");
    set("either=false");
    set("choice=2");
    expect("{\"size\":\"small\",\"replicas\":3,\"ratio\":0.5,\"public\":true,\"label\":\"007\",\"maybe\":null,\"either\":false,\"choice\":2}");
    set("either=perhaps");
    set("label=a=b");
    set("label=");
    set("maybe=-9223372036854775808");
    set("ratio=3");
    expect("{\"size\":\"small\",\"replicas\":3,\"ratio\":3,\"public\":true,\"label\":\"\",\"maybe\":-9223372036854775808,\"either\":\"perhaps\",\"choice\":2}");
}

static void wrong_types_name_the_field(void **state)
{
    (void)state;
    refuse("replicas=many", "/parameters/replicas", "a whole number");
    refuse("replicas=1.5", "/parameters/replicas", "not \"1.5\"");
    refuse("replicas=99999999999999999999", "/parameters/replicas", "a whole number");
    refuse("ratio=half", "/parameters/ratio", "a number");
    refuse("public=maybe", "/parameters/public", "true or false");
    refuse("backup.days=x", "/parameters/backup/days", "a whole number");
    refuse("ports=x", "/parameters/ports", "a whole number");
    refuse("backup=x", "/parameters/backup", "a JSON object");
    refuse("noequals", NULL, "KEY=VALUE");
    refuse("=x", NULL, "KEY=VALUE");
    refuse(".x=1", NULL, "no name of a parameter");
}

static void members_and_lists(void **state)
{
    (void)state;
    set("backup.days=7");
    set("backup.at=04:00");
    set("dotted.name=5");
    set("tags=a");
    set("tags=b,c");
    set("ports=[1, 2]");
    set("ports=3");
    set("map.x=1");
    expect("{\"backup\":{\"days\":7,\"at\":\"04:00\"},\"dotted.name\":5,\"tags\":[\"a\",\"b,c\"],\"ports\":[1,2,3],\"map\":{\"x\":1}}");
}

static void unknown_keys_go_to_the_server(void **state)
{
    (void)state;
    set("colour=red");
    set("a.b=1");
    set("loop=x"); /* a schema that only refers to itself says nothing */
    expect("{\"colour\":\"red\",\"a\":{\"b\":\"1\"},\"loop\":\"x\"}");
}

static void json_is_taken_as_it_is(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    assert_int_equal(values_set_json(schema, parameters, "backup.extra={\"x\":[1,true]}", &e), 0);
    assert_int_equal(values_set_json(schema, parameters, "label=12", &e), 0);
    expect("{\"backup\":{\"extra\":{\"x\":[1,true]}},\"label\":12}");
    assert_int_equal(values_set_json(schema, parameters, "label={", &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "--set-json label"));
}

static void without_a_schema_all_is_text(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    assert_int_equal(values_set(NULL, parameters, "replicas=3", &e), 0);
    expect("{\"replicas\":\"3\"}");
}

static void files_are_merged(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    char path[] = "/tmp/soma-values-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "size: large\nbackup:\n  days: 3\n";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    set("size=small");
    assert_int_equal(values_load(path, parameters, &e), 0);
    expect("{\"size\":\"large\",\"backup\":{\"days\":3}}");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("- 1\n", f);
    fclose(f);
    assert_int_equal(values_load(path, parameters, &e), ERR_INVALID);
    unlink(path);
    assert_int_equal(values_load(path, parameters, &e), ERR_NOT_FOUND);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_take_their_type),  TEST(wrong_types_name_the_field),   TEST(members_and_lists), TEST(unknown_keys_go_to_the_server),
        TEST(json_is_taken_as_it_is), TEST(without_a_schema_all_is_text), TEST(files_are_merged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
