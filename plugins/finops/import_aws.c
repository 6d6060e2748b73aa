// AWS Price List files: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-bulk-api.html
#include "plugins/finops/import_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// One price of a product, as both forms of the list tell it.
struct dimension {
    const char *term_type, *lease, *option, *class, *unit, *from, *to, *amount, *currency, *effective;
};

static const char *unit_of(const char *unit)
{
    static const char *const units[][2] = { { "Hrs", "hours" }, { "hours", "hours" }, { "Hours", "hours" }, { "GB-Mo", "GB-month" }, { "GB-month", "GB-month" }, { "IOPS-Mo", "IOPS-month" },
        { "GiBps-mo", "MiBps-month" }, { "IOs", "requests" }, { "Requests", "requests" }, { "Request", "requests" }, { "Lambda-GB-Second", "GB-seconds" }, { "Second", "GB-seconds" },
        { "LCU-Hrs", "LCU-hours" }, { "vCPU-Hours", "vCPU-hours" } };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (!strcmp(unit, units[i][0]))
            return units[i][1];
    return unit;
}

// "1yr", "No Upfront", "standard" -> reserved/standard/1_year/no_upfront; other services have no classes. NULL for terms that are not known.
static const char *term_of(const struct dimension *d, const char *service, char *room, size_t size)
{
    const char *option = !strcmp(d->option, "No Upfront") ? "no_upfront" : !strcmp(d->option, "Partial Upfront") ? "partial_upfront" : !strcmp(d->option, "All Upfront") ? "all_upfront" : NULL;
    if (!strcmp(d->term_type, "OnDemand"))
        return "on_demand";
    if (strcmp(d->term_type, "Reserved") || !option || (*d->lease != '1' && *d->lease != '3'))
        return NULL;
    bool classed = !strcmp(service, "ec2");
    snprintf(room, size, "reserved/%s%s%c_year/%s", classed ? d->class : "", classed ? "/" : "", *d->lease, option);
    return room;
}

static struct dec number(const char *text, struct dec otherwise)
{
    struct dec value;
    return dec_parse(text, &value) ? value : otherwise;
}

static bool give(struct import_sink *sink, const struct aws_sku *sku, const struct dimension *d)
{
    char room[80];
    const char *term = term_of(d, sku->service, room, sizeof room);
    if (!term || !strcmp(d->unit, "Quantity")) { // what is paid once is not in a month's bill
        sink->result.skipped++;
        return true;
    }
    return import_give(sink, &(struct import_price){ .provider = "aws", .service = sku->service, .region = sku->region, .sku = sku->sku, .term = term, .unit = unit_of(d->unit),
                                 .currency = d->currency, .valid_from = d->effective, .amount = dec_div(number(d->amount, dec_none()), dec_int(sku->divide_by)),
                                 .from = number(d->from, dec_int(0)), .to = number(d->to, dec_none()) });
}

// --- JSON

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

#define NAME_ROOM 40

static void json_product(const json_t *product, const char *offer, struct aws_product *p, char names[IMPORT_COLUMNS][NAME_ROOM])
{
    const char *key;
    json_t *value;
    p->offer = offer;
    p->count = 0;
    p->names[p->count] = "productfamily";
    p->values[p->count++] = text_of(product, "productFamily");
    json_object_foreach(json_object_get(product, "attributes"), key, value) {
        if (p->count == IMPORT_COLUMNS || !json_is_string(value))
            continue;
        aws_plain_name(key, names[p->count], NAME_ROOM);
        p->names[p->count] = names[p->count];
        p->values[p->count++] = json_string_value(value);
    }
}

static bool json_dimensions(const json_t *offer_term, const char *type, const struct aws_sku *sku, struct import_sink *sink)
{
    const json_t *attributes = json_object_get(offer_term, "termAttributes");
    const char *key, *currency;
    json_t *dimension, *amount;
    json_object_foreach(json_object_get(offer_term, "priceDimensions"), key, dimension) {
        struct dimension d = { .term_type = type, .lease = text_of(attributes, "LeaseContractLength"), .option = text_of(attributes, "PurchaseOption"),
            .class = text_of(attributes, "OfferingClass"), .unit = text_of(dimension, "unit"), .from = text_of(dimension, "beginRange"), .to = text_of(dimension, "endRange"),
            .effective = text_of(offer_term, "effectiveDate") };
        json_object_foreach(json_object_get(dimension, "pricePerUnit"), currency, amount) {
            d.currency = currency;
            d.amount = json_string_value(amount) ? json_string_value(amount) : "";
            if (!give(sink, sku, &d))
                return false;
        }
    }
    return true;
}

