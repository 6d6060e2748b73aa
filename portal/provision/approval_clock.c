/* Rounds that go on waiting: reminders at half their time and a day before their end, and their end. One schedule for all; each round in a transaction of its own. */
#include <stdio.h>
#include <string.h>

#include "portal/audit/audit.h"
#include "portal/core/log.h"
#include "portal/provision/approval_private.h"
#include "provision_queries.h"

struct due { struct job *j; const char *round, *order; const char *name; };

static int lock(struct db_conn *c, const struct due *d, struct db_result **ret, bool *ret_waits, struct err *e)
{
    int r = jobs_guard(c, d->j, e);
    if (!r)
        r = db_one(c, Q_ORDER_LOCK, ret, e, db_text(d->order));
    *ret_waits = !r && !strcmp(db_str(*ret, 0, 2), "awaiting_approval");
    return r;
}

static int audit_end(struct db_conn *c, const struct due *d, const struct db_result *order, struct err *e)
{
    char subject[64], detail[160];
    snprintf(subject, sizeof subject, "service:%s", db_str(order, 0, 7));
    snprintf(detail, sizeof detail, "{\"order\":\"%s\",\"approval\":\"%s\"}", d->order, d->round);
    struct audit_entry a = {.actor = "system", .actor_name = "system", .action = "order.expire", .subject = subject, .team = db_str(order, 0, 1), .detail = detail};
    return audit_append(c, &a, e);
}

/* Nobody said no and nothing was applied: the order is taken back for its orderer. */
static int expire_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct due *d = arg;
    static const char reason[] = "nobody approved it in time: the approval has expired. Nothing was changed; it can be ordered anew";
    DB_RESULT_AUTO order = NULL;
    DB_RESULT_AUTO expired = NULL;
    bool waits;
    int r = lock(c, d, &order, &waits, e);
    if (r || !waits)
        return r;
    r = db_run(c, Q_APPROVAL_EXPIRE, &expired, e, db_text(d->round), db_text(reason));
    if (r || db_affected(expired) == 0)
        return r;
    d->name = arena_strdup(d->j->arena, db_str(order, 0, 7));
    BUF_AUTO problem = BUF_INIT;
    buf_char(&problem, '{');
    buf_json_kv(&problem, "type", "approval-expired");
    buf_json_kv(&problem, "detail", reason);
    buf_char(&problem, '}');
    r = order_move(c, d->order, db_str(order, 0, 1), "awaiting_approval", "canceled", "system", reason, problem.data, e);
    if (!r)
        r = order_give_back(c, d->order, order, reason, e);
    if (!r)
        r = approval_tell(c, d->round, "ended", e);
    return r ? r : audit_end(c, d, order, e);
}

static int remind_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct due *d = arg;
    DB_RESULT_AUTO order = NULL;
    DB_RESULT_AUTO row = NULL;
    bool waits;
    int r = lock(c, d, &order, &waits, e);
    if (r || !waits)
        return r;
    r = db_run(c, Q_APPROVAL_REMIND, &row, e, db_text(d->round));
    if (r || db_rows(row) == 0)
        return r;
    BUF_AUTO data = BUF_INIT;
    buf_char(&data, '{');
    buf_json_kv(&data, "approval", d->round);
    buf_json_kint(&data, "reminder", db_i64(row, 0, 0));
    buf_json_kv(&data, "expires_at", db_str(row, 0, 1));
    buf_char(&data, '}');
    r = order_event(c, d->order, db_str(order, 0, 1), "approval.reminder", data.data, e);
    return r ? r : approval_tell(c, d->round, db_i64(row, 0, 0) == 1 ? "reminder1" : "reminder2", e);
}

static int load_due(struct job *j, struct db_result **ret, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    int r = db_take(j->db, &c, e);
    return r ? r : db_run(c, Q_APPROVAL_DUE, ret, e);
}

int approval_clock(struct job *j, struct err *e)
{
    DB_RESULT_AUTO rows = NULL;
    int r = load_due(j, &rows, e);
    for (int i = 0; !r && i < db_rows(rows); i++) {
        struct due d = {.j = j, .round = db_str(rows, i, 0), .order = db_str(rows, i, 1)};
        bool over = db_bool(rows, i, 2);
        r = db_tx(j->db, over ? expire_tx : remind_tx, &d, e);
        services_forget(d.name);
        if (!r && over)
            log_info("an order waited for approval in vain", LOG_S("order", d.order));
    }
    if (!r && db_rows(rows))
        cluster_poke(provision_get()->cluster);
    return r ? JOBS_RETRY : JOBS_DONE;
}
