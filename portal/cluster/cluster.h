/* Nodes, the event log and its fan-out, the outbox notifier, leadership.
 *
 * The event log is ordered per entity; its cursor is (xid8, id) below pg_snapshot_xmin, written "XID-ID". NOTIFY only wakes. */
#pragma once
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include "portal/db/db.h"
#include "portal/loop/stream.h"
#include <stdbool.h>

/* In the caller's transaction: appends one event. `entity` e.g. "order:<id>" or "service:<name>"; `team` decides who may see it ("" is for all signed in);
 * data is JSON text. */
int events_append(struct db_conn *c, const char *entity, const char *team, const char *type, const char *data, struct err *e);
/* A page of the log after `cursor` ("" from the start), newest visible only below the snapshot's xmin. entity NULL: all; teams: JSON array text of team names the reader
 * may see, NULL for all. fn is called in order. ret_cursor (48 bytes) gets the last one's cursor (or the given one). Returns the number, or an error.
 * ERR_NOT_FOUND when the log no longer reaches back to the cursor (the caller sends a `gap` event). */
struct event { const char *cursor, *entity, *team, *type, *at, *data; };
int events_read(struct db_conn *c, const char *entity, const char *teams, const char *cursor, int limit,
                int (*fn)(const struct event *ev, void *arg), void *arg, char *ret_cursor, struct err *e);

struct cluster;
struct cluster_options { struct db *db; const char *conninfo; const char *node_id; const char *name; const char *role; /* "serve" or "work" */ const char *version;
    void (*woken)(const char *topic, void *arg); /* "jobs" when jobs were queued; on the cluster's thread */ void *arg; struct streams *streams; /* serve only */ };
/* Starts the cluster thread: node heartbeat (node row: id, name, roles, version, seen), LISTEN, the coalescing outbox notifier, event fan-out. */
int cluster_start(const struct cluster_options *o, struct cluster **ret, struct err *e);
void cluster_stop(struct cluster *c);
/* This process committed something that others wait for: the notifier sends one NOTIFY for many calls. Any thread. */
void cluster_poke(struct cluster *c);
/* Hands a stream to the fan-out: it gets every event of `entity` (NULL: all) visible to `teams` (JSON array text, NULL all) after `cursor`, in order, none twice.
 * `check` is called on the cluster thread at least every 10 s with its argument: false ends the stream (session or right ended); arg is freed with free_arg at the end. */
struct cluster_subscription { const char *entity, *teams, *cursor; bool (*check)(void *arg); void (*free_arg)(void *arg); void *arg; };
int cluster_subscribe(struct cluster *c, struct stream *s, const struct cluster_subscription *sub, struct err *e);
/* Encodes one event as SSE text (id, event, data lines). */
void event_encode_sse(const struct event *ev, struct buf *out);

/* Leadership by a lease row: whether this node leads `topic` now (term in *ret_term); renews by itself. Any thread. */
bool cluster_leads(struct cluster *c, const char *topic, int64_t *ret_term);
/* Whether the database answered a function call within the last seconds: for /ready. */
bool cluster_ready(struct cluster *c);
