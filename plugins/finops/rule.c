#include "plugins/finops/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// --- values

// True where `marks` has a true on the way to `path`, or at it.
static bool is_marked(const json_t *marks, const char *path)
{
    char part[128];
    for (const char *dot = path; dot && marks; dot = *dot ? dot + 1 : NULL) {
        dot += strcspn(dot, ".");
        size_t len = (size_t)(dot - path);
        if (len >= sizeof part)
            return false;
        memcpy(part, path, len);
        part[len] = 0;
        if (json_is_true(doc_at(marks, part)))
            return true;
    }
    return false;
}

static const json_t *value_at(const struct rule_context *c, const char *path)
{
    return is_marked(c->unknown, path) || is_marked(c->sensitive, path) ? NULL : doc_at(c->values, path);
}

const char *rule_text(const struct rule_context *c, const char *path)
{
    const char *text = json_string_value(value_at(c, path));
    return text && *text ? text : NULL;
}

const char *rule_text_or(const struct rule_context *c, const char *path, const char *otherwise)
{
    const char *text = rule_text(c, path);
    return text ? text : otherwise;
}

struct dec rule_number(const struct rule_context *c, const char *path)
{
    struct dec number = dec_none();
    doc_number(value_at(c, path), &number);
    return number;
}

struct dec rule_number_or(const struct rule_context *c, const char *path, long long otherwise)
{
    struct dec number = rule_number(c, path);
    return dec_is_none(number) ? dec_int(otherwise) : number;
}

bool rule_true(const struct rule_context *c, const char *path)
{
    const json_t *value = value_at(c, path);
    return json_is_true(value) || (json_is_string(value) && !strcmp(json_string_value(value), "true"));
}

bool rule_has(const struct rule_context *c, const char *path) { return value_at(c, path) != NULL; }

bool rule_unknown(const struct rule_context *c, const char *path) { return is_marked(c->unknown, path) || is_marked(c->sensitive, path); }

size_t rule_length(const struct rule_context *c, const char *path) { return json_array_size(doc_at(c->values, path)); }

const char *rule_need(struct rule_context *c, const char *path)
{
    const char *text = rule_text(c, path);
    if (text)
        return text;
    const char *why = is_marked(c->sensitive, path) ? "is sensitive, so it is not read" : rule_unknown(c, path) ? "is not known before the apply" : "is not set";
    rule_unpriced(c, rule_format(c, "%s %s", path, why));
    return NULL;
}

const json_t *rule_values_of(const struct rule_context *c, const struct plan_resource *r) { return !r ? NULL : c->is_before ? r->before : r->after; }

// A resource of the type whose `attribute` reads as `text`, nearest by module.
static const struct plan_resource *find_by_value(const struct rule_context *c, const char *type, const char *attribute, const char *text)
{
    const struct plan *plan = &c->estimate->plan;
    const struct plan_resource *found = NULL;
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_resource *r = &plan->resources[i];
        const char *value = strcmp(r->type, type) ? NULL : json_string_value(json_object_get(rule_values_of(c, r), attribute));
        if (value && !strcmp(value, text) && (!found || !strcmp(r->module, c->r->module)))
            found = r;
    }
    return found;
}

const struct plan_resource *rule_reference(const struct rule_context *c, const char *path, const char *type, const char *attribute)
{
    const struct plan_resource *found = plan_reference(&c->estimate->plan, c->r, path, type);
    const char *text = found || !attribute ? NULL : rule_text(c, path);
    return text ? find_by_value(c, type, attribute, text) : found;
}

// --- usage

struct dec rule_usage(const struct rule_context *c, const char *key)
{
    struct dec number = dec_none();
    usage_number(&c->estimate->usage, c->r->address, c->r->type, key, &number);
    return number;
}

struct dec rule_usage_or(const struct rule_context *c, const char *key, long long otherwise)
{
    struct dec number = rule_usage(c, key);
    return dec_is_none(number) ? dec_int(otherwise) : number;
}

const char *rule_usage_text(const struct rule_context *c, const char *key) { return usage_text(&c->estimate->usage, c->r->address, c->r->type, key); }

// --- lines

const char *rule_format(const struct rule_context *c, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return pool_copy(c->estimate->pool, text);
}

