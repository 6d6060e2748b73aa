// The price book as the estimate sees it: one question, answered by the shipped files (book_file.h) or by PostgreSQL.
//
// A price is named by provider, service, region, sku and term. The sku is a path of Soma's own, the same for every vendor list: `instance/t3.medium/linux/shared`,
// `storage/gp3/single-az`. docs/finops.md lists them. A price with tiers is several rows, by `from`.
#ifndef FINOPS_BOOK_H
#define FINOPS_BOOK_H
#include "plugins/finops/dec.h"
#include "plugins/finops/pool.h"

#define BOOK_TIERS 16

struct price_key {
    const char *provider, *service, *region, *sku, *term; // term: "on_demand", "spot", "reserved/standard/1_year/no_upfront"
};

struct price {
    struct dec amount, from, to; // `to` is dec_none() when there is no end; both in the price's own unit
    const char *unit, *currency, *source, *date; // date: YYYY-MM-DD from which the source says it holds
};

struct price_list {
    size_t count;
    struct price tiers[BOOK_TIERS];
};

struct book {
    // False when there is no such price at the book's date. Text lives as long as `pool`, or longer.
    bool (*find)(void *data, struct pool *pool, const struct price_key *key, struct price_list *ret_list);
    void *data;
    const char *as_of; // the date prices are taken at, YYYY-MM-DD
};

#endif
