/* The work role: jobs. It serves nobody, so what a run needs of memory never endangers the pages. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "portal/cluster/cluster.h"
#include "portal/core/clock.h"
#include "portal/core/log.h"
#include "portal/http/http.h"
#include "portal/jobs/jobs.h"
#include "portal/node.h"
#include "portal/notify/notify.h"
#include "portal/provision/approval.h"
#include "portal/provision/gates.h"
#include "portal/provision/provision.h"
#include "portal/templates/templates.h"
#include "portal/auth/auth.h"

#define KINDS_MAX 64

struct work {
    struct node *n;
    struct cluster *cluster;
    struct jobs *jobs;
    struct http_server *health;
    struct jobs_kind kinds[KINDS_MAX + 1];
    char leash[512];
};

static void woken(const char *topic, void *arg)
{
    struct work *w = arg;
    if (!strcmp(topic, "jobs") && w->jobs)
        jobs_wake(w->jobs);
}

static void add_kinds(struct work *w, const struct jobs_kind *table)
{
    size_t n = 0;
    while (w->kinds[n].kind)
        n++;
    for (; table->kind && n < KINDS_MAX; table++)
        w->kinds[n++] = *table;
}

/* soma-leash lies beside somad unless the configuration says otherwise. */
static void find_leash(struct work *w)
{
    const char *configured = config_str(w->n->config, "leash");
    char self[480];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = 0;
    char *slash = strrchr(self, '/');
    if (configured)
        snprintf(w->leash, sizeof w->leash, "%s", configured);
    else
        snprintf(w->leash, sizeof w->leash, "%.*s/soma-leash", slash ? (int)(slash - self) : 0, self);
}

static int collect_body(struct db_conn *c, void *arg, struct err *e)
{
    int r = jobs_guard(c, arg, e);
    return r ? r : auth_collect(c, e);
}

/* Ended sessions, old tokens and keys go, a few at a time. */
static int collect(struct job *j, struct err *e)
{
    return db_tx(j->db, collect_body, j, e) ? JOBS_RETRY : JOBS_DONE;
}

static const struct jobs_kind house_jobs[] = {
    {.kind = "auth.collect", .fn = collect, .max_attempts = 3, .backoff_ms = 5000, .backoff_max_ms = 60000, .every_ms = 600000},
    {0},
};

static int open_all(struct work *w, struct err *e)
{
    struct node *n = w->n;
    const struct config *c = n->config;
    struct cluster_options cluster = {.db = n->db, .conninfo = config_str(c, "database"), .node_id = n->id, .name = n->name, .role = "work", .version = SOMA_VERSION,
                                      .woken = woken, .arg = w};
    int r = cluster_start(&cluster, &w->cluster, e);
    if (r)
        return r;
    find_leash(w);
    templates_configure(&(struct templates_options){.db = n->db, .data_dir = config_str(c, "data_dir"), .refresh_ms = config_int(c, "templates_refresh_seconds") * 1000,
                                                    .fetch_ms = config_int(c, "templates_fetch_seconds") * 1000, .fetch_bytes = config_int(c, "templates_fetch_mib") << 20});
    cluster_set_event_days((int)config_int(c, "event_days"));
    gates_register_builtin();
    provision_register_messages();
    approval_configure(c);
    if ((r = notify_configure(c, n->db, w->cluster, e)))
        return r;
    provision_configure(&(struct provision_options){.db = n->db, .cluster = w->cluster, .node_id = n->id, .data_dir = config_str(c, "data_dir"), .runs_dir = n->runs_dir,
                                                    .engine = config_str(c, "engine"),
                                                    .providers = config_str(c, "provider_mirror"), .leash = w->leash, .plan_wall_ms = config_int(c, "plan_minutes") * 60000,
                                                    .apply_wall_ms = config_int(c, "apply_minutes") * 60000});
    int swept = provision_sweep(true, e);
    if (swept < 0)
        return swept;
    add_kinds(w, provision_jobs);
    add_kinds(w, templates_jobs);
    add_kinds(w, cluster_jobs);
    add_kinds(w, notify_jobs);
    add_kinds(w, house_jobs);
    struct jobs_options jobs = {.db = n->db, .node_id = n->id, .threads = (int)config_int(c, "job_threads"), .lease_ms = (int)config_int(c, "lease_seconds") * 1000,
                                .poll_ms = 1000, .labels = config_str(c, "labels"), .kinds = w->kinds};
    r = jobs_start(&jobs, &w->jobs, e);
    metrics_configure(n, NULL, w->jobs, w->cluster);
    return r ? r : metrics_listen(config_str(c, "work_metrics_listen"), &w->health, e);
}

static void sweep_again(void)
{
    struct err e = ERR_INIT;
    if (provision_sweep(false, &e) < 0)
        log_warn("left-over runs could not be put in order; trying again", LOG_S("reason", e.msg));
}

int work_main(struct node *n, struct err *e)
{
    int64_t began = clock_mono_ms();
    struct work w = {.n = n};
    node_block_signals();
    int r = node_open(n, "work", (int)config_int(n->config, "database_pool") + (int)config_int(n->config, "job_threads"), e);
    if (!r)
        r = node_await_database(n, e);
    if (!r)
        r = open_all(&w, e);
    if (!r) {
        log_info("working", LOG_I("threads", config_int(n->config, "job_threads")), LOG_I("ms", clock_mono_ms() - began), LOG_S("version", SOMA_VERSION));
        for (int sig; (sig = node_wait_signal(5000)) != SIGTERM && sig != SIGINT; sweep_again())
            if (sig == SIGHUP && keyring_reload(n->keys, e))
                log_error("the key ring could not be read again; the keys in force stay", LOG_S("reason", e->msg));
        log_info("draining: no new jobs are taken");
        jobs_drain(w.jobs, (int)config_int(n->config, "drain_seconds") * 1000);
    }
    http_server_free(w.health);
    jobs_free(w.jobs);
    cluster_stop(w.cluster);
    return r;
}
