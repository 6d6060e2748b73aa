/* The event log. Its one complication: order of commit is not order of id, so the cursor is (xid, id) and readers stay below the oldest
 * running transaction; docs/adr/0003-queue.md has the numbers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_queries.h"
#include "portal/cluster/cluster_private.h"
#include "portal/core/clock.h"

#define PAGE_MAX 1000
#define TRIM_STEP 5000

int events_append(struct db_conn *c, const char *entity, const char *team, const char *type, const char *data, struct err *e)
{
    return db_run(c, Q_EVENT_APPEND, NULL, e, db_text(entity), db_text(team ? team : ""), db_text(type), db_text(data ? data : "{}"));
}

static const char *digits(const char *s, uint64_t *ret)
{
    uint64_t v = 0;
    const char *p = s;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (v > (INT64_MAX - (uint64_t)(*p - '0')) / 10)
            return NULL;
        v = v * 10 + (uint64_t)(*p - '0');
    }
    *ret = v;
    return p > s ? p : NULL;
}

int place_parse(const char *cursor, struct place *ret, struct err *e)
{
    uint64_t xid = 0, id = 0;
    const char *p = cursor;
    if (*p) {
        p = digits(p, &xid);
        p = p && *p == '-' ? digits(p + 1, &id) : NULL;
    }
    if (!p || *p)
        return err_set(e, ERR_INVALID, "`%.60s` is not a cursor of the event log; leave it out to read from the beginning", cursor);
    *ret = (struct place){xid, (int64_t)id};
    return 0;
}

bool place_before(const struct place *a, const struct place *b)
{
    return a->xid < b->xid || (a->xid == b->xid && a->id < b->id);
}

/* libpq takes text; xid8 is unsigned. */
static struct db_param xid_param(uint64_t xid)
{
    return db_int((int64_t)xid);
}

int events_lost(struct db_conn *c, const struct place *after, bool *ret_lost, struct err *e)
{
    *ret_lost = false;
    if (!after->xid && !after->id)
        return 0;
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_EVENT_CURSOR_LOST, &row, e, xid_param(after->xid), db_int(after->id));
    if (!r)
        *ret_lost = db_bool(row, 0, 0);
    return r;
}

int events_read(struct db_conn *c, const char *entity, const char *teams, const char *cursor, int limit,
                int (*fn)(const struct event *ev, void *arg), void *arg, char *ret_cursor, struct err *e)
{
    struct place after;
    int r = place_parse(cursor, &after, e);
    if (r)
        return r;
    if (limit < 1 || limit > PAGE_MAX)
        return err_set(e, ERR_INVALID, "a page of events holds 1 to %d", PAGE_MAX);
    DB_RESULT_AUTO rows = NULL;
    r = entity ? db_run(c, Q_EVENT_READ_ENTITY, &rows, e, xid_param(after.xid), db_int(after.id), db_text(teams), db_int(limit), db_text(entity))
               : db_run(c, Q_EVENT_READ_ALL, &rows, e, xid_param(after.xid), db_int(after.id), db_text(teams), db_int(limit));
    if (r)
        return r;
    /* Asked after the read: retention that came in between is seen. */
    bool lost;
    if ((r = events_lost(c, &after, &lost, e)))
        return r;
    if (lost)
        return err_set(e, ERR_NOT_FOUND, "the event log no longer reaches back to this cursor");
    int n = 0, stop = 0;
    while (n < db_rows(rows) && !stop) {
        struct event ev = {db_str(rows, n, 0), db_str(rows, n, 1), db_str(rows, n, 2), db_str(rows, n, 3), db_str(rows, n, 4), db_str(rows, n, 5)};
        stop = fn(&ev, arg);
        n++;
    }
    /* The given one may be the caller's own buffer. */
    if (n)
        snprintf(ret_cursor, CURSOR_LEN, "%s", db_str(rows, n - 1, 0));
    else if (ret_cursor != cursor)
        snprintf(ret_cursor, CURSOR_LEN, "%s", cursor);
    return n;
}

int events_cursor_now(struct db_conn *c, char *ret_cursor, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_EVENT_CURSOR_NOW, &row, e);
    if (!r)
        snprintf(ret_cursor, CURSOR_LEN, "%s", db_str(row, 0, 0));
    return r;
}

int64_t events_trim(struct db *db, int64_t age_ms, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    int64_t total = 0;
    int r = db_take(db, &c, e);
    if (r)
        return r;
    for (;;) {
        DB_RESULT_AUTO row = NULL;
        if ((r = db_one(c, Q_EVENT_TRIM, &row, e, db_int(age_ms), db_int(TRIM_STEP))))
            return r;
        total += db_i64(row, 0, 0);
        if (db_i64(row, 0, 0) < TRIM_STEP)
            return total;
    }
}

int64_t events_rebase(struct db_conn *c, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_EVENT_REBASE, &row, e);
    return r ? r : db_i64(row, 0, 0);
}

/* One data line: our own JSON may carry line feeds between its tokens, which mean nothing there. */
static void one_line(struct buf *out, const char *json)
{
    for (const char *p = json; *p; p++)
        buf_char(out, *p == '\n' || *p == '\r' ? ' ' : *p);
}

void event_encode_sse(const struct event *ev, struct buf *out)
{
    BUF_AUTO data = BUF_INIT;
    buf_char(&data, '{');
    buf_json_kv(&data, "id", ev->cursor);
    buf_json_kv(&data, "entity", ev->entity);
    buf_json_kv(&data, "type", ev->type);
    buf_json_kv(&data, "at", ev->at);
    buf_json_kraw(&data, "data", ev->data);
    buf_char(&data, '}');
    buf_printf(out, "id: %s\nevent: %s\ndata: ", ev->cursor, ev->type);
    one_line(out, data.data);
    buf_str(out, "\n\n");
}
