// Plan, usage file and price file of a stranger: three parts, parted by a byte 0xff.
#include "plugins/finops/book_file.h"
#include "plugins/finops/estimate.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *cut(const char **at, const char *end, size_t *ret_len)
{
    const char *start = *at, *mark = memchr(start, 0xff, (size_t)(end - start));
    *ret_len = (size_t)((mark ? mark : end) - start);
    *at = mark ? mark + 1 : end;
    return start;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;
    size_t plan_len, usage_len, book_len;
    char why[DOC_WHY];
    const char *plan_text = cut(&at, end, &plan_len), *usage_text = cut(&at, end, &usage_len), *book_text = cut(&at, end, &book_len);
    json_t *plan = doc_read_json(plan_text, plan_len, why), *usage = doc_read_yaml(usage_text, usage_len, why);
    struct book_file *file = book_file_new();
    book_file_read(file, book_text, book_len, "fuzz", why);
    struct book book = book_file_view(file);
    struct pool *pool = pool_new();
    struct estimate estimate;
    if (plan && estimate_make(pool, &(struct estimate_input){ plan, usage, &book }, &estimate, why))
        json_decref(estimate_to_json(&estimate));
    pool_free(pool);
    book_file_free(file);
    json_decref(plan);
    json_decref(usage);
    return 0;
}
