/* The request body: read by ourselves, with a limit, an absolute deadline and a minimum rate, and civetweb told afterwards where it ended.
 * A body that is not read to its end closes the connection. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "portal/http/http_private.h"
#include "portal/json/json.h"

#define LINE_BYTES 1024       /* of a chunk's size and extensions, or of one trailer */
#define TRAILERS_MAX 8192
#define DISCARD_MAX 65536   /* what is read and thrown away to keep a connection */
#define DISCARD_MS 2000

/* What comes behind the head: first what civetweb has received already, then the socket. */
struct input {
    struct http_conn *c;
    struct pace pace;
    const char *have;
    size_t left;
    char more[8192];
};

static void input_begin(struct input *in, struct http_conn *c, int timeout_ms)
{
    in->c = c;
    pace_begin(&in->pace, c->s, timeout_ms);
    in->have = c->v.buf + c->v.head_len;
    in->left = c->v.data_len - c->v.head_len;
}

static ssize_t input_read(struct input *in, void *out, size_t n)
{
    if (!in->left)
        return sock_read(in->c->v.fd, in->c->v.ssl, out, n, &in->pace);
    n = n < in->left ? n : in->left;
    memcpy(out, in->have, n);
    in->have += n;
    in->left -= n;
    return (ssize_t)n;
}

static ssize_t input_fill(struct input *in)
{
    if (in->left)
        return (ssize_t)in->left;
    ssize_t n = sock_read(in->c->v.fd, in->c->v.ssl, in->more, sizeof in->more, &in->pace);
    if (n > 0) {
        in->have = in->more;
        in->left = (size_t)n;
    }
    return n;
}

/* --- chunks --- */

enum { BAD_CHUNK = -10, TOO_LARGE = -11 };

/* One line without its CR LF; > 0 (length + 1), or what failed. */
static ssize_t read_line(struct input *in, char line[LINE_BYTES])
{
    for (size_t n = 0; n < LINE_BYTES; n++) {
        ssize_t r = input_fill(in);
        if (r <= 0)
            return r ? r : IO_CLOSED;
        char c = *in->have++;
        in->left--;
        if (c == '\n')
            return n && line[n - 1] == '\r' ? (line[n - 1] = 0, (ssize_t)n) : BAD_CHUNK;
        if ((n && line[n - 1] == '\r') || ((unsigned char)c < 0x20 && c != '\r' && c != '\t') || c == 0x7f)
            return BAD_CHUNK;
        line[n] = c;
    }
    return BAD_CHUNK;
}

static int64_t chunk_size(const char *line)
{
    int64_t size = 0;
    size_t n = strspn(line, "0123456789abcdefABCDEF");
    const char *rest = line + n + strspn(line + n, " \t");
    if (!n || n > 15 || (*rest && *rest != ';') || (!*rest && line[n]))
        return BAD_CHUNK;
    size = strtoll(line, NULL, 16);
    return size;
}

static int read_trailers(struct input *in)
{
    char line[LINE_BYTES];
    for (size_t total = 0; total < TRAILERS_MAX;) {
        ssize_t n = read_line(in, line);
        if (n <= 1)
            return n == 1 ? 0 : (int)n;
        total += (size_t)n;
    }
    return BAD_CHUNK;
}

static int read_exactly(struct input *in, char *out, size_t n)
{
    while (n) {
        ssize_t r = input_read(in, out, n);
        if (r <= 0)
            return r ? (int)r : IO_CLOSED;
        out += r;
        n -= (size_t)r;
    }
    return 0;
}

static int read_chunk(struct input *in, struct buf *out, size_t size)
{
    char end[2];
    for (size_t left = size; left;) { /* memory only for what really comes */
        size_t part = left < 65536 ? left : 65536;
        buf_reserve(out, part);
        int r = read_exactly(in, out->data + out->len, part);
        if (r)
            return r;
        out->len += part;
        left -= part;
    }
    int r = read_exactly(in, end, 2);
    return r ? r : memcmp(end, "\r\n", 2) ? BAD_CHUNK : 0;
}

