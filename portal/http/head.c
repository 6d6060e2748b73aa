/* The request head. civetweb parses it leniently and in place; here the places of the pieces are compared with where a strict message would
 * have them (one blank, CR LF, no folding, nothing skipped), so that nobody in front of us can have read another message than we do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "portal/http/http_private.h"

#define QUERY_MAX 64

/* --- octets --- */

static bool is_token(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool utf8_valid(const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text, *end = s + n;
    while (s < end) {
        unsigned char c = *s++;
        if (c < 0x80)
            continue;
        int more = c >= 0xc2 && c <= 0xdf ? 1 : (c & 0xf0) == 0xe0 ? 2 : c >= 0xf0 && c <= 0xf4 ? 3 : 0;
        if (!more || end - s < more)
            return false;
        /* Shortest form only, no surrogates, nothing beyond U+10FFFF. */
        if ((c == 0xe0 && *s < 0xa0) || (c == 0xed && *s > 0x9f) || (c == 0xf0 && *s < 0x90) || (c == 0xf4 && *s > 0x8f))
            return false;
        for (; more; more--, s++)
            if ((*s & 0xc0) != 0x80)
                return false;
    }
    return true;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* false: a broken escape, a control character, or not UTF-8. `out` holds n + 1 bytes. */
bool url_decode(const char *in, size_t n, bool plus, char *out, size_t *ret_len)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        char c = in[i];
        if (c == '%') {
            if (n - i < 3 || hex(in[i + 1]) < 0 || hex(in[i + 2]) < 0)
                return false;
            c = (char)(hex(in[i + 1]) << 4 | hex(in[i + 2]));
            i += 2;
        } else if (plus && c == '+')
            c = ' ';
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return false;
        out[len++] = c;
    }
    out[len] = 0;
    *ret_len = len;
    return utf8_valid(out, len);
}

/* --- layout --- */

static const char *check_line(const struct http_conn *c, const char **ret_next)
{
    const struct mg_request_info *ri = c->ri;
    const char *p = ri->request_method;
    if (p != c->v.buf && !(p == c->v.buf + 2 && !memcmp(c->v.buf, "\r\n", 2)))
        return "there is something in front of the request line";
    p += strlen(p) + 1;
    if (p != ri->request_uri)
        return "the request line must have single blanks";
    p = ri->query_string ? ri->query_string : ri->request_uri;
    p += strlen(p) + 1;
    if (p != ri->http_version - 5)
        return "the request line must have single blanks";
    p = ri->http_version + strlen(ri->http_version);
    if (p[0] || p[1])
        return "lines must end with CR LF";
    *ret_next = p + 2;
    return NULL;
}

static const char *check_field(const struct mg_header *h, const char **ret_next)
{
    const char *p = h->name;
    while (is_token((unsigned char)*p))
        p++;
    if (p == h->name || *p)
        return "a header's name has a character that it must not have";
    for (p++; p < h->value; p++)
        if (*p != ' ' && *p != '\t')
            return "there must be no blank between a header's name and its colon";
    p = h->value + strlen(h->value);
    if (p[0] || p[1])
        return "lines must end with CR LF";
    *ret_next = p + 2;
    return NULL;
}

static const char *check_layout(const struct http_conn *c)
{
    const char *end = c->v.buf + c->v.head_len, *next = NULL;
    const char *wrong = check_line(c, &next);
    for (int i = 0; i < c->ri->num_headers && !wrong; i++) {
        if (c->ri->http_headers[i].name != next)
            return i ? "a header must be one line that ends with CR LF" : "the request line must end with CR LF";
        wrong = check_field(&c->ri->http_headers[i], &next);
    }
    if (wrong)
        return wrong;
    /* civetweb stops quietly at a folded line, at its 64th header and at a bare LF: all of them leave bytes here. */
    if (next + 2 != end || (c->ri->num_headers && next[0] != '\r'))
        return "a header is folded, or there are more than 64, or the head does not end with CR LF CR LF";
    return NULL;
}

