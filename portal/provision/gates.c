#include "portal/provision/gates.h"

#include <string.h>

#include "portal/cluster/cluster.h"
#include "portal/core/log.h"
#include "portal/json/json.h"
#include "portal/provision/provision_private.h"
#include "provision_queries.h"

#define GATES_MAX 64
static const struct gate *gates[GATES_MAX]; /* by number; written before threads start */
static size_t n_gates;

const char *gate_point_name(enum gate_point p)
{
    return p == GATE_REQUEST ? "request" : p == GATE_PLAN ? "plan" : p == GATE_DESTROY ? "destroy" : "reveal";
}

const char *gate_outcome_name(enum gate_outcome o)
{
    static const char *const names[] = {"allow", "warn", "approve", "deny"};
    return names[o];
}

int gates_register(const struct gate *g, struct err *e)
{
    for (size_t i = 0; i < n_gates; i++)
        if (!strcmp(gates[i]->name, g->name))
            return err_set(e, ERR_CONFLICT, "there is a gate `%s` already", g->name);
    if (n_gates == GATES_MAX)
        return err_set(e, ERR_CONFLICT, "more than %d gates", GATES_MAX);
    size_t at = n_gates++;
    for (; at > 0 && gates[at - 1]->number > g->number; at--)
        gates[at] = gates[at - 1];
    gates[at] = g;
    return 0;
}

static int record(const struct gate_input *in, const struct gate *g, const struct gate_verdict *v, struct err *e)
{
    BUF_AUTO detail = BUF_INIT;
    if (v->detail)
        json_write(v->detail, &detail);
    int r = db_run(in->c, Q_GATE_RECORD, NULL, e, db_text(in->order_id), db_text(in->name), db_text(gate_point_name(in->point)), db_int(g->number),
                   db_text(g->name), db_text(gate_outcome_name(v->outcome)), db_text(v->message ? v->message : ""), db_text(v->detail ? detail.data : NULL));
    if (!r && in->order_id && v->outcome == GATE_APPROVE)
        r = demand_put(in, g->name, v, e);
    if (r || !in->order_id)
        return r;
    BUF_AUTO data = BUF_INIT;
    buf_char(&data, '{');
    buf_json_kv(&data, "point", gate_point_name(in->point));
    buf_json_kv(&data, "gate", g->name);
    buf_json_kv(&data, "outcome", gate_outcome_name(v->outcome));
    buf_json_kv(&data, "message", v->message ? v->message : "");
    buf_char(&data, '}');
    return order_event(in->c, in->order_id, in->team, "gate.decision", data.data, e);
}

/* A gate that fails, or asks for what nobody could give, denies. An error here: the transaction is lost, nothing can be recorded in it. */
static int decide(const struct gate *g, const struct gate_input *in, struct gate_verdict *v, struct err *e)
{
    struct err why = ERR_INIT;
    int r = g->decide(in, v, &why);
    if (!r && v->outcome == GATE_APPROVE)
        r = demand_check(in, &v->approval, &why);
    if (r && (!db_alive(in->c) || db_sqlstate(in->c)[0])) {
        json_decref(v->detail);
        if (e)
            *e = why;
        return r;
    }
    if (r) {
        v->outcome = GATE_DENY;
        v->message = arena_printf(in->arena, "the gate could not decide, so it denies: %s", why.msg);
    }
    return 0;
}

int gates_ask(const struct gate_input *in, enum gate_outcome *ret, const char **ret_reason, struct err *e)
{
    enum gate_outcome worst = GATE_ALLOW;
    BUF_AUTO reason = BUF_INIT;
    int r = in->order_id ? demands_forget(in, e) : 0;
    if (r)
        return r;
    for (size_t i = 0; i < n_gates; i++) {
        if (!(gates[i]->points & in->point))
            continue;
        struct gate_verdict v = {0};
        if ((r = decide(gates[i], in, &v, e)))
            return r;
        r = record(in, gates[i], &v, e);
        json_decref(v.detail);
        if (r)
            return r;
        if (v.outcome > worst) {
            worst = v.outcome;
            buf_clear(&reason);
        }
        if (v.outcome == worst && v.message && *v.message)
            buf_printf(&reason, "%s%s: %s", reason.len ? "; " : "", gates[i]->name, v.message);
    }
    *ret = worst;
    *ret_reason = arena_strdup(in->arena, buf_cstr(&reason));
    return 0;
}

