// The gate `budget`. What an order will cost a month is held against every budget and quota it falls under, and reserved when it passes, so that two orders at
// once cannot both spend the rest: the gate's transactions stand in line.
#include "plugins/finops/plugin_private.h"

#include <string.h>

struct order {
    const char *id, *service, *team, *environment, *cost_centre;
    json_t *totals; // of the estimate
};

// The worst of what was found, and the words of all of it.
struct finding {
    int outcome;
    const char *words, *role;
    json_t *budgets;
};

static struct dec amount(const char *text)
{
    struct dec value;
    return text && dec_parse(text, &value) ? value : dec_int(0);
}

static const char *money(struct soma_call *c, struct dec value)
{
    return dec_text(dec_round(value, 2), 2, soma_alloc(c, DEC_TEXT));
}

// The order's sum in a currency, and by how much it changes what is there.
static struct dec cost_in(const struct order *o, const char *currency, struct dec *ret_change)
{
    *ret_change = dec_int(0);
    for (size_t i = 0; i < json_array_size(o->totals); i++) {
        const json_t *t = json_array_get(o->totals, i);
        if (strcmp(member_text(t, "currency"), currency))
            continue;
        *ret_change = amount(member_text(t, "difference"));
        return amount(member_text(t, "monthly_cost"));
    }
    return dec_int(0);
}

static void add_words(struct soma_call *c, struct finding *f, int outcome, const char *words)
{
    f->words = soma_format(c, "%s%s%s", f->words, *f->words ? " " : "", words);
    if (outcome > f->outcome)
        f->outcome = outcome;
}

static int outcome_of(const char *on_exceed)
{
    return !strcmp(on_exceed, "warn") ? SOMA_WARNING : !strcmp(on_exceed, "approve") ? SOMA_APPROVE : SOMA_DENY;
}

// What is paid in another currency cannot be added up: the budget is not silently passed by.
static void check_currency(struct soma_call *c, const struct order *o, const char *name, const char *currency, int outcome, struct finding *f)
{
    for (size_t i = 0; i < json_array_size(o->totals); i++) {
        const json_t *t = json_array_get(o->totals, i);
        const char *other = member_text(t, "currency");
        if (strcmp(other, currency) && !dec_is_zero(amount(member_text(t, "monthly_cost"))))
            add_words(c, f, outcome, soma_format(c, "Budget %s is in %s, but this order also costs %s %s a month, which is not converted.", name, currency,
                                         money(c, amount(member_text(t, "monthly_cost"))), other));
    }
}

// One row: name, scope, of, monthly, currency, on_exceed, approver_role, running, in_flight.
static void check_budget(struct soma_call *c, const struct order *o, const struct soma_rows *rows, size_t i, struct finding *f)
{
    const struct soma_host *h = c->host;
    const char *name = h->value(rows, i, 0), *currency = h->value(rows, i, 4);
    int outcome = outcome_of(h->value(rows, i, 5));
    struct dec change, cost = cost_in(o, currency, &change), limit = amount(h->value(rows, i, 3)), running = amount(h->value(rows, i, 7)), in_flight = amount(h->value(rows, i, 8));
    struct dec together = dec_add(dec_add(running, in_flight), cost), over = dec_sub(together, limit);
    json_array_append_new(f->budgets, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "name", name, "currency", currency, "monthly", money(c, limit), "running", money(c, running),
                                          "in_flight", money(c, in_flight), "order", money(c, cost), "together", money(c, together)));
    check_currency(c, o, name, currency, outcome, f);
    if (dec_cmp(over, dec_int(0)) <= 0 || dec_cmp(change, dec_int(0)) <= 0)
        return; // within it, or it makes it no worse
    add_words(c, f, outcome,
        soma_format(c, "Budget %s (%s%s%s) is %s %s a month: %s is committed by running services and %s by orders in flight, this order costs %s, together %s, which is %s too much. "
                       "Choose a smaller size, destroy what is not needed, or ask for a larger budget.",
            name, h->value(rows, i, 1), *h->value(rows, i, 2) ? " " : "", h->value(rows, i, 2), money(c, limit), currency, money(c, running), money(c, in_flight), money(c, cost),
            money(c, together), money(c, over)));
    if (outcome == SOMA_APPROVE && (!f->role || !strcmp(h->value(rows, i, 6), "platform-admin")))
        f->role = h->value(rows, i, 6);
}

static int check_budgets(struct soma_call *c, const struct order *o, struct finding *f)
{
    struct soma_rows *rows;
    int r = soma_run(c, &rows,
        "select b.name, b.scope, b.of, b.monthly, b.currency, b.on_exceed, b.approver_role, coalesce(sum(u.monthly) filter (where not u.in_flight), 0), "
        "coalesce(sum(u.monthly) filter (where u.in_flight), 0) from budget b "
        "left join committed u on u.currency = b.currency and in_scope(b.scope, b.of, u.team, u.environment, u.cost_centre) and u.service_id is distinct from $4::uuid "
        "where in_scope(b.scope, b.of, $1, $2, $3) group by b.name order by b.name",
        o->team, o->environment, o->cost_centre, o->service);
    for (size_t i = 0; !r && i < c->host->rows(rows); i++)
        check_budget(c, o, rows, i, f);
    return r;
}

