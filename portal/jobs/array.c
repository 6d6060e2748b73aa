#include "portal/jobs/jobs_private.h"

void array_add(struct buf *b, const char *plain)
{
    buf_char(b, b->len ? ',' : '{');
    buf_str(b, plain);
}

void array_quote(struct buf *b, const char *text)
{
    buf_str(b, b->len ? ",\"" : "{\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_char(b, '\\');
        buf_char(b, *text);
    }
    buf_char(b, '"');
}

const char *array_end(struct buf *b)
{
    buf_str(b, b->len ? "}" : "{}");
    return b->data;
}
