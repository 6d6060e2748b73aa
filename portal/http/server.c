/* A listener with its workers: start, limits, drain. civetweb gives a connection to one worker until it ends; so what is counted and cut here
 * are connections, one slot a worker. */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "portal/core/clock.h"
#include "portal/core/log.h"
#include "portal/core/thread.h"
#include "portal/http/http_private.h"

#define RUSH_HEAD_MS 1000   /* when nearly all workers are taken, a silent client gets no more */
#define CUT_AFTER_MS 1000   /* an idle connection may be cut after that when workers are scarce */
#define QUIET_MS 30

static struct http_server *server_of(const struct mg_connection *mg)
{
    return mg_get_user_data(mg_get_context(mg));
}

/* Above 95 %: with fewer than 20 workers, when all are taken and others wait. */
bool server_is_full(const struct http_server *s)
{
    int busy = atomic_load_explicit(&s->busy, memory_order_relaxed), reserve = s->o.threads / 20;
    if (reserve)
        return busy > s->o.threads - reserve;
    return busy >= s->o.threads && civet_waiting(s->ctx) > 0;
}

bool server_is_scarce(const struct http_server *s)
{
    return atomic_load_explicit(&s->busy, memory_order_relaxed) * 5 > s->o.threads * 4;
}

/* --- connections --- */

/* Ends the wait of an idle connection's worker; the worker closes it. */
static bool slot_cut(struct slot *slot)
{
    int idle = SLOT_IDLE;
    if (!atomic_compare_exchange_strong(&slot->state, &idle, SLOT_CUTTING))
        return false;
    shutdown(atomic_load(&slot->fd), SHUT_RD);
    atomic_store(&slot->state, SLOT_IDLE);
    return true;
}

static void cut_oldest(struct http_server *s)
{
    int64_t limit = clock_mono_ms() - CUT_AFTER_MS;
    struct slot *oldest = NULL;
    for (int i = 0; i < s->o.threads; i++) {
        struct slot *slot = &s->slots[i];
        int64_t since = atomic_load_explicit(&slot->idle_since, memory_order_relaxed);
        if (atomic_load(&slot->state) == SLOT_IDLE && atomic_load(&slot->requests) && since < limit) {
            limit = since;
            oldest = slot;
        }
    }
    if (oldest)
        slot_cut(oldest);
}

static void slot_take(struct http_server *s, struct slot *slot, int fd, int state)
{
    if (atomic_load(&slot->state) == SLOT_NONE) {
        atomic_fetch_add(&s->busy, 1);
        atomic_store(&slot->fd, fd);
        atomic_store(&slot->requests, 0);
        atomic_store(&slot->idle_since, clock_mono_ms());
    }
    atomic_store(&slot->state, state);
}

static void on_handshake(struct mg_connection *mg)
{
    struct http_server *s = server_of(mg);
    struct slot *slot = &s->slots[civet_worker(mg)];
    struct civet_view v;
    if (atomic_load(&slot->state) != SLOT_NONE)
        return;
    civet_look(mg, &v);
    slot_take(s, slot, v.fd, SLOT_HANDSHAKE);
}

static int on_connection(const struct mg_connection *mg, void **data)
{
    struct http_server *s = server_of(mg);
    struct civet_view v;
    civet_look(mg, &v);
    slot_take(s, &s->slots[civet_worker(mg)], v.fd, SLOT_IDLE);
    if (server_is_full(s))
        civet_rush_use((struct mg_connection *)mg, s->rush);
    if (server_is_scarce(s))
        cut_oldest(s);
    *data = NULL;
    return 0;
}

static void on_connection_end(const struct mg_connection *cmg)
{
    struct mg_connection *mg = (struct mg_connection *)cmg;
    struct http_server *s = server_of(mg);
    struct slot *slot = &s->slots[civet_worker(mg)];
    if (civet_was_ignored(mg))
        request_ignored(mg);
    civet_rush_use(mg, NULL);
    /* Until the slot is free nobody else looks at its descriptor; a cut that is under way is let finish. */
    for (int state = atomic_load(&slot->state); state != SLOT_NONE;) {
        if (state == SLOT_CUTTING)
            state = atomic_load(&slot->state);
        else if (atomic_compare_exchange_weak(&slot->state, &state, SLOT_NONE))
            atomic_fetch_sub(&s->busy, 1), state = SLOT_NONE;
    }
}

/* --- threads and words of civetweb --- */

static void *on_thread(const struct mg_context *ctx, int type)
{
    (void)ctx;
    if (type != 1)
        return NULL;
    thread_set_role(THREAD_HTTP, "http");
    return worker_new();
}

static void on_thread_end(const struct mg_context *ctx, int type, void *worker)
{
    (void)ctx, (void)type;
    worker_free(worker);
}

