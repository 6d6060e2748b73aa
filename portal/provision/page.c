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

/* The request's own query with another cursor: filters stay in the link. */
static const char *next_link(struct http_req *r, int64_t limit, const char *cursor)
{
    static const char *const filters[] = {"state", "team", "service", "environment", "kind", "q", NULL};
    BUF_AUTO b = BUF_INIT;
    buf_printf(&b, "<%s?limit=%lld&cursor=%s", r->path, (long long)limit, cursor);
    for (int i = 0; filters[i]; i++)
        if (http_query(r, filters[i]) && strspn(http_query(r, filters[i]), "abcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(http_query(r, filters[i])))
            buf_printf(&b, "&%s=%s", filters[i], http_query(r, filters[i]));
    buf_str(&b, ">; rel=\"next\"");
    return arena_strdup(r->arena, b.data);
}

int reply_page(struct http_req *r, const struct db_result *rows, int64_t limit, struct err *e)
{
    int n = db_rows(rows), shown = n > limit ? (int)limit : n;
    BUF_AUTO b = BUF_INIT;
    buf_str(&b, "{\"items\":[");
    for (int i = 0; i < shown; i++) {
        if (i)
            buf_char(&b, ',');
        buf_str(&b, db_str(rows, i, 0));
    }
    buf_str(&b, "],\"next\":");
    if (n <= limit) {
        buf_str(&b, "null}");
        return http_reply_json(r, 200, &b);
    }
    const char *cursor;
    int x = cursor_sign(r->route->operation, db_str(rows, shown - 1, 1), r->arena, &cursor, e);
    if (x)
        return x;
    buf_json_str(&b, cursor);
    buf_char(&b, '}');
    http_add_header(r, "Link", "%s", next_link(r, limit, cursor));
    return http_reply_json(r, 200, &b);
}
