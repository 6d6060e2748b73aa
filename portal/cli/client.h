/* HTTP to the server: JSON in and out, problem documents as errors, event streams. libcurl stays in client.c.
 *
 * Certificates are checked always. The token goes to the server it is meant for and nowhere else: redirects are not followed.
 * A GET, and a write that carries an Idempotency-Key, is tried again on 429, 503 and a refused connection, as long as `patience_ms` lasts.
 * Thread: main. */
#pragma once
#include "portal/cli/sse.h"
#include "portal/core/arena.h"
#include "portal/core/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct client;

struct client_options {
    const char *url;          /* "http://127.0.0.1:8080"; a path behind the host is kept as a prefix */
    const char *token;        /* NULL: none */
    const char *ca;           /* PEM file of the authorities to trust; NULL: the system's */
    bool verbose;             /* a line on standard error for each request; never bodies or headers */
    int patience_ms;          /* how long to try again in all; 0: 10 s */
};

struct request {
    const char *method;       /* "GET" */
    const char *path;         /* "/api/v1/orders?limit=1": from client_path() and client_query() */
    const json_t *body;       /* NULL: none */
    const char *key;          /* Idempotency-Key; NULL: none, "": a fresh one */
    const char *if_match;     /* NULL: none */
};

struct reply {
    long status;
    json_t *body;             /* NULL when there was none; owned: reply_done() */
    char etag[300], location[600], next[1200]; /* "" when absent; next is the path of the next page */
};

int client_new(const struct client_options *o, struct client **ret, struct err *e);
void client_free(struct client *c); /* takes NULL */
const char *client_url(const struct client *c);

/* 0 for a 2xx. An answer of the server that is a problem becomes the error of its status (ERR_INVALID, ERR_DENIED, ...), its fields and words kept;
 * ERR_UNAVAILABLE: nobody answered, or not now. ret may be NULL. */
int client_call(struct client *c, const struct request *q, struct reply *ret, struct err *e);
void reply_done(struct reply *r);
#define REPLY_AUTO __attribute__((cleanup(reply_done))) struct reply

/* Holds a stream open and feeds `s` with what comes, sending s->id as Last-Event-ID. `tick` is called some times a second; other than 0 ends the call.
 * Returns 0 when the server closed the stream, the value of s->event or tick that ended it (> 0), or an error as client_call(). Does not try again. */
int client_stream(struct client *c, const char *path, struct sse *s, int (*tick)(void *arg), void *arg, struct err *e);

/* Cookies of one sign-in are kept while the client lives; `csrf` is then sent with every write. NULL forgets both. Copied. */
void client_set_csrf(struct client *c, const char *csrf);
void client_keep_cookies(struct client *c);
void client_set_token(struct client *c, const char *token); /* copied; NULL: none */

/* "/api/v1/services/{}/outputs" with the {} replaced by the text, percent-encoded. */
char *client_path(struct arena *a, const char *pattern, const char *text);
/* Adds "name=value" pairs whose value is not NULL, encoded; the pairs end with NULL. */
char *client_query(struct arena *a, const char *path, ...) __attribute__((sentinel));
/* Fills an error from a status and a problem document (NULL: none was sent). */
int client_problem(long status, const json_t *problem, const char *retry_after, struct err *e);
