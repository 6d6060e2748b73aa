/* Files of a repository that a golden path makes: named values put in their places, and nothing else. A skeleton holds programs, which have ${...} of their own, so
 * only the names that the manifest gives mean something. */
#include "portal/json/json.h"
#include "portal/templates/check.h"
#include <stdio.h>
#include <string.h>

enum { VALUE_MAX = 4000 };

bool skeleton_is_text(const char *data, size_t len)
{
    if (memchr(data, 0, len))
        return false;
    json_t *text = json_stringn(data, len); /* NULL for bad UTF-8 */
    json_decref(text);
    return text != NULL;
}

/* Length of the name when `p` begins with "${name}", else 0. */
static size_t name_at(const char *p, const char *end)
{
    size_t n = 0;
    if (end - p < 4 || p[0] != '$' || p[1] != '{')
        return 0;
    for (p += 2; p + n < end && (p[n] == '_' || (p[n] >= '0' && p[n] <= '9') || (p[n] >= 'a' && p[n] <= 'z') || (p[n] >= 'A' && p[n] <= 'Z'));)
        n++;
    return p + n < end && p[n] == '}' && n < 64 ? n : 0;
}

void skeleton_each(const char *data, size_t len, void (*fn)(const char *name, size_t len, void *arg), void *arg)
{
    const char *end = data + len;
    for (const char *p = data; p < end && (p = memchr(p, '$', (size_t)(end - p))); p++) {
        size_t n = p > data && p[-1] == '$' ? 0 : name_at(p, end);
        if (n)
            fn(p + 2, n, arg);
    }
}

static const char *value_of(const json_t *values, const char *name, size_t n)
{
    char key[64];
    snprintf(key, sizeof key, "%.*s", (int)n, name);
    return json_string_value(json_object_get(values, key));
}

void skeleton_fill(const char *data, size_t len, const json_t *values, struct buf *out)
{
    const char *end = data + len;
    for (const char *p = data; p < end;) {
        const char *dollar = memchr(p, '$', (size_t)(end - p));
        buf_add(out, p, (size_t)((dollar ? dollar : end) - p));
        if (!dollar)
            return;
        bool plain = end - dollar > 1 && dollar[1] == '$';
        size_t n = name_at(dollar + plain, end);
        const char *value = n ? value_of(values, dollar + plain + 2, n) : NULL;
        if (value && !plain)
            buf_str(out, value);
        else if (value)
            buf_add(out, dollar + 1, n + 3);
        else
            buf_char(out, '$');
        p = value ? dollar + plain + n + 3 : dollar + 1;
    }
}

int skeleton_render(const char *path, const char *data, size_t len, const json_t *values, struct arena *a, struct templates_file *ret, struct err *e)
{
    BUF_AUTO name = BUF_INIT;
    BUF_AUTO text = BUF_INIT;
    size_t slashes = 0, were = 0;
    skeleton_fill(path, strlen(path), values, &name);
    for (const char *p = path; *p; p++)
        were += *p == '/';
    for (const char *p = buf_cstr(&name); *p; p++)
        slashes += *p == '/';
    const char *why = slashes != were ? "holds a slash that a value brought" : path_problem(buf_cstr(&name));
    if (!why && name.data[name.len - 1] == '/')
        why = "has an empty part";
    if (why)
        return err_set(e, ERR_INVALID, "the skeleton's file \"%s\" cannot be made: with the values in place its name is \"%.200s\", which %s", path, buf_cstr(&name), why);
    *ret = (struct templates_file){.path = arena_strdup(a, buf_cstr(&name)), .data = data, .len = len, .executable = len > 2 && data[0] == '#' && data[1] == '!'};
    if (!skeleton_is_text(data, len))
        return 0;
    skeleton_fill(data, len, values, &text);
    ret->data = copy_bytes(a, buf_cstr(&text), text.len);
    ret->len = text.len;
    return 0;
}

static bool is_plain(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            return false;
    return true;
}

int templates_repository_values(const struct template_version *v, const json_t *values, struct arena *a, json_t **ret, struct err *e)
{
    const json_t *described = json_object_get(templates_repository(v), "values"), *text;
    const char *name;
    json_t *named = json_object();
    int rc = 0;
    json_object_foreach((json_t *)described, name, text) {
        const char *filled = templates_expand(json_string_value(text), values, a);
        if (!is_plain(filled))
            rc = err_set(e, ERR_INVALID, "the value `%s` for the repository holds a line break or another control character", name);
        else if (strlen(filled) > VALUE_MAX)
            rc = err_set(e, ERR_INVALID, "the value `%s` for the repository is longer than %d bytes", name, VALUE_MAX);
        else
            json_object_set_new(named, name, json_text(filled));
        if (rc != 0)
            break;
    }
    if (rc != 0)
        json_decref(named);
    else
        *ret = named;
    return rc;
}

/* One part of a repository's path. */
static bool is_good_part(const char *p, size_t n)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    if (n == 0 || n > 100 || !strchr(letters, p[0]) || p[n - 1] == '.')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!strchr(letters, p[i]) && !strchr("._-", p[i]))
            return false;
    return true;
}

int templates_repository_name(const struct template_version *v, const json_t *values, struct arena *a, const char **ret, struct err *e)
{
    const char *pattern = json_string_value(json_object_get(templates_repository(v), "name"));
    const char *name = templates_expand(pattern ? pattern : "${name}", values, a);
    bool good = *name && strlen(name) <= 300;
    for (const char *p = name; good;) {
        size_t n = strcspn(p, "/");
        good = is_good_part(p, n);
        p += n;
        if (!*p++)
            break;
    }
    if (!good)
        return err_set(e, ERR_INVALID, "the repository would be called \"%.200s\"; its name has letters, digits, dots, dashes and underscores, and slashes between parts", name);
    *ret = name;
    return 0;
}
