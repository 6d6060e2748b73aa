/* People decide about an order that waits: by API here; links and Slack come in by approval_decide(), too.
 *
 * The complication: who counts. The person behind the account counts, once for a demand, by a right of their own or one handed to them; never the orderer, never by the
 * orderer's right, and no right twice. approval_rights() in migrations/repeat/provision.sql says which rights are left. */
#include <stdio.h>
#include <string.h>

#include "portal/audit/audit.h"
#include "portal/auth/idempotency.h"
#include "portal/core/id.h"
#include "portal/crypto/cursor.h"
#include "portal/json/json.h"
#include "portal/provision/provision_private.h"
#include "provision_queries.h"

enum { COL_TEAM = 1, COL_STATE, COL_PERSON, COL_KIND, COL_SERVICE, COL_PRIOR, COL_NAME, COL_PLAN_ONLY, COL_PERSON_NAME, COL_ENVIRONMENT }; /* of Q_ORDER_LOCK */

struct deciding {
    struct db_conn *c;
    struct arena *arena;
    const struct decider *d;
    struct decision *x;
    const struct db_result *order;
    const char *round, *own; /* own: JSON array "role/team" of what the caller's token leaves; NULL: all that the person holds */
    bool delegated;
};

static int no_order(struct err *e, const char *id)
{
    return err_set(e, ERR_NOT_FOUND, "there is no order `%.40s` that you may see; `soma orders list` shows those that you may", id);
}

int order_visible(struct db_conn *c, const struct principal *p, const char *id, const char *team, bool *ret, struct err *e)
{
    *ret = auth_has(p, ROLE_VIEWER, team);
    if (*ret || p->service_account)
        return 0;
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_APPROVAL_CONCERNS, &row, e, db_text(id), db_text(p->person));
    if (!r)
        *ret = db_bool(row, 0, 0);
    return r;
}

int order_give_back(struct db_conn *c, const char *id, const struct db_result *row, const char *reason, struct err *e)
{
    int r = db_run(c, Q_PLAN_DROP, NULL, e, db_text(id));
    if (r || db_is_null(row, 0, COL_SERVICE) || db_bool(row, 0, COL_PLAN_ONLY))
        return r;
    const char *state = strcmp(db_str(row, 0, COL_KIND), "destroy") ? "destroyed" : db_str(row, 0, COL_PRIOR);
    return service_move(c, db_str(row, 0, COL_SERVICE), db_str(row, 0, COL_NAME), db_str(row, 0, COL_TEAM), state, reason, NULL, e);
}

/* ---- may they? ---- */

static enum role role_of(const char *name)
{
    return !strcmp(name, "viewer") ? ROLE_VIEWER : !strcmp(name, "developer") ? ROLE_DEVELOPER : !strcmp(name, "approver") ? ROLE_APPROVER : ROLE_ADMIN;
}

static int find_round(struct deciding *g, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    const char *state = db_str(g->order, 0, COL_STATE);
    int r = strcmp(state, "awaiting_approval") ? 0 : db_run(g->c, Q_APPROVAL_WAITING, &row, e, db_text(g->x->order_id));
    if (r)
        return r;
    if (!row || db_rows(row) == 0)
        return err_set(e, ERR_CONFLICT, "the order is %s and does not wait for approval", state);
    g->round = arena_strdup(g->arena, db_str(row, 0, 0));
    if (g->x->approval && strcmp(g->x->approval, g->round)) {
        err_set(e, ERR_CONFLICT, "the plan was made anew since you looked at it; look at it again: soma orders show %s", g->x->order_id);
        return err_type(e, "plan-changed");
    }
    if (db_bool(row, 0, 1)) {
        err_set(e, ERR_CONFLICT, "the time to approve it ended at %s; it can be ordered anew", db_str(row, 0, 2));
        return err_type(e, "approval-expired");
    }
    return 0;
}

