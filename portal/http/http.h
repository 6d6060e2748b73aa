/* The civetweb seam: listeners, router, request context, answers, problem documents, event streams' hand-over, drain.
 *
 * A handler runs on an HTTP worker (THREAD_HTTP) and may block on the database for a moment. It either answers once with one of
 * http_reply_*() and returns 0, or returns an error, which becomes an RFC 9457 problem (application/problem+json).
 * Everything in `struct http_req` lives until the handler returns; memory comes from r->arena.
 * The document at /api/openapi.json is the contract: routes name their operationId; bodies of routes with an operation are checked against
 * the document's schema before the handler runs (422 with fields), query parameters too (400). */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_server;
struct http_conn;   /* private */
struct principal;   /* auth/auth.h fills it; http only carries the pointer */

struct http_req {
    struct arena *arena;
    const char *method, *path;      /* path is decoded, without the query */
    const char *request_id;         /* of this request: trace id, also in the answer's X-Request-Id and in problems */
    const char *remote_addr;        /* of the client; of the proxy, unless it is a trusted one */
    bool tls;                       /* HTTPS, here or at a trusted proxy */
    const struct http_route *route;
    struct principal *who;          /* NULL: nobody is signed in */
    const char *body; size_t body_len;
    json_t *json;                   /* parsed body of application/json, checked against the schema; NULL without a body. Owned by the request */
    const char *idempotency_key;    /* or NULL */
    const char *if_match, *if_none_match;
    void *user;                     /* the server's `user` */
    struct http_conn *conn;
};

/* Path parameter, query parameter (decoded, first of that name), request header: NULL when absent. */
const char *http_param(const struct http_req *r, const char *name);
const char *http_query(const struct http_req *r, const char *name);
const char *http_header(const struct http_req *r, const char *name);
const char *http_cookie(const struct http_req *r, const char *name);
/* All query parameters in their order, decoded. */
size_t http_query_count(const struct http_req *r);
void http_query_at(const struct http_req *r, size_t i, const char **ret_name, const char **ret_value);
/* `limit` and `cursor` of a list: limit 1..500 (default 50); ERR_INVALID names the field. */
int http_query_int(const struct http_req *r, const char *name, int64_t fallback, int64_t min, int64_t max, int64_t *ret, struct err *e);

enum http_flags {
    HTTP_IDEMPOTENT_REQUIRED = 1,   /* Idempotency-Key must be there: 400 otherwise */
    HTTP_IDEMPOTENT = 2,            /* the key is honoured when given */
    HTTP_STREAM = 4,                /* the handler hands the socket over; not counted as a busy worker */
    HTTP_RAW_BODY = 8,              /* the body is not JSON: only r->body */
    HTTP_NO_CSRF = 16,              /* sign-in and webhooks */
    HTTP_SECRET_BODY = 32,          /* wiped after the request, and its answer is stored for idempotency only sealed, and never sent zipped */
    HTTP_ALWAYS = 64,               /* answered even when nearly all workers are busy: health */
};

struct http_route {
    const char *method, *pattern;   /* "/api/v1/orders/{id}"; a last segment "{name*}" takes the rest of the path. A fixed segment wins over a parameter */
    const char *operation;          /* operationId in the OpenAPI document; NULL: not part of the API (static) */
    const char *need;               /* "public", "signed-in", a role ("viewer", ...: held somewhere), "team:<role>" (the handler asks), "scope:<name>"; the document's x-need */
    int (*fn)(struct http_req *r, struct err *e);
    unsigned flags;
    size_t body_max;                /* 0: 1 MiB */
};

/* What the layers above plug in. Called on HTTP workers. All may be NULL. In this order: authenticate, authorize, (the body is read and parsed,)
 * check_body, idempotency_begin, handler, idempotency_end, (the answer is sent,) done. So a body that does not fit spends no key. */
struct http_hooks {
    /* Fills r->who from the session cookie or bearer token; ERR_UNAUTHENTICATED for a wrong one (none at all is no error). */
    int (*authenticate)(struct http_req *r, struct err *e);
    /* Whether r->who may call r->route: ERR_UNAUTHENTICATED, ERR_DENIED (naming the role), ERR_RATE; also CSRF. */
    int (*authorize)(struct http_req *r, struct err *e);
    /* Idempotency, for routes flagged so and requests with a key: begin returns 1 and fills the stored answer to be sent again; 0 to go on; ERR_CONFLICT while running, ERR_INVALID for another payload (422).
     * end stores what was answered (status < 500), or forgets the key. */
    int (*idempotency_begin)(struct http_req *r, int *ret_status, struct buf *ret_headers, struct buf *ret_body, struct err *e);
    void (*idempotency_end)(struct http_req *r, int status, const char *headers, const char *body, size_t len);
    /* Whether the body fits the operation: ERR_INVALID with fields (422). */
    int (*check_body)(struct http_req *r, struct err *e);
    /* Further problems text, e.g. for logging an access line; after each answer. duration in microseconds. */
    void (*done)(struct http_req *r, int status, size_t bytes, int64_t duration_us);
};

