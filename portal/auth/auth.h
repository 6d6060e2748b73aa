/* People, service accounts, teams, roles, sessions, API tokens; the hooks that the HTTP server calls.
 * Roles: `platform-admin` may do all; `viewer` reads; `developer` orders, destroys, reveals; `approver`
 * approves; developer and approver read too. A binding gives a role in one team, or globally (team NULL). */
#pragma once
#include "portal/core/err.h"
#include "portal/db/db.h"
#include "portal/http/http.h"
#include <stdbool.h>

enum role { ROLE_VIEWER = 1, ROLE_DEVELOPER = 2, ROLE_APPROVER = 4, ROLE_ADMIN = 8 };

struct principal {
    const char *actor;        /* id of the account that acts (person or service account) */
    const char *name;         /* its login name */
    const char *person;       /* id of the person behind it: the account itself, or the owner of the service account: "nobody approves their own order" compares this */
    const char *person_name;
    bool service_account;
    const char *token_id;     /* NULL: a session */
    const char *session_id;   /* NULL: a token */
    const char *scopes;       /* JSON array text of a token's scopes; NULL: all */
    unsigned global_roles;    /* mask of enum role */
    unsigned n_teams;
    struct { const char *team; unsigned roles; } *teams; /* team names */
};

struct auth;
struct auth_options { struct db *db; const char *public_url; bool secure_cookies; int session_hours; };
int auth_new(const struct auth_options *o, struct auth **ret, struct err *e);
void auth_free(struct auth *a);
extern const struct http_route auth_routes[];   /* sign-in, whoami, people, service accounts, teams, roles, tokens */
/* The functions for struct http_hooks; they find the struct auth through auth_of(r) which main.c provides via r->user. */
int auth_authenticate(struct http_req *r, struct err *e);
int auth_authorize(struct http_req *r, struct err *e);
/* For handlers: ERR_DENIED that names the missing role ("needs the role developer in team payments"), 0 when held. team NULL: globally. */
int auth_require(const struct principal *p, enum role role, const char *team, struct err *e);
bool auth_has(const struct principal *p, enum role role, const char *team);
/* JSON array text of teams the principal may read, or NULL when all (global viewer, admin). In the arena. */
const char *auth_teams_json(const struct principal *p, struct arena *a);
/* For live streams: whether the session or token that opened it still stands and may still read `team`. Copyable handle; checked against the database. */
struct auth_watch;
struct auth_watch *auth_watch_new(struct db *db, const struct principal *p, const char *team);
bool auth_watch_check(void *w);
void auth_watch_free(void *w);
/* First administrator: creates person and token unless a person exists (then 0 and *ret_created false). ret_token: 128 bytes. */
int auth_bootstrap(struct db *db, const char *name, const char *password, bool *ret_created, char *ret_token, struct err *e);
/* Seam for OIDC: an identity proven elsewhere becomes a session (issuer + subject, created on first sight). */
struct auth_identity { const char *issuer, *subject, *name, *email; };