/* What of the person's own rights this token or session carries. */
static int own_rights(struct deciding *g, const struct db_result *asked)
{
    const struct principal *p = g->d->who;
    g->delegated = !p || !p->service_account; /* what was handed to a person is not for their programs */
    if (!p)
        return 0;
    BUF_AUTO b = BUF_INIT;
    buf_char(&b, '[');
    for (int i = 0; i < db_rows(asked); i++) {
        const char *role = db_str(asked, i, 0), *team = db_str(asked, i, 1);
        if (!auth_has(p, role_of(role), *team ? team : NULL))
            continue;
        buf_str(&b, b.len > 1 ? "," : "");
        buf_json_str(&b, arena_printf(g->arena, "%s/%s", role, team));
    }
    buf_char(&b, ']');
    g->own = arena_strdup(g->arena, b.data);
    return 0;
}

static int no_right(struct deciding *g, const struct db_result *asked, struct err *e)
{
    DB_RESULT_AUTO used = NULL;
    BUF_AUTO b = BUF_INIT;
    int r = db_run(g->c, Q_APPROVAL_RIGHT_USED, &used, e, db_text(g->round), db_text(g->d->person));
    if (r)
        return r;
    if (db_rows(used))
        return err_set(e, ERR_CONFLICT, "%s has approved this with the right that %s handed over; it counts once", db_str(used, 0, 0), g->d->person_name);
    for (int i = 0; i < db_rows(asked); i++)
        buf_printf(&b, "%sthe role %s%s%s", i ? ", or " : "", db_str(asked, i, 0), *db_str(asked, i, 1) ? " in team " : "", db_str(asked, i, 1));
    return err_set(e, ERR_DENIED, "deciding about this order needs %s, which %s does not hold", buf_cstr(&b), g->d->person_name);
}

static int check_right(struct deciding *g, struct err *e)
{
    DB_RESULT_AUTO asked = NULL;
    DB_RESULT_AUTO before = NULL;
    DB_RESULT_AUTO rights = NULL;
    int r = db_run(g->c, Q_APPROVAL_ASKED_OF, &asked, e, db_text(g->round));
    if (!r)
        r = own_rights(g, asked);
    if (!r)
        r = db_run(g->c, Q_APPROVAL_DECIDED, &before, e, db_text(g->round), db_text(g->d->person));
    if (!r && db_rows(before)) {
        err_set(e, ERR_CONFLICT, "%s has decided about this already; one person counts once", g->d->person_name);
        return err_type(e, "decided");
    }
    if (!r)
        r = db_run(g->c, Q_APPROVAL_RIGHTS, &rights, e, db_text(g->round), db_text(g->d->person), db_text(g->own), db_flag(g->delegated));
    return r || db_rows(rights) ? r : no_right(g, asked, e);
}

static int check_own(const struct deciding *g, struct err *e)
{
    if (strcmp(g->d->person, db_str(g->order, 0, COL_PERSON)))
        return 0;
    err_set(e, ERR_DENIED, "%s ordered this: nobody decides about an order of their own, whichever way. Somebody else who is asked can",
            db_str(g->order, 0, COL_PERSON_NAME));
    return err_type(e, "own-order");
}

/* ---- what it does ---- */

static int tell(struct deciding *g, struct err *e)
{
    const struct decision *x = g->x;
    BUF_AUTO data = BUF_INIT;
    buf_char(&data, '{');
    buf_json_kv(&data, "approval", g->round);
    buf_json_kv(&data, "decision", x->yes ? "approve" : "reject");
    buf_json_kv(&data, "by", g->d->actor_name);
    buf_json_kv(&data, "person", g->d->person_name);
    buf_json_kv(&data, "via", g->d->via);
    buf_json_kv(&data, "comment", x->comment);
    buf_json_kint(&data, "missing", x->missing);
    buf_char(&data, '}');
    int r = order_event(g->c, x->order_id, db_str(g->order, 0, COL_TEAM), "approval.decision", data.data, e);
    if (r)
        return r;
    char subject[64];
    snprintf(subject, sizeof subject, "service:%s", x->name);
    BUF_AUTO detail = BUF_INIT;
    buf_char(&detail, '{');
    buf_json_kv(&detail, "order", x->order_id);
    buf_json_kv(&detail, "approval", g->round);
    buf_json_kv(&detail, "via", g->d->via);
    buf_json_kint(&detail, "missing", x->missing);
    buf_char(&detail, '}');
    struct audit_entry a = {.actor = g->d->actor, .actor_name = g->d->actor_name, .person_name = g->d->person_name, .address = g->d->address, .request_id = g->d->request_id,
                            .action = x->yes ? "order.approve" : "order.reject", .subject = subject, .team = db_str(g->order, 0, COL_TEAM), .detail = detail.data};
    return audit_append(g->c, &a, e);
}