/* --- framing --- */

/* Those that must stand alone: two of them mean different things to different readers. */
static const char *const single[] = {"Host", "Content-Length", "Transfer-Encoding", "Authorization", "Content-Type", "Expect", "Idempotency-Key",
                                     "If-Match", "X-CSRF-Token", "Last-Event-ID", NULL};
enum { HOST, LENGTH, ENCODING, EXPECT = 5 };

static const char *trimmed(const char *value, size_t *ret_len)
{
    size_t n = strlen(value);
    while (n && (value[n - 1] == ' ' || value[n - 1] == '\t'))
        n--;
    *ret_len = n;
    return value;
}

static const char *check_length(struct http_conn *c, const char *value)
{
    size_t n;
    trimmed(value, &n);
    if (!n || n > 18)
        return "Content-Length is no number";
    int64_t length = 0;
    for (size_t i = 0; i < n; i++) {
        if (value[i] < '0' || value[i] > '9')
            return "Content-Length is no number";
        length = length * 10 + (value[i] - '0');
    }
    c->content_length = length;
    return NULL;
}

static const char *check_host(const char *value)
{
    size_t n;
    trimmed(value, &n);
    if (!n)
        return "Host is empty";
    for (size_t i = 0; i < n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]%", value[i]))
            return "Host has a character that it must not have";
    return NULL;
}

static const char *check_framing(struct http_conn *c, const char *const found[])
{
    const char *wrong = NULL;
    size_t n;
    if (!found[HOST] && c->http11)
        return "HTTP/1.1 needs a Host header";
    if (found[HOST] && (wrong = check_host(found[HOST])))
        return wrong;
    if (found[LENGTH] && found[ENCODING])
        return "Content-Length and Transfer-Encoding must not come together";
    if (found[LENGTH])
        return check_length(c, found[LENGTH]);
    if (found[ENCODING]) {
        trimmed(found[ENCODING], &n);
        if (n != 7 || strncasecmp(found[ENCODING], "chunked", 7))
            return "Transfer-Encoding may only be \"chunked\"";
        if (!c->http11)
            return "Transfer-Encoding needs HTTP/1.1";
        c->chunked = true;
    }
    return NULL;
}

const char *head_check(struct http_conn *c)
{
    const char *found[sizeof single / sizeof *single] = {NULL};
    const char *wrong = check_layout(c);
    if (wrong)
        return wrong;
    c->http11 = !strcmp(c->ri->http_version, "1.1");
    for (int i = 0; i < c->ri->num_headers; i++) {
        const struct mg_header *h = &c->ri->http_headers[i];
        if (!strchr("hctaeixlHCTAEIXL", h->name[0]))
            continue;
        for (int k = 0; single[k]; k++) {
            if (strcasecmp(h->name, single[k]))
                continue;
            if (found[k])
                return "a header that must stand alone is repeated";
            found[k] = h->value;
        }
    }
    c->expect = found[EXPECT] != NULL;
    return check_framing(c, found);
}

const char *head_find(const struct http_conn *c, const char *name)
{
    for (int i = 0; i < c->ri->num_headers; i++)
        if (!strcasecmp(c->ri->http_headers[i].name, name))
            return c->ri->http_headers[i].value;
    return NULL;
}

/* --- path and query --- */

const char *head_path(struct http_conn *c, struct arena *a, const char **ret_path)
{
    const char *raw = c->ri->local_uri_raw;
    size_t n = strlen(raw), len = 0;
    for (const char *p = raw; *p; p++)
        if (p[0] == '%' && p[1] == '2' && (p[2] == 'f' || p[2] == 'F'))
            return "an escaped slash in the path is not taken";
    if (strchr(raw, '#'))
        return "a fragment is not sent to a server";
    char *path = arena_alloc(a, n + 1);
    if (!url_decode(raw, n, false, path, &len))
        return "the path has a broken escape, a control character, or is not UTF-8";
    for (const char *p = path; (p = strchr(p, '/')); ) {
        p++;
        size_t dots = strspn(p, ".");
        if ((dots == 1 || dots == 2) && (p[dots] == '/' || !p[dots]))
            return "a path with \".\" or \"..\" is not taken";
    }
    *ret_path = path;
    return NULL;
}

