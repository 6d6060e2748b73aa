/* One request from its head to its answer, on the worker that civetweb gave it. civetweb's own request handling is never reached:
 * begin_request answers everything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <time.h>

#include "portal/core/clock.h"
#include "portal/core/log.h"
#include "portal/core/thread.h"
#include "portal/http/http_private.h"
#include "portal/loop/stream.h"

#define LINGER_MS 1000

int64_t http_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct worker *worker_new(void)
{
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    w->arena = arena_new();
    return w;
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    arena_free(w->arena);
    buf_done(&w->headers);
    buf_wipe(&w->out);
    buf_wipe(&w->body);
    buf_wipe(&w->record);
    buf_done(&w->zipped);
    buf_done(&w->replay);
    free(w);
}

/* --- ids --- */

static bool all_in(const char *s, size_t n, const char *set)
{
    for (size_t i = 0; i < n; i++)
        if (!s[i] || !strchr(set, s[i]))
            return false;
    return true;
}

/* W3C trace context, version 00 or a later one with the same beginning. */
static const char *trace_id(const char *parent, struct arena *a)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = strlen(parent);
    if (n < 55 || (n > 55 && parent[55] != '-') || parent[2] != '-' || parent[35] != '-' || parent[52] != '-')
        return NULL;
    if (!all_in(parent, 2, digits) || !strncmp(parent, "ff", 2) || !all_in(parent + 3, 32, digits) || !all_in(parent + 36, 16, digits))
        return NULL;
    if (strspn(parent + 3, "0") >= 32 || strspn(parent + 36, "0") >= 16)
        return NULL;
    return arena_strndup(a, parent + 3, 32);
}

static const char *fresh_id(struct worker *w, struct arena *a)
{
    static const char digits[] = "0123456789abcdef";
    if (w->random_left < 16) {
        if (getrandom(w->random, sizeof w->random, 0) != (ssize_t)sizeof w->random)
            abort();
        w->random_left = sizeof w->random;
    }
    const unsigned char *p = w->random + sizeof w->random - w->random_left;
    w->random_left -= 16;
    char *id = arena_alloc(a, 33);
    for (int i = 0; i < 16; i++) {
        id[2 * i] = digits[p[i] >> 4];
        id[2 * i + 1] = digits[p[i] & 15];
    }
    return id;
}

