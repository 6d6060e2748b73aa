// finops-estimate: the estimate without a node, from the shipped price book. Scores and CI use it; people use `soma finops estimate`.
#include "plugins/finops/book_file.h"
#include "plugins/finops/estimate.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    const char *plan, *usage, *prices, *date;
    bool json;
};

static int say(const char *what, const char *why)
{
    fprintf(stderr, "finops-estimate: %s: %s\n", what, why);
    return 1;
}

static char *read_file(const char *path, size_t *ret_len)
{
    FILE *f = strcmp(path, "-") ? fopen(path, "rb") : stdin;
    char *text = NULL;
    size_t len = 0, got;
    if (!f)
        return NULL;
    do {
        char *more = realloc(text, len + 65536);
        if (!more)
            abort();
        text = more;
        got = fread(text + len, 1, 65536, f);
        len += got;
    } while (got);
    if (f != stdin)
        fclose(f);
    *ret_len = len;
    return text;
}

typedef json_t *reader_fn(const char *text, size_t len, char why[DOC_WHY]);

static json_t *read_document(const char *path, reader_fn *reader)
{
    char why[DOC_WHY];
    size_t len;
    char *text = read_file(path, &len);
    if (!text) {
        say(path, strerror(errno));
        return NULL;
    }
    json_t *root = reader(text, len, why);
    if (!root)
        say(path, why);
    free(text);
    return root;
}

static void print_table(const struct estimate *e)
{
    char quantity[DEC_TEXT], price[DEC_TEXT], cost[DEC_TEXT];
    for (const struct estimate_item *i = e->after.items; i; i = i->next)
        printf("%-50s %-50s %14s %-16s x %-14s %12s %s\n", i->resource->address, i->component, dec_text(dec_round(i->quantity, 2), 0, quantity), i->unit,
            dec_text(i->unit_price, 2, price), dec_text(dec_round(i->monthly_cost, 2), 2, cost), i->currency);
    for (const struct estimate_gap *g = e->after.unpriced; g; g = g->next)
        printf("%-50s unpriced: %s\n", g->resource->address, g->reason);
}

static int print_estimate(const struct options *o, const struct estimate *e)
{
    if (!o->json) {
        print_table(e);
        return 0;
    }
    json_t *object = estimate_to_json(e);
    json_dumpf(object, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(object);
    return 0;
}

static int run(const struct options *o, struct book_file *prices, json_t *plan, json_t *usage)
{
    char why[DOC_WHY];
    struct estimate e;
    if (!book_file_load_folder(prices, o->prices, why))
        return say("prices", why);
    if (o->date)
        book_file_set_date(prices, o->date);
    struct book book = book_file_view(prices);
    struct pool *pool = pool_new();
    int result = estimate_make(pool, &(struct estimate_input){ plan, usage, &book }, &e, why) ? print_estimate(o, &e) : say(o->plan, why);
    pool_free(pool);
    return result;
}

static int usage_error(void)
{
    fputs("Usage: finops-estimate [finops estimate] --plan FILE [--usage FILE] [--prices FOLDER] [--date YYYY-MM-DD] [-o json|table]\n"
          "FILE is what `terraform show -json PLANFILE` prints; the usage file is one of infracost's format.\n",
        stderr);
    return 2;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = { { "plan", required_argument, NULL, 'p' }, { "usage", required_argument, NULL, 'u' }, { "prices", required_argument, NULL, 'P' },
        { "date", required_argument, NULL, 'd' }, { "output", required_argument, NULL, 'o' }, { 0 } };
    for (int c; (c = getopt_long(argc, argv, "o:", longs, NULL)) != -1;) {
        if (c == 'p')
            o->plan = optarg;
        else if (c == 'u')
            o->usage = optarg;
        else if (c == 'P')
            o->prices = optarg;
        else if (c == 'd')
            o->date = optarg;
        else if (c == 'o' && (!strcmp(optarg, "json") || !strcmp(optarg, "table")))
            o->json = !strcmp(optarg, "json");
        else
            return false;
    }
    return o->plan != NULL;
}

int main(int argc, char **argv)
{
    struct options o = { .prices = getenv("FINOPS_PRICES") ? getenv("FINOPS_PRICES") : FINOPS_PRICES };
    if (!read_options(argc, argv, &o))
        return usage_error();
    json_t *plan = read_document(o.plan, doc_read_json), *usage = o.usage && plan ? read_document(o.usage, doc_read_yaml) : NULL;
    struct book_file *prices = book_file_new();
    int result = plan && (usage || !o.usage) ? run(&o, prices, plan, usage) : 1;
    book_file_free(prices);
    json_decref(plan);
    json_decref(usage);
    return result;
}
