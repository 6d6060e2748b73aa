// Prices, imports and discounts: what administrators see and set.
#include "plugins/finops/import.h"
#include "plugins/finops/plugin_private.h"

#include <stdlib.h>
#include <string.h>

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

int route_prices(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    struct soma_rows *rows;
    const char *limit = soma_query(q, "limit");
    int r = soma_run(c, &rows,
        "select p.id, provider, service, region, sku, term, unit, trim_scale(tier_from) as from, trim_scale(tier_to) as to, trim_scale(amount) as price, currency, p.source, dated, "
        "valid_from, valid_to, case rank when 3 then 'own' when 2 then 'imported' else 'shipped' end as kind "
        "from price p where ($1 = '' or provider = $1) and ($2 = '' or service = $2) and ($3 = '' or region in ($3, '*')) and starts_with(sku, $4) and ($5 = '' or term = $5) "
        "order by provider, service, sku, region, term, rank desc, coalesce(valid_from, dated) desc, tier_from limit least($6::int, 1000)",
        or_empty(soma_query(q, "provider")), or_empty(soma_query(q, "service")), or_empty(soma_query(q, "region")), or_empty(soma_query(q, "sku")), or_empty(soma_query(q, "term")),
        limit ? limit : "100");
    if (r)
        return r;
    JSON_AUTO document = rows_as_items(c, rows);
    return reply_json(c, ret, 200, document);
}

// Reads and checks `price` and the ends of its tier.
static int read_amounts(struct soma_call *c, const json_t *body, const char *ret[3])
{
    static const char *const keys[] = { "price", "from", "to" };
    int r = 0;
    for (size_t i = 0; !r && i < 3; i++)
        r = member_number(c, body, keys[i], &ret[i]);
    if (!r && !ret[0])
        r = soma_fail_field(c, "/price", "it is needed: what one unit costs");
    return r;
}

// begin, `work`, audit, commit.
static int finish(struct soma_call *c, const struct soma_request *q, int r, const char *action, const char *subject, const json_t *detail)
{
    if (!r)
        r = audit_write(c, q, action, subject, NULL, detail);
    if (!r)
        r = c->host->commit(c);
    if (r)
        c->host->rollback(c);
    return r;
}

int route_price_set(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    JSON_AUTO body = NULL;
    struct soma_rows *rows = NULL;
    const char *n[3];
    int r = body_object(c, q, &body);
    if (!r)
        r = read_amounts(c, body, n);
    if (!r)
        r = c->host->begin(c);
    if (r)
        return r;
    r = soma_run(c, &rows,
        "insert into price (rank, provider, service, region, sku, term, unit, tier_from, tier_to, amount, currency, source, dated, valid_from, valid_to) "
        "values (3, $1, $2, $3, $4, coalesce($5, 'on_demand'), $6, coalesce($7, '0')::numeric, $8::numeric, $9::numeric, coalesce($10, 'USD'), coalesce($11, 'own price'), "
        "coalesce($12::date, current_date), coalesce($12::date, current_date), $13::date) "
        "on conflict (provider, service, region, sku, term, tier_from, coalesce(valid_from, dated)) where rank = 3 "
        "do update set unit = excluded.unit, tier_to = excluded.tier_to, amount = excluded.amount, currency = excluded.currency, source = excluded.source, valid_to = excluded.valid_to "
        "returning id",
        member_text(body, "provider"), member_text(body, "service"), member_text(body, "region"), member_text(body, "sku"), member_text(body, "term"), member_text(body, "unit"), n[1],
        n[2], n[0], member_text(body, "currency"), member_text(body, "source"), member_text(body, "valid_from"), member_text(body, "valid_to"));
    const char *id = r ? "" : c->host->value(rows, 0, 0);
    r = finish(c, q, r, "finops.price.set", soma_format(c, "price:%s", id), body);
    if (r)
        return r;
    json_object_set_new(body, "id", json_string(id));
    return reply_json(c, ret, 200, body);
}

