// Azure Retail Prices: https://learn.microsoft.com/rest/api/cost-management/retail-prices. Virtual machines get the sku that estimates ask for, all other meters one
// of their own name, so that they can be found and used by own rules.
#include "plugins/finops/import_private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *text_of(const json_t *item, const char *key)
{
    const char *text = json_string_value(json_object_get(item, key));
    return text ? text : "";
}

static struct dec number_of(const json_t *item, const char *key)
{
    struct dec number = dec_none();
    doc_number(json_object_get(item, key), &number);
    return number;
}

static bool is_virtual_machine(const json_t *item)
{
    return !strcmp(text_of(item, "serviceName"), "Virtual Machines") && *text_of(item, "armSkuName") && !strcasestr(text_of(item, "productName"), "dedicated host");
}

// The term, or NULL for what is not sold to everyone: developers' offers, low priority.
static const char *term_of(const json_t *item, char *room, size_t size)
{
    const char *type = text_of(item, "type"), *sku = text_of(item, "skuName"), *meter = text_of(item, "meterName"), *years = text_of(item, "reservationTerm");
    if (strcasestr(sku, "low priority") || strcasestr(meter, "low priority"))
        return NULL;
    if (!strcmp(type, "Consumption"))
        return strcasestr(sku, "spot") || strcasestr(meter, "spot") ? "spot" : "on_demand";
    if (strcmp(type, "Reservation") || !*years)
        return NULL;
    snprintf(room, size, "reserved/%c_year/all_upfront", *years);
    return room;
}

static bool read_item(const json_t *item, struct import_sink *sink)
{
    char sku[400], room[40];
    const char *term = term_of(item, room, sizeof room), *region = text_of(item, "armRegionName");
    if (!term || !strncmp(term, "reserved", 8)) { // a reservation's price is for its whole term, not for the unit it names
        sink->result.skipped++;
        return true;
    }
    bool machine = is_virtual_machine(item);
    if (machine)
        snprintf(sku, sizeof sku, "instance/%s/%s/shared", text_of(item, "armSkuName"), strcasestr(text_of(item, "productName"), "windows") ? "windows" : "linux");
    else
        snprintf(sku, sizeof sku, "meter/%s/%s/%s", text_of(item, "productName"), text_of(item, "skuName"), text_of(item, "meterName"));
    return import_give(sink, &(struct import_price){ .provider = "azure", .service = machine ? "compute" : text_of(item, "serviceName"), .region = *region ? region : "global", .sku = sku,
                                 .term = term, .unit = strcmp(text_of(item, "unitOfMeasure"), "1 Hour") ? text_of(item, "unitOfMeasure") : "hours",
                                 .currency = *text_of(item, "currencyCode") ? text_of(item, "currencyCode") : "USD", .valid_from = text_of(item, "effectiveStartDate"),
                                 .amount = number_of(item, "retailPrice"), .from = number_of(item, "tierMinimumUnits"), .to = dec_none() });
}

bool azure_read(const struct import_file *file, struct import_sink *sink, char why[DOC_WHY])
{
    const json_t *items = json_object_get(file->root, "Items");
    size_t i;
    json_t *item;
    (void)why;
    json_array_foreach(items ? items : json_object_get(file->root, "items"), i, item) {
        if (!read_item(item, sink))
            return false;
    }
    return true;
}