static bool json_terms(const struct import_file *file, const char *vendor_sku, const struct aws_sku *sku, struct import_sink *sink)
{
    const char *type, *code;
    json_t *by_sku, *offer_term;
    json_object_foreach(json_object_get(file->root, "terms"), type, by_sku) {
        json_object_foreach(json_object_get(by_sku, vendor_sku), code, offer_term) {
            if (!json_dimensions(offer_term, type, sku, sink))
                return false;
        }
    }
    return true;
}

bool aws_read_json(const struct import_file *file, struct import_sink *sink, char why[DOC_WHY])
{
    static const size_t room = IMPORT_COLUMNS;
    char(*names)[NAME_ROOM] = calloc(room, NAME_ROOM);
    const char *key;
    json_t *product;
    bool good = names != NULL;
    (void)why;
    json_object_foreach(json_object_get(file->root, "products"), key, product) {
        struct aws_product p;
        struct aws_sku sku;
        if (!good)
            break;
        json_product(product, text_of(file->root, "offerCode"), &p, names);
        if (aws_find_sku(&p, &sku))
            good = json_terms(file, key, &sku, sink);
        else
            sink->result.skipped++;
    }
    free(names);
    return good;
}

// --- CSV

// Splits one line in place; quotes may hold commas and doubled quotes. Returns the number of fields, and where the next line begins.
static size_t split_line(char *line, char *end, char *fields[], size_t max, char **ret_next)
{
    size_t count = 0;
    char *p = line;
    for (;;) {
        bool quoted = p < end && *p == '"';
        char *w = p + quoted, *start = w, *r = w;
        while (r < end && (quoted ? *r != '"' || (r + 1 < end && r[1] == '"') : *r != ',' && *r != '\n')) {
            if (quoted && *r == '"')
                r++;
            *w++ = *r++;
        }
        r += quoted && r < end;
        char stop = r < end ? *r : '\n';
        if (w > start && w[-1] == '\r' && !quoted)
            w--;
        *w = 0;
        if (count < max)
            fields[count++] = start;
        while (r < end && stop != ',' && *r != '\n')
            r++;
        p = r < end ? r + 1 : end;
        if (stop != ',' || r >= end)
            break;
    }
    *ret_next = p;
    return count;
}

struct columns {
    char plain[IMPORT_COLUMNS][NAME_ROOM];
    size_t count;
};

static const char *cell(const struct columns *c, char *const fields[], size_t count, const char *name)
{
    for (size_t i = 0; i < c->count && i < count; i++)
        if (!strcmp(c->plain[i], name))
            return fields[i];
    return "";
}

static bool csv_row(const struct columns *columns, char *const fields[], size_t count, const char *offer, struct import_sink *sink)
{
    struct aws_product p = { .offer = offer };
    struct aws_sku sku;
    for (size_t i = 0; i < columns->count && i < count; i++) {
        p.names[p.count] = columns->plain[i];
        p.values[p.count++] = fields[i];
    }
    if (!aws_find_sku(&p, &sku)) {
        sink->result.skipped++;
        return true;
    }
    struct dimension d = { cell(columns, fields, count, "termtype"), cell(columns, fields, count, "leasecontractlength"), cell(columns, fields, count, "purchaseoption"),
        cell(columns, fields, count, "offeringclass"), cell(columns, fields, count, "unit"), cell(columns, fields, count, "startingrange"), cell(columns, fields, count, "endingrange"),
        cell(columns, fields, count, "priceperunit"), cell(columns, fields, count, "currency"), cell(columns, fields, count, "effectivedate") };
    return give(sink, &sku, &d);
}

static bool csv_lines(char *text, char *end, struct columns *columns, struct import_sink *sink, char why[DOC_WHY])
{
    char *fields[IMPORT_COLUMNS], *next, offer[80] = "";
    for (char *line = text; line < end; line = next) {
        size_t count = split_line(line, end, fields, IMPORT_COLUMNS, &next);
        if (columns->count) {
            if (count > 1 && !csv_row(columns, fields, count, offer, sink))
                return false;
        } else if (count == 2 && !strcmp(fields[0], "OfferCode")) {
            snprintf(offer, sizeof offer, "%.79s", fields[1]);
        } else if (count && !strcmp(fields[0], "SKU")) {
            for (; columns->count < count; columns->count++)
                aws_plain_name(fields[columns->count], columns->plain[columns->count], NAME_ROOM);
        }
    }
    if (!columns->count)
        snprintf(why, DOC_WHY, "there is no line of titles that begins with SKU: this is not a CSV of the AWS Price List");
    return columns->count > 0;
}

bool aws_read_csv(const struct import_file *file, struct import_sink *sink, char why[DOC_WHY])
{
    char *copy = malloc(file->len + 1); // split in place
    struct columns *columns = calloc(1, sizeof *columns);
    bool good = copy && columns;
    if (good) {
        memcpy(copy, file->text, file->len);
        copy[file->len] = 0;
        good = csv_lines(copy, copy + file->len, columns, sink, why);
    }
    free(columns);
    free(copy);
    return good;
}
