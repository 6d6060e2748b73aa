#include "portal/json/json.h"
#include "portal/json/schema.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Single quotes stand for double ones, so that schemas stay readable here. */
static json_t *from(const char *text)
{
    struct err e = ERR_INIT;
    json_t *v = NULL;
    char *copy = strdup(text);
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    if (json_read(copy, strlen(copy), 0, &v, &e))
        fail_msg("%s: %s", text, e.msg);
    free(copy);
    return v;
}

static const struct schema_options strict = {.strict = true, .at = "/spec/parameters"};

static int compile(const char *text, const struct schema_options *o, struct schema **ret, struct err *e)
{
    json_t *doc = from(text);
    int code = schema_compile(doc, o, ret, e);
    json_decref(doc);
    return code;
}

static void compiles_not(const char *text, const char *pointer, const char *words)
{
    struct err e = ERR_INIT;
    struct schema *s = NULL;
    if (compile(text, &strict, &s, &e) != ERR_INVALID) {
        schema_free(s);
        fail_msg("%s was accepted", text);
    }
    if (strcmp(e.fields[0].pointer, pointer) != 0 || !strstr(e.fields[0].detail, words))
        fail_msg("%s: %s: %s", text, e.fields[0].pointer, e.fields[0].detail);
}

static void says(const char *schema, const char *value, const char *pointer, const char *words)
{
    static const struct schema_options formats = {.assert_formats = true};
    struct err e = ERR_INIT;
    SCHEMA_AUTO s = NULL;
    if (compile(schema, &formats, &s, &e))
        fail_msg("%s: %s", schema, e.msg);
    json_t *v = from(value);
    int code = schema_validate(s, v, "/parameters", &e);
    json_decref(v);
    if (code != ERR_INVALID)
        fail_msg("%s: %s gave %d", schema, value, code);
    if (strcmp(e.fields[0].pointer, pointer) != 0 || strcmp(e.fields[0].detail, words) != 0)
        fail_msg("%s: %s: %s: %s", schema, value, e.fields[0].pointer, e.fields[0].detail);
}

static void failures_are_sentences(void **state)
{
    (void)state;
    const char *form = "{'type': 'object', 'properties': {'size': {'enum': ['small', 'medium', 'large']}, 'days': {'type': 'integer', 'minimum': 1, 'maximum': 35}, "
                       "'name': {'type': 'string', 'minLength': 1, 'maxLength': 3, 'pattern': '^[a-z]+$'}}, 'required': ['size'], 'additionalProperties': false}";
    says(form, "{'size': 'huge'}", "/parameters/size", "must be one of small, medium, large");
    says(form, "{'size': 'small', 'sise': 1}", "/parameters/sise", "is not known; did you mean size?");
    says(form, "{'size': 'small', 'colour': 1}", "/parameters/colour", "is not known; known are days, name, size");
    says(form, "{}", "/parameters/size", "is required");
    says(form, "{'size': 'small', 'days': '3'}", "/parameters/days", "must be a whole number");
    says(form, "{'size': 'small', 'days': 3.5}", "/parameters/days", "must be a whole number");
    says(form, "{'size': 'small', 'days': 36}", "/parameters/days", "must be at most 35");
    says(form, "{'size': 'small', 'name': ''}", "/parameters/name", "must not be empty");
    says(form, "{'size': 'small', 'name': 'abcd'}", "/parameters/name", "must have at most 3 characters");
    says(form, "{'size': 'small', 'name': 'A'}", "/parameters/name", "must match the pattern ^[a-z]+$");
    says(form, "[]", "/parameters", "must be an object");
    says("{'type': ['string', 'null']}", "5", "/parameters", "must be text or null");
    says("{'type': 'number', 'exclusiveMinimum': 0.1}", "0.1", "/parameters", "must be more than 0.1");
    says("{'const': 5}", "6", "/parameters", "must be 5");
    says("{'format': 'email'}", "'x'", "/parameters", "must be a mail address");
    says("{'items': {'type': 'string'}, 'uniqueItems': true}", "['a', 'b', 'a']", "/parameters", "must not hold the same twice: items 0 and 2 are equal");
    says("{'items': {'type': 'string'}}", "['a', 1]", "/parameters/1", "must be text");
    says("{'propertyNames': {'pattern': '^[a-z]+$'}}", "{'A': 1}", "/parameters/A", "is no allowed name: it must match the pattern ^[a-z]+$");
    says("{'dependentRequired': {'a': ['b']}}", "{'a': 1}", "/parameters/b", "is required when a is given");
    says("{'oneOf': [{'type': 'object', 'required': ['a']}, {'type': 'string'}]}", "{}", "/parameters/a", "is required");
    says("{'anyOf': [{'type': 'string'}, {'type': 'null'}]}", "5", "/parameters", "fits none of the 2 forms it may have; of the first: must be text");
    says("{'not': {'type': 'string'}}", "'x'", "/parameters", "has a form that is excluded here");
    says("{'properties': {'a': true}, 'unevaluatedProperties': false}", "{'a': 1, 'b': 2}", "/parameters/b", "is not known; known are a");
    says("{'properties': {'a/b~': {'type': 'null'}}}", "{'a/b~': 1}", "/parameters/a~1b~0", "must be null");
}

