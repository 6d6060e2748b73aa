/* The audit log: append-only, a hash chain. Every write and every look at a secret.
 * entry hash = SHA-256(previous hash || canonical JSON of the entry), computed inside PostgreSQL (migrations/repeat/audit.sql): the application's database role may
 * call soma.audit_append and read, nothing else. */
#pragma once
#include "portal/core/err.h"
#include "portal/db/db.h"
#include "portal/http/http.h"

struct audit_entry {
    const char *actor, *actor_name;   /* account that acted; "system" for the node itself */
    const char *person_name;          /* the person behind a token */
    const char *address;              /* remote address or NULL */
    const char *action;               /* "order.create", "secret.reveal", "token.revoke" */
    const char *subject;              /* "service:orders-db" */
    const char *team;                 /* or NULL */
    const char *before, *after;       /* JSON text of the state, or NULL; only the digests are kept */
    const char *detail;               /* JSON text for people (never a secret), or NULL */
    const char *request_id;
};
/* In the caller's transaction: the act and its entry commit together. The entry takes its place in the chain at commit, so it does not matter how early
 * this is called; outside a transaction it is one of its own. */
int audit_append(struct db_conn *c, const struct audit_entry *a, struct err *e);
/* Fills actor, person, address, request id from the request. */
void audit_from_request(struct audit_entry *a, const struct http_req *r);
/* Walks the whole chain: *ret_entries checked; ERR_CONFLICT names the first broken entry (*ret_entries is then written, too). */
int audit_verify(struct db_conn *c, int64_t *ret_entries, struct err *e);
/* The same; `anchor` ("ID:HASH" of a head that was kept elsewhere, or NULL) must be part of the chain. ret_head (may be NULL) gets the last good entry's anchor. */
#define AUDIT_ANCHOR_MAX 96
int audit_verify_anchor(struct db_conn *c, const char *anchor, int64_t *ret_entries, char ret_head[AUDIT_ANCHOR_MAX], struct err *e);
/* They take connections from auth_db(). */
extern const struct http_route audit_routes[];