static void on_context(const struct mg_context *ctx)
{
    struct http_server *s = mg_get_user_data(ctx);
    /* Workers begin right after this and ask for the context. */
    s->ctx = (struct mg_context *)ctx;
    s->rush = civet_rush_new(ctx, RUSH_HEAD_MS);
}

static int on_message(const struct mg_connection *mg, const char *msg)
{
    struct http_server *s = mg_get_user_data(mg_get_context(mg));
    if (s && !s->ctx) {
        if (!s->start_error[0]) /* the first says why, the rest that it failed */
            snprintf(s->start_error, sizeof s->start_error, "%s", msg);
    } else
        log_debug("http", LOG_S("message", msg));
    return 1;
}

/* --- TLS --- */

static int tls_failed(SSL_CTX *tls, struct err *e, const char *what, const char *path)
{
    unsigned long why = ERR_peek_last_error();
    err_set(e, ERR_INVALID, "%s %s cannot be used: %s", what, path, why ? ERR_reason_error_string(why) : "unknown reason");
    ERR_clear_error();
    SSL_CTX_free(tls);
    return ERR_INVALID;
}

static int tls_new(const struct http_server *s, SSL_CTX **ret, struct err *e)
{
    ERR_clear_error();
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (!tls)
        return tls_failed(tls, e, "OpenSSL", "");
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_cipher_list(tls, "ECDHE+AESGCM:ECDHE+CHACHA20");
    if (SSL_CTX_use_certificate_chain_file(tls, s->certificate) != 1)
        return tls_failed(tls, e, "The certificate", s->certificate);
    if (SSL_CTX_use_PrivateKey_file(tls, s->private_key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(tls) != 1)
        return tls_failed(tls, e, "The private key", s->private_key);
    *ret = tls;
    return 0;
}

/* Also asked at the end: 1 says that the context stays ours. */
static int on_tls(void **ret, void *user)
{
    struct http_server *s = user;
    if (!s->tls)
        return 0;
    *ret = s->tls;
    return 1;
}

int http_server_reload_certificate(struct http_server *s, struct err *e)
{
    SSL_CTX *fresh = NULL;
    if (!s->tls)
        return err_set(e, ERR_CONFLICT, "this listener has no certificate");
    int r = tls_new(s, &fresh, e);
    if (r)
        return r;
    SSL_CTX *old = civet_set_tls(s->ctx, fresh);
    s->tls = fresh;
    SSL_CTX_free(old); /* connections that stand hold it */
    return 0;
}

/* --- life --- */

static int or(int value, int fallback)
{
    return value > 0 ? value : fallback;
}

int http_server_new(const struct http_options *o, struct http_server **ret, struct err *e)
{
    if (!o->certificate != !o->private_key)
        return err_set(e, ERR_INVALID, "a certificate needs its private key, and the key its certificate: set both or none");
    if (o->threads < 0 || o->threads > 1024)
        return err_set(e, ERR_INVALID, "the number of HTTP threads must be from 1 to 1024");
    struct proxies *proxies = NULL;
    int r = o->trusted_proxies && *o->trusted_proxies ? proxies_new(o->trusted_proxies, o->forwarded, &proxies, e) : 0;
    if (r)
        return r;
    struct http_server *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->proxies = proxies;
    s->o = *o;
    if (o->hooks)
        s->hooks = *o->hooks;
    s->listen = strdup(o->listen);
    s->certificate = o->certificate ? strdup(o->certificate) : NULL;
    s->private_key = o->private_key ? strdup(o->private_key) : NULL;
    s->o.threads = or(o->threads, 32);
    s->o.header_timeout_ms = or(o->header_timeout_ms, 10000);
    s->o.body_timeout_ms = or(o->body_timeout_ms, 30000);
    s->o.body_min_rate = or(o->body_min_rate, 1024);
    s->o.body_grace_ms = or(o->body_grace_ms, 5000);
    s->o.keep_alive_ms = or(o->keep_alive_ms, 10000);
    s->slots = aligned_alloc(128, (size_t)s->o.threads * sizeof *s->slots);
    if (!s->slots)
        abort();
    memset(s->slots, 0, (size_t)s->o.threads * sizeof *s->slots);
    s->last_table = &s->tables;
    *ret = s;
    return 0;
}

void http_server_add(struct http_server *s, const struct http_route *routes)
{
    struct table *t = calloc(1, sizeof *t);
    if (!t)
        abort();
    t->routes = routes;
    *s->last_table = t;
    s->last_table = &t->next;
}

static int start_civetweb(struct http_server *s, struct err *e)
{
    char listen[300], threads[16], head_ms[16], idle_ms[16], words[256] = "";
    snprintf(listen, sizeof listen, "%s%s", s->listen, s->tls ? "s" : "");
    snprintf(threads, sizeof threads, "%d", s->o.threads);
    snprintf(head_ms, sizeof head_ms, "%d", s->o.header_timeout_ms);
    snprintf(idle_ms, sizeof idle_ms, "%d", s->o.keep_alive_ms);
    const char *options[] = {"listening_ports", listen, "num_threads", threads, "request_timeout_ms", head_ms, "keep_alive_timeout_ms", idle_ms,
                             "enable_keep_alive", "yes", "tcp_nodelay", "1", "decode_url", "no", "listen_backlog", "1024",
                             "enable_auth_domain_check", "no", NULL};
    struct mg_callbacks callbacks = {.begin_request = request_begin, .http_error = request_error, .init_connection = on_connection,
                                     .connection_close = on_connection_end, .init_thread = on_thread, .exit_thread = on_thread_end,
                                     .init_context = on_context, .log_message = on_message, .external_ssl_ctx = on_tls};
    struct mg_init_data init = {.callbacks = &callbacks, .user_data = s, .configuration_options = options};
    struct mg_error_data error = {.text = words, .text_buffer_size = sizeof words};
    civet_on_handshake = on_handshake;
    struct mg_context *ctx = mg_start2(&init, &error);
    if (!ctx) {
        s->ctx = NULL;
        return err_set(e, ERR_IO, "cannot listen on %s: %s", s->listen, s->start_error[0] ? s->start_error : words);
    }
    struct mg_server_port port;
    if (mg_get_server_ports(ctx, 1, &port) > 0)
        s->port = port.port;
    return 0;
}

int http_server_start(struct http_server *s, struct err *e)
{
    int r = router_new(s->tables, &s->router, e);
    if (!r && s->certificate)
        r = tls_new(s, &s->tls, e);
    if (r)
        return r;
    mg_init_library(s->tls ? MG_FEATURES_TLS : 0);
    return start_civetweb(s, e);
}

int http_server_port(const struct http_server *s)
{
    return s->port;
}

static int in_flight(const struct http_server *s)
{
    int n = 0;
    for (int i = 0; i < s->o.threads; i++)
        n += atomic_load(&s->slots[i].state) == SLOT_ACTIVE;
    return n;
}

static void wait_in_flight(const struct http_server *s, int64_t until_ms)
{
    while (in_flight(s) && clock_mono_ms() < until_ms)
        clock_sleep_ms(5);
}

static void cut_idle(struct http_server *s, bool fresh_too)
{
    for (int i = 0; i < s->o.threads; i++)
        if (fresh_too || atomic_load(&s->slots[i].requests))
            slot_cut(&s->slots[i]);
}

void http_server_drain(struct http_server *s, int timeout_ms)
{
    if (!s->ctx || atomic_exchange(&s->stopped, true))
        return;
    int64_t until = clock_mono_ms() + timeout_ms;
    atomic_store(&s->draining, true);
    cut_idle(s, false);
    wait_in_flight(s, until);
    civet_stop_listening(s->ctx);
    /* What was accepted just before is still answered. */
    int64_t quiet = clock_mono_ms() + QUIET_MS;
    while ((civet_waiting(s->ctx) > 0 || clock_mono_ms() < quiet) && clock_mono_ms() < until)
        clock_sleep_ms(5);
    wait_in_flight(s, until);
    atomic_store(&s->aborting, true);
    cut_idle(s, true);
    civet_stop(s->ctx);
    s->ctx = NULL;
    civet_rush_free(s->rush);
    s->rush = NULL;
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    http_server_drain(s, 0);
    for (struct table *t = s->tables, *next; t; t = next) {
        next = t->next;
        free(t);
    }
    router_free(s->router);
    proxies_free(s->proxies);
    builtin_free(s->builtin);
    civet_rush_free(s->rush);
    SSL_CTX_free(s->tls);
    free(s->listen);
    free(s->certificate);
    free(s->private_key);
    free(s->slots);
    free(s);
}

void http_server_stats(const struct http_server *s, struct http_stats *ret)
{
    int64_t by_class[6] = {0}, requests = 0;
    for (int i = 0; i < s->o.threads; i++)
        for (int k = 0; k < 6; k++) {
            int64_t n = atomic_load_explicit(&s->slots[i].by_class[k], memory_order_relaxed);
            by_class[k] += n;
            requests += n;
        }
    *ret = (struct http_stats){
        .requests = requests, .in_flight = in_flight(s),
        .status_2xx = by_class[2], .status_3xx = by_class[3], .status_4xx = by_class[4], .status_5xx = by_class[5],
        .rejected_busy = atomic_load(&s->rejected_busy), .busy = atomic_load(&s->busy), .threads = s->o.threads,
    };
}

void http_server_each_route(const struct http_server *s, void (*fn)(const struct http_route *r, void *arg), void *arg)
{
    for (const struct table *t = s->tables; t; t = t->next)
        for (const struct http_route *r = t->routes; r->method; r++)
            fn(r, arg);
}
