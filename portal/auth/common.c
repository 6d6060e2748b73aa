/* What the handlers share: bodies, pages, and the frame of a write. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "auth_queries.h"
#include "portal/auth/auth_private.h"
#include "portal/core/id.h"
#include "portal/core/thread.h"
#include "portal/crypto/cursor.h"

const char *body_text(const struct http_req *r, const char *member)
{
    return json_string_value(json_object_get(r->json, member));
}

int body_need(const struct http_req *r, const char *member, struct err *e)
{
    char pointer[64];
    snprintf(pointer, sizeof pointer, "/%s", member);
    return body_text(r, member) ? 0 : err_field(e, pointer, "a text is needed here");
}

int check_name(const char *name, const char *pointer, struct err *e)
{
    if (name && id_name_valid(name))
        return 0;
    return err_field(e, pointer, "a name has lower-case letters, digits and hyphens, begins with a letter, ends with a letter or digit, and has at most 40 characters");
}

/* The text of the audit's subject; the caller's own fields where it has them. */
static int append_audit(struct db_conn *c, const struct write *w, struct err *e)
{
    const struct principal *p = w->r->who;
    int x = db_run(c, Q_AUDIT_APPEND, NULL, e, db_text(p ? p->actor : "anonymous"), db_text(p ? p->name : "anonymous"), db_text(p ? p->person_name : NULL),
                   db_text(w->r->remote_addr), db_text(w->action), db_text(w->subject), db_text(w->team), db_text(w->before), db_text(w->after), db_text(w->detail),
                   db_text(w->r->request_id));
    if (x)
        err_prefix(e, "the act was not done, because its audit entry cannot be written");
    return x;
}

int write_finish(struct db_conn *c, const struct write *w, struct err *e)
{
    int x = idempotency_record(c, w->r, w->status, w->location, w->answer, w->answer ? strlen(w->answer) : 0, e);
    return x ? x : append_audit(c, w, e);
}

int write_run(struct write *w, int (*fn)(struct db_conn *c, void *arg, struct err *e), bool rights, struct err *e)
{
    int x = db_tx(auth_db(), fn, w, e);
    if (x)
        return x;
    if (rights)
        auth_forget();
    if (w->location)
        http_add_header(w->r, "Location", "%s", w->location);
    if (w->r->route->flags & HTTP_SECRET_BODY)
        http_add_header(w->r, "Cache-Control", "no-store");
    return w->answer ? http_reply(w->r, w->status, "application/json", w->answer, strlen(w->answer)) : http_reply_empty(w->r, w->status);
}

const char *row_json(const struct http_req *r, const struct db_result *row)
{
    return arena_strdup(r->arena, db_str(row, 0, 0));
}

int reply_row(struct http_req *r, const struct db_result *row, const char *what, const char *name, struct err *e)
{
    if (db_rows(row) == 0)
        return err_set(e, ERR_NOT_FOUND, "there is no %s `%.80s`", what, name);
    return http_reply(r, 200, "application/json", db_str(row, 0, 0), strlen(db_str(row, 0, 0)));
}

int limit_and_cursor(struct http_req *r, int64_t *ret_limit, const char **ret_after, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    *ret_after = NULL;
    int x = http_query_int(r, "limit", 50, 1, 500, ret_limit, e);
    return x ? x : cursor_open(http_query(r, "cursor"), r->route->operation, r->arena, ret_after, e);
}

static void add_escaped(struct buf *b, const char *s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~:";
    for (; *s; s++)
        if (strchr(plain, *s))
            buf_char(b, *s);
        else
            buf_printf(b, "%%%02X", (unsigned char)*s);
}

/* The same list with another cursor: the filters stay. */
static void add_link(struct http_req *r, const char *cursor)
{
    BUF_AUTO b = BUF_INIT;
    buf_printf(&b, "<%s?cursor=%s", r->path, cursor);
    for (size_t i = 0; i < http_query_count(r); i++) {
        const char *name, *value;
        http_query_at(r, i, &name, &value);
        if (!strcmp(name, "cursor"))
            continue;
        buf_char(&b, '&');
        add_escaped(&b, name);
        buf_char(&b, '=');
        add_escaped(&b, value);
    }
    buf_str(&b, ">; rel=\"next\"");
    http_add_header(r, "Link", "%s", b.data);
}

int auth_reply_page(struct http_req *r, const struct db_result *rows, int64_t limit, struct err *e)
{
    int n = db_rows(rows), shown = n > limit ? (int)limit : n;
    const char *cursor = NULL;
    BUF_AUTO b = BUF_INIT;
    buf_str(&b, "{\"items\":[");
    for (int i = 0; i < shown; i++) {
        if (i)
            buf_char(&b, ',');
        buf_str(&b, db_str(rows, i, 0));
    }
    buf_char(&b, ']');
    int x = n > shown ? cursor_sign(r->route->operation, db_str(rows, shown - 1, 1), r->arena, &cursor, e) : 0;
    if (x)
        return x;
    buf_json_kv(&b, "next", cursor);
    buf_char(&b, '}');
    if (cursor)
        add_link(r, cursor);
    return http_reply_json(r, 200, &b);
}

/* Who has one IPv6 address has all of its /64. */
static void bucket_keys(const char *name, const char *address, char by_address[96], char by_name[96])
{
    struct in6_addr v6;
    char network[INET6_ADDRSTRLEN];
    if (address && inet_pton(AF_INET6, address, &v6) == 1 && !IN6_IS_ADDR_V4MAPPED(&v6)) {
        memset(v6.s6_addr + 8, 0, 8);
        snprintf(by_address, 96, "address:%s/64", inet_ntop(AF_INET6, &v6, network, sizeof network));
    } else
        snprintf(by_address, 96, "address:%.60s", address ? address : "");
    snprintf(by_name, 96, "name:%.64s", name);
}

int attempt_take(const char *name, const char *address, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    double per_minute = auth_instance()->o.sign_ins_per_minute;
    char by_address[96], by_name[96];
    bucket_keys(name, address, by_address, by_name);
    int x = db_take(auth_db(), &c, e);
    if (!x)
        x = db_one(c, Q_SIGN_IN_TAKE, &row, e, db_text(by_address), db_text(by_name), db_float(6 * per_minute), db_float(per_minute), db_float(per_minute / 10),
                   db_float(per_minute / 60));
    if (x || db_i64(row, 0, 0) == 0)
        return x;
    err_set(e, ERR_RATE, "too many attempts to sign in as this name or from this address; wait %lld seconds", (long long)db_i64(row, 0, 0));
    e->retry_after = (int)db_i64(row, 0, 0);
    return ERR_RATE;
}

void attempt_give_back(const char *name, const char *address)
{
    DB_CONN_AUTO c = NULL;
    char by_address[96], by_name[96];
    bucket_keys(name, address, by_address, by_name);
    /* Not worth failing a sign-in for: the bucket fills by itself. */
    if (db_take(auth_db(), &c, NULL) == 0)
        db_run(c, Q_SIGN_IN_GIVE_BACK, NULL, NULL, db_text(by_address), db_text(by_name));
}