struct http_options {
    const char *listen;             /* "127.0.0.1:8080", "[::1]:8080"; port 0 picks one */
    const char *certificate, *private_key; /* PEM paths; both or none */
    int threads;
    int header_timeout_ms;          /* whole request head */
    int body_timeout_ms;            /* absolute, whole body */
    int body_min_rate;              /* bytes/s on the average since the grace was over; for reading bodies and for writing answers */
    int body_grace_ms;              /* how long a body or a reader may pause before the rate is asked for */
    const struct http_hooks *hooks;
    void *user;
    int keep_alive_ms;              /* an idle connection is closed after that; 0: 10 s. Sooner when workers get scarce */
    const char *trusted_proxies;    /* "10.0.0.0/8, ::1": who may say for whom it asks; NULL or "": nobody */
    bool forwarded;                 /* they say it in Forwarded (RFC 7239), not in X-Forwarded-For and X-Forwarded-Proto */
    struct streams *streams;        /* where http_take_stream puts sockets; NULL: there are no streams here */
};
/* Zero in threads, header_timeout_ms, body_timeout_ms, body_min_rate, body_grace_ms stands for 32, 10,000, 30,000, 1,024, 5,000. */

int http_server_new(const struct http_options *o, struct http_server **ret, struct err *e);
/* Tables end with a route whose method is NULL; kept by pointer. Before http_server_start. */
void http_server_add(struct http_server *s, const struct http_route *table);
int http_server_start(struct http_server *s, struct err *e);
int http_server_port(const struct http_server *s);
/* (any thread) Reads certificate and key anew; on an error the old ones stay. Connections that stand keep theirs. */
int http_server_reload_certificate(struct http_server *s, struct err *e);
/* Drain: keep-alive ends, in-flight requests finish (up to timeout_ms), then the listener stops. Streams are streams_drain()'s. */
void http_server_drain(struct http_server *s, int timeout_ms);
void http_server_free(struct http_server *s);
struct http_stats { int64_t requests, in_flight, status_2xx, status_3xx, status_4xx, status_5xx, rejected_busy; int busy, threads; };
void http_server_stats(const struct http_server *s, struct http_stats *ret);
/* Calls fn for every route: the OpenAPI check and the tests use it. */
void http_server_each_route(const struct http_server *s, void (*fn)(const struct http_route *r, void *arg), void *arg);

/* Answers: one buffer, one write. Extra headers first (name and value are copied). JSON and text of 1 KiB and more that GET answers is sent zipped to those who take gzip,
 * with an ETag that ends in "-gz"; both forms of the ETag are known in If-Match and If-None-Match. */
void http_add_header(struct http_req *r, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int http_reply(struct http_req *r, int status, const char *content_type, const void *body, size_t len);
int http_reply_json(struct http_req *r, int status, const struct buf *body);
int http_reply_json_t(struct http_req *r, int status, const json_t *body);
int http_reply_empty(struct http_req *r, int status);
/* Sends `etag` (quoted here), or 304 when If-None-Match names it: returns 1 then (answered), else 0 with the header added. */
int http_etag(struct http_req *r, const char *etag);
/* Whether If-Match holds for a thing whose version is `etag`, by strong comparison: 0; ERR_PRECONDITION (412); ERR_REQUIRED (428) when
 * it is absent and `required`. */
int http_if_match(const struct http_req *r, const char *etag, bool required, struct err *e);
/* An asset from memory; gz may be NULL. */
int http_reply_asset(struct http_req *r, const char *content_type, const char *etag, bool immutable, const void *body, size_t len, const void *gz, size_t gz_len);

/* Turns an error into status, type, title; used by the server and by tests. ERR_INVALID: 422 when a field of the body is named
 * (a pointer "" or "/..."), else 400 (a query parameter is named "?limit"). */
int http_status_of(const struct err *e);
void http_problem_json(const struct err *e, const char *request_id, const char *instance, struct buf *out);

/* Takes the socket away from civetweb: writes the SSE head (200, text/event-stream, no-store), returns a stream that the loop owns
 * (portal/loop/stream.h). The handler must return 0 right after; if it returns an error, the stream is closed. For routes with HTTP_STREAM. */
struct stream;
struct streams;
int http_take_stream(struct http_req *r, struct stream **ret, struct err *e);

/* What every node answers by itself: /health, /ready, /api/openapi.json, /api/docs, /problems/{slug} (leads into the reference) and, while there
 * are no pages, / (leads to /api/docs). All strings are kept by pointer. */
struct http_builtin {
    const void *openapi; size_t openapi_len;    /* JSON bytes; NULL: no document here (the health port) */
    const void *docs; size_t docs_len;          /* HTML page; may be NULL */
    const char *docs_csp;                       /* its Content-Security-Policy (names the hash of its style) */
    const char *version;
    int (*ready)(void *user, struct err *e);    /* NULL: always. Its error is the problem of /ready (503) */
    bool root;                                  /* whether / leads to /api/docs */
};
void http_add_builtin(struct http_server *s, const struct http_builtin *b);
