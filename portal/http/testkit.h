/* For the tests of this domain: a server on a free port of 127.0.0.1 and a client that writes bytes as they are. */
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "portal/core/buf.h"
#include "portal/core/clock.h"
#include "portal/http/http.h"

struct client { int fd; SSL *ssl; struct buf in; };
struct answer { int status; struct buf head, body; bool closed; };

static inline struct http_server *kit_server(struct http_options *o, const struct http_route *routes)
{
    struct http_server *s = NULL;
    struct err e = ERR_INIT;
    if (!o->listen)
        o->listen = "127.0.0.1:0";
    assert_int_equal(http_server_new(o, &s, &e), 0);
    http_server_add(s, routes);
    if (http_server_start(s, &e))
        fail_msg("%s", e.msg);
    assert_true(http_server_port(s) > 0);
    return s;
}

static inline struct client kit_connect(const struct http_server *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(s)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct client c = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    int on = 1;
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    assert_int_equal(connect(c.fd, (struct sockaddr *)&at, sizeof at), 0);
    return c;
}

static inline void kit_close(struct client *c)
{
    SSL_free(c->ssl);
    close(c->fd);
    buf_done(&c->in);
}

/* false when the other side does not take it any more. */
static inline bool kit_send(struct client *c, const void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t r = c->ssl ? SSL_write(c->ssl, (const char *)p + at, (int)(n - at)) : send(c->fd, (const char *)p + at, n - at, MSG_NOSIGNAL);
        if (r <= 0)
            return false;
        at += (size_t)r;
    }
    return true;
}

static inline bool kit_say(struct client *c, const char *text)
{
    return kit_send(c, text, strlen(text));
}

/* > 0 bytes came; 0 the end; -1 nothing within 10 s. */
static inline int kit_fill(struct client *c)
{
    char part[16384];
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    if (!(c->ssl && SSL_pending(c->ssl)) && poll(&p, 1, 10000) <= 0)
        return -1;
    ssize_t n = c->ssl ? SSL_read(c->ssl, part, sizeof part) : recv(c->fd, part, sizeof part, 0);
    if (n > 0)
        buf_add(&c->in, part, (size_t)n);
    return n > 0 ? (int)n : 0;
}

static inline void kit_consume(struct client *c, size_t n)
{
    memmove(c->in.data, c->in.data + n, c->in.len - n);
    c->in.len -= n;
    c->in.data[c->in.len] = 0;
}

static inline const char *kit_header(const struct answer *a, const char *name)
{
    static _Thread_local char value[2048];
    size_t n = strlen(name);
    for (const char *p = buf_cstr(&a->head), *end; (end = strstr(p, "\r\n")); p = end + 2)
        if (!strncasecmp(p, name, n) && p[n] == ':') {
            p += n + 1 + strspn(p + n + 1, " ");
            snprintf(value, sizeof value, "%.*s", (int)(end - p), p);
            return value;
        }
    return NULL;
}

static inline void kit_answer_done(struct answer *a)
{
    buf_done(&a->head);
    buf_done(&a->body);
}

/* Reads one answer; status 0 when the connection ended without one, -1 when nothing came. `head_only`: it was HEAD. */
static inline struct answer kit_answer(struct client *c, bool head_only)
{
    struct answer a = {0};
    char *end;
    while (!c->in.data || !(end = strstr(c->in.data, "\r\n\r\n"))) {
        int r = kit_fill(c);
        if (r <= 0) {
            a.status = r;
            a.closed = r == 0;
            return a;
        }
    }
    buf_add(&a.head, c->in.data, (size_t)(end - c->in.data) + 2);
    kit_consume(c, (size_t)(end - c->in.data) + 4);
    a.status = atoi(a.head.data + 9);
    const char *length = kit_header(&a, "Content-Length");
    size_t want = length && !head_only ? strtoul(length, NULL, 10) : 0;
    while (c->in.len < want && kit_fill(c) > 0)
        ;
    assert_true(c->in.len >= want);
    if (want) {
        buf_add(&a.body, c->in.data, want);
        kit_consume(c, want);
    }
    const char *connection = kit_header(&a, "Connection");
    a.closed = connection && !strcmp(connection, "close");
    return a;
}

/* Whether the server ends the connection within 10 s, with nothing more to say. */
static inline bool kit_ended(struct client *c)
{
    return !c->in.len && kit_fill(c) == 0;
}

/* One request on a connection of its own. */
static inline struct answer kit_ask(const struct http_server *s, const char *text)
{
    struct client c = kit_connect(s);
    kit_say(&c, text);
    struct answer a = kit_answer(&c, !strncmp(text, "HEAD ", 5));
    kit_close(&c);
    return a;
}

/* Asks and wants this status; the body's text must hold `part` (when not NULL). */
#define kit_expect(s, text, want, part)                                                                        \
    do {                                                                                                       \
        struct answer a_ = kit_ask((s), (text));                                                               \
        if (a_.status != (want) || ((part) && !strstr(buf_cstr(&a_.body), (part) ? (part) : "")))              \
            fail_msg("%s answered %d %s", (text), a_.status, buf_cstr(&a_.body));                              \
        kit_answer_done(&a_);                                                                                  \
    } while (0)
