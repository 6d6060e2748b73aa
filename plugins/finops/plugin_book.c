// The price book in PostgreSQL: the engine's question answered by price_find(), and the shipped files copied into the table once.
#include "plugins/finops/book_file.h"
#include "plugins/finops/plugin_private.h"

#include <stdlib.h>
#include <string.h>

struct found {
    struct price_key key;
    struct price_list list;
    struct found *next;
};

static struct dec number(const char *text)
{
    struct dec value;
    return text && dec_parse(text, &value) ? value : dec_none();
}

// The price less the discount, and a source that says so.
static void take_off(struct stored_book *b, struct price *price, const char *percent, const char *name)
{
    struct dec rest = dec_sub(dec_int(100), number(percent));
    price->amount = dec_div(dec_mul(price->amount, rest), dec_int(100));
    price->source = soma_format(b->call, "%s, less %s %% (discount %s)", price->source, percent, name);
}

static void read_tiers(struct stored_book *b, const struct soma_rows *rows, struct price_list *list)
{
    const struct soma_host *h = b->call->host;
    for (size_t i = 0; i < h->rows(rows) && list->count < BOOK_TIERS; i++) {
        struct price *p = &list->tiers[list->count++];
        *p = (struct price){ .amount = number(h->value(rows, i, 0)), .from = number(h->value(rows, i, 1)), .to = number(h->value(rows, i, 2)), .unit = h->value(rows, i, 3),
            .currency = h->value(rows, i, 4), .source = h->value(rows, i, 5), .date = h->value(rows, i, 6) };
        if (h->value(rows, i, 7))
            take_off(b, p, h->value(rows, i, 7), h->value(rows, i, 8));
    }
}

static const struct found *look_up(const struct stored_book *b, const struct price_key *k)
{
    for (const struct found *f = b->found; f; f = f->next)
        if (!strcmp(f->key.sku, k->sku) && !strcmp(f->key.region, k->region) && !strcmp(f->key.term, k->term) && !strcmp(f->key.service, k->service) &&
            !strcmp(f->key.provider, k->provider))
            return f;
    return NULL;
}

static const struct found *ask(struct stored_book *b, const struct price_key *k)
{
    struct soma_rows *rows;
    struct found *f = pool_take(b->pool, sizeof *f);
    b->error = soma_run(b->call, &rows, "select amount, tier_from, tier_to, unit, currency, source, dated, trim_scale(percent), discount from price_find($1, $2, $3, $4, $5, $6::date)",
        k->provider, k->service, k->region, k->sku, k->term, b->book.as_of);
    if (b->error)
        return NULL;
    *f = (struct found){ .key = *k, .next = b->found };
    read_tiers(b, rows, &f->list);
    b->found = f;
    return f;
}

static bool find(void *data, struct pool *pool, const struct price_key *key, struct price_list *ret_list)
{
    struct stored_book *b = data;
    (void)pool;
    if (b->error)
        return false;
    const struct found *f = look_up(b, key);
    if (!f)
        f = ask(b, key);
    if (!f || !f->list.count)
        return false;
    *ret_list = f->list;
    return true;
}

int stored_book_open(struct soma_call *c, struct pool *pool, const char *date, struct stored_book *ret)
{
    struct soma_rows *rows;
    const char *set = date ? date : c->host->config(c, "prices_as_of");
    *ret = (struct stored_book){ .call = c, .pool = pool };
    int r = soma_run(c, &rows, "select coalesce(nullif($1, '')::date, price_as_of())", set ? set : "");
    if (r == SOMA_INVALID)
        return soma_fail(c, SOMA_INVALID, "%s is not a date: write it as 2025-06-30", set);
    if (r)
        return r;
    ret->book = (struct book){ .find = find, .data = ret, .as_of = c->host->value(rows, 0, 0) };
    return 0;
}

// --- the shipped files

// COPY takes any pieces: rows are sent by the block, for a plugin in a process of its own each piece is a message.
struct block {
    struct soma_call *call;
    char *text;
    size_t used;
};
#define BLOCK ((size_t)128 << 10)
#define ROW ((size_t)4 << 10)

