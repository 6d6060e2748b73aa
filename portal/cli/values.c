#include "portal/cli/values.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/cli/args.h"
#include "portal/cli/input.h"
#include "portal/core/buf.h"
#include "portal/json/json.h"
#include "portal/json/yaml.h"

#define FILE_MAX ((size_t)1 << 20)
#define REFERENCES_MAX 16 /* a schema whose $ref goes in circles ends here */

enum type { TYPE_NULL = 1, TYPE_BOOLEAN = 2, TYPE_INTEGER = 4, TYPE_NUMBER = 8, TYPE_ARRAY = 16, TYPE_OBJECT = 32, TYPE_STRING = 64 };

static const struct { const char *name; enum type type; const char *words; } type_names[] = {
    {"null", TYPE_NULL, "null"},
    {"boolean", TYPE_BOOLEAN, "true or false"},
    {"integer", TYPE_INTEGER, "a whole number"},
    {"number", TYPE_NUMBER, "a number"},
    {"array", TYPE_ARRAY, "a list"},
    {"object", TYPE_OBJECT, "a JSON object"},
    {"string", TYPE_STRING, "text"},
};
#define N_TYPES (sizeof type_names / sizeof *type_names)

static const json_t *resolve(const json_t *root, const json_t *schema)
{
    for (int i = 0; i < REFERENCES_MAX; i++) {
        const char *ref = json_string_value(json_object_get(schema, "$ref"));
        if (!ref || *ref != '#')
            return schema;
        schema = json_pointer_get(root, ref + 1);
    }
    return NULL;
}

static unsigned type_of_value(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return TYPE_OBJECT;
    case JSON_ARRAY: return TYPE_ARRAY;
    case JSON_STRING: return TYPE_STRING;
    case JSON_INTEGER: return TYPE_INTEGER;
    case JSON_REAL: return TYPE_NUMBER;
    case JSON_NULL: return TYPE_NULL;
    default: return TYPE_BOOLEAN;
    }
}

static unsigned type_named(const char *name)
{
    for (size_t i = 0; name && i < N_TYPES; i++)
        if (!strcmp(type_names[i].name, name))
            return type_names[i].type;
    return 0;
}

/* The types that `schema` lets through, as far as it says so plainly; 0: it does not. */
static unsigned types_of(const json_t *root, const json_t *schema, int depth)
{
    static const char *const unions[] = {"anyOf", "oneOf"};
    unsigned mask = 0;
    size_t i;
    json_t *one;
    schema = resolve(root, schema);
    const json_t *type = json_object_get(schema, "type"), *constant = json_object_get(schema, "const");
    if (json_is_string(type))
        return type_named(json_string_value(type));
    json_array_foreach((json_t *)(uintptr_t)type, i, one)
        mask |= type_named(json_string_value(one));
    if (!mask && constant)
        return type_of_value(constant);
    if (!mask)
        json_array_foreach(json_object_get(schema, "enum"), i, one)
            mask |= type_of_value(one);
    for (int u = 0; !mask && u < 2 && depth < REFERENCES_MAX; u++)
        json_array_foreach(json_object_get(schema, unions[u]), i, one)
            mask |= types_of(root, one, depth + 1);
    return mask;
}

static json_t *as_boolean(const char *text)
{
    if (!strcmp(text, "true") || !strcmp(text, "yes"))
        return json_true();
    return !strcmp(text, "false") || !strcmp(text, "no") ? json_false() : NULL;
}

static json_t *as_integer(const char *text)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || strchr(" \t\n+", *text))
        return NULL;
    return json_integer(value);
}

/* `text` as JSON when it is of one of the types. */
static json_t *as_json(const char *text, unsigned types)
{
    json_t *value = NULL;
    if (json_read(text, strlen(text), 0, &value, NULL) == 0 && type_of_value(value) & types)
        return value;
    json_decref(value);
    return NULL;
}

/* The narrowest of the types that the text can be; NULL: none. */
static json_t *convert(unsigned types, const char *text)
{
    json_t *value = NULL;
    if (!value && types & TYPE_NULL && !strcmp(text, "null"))
        value = json_null();
    if (!value && types & TYPE_BOOLEAN)
        value = as_boolean(text);
    if (!value && types & (TYPE_INTEGER | TYPE_NUMBER))
        value = as_integer(text);
    if (!value && types & TYPE_NUMBER)
        value = as_json(text, TYPE_NUMBER);
    if (!value && types & (TYPE_ARRAY | TYPE_OBJECT))
        value = as_json(text, types & (TYPE_ARRAY | TYPE_OBJECT));
    if (!value && types & TYPE_STRING)
        value = json_string(text);
    return value;
}

static int refuse(const char *pointer, unsigned types, const char *text, struct err *e)
{
    BUF_AUTO words = BUF_INIT;
    for (size_t i = 0; i < N_TYPES; i++)
        if (types & type_names[i].type)
            buf_printf(&words, "%s%s", words.len ? " or " : "", type_names[i].words);
    return err_field(e, pointer, "must be %s, not \"%s\"", buf_cstr(&words), text);
}

