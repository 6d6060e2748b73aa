/* /health, /ready and /metrics. They say what this process knows; queue depth comes from the database, at most once in a second. */
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "portal/cluster/cluster.h"
#include "portal/http/http.h"
#include "portal/jobs/jobs.h"
#include "portal/node.h"
#include "portal/notify/notify.h"
#include "portal/provision/approval.h"

static struct { struct node *node; struct http_server *api; struct jobs *jobs; struct cluster *cluster; } parts;
static atomic_bool draining;

void metrics_configure(struct node *n, struct http_server *api, struct jobs *jobs, struct cluster *cluster)
{
    parts.node = n;
    parts.api = api;
    parts.jobs = jobs;
    parts.cluster = cluster;
}

void metrics_set_draining(void)
{
    atomic_store(&draining, true);
}

int metrics_ready(struct err *e)
{
    if (!atomic_load(&draining) && parts.cluster && cluster_ready(parts.cluster))
        return 0;
    err_set(e, ERR_UNAVAILABLE, atomic_load(&draining) ? "this node is being stopped" : "the database does not answer; the node comes back by itself once it does");
    if (e)
        e->retry_after = 2;
    return ERR_UNAVAILABLE;
}

static void metric(struct buf *b, const char *name, const char *type, const char *help, int64_t value)
{
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n%s %" PRId64 "\n", name, help, name, type, name, value);
}

static void http_metrics(struct buf *b)
{
    struct http_stats s;
    http_server_stats(parts.api, &s);
    buf_str(b, "# HELP soma_http_responses_total Answers by class of status\n# TYPE soma_http_responses_total counter\n");
    const int64_t classes[] = {s.status_2xx, s.status_3xx, s.status_4xx, s.status_5xx};
    for (int i = 0; i < 4; i++)
        buf_printf(b, "soma_http_responses_total{class=\"%dxx\"} %" PRId64 "\n", i + 2, classes[i]);
    metric(b, "soma_http_in_flight", "gauge", "Requests being answered", s.in_flight);
    metric(b, "soma_http_rejected_busy_total", "counter", "Requests answered 503 because all workers were busy", s.rejected_busy);
    metric(b, "soma_http_workers", "gauge", "HTTP worker threads", s.threads);
    metric(b, "soma_http_workers_busy", "gauge", "HTTP worker threads at work", s.busy);
}

static void job_metrics(struct buf *b)
{
    struct jobs_stats s;
    if (jobs_get_stats(parts.jobs, &s))
        return;
    metric(b, "soma_jobs_claimed_total", "counter", "Jobs this worker took", s.claimed);
    metric(b, "soma_jobs_done_total", "counter", "Jobs this worker finished", s.done);
    metric(b, "soma_jobs_retried_total", "counter", "Tries that will be repeated", s.retried);
    metric(b, "soma_jobs_dead_total", "counter", "Jobs given up", s.dead);
    metric(b, "soma_jobs_fenced_total", "counter", "Jobs lost to another worker", s.fenced);
    metric(b, "soma_jobs_running", "gauge", "Jobs at work here", s.running);
    metric(b, "soma_jobs_queued", "gauge", "Jobs that wait in the installation", s.queued);
}

static void approval_metrics(struct buf *b)
{
    DB_CONN_AUTO c = NULL;
    int64_t waiting, oldest;
    if (db_take(parts.node->db, &c, NULL) || approval_count(c, &waiting, &oldest, NULL))
        return;
    metric(b, "soma_approvals_waiting", "gauge", "Orders of the installation that wait for approval", waiting);
    metric(b, "soma_approval_oldest_seconds", "gauge", "How long the oldest of them has waited", oldest);
}

static void notify_metrics(struct buf *b)
{
    struct notify_stats s;
    notify_get_stats(&s);
    metric(b, "soma_notify_sent_total", "counter", "Messages this worker sent", s.sent);
    metric(b, "soma_notify_retried_total", "counter", "Tries that will be repeated", s.retried);
    metric(b, "soma_notify_failed_total", "counter", "Messages that were refused for good", s.failed);
}

static int get_metrics(struct http_req *r, struct err *e)
{
    (void)e;
    BUF_AUTO b = BUF_INIT;
    buf_printf(&b, "# HELP soma_build_info Version of this node\n# TYPE soma_build_info gauge\nsoma_build_info{version=\"%s\"} 1\n", SOMA_VERSION);
    metric(&b, "soma_ready", "gauge", "Whether this node can serve", metrics_ready(NULL) == 0);
    if (parts.api)
        http_metrics(&b);
    if (parts.jobs)
        job_metrics(&b);
    if (parts.jobs)
        notify_metrics(&b);
    if (parts.api)
        approval_metrics(&b);
    if (parts.node && parts.node->db) {
        struct db_stats s;
        db_get_stats(parts.node->db, &s);
        metric(&b, "soma_db_connections", "gauge", "Open database connections of the pool", s.open);
        metric(&b, "soma_db_connections_idle", "gauge", "Idle ones", s.idle);
        metric(&b, "soma_db_waiting", "gauge", "Threads that wait for a connection", s.waiting);
        metric(&b, "soma_db_failures_total", "counter", "Connections lost or refused", s.failed);
    }
    return http_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", b.data, b.len);
}

/* Only on the second port, which is for machines inside. */
const struct http_route metrics_routes[] = {
    {"GET", "/metrics", NULL, "public", get_metrics, 0, 0},
    {0},
};

static int is_ready(void *user, struct err *e)
{
    (void)user;
    return metrics_ready(e);
}

int metrics_listen(const char *listen, struct http_server **ret, struct err *e)
{
    static const struct http_builtin builtin = {.version = SOMA_VERSION, .ready = is_ready};
    struct http_options o = {.listen = listen, .threads = 4};
    if (!listen)
        return 0;
    int r = http_server_new(&o, ret, e);
    if (r)
        return r;
    http_server_add(*ret, metrics_routes);
    http_add_builtin(*ret, &builtin);
    return http_server_start(*ret, e);
}
