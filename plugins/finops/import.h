// Vendors' price lists as prices of Soma's own skus: AWS Price List files (offer JSON and CSV), Azure Retail Prices, and the shipped CSV format. Plain or gzip.
//
// A list has far more products than Soma has skus for; what has none is counted as skipped. JSON is read whole, CSV line by line. One thread at a time for a file.
#ifndef FINOPS_IMPORT_H
#define FINOPS_IMPORT_H
#include "plugins/finops/book.h"
#include "plugins/finops/doc.h"

struct import_head {
    const char *format; // "aws-json", "aws-csv", "azure", "soma"
    const char *title; // "AmazonEC2", "Azure Retail Prices"
    const char *published; // YYYY-MM-DD...; today when the list does not say
};

struct import_price {
    const char *provider, *service, *region, *sku, *term, *unit, *currency, *valid_from; // valid_from: YYYY-MM-DD..., or ""
    struct dec amount, from, to;
};

struct import_result {
    size_t taken, skipped;
};

struct import_file;

// Copies nothing but what it inflates: `data` must outlive the file. NULL, and words in `why`, when it is none of the formats.
struct import_file *import_open(const char *data, size_t len, char why[DOC_WHY]);
void import_close(struct import_file *file);
const struct import_head *import_head(const struct import_file *file);

// Calls `take` for each price; the texts live until it returns. It returns false to stop. False, and words, when the list is damaged or was stopped.
bool import_read(const struct import_file *file, bool (*take)(void *data, const struct import_price *price), void *data, struct import_result *ret_result, char why[DOC_WHY]);

#endif
