/* Compiles civetweb's source (Debian's source package, unchanged, on the include path) with a few accessors in the same unit.
 * Nothing of civetweb is copied here; docs/adr/0001-civetweb.md tells why the packaged library is not used. */
#include <openssl/ssl.h>
#include <stddef.h>
#include <sys/socket.h>

struct mg_connection;
#if defined(STOP_FLAG_NEEDS_LOCK)
/* Builds for ThreadSanitizer: this one reads the flag plainly before it compares and swaps. */
static void STOP_FLAG_ASSIGN(ptrdiff_t volatile *f, ptrdiff_t volatile v) __attribute__((no_sanitize("thread")));
#endif
static int civet_accept(SSL *ssl);
static int civet_received(struct mg_connection *conn, char *at, int n);
#define SSL_accept civet_accept
/* Both stand in one function, where `conn` and `buf` are its parameters. */
#define SSL_read(ssl, p, n) civet_received(conn, buf, SSL_read(ssl, p, n))
#define recv(fd, p, n, flags) civet_received(conn, buf, (int)recv(fd, p, n, flags))
#include "civetweb.c"
#undef SSL_accept
#undef SSL_read
#undef recv

#include <sys/eventfd.h>

#include "civet.h"

void (*civet_on_handshake)(struct mg_connection *c);

static int civet_accept(SSL *ssl)
{
    struct mg_connection *c = SSL_get_app_data(ssl);
    if (c && civet_on_handshake)
        civet_on_handshake(c);
    return SSL_accept(ssl);
}

/* A request line must end with CR LF; civetweb overwrites its end with zeros, after which nobody can tell. So it is looked at while it is still as
 * it came, and what is wrong becomes a byte that civetweb refuses. */
static void civet_check_line(char *p, int n)
{
    int i = n >= 2 && p[0] == '\r' && p[1] == '\n' ? 2 : 0;
    for (; i < n; i++) {
        if (p[i] == '\n') {
            if (i == 0 || p[i - 1] != '\r')
                p[i] = 1;
            return;
        }
        if (p[i] == '\r' && i + 1 < n && p[i + 1] != '\n') {
            p[i] = 1;
            return;
        }
    }
}

static int civet_received(struct mg_connection *conn, char *at, int n)
{
    if (n > 0 && conn->request_len == 0 && at >= conn->buf && at < conn->buf + conn->buf_size)
        civet_check_line(conn->buf, (int)(at - conn->buf) + n);
    return n;
}

void civet_check_next(struct mg_connection *c)
{
    civet_check_line(c->buf + c->request_len, c->data_len - c->request_len);
}

void civet_look(const struct mg_connection *c, struct civet_view *ret)
{
    *ret = (struct civet_view){
        .fd = c->client.sock,
        .ssl = c->ssl,
        .buf = c->buf,
        .head_len = c->request_len > 0 ? (size_t)c->request_len : 0,
        .data_len = c->data_len > 0 ? (size_t)c->data_len : 0,
        .size = (size_t)c->buf_size,
        .first = c->handled_requests == 0,
        .keep_alive = c->request_info.num_headers >= 0 && should_keep_alive(c) && c->protocol_type == PROTOCOL_TYPE_HTTP1,
    };
}

int64_t civet_head_ms(const struct mg_connection *c)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)(now.tv_sec - c->req_time.tv_sec) * 1000 + (now.tv_nsec - c->req_time.tv_nsec) / 1000000;
}

int civet_worker(const struct mg_connection *c)
{
    return (int)(c - c->phys_ctx->worker_connections);
}

bool civet_was_ignored(struct mg_connection *c)
{
    bool ignored = c->request_len > 0 && c->status_code == -1 && c->request_info.request_uri && !c->request_info.local_uri_raw && c->client.sock != INVALID_SOCKET;
    c->status_code = 0;
    return ignored;
}

void civet_close_after(struct mg_connection *c)
{
    c->must_close = 1;
}

bool civet_body_done(struct mg_connection *c, const void *surplus, size_t n)
{
    if (n > (size_t)(c->buf_size - c->request_len)) {
        c->must_close = 1;
        n = 0;
    } else if (n)
        memmove(c->buf + c->request_len, surplus, n);
    c->data_len = c->request_len + (int)n;
    c->content_len = c->consumed_content = 0;
    c->is_chunked = 0;
    return !c->must_close;
}

void civet_take(struct mg_connection *c, int *ret_fd, SSL **ret_ssl)
{
    *ret_fd = c->client.sock;
    *ret_ssl = c->ssl;
    if (c->ssl)
        SSL_set_app_data(c->ssl, NULL);
    c->ssl = NULL;
    c->client.sock = INVALID_SOCKET;
    c->must_close = 1;
}

int civet_parse(char *buf, int len, struct mg_request_info *ret)
{
    civet_check_line(buf, len);
    int head_len = get_http_header_len(buf, len);
    if (head_len <= 0 || parse_http_request(buf, len, ret) <= 0)
        return head_len > 0 ? -1 : head_len;
    /* What handle_request does before it asks us. */
    ret->local_uri_raw = ret->request_uri;
    char *query = strchr(ret->request_uri, '?');
    if (query)
        *query++ = 0;
    ret->query_string = query;
    return head_len;
}

int civet_waiting(struct mg_context *ctx)
{
    pthread_mutex_lock(&ctx->thread_mutex);
    int n = ctx->sq_head - ctx->sq_tail;
    pthread_mutex_unlock(&ctx->thread_mutex);
    return n;
}

void civet_stop_listening(struct mg_context *ctx)
{
    for (unsigned i = 0; i < ctx->num_listening_sockets; i++) {
        /* The master thread polls this number until mg_stop; a descriptor that never becomes readable keeps it quiet. */
        int quiet = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        shutdown(ctx->listening_sockets[i].sock, SHUT_RDWR);
        if (quiet >= 0) {
            dup3(quiet, ctx->listening_sockets[i].sock, O_CLOEXEC);
            close(quiet);
        }
    }
}

void civet_stop(struct mg_context *ctx)
{
    /* The event descriptors that stand in for the listening sockets become readable: the accepting thread looks at the stop flag. */
    uint64_t one = 1;
    for (unsigned i = 0; i < ctx->num_listening_sockets; i++)
        if (write(ctx->listening_sockets[i].sock, &one, sizeof one) < 0)
            break;
    mg_stop(ctx);
}

struct civet_rush {
    struct mg_domain_context dom;
    char head_ms[16];
};

struct civet_rush *civet_rush_new(const struct mg_context *ctx, int head_ms)
{
    struct civet_rush *r = mg_calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->dom = ctx->dd;
    mg_snprintf(NULL, NULL, r->head_ms, sizeof r->head_ms, "%d", head_ms);
    r->dom.config[REQUEST_TIMEOUT] = r->head_ms;
    r->dom.config[AUTHENTICATION_DOMAIN] = NULL; /* otherwise civetweb compares it with the Host of TLS requests */
    return r;
}

void civet_rush_free(struct civet_rush *r)
{
    mg_free(r);
}

void civet_rush_use(struct mg_connection *c, const struct civet_rush *r)
{
    c->dom_ctx = r ? (struct mg_domain_context *)&r->dom : &c->phys_ctx->dd;
}

SSL_CTX *civet_set_tls(struct mg_context *ctx, SSL_CTX *tls)
{
    mg_lock_context(ctx);
    SSL_CTX *old = ctx->dd.ssl_ctx;
    ctx->dd.ssl_ctx = tls;
    mg_unlock_context(ctx);
    return old;
}