static int read_chunks(struct input *in, struct buf *out, size_t max)
{
    char line[LINE_BYTES];
    for (;;) {
        ssize_t n = read_line(in, line);
        if (n <= 0)
            return (int)n;
        int64_t size = chunk_size(line);
        if (size < 0)
            return BAD_CHUNK;
        if (!size)
            return read_trailers(in);
        if ((uint64_t)size > max - out->len)
            return TOO_LARGE;
        int r = read_chunk(in, out, (size_t)size);
        if (r)
            return r;
    }
}

/* --- the whole --- */

static size_t limit_of(const struct http_req *r)
{
    return r->route && r->route->body_max ? r->route->body_max : HTTP_BODY_DEFAULT;
}

static int too_large(struct http_req *r)
{
    size_t max = limit_of(r);
    reply_refuse(r, 413, "too-large", "The body may hold %zu bytes here; send less.", max);
    r->conn->close = true;
    return -1;
}

static int failed(struct http_req *r, int why)
{
    r->conn->close = true;
    switch (why) {
    case TOO_LARGE: return too_large(r);
    case BAD_CHUNK: reply_refuse(r, 400, "framing", "The chunks of the body are not as HTTP has them; the connection is closed."); break;
    case IO_LATE: reply_refuse(r, 408, "too-slow", "The body did not come within the time, or slower than %d bytes a second; send it again.", r->conn->s->o.body_min_rate); break;
    default: reply_refuse(r, 400, "cut-off", "The body ended before its length was reached."); break;
    }
    return -1;
}

/* 100 when the client waits for leave; another expectation is refused. */
static int answer_expectation(struct http_req *r)
{
    struct http_conn *c = r->conn;
    if (!c->expect)
        return 0;
    const char *value = head_find(c, "Expect");
    if (strcasecmp(value, "100-continue")) {
        c->close = true;
        reply_refuse(r, 417, "expectation", "Only the expectation \"100-continue\" is known.");
        return -1;
    }
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct pace p;
    pace_begin(&p, c->s, c->s->o.header_timeout_ms);
    if (c->http11 && c->v.data_len == c->v.head_len && sock_write(c->v.fd, c->v.ssl, line, sizeof line - 1, &p))
        return failed(r, IO_CLOSED);
    return 0;
}

static void finish(struct http_conn *c, const struct input *in)
{
    c->body_done = true;
    c->surplus = in->left;
    if (!civet_body_done(c->mg, in->have, in->left))
        c->close = true;
}

int body_unchunk(struct http_conn *c, size_t max, struct buf *out)
{
    struct input in;
    input_begin(&in, c, 0);
    return read_chunks(&in, out, max);
}

static int read_chunked(struct http_req *r)
{
    struct input in;
    BUF_AUTO out = BUF_INIT;
    input_begin(&in, r->conn, r->conn->s->o.body_timeout_ms);
    int why = read_chunks(&in, &out, limit_of(r));
    if (!why) {
        finish(r->conn, &in);
        char *body = arena_alloc(r->arena, out.len + 1);
        if (out.len)
            memcpy(body, out.data, out.len);
        r->body = body;
        r->body_len = out.len;
    }
    if (r->route && (r->route->flags & HTTP_SECRET_BODY))
        buf_wipe(&out);
    return why ? failed(r, why) : 0;
}

static int read_length(struct http_req *r)
{
    struct input in;
    size_t n = (size_t)r->conn->content_length;
    char *body = arena_alloc(r->arena, n + 1);
    input_begin(&in, r->conn, r->conn->s->o.body_timeout_ms);
    int why = read_exactly(&in, body, n);
    if (why)
        return failed(r, why);
    finish(r->conn, &in);
    r->body = body;
    r->body_len = n;
    return 0;
}

int body_read(struct http_req *r)
{
    struct http_conn *c = r->conn;
    if (c->body_done)
        return 0;
    if (!c->chunked && c->content_length <= 0) {
        c->body_done = true; /* civetweb saw no body either */
        c->surplus = c->v.data_len - c->v.head_len;
        return 0;
    }
    if (!c->chunked && (uint64_t)c->content_length > limit_of(r))
        return too_large(r);
    if (answer_expectation(r))
        return -1;
    return c->chunked ? read_chunked(r) : read_length(r);
}