static void all_failures_are_named(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    SCHEMA_AUTO s = NULL;
    assert_int_equal(compile("{'properties': {'a': {'type': 'string'}, 'b': {'type': 'string'}}, 'required': ['c']}", NULL, &s, &e), 0);
    json_t *v = from("{'a': 1, 'b': 2}");
    assert_int_equal(schema_validate(s, v, NULL, &e), ERR_INVALID);
    assert_int_equal(e.n_fields, 3);
    assert_string_equal(e.fields[0].pointer, "/c");
    assert_string_equal(e.fields[1].pointer, "/a");
    assert_string_equal(e.fields[2].pointer, "/b");
    json_decref(v);
}

static void a_message_never_repeats_the_value(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    SCHEMA_AUTO s = NULL;
    assert_int_equal(compile("{'type': 'string', 'maxLength': 3, 'pattern': '^x', 'enum': ['x'], 'const': 'y', 'format': 'uuid'}", NULL, &s, &e), 0);
    json_t *v = from("'hunter2'");
    assert_int_equal(schema_validate(s, v, "", &e), ERR_INVALID);
    for (unsigned i = 0; i < e.n_fields; i++)
        assert_null(strstr(e.fields[i].detail, "hunter2"));
    assert_null(strstr(e.msg, "hunter2"));
    json_decref(v);
}

static void what_is_published_must_be_known(void **state)
{
    (void)state;
    compiles_not("{'properties': {'a': {'minLengh': 3}}}", "/spec/parameters/properties/a/minLengh", "is not a keyword of JSON Schema 2020-12; did you mean minLength?");
    compiles_not("{'definitions': {}}", "/spec/parameters/definitions", "write $defs");
    compiles_not("{'$schema': 'http://json-schema.org/draft-07/schema#'}", "/spec/parameters/$schema", "2020-12");
    compiles_not("{'properties': {'a': {'default': 'x', 'type': 'integer'}}}", "/spec/parameters/properties/a/default", "does not fit its own schema: must be a whole number");
    compiles_not("{'allOf': [{'typo': 1}]}", "/spec/parameters/allOf/0/typo", "is not a keyword");
    compiles_not("{'$defs': {'x': {'nope': 1}}, 'patternProperties': {'^a': {'nope': 1}}}", "/spec/parameters/$defs/x/nope", "is not a keyword");
    struct err e = ERR_INIT;
    SCHEMA_AUTO s = NULL;
    assert_int_equal(compile("{'ui:order': ['a'], 'x-note': 1, 'title': 't', 'properties': {'a': {'ui:widget': 'password', 'format': 'password', 'default': ''}}}", &strict, &s, &e), 0);
}