const char *head_query(struct http_conn *c, struct arena *a)
{
    const char *p = c->ri->query_string;
    if (!p || !*p)
        return NULL;
    size_t n = 1;
    for (const char *q = p; *q; q++)
        n += *q == '&';
    if (n > QUERY_MAX)
        return "there are too many query parameters";
    c->query = arena_alloc(a, n * sizeof *c->query);
    while (p) {
        const char *end = strchrnul(p, '&'), *equals = memchr(p, '=', (size_t)(end - p));
        const char *name_end = equals ? equals : end;
        char *name = arena_alloc(a, (size_t)(end - p) + 2), *value = name + (name_end - p) + 1;
        size_t len = 0;
        if (!url_decode(p, (size_t)(name_end - p), true, name, &len) || (equals && !url_decode(equals + 1, (size_t)(end - equals - 1), true, value, &len)))
            return "a query parameter has a broken escape, a control character, or is not UTF-8";
        if (end > p)
            c->query[c->n_query++] = (struct http_pair){name, equals ? value : ""};
        p = *end ? end + 1 : NULL;
    }
    return NULL;
}

/* --- what handlers ask --- */

const char *http_param(const struct http_req *r, const char *name)
{
    const struct http_match *m = &r->conn->match;
    for (size_t i = 0; i < m->n; i++)
        if (!strcmp(m->params[i].name, name))
            return m->params[i].value;
    return NULL;
}

const char *http_query(const struct http_req *r, const char *name)
{
    for (size_t i = 0; i < r->conn->n_query; i++)
        if (!strcmp(r->conn->query[i].name, name))
            return r->conn->query[i].value;
    return NULL;
}

size_t http_query_count(const struct http_req *r)
{
    return r->conn->n_query;
}

void http_query_at(const struct http_req *r, size_t i, const char **ret_name, const char **ret_value)
{
    *ret_name = r->conn->query[i].name;
    *ret_value = r->conn->query[i].value;
}

const char *http_header(const struct http_req *r, const char *name)
{
    return head_find(r->conn, name);
}

const char *http_cookie(const struct http_req *r, const char *name)
{
    const struct mg_request_info *ri = r->conn->ri;
    size_t n = strlen(name);
    for (int i = 0; i < ri->num_headers; i++) {
        if (strcasecmp(ri->http_headers[i].name, "Cookie"))
            continue;
        for (const char *p = ri->http_headers[i].value; *p;) {
            p += strspn(p, " ;");
            size_t len = strcspn(p, ";");
            if (len > n && p[n] == '=' && !strncmp(p, name, n)) {
                const char *value = p + n + 1;
                len -= n + 1;
                while (len && value[len - 1] == ' ')
                    len--;
                if (len > 1 && value[0] == '"' && value[len - 1] == '"')
                    return arena_strndup(r->arena, value + 1, len - 2);
                return arena_strndup(r->arena, value, len);
            }
            p += len;
        }
    }
    return NULL;
}

int http_query_int(const struct http_req *r, const char *name, int64_t fallback, int64_t min, int64_t max, int64_t *ret, struct err *e)
{
    const char *text = http_query(r, name);
    if (!text) {
        *ret = fallback;
        return 0;
    }
    char at[sizeof ((struct err_field *)0)->pointer];
    snprintf(at, sizeof at, "?%s", name);
    const char *digits = text + (*text == '-');
    size_t n = strspn(digits, "0123456789");
    if (!n || digits[n] || n > 18)
        return err_field(e, at, "must be a whole number");
    int64_t value = strtoll(text, NULL, 10);
    if (value < min || value > max)
        return err_field(e, at, "must be from %lld to %lld", (long long)min, (long long)max);
    *ret = value;
    return 0;
}