static const char *request_id(struct http_conn *c, struct arena *a)
{
    const char *parent = head_find(c, "traceparent"), *given, *id = parent ? trace_id(parent, a) : NULL;
    if (id)
        return id;
    given = head_find(c, "X-Request-Id");
    size_t n = given ? strlen(given) : 0;
    if (n && n <= 63 && all_in(given, n, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:"))
        return given;
    return fresh_id(c->w, a);
}

/* --- the way of a request --- */

/* Each step: 0 to go on; 1 when the answer is there; ERR_* with words in e. */

static int step_capacity(struct http_req *r, struct err *e)
{
    struct http_server *s = r->conn->s;
    if (!server_is_full(s) || (r->route && (r->route->flags & HTTP_ALWAYS)))
        return 0;
    atomic_fetch_add(&s->rejected_busy, 1);
    r->conn->close = true;
    err_set(e, ERR_UNAVAILABLE, "All workers of this node are busy; try again in a moment.");
    e->retry_after = 1;
    return err_type(e, "busy");
}

static int step_route(struct http_req *r)
{
    struct http_conn *c = r->conn;
    char allow[96];
    if (router_find(c->s->router, r->method, r->path, r->arena, &c->match)) {
        r->route = c->match.route;
        if (!c->head_only || !(r->route->flags & HTTP_STREAM))
            return 0;
        c->match.allow = 1; /* a stream has no head without its body */
        r->route = NULL;
    }
    router_allow(c->match.allow, allow);
    if (!c->match.allow) {
        reply_refuse(r, 404, "not-found", "There is nothing at %.200s on this node; /api/docs lists what there is.", r->path);
        return 1;
    }
    http_add_header(r, "Allow", "%s", allow);
    if (!strcmp(r->method, "OPTIONS"))
        return http_reply_empty(r, 204), 1;
    reply_refuse(r, 405, "method-not-allowed", "%.200s does not have %s; it has %s.", r->path, r->method, allow);
    return 1;
}

/* The key as given, or in quotes as the draft has it. */
static int step_key(struct http_req *r, struct err *e)
{
    const char *key = http_header(r, "Idempotency-Key");
    unsigned flags = r->route->flags;
    if (!key && (flags & HTTP_IDEMPOTENT_REQUIRED)) {
        err_set(e, ERR_INVALID, "This write needs the header Idempotency-Key: any text that names it, so that sending it again does nothing twice.");
        return err_type(e, "idempotency-key-missing");
    }
    if (!key || !(flags & (HTTP_IDEMPOTENT | HTTP_IDEMPOTENT_REQUIRED)))
        return 0;
    size_t n = strlen(key);
    if (n >= 2 && key[0] == '"' && key[n - 1] == '"') {
        key = arena_strndup(r->arena, key + 1, n - 2);
        n -= 2;
    }
    for (size_t i = 0; i < n; i++)
        if (key[i] <= ' ' || key[i] > '~')
            n = 0;
    if (!n || n > 255) {
        err_set(e, ERR_INVALID, "The Idempotency-Key must be 1 to 255 visible ASCII characters.");
        return err_type(e, "idempotency-key-invalid");
    }
    r->idempotency_key = key;
    return 0;
}

/* Sends an earlier answer again: its header lines as they were handed to idempotency_end. */
static int replay(struct http_req *r, int status, const struct buf *headers, const struct buf *body)
{
    const char *type = NULL;
    for (const char *p = buf_cstr(headers), *end; (end = strstr(p, "\r\n")); p = end + 2) {
        const char *colon = memchr(p, ':', (size_t)(end - p));
        if (!colon || colon == p)
            continue;
        char *name = arena_strndup(r->arena, p, (size_t)(colon - p));
        colon += 1 + strspn(colon + 1, " ");
        char *value = arena_strndup(r->arena, colon, (size_t)(end - colon));
        if (!strcmp(name, "Content-Type"))
            type = value;
        else
            http_add_header(r, name, "%s", value);
    }
    http_add_header(r, "Idempotency-Replayed", "true");
    if (!body->len)
        return http_reply_empty(r, status);
    return http_reply(r, status, type, body->data, body->len);
}

/* 1: answered from the store; *ret_begun: idempotency_end is owed. */
static int step_idempotency(struct http_req *r, bool *ret_begun, struct err *e)
{
    const struct http_hooks *h = &r->conn->s->hooks;
    if (!r->idempotency_key || !h->idempotency_begin)
        return 0;
    int status = 0;
    BUF_AUTO body = BUF_INIT;
    buf_clear(&r->conn->w->replay);
    int n = h->idempotency_begin(r, &status, &r->conn->w->replay, &body, e);
    if (n == 1)
        replay(r, status, &r->conn->w->replay, &body);
    if (r->route->flags & HTTP_SECRET_BODY)
        buf_wipe(&body);
    *ret_begun = n == 0;
    return n;
}

static void tell_idempotency(struct http_req *r)
{
    struct http_conn *c = r->conn;
    struct buf *b = &c->w->replay;
    if (!c->s->hooks.idempotency_end)
        return;
    buf_clear(b);
    if (c->content_type)
        buf_printf(b, "Content-Type: %s\r\n", c->content_type);
    buf_add(b, c->w->headers.data + c->hook_headers, c->w->headers.len - c->hook_headers);
    c->s->hooks.idempotency_end(r, c->status, buf_cstr(b), c->body ? c->body : "", c->body_len);
}

static int call_handler(struct http_req *r, struct err *e)
{
    struct http_conn *c = r->conn;
    int n = r->route->fn(r, e);
    if (n < 0 || c->replied || c->took)
        return n;
    return err_set(e, ERR_INTERNAL, "the handler of %s %s returned without an answer", r->route->method, r->route->pattern);
}

/* From the route to the answer. Negative: the problem is in e. */
static int run(struct http_req *r, struct err *e)
{
    const struct http_hooks *h = &r->conn->s->hooks;
    bool begun = false;
    int n = step_route(r);
    if (!n)
        n = step_capacity(r, e);
    if (!n && h->authenticate)
        n = h->authenticate(r, e);
    if (!n && h->authorize)
        n = h->authorize(r, e);
    r->conn->hook_headers = r->conn->w->headers.len;
    if (!n)
        n = step_key(r, e);
    if (!n)
        n = body_parse(r, e);
    if (!n && h->check_body)
        n = h->check_body(r, e);
    if (!n) {
        n = step_idempotency(r, &begun, e);
        /* Of two requests with one key only the input can be at fault here. */
        if (n == ERR_INVALID && !e->n_fields) {
            reply_refuse(r, 422, e->type[0] ? e->type : "idempotency-key-reused", "%s", e->msg);
            n = 1;
        }
    }
    if (!n)
        n = call_handler(r, e);
    if (begun) {
        if (n < 0)
            reply_problem(r, e);
        tell_idempotency(r);
    }
    return n;
}

static void log_failure(const struct http_req *r, const struct err *e)
{
    if (http_status_of(e) == 500)
        log_error("request failed", LOG_S("method", r->method), LOG_S("path", r->path), LOG_S("reason", e->msg));
}

static void settle_stream(struct http_conn *c, int n)
{
    if (n < 0)
        stream_close(c->stream);
    stream_unref(c->stream);
}

/* Everything between the head and the answer; the answer is filled afterwards, or the socket is gone. */
static void handle(struct http_req *r)
{
    struct http_conn *c = r->conn;
    struct err e;
    e.code = 0;
    e.type[0] = e.msg[0] = e.link[0] = 0;
    e.retry_after = 0;
    e.n_fields = 0;
    const char *wrong = head_path(c, r->arena, &r->path);
    if (!wrong)
        wrong = head_query(c, r->arena);
    if (wrong) {
        reply_refuse(r, 400, "address", "The address is not taken: %s.", wrong);
        return;
    }
    int n = run(r, &e);
    if (c->took) {
        settle_stream(c, n);
        return;
    }
    if (n < 0) {
        log_failure(r, &e);
        reply_problem(r, &e);
    }
}

static struct slot *slot_of(const struct http_conn *c)
{
    return &c->s->slots[civet_worker(c->mg)];
}

static void count(const struct http_conn *c)
{
    if (c->status >= 100 && c->status < 600)
        atomic_fetch_add_explicit(&slot_of(c)->by_class[c->status / 100], 1, memory_order_relaxed);
}

static void request_init(struct http_req *r, struct http_conn *c, struct mg_connection *mg)
{
    struct http_server *s = mg_get_user_data(mg_get_context(mg));
    *c = (struct http_conn){.s = s, .mg = mg, .w = mg_get_thread_pointer(mg), .ri = mg_get_request_info(mg), .started_us = http_now_us(), .content_length = -1};
    civet_look(mg, &c->v);
    buf_clear(&c->w->headers);
    arena_reset(c->w->arena);
    *r = (struct http_req){.arena = c->w->arena, .method = c->ri->request_method ? c->ri->request_method : "", .path = "", .remote_addr = c->ri->remote_addr,
                           .tls = c->v.ssl != NULL, .user = s->o.user, .conn = c, .body = ""};
}

/* One large answer must not be remembered by a worker for ever. */
static void shrink(struct buf *b)
{
    if (b->cap > 256 * 1024)
        buf_done(b);
}

/* Whether bytes have come that nobody will read: closing would then reset the connection, and with it our answer. */
static bool has_unread(const struct http_conn *c)
{
    int n = 0;
    return !c->body_done || c->surplus || (ioctl(c->v.fd, FIONREAD, &n) == 0 && n > 0);
}

static void close_politely(const struct http_conn *c)
{
    civet_close_after(c->mg);
    if (has_unread(c))
        sock_linger(c->v.fd, c->v.ssl, c->s, c->body_done || server_is_full(c->s) ? LINGER_MS / 4 : LINGER_MS);
}

static void answer_and_finish(struct http_req *r)
{
    struct http_conn *c = r->conn;
    struct http_server *s = c->s;
    if (!c->took) {
        body_discard(r);
        if (!c->v.keep_alive || server_is_scarce(s) || atomic_load_explicit(&s->draining, memory_order_relaxed))
            c->close = true;
        count(c);
        reply_zip(r);
        reply_send(r);
        if (c->close)
            close_politely(c);
    }
    body_wipe(r);
    if (r->route && (r->route->flags & HTTP_SECRET_BODY)) {
        buf_wipe(&c->w->body);
        buf_wipe(&c->w->record);
    }
    shrink(&c->w->body);
    shrink(&c->w->zipped);
    shrink(&c->w->record);
    if (c->took)
        count(c);
    if (s->hooks.done)
        s->hooks.done(r, c->status, c->sent, http_now_us() - c->started_us);
}

/* IDLE to ACTIVE; a drain that is just cutting this connection is let finish. */
static void slot_enter(struct slot *slot)
{
    int idle = SLOT_IDLE;
    while (!atomic_compare_exchange_weak(&slot->state, &idle, SLOT_ACTIVE))
        idle = SLOT_IDLE;
}

static void slot_leave(struct slot *slot)
{
    atomic_fetch_add_explicit(&slot->requests, 1, memory_order_relaxed);
    atomic_store_explicit(&slot->idle_since, clock_mono_ms(), memory_order_relaxed);
    atomic_store(&slot->state, SLOT_IDLE);
}

int request_begin(struct mg_connection *mg)
{
    struct http_conn c;
    struct http_req r;
    THREAD_ASSERT(THREAD_HTTP);
    request_init(&r, &c, mg);
    struct slot *slot = slot_of(&c);
    slot_enter(slot);
    const char *wrong = head_check(&c);
    r.request_id = wrong ? fresh_id(c.w, r.arena) : request_id(&c, r.arena);
    c.head_only = !strcmp(r.method, "HEAD");
    r.if_match = head_find(&c, "If-Match");
    r.if_none_match = head_find(&c, "If-None-Match");
    log_context(r.request_id, NULL); /* until the next request of this worker */
    if (!wrong && c.s->proxies)
        proxies_resolve(c.s->proxies, &r);
    if (wrong) {
        c.close = true;
        reply_refuse(&r, 400, "framing", "The request is ambiguous: %s. The connection is closed.", wrong);
    } else
        handle(&r);
    answer_and_finish(&r);
    if (c.took) /* the descriptor is the loop's, and may be another's soon */
        atomic_store(&slot->fd, -1);
    if (!c.took && !c.close)
        civet_check_next(mg);
    slot_leave(slot);
    return c.status ? c.status : 500;
}

/* civetweb could not read the head (or found the version or address strange): its words, our form. */
static void refuse_head(struct http_req *r, int status, const char *msg)
{
    struct http_conn *c = r->conn;
    bool full = c->v.data_len >= c->v.size;
    if (full)
        reply_refuse(r, 431, "head-too-large", "The head of a request may hold %zu bytes.", c->v.size);
    else if (status == 400 && c->v.head_len == 0 && civet_head_ms(c->mg) >= (c->v.first ? c->s->o.header_timeout_ms : c->s->o.keep_alive_ms))
        reply_refuse(r, 408, "too-slow", "The head of the request did not come within the time.");
    else if (status == 505)
        reply_refuse(r, 505, "http-version", "HTTP/1.1 and HTTP/1.0 are spoken here.");
    else
        reply_refuse(r, status == 411 ? 400 : status, "framing", "The request cannot be understood (%s): its form is wrong, or its method is not known here.", msg);
}

static void answer_unread(struct mg_connection *mg, int status, const char *msg)
{
    struct http_conn c;
    struct http_req r;
    request_init(&r, &c, mg);
    r.request_id = fresh_id(c.w, r.arena);
    r.path = "/";
    c.close = true;
    if (msg)
        refuse_head(&r, status, msg);
    else
        reply_refuse(&r, status, "address", "The address of the request is not one of this node: send a path.");
    reply_send(&r);
    civet_close_after(mg);
    sock_linger(c.v.fd, c.v.ssl, c.s, LINGER_MS / 2);
    count(&c);
}

int request_error(struct mg_connection *mg, int status, const char *msg)
{
    answer_unread(mg, status, msg);
    return 0;
}

void request_ignored(struct mg_connection *mg)
{
    answer_unread(mg, 400, NULL);
}

/* --- streams --- */

int http_take_stream(struct http_req *r, struct stream **ret, struct err *e)
{
    struct http_conn *c = r->conn;
    struct pace p;
    int fd;
    SSL *ssl;
    if (!c->s->o.streams || c->took)
        return err_set(e, ERR_INTERNAL, "there are no event streams on this listener");
    c->close = true;
    c->status = 200;
    c->content_type = "text/event-stream; charset=utf-8";
    http_add_header(r, "X-Accel-Buffering", "no");
    size_t n = reply_head(r, &c->w->out, false);
    pace_begin(&p, c->s, c->s->o.header_timeout_ms);
    if (sock_write(c->v.fd, c->v.ssl, c->w->out.data, n, &p))
        return err_set(e, ERR_CANCELED, "the client went away before its stream began");
    c->sent = n;
    civet_take(c->mg, &fd, &ssl);
    c->took = true;
    c->stream = *ret = stream_new(c->s->o.streams, fd, ssl);
    stream_ref(c->stream);
    return 0;
}