static void broken_schemas_are_refused_with_their_place(void **state)
{
    (void)state;
    compiles_not("[]", "/spec/parameters", "must be a schema");
    compiles_not("{'properties': {'a': 5}}", "/spec/parameters/properties/a", "must be a schema");
    compiles_not("{'type': 'strin'}", "/spec/parameters/type", "must be one of null");
    compiles_not("{'type': []}", "/spec/parameters/type", "must be one of null");
    compiles_not("{'minLength': '5'}", "/spec/parameters/minLength", "whole number from 0");
    compiles_not("{'minLength': -1}", "/spec/parameters/minLength", "whole number from 0");
    compiles_not("{'multipleOf': 0}", "/spec/parameters/multipleOf", "above 0");
    compiles_not("{'maximum': '5'}", "/spec/parameters/maximum", "must be a number");
    compiles_not("{'enum': 'a'}", "/spec/parameters/enum", "a list of values");
    compiles_not("{'required': 'a'}", "/spec/parameters/required", "a list of names");
    compiles_not("{'required': [1]}", "/spec/parameters/required", "a list of names");
    compiles_not("{'allOf': []}", "/spec/parameters/allOf", "at least one schema");
    compiles_not("{'uniqueItems': 1}", "/spec/parameters/uniqueItems", "true or false");
    compiles_not("{'pattern': '('}", "/spec/parameters/pattern", "is no pattern");
    compiles_not("{'patternProperties': {'[': true}}", "/spec/parameters/patternProperties", "is no pattern");
    compiles_not("{'pattern': '\\\\C'}", "/spec/parameters/pattern", "is no pattern");
    compiles_not("{'$ref': '#/$defs/x'}", "/spec/parameters/$ref", "leads nowhere");
    compiles_not("{'$ref': '#nope'}", "/spec/parameters/$ref", "leads nowhere");
    compiles_not("{'$ref': 5}", "/spec/parameters/$ref", "must be a reference");
    compiles_not("{'$ref': 'https://example.org/x.json'}", "/spec/parameters/$ref", "only references inside this document");
    compiles_not("{'$ref': 'other.json#/a'}", "/spec/parameters/$ref", "only references inside this document");
}

static void endless_references_are_refused(void **state)
{
    (void)state;
    compiles_not("{'$ref': '#'}", "/spec/parameters/$ref", "without end");
    compiles_not("{'$defs': {'a': {'$ref': '#/$defs/b'}, 'b': {'$ref': '#/$defs/a'}}, 'properties': {'x': {'$ref': '#/$defs/a'}}}", "/spec/parameters/$defs/a/$ref", "without end");
    compiles_not("{'allOf': [{'anyOf': [{'not': {'$ref': '#'}}]}]}", "/spec/parameters/allOf/0/anyOf/0/not/$ref", "without end");
    compiles_not("{'if': {'$ref': '#'}}", "/spec/parameters/if/$ref", "without end");
    struct err e = ERR_INIT;
    SCHEMA_AUTO s = NULL; /* a tree goes down into the value and is fine */
    assert_int_equal(compile("{'properties': {'left': {'$ref': '#'}, 'right': {'$ref': '#'}}, 'additionalProperties': false}", &strict, &s, &e), 0);
    json_t *v = from("{'left': {'left': {}, 'right': {'top': 1}}}");
    assert_int_equal(schema_validate(s, v, "", &e), ERR_INVALID);
    assert_string_equal(e.fields[0].pointer, "/left/right/top");
    json_decref(v);
}

static void an_endless_dynamic_reference_ends(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    SCHEMA_AUTO s = NULL;
    assert_int_equal(compile("{'$dynamicAnchor': 'x', '$dynamicRef': '#x'}", NULL, &s, &e), 0);
    json_t *v = from("1");
    assert_int_equal(schema_validate(s, v, "", &e), ERR_TOO_LARGE);
    json_decref(v);
}

