/* URI references as RFC 3986, section 5.2 resolves them. Nothing is ever fetched: a URI is a name here. */
#include "portal/json/schema_private.h"
#include <ctype.h>
#include <string.h>

struct uri { const char *scheme, *authority, *path, *query; size_t scheme_n, authority_n, path_n, query_n; bool has_scheme, has_authority, has_query; };

static struct uri split(const char *s)
{
    struct uri u = {0};
    size_t n = strcspn(s, ":/?#");
    if (n > 0 && s[n] == ':' && isalpha((unsigned char)s[0])) {
        u.scheme = s;
        u.scheme_n = n;
        u.has_scheme = true;
        s += n + 1;
    }
    if (s[0] == '/' && s[1] == '/') {
        u.authority = s + 2;
        u.authority_n = strcspn(s + 2, "/?#");
        u.has_authority = true;
        s += 2 + u.authority_n;
    }
    u.path = s;
    u.path_n = strcspn(s, "?#");
    s += u.path_n;
    if (*s == '?') {
        u.query = s + 1;
        u.query_n = strcspn(s + 1, "#");
        u.has_query = true;
    }
    return u;
}

/* Takes "." and ".." out of a path (5.2.4). */
static void add_path(struct buf *out, const char *path, size_t n)
{
    size_t floor = out->len;
    for (size_t i = 0; i < n;) {
        size_t end = i + (path[i] == '/');
        while (end < n && path[end] != '/')
            end++;
        size_t start = i + (path[i] == '/'), len = end - start;
        bool last = end == n;
        if (len == 1 && path[start] == '.') {
            if (last)
                buf_char(out, '/');
        } else if (len == 2 && path[start] == '.' && path[start + 1] == '.') {
            while (out->len > floor && out->data[out->len - 1] != '/')
                out->len--;
            if (out->len > floor)
                out->len--;
            if (last)
                buf_char(out, '/');
        } else {
            buf_add(out, path + i, end - i);
        }
        i = end;
    }
}

static void add_merged(struct buf *out, const struct uri *base, const struct uri *ref)
{
    BUF_AUTO merged = BUF_INIT;
    size_t keep = base->path_n;
    while (keep > 0 && base->path[keep - 1] != '/')
        keep--;
    if (base->has_authority && base->path_n == 0)
        buf_char(&merged, '/');
    buf_add(&merged, base->path, keep);
    buf_add(&merged, ref->path, ref->path_n);
    add_path(out, buf_cstr(&merged), merged.len);
}

char *schema_uri_resolve(struct arena *a, const char *base, const char *ref)
{
    BUF_AUTO out = BUF_INIT;
    struct uri b = split(base), r = split(ref);
    const struct uri *from = r.has_scheme ? &r : &b, *host = r.has_scheme || r.has_authority ? &r : &b, *query = &r;
    if (from->has_scheme) {
        buf_add(&out, from->scheme, from->scheme_n);
        buf_char(&out, ':');
    }
    if (host->has_authority) {
        buf_str(&out, "//");
        buf_add(&out, host->authority, host->authority_n);
    }
    if (host == &r || (r.path_n > 0 && r.path[0] == '/')) {
        add_path(&out, r.path, r.path_n);
    } else if (r.path_n > 0) {
        add_merged(&out, &b, &r);
    } else {
        buf_add(&out, b.path, b.path_n);
        if (!r.has_query)
            query = &b;
    }
    if (query->has_query) {
        buf_char(&out, '?');
        buf_add(&out, query->query, query->query_n);
    }
    return arena_strdup(a, buf_cstr(&out));
}

char *schema_uri_decode(struct arena *a, const char *fragment)
{
    char *out = arena_strdup(a, fragment), *to = out;
    for (const char *p = fragment; *p; p++) {
        if (*p != '%') {
            *to++ = *p;
            continue;
        }
        if (!isxdigit((unsigned char)p[1]) || !isxdigit((unsigned char)p[2]))
            return NULL;
        int high = isdigit((unsigned char)p[1]) ? p[1] - '0' : tolower(p[1]) - 'a' + 10;
        int low = isdigit((unsigned char)p[2]) ? p[2] - '0' : tolower(p[2]) - 'a' + 10;
        if (high == 0 && low == 0)
            return NULL;
        *to++ = (char)(high * 16 + low);
        p += 2;
    }
    *to = 0;
    return out;
}
