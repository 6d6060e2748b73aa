// What the parts of the plugin object share: plugin.c has the tables, the rest are its functions. All of it runs in a call of the host.
#ifndef FINOPS_PLUGIN_PRIVATE_H
#define FINOPS_PLUGIN_PRIVATE_H
#include "plugins/finops/estimate.h"

#include <soma/plugin.h>

static inline void json_drop(json_t **j)
{
    json_decref(*j);
}
static inline void pool_drop(struct pool **p)
{
    pool_free(*p);
}
#define JSON_AUTO __attribute__((cleanup(json_drop))) json_t *
#define POOL_AUTO __attribute__((cleanup(pool_drop))) struct pool *

// --- plugin_json.c
// The document as the reply's body, in the call's arena.
int reply_json(struct soma_call *c, struct soma_reply *ret, int status, const json_t *document);
const char *json_in_call(struct soma_call *c, const json_t *document);
// The body as a JSON object; SOMA_INVALID in words otherwise. The caller drops it.
int body_object(struct soma_call *c, const struct soma_request *q, json_t **ret);
// A member that is text; NULL when it is absent or null.
const char *member_text(const json_t *object, const char *key);
// A member that is a number, or text that is one, as text in the call's arena; NULL when it is absent; SOMA_INVALID when it is neither.
int member_number(struct soma_call *c, const json_t *object, const char *key, const char **ret);
// All rows as {"items": [{column: value}]}; columns that are named in `numbers` ("a b") or hold JSON are given as they are, all others as text.
json_t *rows_as_items(struct soma_call *c, const struct soma_rows *rows);
// Whether who asks may see what belongs to the team; "": what belongs to all.
bool may_see(const struct soma_request *q, const char *team);
int audit_write(struct soma_call *c, const struct soma_request *q, const char *action, const char *subject, const char *team, const json_t *detail);

// --- plugin_book.c
struct stored_book {
    struct soma_call *call;
    struct pool *pool;
    struct book book;
    struct found *found; // answers so far: the same price is asked for many times
    int error; // of the host; the estimate is worth nothing then
};
// The book in PostgreSQL. `date` NULL: the day of the lists, or what the configuration says.
int stored_book_open(struct soma_call *c, struct pool *pool, const char *date, struct stored_book *ret);
// Reads the shipped files into PostgreSQL when they are not there yet, or have changed.
int stored_book_fill(struct soma_call *c);

// --- plugin_estimates.c
int route_estimate(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int route_order_estimate(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int gate_estimate(struct soma_call *c, const struct soma_gate_input *in, struct soma_verdict *ret);

// --- plugin_prices.c
int route_prices(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int route_price_set(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int route_price_remove(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int route_imports(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int route_import(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int route_import_remove(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int route_discounts(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int route_discount_set(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int route_discount_remove(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);

// --- plugin_budgets.c
int route_budgets(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int route_budget_set(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int route_budget_remove(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int route_quotas(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int route_quota_set(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int route_quota_remove(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
int job_measure(struct soma_call *c, const struct soma_job *job);

// --- plugin_gate.c
int gate_budget(struct soma_call *c, const struct soma_gate_input *in, struct soma_verdict *ret);

#endif