// Deletes one row of a table by its key, with the audit entry.
static int remove_row(struct soma_call *c, const struct soma_request *q, const char *sql, const char *key, const char *action, const char *kind, struct soma_reply *ret)
{
    struct soma_rows *rows = NULL;
    int r = c->host->begin(c);
    if (r)
        return r;
    r = soma_run(c, &rows, sql, key);
    if (r == SOMA_INVALID || (!r && c->host->affected(rows) == 0))
        r = soma_fail(c, SOMA_NOT_FOUND, "there is no %s %s, or it is not one that can be removed", kind, key);
    ret->status = 204;
    return finish(c, q, r, action, soma_format(c, "%s:%s", kind, key), NULL);
}

int route_price_remove(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    return remove_row(c, q, "delete from price where id = $1::bigint and rank = 3", soma_param(q, "id"), "finops.price.remove", "price", ret);
}

// --- imports

int route_imports(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    struct soma_rows *rows;
    (void)q;
    int r = soma_run(c, &rows, "select id, kind, name, format, source, as_of, prices, skipped, imported_by, imported_at from price_import order by id desc limit 200");
    if (r)
        return r;
    JSON_AUTO document = rows_as_items(c, rows);
    return reply_json(c, ret, 200, document);
}

// CSV for COPY: a field in quotes, quotes doubled.
static const char *quoted(struct soma_call *c, const char *text)
{
    char *out = soma_alloc(c, strlen(text) * 2 + 3), *w = out;
    *w++ = '"';
    for (; *text; text++) {
        if (*text == '"')
            *w++ = '"';
        *w++ = *text;
    }
    *w++ = '"';
    *w = 0;
    return out;
}

struct copying {
    struct soma_call *call;
    const char *import, *source, *as_of;
    char *room; // one block, used again for each row: an arena would grow with the list
    size_t size;
    int error;
};

static bool copy_price(void *data, const struct import_price *p)
{
    struct copying *k = data;
    char amount[DEC_TEXT], from[DEC_TEXT], to[DEC_TEXT];
    int len = snprintf(k->room, k->size, "%s,2,\"%s\",\"%s\",\"%s\",\"%s\",\"%s\",\"%s\",%s,%s,%s,%s,%s,%s,%.10s,\n", k->import, p->provider, p->service, p->region, p->sku, p->term, p->unit,
        dec_text(p->from, 0, from), dec_text(p->to, 0, to), dec_text(p->amount, 0, amount), p->currency, k->source, k->as_of, p->valid_from);
    if (len < 0 || (size_t)len >= k->size)
        return true; // longer than any name of a vendor: not ours to keep
    k->error = k->call->host->copy_data(k->call, k->room, (size_t)len);
    return !k->error;
}

// `as_of` of the list: what the list says, else today.
static int start_import(struct soma_call *c, const struct soma_request *q, const struct import_head *head, struct copying *k)
{
    struct soma_rows *rows;
    const char *name = soma_query(q, "name"), *source = soma_query(q, "source");
    const char *said = source && *source ? source : soma_format(c, "%s, %s", head->title, head->published);
    int r = soma_run(c, &rows, "insert into price_import (kind, name, format, source, as_of, imported_by) values ('import', $1, $2, $3, least(left($4, 10)::date, current_date), $5) returning id, as_of",
        name && *name ? name : head->title, head->format, said, head->published, q->actor_name ? q->actor_name : "");
    if (r)
        return r;
    k->import = c->host->value(rows, 0, 0);
    k->as_of = c->host->value(rows, 0, 1);
    k->source = quoted(c, said);
    k->size = 8192;
    k->room = soma_alloc(c, k->size);
    return c->host->copy_begin(c, "copy price (import_id, rank, provider, service, region, sku, term, unit, tier_from, tier_to, amount, currency, source, dated, valid_from, valid_to) "
                                  "from stdin (format csv)");
}

