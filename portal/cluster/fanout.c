/* The fan-out. Its one complication is the seam between a stream's replay and the live log. Every subscription keeps its own place; a live event
 * goes to it only when it lies behind that place. A replay is over when a page came back short: then all that is visible has been sent, also what
 * the live reader has yet to read, and the place keeps that from coming twice. A reader whose queue is full falls back to replay. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_queries.h"
#include "portal/cluster/cluster_private.h"
#include "portal/core/clock.h"
#include "portal/core/log.h"

#define PAGE 200
#define PENDING_HIGH (STREAM_PENDING_MAX / 2) /* the loop drops a stream above the maximum: stay well below */
#define RETRY_MS 20                           /* how soon a full reader is looked at again */
#define STALLED_MS 30000
#define CATCH_UP_ROUNDS 4                     /* pages one reader gets before the others have their turn */

struct subscription {
    struct subscription *next;
    struct stream *stream;
    atomic_int refs;            /* the list's and the stream owner's */
    atomic_bool ended;          /* set on the loop */
    char *entity, *teams;
    json_t *team_set;           /* object with one key a team; NULL: all */
    bool (*check)(void *arg);
    void (*free_arg)(void *arg);
    void *arg;
    struct place at;
    bool from_now, live, full;
    int64_t check_at, moved_at; /* mono clock */
};

static void subscription_unref(struct subscription *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    free(s->entity);
    free(s->teams);
    json_decref(s->team_set);
    free(s);
}

/* On the loop. */
static void on_closed(struct stream *stream, void *arg)
{
    (void)stream;
    struct subscription *s = arg;
    atomic_store(&s->ended, true);
    subscription_unref(s);
}

/* The list lets go: the check's argument goes at once, whatever the loop still does with the stream. */
static void subscription_end(struct subscription *s)
{
    if (s->free_arg)
        s->free_arg(s->arg);
    s->free_arg = NULL;
    stream_close(s->stream);
    stream_unref(s->stream);
    subscription_unref(s);
}

static int parse_teams(const char *teams, json_t **ret, struct err *e)
{
    *ret = NULL;
    if (!teams)
        return 0;
    json_auto_t *list = json_loads(teams, 0, NULL);
    if (!json_is_array(list))
        return err_set(e, ERR_INVALID, "the teams of a subscription are a JSON array of names");
    json_t *set = json_object();
    size_t i;
    json_t *name;
    json_array_foreach(list, i, name) if (json_is_string(name)) json_object_set_new(set, json_string_value(name), json_true());
    *ret = set;
    return 0;
}

static char *copy(const char *s)
{
    char *p = s ? strdup(s) : NULL;
    if (s && !p)
        abort();
    return p;
}

int cluster_subscribe(struct cluster *c, struct stream *stream, const struct cluster_subscription *sub, struct err *e)
{
    struct place at = {0};
    json_t *teams = NULL;
    int r = sub->cursor ? place_parse(sub->cursor, &at, e) : 0;
    if (!r)
        r = parse_teams(sub->teams, &teams, e);
    if (r) {
        if (sub->free_arg)
            sub->free_arg(sub->arg);
        return r;
    }
    struct subscription *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    *s = (struct subscription){.stream = stream, .entity = copy(sub->entity), .teams = copy(sub->teams), .team_set = teams, .check = sub->check,
                               .free_arg = sub->free_arg, .arg = sub->arg, .at = at, .from_now = !sub->cursor, .moved_at = clock_mono_ms()};
    s->check_at = s->moved_at + c->check_ms;
    atomic_store(&s->refs, 2);
    stream_ref(stream);
    pthread_mutex_lock(&c->lock);
    bool closed = c->closed;
    if (!closed) {
        s->next = c->incoming;
        c->incoming = s;
        atomic_fetch_add(&c->n_subscriptions, 1);
    }
    pthread_mutex_unlock(&c->lock);
    /* The thread may hold it by now; the owner's reference is there since the beginning. */
    stream_set_owner(stream, &(struct stream_owner){on_closed, s});
    if (closed) {
        subscription_end(s);
        return err_set(e, ERR_CANCELED, "this process is stopping");
    }
    cluster_wake(c);
    return 0;
}