static int approve(struct deciding *g, struct err *e)
{
    struct decision *x = g->x;
    DB_RESULT_AUTO missing = NULL;
    DB_RESULT_AUTO words = NULL;
    int r = db_run(g->c, Q_APPROVAL_VOTE, NULL, e, db_text(g->round), db_text(g->d->person), db_text(g->own), db_flag(g->delegated));
    if (!r)
        r = db_one(g->c, Q_APPROVAL_MISSING, &missing, e, db_text(g->round));
    if (r)
        return r;
    x->missing = db_i64(missing, 0, 0);
    if (x->missing > 0)
        return db_run(g->c, Q_APPROVAL_TOUCH, NULL, e, db_text(x->order_id));
    const char *team = db_str(g->order, 0, COL_TEAM);
    x->state = "applying";
    if ((r = db_one(g->c, Q_APPROVAL_WORDS, &words, e, db_text(g->round))))
        return r;
    r = order_move(g->c, x->order_id, team, "awaiting_approval", "applying", g->d->actor_name, arena_printf(g->arena, "approved by %s", db_str(words, 0, 0)), NULL, e);
    struct jobs_spec job = {.kind = "order", .subject = x->order_id, .team = team, .environment = db_str(g->order, 0, COL_ENVIRONMENT)};
    return r ? r : jobs_enqueue(g->c, &job, NULL, e);
}

static int refuse(struct deciding *g, struct err *e)
{
    struct decision *x = g->x;
    const char *reason = arena_printf(g->arena, "approval refused by %s%s%s", g->d->person_name, *x->comment ? ": " : "", x->comment);
    BUF_AUTO problem = BUF_INIT;
    buf_char(&problem, '{');
    buf_json_kv(&problem, "type", "approval-refused");
    buf_json_kv(&problem, "detail", reason);
    buf_char(&problem, '}');
    x->state = "failed";
    int r = order_move(g->c, x->order_id, db_str(g->order, 0, COL_TEAM), "awaiting_approval", "failed", g->d->actor_name, reason, problem.data, e);
    return r ? r : order_give_back(g->c, x->order_id, g->order, reason, e);
}

static int check_visible(struct deciding *g, struct err *e)
{
    bool seen = true;
    int r = g->d->who ? order_visible(g->c, g->d->who, g->x->order_id, db_str(g->order, 0, COL_TEAM), &seen, e) : 0;
    return r || seen ? r : no_order(e, g->x->order_id);
}

int approval_decide(struct db_conn *c, struct arena *a, const struct decider *d, struct decision *x, struct err *e)
{
    DB_RESULT_AUTO order = NULL;
    if (!id_valid(x->order_id))
        return no_order(e, x->order_id);
    int r = db_run(c, Q_ORDER_LOCK, &order, e, db_text(x->order_id));
    if (!r && db_rows(order) == 0)
        return no_order(e, x->order_id);
    struct deciding g = {.c = c, .arena = a, .d = d, .x = x, .order = order};
    if (r || (r = check_visible(&g, e)))
        return r;
    x->name = arena_strdup(a, db_str(order, 0, COL_NAME));
    x->state = "awaiting_approval";
    x->missing = 0;
    if ((r = check_own(&g, e)) || (r = find_round(&g, e)) || (r = check_right(&g, e)))
        return r;
    r = db_run(c, Q_APPROVAL_DECIDE, NULL, e, db_text(g.round), db_text(d->person), db_text(d->person_name), db_text(d->actor_name),
               db_text(x->yes ? "approve" : "reject"), db_text(d->via), db_text(x->comment));
    if (!r)
        r = x->yes ? approve(&g, e) : refuse(&g, e);
    return r ? r : tell(&g, e);
}

