#include <string.h>

#include "portal/crypto/cursor.h"
#include "portal/provision/provision_private.h"

/* limit and opened cursor of a list request; *ret_after is NULL on the first page. */
static int page_of(struct http_req *r, int64_t *ret_limit, const char **ret_after, struct err *e)
{
    int x = http_query_int(r, "limit", 50, 1, 500, ret_limit, e);
    const char *cursor = http_query(r, "cursor");
    *ret_after = NULL;
    if (x || !cursor)
        return x;
    return cursor_open(cursor, r->route->operation, r->arena, ret_after, e);
}

int page_reply(struct http_req *r, const struct db_query *page, const char *filter, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int64_t limit;
    const char *after;
    int x = page_of(r, &limit, &after, e);
    if (!x)
        x = db_take(provision_get()->db, &c, e);
    if (!x)
        x = db_run(c, *page, &rows, e, db_text(auth_teams_json(r->who, r->arena)), db_text(http_query(r, "state")), db_text(http_query(r, "team")),
                   db_text(http_query(r, filter)), db_text(after), db_int(limit + 1));
    return x ? x : auth_reply_page(r, rows, limit, e);
}
