// Budgets and quotas: what administrators set, and the gauges of how far they are used.
#include "plugins/finops/plugin_private.h"

#include <stdlib.h>
#include <string.h>

static int finish(struct soma_call *c, const struct soma_request *q, int r, const char *action, const char *subject, const json_t *detail)
{
    const char *team = detail && !strcmp(member_text(detail, "scope") ? member_text(detail, "scope") : "", "team") ? member_text(detail, "of") : NULL;
    if (!r)
        r = audit_write(c, q, action, subject, team, detail);
    if (!r)
        r = c->host->commit(c);
    if (r)
        c->host->rollback(c);
    return r;
}

// Those of teams whose roles the caller has; the rest for who may see all.
static json_t *only_visible(struct soma_call *c, const struct soma_request *q, const struct soma_rows *rows)
{
    json_t *document = rows_as_items(c, rows), *items = json_object_get(document, "items");
    for (size_t i = json_array_size(items); i-- > 0;) {
        const json_t *item = json_array_get(items, i);
        bool of_team = !strcmp(member_text(item, "scope"), "team");
        if (!may_see(q, of_team ? member_text(item, "of") : ""))
            json_array_remove(items, i);
    }
    return document;
}

// Scope and its name, from `team`, `environment`, `cost_centre`, or none of them: everything.
static int read_scope(struct soma_call *c, const json_t *body, const char **ret_scope, const char **ret_of)
{
    const char *scope = member_text(body, "scope"), *of = member_text(body, "of");
    if (!scope)
        return soma_fail_field(c, "/scope", "it is needed: team, environment, cost_centre or all");
    if (strcmp(scope, "all") && (!of || !*of))
        return soma_fail_field(c, "/of", "it is needed: the name of the %s", scope);
    *ret_scope = scope;
    *ret_of = strcmp(scope, "all") ? of : "";
    return 0;
}

int route_budgets(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    struct soma_rows *rows;
    int r = soma_run(c, &rows,
        "select name, scope, of, trim_scale(monthly) as monthly, currency, on_exceed, approver_role, trim_scale(running) as running, trim_scale(in_flight) as in_flight, "
        "trim_scale(monthly - running - in_flight) as left, changed_by, changed_at from budget_use order by name");
    if (r)
        return r;
    JSON_AUTO document = only_visible(c, q, rows);
    return reply_json(c, ret, 200, document);
}

int route_budget_set(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    JSON_AUTO body = NULL;
    const char *scope = NULL, *of = NULL, *monthly = NULL, *name = soma_param(q, "name");
    int r = body_object(c, q, &body);
    if (!r)
        r = read_scope(c, body, &scope, &of);
    if (!r)
        r = member_number(c, body, "monthly", &monthly);
    if (!r && !monthly)
        r = soma_fail_field(c, "/monthly", "it is needed: the sum a month");
    if (!r)
        r = c->host->begin(c);
    if (r)
        return r;
    r = soma_run(c, NULL,
        "insert into budget (name, scope, of, monthly, currency, on_exceed, approver_role, changed_by) values ($1, $2, $3, $4::numeric, coalesce($5, 'USD'), coalesce($6, 'deny'), "
        "coalesce($7, 'approver'), $8) on conflict (name) do update set scope = excluded.scope, of = excluded.of, monthly = excluded.monthly, currency = excluded.currency, "
        "on_exceed = excluded.on_exceed, approver_role = excluded.approver_role, changed_by = excluded.changed_by, changed_at = now()",
        name, scope, of, monthly, member_text(body, "currency"), member_text(body, "on_exceed"), member_text(body, "approver_role"), q->actor_name ? q->actor_name : "");
    json_object_set_new(body, "name", json_string(name));
    r = finish(c, q, r, "finops.budget.set", soma_format(c, "budget:%s", name), body);
    return r ? r : reply_json(c, ret, 200, body);
}

static int remove_named(struct soma_call *c, const struct soma_request *q, const char *sql, const char *action, const char *kind, struct soma_reply *ret)
{
    const char *name = soma_param(q, "name");
    struct soma_rows *rows = NULL;
    int r = c->host->begin(c);
    if (r)
        return r;
    r = soma_run(c, &rows, sql, name);
    if (!r && c->host->affected(rows) == 0)
        r = soma_fail(c, SOMA_NOT_FOUND, "there is no %s %s", kind, name);
    ret->status = 204;
    return finish(c, q, r, action, soma_format(c, "%s:%s", kind, name), NULL);
}

int route_budget_remove(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    return remove_named(c, q, "delete from budget where name = $1", "finops.budget.remove", "budget", ret);
}

int route_quotas(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    struct soma_rows *rows;
    int r = soma_run(c, &rows, "select name, scope, of, what, trim_scale(maximum) as maximum, currency, changed_by, changed_at from quota order by name");
    if (r)
        return r;
    JSON_AUTO document = only_visible(c, q, rows);
    return reply_json(c, ret, 200, document);
}

int route_quota_set(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    JSON_AUTO body = NULL;
    const char *scope = NULL, *of = NULL, *maximum = NULL, *name = soma_param(q, "name");
    int r = body_object(c, q, &body);
    if (!r)
        r = read_scope(c, body, &scope, &of);
    if (!r)
        r = member_number(c, body, "maximum", &maximum);
    if (!r && (!maximum || !member_text(body, "what")))
        r = soma_fail_field(c, maximum ? "/what" : "/maximum", "it is needed");
    if (!r)
        r = c->host->begin(c);
    if (r)
        return r;
    r = soma_run(c, NULL,
        "insert into quota (name, scope, of, what, maximum, currency, changed_by) values ($1, $2, $3, $4, $5::numeric, coalesce($6, 'USD'), $7) on conflict (name) do update set "
        "scope = excluded.scope, of = excluded.of, what = excluded.what, maximum = excluded.maximum, currency = excluded.currency, changed_by = excluded.changed_by, changed_at = now()",
        name, scope, of, member_text(body, "what"), maximum, member_text(body, "currency"), q->actor_name ? q->actor_name : "");
    json_object_set_new(body, "name", json_string(name));
    r = finish(c, q, r, "finops.quota.set", soma_format(c, "quota:%s", name), body);
    return r ? r : reply_json(c, ret, 200, body);
}

int route_quota_remove(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    return remove_named(c, q, "delete from quota where name = $1", "finops.quota.remove", "quota", ret);
}

// The gauges of all budgets, made anew: one that was removed is no longer there.
int job_measure(struct soma_call *c, const struct soma_job *job)
{
    static const char *const names[] = { "finops_budget_monthly", "finops_budget_running", "finops_budget_in_flight" };
    struct soma_rows *rows;
    (void)job;
    int r = soma_run(c, &rows, "select name, currency, monthly, running, in_flight from budget_use");
    if (r)
        return r;
    for (size_t i = 0; i < SOMA_COUNT(names); i++)
        c->host->metric_reset(c, names[i]);
    for (size_t row = 0; row < c->host->rows(rows); row++)
        for (size_t i = 0; i < SOMA_COUNT(names); i++)
            c->host->metric(c, names[i], strtod(c->host->value(rows, row, 2 + i), NULL),
                (const char *const[]){ c->host->value(rows, row, 0), c->host->value(rows, row, 1) }, 2);
    return 0;
}
