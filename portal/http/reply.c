/* Answers: handlers fill them, request.c sends them after the handler returned. Head and body leave in one write. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <zlib.h>

#include "portal/core/log.h"
#include "portal/http/http_private.h"

static const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Status";
    }
}

/* --- filling --- */

/* Begins a header line; its value begins at the returned place. */
static size_t header_open(struct http_req *r, const char *name)
{
    struct http_conn *c = r->conn;
    struct buf *b = &c->w->headers;
    if (!strcasecmp(name, "Cache-Control"))
        c->cache_set = true;
    else if (!strcasecmp(name, "Content-Security-Policy"))
        c->csp_set = true;
    buf_str(b, name);
    buf_add(b, ": ", 2);
    return b->len;
}

static void header_close(struct http_req *r, size_t from)
{
    struct buf *b = &r->conn->w->headers;
    /* A value with a line end in it would be another header. */
    for (size_t i = from; i < b->len; i++)
        if ((unsigned char)b->data[i] < 0x20 || b->data[i] == 0x7f)
            b->data[i] = ' ';
    buf_add(b, "\r\n", 2);
}

void http_add_header(struct http_req *r, const char *name, const char *fmt, ...)
{
    size_t from = header_open(r, name);
    va_list ap;
    va_start(ap, fmt);
    if (strchr(fmt, '%'))
        buf_vprintf(&r->conn->w->headers, fmt, ap);
    else
        buf_str(&r->conn->w->headers, fmt);
    va_end(ap);
    header_close(r, from);
}

static void answer(struct http_req *r, int status, const char *type, const void *body, size_t len)
{
    struct http_conn *c = r->conn;
    c->replied = true;
    c->status = status;
    c->content_type = type;
    c->body = body;
    c->body_len = len;
}

int http_reply(struct http_req *r, int status, const char *content_type, const void *body, size_t len)
{
    struct buf *b = &r->conn->w->body;
    buf_clear(b);
    buf_add(b, body, len);
    answer(r, status, content_type ? arena_strdup(r->arena, content_type) : NULL, b->data, len);
    return 0;
}

int http_reply_json(struct http_req *r, int status, const struct buf *body)
{
    struct buf *b = &r->conn->w->body;
    buf_clear(b);
    buf_add(b, body->data, body->len);
    answer(r, status, "application/json", b->data, b->len);
    return 0;
}

int http_reply_json_t(struct http_req *r, int status, const json_t *body)
{
    struct buf *b = &r->conn->w->body;
    buf_clear(b);
    size_t n = json_dumpb(body, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!n) {
        log_error("an answer cannot be written as JSON: a defect of ours", LOG_S("path", r->path));
        reply_refuse(r, 500, "internal", "-");
        return 0;
    }
    buf_reserve(b, n);
    b->len = json_dumpb(body, b->data, n, JSON_COMPACT | JSON_ENCODE_ANY);
    b->data[b->len] = 0;
    answer(r, status, "application/json", b->data, b->len);
    return 0;
}

int http_reply_empty(struct http_req *r, int status)
{
    answer(r, status, NULL, NULL, 0);
    return 0;
}

/* The ETag of the zipped form of an answer that is zipped on its way. */
#define ZIPPED "-gz"

enum named { NAMED_NOT, NAMED, NAMED_ZIPPED };

/* Whether a list such as `"a", W/"b", *` names the tag, or its zipped form; weak comparison takes W/"b" for "b". */
static enum named names_tag(const char *list, const char *etag, bool weak)
{
    size_t n = strlen(etag);
    for (const char *p = list; *p;) {
        p += strspn(p, " \t,");
        if (*p == '*')
            return NAMED;
        bool is_weak = !strncmp(p, "W/", 2);
        p += is_weak ? 2 : 0;
        if (*p == '"' && (weak || !is_weak) && !strncmp(p + 1, etag, n)) {
            if (p[1 + n] == '"')
                return NAMED;
            if (!strncmp(p + 1 + n, ZIPPED "\"", strlen(ZIPPED) + 1))
                return NAMED_ZIPPED;
        }
        if (*p == '"') {
            const char *end = strchr(p + 1, '"');
            p = end ? end + 1 : p + strlen(p);
        } else
            p += strcspn(p, ",");
    }
    return NAMED_NOT;
}

int http_etag(struct http_req *r, const char *etag)
{
    bool reads = !strcmp(r->method, "GET") || !strcmp(r->method, "HEAD");
    enum named named = reads && r->if_none_match ? names_tag(r->if_none_match, etag, true) : NAMED_NOT;
    size_t from = header_open(r, "ETag");
    buf_char(&r->conn->w->headers, '"');
    buf_str(&r->conn->w->headers, etag);
    if (named == NAMED_ZIPPED)
        buf_str(&r->conn->w->headers, ZIPPED);
    buf_char(&r->conn->w->headers, '"');
    header_close(r, from);
    /* Kept by the caller alone, and asked for again each time. */
    if (reads && !r->conn->cache_set)
        http_add_header(r, "Cache-Control", "private, no-cache");
    if (named == NAMED_NOT)
        return 0;
    if (named == NAMED_ZIPPED)
        http_add_header(r, "Vary", "Accept-Encoding");
    http_reply_empty(r, 304);
    return 1;
}

