/* JSON text. Real numbers get the fewest digits that read back as the same double (jansson always writes 17). */
#include "portal/json/json.h"
#include "portal/core/fs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_write_real(double v, struct buf *out)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_str(out, text);
    if (!strpbrk(text, ".eE"))
        buf_str(out, ".0");
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void line_break(struct buf *out, int depth)
{
    if (depth < 0)
        return;
    buf_char(out, '\n');
    for (int i = 0; i < depth; i++)
        buf_str(out, "  ");
}

static void write_value(const json_t *v, struct buf *out, int depth);

/* depth < 0: canonical; else the indentation of the members' parent. */
static void write_object(const json_t *v, struct buf *out, int depth)
{
    size_t n = json_object_size(v), i = 0;
    if (n == 0) {
        buf_str(out, "{}");
        return;
    }
    FREE_AUTO const char **keys = calloc(n, sizeof *keys);
    if (!keys)
        abort();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)v, key, value)
        keys[i++] = key;
    if (depth < 0)
        qsort(keys, n, sizeof *keys, by_bytes);
    buf_char(out, '{');
    for (i = 0; i < n; i++) {
        if (i > 0)
            buf_char(out, ',');
        line_break(out, depth < 0 ? -1 : depth + 1);
        buf_json_str(out, keys[i]);
        buf_str(out, depth < 0 ? ":" : ": ");
        write_value(json_object_get(v, keys[i]), out, depth < 0 ? -1 : depth + 1);
    }
    line_break(out, depth);
    buf_char(out, '}');
}

static void write_array(const json_t *v, struct buf *out, int depth)
{
    size_t n = json_array_size(v);
    buf_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_char(out, ',');
        line_break(out, depth < 0 ? -1 : depth + 1);
        write_value(json_array_get(v, i), out, depth < 0 ? -1 : depth + 1);
    }
    if (n > 0)
        line_break(out, depth);
    buf_char(out, ']');
}

static void write_value(const json_t *v, struct buf *out, int depth)
{
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_OBJECT: write_object(v, out, depth); break;
    case JSON_ARRAY: write_array(v, out, depth); break;
    case JSON_STRING: buf_json_strn(out, json_string_value(v), json_string_length(v)); break;
    case JSON_INTEGER: buf_printf(out, "%lld", (long long)json_integer_value(v)); break;
    case JSON_REAL: json_write_real(json_real_value(v), out); break;
    case JSON_TRUE: buf_str(out, "true"); break;
    case JSON_FALSE: buf_str(out, "false"); break;
    case JSON_NULL: buf_str(out, "null"); break;
    }
}

void json_write(const json_t *v, struct buf *out)
{
    write_value(v, out, -1);
}

void json_write_pretty(const json_t *v, struct buf *out)
{
    write_value(v, out, 0);
    buf_char(out, '\n');
}