static bool may_see(const struct subscription *s, const char *entity, const char *team)
{
    if (s->entity && strcmp(s->entity, entity))
        return false;
    return !s->team_set || !*team || json_object_get(s->team_set, team);
}

static void take_incoming(struct cluster *c)
{
    pthread_mutex_lock(&c->lock);
    struct subscription *in = c->incoming;
    c->incoming = NULL;
    pthread_mutex_unlock(&c->lock);
    while (in) {
        struct subscription *s = in;
        in = s->next;
        s->next = c->subs;
        c->subs = s;
    }
}

static void send_text(struct cluster *c, struct subscription *s, const struct buf *text)
{
    struct stream_block *b = stream_block_new(text->data, text->len);
    stream_send(s->stream, b);
    stream_block_unref(b);
    atomic_fetch_add(&c->blocks_sent, 1);
}

/* --- replay --- */

struct page { struct cluster *c; struct subscription *s; bool full; };

static int replay_one(const struct event *ev, void *arg)
{
    struct page *p = arg;
    BUF_AUTO text = BUF_INIT;
    event_encode_sse(ev, &text);
    send_text(p->c, p->s, &text);
    p->full = stream_pending(p->s->stream) > PENDING_HIGH;
    return p->full;
}

static int place_now(struct cluster *c, struct place *ret, struct err *e)
{
    char now[CURSOR_LEN];
    int r = events_cursor_now(c->conn, now, e);
    return r ? r : place_parse(now, ret, e);
}

static void place_write(const struct place *p, char out[CURSOR_LEN])
{
    snprintf(out, CURSOR_LEN, "%llu-%lld", (unsigned long long)p->xid, (long long)p->id);
}

/* The place without an event: a client that is cut off before the first one comes back to it. */
static void send_place(struct cluster *c, struct subscription *s)
{
    char cursor[CURSOR_LEN];
    BUF_AUTO text = BUF_INIT;
    place_write(&s->at, cursor);
    buf_printf(&text, "id: %s\n\n", cursor);
    send_text(c, s, &text);
}

/* What lies between its place and now is lost to this reader: said in one event, whose id is where it goes on. */
static int send_gap(struct cluster *c, struct subscription *s, struct err *e)
{
    int r = place_now(c, &s->at, e);
    if (r)
        return r;
    char cursor[CURSOR_LEN];
    place_write(&s->at, cursor);
    BUF_AUTO text = BUF_INIT;
    buf_printf(&text, "id: %s\nevent: gap\ndata: {\"type\":\"gap\",\"data\":{\"reason\":\"the event log no longer reaches back to the last event seen\"}}\n\n", cursor);
    send_text(c, s, &text);
    atomic_fetch_add(&c->gaps, 1);
    return 0;
}

static int replay_page(struct cluster *c, struct subscription *s, bool *ret_more, struct err *e)
{
    char cursor[CURSOR_LEN];
    place_write(&s->at, cursor);
    struct page p = {.c = c, .s = s};
    int n = events_read(c->conn, s->entity, s->teams, cursor, PAGE, replay_one, &p, cursor, e);
    if (n == ERR_NOT_FOUND) {
        *ret_more = true;
        return send_gap(c, s, e);
    }
    if (n < 0)
        return n;
    atomic_fetch_add(&c->events_read, n);
    place_parse(cursor, &s->at, NULL);
    s->moved_at = clock_mono_ms();
    s->full = p.full;
    s->live = !p.full && n < PAGE;
    *ret_more = !p.full && n == PAGE;
    return 0;
}

static int replay(struct cluster *c, struct subscription *s, struct err *e)
{
    int r = 0;
    if (s->from_now && !(r = place_now(c, &s->at, e))) {
        s->from_now = false;
        s->live = true;
        send_place(c, s);
    }
    if (r || s->live)
        return r;
    s->full = stream_pending(s->stream) > PENDING_HIGH;
    bool more = !s->full;
    for (int i = 0; i < CATCH_UP_ROUNDS && more && !r; i++)
        r = replay_page(c, s, &more, e);
    return r;
}

/* --- live --- */

struct encoded { struct stream_block *block; size_t n; };

