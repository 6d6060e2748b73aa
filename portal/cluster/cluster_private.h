/* Shared by the files of portal/cluster alone. */
#pragma once
#include "portal/cluster/cluster.h"
#include "portal/core/id.h"
#include <pthread.h>
#include <stdatomic.h>

#define CURSOR_LEN 48

/* A place in the event log. Ordered by (xid, id). */
struct place { uint64_t xid; int64_t id; };
int place_parse(const char *cursor, struct place *ret, struct err *e); /* "" is the beginning */
bool place_before(const struct place *a, const struct place *b);
/* Whether the log no longer reaches back to `after`, or never gave it out. */
int events_lost(struct db_conn *c, const struct place *after, bool *ret_lost, struct err *e);

struct subscription;
struct leader;

struct cluster {
    struct db *db;
    char *conninfo, *node_id, *name, *role, *version;
    char incarnation[ID_LEN + 1];
    void (*woken)(const char *topic, void *arg);
    void (*on_event)(const struct event *ev, void *arg);
    void *arg;
    int poll_ms, beat_ms, leader_lease_ms, check_ms;
    pthread_t thread;
    int wake_fd;
    atomic_bool stop, poked;
    atomic_int_fast64_t ready_until; /* boot clock */
    atomic_int_fast64_t notifies, pokes, events_read, blocks_sent, gaps, reconnects;
    atomic_int n_subscriptions, n_catching;

    pthread_mutex_t lock;
    struct subscription *incoming; /* under lock: not yet seen by the thread */
    struct leader *leaders;        /* the list and its fields under lock; entries stay until the end */
    bool closed;                   /* under lock: no more subscriptions */

    /* The thread's own. */
    struct db_conn *conn;
    bool was_connected, complained;
    int64_t connect_at, connect_wait, beat_at, ask_at, notify_at, poll_at;
    int looks_left;
    struct subscription *subs;
    struct place read_to;          /* what the fan-out has handed out */
    bool reading;                  /* read_to is set */
};

void cluster_wake(struct cluster *c);
struct db *cluster_db(void); /* of the process's cluster: for the routes */

/* leader.c; on the thread, with a live connection. Returns when it wants to be called again (mono ms); fails with the connection. */
int leaders_renew(struct cluster *c, int64_t *ret_next, struct err *e);
void leaders_free(struct cluster *c);

/* fanout.c; on the thread. */
int fanout_run(struct cluster *c, bool look, int64_t *ret_next, struct err *e);
void fanout_check(struct cluster *c);  /* asks due checks, drops ended streams; needs no connection */
void fanout_close(struct cluster *c);
