// What a rule of a resource type works with. A rule reads values of one resource and states lines: component, price, quantity. It knows nothing of plans, sides or books.
#ifndef FINOPS_RULES_H
#define FINOPS_RULES_H
#include "plugins/finops/estimate.h"

struct rule_context {
    struct estimate *estimate;
    struct estimate_side *side;
    bool is_before; // the side before the change: values are the old ones
    const struct plan_resource *r;
    const json_t *values;
    const json_t *unknown, *sensitive; // of these values; NULL: nothing is
    const char *provider; // "aws"
};

typedef void rule_fn(struct rule_context *c);

// NULL when the type has no rule; *ret_free is set for types that cost nothing themselves.
rule_fn *rule_find(const char *type, bool *ret_free);

// --- reading values. Paths as in doc_at(). A value that is unknown reads as absent.
const char *rule_text(const struct rule_context *c, const char *path);
const char *rule_text_or(const struct rule_context *c, const char *path, const char *otherwise);
struct dec rule_number(const struct rule_context *c, const char *path); // dec_none() when absent
struct dec rule_number_or(const struct rule_context *c, const char *path, long long otherwise);
bool rule_true(const struct rule_context *c, const char *path);
bool rule_has(const struct rule_context *c, const char *path);
bool rule_unknown(const struct rule_context *c, const char *path);
size_t rule_length(const struct rule_context *c, const char *path);
// The values, on the same side, of another resource; NULL when it is not there on this side.
const json_t *rule_values_of(const struct rule_context *c, const struct plan_resource *r);
// The resource that attribute `path` refers to, or the one of the type whose `attribute` has the value that `path` has.
const struct plan_resource *rule_reference(const struct rule_context *c, const char *path, const char *type, const char *attribute);

// --- usage assumptions of this resource: dec_none() when nothing is assumed
struct dec rule_usage(const struct rule_context *c, const char *key);
struct dec rule_usage_or(const struct rule_context *c, const char *key, long long otherwise);
const char *rule_usage_text(const struct rule_context *c, const char *key);

// --- lines
struct rule_line {
    const char *component;
    const char *service, *sku;
    const char *term; // NULL: on_demand
    const char *region; // NULL: the resource's
    struct dec quantity; // in the price's unit; dec_none(): not known, `needs` says what would tell
    const char *needs; // a usage key or an attribute, for the words in `unpriced`
    bool optional; // nothing is said when the book has no such price
};

// Text the rule cannot do without: NULL, and a word in `unpriced`, when it is absent, unknown or sensitive.
const char *rule_need(struct rule_context *c, const char *path);

// Adds one item for each tier that the quantity reaches; adds to `unpriced` what cannot be.
void rule_add(struct rule_context *c, const struct rule_line *line);
// An item whose price the assumptions tell.
void rule_add_assumed(struct rule_context *c, const char *component, const char *unit, struct dec quantity, struct dec price);
// Hours of a month times `count`.
struct dec rule_hours(struct dec count);
void rule_unpriced(struct rule_context *c, const char *reason);
// Whether the book has the price at all.
bool rule_has_price(const struct rule_context *c, const char *service, const char *sku, const char *term, const char *region);
const char *rule_format(const struct rule_context *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