struct dec rule_hours(struct dec count) { return dec_mul(count, dec_int(730)); }

void rule_unpriced(struct rule_context *c, const char *reason)
{
    struct estimate_gap *gap = pool_take(c->estimate->pool, sizeof *gap);
    gap->resource = c->r;
    gap->reason = reason;
    *c->side->unpriced_end = gap;
    c->side->unpriced_end = &gap->next;
}

static void add_item(struct rule_context *c, const char *component, const struct price *price, struct dec quantity)
{
    struct dec cost = dec_mul(quantity, price->amount);
    if (dec_is_none(cost)) {
        rule_unpriced(c, rule_format(c, "%s: the amount is out of range", component));
        return;
    }
    struct estimate_item *item = pool_take(c->estimate->pool, sizeof *item);
    *item = (struct estimate_item){ .resource = c->r, .component = component, .unit = price->unit, .currency = price->currency, .source = price->source, .date = price->date,
        .quantity = quantity, .unit_price = price->amount, .monthly_cost = cost };
    *c->side->items_end = item;
    c->side->items_end = &item->next;
}

static const char *tier_name(const struct rule_context *c, const char *component, const struct price *tier)
{
    char from[DEC_TEXT], to[DEC_TEXT];
    if (dec_is_none(tier->to))
        return rule_format(c, "%s (over %s)", component, dec_text(tier->from, 0, from));
    if (dec_is_zero(tier->from))
        return rule_format(c, "%s (first %s)", component, dec_text(tier->to, 0, to));
    return rule_format(c, "%s (%s to %s)", component, dec_text(tier->from, 0, from), dec_text(tier->to, 0, to));
}

static void add_tiers(struct rule_context *c, const char *component, const struct price_list *list, struct dec quantity)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct price *tier = &list->tiers[i];
        struct dec upper = dec_is_none(tier->to) ? quantity : dec_min(quantity, tier->to);
        struct dec part = dec_sub(upper, tier->from);
        if (i == 0 || dec_cmp(part, dec_int(0)) > 0)
            add_item(c, list->count > 1 ? tier_name(c, component, tier) : component, tier, part);
    }
}

static bool find_price(const struct rule_context *c, const struct rule_line *line, struct price_list *ret_list)
{
    struct price_key key = { c->provider, line->service, line->region ? line->region : c->r->region, line->sku, line->term ? line->term : "on_demand" };
    return key.region && c->estimate->book->find(c->estimate->book->data, c->estimate->pool, &key, ret_list) && ret_list->count;
}

bool rule_has_price(const struct rule_context *c, const char *service, const char *sku, const char *term, const char *region)
{
    struct rule_line line = { .service = service, .sku = sku, .term = term, .region = region };
    struct price_list list;
    return find_price(c, &line, &list);
}

static const char *no_price(const struct rule_context *c, const struct rule_line *line)
{
    const char *region = line->region ? line->region : c->r->region;
    if (!region)
        return rule_format(c, "%s: the region is not known from the plan", line->component);
    return rule_format(c, "%s: the price book has no price for %s %s%s%s in %s", line->component, line->service, line->sku, line->term ? ", " : "", line->term ? line->term : "",
        region);
}

void rule_add(struct rule_context *c, const struct rule_line *line)
{
    struct price_list list;
    if (!find_price(c, line, &list)) {
        if (!line->optional)
            rule_unpriced(c, no_price(c, line));
    } else if (dec_is_none(line->quantity)) {
        rule_unpriced(c, rule_format(c, "%s: the quantity is not known%s%s", line->component, line->needs ? "; it comes from " : "", line->needs ? line->needs : ""));
    } else if (dec_cmp(line->quantity, dec_int(0)) < 0) {
        rule_unpriced(c, rule_format(c, "%s: the quantity is negative", line->component));
    } else {
        add_tiers(c, line->component, &list, line->quantity);
    }
}

void rule_add_assumed(struct rule_context *c, const char *component, const char *unit, struct dec quantity, struct dec price)
{
    bool china = c->r->region && !strncmp(c->r->region, "cn-", 3);
    add_item(c, component, &(struct price){ .amount = price, .unit = unit, .currency = china ? "CNY" : "USD", .source = "usage assumptions", .date = c->estimate->book->as_of },
        quantity);
}
