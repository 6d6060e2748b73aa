/* Any bytes: parsed or refused; what was parsed writes canonical text that parses to an equal value and writes itself again. */
#include "portal/json/json.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static json_t *read_again(const struct buf *text)
{
    json_t *v = NULL;
    if (json_read(text->data, text->len, 0, &v, NULL))
        abort();
    return v;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct err e = ERR_INIT;
    BUF_AUTO first = BUF_INIT;
    BUF_AUTO second = BUF_INIT;
    BUF_AUTO pretty = BUF_INIT;
    json_t *v;
    if (json_read(data, size, 0, &v, &e)) {
        if (e.code != ERR_INVALID || !e.msg[0])
            abort();
        return 0;
    }
    json_write(v, &first);
    json_t *again = read_again(&first);
    json_write(again, &second);
    json_write_pretty(v, &pretty);
    json_t *third = read_again(&pretty);
    if (!json_same(v, again) || !json_same(v, third) || strcmp(buf_cstr(&first), buf_cstr(&second)) != 0)
        abort();
    json_decref(v);
    json_decref(again);
    json_decref(third);
    return 0;
}
