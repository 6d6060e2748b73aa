#include "plugins/finops/estimate.h"

#include "plugins/finops/rules.h"

#include <stdio.h>
#include <string.h>

static void start_side(struct estimate_side *side) { *side = (struct estimate_side){ .items_end = &side->items, .unpriced_end = &side->unpriced }; }

// Providers whose resources cost nothing by themselves: they write files, make names, or work inside a service that is priced elsewhere.
static bool is_free_provider(const char *provider)
{
    static const char *const names[] = { "random", "null", "local", "tls", "time", "archive", "http", "external", "template", "cloudinit", "terraform", "postgresql", "mysql",
        "kubernetes", "helm" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(provider, names[i]))
            return true;
    return false;
}

// How the price book names the cloud of a provider.
static const char *cloud_of(const char *provider)
{
    return !strcmp(provider, "azurerm") ? "azure" : !strcmp(provider, "google") || !strcmp(provider, "google-beta") ? "gcp" : provider;
}

static void estimate_side(struct estimate *e, const struct plan_resource *r, bool is_before)
{
    struct rule_context c = { .estimate = e, .side = is_before ? &e->before : &e->after, .is_before = is_before, .r = r, .values = is_before ? r->before : r->after,
        .unknown = is_before ? NULL : r->unknown, .sensitive = is_before ? r->before_sensitive : r->after_sensitive, .provider = cloud_of(r->provider) };
    bool is_free = false;
    rule_fn *rule = rule_find(r->type, &is_free);
    if (!c.values || is_free || (!rule && is_free_provider(r->provider)))
        return;
    if (rule)
        rule(&c);
    else
        rule_unpriced(&c, rule_format(&c, "there is no rule for %s yet", r->type));
}

bool estimate_make(struct pool *pool, const struct estimate_input *input, struct estimate *ret_estimate, char why[DOC_WHY])
{
    struct estimate *e = ret_estimate;
    *e = (struct estimate){ .pool = pool, .book = input->book };
    start_side(&e->after);
    start_side(&e->before);
    if (!plan_read(pool, input->plan, &e->plan, why) || (input->usage && !usage_read(input->usage, &e->usage, why)))
        return false;
    for (size_t i = 0; i < e->plan.count; i++) {
        const struct plan_resource *r = &e->plan.resources[i];
        estimate_side(e, r, false);
        estimate_side(e, r, true);
    }
    return true;
}

bool estimate_sum(const struct estimate_side *side, const char *currency, struct dec *ret_sum)
{
    bool any = false;
    *ret_sum = dec_int(0);
    for (const struct estimate_item *item = side->items; item; item = item->next) {
        if (strcmp(item->currency, currency))
            continue;
        *ret_sum = dec_add(*ret_sum, item->monthly_cost);
        any = true;
    }
    return any;
}

// --- as JSON

static json_t *money(struct dec amount)
{
    char room[DEC_TEXT];
    return json_string(dec_text(amount, 2, room));
}

static json_t *amount_text(struct dec amount)
{
    char room[DEC_TEXT];
    return json_string(dec_text(amount, 0, room));
}

static json_t *item_to_json(const struct estimate_item *item)
{
    json_t *object = json_object();
    json_object_set_new(object, "address", json_string(item->resource->address));
    json_object_set_new(object, "component", json_string(item->component));
    json_object_set_new(object, "quantity", amount_text(item->quantity));
    json_object_set_new(object, "unit", json_string(item->unit));
    json_object_set_new(object, "unit_price", amount_text(item->unit_price));
    json_object_set_new(object, "monthly_cost", money(item->monthly_cost));
    json_object_set_new(object, "currency", json_string(item->currency));
    json_object_set_new(object, "price_source", json_string(item->source));
    json_object_set_new(object, "price_date", json_string(item->date));
    return object;
}

static json_t *items_to_json(const struct estimate_side *side, bool only_changed)
{
    json_t *list = json_array();
    for (const struct estimate_item *item = side->items; item; item = item->next)
        if (!only_changed || item->resource->action != PLAN_NOTHING)
            json_array_append_new(list, item_to_json(item));
    return list;
}

static json_t *gaps_to_json(const struct estimate_side *side)
{
    json_t *list = json_array();
    for (const struct estimate_gap *gap = side->unpriced; gap; gap = gap->next)
        json_array_append_new(list, json_pack("{s:s, s:s}", "address", gap->resource->address, "reason", gap->reason));
    return list;
}

static struct dec sum_of(const struct estimate_side *side, const struct plan_resource *r, const char *currency, bool *ret_any)
{
    struct dec sum = dec_int(0);
    for (const struct estimate_item *item = side->items; item; item = item->next) {
        if ((r && item->resource != r) || strcmp(item->currency, currency))
            continue;
        sum = dec_add(sum, item->monthly_cost);
        *ret_any = true;
    }
    return sum;
}

// Sums of one resource, or of all (NULL), in a currency; NULL when there is nothing in it.
static json_t *sums_to_json(const struct estimate *e, const struct plan_resource *r, const char *currency)
{
    bool any = false;
    struct dec after = sum_of(&e->after, r, currency, &any), before = sum_of(&e->before, r, currency, &any);
    if (!any)
        return NULL;
    json_t *object = json_object();
    if (r) {
        json_object_set_new(object, "address", json_string(r->address));
        json_object_set_new(object, "action", json_string(plan_action_name(r->action)));
    }
    json_object_set_new(object, "currency", json_string(currency));
    json_object_set_new(object, "monthly_cost", money(after));
    json_object_set_new(object, "previous_monthly_cost", money(before));
    json_object_set_new(object, "difference", money(dec_sub(after, before)));
    return object;
}

static void add_sums(const struct estimate *e, const struct plan_resource *r, json_t *currencies, json_t *list)
{
    const char *currency;
    json_t *unused;
    json_object_foreach(currencies, currency, unused) {
        json_t *sums = sums_to_json(e, r, currency);
        if (sums)
            json_array_append_new(list, sums);
    }
}

static void note_currencies(const struct estimate_side *side, json_t *currencies)
{
    for (const struct estimate_item *item = side->items; item; item = item->next)
        json_object_set_new(currencies, item->currency, json_true());
}

json_t *estimate_to_json(const struct estimate *e)
{
    json_t *currencies = json_object(), *resources = json_array(), *totals = json_array();
    note_currencies(&e->after, currencies);
    note_currencies(&e->before, currencies);
    for (size_t i = 0; i < e->plan.count; i++)
        add_sums(e, &e->plan.resources[i], currencies, resources);
    add_sums(e, NULL, currencies, totals);
    json_decref(currencies);
    json_t *object = json_object();
    json_object_set_new(object, "items", items_to_json(&e->after, false));
    json_object_set_new(object, "unpriced", gaps_to_json(&e->after));
    json_object_set_new(object, "previous_items", items_to_json(&e->before, true));
    json_object_set_new(object, "resources", resources);
    json_object_set_new(object, "totals", totals);
    json_object_set_new(object, "as_of", json_string(e->book->as_of));
    json_object_set_new(object, "hours_per_month", json_integer(730));
    return object;
}
