/* `${...}` in texts of the catalog and in labels: names only, no language. */
#include "portal/json/json.h"
#include "portal/templates/check.h"
#include <string.h>

static size_t name_length(const char *p)
{
    return strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
}

const char *expand_each(const char *text, void (*fn)(const char *name, size_t len, void *arg), void *arg)
{
    for (const char *p = text; (p = strstr(p, "${"));) {
        if (p > text && p[-1] == '$') {
            p += 2;
            continue;
        }
        size_t n = name_length(p + 2);
        if (n == 0 || p[2 + n] != '}')
            return "holds a ${ that is not followed by a name and }";
        if (fn)
            fn(p + 2, n, arg);
        p += n + 3;
    }
    return NULL;
}

static void add_value(struct buf *out, const json_t *values, const char *name, size_t len)
{
    char part[128];
    const json_t *v = values;
    while (v && len) {
        const char *dot = memchr(name, '.', len);
        size_t n = dot ? (size_t)(dot - name) : len;
        if (n >= sizeof(part))
            return;
        memcpy(part, name, n);
        part[n] = 0;
        v = json_object_get(v, part);
        len -= dot ? n + 1 : n;
        name += dot ? n + 1 : n;
    }
    if (json_is_string(v))
        buf_str(out, json_string_value(v));
    else if (v && !json_is_null(v))
        json_write(v, out);
}

const char *templates_expand(const char *text, const json_t *values, struct arena *a)
{
    BUF_AUTO out = BUF_INIT;
    for (const char *p = text; *p;) {
        size_t n;
        if (strncmp(p, "$${", 3) == 0) {
            buf_str(&out, "${");
            p += 3;
        } else if (strncmp(p, "${", 2) == 0 && (n = name_length(p + 2)) > 0 && p[2 + n] == '}') {
            add_value(&out, values, p + 2, n);
            p += n + 3;
        } else {
            buf_char(&out, *p++);
        }
    }
    return arena_strdup(a, buf_cstr(&out));
}
