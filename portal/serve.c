/* The serve role: HTTP, live streams. It takes no jobs, so it may be restarted at any time without touching a run. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "portal/audit/audit.h"
#include "portal/auth/auth.h"
#include "portal/auth/idempotency.h"
#include "portal/cluster/cluster.h"
#include "portal/core/clock.h"
#include "portal/core/log.h"
#include "portal/http/http.h"
#include "portal/http/openapi_check.h"
#include "portal/http/page.h"
#include "portal/jobs/jobs.h"
#include "portal/loop/loop.h"
#include "portal/monitoring/monitoring.h"
#include "portal/node.h"
#include "portal/notify/notify.h"
#include "portal/provision/approval.h"
#include "portal/provision/cache.h"
#include "portal/provision/gates.h"
#include "portal/provision/provision.h"
#include "portal/templates/templates.h"

#include "docs_embedded.h"
#include "openapi_embedded.h"

struct serve {
    struct node *n;
    struct loop *loop;
    struct streams *streams;
    struct cluster *cluster;
    struct auth *auth;
    struct http_server *api, *health;
    struct read_cache *reads;
};

static void access_line(struct http_req *r, int status, size_t bytes, int64_t duration_us)
{
    if (status >= 500 && status != 503)
        log_error("request", LOG_S("method", r->method), LOG_S("path", http_log_path(r)), LOG_I("status", status), LOG_I("bytes", (int64_t)bytes), LOG_I("us", duration_us));
    else if (strcmp(r->method, "GET"))
        log_info("request", LOG_S("method", r->method), LOG_S("path", http_log_path(r)), LOG_I("status", status), LOG_I("bytes", (int64_t)bytes), LOG_I("us", duration_us),
                 LOG_S("actor", r->who ? r->who->name : NULL));
    else
        log_debug("request", LOG_S("method", r->method), LOG_S("path", http_log_path(r)), LOG_I("status", status), LOG_I("bytes", (int64_t)bytes), LOG_I("us", duration_us));
}

static const struct http_hooks hooks = {
    .authenticate = auth_authenticate, .authorize = auth_authorize, .idempotency_begin = idempotency_begin, .idempotency_end = idempotency_end,
    .check_body = http_openapi_check, .done = access_line,
};

static int is_ready(void *user, struct err *e)
{
    (void)user;
    return metrics_ready(e);
}

static const struct http_builtin builtin = {.openapi = openapi_json, .openapi_len = sizeof openapi_json - 1, .docs = apidocs_html, .docs_len = sizeof apidocs_html - 1,
                                            .docs_csp = APIDOCS_CSP, .version = SOMA_VERSION, .ready = is_ready, .root = true};

/* Each route is described, each description has its route: else what clients are made from would lie. */
static int check_document(struct http_server *api, struct err *e)
{
    BUF_AUTO differences = BUF_INIT;
    const struct http_server *servers[] = {api};
    int r = http_openapi_load((const char *)openapi_json, openapi_json_len, e);
    if (!r && http_openapi_compare(servers, 1, &differences))
        return err_set(e, ERR_INTERNAL, "the API document and the routes differ: %s", differences.data);
    return r;
}

static int open_api(struct serve *s, struct err *e)
{
    const struct config *c = s->n->config;
    struct http_options o = {.listen = config_str(c, "listen"), .certificate = config_str(c, "certificate"), .private_key = config_str(c, "private_key"),
                             .threads = (int)config_int(c, "http_threads"), .header_timeout_ms = 10000, .body_timeout_ms = 30000,
                             .body_min_rate = (int)config_int(c, "body_min_rate"), .body_grace_ms = (int)config_int(c, "body_grace_seconds") * 1000,
                             .trusted_proxies = config_str(c, "trusted_proxies"), .forwarded = !strcmp(config_str(c, "proxy_header"), "forwarded"),
                             .hooks = &hooks, .streams = s->streams};
    int r = http_server_new(&o, &s->api, e);
    if (r)
        return r;
    const struct http_route *tables[] = {auth_routes, audit_routes, jobs_routes, cluster_routes, notify_routes, templates_routes, monitoring_routes, provision_routes};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        http_server_add(s->api, tables[i]);
    http_add_builtin(s->api, &builtin);
    if ((r = check_document(s->api, e)))
        return r;
    return http_server_start(s->api, e);
}