static int send_block(struct block *b)
{
    int r = b->used ? b->call->host->copy_data(b->call, b->text, b->used) : 0;
    b->used = 0;
    return r;
}

static int copy_row(struct block *b, const char *import, const struct book_row *row)
{
    char amount[DEC_TEXT], from[DEC_TEXT], to[DEC_TEXT];
    const struct price *p = &row->price;
    int len = snprintf(b->text + b->used, ROW, "%s,1,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,\"%s\",%.10s,%s,%s\n", import, row->provider, row->service, row->region, row->sku, row->term, p->unit,
        dec_text(p->from, 0, from), dec_text(p->to, 0, to), dec_text(p->amount, 0, amount), p->currency, p->source, p->date, row->valid_from, row->valid_to);
    if (len < 0 || (size_t)len >= ROW)
        return soma_fail(b->call, SOMA_INVALID, "a row of %s is longer than 4 KiB", row->file);
    b->used += (size_t)len;
    return b->used + ROW > BLOCK ? send_block(b) : 0;
}

// The rows of one file, from *i on.
static int copy_file(struct soma_call *c, const struct book_file *file, const char *digest, size_t *i)
{
    struct soma_rows *rows;
    const struct book_row *first = book_file_row(file, *i);
    struct block b = { .call = c, .text = soma_alloc(c, BLOCK) };
    int64_t copied = 0;
    int r = soma_run(c, &rows, "insert into price_import (kind, name, format, source, digest, as_of) values ('builtin', $1, 'soma', $2, $3, $4::date) returning id", first->file,
        first->price.source, digest, book_file_date(file, first->file));
    const char *import = r ? NULL : c->host->value(rows, 0, 0);
    if (!r)
        r = c->host->copy_begin(c, "copy price (import_id, rank, provider, service, region, sku, term, unit, tier_from, tier_to, amount, currency, source, dated, valid_from, valid_to) "
                                   "from stdin (format csv)");
    for (; !r && *i < book_file_count(file) && !strcmp(book_file_row(file, *i)->file, first->file); ++*i)
        r = copy_row(&b, import, book_file_row(file, *i));
    if (!r)
        r = send_block(&b);
    if (!r)
        r = c->host->copy_end(c, &copied);
    return r ? r : soma_run(c, NULL, "update price_import set prices = $2::bigint where id = $1::bigint", import, soma_format(c, "%lld", (long long)copied));
}

static int copy_folder(struct soma_call *c, const char *folder, const char *digest)
{
    char why[DOC_WHY] = "";
    struct book_file *file = book_file_new();
    int r = book_file_load_folder(file, folder, why) ? 0 : soma_fail(c, SOMA_INVALID, "the shipped prices cannot be read: %s", why);
    if (!r)
        r = soma_run(c, NULL, "delete from price_import where kind = 'builtin'");
    for (size_t i = 0; !r && i < book_file_count(file);)
        r = copy_file(c, file, digest, &i);
    book_file_free(file);
    return r;
}

static int replace_builtin(struct soma_call *c, const char *folder, const char *digest)
{
    struct soma_rows *rows;
    int r = soma_run(c, NULL, "select pg_advisory_xact_lock(hashtext('finops prices'))");
    if (!r)
        r = soma_run(c, &rows, "select count(*) from price_import where kind = 'builtin' and digest = $1", digest);
    if (r || strcmp(c->host->value(rows, 0, 0), "0"))
        return r;
    return copy_folder(c, folder, digest);
}

// Both processes of every node come here at once: one fills, the others wait and find it done.
int stored_book_fill(struct soma_call *c)
{
    char why[DOC_WHY] = "", digest[17];
    const char *folder = soma_format(c, "%s/prices", c->host->folder(c));
    if (!book_file_fingerprint(folder, digest, why))
        return soma_fail(c, SOMA_INVALID, "the shipped prices cannot be read: %s", why);
    int r = c->host->begin(c);
    if (!r)
        r = replace_builtin(c, folder, digest);
    if (!r)
        r = c->host->commit(c);
    if (r)
        c->host->rollback(c);
    return r;
}