int gates_list(struct http_req *r, struct err *e)
{
    (void)e;
    BUF_AUTO b = BUF_INIT;
    buf_str(&b, "{\"items\":[");
    for (size_t i = 0; i < n_gates; i++) {
        buf_str(&b, i ? ",{" : "{");
        buf_json_kv(&b, "name", gates[i]->name);
        buf_json_kv(&b, "title", gates[i]->title);
        buf_json_kint(&b, "number", gates[i]->number);
        buf_json_key(&b, "points");
        buf_char(&b, '[');
        const char *comma = "";
        for (unsigned p = GATE_REQUEST; p <= GATE_REVEAL; p <<= 1)
            if (gates[i]->points & p) {
                buf_printf(&b, "%s\"%s\"", comma, gate_point_name((enum gate_point)p));
                comma = ",";
            }
        buf_str(&b, "]}");
    }
    buf_str(&b, "],\"next\":null}");
    return http_reply_json(r, 200, &b);
}

/* ---- built-in gates ---- */

static int ask_quota(const struct gate_input *in, const struct db_query *q, int64_t *ret_limit, int64_t *ret_others, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_run(in->c, Q_QUOTA_HOLD, NULL, e, db_text(in->environment), db_text(in->team));
    if (!r)
        r = db_one(in->c, *q, &row, e, db_text(in->environment), db_text(in->team), db_text(in->service_id));
    if (r)
        return r;
    *ret_limit = db_i64(row, 0, 0);
    *ret_others = db_i64(row, 0, 1);
    return 0;
}

static int decide_service_quota(const struct gate_input *in, struct gate_verdict *ret, struct err *e)
{
    if (strcmp(in->kind, "create") || !in->service_id)
        return 0;
    int64_t limit, others;
    int r = ask_quota(in, &Q_QUOTA_SERVICES, &limit, &others, e);
    if (r)
        return r;
    if (limit && others >= limit) {
        ret->outcome = GATE_DENY;
        ret->message = arena_printf(in->arena, "team %s may have %lld services in %s and has as many; destroy one or ask a platform-admin for a larger quota",
                                    in->team, (long long)limit, in->environment);
    }
    return 0;
}

static int decide_resource_quota(const struct gate_input *in, struct gate_verdict *ret, struct err *e)
{
    if (strcmp(in->kind, "create") || !in->service_id)
        return 0;
    int64_t limit, others;
    int r = ask_quota(in, &Q_QUOTA_RESOURCES, &limit, &others, e);
    if (r)
        return r;
    ret->detail = json_pack("{s:I}", "resources", (json_int_t)in->resources_after);
    if (limit && others + in->resources_after > limit) {
        ret->outcome = GATE_DENY;
        ret->message = arena_printf(in->arena, "team %s may have %lld resources in %s; it has %lld and this order would make it %lld", in->team,
                                    (long long)limit, in->environment, (long long)others, (long long)(others + in->resources_after));
    }
    return 0;
}

static int decide_protected_environment(const struct gate_input *in, struct gate_verdict *ret, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_one(in->c, Q_ENVIRONMENT_PROTECTED, &row, e, db_text(in->environment));
    if (!r && db_bool(row, 0, 0)) {
        ret->outcome = GATE_APPROVE;
        ret->approval = (struct gate_approval){.team = arena_strdup(in->arena, db_str_or_null(row, 0, 3)), .count = (int)db_i64(row, 0, 1), .expires_in = db_i64(row, 0, 2)};
        ret->message = arena_printf(in->arena, "every change in the environment %s needs an approver's consent", in->environment);
    }
    return r;
}

static const struct gate builtin[] = {
    {"quota-services", "Services per team and environment", GATE_REQUEST, 100, decide_service_quota},
    {"quota-resources", "Resources per team and environment", GATE_PLAN, 200, decide_resource_quota},
    {"protected-environment", "Approval where the environment asks for it", GATE_PLAN, 900, decide_protected_environment},
};

void gates_register_builtin(void)
{
    for (size_t i = 0; i < sizeof builtin / sizeof *builtin; i++)
        if (gates_register(&builtin[i], NULL))
            log_error("a built-in gate could not be registered", LOG_S("gate", builtin[i].name));
}
