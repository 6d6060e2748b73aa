/* What the files of this domain share. One struct http_conn lives on the worker's stack for one request; struct worker for one thread. */
#pragma once
#include "portal/http/civetweb/civet.h"
#include "portal/http/http.h"
#include <stdatomic.h>

#define HTTP_PARAMS_MAX 8
#define HTTP_BODY_DEFAULT (1024 * 1024)
#define HTTP_HEAD_ROOM 4096

struct worker {
    struct arena *arena;
    struct buf headers;       /* further header lines of the answer */
    struct buf out;           /* head of the answer, and a copied body behind it */
    struct buf body;          /* copied body */
    struct buf replay;        /* headers of a stored answer */
    struct buf zipped;        /* body */
    struct buf record;        /* head and body together, for TLS */
    char date[32];            /* "Sun, 06 Nov 1994 08:49:37 GMT" */
    int64_t date_s;
    unsigned char random[1024];
    size_t random_left;
};

/* Of one worker: whether its connection may be cut. */
enum slot_state { SLOT_NONE, SLOT_HANDSHAKE, SLOT_IDLE, SLOT_ACTIVE, SLOT_CUTTING };
struct slot {
    _Alignas(128) atomic_int state; /* what each request touches is its worker's own: no line is shared */
    atomic_int fd;
    atomic_llong idle_since;  /* ms */
    atomic_int requests;      /* of this connection */
    atomic_llong by_class[6]; /* answers of this worker since the start */
};

struct table { const struct http_route *routes; struct table *next; };
struct router;
struct builtin;

struct http_server {
    struct http_options o;
    struct http_hooks hooks;
    char *listen, *certificate, *private_key;
    struct table *tables, **last_table;
    struct router *router;
    struct proxies *proxies;  /* NULL: none is trusted */
    struct mg_context *ctx;
    struct civet_rush *rush;
    SSL_CTX *tls;
    struct slot *slots;
    struct builtin *builtin;
    char start_error[256];
    int port;
    atomic_bool draining, aborting, stopped;
    atomic_int busy;
    atomic_llong rejected_busy;
};

struct http_pair { const char *name, *value; };
struct http_match {
    const struct http_route *route;
    size_t n;
    struct http_pair params[HTTP_PARAMS_MAX];
    unsigned allow;           /* methods the path has, when there is no route for this one */
};

struct http_conn {
    struct http_server *s;
    struct mg_connection *mg;
    struct worker *w;
    const struct mg_request_info *ri;
    struct civet_view v;
    int64_t started_us;
    /* the request */
    bool http11, chunked, expect, body_done;
    int64_t content_length;   /* -1: none */
    size_t surplus;           /* bytes of the next request that came with this one's body */
    struct http_match match;
    struct http_pair *query;
    size_t n_query;
    /* the answer */
    bool replied, close, head_only, took, cache_set, csp_set, as_it_is;
    int status;
    const char *content_type;
    const void *body;
    size_t body_len, sent;
    size_t hook_headers;      /* length of w->headers before the handler ran */
    struct stream *stream;
};

/* socket.c: reading and writing with an absolute deadline and a minimum rate. */
struct pace { int timeout_ms, min_rate, grace_ms; int64_t start_ms; /* 0: the first wait is still to come */ size_t done; const struct http_server *s; };
enum { IO_CLOSED = -1, IO_LATE = -2 };
void pace_begin(struct pace *p, const struct http_server *s, int timeout_ms);
ssize_t sock_read(int fd, SSL *ssl, void *p, size_t n, struct pace *pace);      /* > 0, 0 at the end, IO_* */
int sock_write(int fd, SSL *ssl, const void *p, size_t n, struct pace *pace);    /* 0 or IO_* */
int sock_write2(int fd, SSL *ssl, struct buf *scratch, const void *a, size_t an, const void *b, size_t bn, struct pace *pace);
void sock_linger(int fd, SSL *ssl, const struct http_server *s, int ms);         /* says goodbye, reads what still comes */

/* head.c: framing, names and values of the head. NULL, or what is wrong with it. */
const char *head_check(struct http_conn *c);
const char *head_path(struct http_conn *c, struct arena *a, const char **ret_path);
const char *head_query(struct http_conn *c, struct arena *a);
const char *head_find(const struct http_conn *c, const char *name);
bool url_decode(const char *in, size_t n, bool plus, char *out, size_t *ret_len);
bool utf8_valid(const char *s, size_t n);

/* proxy.c. `list` as trusted_proxies has it. proxies_resolve sets remote_addr and tls of a request that a trusted proxy passed on. */
struct proxies;
int proxies_new(const char *list, bool forwarded, struct proxies **ret, struct err *e);
void proxies_free(struct proxies *p);
void proxies_resolve(const struct proxies *p, struct http_req *r);

/* body.c. body_read: 0, or -1 and the refusal is in the answer. body_parse reads and parses: 0; ERR_* in e; or 1, the refusal is in the answer. */
int body_read(struct http_req *r);
int body_parse(struct http_req *r, struct err *e);
int body_json(struct http_req *r, struct err *e);                             /* parses what was read */
int body_unchunk(struct http_conn *c, size_t max, struct buf *out);           /* the chunks' content; negative when they are broken, too large or cut off */
void body_discard(struct http_req *r);
void body_wipe(struct http_req *r);

/* router.c */
int router_new(const struct table *tables, struct router **ret, struct err *e);
void router_free(struct router *r);
/* Path is cut up in `a`. true: ret->route; false: 404 (allow 0) or 405. */
bool router_find(const struct router *r, const char *method, const char *path, struct arena *a, struct http_match *ret);
void router_allow(unsigned allow, char out[96]);

/* reply.c, problem.c: fill the answer; request.c sends it. */
void reply_date(struct worker *w);
void reply_zip(struct http_req *r);   /* once the answer is whole */
void reply_send(struct http_req *r);
size_t reply_head(struct http_req *r, struct buf *out, bool with_length);
void reply_problem(struct http_req *r, const struct err *e);
/* A problem whose status no error code has. */
void reply_refuse(struct http_req *r, int status, const char *slug, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void problem_write(int status, const char *slug, const struct err *e, const char *request_id, const char *instance, struct buf *out);

/* request.c: civetweb's callbacks. */
int request_begin(struct mg_connection *mg);
int request_error(struct mg_connection *mg, int status, const char *msg);
void request_ignored(struct mg_connection *mg);
struct worker *worker_new(void);
void worker_free(struct worker *w);

/* builtin.c */
void builtin_free(struct builtin *b);

/* server.c */
bool server_is_full(const struct http_server *s);
bool server_is_scarce(const struct http_server *s);
int64_t http_now_us(void);
