#ifndef FINOPS_IMPORT_PRIVATE_H
#define FINOPS_IMPORT_PRIVATE_H
#include "plugins/finops/import.h"

#define IMPORT_COLUMNS 160

struct import_file {
    struct import_head head;
    char *inflated; // NULL: the data itself is plain
    const char *text;
    size_t len;
    json_t *root; // of JSON
    char published[32];
};

struct import_sink {
    bool (*take)(void *data, const struct import_price *price);
    void *data;
    struct import_result result;
    bool stopped;
};

// Hands a price on; false when the taker stopped.
bool import_give(struct import_sink *sink, const struct import_price *price);

// Attributes of a product of AWS, by names without capitals, blanks and signs: "instancetype", "preinstalledsw".
struct aws_product {
    const char *offer; // "AmazonEC2"
    const char *names[IMPORT_COLUMNS], *values[IMPORT_COLUMNS];
    size_t count;
};

// "" when the product has no such attribute.
const char *aws_attribute(const struct aws_product *p, const char *name);
// Soma's service and sku, the region, and by what the price must be divided; false when Soma has no sku for it. Text goes to `room`.
struct aws_sku {
    const char *service, *region;
    char sku[160];
    long long divide_by;
};
bool aws_find_sku(const struct aws_product *p, struct aws_sku *ret);
// "Pre Installed S/W" -> "preinstalledsw"; at most `size` bytes.
void aws_plain_name(const char *name, char *out, size_t size);

bool aws_read_json(const struct import_file *file, struct import_sink *sink, char why[DOC_WHY]);
bool aws_read_csv(const struct import_file *file, struct import_sink *sink, char why[DOC_WHY]);
bool azure_read(const struct import_file *file, struct import_sink *sink, char why[DOC_WHY]);

#endif