static void check_quota(struct soma_call *c, const struct order *o, const struct soma_rows *rows, size_t i, struct finding *f)
{
    const struct soma_host *h = c->host;
    const char *name = h->value(rows, i, 0), *what = h->value(rows, i, 1), *currency = h->value(rows, i, 3);
    struct dec maximum = amount(h->value(rows, i, 2)), change, cost = cost_in(o, currency, &change), services = dec_add(amount(h->value(rows, i, 4)), dec_int(1));
    if (!strcmp(what, "order_monthly") && dec_cmp(cost, maximum) > 0)
        add_words(c, f, SOMA_DENY, soma_format(c, "Quota %s allows an order to cost %s %s a month; this one costs %s.", name, money(c, maximum), currency, money(c, cost)));
    if (!strcmp(what, "services") && o->service && dec_cmp(services, maximum) > 0)
        add_words(c, f, SOMA_DENY, soma_format(c, "Quota %s allows %s services; this would be number %s.", name, dec_text(maximum, 0, soma_alloc(c, DEC_TEXT)),
                                       dec_text(services, 0, soma_alloc(c, DEC_TEXT))));
}

static int check_quotas(struct soma_call *c, const struct order *o, struct finding *f)
{
    struct soma_rows *rows;
    int r = soma_run(c, &rows,
        "select q.name, q.what, q.maximum, q.currency, (select count(*) from soma_api.services s where s.destroyed_at is null and s.id is distinct from $4::uuid and "
        "in_scope(q.scope, q.of, s.team, s.environment, coalesce(s.cost_centre, ''))) from quota q where in_scope(q.scope, q.of, $1, $2, $3) order by q.name",
        o->team, o->environment, o->cost_centre, o->service);
    for (size_t i = 0; !r && i < c->host->rows(rows); i++)
        check_quota(c, o, rows, i, f);
    return r;
}

// From here on the order counts against budgets. A plan made anew takes the place of the old one.
static int reserve(struct soma_call *c, const struct order *o)
{
    int r = soma_run(c, NULL, "delete from commitment where order_id = $1::uuid", o->id);
    for (size_t i = 0; !r && i < json_array_size(o->totals); i++) {
        const json_t *t = json_array_get(o->totals, i);
        r = soma_run(c, NULL,
            "insert into commitment (order_id, service_id, team, environment, cost_centre, currency, monthly) values ($1::uuid, $2::uuid, $3, $4, $5, $6, $7::numeric)", o->id, o->service,
            o->team, o->environment, o->cost_centre, member_text(t, "currency"), member_text(t, "monthly_cost"));
    }
    return r;
}

static int decide(struct soma_call *c, const struct order *o, struct finding *f)
{
    int r = c->host->begin(c);
    if (!r)
        r = soma_run(c, NULL, "select pg_advisory_xact_lock(hashtext('finops budgets'))");
    if (!r)
        r = check_budgets(c, o, f);
    if (!r)
        r = check_quotas(c, o, f);
    if (!r && !o->service && f->outcome > SOMA_WARNING)
        f->outcome = SOMA_WARNING; // a plan to look at spends nothing
    if (!r && o->service && f->outcome != SOMA_DENY)
        r = reserve(c, o);
    if (!r)
        r = c->host->commit(c);
    if (r)
        c->host->rollback(c);
    return r;
}

// The totals that the gate `estimate` stored for this order.
static int read_totals(struct soma_call *c, struct order *o)
{
    struct soma_rows *rows;
    char why[DOC_WHY];
    int r = soma_run(c, &rows, "select result -> 'totals' from estimate where order_id = $1::uuid", o->id);
    if (r)
        return r;
    if (!c->host->rows(rows))
        return soma_fail(c, SOMA_CONFLICT, "there is no estimate of this order, so no budget can be checked: the gate `estimate` must come before");
    const char *text = c->host->value(rows, 0, 0);
    o->totals = doc_read_json(text, strlen(text), why);
    return o->totals ? 0 : soma_fail(c, SOMA_INTERNAL, "the stored estimate is not readable: %s", why);
}

static void give(struct soma_call *c, const struct finding *f, struct soma_verdict *ret)
{
    JSON_AUTO detail = json_pack("{s:O}", "budgets", f->budgets);
    static const char *const names[] = { "allow", "warn", "approve", "deny" };
    ret->outcome = f->outcome;
    ret->message = *f->words ? f->words : json_array_size(f->budgets) ? "within every budget" : "no budget applies";
    ret->detail = json_in_call(c, detail);
    ret->approver_role = f->role;
    c->host->metric(c, "finops_budget_decisions_total", 1, (const char *const[]){ names[f->outcome] }, 1);
}

int gate_budget(struct soma_call *c, const struct soma_gate_input *in, struct soma_verdict *ret)
{
    char why[DOC_WHY] = "";
    JSON_AUTO input = doc_read_json(in->input, in->input_len, why);
    if (!input)
        return soma_fail(c, SOMA_INTERNAL, "the gate's input is not readable: %s", why);
    const char *cost_centre = member_text(input, "cost_centre");
    struct order o = { .id = member_text(input, "order"), .service = member_text(json_object_get(input, "service"), "id"), .team = member_text(input, "team"),
        .environment = member_text(input, "environment"), .cost_centre = cost_centre ? cost_centre : "" };
    if (!o.id)
        return soma_fail(c, SOMA_INTERNAL, "the gate `budget` was asked without an order");
    JSON_AUTO budgets = json_array();
    struct finding f = { .outcome = SOMA_ALLOW, .words = "", .budgets = budgets };
    int r = read_totals(c, &o);
    if (!r)
        r = decide(c, &o, &f);
    json_decref(o.totals);
    if (!r)
        give(c, &f, ret);
    return r;
}
