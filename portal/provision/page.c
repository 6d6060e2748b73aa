#include <string.h>

#include "portal/crypto/cursor.h"
#include "portal/provision/provision_private.h"

int page_of(struct http_req *r, int64_t *ret_limit, const char **ret_after, struct err *e)
{
    int x = http_query_int(r, "limit", 50, 1, 500, ret_limit, e);
    const char *cursor = http_query(r, "cursor");
    *ret_after = NULL;
    if (x || !cursor)
        return x;
    return cursor_open(cursor, r->route->operation, r->arena, ret_after, e);
}
