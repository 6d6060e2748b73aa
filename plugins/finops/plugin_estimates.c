// Estimates: of a plan that is sent, and of an order's plan at the gate `estimate`, which keeps them.
#include "plugins/finops/plugin_private.h"

#include <string.h>

#define SHOWN_ITEMS 200 // in a decision's detail; the stored estimate has all

struct made {
    struct pool *pool;
    struct stored_book book;
    struct estimate estimate;
};

// `pointer`: where the plan is, for the words; NULL: no field to name.
static int make(struct soma_call *c, const json_t *plan, const json_t *usage, const char *date, bool by_field, struct made *m)
{
    char why[DOC_WHY] = "";
    int r = stored_book_open(c, m->pool, date, &m->book);
    if (r)
        return r;
    bool good = estimate_make(m->pool, &(struct estimate_input){ plan, usage, &m->book.book }, &m->estimate, why);
    if (m->book.error)
        return m->book.error;
    if (good)
        return 0;
    return by_field ? soma_fail_field(c, strstr(why, "usage") || strstr(why, "mapping") ? "/usage" : "/plan", "%s", why) : soma_fail(c, SOMA_INVALID, "%s", why);
}

// The `usage` of a request: text of a file, or the object itself. *ret is the caller's.
static int read_usage(struct soma_call *c, const json_t *value, json_t **ret)
{
    char why[DOC_WHY] = "";
    if (!value || json_is_null(value))
        return 0;
    if (json_is_object(value)) {
        *ret = json_incref((json_t *)value);
        return 0;
    }
    if (!json_is_string(value))
        return soma_fail_field(c, "/usage", "it must be the text of a usage file, or its content as an object");
    *ret = doc_read_yaml(json_string_value(value), json_string_length(value), why);
    return *ret ? 0 : soma_fail_field(c, "/usage", "%s", why);
}

int route_estimate(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    JSON_AUTO body = NULL;
    JSON_AUTO usage = NULL;
    POOL_AUTO pool = pool_new();
    struct made m = { .pool = pool };
    int r = body_object(c, q, &body);
    if (!r && !json_object_get(body, "plan"))
        r = soma_fail_field(c, "/plan", "it is needed: what `terraform show -json PLANFILE` prints");
    if (!r)
        r = read_usage(c, json_object_get(body, "usage"), &usage);
    if (!r)
        r = make(c, json_object_get(body, "plan"), usage, member_text(body, "date"), true, &m);
    c->host->metric(c, "finops_estimates_total", 1, (const char *const[]){ "request", r ? "refused" : "made" }, 2);
    if (r)
        return r;
    JSON_AUTO document = estimate_to_json(&m.estimate);
    return reply_json(c, ret, 200, document);
}

int route_order_estimate(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    struct soma_rows *rows;
    int r = soma_run(c, &rows, "select order_id, service, team, environment, cost_centre, made_at, result as result_json from estimate where order_id = $1::uuid", soma_param(q, "order"));
    if (r == SOMA_INVALID || (!r && (!c->host->rows(rows) || !may_see(q, c->host->value(rows, 0, 2)))))
        return soma_fail(c, SOMA_NOT_FOUND, "there is no estimate of that order: one is made when the order's plan is");
    if (r)
        return r;
    JSON_AUTO all = rows_as_items(c, rows);
    return reply_json(c, ret, 200, json_array_get(json_object_get(all, "items"), 0));
}

// --- the gate

// What a decision keeps: sums, unpriced things, and the first items.
static json_t *detail_of(const json_t *document)
{
    json_t *detail = json_copy((json_t *)document), *items = json_object_get(detail, "items");
    size_t count = json_array_size(items);
    json_object_del(detail, "previous_items");
    json_object_del(detail, "resources");
    if (count > SHOWN_ITEMS) {
        json_t *some = json_array();
        for (size_t i = 0; i < SHOWN_ITEMS; i++)
            json_array_append(some, json_array_get(items, i));
        json_object_set_new(detail, "items", some);
        json_object_set_new(detail, "items_left_out", json_integer((json_int_t)(count - SHOWN_ITEMS)));
    }
    return detail;
}

// "about 146.00 USD a month, 10.00 more than now; 2 things have no price"
static const char *words_of(struct soma_call *c, const json_t *document)
{
    const json_t *totals = json_object_get(document, "totals");
    size_t gaps = json_array_size(json_object_get(document, "unpriced"));
    const char *words = "";
    for (size_t i = 0; i < json_array_size(totals); i++) {
        const json_t *t = json_array_get(totals, i);
        struct dec cost, difference;
        char cost_text[DEC_TEXT], difference_text[DEC_TEXT];
        doc_number(json_object_get(t, "monthly_cost"), &cost);
        doc_number(json_object_get(t, "difference"), &difference);
        words = soma_format(c, "%s%s%s %s a month (%s%s)", words, *words ? ", " : "about ", dec_text(dec_round(cost, 2), 2, cost_text), member_text(t, "currency"),
            dec_cmp(difference, dec_int(0)) < 0 ? "" : "+", dec_text(dec_round(difference, 2), 2, difference_text));
    }
    if (!*words)
        words = "nothing in the plan has a known monthly price";
    return gaps ? soma_format(c, "%s; %zu %s no price", words, gaps, gaps == 1 ? "line has" : "lines have") : words;
}

static int keep(struct soma_call *c, const json_t *input, const json_t *document)
{
    const json_t *service = json_object_get(input, "service");
    return soma_run(c, NULL,
        "insert into estimate (order_id, service_id, service, team, environment, cost_centre, result) values ($1::uuid, $2::uuid, $3, $4, $5, coalesce($6, ''), $7::jsonb) "
        "on conflict (order_id) do update set result = excluded.result, made_at = now()",
        member_text(input, "order"), member_text(service, "id"), member_text(service, "name"), member_text(input, "team"), member_text(input, "environment"),
        member_text(input, "cost_centre"), json_in_call(c, document));
}

int gate_estimate(struct soma_call *c, const struct soma_gate_input *in, struct soma_verdict *ret)
{
    char why[DOC_WHY] = "";
    const char *assumed = c->host->config(c, "usage");
    JSON_AUTO input = doc_read_json(in->input, in->input_len, why);
    JSON_AUTO usage = assumed && *assumed ? doc_read_yaml(assumed, strlen(assumed), why) : NULL;
    POOL_AUTO pool = pool_new();
    struct made m = { .pool = pool };
    if (!input)
        return soma_fail(c, SOMA_INTERNAL, "the gate's input is not readable: %s", why);
    if (assumed && *assumed && !usage)
        return soma_fail(c, SOMA_INVALID, "the setting `usage` of the plugin finops is not a usage file: %s", why);
    int r = make(c, json_object_get(input, "plan"), usage, NULL, false, &m);
    c->host->metric(c, "finops_estimates_total", 1, (const char *const[]){ "order", r ? "refused" : "made" }, 2);
    if (r)
        return r;
    JSON_AUTO document = estimate_to_json(&m.estimate);
    JSON_AUTO detail = detail_of(document);
    ret->message = words_of(c, document);
    ret->detail = json_in_call(c, detail);
    return member_text(input, "order") ? keep(c, input, document) : 0;
}
