/* The event reader, fed in pieces whose sizes come from the input too. What comes out must not depend on the cuts. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "portal/cli/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int collect(const struct sse_event *ev, void *arg)
{
    buf_printf(arg, "%s\n%s\n%s\n", ev->type, ev->id, ev->data);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    BUF_AUTO whole = BUF_INIT;
    BUF_AUTO pieces = BUF_INIT;
    struct sse a, b;
    const char *text = (const char *)data;
    sse_init(&a, collect, &whole);
    sse_init(&b, collect, &pieces);
    int one = sse_feed(&a, text, size), two = 0;
    for (size_t at = 0; at < size && !two;) {
        size_t n = 1 + data[at] % 7;
        n = n < size - at ? n : size - at;
        two = sse_feed(&b, text + at, n);
        at += n;
    }
    if (one != two || strcmp(buf_cstr(&whole), buf_cstr(&pieces)) != 0 || strcmp(a.id, b.id) != 0 || a.retry_ms != b.retry_ms)
        abort();
    sse_done(&a);
    sse_done(&b);
    return 0;
}