int http_if_match(const struct http_req *r, const char *etag, bool required, struct err *e)
{
    if (!r->if_match)
        return required ? err_set(e, ERR_REQUIRED, "This change needs the header If-Match with the ETag that you read.") : 0;
    if (names_tag(r->if_match, etag, false))
        return 0;
    return err_set(e, ERR_PRECONDITION, "It has changed since you read it: read it again, and send the change with the new ETag.");
}

/* Whether gzip is taken: named (or "*") without q=0. */
static bool takes_gzip(const struct http_req *r)
{
    const char *list = http_header(r, "Accept-Encoding");
    bool any = false;
    for (const char *p = list ? list : ""; *p;) {
        p += strspn(p, " \t,");
        size_t n = strcspn(p, " \t,;");
        const char *rest = p + n;
        size_t len = strcspn(rest, ",");
        const char *q = memmem(rest, len, "q=0", 3);
        bool refused = q && strspn(q + 2, "0.") == strcspn(q + 2, ", \t");
        if (n == 4 && !strncasecmp(p, "gzip", 4))
            return !refused;
        any |= n == 1 && *p == '*' && !refused;
        p = rest + len;
    }
    return any;
}

int http_reply_asset(struct http_req *r, const char *content_type, const char *etag, bool immutable, const void *body, size_t len, const void *gz, size_t gz_len)
{
    bool zip = gz && takes_gzip(r);
    char tag[96];
    snprintf(tag, sizeof tag, "%s%s", etag, zip ? ZIPPED : "");
    r->conn->as_it_is = true;
    if (gz)
        http_add_header(r, "Vary", "Accept-Encoding");
    if (!r->conn->cache_set)
        http_add_header(r, "Cache-Control", immutable ? "public, max-age=31536000, immutable" : "public, no-cache");
    if (http_etag(r, tag))
        return 0;
    if (zip)
        http_add_header(r, "Content-Encoding", "gzip");
    answer(r, 200, content_type, zip ? gz : body, zip ? gz_len : len);
    return 0;
}

/* --- zipping --- */

#define ZIP_LEAST 1024
#define ZIP_MOST (8 * 1024 * 1024)

/* What may be zipped at all: text that is only read. What a write answers may hold a secret, and so may what its route says (HTTP_SECRET_BODY): the length of a zipped
 * answer that holds a secret and something that an attacker chose tells of the secret. */
static bool is_zippable(const struct http_req *r)
{
    const struct http_conn *c = r->conn;
    const char *type = c->content_type;
    if (c->body_len < ZIP_LEAST || c->body_len > ZIP_MOST || c->as_it_is || !type || (r->route && (r->route->flags & HTTP_SECRET_BODY)))
        return false;
    return (!strcmp(r->method, "GET") || c->head_only) && (!strncmp(type, "application/json", 16) || !strncmp(type, "application/problem+json", 24) || !strncmp(type, "text/", 5));
}

