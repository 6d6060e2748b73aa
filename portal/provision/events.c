#include <stdio.h>
#include <string.h>

#include "portal/core/id.h"
#include "portal/loop/stream.h"
#include "portal/provision/provision_private.h"
#include "provision_queries.h"

static int add_event(const struct event *ev, void *arg)
{
    struct buf *b = arg;
    if (b->data[b->len - 1] != '[')
        buf_char(b, ',');
    buf_char(b, '{');
    buf_json_kv(b, "id", ev->cursor);
    buf_json_kv(b, "entity", ev->entity);
    buf_json_kv(b, "type", ev->type);
    buf_json_kv(b, "at", ev->at);
    buf_json_kraw(b, "data", ev->data);
    buf_char(b, '}');
    return 0;
}

/* `from`: a cursor, "" for the beginning, NULL for now. */
static int reply_events(struct http_req *r, struct db_conn *c, const char *entity, const char *teams, const char *from, struct err *e)
{
    int64_t limit;
    char now[48], next[48];
    BUF_AUTO b = BUF_INIT;
    int x = http_query_int(r, "limit", 50, 1, 500, &limit, e);
    buf_str(&b, "{\"items\":[");
    if (!x && !from)
        x = events_cursor_now(c, now, e);
    if (!x)
        x = events_read(c, entity, teams, from ? from : now, (int)limit, add_event, &b, next, e);
    if (x < 0)
        return x == ERR_NOT_FOUND ? err_set(e, ERR_INVALID, "the event log no longer reaches back to this cursor; start without one") : x;
    buf_str(&b, "],");
    buf_json_str(&b, "cursor");
    buf_char(&b, ':');
    buf_json_str(&b, next);
    buf_char(&b, '}');
    return http_reply_json(r, 200, &b);
}

static bool cursor_is_valid(const char *s)
{
    const char *dash = strchr(s, '-');
    return dash && dash > s && dash[1] && strspn(s, "0123456789") == (size_t)(dash - s) && strspn(dash + 1, "0123456789") == strlen(dash + 1) && strlen(s) < 48;
}

/* Where the caller wants to go on: what a stream that was cut off says in Last-Event-ID wins over `cursor` of its address, which stays the same
 * when a browser comes back. Neither: `otherwise`. */
static int begin_at(const struct http_req *r, bool stream, const char *otherwise, const char **ret, struct err *e)
{
    const char *last = stream ? http_header(r, "Last-Event-ID") : NULL, *cursor = http_query(r, "cursor");
    if (last && *last && !cursor_is_valid(last))
        return err_set(e, ERR_INVALID, "Last-Event-ID is not an id that this log gave out");
    *ret = last && *last ? last : cursor && *cursor ? cursor : otherwise;
    return 0;
}

static int open_stream(struct http_req *r, const char *entity, const char *team, const char *teams, const char *from, struct err *e)
{
    struct auth_watch *watch = auth_watch_new(provision_get()->db, r->who, team);
    struct stream *s = NULL;
    int x = http_take_stream(r, &s, e);
    if (x) {
        auth_watch_free(watch);
        return x;
    }
    struct cluster_subscription sub = {.entity = entity, .teams = teams, .cursor = from, .check = auth_watch_check, .free_arg = auth_watch_free, .arg = watch};
    /* From here on the answer has begun: what fails now ends the stream. */
    if (cluster_subscribe(provision_get()->cluster, s, &sub, NULL))
        stream_close(s);
    return 0;
}

static bool wants_page(const struct http_req *r)
{
    const char *format = http_query(r, "format"), *accept = http_header(r, "Accept");
    if (format)
        return !strcmp(format, "json");
    return accept && strstr(accept, "application/json") && !strstr(accept, "text/event-stream");
}

int orders_events(struct http_req *r, struct err *e)
{
    const char *id = http_param(r, "id");
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    int x = id_valid(id) ? db_take(provision_get()->db, &c, e) : ERR_NOT_FOUND;
    if (!x)
        x = db_one(c, Q_ORDER_FIND, &row, e, db_text(id));
    if (x == ERR_NOT_FOUND || (!x && !auth_has(r->who, ROLE_VIEWER, db_str(row, 0, 1))))
        return err_set(e, ERR_NOT_FOUND, "there is no order `%.40s` that you may see", id);
    if (x)
        return x;
    char entity[64];
    const char *from;
    snprintf(entity, sizeof entity, "order:%s", id);
    if ((x = begin_at(r, !wants_page(r), "", &from, e)))
        return x;
    if (wants_page(r))
        return reply_events(r, c, entity, NULL, from, e);
    const char *team = arena_strdup(r->arena, db_str(row, 0, 1));
    db_givep(&c); /* the stream holds no connection */
    return open_stream(r, entity, team, NULL, from, e);
}

int all_events(struct http_req *r, struct err *e)
{
    const char *teams = auth_teams_json(r->who, r->arena), *from = http_query(r, "from");
    DB_CONN_AUTO c = NULL;
    int x = begin_at(r, !wants_page(r), from && !strcmp(from, "start") ? "" : NULL, &from, e);
    if (x || !wants_page(r))
        return x ? x : open_stream(r, NULL, NULL, teams, from, e);
    x = db_take(provision_get()->db, &c, e);
    return x ? x : reply_events(r, c, NULL, teams, from, e);
}