/* Encoded at the first reader, shared by all. */
static void encode_once(const struct event *ev, struct encoded *x)
{
    if (x->block)
        return;
    BUF_AUTO text = BUF_INIT;
    event_encode_sse(ev, &text);
    x->block = stream_block_new(text.data, text.len);
    x->n = text.len;
}

static int hand_out(const struct event *ev, void *arg)
{
    struct cluster *c = arg;
    struct place here;
    struct encoded x = {0};
    place_parse(ev->cursor, &here, NULL);
    if (c->on_event)
        c->on_event(ev, c->arg);
    for (struct subscription *s = c->subs; s; s = s->next) {
        if (!s->live || !place_before(&s->at, &here) || !may_see(s, ev->entity, ev->team))
            continue;
        encode_once(ev, &x);
        if (stream_pending(s->stream) + x.n > PENDING_HIGH && stream_pending(s->stream)) {
            s->live = false; /* its place stays before this event: replayed from there when the reader has read */
            s->full = true;
            s->moved_at = clock_mono_ms();
            continue;
        }
        stream_send(s->stream, x.block);
        s->at = here;
        atomic_fetch_add(&c->blocks_sent, 1);
    }
    stream_block_unref(x.block);
    c->read_to = here;
    return 0;
}

/* Everybody replays from their own place; who lost something gets a gap of their own. */
static int start_over(struct cluster *c, struct err *e)
{
    for (struct subscription *s = c->subs; s; s = s->next)
        s->live = false;
    int r = place_now(c, &c->read_to, e);
    if (!r && c->woken)
        c->woken("gap", c->arg);
    return r;
}

static int read_live(struct cluster *c, struct err *e)
{
    int n = PAGE;
    while (n == PAGE) {
        char cursor[CURSOR_LEN];
        place_write(&c->read_to, cursor);
        n = events_read(c->conn, NULL, NULL, cursor, PAGE, hand_out, c, cursor, e);
        if (n == ERR_NOT_FOUND)
            return start_over(c, e);
        if (n < 0)
            return n;
        atomic_fetch_add(&c->events_read, n);
    }
    return 0;
}

int fanout_run(struct cluster *c, bool look, int64_t *ret_next, struct err *e)
{
    take_incoming(c);
    if (!c->subs && !c->on_event) {
        c->reading = false; /* nobody listens: nothing is read */
        return 0;
    }
    int r = 0, catching = 0;
    if (!c->reading && !(r = place_now(c, &c->read_to, e)))
        c->reading = true;
    if (!r && look)
        r = read_live(c, e);
    for (struct subscription *s = c->subs; s && !r; s = s->next) {
        if (s->live || atomic_load(&s->ended))
            continue;
        r = replay(c, s, e);
        catching += !s->live;
        if (!r && !s->live && clock_mono_ms() + (s->full ? RETRY_MS : 0) < *ret_next)
            *ret_next = clock_mono_ms() + (s->full ? RETRY_MS : 0);
    }
    atomic_store(&c->n_catching, catching);
    return r;
}

/* --- ends --- */

static bool is_over(struct cluster *c, struct subscription *s, int64_t now)
{
    if (atomic_load(&s->ended))
        return true;
    if (!s->live && s->full && now - s->moved_at > STALLED_MS) {
        log_info("an event stream took nothing for long and was closed");
        return true;
    }
    /* While the database is away nobody can be asked; rights that ended meanwhile end the stream right after. */
    if (!s->check || now < s->check_at || !c->conn)
        return false;
    s->check_at = now + c->check_ms - now % (c->check_ms / 4 + 1); /* those that came together drift apart */
    return !s->check(s->arg);
}

void fanout_check(struct cluster *c)
{
    int64_t now = clock_mono_ms();
    take_incoming(c);
    for (struct subscription **at = &c->subs; *at;) {
        struct subscription *s = *at;
        if (!is_over(c, s, now)) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        atomic_fetch_sub(&c->n_subscriptions, 1);
        subscription_end(s);
    }
}

void fanout_close(struct cluster *c)
{
    pthread_mutex_lock(&c->lock);
    c->closed = true;
    pthread_mutex_unlock(&c->lock);
    take_incoming(c);
    while (c->subs) {
        struct subscription *s = c->subs;
        c->subs = s->next;
        atomic_fetch_sub(&c->n_subscriptions, 1);
        subscription_end(s);
    }
}
