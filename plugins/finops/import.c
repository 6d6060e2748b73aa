// Which list is it, and the shipped format. AWS is in import_aws.c, its skus in import_aws_sku.c, Azure in import_azure.c.
#include "plugins/finops/book_file.h"
#include "plugins/finops/import_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#define MAX_INFLATED ((size_t)1 << 30)

// --- gzip

static bool inflate_all(struct import_file *f, const char *data, size_t len, char why[DOC_WHY])
{
    z_stream z = { .next_in = (unsigned char *)data, .avail_in = (unsigned)len };
    size_t room = 0, used = 0;
    int r = inflateInit2(&z, 31);
    while (r == Z_OK && used < MAX_INFLATED) {
        if (room - used < 65536) {
            char *more = realloc(f->inflated, room = room ? room * 2 : 1 << 20);
            if (!more)
                break;
            f->inflated = more;
        }
        z.next_out = (unsigned char *)f->inflated + used;
        z.avail_out = (unsigned)(room - used < 1u << 30 ? room - used : 1u << 30);
        unsigned before = z.avail_out;
        r = inflate(&z, Z_NO_FLUSH);
        used += before - z.avail_out;
        if (r == Z_BUF_ERROR && z.avail_in == 0)
            break;
    }
    inflateEnd(&z);
    if (r != Z_STREAM_END)
        snprintf(why, DOC_WHY, used >= MAX_INFLATED ? "it is larger than 1 GiB when unpacked" : "it is damaged: gzip ends too early or is wrong");
    f->text = f->inflated;
    f->len = used;
    return r == Z_STREAM_END;
}

// --- which list

static void set_published(struct import_file *f, const char *date)
{
    if (date && strlen(date) >= 10)
        snprintf(f->published, sizeof f->published, "%.10s", date);
    if (!*f->published) {
        time_t now = time(NULL);
        struct tm tm;
        strftime(f->published, sizeof f->published, "%Y-%m-%d", gmtime_r(&now, &tm));
    }
    f->head.published = f->published;
}

// Azure's answer has no date of its own: the newest day from which one of its prices holds.
static const char *newest_start(const json_t *root)
{
    const json_t *items = json_object_get(root, "Items");
    const char *newest = NULL;
    size_t i;
    json_t *item;
    json_array_foreach(items ? items : json_object_get(root, "items"), i, item) {
        const char *start = json_string_value(json_object_get(item, "effectiveStartDate"));
        if (start && (!newest || strcmp(start, newest) > 0))
            newest = start;
    }
    return newest;
}

static bool open_json(struct import_file *f, char why[DOC_WHY])
{
    f->root = doc_read_json(f->text, f->len, why);
    if (!f->root)
        return false;
    const char *offer = json_string_value(json_object_get(f->root, "offerCode"));
    if (json_object_get(f->root, "products") && json_object_get(f->root, "terms")) {
        f->head = (struct import_head){ .format = "aws-json", .title = offer ? offer : "AWS Price List" };
        set_published(f, json_string_value(json_object_get(f->root, "publicationDate")));
        return true;
    }
    if (json_is_array(json_object_get(f->root, "Items")) || json_is_array(json_object_get(f->root, "items"))) {
        f->head = (struct import_head){ .format = "azure", .title = "Azure Retail Prices" };
        set_published(f, newest_start(f->root));
        return true;
    }
    snprintf(why, DOC_WHY, "it is JSON, but neither an AWS Price List (products, terms) nor Azure Retail Prices (Items)");
    return false;
}

static bool begins(const struct import_file *f, const char *with)
{
    return f->len >= strlen(with) && !memcmp(f->text, with, strlen(with));
}

// The value of a line `"Publication Date","2020-10-19T20:48:02Z"` near the top.
static const char *csv_head(const struct import_file *f, const char *key, char *room, size_t size)
{
    size_t top = f->len < 4096 ? f->len : 4096;
    const char *at = memmem(f->text, top, key, strlen(key));
    const char *value = at ? at + strlen(key) + 2 : NULL, *end = value && value < f->text + top ? memchr(value, '"', (size_t)(f->text + top - value)) : NULL;
    if (!end || (size_t)(end - value) >= size)
        return NULL;
    memcpy(room, value, (size_t)(end - value));
    room[end - value] = 0;
    return room;
}

static bool find_format(struct import_file *f, char why[DOC_WHY])
{
    char room[64];
    while (f->len && strchr(" \t\r\n", *f->text)) {
        f->text++;
        f->len--;
    }
    if (begins(f, "\xef\xbb\xbf")) {
        f->text += 3;
        f->len -= 3;
    }
    if (begins(f, "{"))
        return open_json(f, why);
    if (begins(f, "\"FormatVersion\"")) {
        f->head = (struct import_head){ .format = "aws-csv", .title = "AWS Price List" };
        set_published(f, csv_head(f, "\"Publication Date\"", room, sizeof room));
        return true;
    }
    if (begins(f, "# ")) {
        f->head = (struct import_head){ .format = "soma", .title = "price file" };
        set_published(f, NULL);
        return true;
    }
    snprintf(why, DOC_WHY, "it is none of: AWS Price List (JSON or CSV), Azure Retail Prices (JSON), Soma's own CSV that begins with `# source: ...`");
    return false;
}

struct import_file *import_open(const char *data, size_t len, char why[DOC_WHY])
{
    struct import_file *f = calloc(1, sizeof *f);
    if (!f)
        abort();
    *why = 0;
    f->text = data;
    f->len = len;
    bool packed = len > 2 && (unsigned char)data[0] == 0x1f && (unsigned char)data[1] == 0x8b;
    if ((packed && !inflate_all(f, data, len, why)) || !find_format(f, why)) {
        import_close(f);
        return NULL;
    }
    return f;
}

void import_close(struct import_file *f)
{
    if (!f)
        return;
    json_decref(f->root);
    free(f->inflated);
    free(f);
}

const struct import_head *import_head(const struct import_file *file)
{
    return &file->head;
}

// --- reading

bool import_give(struct import_sink *sink, const struct import_price *price)
{
    if (dec_is_none(price->amount) || dec_cmp(price->amount, dec_int(0)) < 0) {
        sink->result.skipped++;
        return true;
    }
    sink->result.taken++;
    sink->stopped = !sink->take(sink->data, price);
    return !sink->stopped;
}

static bool soma_read(const struct import_file *file, struct import_sink *sink, char why[DOC_WHY])
{
    struct book_file *book = book_file_new();
    bool good = book_file_read(book, file->text, file->len, "price file", why);
    for (size_t i = 0; good && i < book_file_count(book); i++) {
        const struct book_row *r = book_file_row(book, i);
        good = import_give(sink, &(struct import_price){ r->provider, r->service, r->region, r->sku, r->term, r->price.unit, r->price.currency, r->valid_from, r->price.amount, r->price.from,
                                     r->price.to });
    }
    book_file_free(book);
    return good;
}

bool import_read(const struct import_file *file, bool (*take)(void *data, const struct import_price *price), void *data, struct import_result *ret_result, char why[DOC_WHY])
{
    struct import_sink sink = { .take = take, .data = data };
    const char *format = file->head.format;
    bool good = !strcmp(format, "aws-json") ? aws_read_json(file, &sink, why) : !strcmp(format, "aws-csv") ? aws_read_csv(file, &sink, why)
        : !strcmp(format, "azure")          ? azure_read(file, &sink, why)
                                            : soma_read(file, &sink, why);
    *ret_result = sink.result;
    if (sink.stopped)
        snprintf(why, DOC_WHY, "the import was stopped");
    return good && !sink.stopped;
}