/* ---- Places ---- */

/* Where an assignment goes: the object that gets it, the key in it, the schema of its value. */
struct place {
    const json_t *root;
    json_t *object;
    char key[256];
    const json_t *schema;
    struct buf pointer;
};

static const json_t *property(const json_t *root, const json_t *schema, const char *name, size_t n)
{
    const json_t *resolved = resolve(root, schema);
    const json_t *found = json_object_getn(json_object_get(resolved, "properties"), name, n);
    if (!found) {
        const json_t *others = json_object_get(resolved, "additionalProperties");
        found = json_is_object(others) ? others : NULL;
    }
    return resolve(root, found);
}

static bool is_property(const json_t *root, const json_t *schema, const char *name)
{
    return json_object_get(json_object_get(resolve(root, schema), "properties"), name) != NULL;
}

static int find_place(const json_t *root, json_t *parameters, const char *key, const char *flag, struct place *ret, struct err *e)
{
    const json_t *schema = root;
    ret->root = root;
    ret->object = parameters;
    buf_str(&ret->pointer, "/parameters");
    for (;;) {
        size_t n = is_property(root, schema, key) ? strlen(key) : strcspn(key, ".");
        if (n == 0 || n >= sizeof ret->key)
            return args_wrong(e, "--%s: \"%s\" is no name of a parameter", flag, key);
        memcpy(ret->key, key, n);
        ret->key[n] = 0;
        json_pointer_add(&ret->pointer, ret->key);
        schema = property(root, schema, key, n);
        if (!key[n]) {
            ret->schema = schema;
            return 0;
        }
        json_t *inner = json_object_get(ret->object, ret->key);
        if (!json_is_object(inner)) {
            inner = json_object();
            json_object_set_new(ret->object, ret->key, inner);
        }
        ret->object = inner;
        key += n + 1;
    }
}

static int append_item(struct place *p, const char *text, struct err *e)
{
    const json_t *items = resolve(p->root, json_object_get(p->schema, "items"));
    unsigned types = types_of(p->root, items, 0);
    json_t *value = convert(types ? types : TYPE_STRING, text);
    if (!value)
        return refuse(buf_cstr(&p->pointer), types, text, e);
    if (!json_is_array(json_object_get(p->object, p->key)))
        json_object_set_new(p->object, p->key, json_array());
    json_array_append_new(json_object_get(p->object, p->key), value);
    return 0;
}

static int set_text(struct place *p, const char *text, struct err *e)
{
    unsigned types = types_of(p->root, p->schema, 0);
    if (types & TYPE_ARRAY && !(types & TYPE_STRING) && *text != '[')
        return append_item(p, text, e);
    json_t *value = convert(types ? types : TYPE_STRING, text);
    if (!value)
        return refuse(buf_cstr(&p->pointer), types, text, e);
    json_object_set_new(p->object, p->key, value);
    return 0;
}

static int set_json(struct place *p, const char *text, struct err *e)
{
    json_t *value;
    struct err why = ERR_INIT;
    if (json_read(text, strlen(text), 0, &value, &why))
        return args_wrong(e, "--set-json %s: %s", p->key, why.msg);
    json_object_set_new(p->object, p->key, value);
    return 0;
}

static int assign(const json_t *schema, json_t *parameters, const char *assignment, const char *flag,
                  int (*set)(struct place *p, const char *text, struct err *e), struct err *e)
{
    const char *equals = strchr(assignment, '=');
    char key[512];
    if (!equals || equals == assignment)
        return args_wrong(e, "--%s takes KEY=VALUE, not \"%s\"", flag, assignment);
    if ((size_t)(equals - assignment) >= sizeof key)
        return args_wrong(e, "--%s: a key has at most %zu letters", flag, sizeof key - 1);
    memcpy(key, assignment, (size_t)(equals - assignment));
    key[equals - assignment] = 0;
    struct place p = {0};
    int code = find_place(schema, parameters, key, flag, &p, e);
    if (!code)
        code = set(&p, equals + 1, e);
    buf_done(&p.pointer);
    return code;
}

int values_set(const json_t *schema, json_t *parameters, const char *assignment, struct err *e)
{
    return assign(schema, parameters, assignment, "set", set_text, e);
}

int values_set_json(const json_t *schema, json_t *parameters, const char *assignment, struct err *e)
{
    return assign(schema, parameters, assignment, "set-json", set_json, e);
}

int values_load(const char *path, json_t *parameters, struct err *e)
{
    BUF_AUTO text = BUF_INIT;
    json_t *object = NULL;
    int code = input_read(path, FILE_MAX, &text, e);
    if (code)
        return code;
    code = yaml_read(buf_cstr(&text), text.len, strcmp(path, "-") ? path : "standard input", NULL, NULL, &object, NULL, e);
    if (code)
        return code;
    if (json_is_object(object))
        json_object_update(parameters, object);
    else
        code = err_set(e, ERR_INVALID, "%s: parameters are an object, not %s", path, json_type_word(object));
    json_decref(object);
    return code;
}