static int copy_all(struct soma_call *c, const struct soma_request *q, const struct import_file *file, json_t **ret)
{
    struct copying k = { .call = c };
    struct import_result done = { 0 };
    char why[DOC_WHY] = "";
    int64_t copied = 0;
    int r = start_import(c, q, import_head(file), &k);
    if (r)
        return r;
    bool good = import_read(file, copy_price, &k, &done, why);
    if (k.error)
        return k.error;
    if (!good)
        return soma_fail(c, SOMA_INVALID, "the price list cannot be read: %s", why);
    r = c->host->copy_end(c, &copied);
    if (!r && !copied)
        return soma_fail(c, SOMA_INVALID, "the list has %zu prices, none of which is of a kind that Soma knows: docs/finops.md names them", done.skipped);
    if (!r)
        r = soma_run(c, NULL, "update price_import set prices = $2::bigint, skipped = $3::bigint where id = $1::bigint", k.import, soma_format(c, "%lld", (long long)copied),
            soma_format(c, "%zu", done.skipped));
    if (!r)
        *ret = json_pack("{s:s, s:s, s:s, s:I, s:I}", "id", k.import, "format", import_head(file)->format, "as_of", k.as_of, "prices", (json_int_t)copied, "skipped",
            (json_int_t)done.skipped);
    return r;
}

int route_import(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    char why[DOC_WHY] = "";
    JSON_AUTO result = NULL;
    struct import_file *file = import_open(q->body ? q->body : "", q->body_len, why);
    if (!file)
        return soma_fail(c, SOMA_INVALID, "the price list cannot be read: %s", why);
    int r = c->host->begin(c);
    if (!r)
        r = copy_all(c, q, file, &result);
    import_close(file);
    r = finish(c, q, r, "finops.prices.import", soma_format(c, "import:%s", r ? "" : member_text(result, "id")), result);
    if (r)
        return r;
    c->host->metric(c, "finops_prices_imported_total", (double)json_integer_value(json_object_get(result, "prices")), (const char *const[]){ member_text(result, "format") }, 1);
    return reply_json(c, ret, 200, result);
}

int route_import_remove(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    return remove_row(c, q, "delete from price_import where id = $1::bigint and kind = 'import'", soma_param(q, "id"), "finops.prices.remove", "import", ret);
}

// --- discounts

int route_discounts(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    struct soma_rows *rows;
    (void)q;
    int r = soma_run(c, &rows,
        "select name, provider, service, region, sku_prefix, trim_scale(percent) as percent, reason, valid_from, valid_to, changed_by, changed_at from discount order by name");
    if (r)
        return r;
    JSON_AUTO document = rows_as_items(c, rows);
    return reply_json(c, ret, 200, document);
}

int route_discount_set(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    JSON_AUTO body = NULL;
    const char *percent = NULL, *name = soma_param(q, "name");
    int r = body_object(c, q, &body);
    if (!r)
        r = member_number(c, body, "percent", &percent);
    if (!r && !percent)
        r = soma_fail_field(c, "/percent", "it is needed: how many per cent are taken off");
    if (!r)
        r = c->host->begin(c);
    if (r)
        return r;
    r = soma_run(c, NULL,
        "insert into discount (name, provider, service, region, sku_prefix, percent, reason, valid_from, valid_to, changed_by) values ($1, coalesce($2, 'aws'), coalesce($3, ''), "
        "coalesce($4, ''), coalesce($5, ''), $6::numeric, coalesce($7, ''), coalesce($8::date, current_date), $9::date, $10) on conflict (name) do update set provider = excluded.provider, "
        "service = excluded.service, region = excluded.region, sku_prefix = excluded.sku_prefix, percent = excluded.percent, reason = excluded.reason, valid_from = excluded.valid_from, "
        "valid_to = excluded.valid_to, changed_by = excluded.changed_by, changed_at = now()",
        name, member_text(body, "provider"), member_text(body, "service"), member_text(body, "region"), member_text(body, "sku_prefix"), percent, member_text(body, "reason"),
        member_text(body, "valid_from"), member_text(body, "valid_to"), or_empty(q->actor_name));
    json_object_set_new(body, "name", json_string(name));
    r = finish(c, q, r, "finops.discount.set", soma_format(c, "discount:%s", name), body);
    return r ? r : reply_json(c, ret, 200, body);
}

int route_discount_remove(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
{
    return remove_row(c, q, "delete from discount where name = $1", soma_param(q, "name"), "finops.discount.remove", "discount", ret);
}
