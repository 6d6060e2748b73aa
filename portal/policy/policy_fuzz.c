/* Any bytes: a policy's text, a zero byte, then an input. Read or refused with a place; what was read decides within its limits, twice the same. */
#include <stdlib.h>
#include <string.h>

#include "portal/json/json.h"
#include "portal/policy/policy.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void decide(const struct policy *p, const json_t *input, struct buf *out)
{
    ARENA_AUTO a = arena_new();
    struct policy_result r;
    json_t *values = json_object();
    struct err e = ERR_INIT;
    enum policy_point point = p->points & POLICY_PLAN ? POLICY_PLAN : POLICY_REQUEST;
    if (policy_decide_once(p, point, input, values, a, &r, &e))
        abort();
    if ((r.end != POLICY_DECIDED) != (r.why != NULL) || (r.why && r.outcome != POLICY_DENY))
        abort();
    r.us = 0;
    for (size_t i = 0; i < r.n_traces; i++)
        r.traces[i].us = 0;
    policy_result_write(&r, out);
    bool late = r.why && strstr(r.why, " ms"); /* by the clock: not the same each time */
    json_decref(values);
    if (late)
        buf_clear(out);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const unsigned char *zero = memchr(data, 0, size);
    size_t n = zero ? (size_t)(zero - data) : size;
    struct err e = ERR_INIT;
    struct policy *p = NULL;
    json_t *input = NULL;
    BUF_AUTO first = BUF_INIT;
    BUF_AUTO second = BUF_INIT;
    if (!zero || json_read(zero + 1, size - n - 1, 16, &input, NULL))
        input = json_object();
    if (policy_read("fuzz.lua", data, n, &p, &e) && (e.code != ERR_INVALID || strncmp(e.msg, "fuzz.lua:", 9)))
        abort();
    decide(p, input, &first);
    decide(p, input, &second);
    if (first.len && second.len && strcmp(first.data, second.data))
        abort();
    json_decref(input);
    policy_free(p);
    return 0;
}
