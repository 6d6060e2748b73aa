/* People, service accounts, teams, roles, sessions, API tokens; the hooks that the HTTP server calls.
 * Roles: `platform-admin` may do all; `viewer` reads; `developer` orders, destroys, reveals; `approver`
 * approves; developer and approver read too. A binding gives a role in one team, or globally (team NULL).
 *
 * What a token's scopes leave: none given: all that its account may. `read`: the role viewer. `orders`: viewer, developer, approver. `admin`: all. `monitoring`: the routes
 * that need "scope:monitoring" and nothing else. A service account never may more than its owner at that moment. So a principal's masks are final: handlers ask auth_has()
 * and auth_require() and need not think of scopes.
 * What a route's `need` asks: "public": nothing. "signed-in": anybody; a token needs a scope besides monitoring, and for an unsafe method orders or admin. A role: held
 * somewhere. "team:<role>": as "signed-in"; the handler asks for the role in the team of the thing, so that the refusal can name it. "scope:X": a token with that scope,
 * or the role platform-admin. NULL is taken as "signed-in". What only shows the caller's own (session, tokens, account) needs no role; all other reads need viewer.
 *
 * A principal is kept in memory for AUTH_FRESH_MS: a token that was revoked, a role that was taken away, stop on every node within that time, and at once on the node
 * that did it.  Thread: any, unless said otherwise. */
#pragma once
#include "portal/core/config.h"
#include "portal/core/err.h"
#include "portal/db/db.h"
#include "portal/http/http.h"
#include <stdbool.h>

#define AUTH_FRESH_MS 900

enum role { ROLE_VIEWER = 1, ROLE_DEVELOPER = 2, ROLE_APPROVER = 4, ROLE_ADMIN = 8 };

struct principal_team { const char *team; unsigned roles; };

struct principal {
    const char *actor;        /* id of the account that acts (person or service account) */
    const char *name;         /* its login name */
    const char *person;       /* id of the person behind it: the account itself, or the owner of the service account: "nobody approves their own order" compares this */
    const char *person_name;
    bool service_account;
    const char *token_id;     /* NULL: a session */
    const char *session_id;   /* NULL: a token */
    const char *scopes;       /* JSON array text of a token's scopes; NULL: all */
    unsigned global_roles;    /* mask of enum role; what a role includes is set, too */
    unsigned n_teams;
    struct principal_team *teams; /* team names */
    struct idempotency_claim *claim; /* of this request; portal/auth/idempotency.h */
};

struct auth;
struct auth_options {
    struct db *db;
    const char *public_url;   /* what browsers see, "https://soma.example.com"; NULL: told from the Host header */
    bool secure_cookies;      /* also where TLS ends before the node */
    int session_hours;        /* 0: 12 */
    int idle_minutes;         /* a session unused for so long ends; 0: as session_hours */
    int requests_per_minute;  /* of one token or session on this node (each node counts its own); 0: no limit */
    int sign_ins_per_minute;  /* attempts for one name, on all nodes together; six times as many from one address; 0: 10 */
};
extern const struct config_key auth_config[];
/* Everything but `db`; the strings are the configuration's. */
void auth_options_from_config(const struct config *c, struct auth_options *ret);

int auth_new(const struct auth_options *o, struct auth **ret, struct err *e);
void auth_free(struct auth *a);
/* The process's own: main.c sets it once before the server starts; hooks and handlers find it here. Kept, not owned. */
void auth_set_instance(struct auth *a);
struct auth *auth_instance(void);
struct db *auth_db(void);     /* its pool, for handlers */

extern const struct http_route auth_routes[];   /* sign-in, whoami, people, service accounts, teams, roles, tokens */
/* The functions for struct http_hooks. On HTTP workers. A wrong credential is no error on a route that needs none. */
int auth_authenticate(struct http_req *r, struct err *e);
int auth_authorize(struct http_req *r, struct err *e);
/* For handlers: ERR_DENIED that names the missing role ("needs the role developer in team payments"), 0 when held. team NULL: globally. */
int auth_require(const struct principal *p, enum role role, const char *team, struct err *e);
bool auth_has(const struct principal *p, enum role role, const char *team);
/* JSON array text of teams the principal may read, or NULL when all (global viewer, admin). In the arena. */
const char *auth_teams_json(const struct principal *p, struct arena *a);
/* All that every node has in memory of principals is read anew at the next request; on this node. After a commit that changed rights. */
void auth_forget(void);

/* Answers a page {"items": [...], "next": ...} with its Link. Rows: JSON text, then the key to go on behind; one row more than `limit` was asked for.
 * The cursor is signed for the route's operation: cursor_open(http_query(r, "cursor"), "<operationId>", ...). */
int auth_reply_page(struct http_req *r, const struct db_result *rows, int64_t limit, struct err *e);

/* Whether mail can be sent to it as it stands: local part without quotes, a domain of letters, digits and hyphens; at most 254 characters, no control characters. */
bool auth_email_valid(const char *s);

/* For live streams: whether the session or token that opened it still stands and may still read `team` (NULL: all that it could read at the start). Checked against the
 * database every two seconds at most; while the database is away the last answer holds. For one thread at a time; may block for a moment. */
struct auth_watch;
struct auth_watch *auth_watch_new(struct db *db, const struct principal *p, const char *team);
bool auth_watch_check(void *w);
void auth_watch_free(void *w);

/* First administrator: creates person and token unless a person exists (then 0 and *ret_created false). ret_token: 128 bytes.
 * password may be NULL: then nobody signs in with one until it is set. ERR_INVALID names the field. */
int auth_bootstrap(struct db *db, const char *name, const char *password, bool *ret_created, char *ret_token, struct err *e);
/* A fresh token for an enabled person, without scopes: what the machine's owner may do with the database anyway. ERR_NOT_FOUND. Audited as "system". */
int auth_issue_token(struct db *db, const char *person, const char *token_name, char *ret_token, struct err *e);
/* Throws away what has ended: sessions, tokens 30 days after their end, buckets, idempotency keys. For a schedule; a few thousand rows at most each time. */
int auth_collect(struct db_conn *c, struct err *e);

/* Seam for OIDC: an identity proven elsewhere becomes a session (issuer + subject, created on first sight).
 * ret_cookie takes CRYPTO_TOKEN_MAX bytes: the session's value. ERR_CONFLICT when an account of that name exists already; ERR_DENIED when it is disabled. */
struct auth_identity { const char *issuer, *subject, *name, *email; };
int auth_session_from_identity(struct auth *a, const struct auth_identity *who, const char *address, char *ret_cookie, struct err *e);
