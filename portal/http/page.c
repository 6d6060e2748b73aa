#include "portal/http/page.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SECRET_LEN 40

const char *http_log_path(const struct http_req *r)
{
    if (r->route)
        return r->route->flags & HTTP_SECRET_PATH ? r->route->pattern : r->path;
    char *copy = arena_strdup(r->arena, r->path), *to = copy; /* no route took it: what is as long as a token may be one */
    for (const char *s = r->path; s && *s;) {
        size_t n = strcspn(s, "/");
        if (n >= SECRET_LEN)
            *to++ = '*';
        else {
            memcpy(to, s, n);
            to += n;
        }
        s += n;
        if (*s)
            *to++ = *s++;
    }
    if (to)
        *to = 0;
    return copy;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static char *decode(struct arena *a, const char *s, size_t n)
{
    char *out = arena_alloc(a, n + 1);
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '%') {
            int high = i + 2 < n ? hex(s[i + 1]) : -1, low = i + 2 < n ? hex(s[i + 2]) : -1;
            if (high < 0 || low < 0 || !(high | low))
                return NULL;
            out[k++] = (char)(high << 4 | low);
            i += 2;
        } else if (s[i] == '\0')
            return NULL;
        else
            out[k++] = s[i] == '+' ? ' ' : s[i];
    }
    return out;
}

/* Strict UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
static bool is_utf8(const char *text)
{
    const uint8_t *s = (const uint8_t *)text;
    while (*s) {
        int more = *s < 0x80 ? 0 : *s >= 0xc2 && *s < 0xe0 ? 1 : *s >= 0xe0 && *s < 0xf0 ? 2 : *s >= 0xf0 && *s < 0xf5 ? 3 : -1;
        if (more < 0 || (*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] >= 0xa0) || (*s == 0xf0 && s[1] < 0x90) || (*s == 0xf4 && s[1] >= 0x90))
            return false;
        for (s++; more; more--, s++)
            if ((*s & 0xc0) != 0x80)
                return false;
    }
    return true;
}

const char *http_form_member(struct arena *a, const char *body, size_t len, const char *name)
{
    for (size_t at = 0; at < len;) {
        const char *end = memchr(body + at, '&', len - at);
        size_t n = end ? (size_t)(end - body) - at : len - at;
        const char *equals = memchr(body + at, '=', n);
        size_t key = equals ? (size_t)(equals - body) - at : n;
        const char *k = decode(a, body + at, key);
        if (k && !strcmp(k, name)) {
            const char *v = equals ? decode(a, equals + 1, n - key - 1) : "";
            return v && is_utf8(v) ? v : NULL;
        }
        at += n + 1;
    }
    return NULL;
}
