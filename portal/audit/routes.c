#include <stdio.h>
#include <string.h>

#include "audit_queries.h"
#include "portal/audit/audit.h"
#include "portal/auth/auth.h"
#include "portal/core/thread.h"
#include "portal/crypto/cursor.h"

/* The action to match exactly, or the text it begins with ("secret.*"). */
static void action_of(struct http_req *r, const char **ret_exact, const char **ret_prefix)
{
    const char *action = http_query(r, "action");
    size_t n = action ? strlen(action) : 0;
    bool many = n && action[n - 1] == '*';
    *ret_exact = many ? NULL : action;
    *ret_prefix = many ? arena_strndup(r->arena, action, n - 1) : NULL;
}

static int run_page(struct http_req *r, int64_t limit, const char *after, struct db_result **ret, struct err *e)
{
    const char *exact, *prefix;
    action_of(r, &exact, &prefix);
    DB_CONN_AUTO c = NULL;
    int x = db_take(auth_db(), &c, e);
    if (x)
        return x;
    x = db_run(c, Q_AUDIT_PAGE, ret, e, db_text(exact), db_text(prefix), db_text(http_query(r, "actor")), db_text(http_query(r, "subject")),
               db_text(http_query(r, "team")), db_text(http_query(r, "since")), db_text(http_query(r, "until")), db_flag(auth_has(r->who, ROLE_ADMIN, NULL)),
               db_text(auth_teams_json(r->who, r->arena)), db_text(after), db_int(limit + 1));
    if (x && !strncmp(db_sqlstate(c), "22", 2))
        return err_field(e, http_query(r, "since") ? "?since" : "?until", "`since` and `until` are times such as 2026-01-31T10:20:30Z");
    return x;
}

static int list(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    int64_t limit;
    const char *after = NULL;
    DB_RESULT_AUTO rows = NULL;
    int x = http_query_int(r, "limit", 50, 1, 500, &limit, e);
    if (!x)
        x = cursor_open(http_query(r, "cursor"), "listAudit", r->arena, &after, e);
    if (!x)
        x = run_page(r, limit, after, &rows, e);
    return x ? x : auth_reply_page(r, rows, limit, e);
}

static int verify(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    DB_CONN_AUTO c = NULL;
    BUF_AUTO b = BUF_INIT;
    int64_t entries = 0;
    char anchor[AUDIT_ANCHOR_MAX] = "";
    struct err broken = ERR_INIT;
    int x = db_take(auth_db(), &c, e);
    if (x)
        return x;
    x = audit_verify_anchor(c, http_query(r, "anchor"), &entries, anchor, &broken);
    if (x && x != ERR_CONFLICT) {
        *e = broken;
        return x;
    }
    buf_char(&b, '{');
    buf_json_kbool(&b, "intact", x == 0);
    buf_json_kint(&b, "entries", entries);
    buf_json_key(&b, "head");
    buf_char(&b, '{');
    buf_json_kint(&b, "id", entries);
    buf_json_kv(&b, "hash", strchr(anchor, ':') + 1);
    buf_json_kv(&b, "anchor", anchor);
    buf_char(&b, '}');
    buf_json_kv(&b, "problem", x ? broken.msg : NULL);
    buf_char(&b, '}');
    return http_reply_json(r, 200, &b);
}

const struct http_route audit_routes[] = {
    {"GET", "/api/v1/audit", "listAudit", "viewer", list, 0, 0},
    {"GET", "/api/v1/audit/verify", "verifyAudit", "platform-admin", verify, 0, 0},
    {0},
};
