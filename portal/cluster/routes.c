/* What the cluster domain gives main.c: the list of nodes, the schedule that keeps log and list short, its configuration. */
#include "cluster_queries.h"
#include "portal/cluster/cluster_private.h"
#include "portal/core/log.h"
#include "portal/core/thread.h"
#include "portal/http/http.h"
#include "portal/jobs/jobs.h"

#define DAY_MS 86400000LL
#define AWAY_MS 20000      /* four heartbeats missed */
#define FORGET_DAYS 7

static atomic_int event_days = 30;

const struct config_key cluster_config[] = {
    {.name = "event_days", .type = CONFIG_INT, .fallback = "30", .min = 1, .max = 3650, .help = "days for which the event log is kept"},
    {0},
};

void cluster_set_event_days(int days)
{
    atomic_store(&event_days, days);
}

static int list_nodes(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    struct db *db = cluster_db();
    int x = db ? db_take(db, &c, e) : err_set(e, ERR_UNAVAILABLE, "this node is starting or stopping; try again in a moment");
    if (!x)
        x = db_run(c, Q_NODE_LIST, &rows, e, db_int(AWAY_MS));
    if (x)
        return x;
    BUF_AUTO b = BUF_INIT;
    buf_str(&b, "{\"items\":[");
    for (int i = 0; i < db_rows(rows); i++) {
        buf_str(&b, i ? "," : "");
        buf_str(&b, db_str(rows, i, 0));
    }
    buf_str(&b, "],\"next\":null}");
    return http_reply_json(r, 200, &b);
}

const struct http_route cluster_routes[] = {
    {"GET", "/api/v1/nodes", "listNodes", "platform-admin", list_nodes, 0, 0},
    {0},
};

static int housekeeping(struct job *j, struct err *e)
{
    int64_t n = events_trim(j->db, atomic_load(&event_days) * DAY_MS, e);
    if (n < 0)
        return JOBS_RETRY;
    if (n)
        log_info("old events were deleted", LOG_I("events", n));
    DB_CONN_AUTO c = NULL;
    if (db_take(j->db, &c, e) || db_run(c, Q_NODE_FORGET, NULL, e, db_int(FORGET_DAYS * DAY_MS)))
        return JOBS_RETRY;
    return JOBS_DONE;
}

const struct jobs_kind cluster_jobs[] = {
    {.kind = "cluster.housekeeping", .fn = housekeeping, .max_attempts = 5, .backoff_ms = 5000, .backoff_max_ms = 60000, .every_ms = 3600000},
    {0},
};