/* False when it does not get smaller. The state of zlib is freed each time: kept, it would be a quarter of a megabyte for each worker. */
static bool zip(const void *body, size_t len, struct buf *out)
{
    z_stream z = {.next_in = (unsigned char *)body, .avail_in = (unsigned)len};
    buf_clear(out);
    buf_reserve(out, len);
    if (deflateInit2(&z, 3, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    z.next_out = (unsigned char *)out->data;
    z.avail_out = (unsigned)len;
    bool whole = deflate(&z, Z_FINISH) == Z_STREAM_END;
    out->len = z.total_out;
    deflateEnd(&z);
    return whole && out->len < len;
}

/* The zipped form is another text: its ETag is another, too. */
static void mark_etag(struct buf *headers)
{
    char *line = headers->len ? memmem(headers->data, headers->len, "ETag: \"", 7) : NULL;
    char *quote = line ? strchr(line + 7, '"') : NULL;
    if (!quote)
        return;
    size_t at = (size_t)(quote - headers->data), n = strlen(ZIPPED);
    buf_reserve(headers, n);
    memmove(headers->data + at + n, headers->data + at, headers->len - at + 1);
    memcpy(headers->data + at, ZIPPED, n);
    headers->len += n;
}

void reply_zip(struct http_req *r)
{
    struct http_conn *c = r->conn;
    if (!is_zippable(r))
        return;
    http_add_header(r, "Vary", "Accept-Encoding");
    if (!takes_gzip(r) || !zip(c->body, c->body_len, &c->w->zipped))
        return;
    mark_etag(&c->w->headers);
    http_add_header(r, "Content-Encoding", "gzip");
    c->body = c->w->zipped.data;
    c->body_len = c->w->zipped.len;
}

/* --- problems --- */

static void answer_problem(struct http_req *r, int status, const char *slug, const struct err *e)
{
    struct http_conn *c = r->conn;
    struct buf *b = &c->w->body;
    /* What a handler added before it failed does not belong to the failure. */
    if (c->w->headers.len > c->hook_headers) {
        c->w->headers.len = c->hook_headers;
        c->cache_set = c->csp_set = false;
    }
    if (status == 401)
        http_add_header(r, "WWW-Authenticate", "Bearer realm=\"soma\"");
    if (e->retry_after > 0 || status == 503 || status == 429)
        http_add_header(r, "Retry-After", "%d", e->retry_after > 0 ? e->retry_after : 1);
    if (e->link[0])
        http_add_header(r, "Link", "<%s>; rel=\"related\"", e->link);
    buf_clear(b);
    problem_write(status, slug, e, r->request_id, r->path, b);
    answer(r, status, "application/problem+json", b->data, b->len);
}

void reply_problem(struct http_req *r, const struct err *e)
{
    answer_problem(r, http_status_of(e), e->type[0] ? e->type : err_slug(e->code), e);
}

void reply_refuse(struct http_req *r, int status, const char *slug, const char *fmt, ...)
{
    struct err e = ERR_INIT;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e.msg, sizeof e.msg, fmt, ap);
    va_end(ap);
    /* Headers that a refusal brings along (Allow, Accept) were added just before. */
    size_t keep = r->conn->hook_headers;
    r->conn->hook_headers = r->conn->w->headers.len;
    answer_problem(r, status, slug, &e);
    r->conn->hook_headers = keep;
}

/* --- sending --- */

void reply_date(struct worker *w)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec == w->date_s)
        return;
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t;
    gmtime_r(&now.tv_sec, &t);
    snprintf(w->date, sizeof w->date, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days + t.tm_wday * 3, (unsigned)t.tm_mday % 100, months + t.tm_mon * 3,
             (unsigned)(t.tm_year + 1900) % 10000, (unsigned)t.tm_hour % 100, (unsigned)t.tm_min % 100, (unsigned)t.tm_sec % 100);
    w->date_s = now.tv_sec;
}

static void add(struct buf *b, const char *name, const char *value)
{
    buf_str(b, name);
    buf_str(b, value);
    buf_add(b, "\r\n", 2);
}

static void add_number(struct buf *b, const char *name, size_t value)
{
    char digits[24];
    char *p = digits + sizeof digits - 1;
    *p = 0;
    do
        *--p = (char)('0' + value % 10);
    while (value /= 10);
    add(b, name, p);
}

size_t reply_head(struct http_req *r, struct buf *b, bool with_length)
{
    struct http_conn *c = r->conn;
    bool html = c->content_type && !strncmp(c->content_type, "text/html", 9);
    reply_date(c->w);
    buf_clear(b);
    buf_reserve(b, 1024);
    buf_str(b, "HTTP/1.1 ");
    add_number(b, "", (size_t)c->status);
    b->len -= 2;
    add(b, " ", reason(c->status));
    add(b, "Date: ", c->w->date);
    if (c->content_type)
        add(b, "Content-Type: ", c->content_type);
    if (with_length)
        add_number(b, "Content-Length: ", c->body_len);
    if (r->request_id)
        add(b, "X-Request-Id: ", r->request_id);
    if (!c->cache_set)
        buf_str(b, "Cache-Control: no-store\r\n");
    buf_str(b, "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n");
    if (html)
        buf_str(b, "X-Frame-Options: DENY\r\n");
    if (html && !c->csp_set)
        buf_str(b, "Content-Security-Policy: default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'\r\n");
    if (c->close)
        buf_str(b, "Connection: close\r\n");
    else if (!c->http11)
        buf_str(b, "Connection: keep-alive\r\n");
    buf_add(b, c->w->headers.data, c->w->headers.len);
    buf_add(b, "\r\n", 2);
    return b->len;
}

void reply_send(struct http_req *r)
{
    struct http_conn *c = r->conn;
    bool bodiless = c->status == 204 || c->status == 304;
    reply_head(r, &c->w->out, !bodiless);
    size_t len = bodiless || c->head_only ? 0 : c->body_len;
    struct pace p;
    pace_begin(&p, c->s, c->s->o.body_timeout_ms);
    if (sock_write2(c->v.fd, c->v.ssl, &c->w->record, c->w->out.data, c->w->out.len, c->body, len, &p))
        c->close = true;
    c->sent = p.done;
}