/* ---- by API ---- */

struct call { struct http_req *r; struct decision x; const char *answer; };

static int decide_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct call *k = arg;
    struct http_req *r = k->r;
    const struct principal *p = r->who;
    struct decider d = {.who = p, .person = p->person, .person_name = p->person_name, .actor = p->actor, .actor_name = p->name, .via = "api", .address = r->remote_addr,
                        .request_id = r->request_id};
    DB_RESULT_AUTO row = NULL;
    int x = approval_decide(c, r->arena, &d, &k->x, e);
    if (!x)
        x = db_one(c, Q_ORDER_JSON, &row, e, db_text(k->x.order_id));
    if (x)
        return x;
    const char *json = db_str(row, 0, 0);
    k->answer = arena_printf(r->arena, "%.*s, \"missing\": %lld}", (int)strlen(json) - 1, json, (long long)k->x.missing);
    return idempotency_record(c, r, 200, NULL, k->answer, strlen(k->answer), e);
}

int orders_decide(struct http_req *r, struct err *e)
{
    const char *comment = json_string_value(json_object_get(r->json, "comment")), *decision = json_string_value(json_object_get(r->json, "decision"));
    struct call k = {.r = r, .x = {.order_id = http_param(r, "id"), .approval = json_string_value(json_object_get(r->json, "approval")),
                                   .yes = !strcmp(decision, "approve"), .comment = comment ? comment : ""}};
    int x = db_tx(provision_get()->db, decide_tx, &k, e);
    services_forget(k.x.name);
    if (x)
        return x;
    cluster_poke(provision_get()->cluster);
    return http_reply(r, 200, "application/json", k.answer, strlen(k.answer));
}

/* ---- lists ---- */

int approvals_list(struct http_req *r, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int64_t limit;
    const char *cursor = http_query(r, "cursor"), *after = NULL, *of = http_query(r, "for"), *state = http_query(r, "state");
    bool mine = of ? !strcmp(of, "me") : !state && !http_query(r, "team");
    int x = http_query_int(r, "limit", 50, 1, 500, &limit, e);
    if (!x && cursor)
        x = cursor_open(cursor, r->route->operation, r->arena, &after, e);
    if (!x)
        x = db_take(provision_get()->db, &c, e);
    if (!x)
        x = db_run(c, Q_APPROVAL_PAGE, &rows, e, db_text(auth_teams_json(r->who, r->arena)), db_text(state), db_flag(mine), db_text(r->who->person),
                   db_text(http_query(r, "team")), db_text(after), db_int(limit + 1));
    return x ? x : auth_reply_page(r, rows, limit, e);
}

int approvals_show(struct http_req *r, struct err *e)
{
    const char *id = http_param(r, "id");
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    bool seen = false;
    int x = db_take(provision_get()->db, &c, e);
    if (!x && id_valid(id))
        x = db_run(c, Q_APPROVAL_ITEM, &row, e, db_text(id), db_text(r->who->person));
    if (!x && row && db_rows(row))
        x = order_visible(c, r->who, db_str(row, 0, 1), db_str(row, 0, 2), &seen, e);
    if (x)
        return x;
    if (!seen)
        return err_set(e, ERR_NOT_FOUND, "there is no approval `%.40s` that you may see; `soma approvals list` shows what waits for you", id);
    return http_reply(r, 200, "application/json", db_str(row, 0, 0), strlen(db_str(row, 0, 0)));
}
