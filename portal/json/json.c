/* Parsing and getters. The one complication: jansson's own depth limit is far too deep for small stacks and cannot be set, so nesting is
 * counted over the text before it is parsed. */
#include "portal/json/json.h"
#include <stdlib.h>
#include <string.h>

/* Line and column (in characters) of byte `at`. */
static void place(const char *text, size_t at, int *ret_line, int *ret_column)
{
    int line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text[i] & 0xC0) != 0x80) {
            column++;
        }
    }
    *ret_line = line;
    *ret_column = column;
}

/* The first byte at which nesting passes depth_max, or SIZE_MAX. Text in quotes is skipped as any JSON parser would. */
static size_t too_deep(const char *text, size_t len, int depth_max)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > depth_max)
                return i;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return SIZE_MAX;
}

/* jansson's words, without the piece of input that it quotes: the input may hold a secret. */
static const char *reason_of(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_duplicate_key: return "a key stands twice in one object";
    case json_error_premature_end_of_input: return "the text ends too early";
    case json_error_end_of_input_expected: return "there is more text behind the value";
    case json_error_invalid_utf8: return "this is not UTF-8";
    case json_error_null_character: return "U+0000 is not allowed in text";
    case json_error_null_byte_in_key: return "U+0000 is not allowed in a key";
    case json_error_numeric_overflow: return "this number is too large";
    default: return "this is not JSON";
    }
}

/* Where the trouble begins: jansson stands behind the piece that it complains of, and quotes it at the end of its words. */
static size_t start_of(const json_error_t *error, const char *text, size_t len)
{
    size_t at = error->position > 0 ? (size_t)error->position : 0;
    if (at > len)
        at = len;
    const char *near = strstr(error->text, " near '");
    size_t n = near ? strlen(near + 7) : 0;
    if (n < 2 || --n > at || memcmp(text + at - n, near + 7, n) != 0)
        return at;
    return at - n;
}

static int read_flags(const char *text, size_t len, int depth_max, size_t flags, json_t **ret, struct err *e)
{
    int line, column;
    size_t deep = too_deep(text, len, depth_max ? depth_max : JSON_DEPTH_DEFAULT);
    if (deep != SIZE_MAX) {
        place(text, deep, &line, &column);
        return err_set(e, ERR_INVALID, "line %d, column %d, byte %zu: nested deeper than %d levels", line, column, deep,
                       depth_max ? depth_max : JSON_DEPTH_DEFAULT);
    }
    json_error_t error;
    json_t *v = json_loadb(text, len, flags | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (v) {
        *ret = v;
        return 0;
    }
    if (json_error_code(&error) == json_error_out_of_memory)
        return err_set(e, ERR_NOMEM, "not enough memory to read JSON");
    size_t at = start_of(&error, text, len);
    place(text, at, &line, &column);
    return err_set(e, ERR_INVALID, "line %d, column %d, byte %zu: %s", line, column, at, reason_of(&error));
}

int json_read(const void *text, size_t len, int depth_max, json_t **ret, struct err *e)
{
    return read_flags(text ? text : "", len, depth_max, 0, ret, e);
}

int json_read_nul(const void *text, size_t len, int depth_max, json_t **ret, struct err *e)
{
    return read_flags(text ? text : "", len, depth_max, JSON_ALLOW_NUL, ret, e);
}

/* Length of the well-formed UTF-8 sequence at p, or 0. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xC2 && p[0] <= 0xDF ? 2 : (p[0] & 0xF0) == 0xE0 ? 3 : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4 : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return n;
}

json_t *json_textn(const char *s, size_t n)
{
    if (!s)
        return json_null();
    json_t *v = json_stringn(s, n);
    if (v)
        return v;
    BUF_AUTO clean = BUF_INIT;
    for (size_t i = 0; i < n;) {
        size_t step = utf8_len((const unsigned char *)s + i, n - i);
        if (step)
            buf_add(&clean, s + i, step);
        else
            buf_str(&clean, "\xEF\xBF\xBD");
        i += step ? step : 1;
    }
    v = json_stringn_nocheck(buf_cstr(&clean), clean.len);
    if (!v)
        abort(); /* no memory, as in arena.h */
    return v;
}

