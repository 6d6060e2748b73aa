/* The one complication here is in PostgreSQL: soma.audit_append leaves a pending entry, which a deferred trigger chains at commit. */
#include "portal/audit/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_queries.h"
#include "portal/auth/auth.h"

#define PAGE 5000

int audit_append(struct db_conn *c, const struct audit_entry *a, struct err *e)
{
    int r = db_run(c, Q_AUDIT_APPEND, NULL, e, db_text(a->actor ? a->actor : "system"), db_text(a->actor_name ? a->actor_name : "system"), db_text(a->person_name),
                   db_text(a->address), db_text(a->action), db_text(a->subject), db_text(a->team), db_text(a->before), db_text(a->after), db_text(a->detail),
                   db_text(a->request_id));
    if (r)
        err_prefix(e, "the act was not done, because its audit entry cannot be written");
    return r;
}

void audit_from_request(struct audit_entry *a, const struct http_req *r)
{
    a->actor = r->who ? r->who->actor : "anonymous";
    a->actor_name = r->who ? r->who->name : "anonymous";
    a->person_name = r->who ? r->who->person_name : NULL;
    a->address = r->remote_addr;
    a->request_id = r->request_id;
}

int audit_verify(struct db_conn *c, int64_t *ret_entries, struct err *e)
{
    return audit_verify_anchor(c, NULL, ret_entries, NULL, e);
}

static int walk(struct db_conn *c, int64_t *ret_entries, char head[AUDIT_ANCHOR_MAX], struct err *e)
{
    ARENA_AUTO a = arena_new();
    const void *hash = memset(arena_alloc(a, 32), 0, 32);
    size_t n = 32;
    for (bool more = true; more;) {
        DB_RESULT_AUTO row = NULL;
        int r = db_one(c, Q_AUDIT_CHECK, &row, e, db_int(*ret_entries), db_bytes(hash, n), db_int(PAGE));
        if (r)
            return r;
        *ret_entries = db_i64(row, 0, 0);
        snprintf(head, AUDIT_ANCHOR_MAX, "%" PRId64 ":%s", *ret_entries, db_str(row, 0, 2));
        if (!db_is_null(row, 0, 3)) {
            err_set(e, ERR_CONFLICT, "%s. Everything before it holds; compare with a backup", db_str(row, 0, 3));
            return err_type(e, "audit-broken");
        }
        arena_reset(a);
        hash = db_blob(row, 0, 1, a, &n);
        more = db_bool(row, 0, 4);
    }
    return 0;
}

static int check_anchor(struct db_conn *c, const char *anchor, struct err *e)
{
    char *colon = NULL;
    int64_t id = strtoll(anchor, &colon, 10);
    if (*colon != ':' || colon == anchor || strlen(colon + 1) != 64)
        return err_field(e, "?anchor", "an anchor is ID:HASH, as an earlier check gave it");
    DB_RESULT_AUTO row = NULL;
    int r = id == 0 && strspn(colon + 1, "0") == 64 ? 0 : db_run(c, Q_AUDIT_ANCHOR, &row, e, db_int(id));
    if (r || !row)
        return r;
    if (db_rows(row) == 1 && !strcmp(db_str(row, 0, 0), colon + 1))
        return 0;
    err_set(e, ERR_CONFLICT, "the audit log is not the one that the anchor was taken from: entry %" PRId64 " is %s", id, db_rows(row) ? "another one" : "missing");
    return err_type(e, "audit-broken");
}

int audit_verify_anchor(struct db_conn *c, const char *anchor, int64_t *ret_entries, char ret_head[AUDIT_ANCHOR_MAX], struct err *e)
{
    char head[AUDIT_ANCHOR_MAX];
    *ret_entries = 0;
    int r = walk(c, ret_entries, ret_head ? ret_head : head, e);
    return r || !anchor ? r : check_anchor(c, anchor, e);
}