static void hostile_work_is_cut_short(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    BUF_AUTO text = BUF_INIT;
    buf_str(&text, "{'$defs': {'d30': {'type': 'string'}");
    for (int i = 0; i < 30; i++)
        buf_printf(&text, ", 'd%d': {'allOf': [{'$ref': '#/$defs/d%d'}, {'$ref': '#/$defs/d%d'}]}", i, i + 1, i + 1);
    buf_str(&text, "}, '$ref': '#/$defs/d0'}");
    struct schema *s = NULL;
    assert_int_equal(compile(buf_cstr(&text), &strict, &s, &e), 0);
    json_t *v = from("'x'");
    assert_int_equal(schema_validate(s, v, "", &e), ERR_TOO_LARGE);
    assert_non_null(strstr(e.msg, "too many steps"));
    assert_int_equal(schema_validate(s, v, "", NULL), ERR_TOO_LARGE);
    json_decref(v);
    schema_free(s);
    assert_int_equal(compile("{'pattern': '^(a+)+$'}", &strict, &s, &e), 0);
    v = from("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab'");
    assert_int_equal(schema_validate(s, v, "", &e), ERR_TOO_LARGE);
    assert_non_null(strstr(e.msg, "pattern"));
    json_decref(v);
    schema_free(s);
}

static void nested_choices_are_cut_short(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    SCHEMA_AUTO s = NULL;
    assert_int_equal(compile("{'$defs': {'t': {'anyOf': [{'type': 'string'}, {'items': {'$ref': '#/$defs/t'}, 'type': 'array'}, {'items': {'$ref': '#/$defs/t'}, 'minItems': 1, "
                             "'type': 'array'}]}}, '$ref': '#/$defs/t'}", &strict, &s, &e), 0);
    BUF_AUTO deep = BUF_INIT;
    for (int i = 0; i < 60; i++)
        buf_char(&deep, '[');
    buf_str(&deep, "1");
    for (int i = 0; i < 60; i++)
        buf_char(&deep, ']');
    json_t *v = from(buf_cstr(&deep));
    assert_int_equal(schema_validate(s, v, "", &e), ERR_TOO_LARGE);
    json_decref(v);
}

static void defaults_are_filled_in(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"{'properties': {'size': {'default': 'small'}, 'n': {'default': 1}}}", "{'n': 5}", "{\"n\":5,\"size\":\"small\"}"},
        {"{'properties': {'o': {'properties': {'x': {'default': 1}}}}}", "{}", "{}"},
        {"{'properties': {'o': {'default': {}, 'properties': {'x': {'default': 1}}}}}", "{}", "{\"o\":{\"x\":1}}"},
        {"{'$defs': {'s': {'default': 's', 'type': 'string'}}, 'properties': {'a': {'$ref': '#/$defs/s'}}}", "{}", "{\"a\":\"s\"}"},
        {"{'allOf': [{'properties': {'a': {'default': 1}}}, {'properties': {'b': {'default': 2}}}]}", "{}", "{\"a\":1,\"b\":2}"},
        {"{'items': {'properties': {'a': {'default': 1}}}}", "[{}, {'a': 2}]", "[{\"a\":1},{\"a\":2}]"},
        {"{'if': {'properties': {'a': {'default': 1}}}}", "{}", "{}"},
        {"{'properties': {'a': {'default': {}, '$ref': '#'}}}", "{}", "{\"a\":{}}"},
        {"{'properties': {'a': {'default': 1}}}", "5", "5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        BUF_AUTO out = BUF_INIT;
        SCHEMA_AUTO s = NULL;
        json_t *v = from(cases[i][1]), *before = json_deep_copy(v), *filled = NULL;
        assert_int_equal(compile(cases[i][0], NULL, &s, &e), 0);
        assert_int_equal(schema_fill_defaults(s, v, &filled, &e), 0);
        json_write(filled, &out);
        assert_string_equal(buf_cstr(&out), cases[i][2]);
        assert_true(json_equal(v, before));
        json_decref(v);
        json_decref(before);
        json_decref(filled);
    }
}