json_t *json_text(const char *s)
{
    return s ? json_textn(s, strlen(s)) : json_null();
}

void json_pointer_add(struct buf *pointer, const char *key)
{
    buf_char(pointer, '/');
    for (; *key; key++) {
        if (*key == '~')
            buf_str(pointer, "~0");
        else if (*key == '/')
            buf_str(pointer, "~1");
        else
            buf_char(pointer, *key);
    }
}

void json_pointer_add_index(struct buf *pointer, size_t index)
{
    buf_printf(pointer, "/%zu", index);
}

const char *json_pointer_token(const char *rest, char *out, size_t cap)
{
    size_t n = 0;
    if (*rest != '/')
        return NULL;
    for (rest++; *rest && *rest != '/'; rest++) {
        char c = *rest;
        if (c == '~') {
            rest++;
            if (*rest != '0' && *rest != '1')
                return NULL;
            c = *rest == '0' ? '~' : '/';
        }
        if (n + 1 >= cap)
            return NULL;
        out[n++] = c;
    }
    out[n] = 0;
    return rest;
}

static const json_t *array_member(const json_t *array, const char *token)
{
    if ((token[0] == '0' && token[1]) || !token[0] || strlen(token) > 9)
        return NULL;
    for (const char *p = token; *p; p++)
        if (*p < '0' || *p > '9')
            return NULL;
    return json_array_get(array, (size_t)strtoul(token, NULL, 10));
}

const json_t *json_pointer_get(const json_t *root, const char *pointer)
{
    char token[1024];
    const json_t *v = root;
    while (v && *pointer) {
        pointer = json_pointer_token(pointer, token, sizeof token);
        if (!pointer)
            return NULL;
        v = json_is_object(v) ? json_object_get(v, token) : json_is_array(v) ? array_member(v, token) : NULL;
    }
    return v;
}

const char *json_type_word(const json_t *v)
{
    if (!v)
        return "nothing";
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "text";
    case JSON_INTEGER: return "a whole number";
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "true or false";
    case JSON_NULL: return "null";
    }
    return "nothing";
}

int json_compare_numbers(const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && json_is_integer(b)) {
        json_int_t x = json_integer_value(a), y = json_integer_value(b);
        return (x > y) - (x < y);
    }
    /* A long double of 64 bits of mantissa or more holds every int64 and every double exactly. */
    long double x = json_is_integer(a) ? (long double)json_integer_value(a) : (long double)json_real_value(a);
    long double y = json_is_integer(b) ? (long double)json_integer_value(b) : (long double)json_real_value(b);
    return (x > y) - (x < y);
}

static bool same_objects(const json_t *a, const json_t *b)
{
    if (json_object_size(a) != json_object_size(b))
        return false;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)a, key, value) {
        const json_t *other = json_object_get(b, key);
        if (!other || !json_same(value, other))
            return false;
    }
    return true;
}

bool json_same(const json_t *a, const json_t *b)
{
    if (a == b)
        return true;
    if (json_is_number(a) && json_is_number(b))
        return json_compare_numbers(a, b) == 0;
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_string(a))
        return json_string_length(a) == json_string_length(b) && memcmp(json_string_value(a), json_string_value(b), json_string_length(a)) == 0;
    if (json_is_object(a))
        return same_objects(a, b);
    if (!json_is_array(a))
        return true;
    if (json_array_size(a) != json_array_size(b))
        return false;
    for (size_t i = 0; i < json_array_size(a); i++)
        if (!json_same(json_array_get(a, i), json_array_get(b, i)))
            return false;
    return true;
}
