/* What we need of civetweb beyond its public header: the connection's socket, its buffered bytes, its end.
 * Implemented in civetweb_build.c, which compiles civetweb's own source file unchanged and adds these functions to the same unit.
 * Thread: the worker that holds the connection, unless said otherwise. */
#pragma once
#include <civetweb.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct civet_view {
    int fd;
    SSL *ssl;            /* NULL: plain */
    char *buf;           /* the request head in parsed form (NULs where blanks and line ends were), then bytes already received behind it */
    size_t head_len, data_len, size;
    bool first;          /* of its connection */
    bool keep_alive;     /* what client and settings want */
};
void civet_look(const struct mg_connection *c, struct civet_view *ret);
int64_t civet_head_ms(const struct mg_connection *c);   /* since the head began to be waited for */
int civet_worker(const struct mg_connection *c);        /* index of the worker, 0 .. threads - 1 */
/* The request had a complete head, but civetweb ended it without calling anyone (a foreign absolute URI, "*"). For connection_close. */
bool civet_was_ignored(struct mg_connection *c);         /* true once */

void civet_close_after(struct mg_connection *c);        /* no keep-alive */
/* The body was read by us; `surplus` is what was received behind it: the next request. Returns false when it does not fit. */
bool civet_body_done(struct mg_connection *c, const void *surplus, size_t n);
/* The request is done with: looks at the line end of the next one, as far as it has come with this one. */
void civet_check_next(struct mg_connection *c);
/* The socket and its SSL are the caller's now; civetweb forgets them. */
void civet_take(struct mg_connection *c, int *ret_fd, SSL **ret_ssl);

/* civetweb's own parsing of a head, in place, for tests: its length, 0 when it is not complete, negative when it is none. */
int civet_parse(char *buf, int len, struct mg_request_info *ret);
/* Connections that wait for a worker. Any thread. */
int civet_waiting(struct mg_context *ctx);
/* Stops accepting: the listening sockets are closed now, the rest goes on until mg_stop. Any thread, once. */
void civet_stop_listening(struct mg_context *ctx);
void civet_stop(struct mg_context *ctx);                /* mg_stop, without its wait for the accepting thread; after civet_stop_listening */
/* Another set of settings with a shorter wait for the head, for connections that arrive when nearly all workers are taken.
 * Made in init_context, freed after mg_stop. */
struct civet_rush;
struct civet_rush *civet_rush_new(const struct mg_context *ctx, int head_ms);
void civet_rush_free(struct civet_rush *r);
void civet_rush_use(struct mg_connection *c, const struct civet_rush *r); /* NULL: back to the ordinary settings */
/* New connections use `tls`; those that stand keep theirs. Returns the one before; both are the caller's. Any thread. */
SSL_CTX *civet_set_tls(struct mg_context *ctx, SSL_CTX *tls);
/* Called when a TLS handshake begins (again with each of its steps): the worker is taken. Set once, before the first mg_start. */
extern void (*civet_on_handshake)(struct mg_connection *c);
