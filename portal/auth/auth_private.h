/* Shared by the files of portal/auth alone. */
#pragma once
#include "portal/auth/auth.h"
#include "portal/auth/idempotency.h"
#include "portal/crypto/crypto.h"
#include <pthread.h>
#include <stdatomic.h>

#define TOKEN_PREFIX "soma_"
#define SESSION_PREFIX "somas_"
#define SESSION_COOKIE "soma_session"
#define TOKEN_DAYS 90

struct cache;

struct auth {
    struct auth_options o;
    char *public_url;
    struct cache *cache;
};

/* ---- roles.c ---- */
enum { SCOPE_READ = 1, SCOPE_ORDERS = 2, SCOPE_MONITORING = 4, SCOPE_ADMIN = 8 };
unsigned scopes_of(const struct principal *p);                  /* mask; all when the principal has no scopes */
const char *role_name(enum role role);
int role_parse(const char *text, size_t n, unsigned *ret);      /* one role, or -1 */
/* Fills the masks from texts as soma.auth_roles_text() gives them ("developer:payments viewer:"), narrowed by the owner's (NULL: a person) and by p->scopes. */
void principal_set_roles(struct principal *p, const char *own, const char *owner, struct arena *a);
struct principal *principal_copy(const struct principal *p, struct arena *a);
bool principal_holds(const struct principal *p, unsigned role); /* anywhere */

/* ---- load.c ---- */
/* Reads the principal of a token or session, by the SHA-256 of its secret or by its id. ERR_UNAUTHENTICATED: it does not stand (any more). */
int load_token(struct db_conn *c, const uint8_t *hash, const char *id, struct arena *a, struct principal **ret, struct err *e);
int load_session(struct db_conn *c, const uint8_t *hash, const char *id, int idle_minutes, struct arena *a, struct principal **ret, struct err *e);

/* ---- cache.c ---- */
struct cache *cache_new(void);
void cache_free(struct cache *c);
void cache_forget(struct cache *c);
/* What is left to the principal in this minute. */
struct allowance { int limit, left, reset; bool exceeded; };
/* A fresh principal of this secret, copied into the arena, with one request taken from its allowance (per_minute 0: none is counted); NULL: read it. */
struct principal *cache_get(struct cache *c, const uint8_t hash[CRYPTO_DIGEST], int per_minute, struct arena *a, struct allowance *ret);
/* Keeps a copy of what was read beginning at `read_ms` (monotonic) under generation `generation`. */
unsigned cache_generation(struct cache *c);
void cache_put(struct cache *c, const uint8_t hash[CRYPTO_DIGEST], const struct principal *p, int64_t read_ms, unsigned generation);

/* ---- session.c ---- */
int session_create(struct http_req *r, struct err *e);
int session_show(struct http_req *r, struct err *e);
int session_delete(struct http_req *r, struct err *e);
int session_password(struct http_req *r, struct err *e);
/* What the header X-CSRF-Token must say for this cookie. */
#define CSRF_MAX 48
void session_csrf(const char *cookie, char out[CSRF_MAX]);
/* ERR_DENIED when a browser sent the request from another site's page. */
int session_check_origin(const struct http_req *r, struct err *e);

/* ---- people.c, service_accounts.c, teams.c, bindings.c, tokens.c: handlers ---- */
int people_list(struct http_req *r, struct err *e);
int people_show(struct http_req *r, struct err *e);
int people_create(struct http_req *r, struct err *e);
int people_update(struct http_req *r, struct err *e);
int people_disable(struct http_req *r, struct err *e);
int people_enable(struct http_req *r, struct err *e);
int people_password(struct http_req *r, struct err *e);
int service_accounts_list(struct http_req *r, struct err *e);
int service_accounts_show(struct http_req *r, struct err *e);
int service_accounts_create(struct http_req *r, struct err *e);
int service_accounts_disable(struct http_req *r, struct err *e);
int service_accounts_enable(struct http_req *r, struct err *e);
int teams_list(struct http_req *r, struct err *e);
int teams_show(struct http_req *r, struct err *e);
int teams_create(struct http_req *r, struct err *e);
int bindings_list(struct http_req *r, struct err *e);
int bindings_show(struct http_req *r, struct err *e);
int bindings_create(struct http_req *r, struct err *e);
int bindings_delete(struct http_req *r, struct err *e);
int tokens_list(struct http_req *r, struct err *e);
int tokens_show(struct http_req *r, struct err *e);
int tokens_create(struct http_req *r, struct err *e);
int tokens_revoke(struct http_req *r, struct err *e);

/* ---- common.c: what the handlers share ---- */
/* One write on its way: what its transaction answers, and what the audit says of it. In the request's arena. */
struct write {
    struct http_req *r;
    const char *action;          /* of the audit */
    const char *subject, *team, *before, *after, *detail;
    int status;                  /* of the answer */
    const char *location;        /* or NULL */
    const char *answer;          /* JSON text, or NULL for an empty one */
};
const char *body_text(const struct http_req *r, const char *member); /* of the JSON body; NULL when absent or null */
int body_need(const struct http_req *r, const char *member, struct err *e); /* ERR_INVALID naming it unless it is a text */
int check_name(const char *name, const char *pointer, struct err *e);
/* Writes the audit entry and keeps the answer for the request's Idempotency-Key: the last things of the transaction. */
int write_finish(struct db_conn *c, const struct write *w, struct err *e);
/* Runs fn (its argument is `w`, the first member of a longer struct) in a transaction and answers. `rights` changed: memory is forgotten. */
int write_run(struct write *w, int (*fn)(struct db_conn *c, void *arg, struct err *e), bool rights, struct err *e);
/* A row's first column, JSON text, in the request's arena. */
const char *row_json(const struct http_req *r, const struct db_result *row);
/* Answers with one row's JSON; ERR_NOT_FOUND with words when there is none. */
int reply_row(struct http_req *r, const struct db_result *row, const char *what, const char *name, struct err *e);
int limit_and_cursor(struct http_req *r, int64_t *ret_limit, const char **ret_after, struct err *e);
/* Takes one attempt for (name, address) out of the buckets: ERR_RATE. given_back undoes it after a success. */
int attempt_take(const char *name, const char *address, struct err *e);
void attempt_give_back(const char *name, const char *address);
