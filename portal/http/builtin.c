/* What every node answers by itself: health, readiness, the API document and the page made of it. */
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "portal/http/http_private.h"

struct asset {
    const void *body;
    size_t len;
    struct buf gz;
    char etag[33];
};

struct builtin {
    struct http_builtin b;
    pthread_mutex_t lock; /* of the assets' making, at their first use: a start should not wait for it */
    struct asset openapi, docs;
};

static void compress_asset(struct asset *a)
{
    z_stream z = {0};
    if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        return;
    size_t cap = deflateBound(&z, a->len);
    buf_reserve(&a->gz, cap);
    z.next_in = (unsigned char *)a->body;
    z.avail_in = (unsigned)a->len;
    z.next_out = (unsigned char *)a->gz.data;
    z.avail_out = (unsigned)cap;
    if (deflate(&z, Z_FINISH) == Z_STREAM_END)
        a->gz.len = z.total_out;
    deflateEnd(&z);
}

static int reply_lazy(struct http_req *r, struct builtin *b, struct asset *a, const char *type)
{
    pthread_mutex_lock(&b->lock);
    if (!a->etag[0]) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        EVP_Digest(a->body, a->len, digest, NULL, EVP_sha256(), NULL);
        for (int i = 0; i < 16; i++)
            snprintf(a->etag + 2 * i, 3, "%02x", digest[i]);
        compress_asset(a);
    }
    pthread_mutex_unlock(&b->lock);
    return http_reply_asset(r, type, a->etag, false, a->body, a->len, a->gz.len ? a->gz.data : NULL, a->gz.len);
}

static struct builtin *mine(const struct http_req *r)
{
    return r->conn->s->builtin;
}

static int reply_ok(struct http_req *r)
{
    BUF_AUTO out = BUF_INIT;
    buf_char(&out, '{');
    buf_json_kv(&out, "status", "ok");
    if (mine(r)->b.version)
        buf_json_kv(&out, "version", mine(r)->b.version);
    buf_char(&out, '}');
    return http_reply_json(r, 200, &out);
}

static int get_health(struct http_req *r, struct err *e)
{
    (void)e;
    return reply_ok(r);
}

static int get_ready(struct http_req *r, struct err *e)
{
    const struct http_builtin *b = &mine(r)->b;
    if (atomic_load(&r->conn->s->draining))
        return err_set(e, ERR_UNAVAILABLE, "This node is being stopped.");
    int n = b->ready ? b->ready(r->user, e) : 0;
    if (!n)
        return reply_ok(r);
    if (e->code != ERR_UNAVAILABLE) { /* whatever the reason: not ready is 503 */
        char words[sizeof e->msg];
        snprintf(words, sizeof words, "%s", e->msg);
        err_set(e, ERR_UNAVAILABLE, "%s", words[0] ? words : "This node is not ready.");
    }
    return err_type(e, "not-ready");
}

static int get_openapi(struct http_req *r, struct err *e)
{
    struct builtin *b = mine(r);
    if (!b->b.openapi)
        return err_set(e, ERR_NOT_FOUND, "There is no API document on this port.");
    return reply_lazy(r, b, &b->openapi, "application/json");
}

static int get_docs(struct http_req *r, struct err *e)
{
    struct builtin *b = mine(r);
    if (!b->b.docs)
        return err_set(e, ERR_NOT_FOUND, "There is no reference page on this node; the document is at /api/openapi.json.");
    if (b->b.docs_csp)
        http_add_header(r, "Content-Security-Policy", "%s", b->b.docs_csp);
    return reply_lazy(r, b, &b->docs, "text/html; charset=utf-8");
}

static int get_problem(struct http_req *r, struct err *e)
{
    (void)e;
    http_add_header(r, "Location", "/api/docs#problems");
    return http_reply_empty(r, 302);
}

static int get_root(struct http_req *r, struct err *e)
{
    (void)e;
    http_add_header(r, "Location", "/api/docs");
    return http_reply_empty(r, 302);
}

static const struct http_route node_routes[] = {
    {"GET", "/health", "getHealth", "public", get_health, HTTP_ALWAYS, 0},
    {"GET", "/ready", "getReady", "public", get_ready, HTTP_ALWAYS, 0},
    {0},
};

static const struct http_route document_routes[] = {
    {"GET", "/api/openapi.json", "getOpenapi", "public", get_openapi, 0, 0},
    {"GET", "/api/docs", "getDocs", "public", get_docs, 0, 0},
    {"GET", "/problems/{slug}", NULL, "public", get_problem, 0, 0},
    {0},
};

static const struct http_route root_route[] = {
    {"GET", "/", NULL, "public", get_root, 0, 0},
    {0},
};

void http_add_builtin(struct http_server *s, const struct http_builtin *given)
{
    struct builtin *b = calloc(1, sizeof *b);
    if (!b)
        abort();
    b->b = *given;
    b->openapi.body = given->openapi;
    b->openapi.len = given->openapi_len;
    b->docs.body = given->docs;
    b->docs.len = given->docs_len;
    pthread_mutex_init(&b->lock, NULL);
    s->builtin = b;
    http_server_add(s, node_routes);
    if (given->openapi || given->docs)
        http_server_add(s, document_routes);
    if (given->root)
        http_server_add(s, root_route);
}

void builtin_free(struct builtin *b)
{
    if (!b)
        return;
    buf_done(&b->openapi.gz);
    buf_done(&b->docs.gz);
    pthread_mutex_destroy(&b->lock);
    free(b);
}
