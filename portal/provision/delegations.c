/* Rights to approve, handed over until a date. They are looked at when they are used: one that was revoked or has ended is none, and what was handed to somebody is
 * not theirs to hand on. */
#include <stdio.h>
#include <string.h>

#include "portal/audit/audit.h"
#include "portal/auth/idempotency.h"
#include "portal/core/id.h"
#include "portal/crypto/cursor.h"
#include "portal/provision/provision_private.h"
#include "provision_queries.h"

struct delegation { struct http_req *r; const char *to, *until, *comment; char id[ID_LEN + 1]; const char *answer; };

static int audit(struct db_conn *c, const struct delegation *d, const char *action, const char *before, const char *after, struct err *e)
{
    char subject[80];
    snprintf(subject, sizeof subject, "delegation:%s", d->id);
    struct audit_entry a = {.action = action, .subject = subject, .before = before, .after = after, .detail = d->answer};
    audit_from_request(&a, d->r);
    return audit_append(c, &a, e);
}

static int check_time(struct db_conn *c, const struct delegation *d, struct err *e)
{
    DB_RESULT_AUTO fair = NULL;
    int r = db_one(c, Q_DELEGATION_TIME_IS_FAIR, &fair, e, db_text(d->until));
    if (r == ERR_INVALID || (!r && !db_bool(fair, 0, 0)))
        return err_field(e, "/until", "must lie ahead, within 366 days");
    return r;
}

static int find_person(struct db_conn *c, const struct delegation *d, const char **ret_id, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_run(c, Q_DELEGATION_PERSON, &row, e, db_text(d->to));
    if (r)
        return r;
    if (db_rows(row) == 0 || strcmp(db_str(row, 0, 1), "person"))
        return err_field(e, "/to", "there is no person `%.40s`", d->to);
    if (db_bool(row, 0, 2))
        return err_field(e, "/to", "the account of %.40s is disabled", d->to);
    if (!strcmp(db_str(row, 0, 0), d->r->who->person))
        return err_field(e, "/to", "is you; hand your right to somebody else");
    *ret_id = arena_strdup(d->r->arena, db_str(row, 0, 0));
    return 0;
}

static int read_answer(struct db_conn *c, struct delegation *d, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_DELEGATION_GET, &row, e, db_text(d->id));
    if (!r)
        d->answer = arena_strdup(d->r->arena, db_str(row, 0, 0));
    return r;
}

static int create_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct delegation *d = arg;
    const char *to = NULL;
    id_new(d->id);
    int r = check_time(c, d, e);
    if (!r)
        r = find_person(c, d, &to, e);
    if (!r)
        r = db_run(c, Q_DELEGATION_INSERT, NULL, e, db_text(d->id), db_text(d->r->who->person), db_text(to), db_text(d->comment), db_text(d->until));
    if (!r)
        r = read_answer(c, d, e);
    if (!r)
        r = idempotency_record(c, d->r, 201, NULL, d->answer, strlen(d->answer), e);
    return r ? r : audit(c, d, "approval.delegate", NULL, d->answer, e);
}

int delegations_create(struct http_req *r, struct err *e)
{
    const char *comment = json_string_value(json_object_get(r->json, "comment"));
    struct delegation d = {.r = r, .to = json_string_value(json_object_get(r->json, "to")), .until = json_string_value(json_object_get(r->json, "until")),
                           .comment = comment ? comment : ""};
    if (r->who->service_account)
        return err_set(e, ERR_DENIED, "a right is handed over by its person, not by a service account of theirs");
    int x = db_tx(provision_get()->db, create_tx, &d, e);
    return x ? x : http_reply(r, 201, "application/json", d.answer, strlen(d.answer));
}

static int no_delegation(struct err *e, const char *id)
{
    return err_set(e, ERR_NOT_FOUND, "there is no delegation `%.40s` that is yours; `soma approvals delegations` lists them", id);
}

static int revoke_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct delegation *d = arg;
    const struct principal *p = d->r->who;
    DB_RESULT_AUTO row = NULL;
    int r = db_run(c, Q_DELEGATION_LOCK, &row, e, db_text(d->id));
    if (r)
        return r;
    bool theirs = db_rows(row) && !p->service_account && (!strcmp(p->person, db_str(row, 0, 1)) || !strcmp(p->person, db_str(row, 0, 2)));
    if (!db_rows(row) || (!theirs && !auth_has(p, ROLE_ADMIN, NULL)))
        return no_delegation(e, d->id);
    r = db_run(c, Q_DELEGATION_REVOKE, NULL, e, db_text(d->id));
    if (!r)
        r = read_answer(c, d, e);
    if (!r)
        r = idempotency_record(c, d->r, 200, NULL, d->answer, strlen(d->answer), e);
    return r ? r : audit(c, d, "approval.delegate.revoke", db_str(row, 0, 0), d->answer, e);
}

int delegations_revoke(struct http_req *r, struct err *e)
{
    struct delegation d = {.r = r};
    const char *id = http_param(r, "id");
    if (!id_valid(id))
        return no_delegation(e, id);
    snprintf(d.id, sizeof d.id, "%s", id);
    int x = db_tx(provision_get()->db, revoke_tx, &d, e);
    return x ? x : http_reply(r, 200, "application/json", d.answer, strlen(d.answer));
}

int delegations_list(struct http_req *r, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int64_t limit;
    const char *cursor = http_query(r, "cursor"), *after = NULL;
    int x = http_query_int(r, "limit", 50, 1, 500, &limit, e);
    if (!x && cursor)
        x = cursor_open(cursor, r->route->operation, r->arena, &after, e);
    if (!x)
        x = db_take(provision_get()->db, &c, e);
    if (!x)
        x = db_run(c, Q_DELEGATION_PAGE, &rows, e, db_flag(auth_has(r->who, ROLE_ADMIN, NULL)), db_text(r->who->person), db_text(after), db_int(limit + 1));
    return x ? x : auth_reply_page(r, rows, limit, e);
}
