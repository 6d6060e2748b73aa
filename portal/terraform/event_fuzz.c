/* Any bytes as lines of -json output: read or passed over; what was read writes a form that reads again as the same; no secret survives; the recovery
 * and the state reader take the same bytes. */
#include "portal/terraform/terraform_private.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

#define SECRET "hunter-22"
static const char *const secrets[] = {SECRET, NULL};

static void check_line(struct arena *a, const char *line, size_t n)
{
    BUF_AUTO first = BUF_INIT;
    BUF_AUTO second = BUF_INIT;
    struct tf_event ev, again;
    if (!tf_event_read(a, line, n, secrets, &ev))
        return;
    tf_event_write(&ev, &first);
    if (strstr(buf_cstr(&first), SECRET) || !tf_event_read(a, first.data, first.len, secrets, &again))
        abort();
    if (again.type != ev.type)
        abort();
    tf_event_write(&again, &second);
    if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const char plan[] = "{\"resource_changes\":[{\"address\":\"aws_s3_bucket.b\",\"change\":{\"after\":{\"bucket\":\"n\"}}}]}";
    ARENA_AUTO a = arena_new();
    const char *text = (const char *)data;
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t n = end ? (size_t)(end - text) - at : size - at;
        check_line(a, text + at, n);
        at += n + 1;
    }
    struct tf_recovery *found;
    size_t n;
    if (tf_recovery_imports(a, text, size, text, size, plan, sizeof plan - 1, &found, &n, NULL))
        abort();
    for (size_t i = 0; i < n; i++)
        if (!found[i].address || !found[i].why || (found[i].kind == TF_RECOVERY_IMPORT && !found[i].id))
            abort();
    int64_t serial;
    const char *lineage;
    struct tf_output *outputs;
    struct err e = ERR_INIT;
    if (tf_state_read(a, data, size, &serial, &lineage) && tf_state_outputs(a, data, size, &outputs, &n, &e))
        abort();
    return 0;
}
