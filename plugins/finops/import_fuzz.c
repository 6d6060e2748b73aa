// A price list of a stranger, in any format.
#include "plugins/finops/import.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool ignore(void *data, const struct import_price *price)
{
    (void)price;
    return ++*(size_t *)data < 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[DOC_WHY];
    struct import_result result;
    size_t seen = 0;
    struct import_file *f = import_open((const char *)data, size, why);
    if (f)
        import_read(f, ignore, &seen, &result, why);
    import_close(f);
    return 0;
}
