/* Nodes, the event log and its fan-out, the outbox notifier, leadership.
 *
 * The event log is ordered per entity; its cursor is (xid8, id) below pg_snapshot_xmin, written "XID-ID". NOTIFY only wakes. */
#pragma once
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include "portal/core/config.h"
#include "portal/db/db.h"
#include "portal/http/http.h"
#include "portal/jobs/jobs.h"
#include "portal/loop/stream.h"
#include <stdbool.h>
#include <stdint.h>

/* In the caller's transaction: appends one event. `entity` e.g. "order:<id>" or "service:<name>"; `team` decides who may see it ("" is for all signed in);
 * data is JSON text. */
int events_append(struct db_conn *c, const char *entity, const char *team, const char *type, const char *data, struct err *e);
/* A page of the log after `cursor` ("" from the start), newest visible only below the snapshot's xmin. entity NULL: all; teams: JSON array text of team names the reader
 * may see, NULL for all. fn is called in order. ret_cursor (48 bytes) gets the last one's cursor (or the given one). Returns the number, or an error.
 * ERR_NOT_FOUND when the log no longer reaches back to the cursor (the caller sends a `gap` event); ERR_INVALID when it is no cursor.
 * fn returns 0 to go on; anything else ends the page behind this event (that is no error). limit is 1..1000. */
struct event { const char *cursor, *entity, *team, *type, *at, *data; };
int events_read(struct db_conn *c, const char *entity, const char *teams, const char *cursor, int limit,
                int (*fn)(const struct event *ev, void *arg), void *arg, char *ret_cursor, struct err *e);
/* The cursor behind all that is visible now (48 bytes): what a reader takes who wants only what comes. */
int events_cursor_now(struct db_conn *c, char *ret_cursor, struct err *e);
/* Retention: deletes what is older than age_ms, in short transactions of its own. For a schedule's job. Returns how many, or an error. */
int64_t events_trim(struct db *db, int64_t age_ms, struct err *e);
/* After a restore from a dump into another server: makes the log readable there again (cluster_start calls it). Returns how many events moved. */
int64_t events_rebase(struct db_conn *c, struct err *e);

struct cluster;
struct cluster_options { struct db *db; const char *conninfo; const char *node_id; const char *name; const char *role; /* "serve" or "work" */ const char *version;
    /* On the cluster's thread, must not block: "jobs" when something was committed somewhere (jobs may have been queued), "reconnected" when the
     * database came back after it was away (a failover: caches are suspect), "gap" when events were lost (caches are suspect, too). May be NULL. */
    void (*woken)(const char *topic, void *arg); void *arg; struct streams *streams; /* serve only */
    /* On the cluster's thread, must not block: each event of all teams, in order, from before cluster_ready() was first true. May be NULL. */
    void (*on_event)(const struct event *ev, void *arg);
    int poll_ms;            /* 0: 1000 */
    int beat_ms;            /* node heartbeat; 0: 5000 */
    int leader_lease_ms;    /* 0: 15000; a leader trusts its lease for four fifths of it */
    int check_ms;           /* of subscriptions; 0: 5000 */ };
/* Starts the cluster thread: node heartbeat (node row: id, name, roles, version, seen), LISTEN, the coalescing outbox notifier, event fan-out. */
int cluster_start(const struct cluster_options *o, struct cluster **ret, struct err *e);
/* Gives up leadership, takes the process off the node's row, closes the streams it feeds, joins. Takes NULL. */
void cluster_stop(struct cluster *c);
/* This process committed something that others wait for: the notifier sends one NOTIFY for many calls. Any thread. */
void cluster_poke(struct cluster *c);
/* Hands a stream to the fan-out: it gets every event of `entity` (NULL: all) visible to `teams` (JSON array text, NULL all) after `cursor`, in order, none twice.
 * cursor "" is the log's beginning, NULL is now (then the place is told at once, as an id without data). The fan-out takes its own reference and becomes the stream's owner (stream_set_owner).
 * When the log no longer reaches back to the cursor, one event `gap` comes instead of what is lost, and the stream goes on from now. A reader that
 * cannot keep up is fed from the log at its own pace; one that takes nothing for 30 s is closed.
 * `check` (may be NULL) is called on the cluster thread at least every 10 s with its argument: false ends the stream (session or right ended); arg is freed with free_arg at the end,
 * also when this returns an error (ERR_INVALID: teams or cursor cannot be read; ERR_CANCELED: the cluster is stopping). Any thread. */
struct cluster_subscription { const char *entity, *teams, *cursor; bool (*check)(void *arg); void (*free_arg)(void *arg); void *arg; };
int cluster_subscribe(struct cluster *c, struct stream *s, const struct cluster_subscription *sub, struct err *e);
/* Encodes one event as SSE text: `id: <cursor>`, `event: <type>`, `data: {"id","entity","type","at","data"}` on one line, an empty line. */
void event_encode_sse(const struct event *ev, struct buf *out);

/* Leadership by a lease row: whether this node leads `topic` now (term in *ret_term, which may be NULL); renews by itself. The first question
 * enters the contest and is answered false. Any thread. */
bool cluster_leads(struct cluster *c, const char *topic, int64_t *ret_term);
/* First statement of every transaction that a leader writes: ERR_FENCED when the term is over; holds it until commit. */
int cluster_leader_guard(struct db_conn *c, const char *topic, int64_t term, struct err *e);
/* Whether the database answered a function call (soma.node_ready()) within the last 3 s: for /ready. Asked each second by the cluster thread; any thread. */
bool cluster_ready(struct cluster *c);
struct cluster_stats { int64_t notifies, pokes, events_read, blocks_sent, gaps, reconnects; int subscriptions, catching; };
void cluster_get_stats(struct cluster *c, struct cluster_stats *ret); /* any thread */

/* For main.c: GET /api/v1/nodes (platform-admin); the schedule that keeps the event log and the list of nodes short; its configuration. */
extern const struct http_route cluster_routes[];
extern const struct jobs_kind cluster_jobs[];
extern const struct config_key cluster_config[]; /* event_days */
/* How long events are kept; 30 days unless told. Any thread. */
void cluster_set_event_days(int days);
