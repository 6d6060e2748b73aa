/* The cluster thread: one connection that listens, sends the coalesced NOTIFY, reads the log for the fan-out, renews leadership, and says that
 * this process lives. Its one complication: every part has its own rhythm, and all must go on while the database is away. */
#include "portal/cluster/cluster.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cluster_queries.h"
#include "portal/cluster/cluster_private.h"
#include "portal/core/clock.h"
#include "portal/core/log.h"
#include "portal/core/thread.h"

#define NOTIFY_EVERY_MS 20
#define READY_FOR_MS 3000
#define ASK_MS 1000
#define RECONNECT_MAX_MS 2000

static _Atomic(struct db *) routes_db;

struct db *cluster_db(void)
{
    return atomic_load(&routes_db);
}

void cluster_wake(struct cluster *c)
{
    uint64_t one = 1;
    if (write(c->wake_fd, &one, sizeof one) < 0)
        return; /* full: it is awake */
}

static void quiet_wake(struct cluster *c)
{
    uint64_t many;
    if (read(c->wake_fd, &many, sizeof many) < 0)
        return;
}

void cluster_poke(struct cluster *c)
{
    atomic_fetch_add(&c->pokes, 1);
    if (!atomic_exchange(&c->poked, true))
        cluster_wake(c);
}

bool cluster_ready(struct cluster *c)
{
    return atomic_load(&c->ready_until) > clock_boot_ms();
}

/* --- the connection --- */

static int listen_again(struct cluster *c, struct err *e)
{
    struct db_conn *conn = NULL;
    int r = db_connect(c->conninfo, "soma cluster", &conn, e);
    if (r)
        return r;
    if (!(r = db_script(conn, "set statement_timeout = '10s'", e)))
        r = db_listen(conn, "soma", e);
    if (!r && events_rebase(conn, e) < 0)
        r = e->code;
    if (r) {
        db_give(conn);
        return r;
    }
    c->conn = conn;
    return 0;
}

static void disconnect(struct cluster *c, const struct err *e)
{
    if (!c->complained)
        log_warn("the database is out of reach; streams and jobs wait for it", LOG_S("error", e->msg));
    c->complained = true;
    db_give(c->conn);
    c->conn = NULL;
    c->connect_wait = c->connect_wait ? c->connect_wait * 2 : 250;
    if (c->connect_wait > RECONNECT_MAX_MS)
        c->connect_wait = RECONNECT_MAX_MS;
    c->connect_at = clock_mono_ms() + c->connect_wait;
}

static void connect_now(struct cluster *c)
{
    struct err e = ERR_INIT;
    if (listen_again(c, &e)) {
        disconnect(c, &e);
        return;
    }
    if (c->complained)
        log_info("the database is within reach again");
    c->complained = false;
    c->connect_wait = c->beat_at = c->ask_at = c->poll_at = 0;
    if (c->was_connected) {
        atomic_fetch_add(&c->reconnects, 1);
        if (c->woken)
            c->woken("reconnected", c->arg);
    }
    c->was_connected = true;
}

/* --- what is due --- */

static int ask_ready(struct cluster *c, int64_t now, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int64_t asked = clock_boot_ms();
    int r = db_one(c->conn, Q_NODE_READY, &row, e);
    if (r)
        return r;
    c->ask_at = now + ASK_MS;
    if (db_bool(row, 0, 0))
        atomic_store(&c->ready_until, asked + READY_FOR_MS);
    else /* a standby, or read-only: the connection string leads to the wrong server now */
        return err_set(e, ERR_UNAVAILABLE, "the database takes no writes");
    return 0;
}

static int beat(struct cluster *c, int64_t now, struct err *e)
{
    int r = db_run(c->conn, Q_NODE_BEAT, NULL, e, db_text(c->node_id), db_text(c->name), db_text(c->role), db_text(c->incarnation), db_text(c->version));
    c->beat_at = now + c->beat_ms;
    return r;
}

static int notify(struct cluster *c, int64_t now, struct err *e)
{
    /* Cleared before it is sent: what is committed after this gets a NOTIFY of its own. */
    atomic_store(&c->poked, false);
    c->notify_at = now + NOTIFY_EVERY_MS;
    atomic_fetch_add(&c->notifies, 1);
    return db_run(c->conn, Q_NOTIFY, NULL, e);
}

/* The log is read at a notification, again shortly after it (what was told of may lie behind a transaction that still runs), and at each poll. */
static bool look_is_due(struct cluster *c, bool notified, int64_t now)
{
    static const int after_ms[] = {10, 40, 200};
    bool due = notified || now >= c->poll_at;
    if (!due)
        return false;
    if (notified)
        c->looks_left = c->subs || c->on_event ? 3 : 0;
    c->poll_at = now + (c->looks_left ? after_ms[3 - c->looks_left] : c->poll_ms);
    if (c->looks_left)
        c->looks_left--;
    return true;
}