/* Reads are kept only while this process hears of every write. */
static bool hears_events(void *arg)
{
    return cluster_ready(((struct serve *)arg)->cluster);
}

static void on_event(const struct event *ev, void *arg)
{
    provision_cache_event(((struct serve *)arg)->reads, ev);
}

static void woken(const char *topic, void *arg)
{
    provision_cache_woken(((struct serve *)arg)->reads, topic);
}

static int open_all(struct serve *s, struct err *e)
{
    struct node *n = s->n;
    const struct config *c = n->config;
    int r = loop_new(&s->loop, e);
    if (!r)
        r = loop_start(s->loop, e);
    if (r)
        return r;
    s->streams = streams_new(s->loop);
    struct auth_options auth = {.db = n->db};
    auth_options_from_config(c, &auth);
    struct cluster_options cluster = {.db = n->db, .conninfo = config_str(c, "database"), .node_id = n->id, .name = n->name, .role = "serve", .version = SOMA_VERSION,
                                      .streams = s->streams, .woken = woken, .on_event = on_event, .arg = s};
    s->reads = read_cache_new(hears_events, s);
    r = auth_new(&auth, &s->auth, e);
    if (!r)
        r = cluster_start(&cluster, &s->cluster, e);
    if (r)
        return r;
    auth_set_instance(s->auth);
    templates_set_db(n->db);
    monitoring_set_db(n->db);
    jobs_set_db(n->db);
    gates_register_builtin();
    provision_register_messages();
    approval_configure(c);
    provision_configure(&(struct provision_options){.db = n->db, .cluster = s->cluster, .node_id = n->id, .reads = s->reads});
    r = notify_configure(c, n->db, s->cluster, e);
    if (!r)
        r = open_api(s, e);
    metrics_configure(n, s->api, NULL, s->cluster);
    return r ? r : metrics_listen(config_str(c, "metrics_listen"), &s->health, e);
}

static void close_all(struct serve *s)
{
    http_server_free(s->api);
    http_server_free(s->health);
    http_openapi_free();
    cluster_stop(s->cluster);
    read_cache_free(s->reads);
    auth_free(s->auth);
    streams_free(s->streams);
    if (s->loop)
        loop_stop(s->loop);
    loop_free(s->loop);
}

/* Not ready first, so that a balancer turns away; then what is in flight ends, and streams are told to come back. */
static void drain(struct serve *s)
{
    log_info("draining", LOG_I("streams", (int64_t)streams_count(s->streams)));
    metrics_set_draining();
    streams_drain(s->streams, 1000);
    http_server_drain(s->api, (int)config_int(s->n->config, "drain_seconds") * 1000);
}

static void reload(struct serve *s)
{
    struct node *n = s->n;
    struct err e = ERR_INIT;
    if (keyring_reload(n->keys, &e) || (n->config_path && config_load_file(n->config, n->config_path, &e)))
        log_error("reload failed; what was in force stays", LOG_S("reason", e.msg));
    if (config_str(n->config, "certificate") && http_server_reload_certificate(s->api, &e))
        log_error("the certificate could not be read again; the old one stays", LOG_S("reason", e.msg));
    log_set_level((enum log_level)log_level_parse(config_str(n->config, "log_level")));
    log_info("configuration and keys were read again");
}

int serve_main(struct node *n, struct err *e)
{
    int64_t began = clock_mono_ms();
    struct serve s = {.n = n};
    node_block_signals();
    int r = node_open(n, "serve", (int)config_int(n->config, "database_pool"), e);
    if (!r)
        r = node_await_database(n, e);
    if (!r)
        r = open_all(&s, e);
    if (!r) {
        log_info("serving", LOG_S("listen", config_str(n->config, "listen")), LOG_I("port", http_server_port(s.api)), LOG_I("ms", clock_mono_ms() - began), LOG_S("version", SOMA_VERSION));
        for (int sig; (sig = node_wait_signal(60000)) != SIGTERM && sig != SIGINT;)
            if (sig == SIGHUP)
                reload(&s);
        drain(&s);
    }
    close_all(&s);
    return r;
}