static void defaults_cannot_unfold_without_measure(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    BUF_AUTO text = BUF_INIT;
    SCHEMA_AUTO s = NULL;
    json_t *v = from("{}"), *filled = NULL;
    buf_str(&text, "{'$defs': {'d30': {}");
    for (int i = 0; i < 30; i++)
        buf_printf(&text, ", 'd%d': {'default': {}, 'properties': {'a': {'$ref': '#/$defs/d%d'}, 'b': {'$ref': '#/$defs/d%d'}}}", i, i + 1, i + 1);
    buf_str(&text, "}, '$ref': '#/$defs/d0'}");
    assert_int_equal(compile(buf_cstr(&text), &strict, &s, &e), 0);
    assert_int_equal(schema_fill_defaults(s, v, &filled, &e), ERR_TOO_LARGE);
    json_decref(v);
}

static void references_reach_the_rest_of_the_document(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    SCHEMA_AUTO s = NULL;
    json_t *root = from("{'components': {'schemas': {'Order': {'properties': {'team': {'$ref': '#/components/schemas/Name'}}}, 'Name': {'type': 'string', 'pattern': '^[a-z]+$'}}}}");
    struct schema_options o = {.root = root, .at = "/components/schemas/Order"};
    assert_int_equal(schema_compile(json_pointer_get(root, o.at), &o, &s, &e), 0);
    json_decref(root); /* the schema keeps what it needs */
    json_t *v = from("{'team': 'X'}");
    assert_int_equal(schema_validate(s, v, "", &e), ERR_INVALID);
    assert_string_equal(e.fields[0].pointer, "/team");
    json_decref(v);
    root = from("{'components': {'schemas': {'A': {'$ref': '#/components/schemas/B'}, 'B': {'minimum': 'x'}}}}");
    struct schema *bad = NULL;
    o = (struct schema_options){.root = root, .at = "/components/schemas/A"};
    assert_int_equal(schema_compile(json_pointer_get(root, o.at), &o, &bad, &e), ERR_INVALID);
    assert_string_equal(e.fields[0].pointer, "/components/schemas/B/minimum");
    json_decref(root);
}

struct deep { const struct schema *s; const json_t *v; int code; };

static void *check_deep(void *arg)
{
    struct deep *d = arg;
    struct err e = ERR_INIT;
    d->code = schema_validate(d->s, d->v, "", &e);
    return NULL;
}

/* HTTP workers have half a megabyte of stack. */
static void deep_values_fit_a_small_stack(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    SCHEMA_AUTO s = NULL;
    assert_int_equal(compile("{'$defs': {'a': {'oneOf': [{'$ref': '#'}]}}, 'properties': {'x': {'anyOf': [{'$ref': '#/$defs/a'}]}}, 'unevaluatedProperties': false}", NULL, &s, &e), 0);
    BUF_AUTO deep = BUF_INIT;
    for (int i = 0; i < 60; i++)
        buf_str(&deep, "{'x':");
    buf_str(&deep, "{'y': 1}");
    for (int i = 0; i < 60; i++)
        buf_str(&deep, "}");
    struct deep d = {s, from(buf_cstr(&deep)), 0};
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    pthread_attr_setstacksize(&attr, 1024 * 1024);
#else
    pthread_attr_setstacksize(&attr, 256 * 1024);
#endif
    assert_int_equal(pthread_create(&thread, &attr, check_deep, &d), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    assert_int_equal(d.code, ERR_TOO_LARGE);
    json_decref((json_t *)(uintptr_t)d.v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_are_sentences), cmocka_unit_test(all_failures_are_named), cmocka_unit_test(a_message_never_repeats_the_value),
        cmocka_unit_test(what_is_published_must_be_known), cmocka_unit_test(broken_schemas_are_refused_with_their_place),
        cmocka_unit_test(endless_references_are_refused), cmocka_unit_test(an_endless_dynamic_reference_ends),
        cmocka_unit_test(hostile_work_is_cut_short), cmocka_unit_test(nested_choices_are_cut_short), cmocka_unit_test(defaults_are_filled_in),
        cmocka_unit_test(defaults_cannot_unfold_without_measure), cmocka_unit_test(references_reach_the_rest_of_the_document),
        cmocka_unit_test(deep_values_fit_a_small_stack),
    };
    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