static int work(struct cluster *c, bool notified, int64_t *ret_next, struct err *e)
{
    int64_t now = clock_mono_ms();
    int r = 0;
    bool poked = atomic_load(&c->poked);
    if (poked && now >= c->notify_at)
        r = notify(c, now, e);
    bool look = look_is_due(c, notified, now);
    if (!r && notified && c->woken)
        c->woken("jobs", c->arg);
    *ret_next = c->poll_at;
    if (!r)
        r = fanout_run(c, look, ret_next, e);
    if (!r && now >= c->ask_at)
        r = ask_ready(c, now, e);
    if (!r && now >= c->beat_at)
        r = beat(c, now, e);
    if (!r)
        r = leaders_renew(c, ret_next, e);
    if (c->ask_at < *ret_next)
        *ret_next = c->ask_at;
    if (atomic_load(&c->poked) && c->notify_at < *ret_next)
        *ret_next = c->notify_at;
    return r;
}

/* Waits for the database, for a wake-up, or for the time (mono ms). 1: a notification came. */
static int wait_until(struct cluster *c, int64_t at, struct err *e)
{
    int64_t left = at - clock_mono_ms();
    int timeout = left < 0 ? 0 : left > 1000 ? 1000 : (int)left;
    if (c->conn) {
        int r = db_wait_notify(c->conn, timeout, c->wake_fd, e);
        quiet_wake(c);
        return r;
    }
    struct pollfd p = {.fd = c->wake_fd, .events = POLLIN};
    poll(&p, 1, timeout);
    quiet_wake(c);
    return 0;
}

static void leave(struct cluster *c)
{
    if (!c->conn)
        return;
    struct err e = ERR_INIT;
    if (db_run(c->conn, Q_LEADER_LEAVE, NULL, &e, db_text(c->node_id), db_text(c->incarnation)) ||
        db_run(c->conn, Q_NODE_LEAVE, NULL, &e, db_text(c->node_id), db_text(c->role), db_text(c->incarnation)))
        log_warn("could not take leave of the cluster; the leases run out by themselves", LOG_S("error", e.msg));
    db_give(c->conn);
    c->conn = NULL;
}

static void *cluster_main(void *arg)
{
    struct cluster *c = arg;
    thread_set_role(THREAD_AUX, "cluster");
    int notified = 0;
    while (!atomic_load(&c->stop)) {
        struct err e = ERR_INIT;
        int64_t next = clock_mono_ms() + 1000;
        int r = 0;
        if (!c->conn && clock_mono_ms() >= c->connect_at)
            connect_now(c);
        if (c->conn)
            r = work(c, notified > 0, &next, &e);
        else
            next = c->connect_at;
        fanout_check(c);
        if (!r)
            r = notified = wait_until(c, next, &e);
        if (r < 0) {
            notified = 0;
            disconnect(c, &e);
        }
    }
    /* What was committed just before the stop is still told. */
    struct err e = ERR_INIT;
    if (c->conn && atomic_load(&c->poked) && notify(c, clock_mono_ms(), &e))
        log_warn("the last notification was not sent; others find out by polling", LOG_S("error", e.msg));
    fanout_close(c);
    leave(c);
    return NULL;
}

/* --- life --- */

static char *copy(const char *s)
{
    char *p = strdup(s ? s : "");
    if (!p)
        abort();
    return p;
}

static void cluster_free(struct cluster *c)
{
    leaders_free(c);
    pthread_mutex_destroy(&c->lock);
    if (c->wake_fd >= 0)
        close(c->wake_fd);
    explicit_bzero(c->conninfo, strlen(c->conninfo));
    free(c->conninfo);
    free(c->node_id);
    free(c->name);
    free(c->role);
    free(c->version);
    free(c);
}

int cluster_start(const struct cluster_options *o, struct cluster **ret, struct err *e)
{
    struct cluster *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    *c = (struct cluster){.db = o->db, .conninfo = copy(o->conninfo), .node_id = copy(o->node_id), .name = copy(o->name), .role = copy(o->role),
                          .version = copy(o->version), .woken = o->woken, .on_event = o->on_event, .arg = o->arg, .poll_ms = o->poll_ms > 0 ? o->poll_ms : 1000,
                          .beat_ms = o->beat_ms > 0 ? o->beat_ms : 5000, .leader_lease_ms = o->leader_lease_ms > 0 ? o->leader_lease_ms : 15000,
                          .check_ms = o->check_ms > 0 ? o->check_ms : 5000};
    id_new(c->incarnation);
    pthread_mutex_init(&c->lock, NULL);
    atomic_store(&routes_db, o->db);
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = c->wake_fd < 0 ? errno : pthread_create(&c->thread, NULL, cluster_main, c);
    if (r) {
        cluster_free(c);
        return err_errno(e, ERR_IO, r, "cannot start the cluster thread");
    }
    *ret = c;
    return 0;
}

void cluster_stop(struct cluster *c)
{
    if (!c)
        return;
    atomic_store(&c->stop, true);
    cluster_wake(c);
    pthread_join(c->thread, NULL);
    struct db *mine = c->db;
    atomic_compare_exchange_strong(&routes_db, &mine, NULL);
    cluster_free(c);
}

void cluster_get_stats(struct cluster *c, struct cluster_stats *ret)
{
    *ret = (struct cluster_stats){.notifies = atomic_load(&c->notifies), .pokes = atomic_load(&c->pokes), .events_read = atomic_load(&c->events_read),
                                  .blocks_sent = atomic_load(&c->blocks_sent), .gaps = atomic_load(&c->gaps), .reconnects = atomic_load(&c->reconnects),
                                  .subscriptions = atomic_load(&c->n_subscriptions), .catching = atomic_load(&c->n_catching)};
}
