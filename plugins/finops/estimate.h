// What a plan will cost a month: line items from the plan's values, usage assumptions and a price book.
//
// A month has 730 hours. What has no price, and what has a price but no known quantity, is named in `unpriced` and is never a zero. A resource that costs nothing is in
// neither list. Amounts are exact; monthly_cost is not rounded before it is printed. One thread at a time for an estimate; any number of estimates at once.
#ifndef FINOPS_ESTIMATE_H
#define FINOPS_ESTIMATE_H
#include "plugins/finops/book.h"
#include "plugins/finops/plan.h"
#include "plugins/finops/usage.h"

struct estimate_item {
    const struct plan_resource *resource;
    const char *component, *unit, *currency, *source, *date;
    struct dec quantity, unit_price, monthly_cost;
    struct estimate_item *next;
};

struct estimate_gap {
    const struct plan_resource *resource;
    const char *reason;
    struct estimate_gap *next;
};

// One side of a change: what is there after it, or what was there before.
struct estimate_side {
    struct estimate_item *items, **items_end;
    struct estimate_gap *unpriced, **unpriced_end;
};

struct estimate {
    struct pool *pool;
    struct plan plan;
    struct usage usage;
    const struct book *book;
    struct estimate_side after, before;
};

struct estimate_input {
    const json_t *plan; // what `show -json` printed
    const json_t *usage; // NULL: no assumptions
    const struct book *book;
};

// False, and words in `why`, when the plan or the usage file is not one. The input and the pool must outlive the estimate.
bool estimate_make(struct pool *pool, const struct estimate_input *input, struct estimate *ret_estimate, char why[DOC_WHY]);

// {"items": [...], "unpriced": [...], "resources": [...], "totals": [...], "as_of": ...}; the caller owns it. docs/finops.md describes it.
json_t *estimate_to_json(const struct estimate *estimate);

// The monthly sum in one currency. False when nothing of that side is priced in it.
bool estimate_sum(const struct estimate_side *side, const char *currency, struct dec *ret_sum);

#endif