/* After a refusal: a small body is read and forgotten, so that the connection can stay; a large one closes it. */
void body_discard(struct http_req *r)
{
    struct http_conn *c = r->conn;
    if (c->body_done || c->close)
        return;
    if (c->chunked || c->expect || c->content_length > DISCARD_MAX) {
        c->close = true;
        return;
    }
    struct input in;
    char scrap[4096];
    input_begin(&in, c, DISCARD_MS);
    for (int64_t left = c->content_length > 0 ? c->content_length : 0; left;) {
        ssize_t n = input_read(&in, scrap, left < (int64_t)sizeof scrap ? (size_t)left : sizeof scrap);
        if (n <= 0) {
            c->close = true;
            return;
        }
        left -= n;
    }
    finish(c, &in);
}

/* --- JSON --- */

/* "application/json" or "application/<x>+json"; a charset may only be UTF-8. */
static bool type_is_json(const char *type)
{
    size_t n = strcspn(type, "; \t");
    if (n < 16 || strncasecmp(type, "application/", 12))
        return false;
    if (!(n == 16 && !strncasecmp(type + 12, "json", 4)) && strncasecmp(type + n - 5, "+json", 5))
        return false;
    const char *charset = strcasestr(type + n, "charset=");
    if (!charset)
        return true;
    charset += 8;
    charset += *charset == '"';
    return !strncasecmp(charset, "utf-8", 5) && (!charset[5] || strchr("\"; \t", charset[5]));
}

/* The type is looked at before the body is read. */
static int check_type(struct http_req *r)
{
    struct http_conn *c = r->conn;
    if (!c->chunked && c->content_length <= 0)
        return 0;
    const char *coding = head_find(c, "Content-Encoding");
    if (coding && strcasecmp(coding, "identity")) {
        reply_refuse(r, 415, "unsupported-type", "A body in Content-Encoding \"%.40s\" is not taken; send it plainly.", coding);
        return -1;
    }
    const char *type = head_find(c, "Content-Type");
    if ((r->route->flags & HTTP_RAW_BODY) || (type && type_is_json(type)))
        return 0;
    http_add_header(r, "Accept", "application/json");
    if (type)
        reply_refuse(r, 415, "unsupported-type", "The body must be JSON: Content-Type is \"%.80s\", not \"application/json\".", type);
    else
        reply_refuse(r, 415, "unsupported-type", "The body must be JSON: say so with Content-Type: application/json.");
    return -1;
}

static bool takes_body(const struct http_req *r)
{
    return strcmp(r->route->method, "GET") != 0;
}

int body_json(struct http_req *r, struct err *e)
{
    if (json_read(r->body, r->body_len, 0, &r->json, e)) {
        err_prefix(e, "the body is not JSON");
        return err_type(e, "json");
    }
    if (!json_is_object(r->json) && !json_is_array(r->json))
        return err_field(e, "", "must be an object");
    return 0;
}

int body_parse(struct http_req *r, struct err *e)
{
    if ((takes_body(r) && check_type(r)) || body_read(r))
        return 1;
    if (!r->body_len || !takes_body(r) || (r->route->flags & HTTP_RAW_BODY))
        return 0;
    return body_json(r, e);
}

static void wipe_json(json_t *v)
{
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_string(v))
        explicit_bzero((char *)json_string_value(v), json_string_length(v));
    json_object_foreach(v, key, item)
        wipe_json(item);
    json_array_foreach(v, i, item)
        wipe_json(item);
}

void body_wipe(struct http_req *r)
{
    if (r->route && (r->route->flags & HTTP_SECRET_BODY)) {
        wipe_json(r->json);
        if (r->body_len)
            explicit_bzero((char *)r->body, r->body_len);
        /* What civetweb received together with the head, but for the next request that may have come behind it. */
        size_t keep = r->conn->v.head_len + (r->conn->body_done ? r->conn->surplus : 0);
        if (r->conn->v.data_len > keep)
            explicit_bzero(r->conn->v.buf + keep, r->conn->v.data_len - keep);
    }
    json_decref(r->json);
    r->json = NULL;
}
