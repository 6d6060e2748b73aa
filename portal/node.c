#include "portal/node.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "portal/auth/auth.h"
#include "portal/cluster/cluster.h"
#include "portal/core/clock.h"
#include "portal/core/fs.h"
#include "portal/core/id.h"
#include "portal/core/log.h"
#include "portal/core/thread.h"
#include "portal/notify/notify.h"
#include "portal/provision/approval.h"
#include "portal/provision/provision.h"
#include "portal/secrets/secrets.h"
#include "portal/templates/templates.h"

const struct config_key node_config[] = {
    {.name = "listen", .type = CONFIG_STRING, .fallback = "127.0.0.1:8080", .help = "address and port of the API and the pages"},
    {.name = "metrics_listen", .type = CONFIG_STRING, .fallback = "127.0.0.1:9108", .help = "address and port of /health, /ready and /metrics; empty: none"},
    {.name = "work_metrics_listen", .type = CONFIG_STRING, .help = "the same for the work role; empty: none"},
    {.name = "certificate", .type = CONFIG_STRING, .help = "PEM file with the certificate chain: HTTPS instead of HTTP"},
    {.name = "private_key", .type = CONFIG_STRING, .help = "PEM file with the certificate's private key"},
    {.name = "trusted_proxies", .type = CONFIG_STRING, .help = "addresses and networks of the proxies in front, such as 10.0.0.0/8, fd00::/8: they alone may say who the client is and whether it came by HTTPS"},
    {.name = "proxy_header", .type = CONFIG_ENUM, .fallback = "x-forwarded", .choices = "x-forwarded|forwarded", .help = "where they say it: in X-Forwarded-For and X-Forwarded-Proto, or in Forwarded (RFC 7239); the other is ignored"},
    {.name = "database", .type = CONFIG_STRING, .secret = true, .required = true, .help = "libpq connection string of the role soma_app; may name several hosts"},
    {.name = "database_pool", .type = CONFIG_INT, .fallback = "8", .min = 2, .max = 200, .help = "database connections of each role at most"},
    {.name = "data_dir", .type = CONFIG_STRING, .required = true, .help = "this node's folder: identity, git mirrors, run folders"},
    {.name = "key_file", .type = CONFIG_STRING, .required = true, .help = "key ring that seals secrets; the same file on every node; `somad keys init` makes one"},
    {.name = "log_level", .type = CONFIG_ENUM, .fallback = "info", .choices = "debug|info|warn|error", .reloadable = true, .help = "least level that is logged"},
    {.name = "node_name", .type = CONFIG_STRING, .help = "name of this node; the host's by default"},
    {.name = "http_threads", .type = CONFIG_INT, .fallback = "64", .min = 2, .max = 512, .help = "threads that answer requests"},
    {.name = "body_grace_seconds", .type = CONFIG_INT, .fallback = "5", .min = 1, .max = 60, .help = "how long a client may pause in sending a body, or in reading an answer, before body_min_rate is asked for"},
    {.name = "body_min_rate", .type = CONFIG_INT, .fallback = "500", .min = 1, .max = 1000000, .help = "bytes a second on the average, below which a body or an answer is cut off; a body has 30 seconds in any case"},
    {.name = "job_threads", .type = CONFIG_INT, .fallback = "4", .min = 1, .max = 64, .help = "jobs worked on at once by this node"},
    {.name = "lease_seconds", .type = CONFIG_INT, .fallback = "30", .min = 10, .max = 600, .help = "how long a job is held without a heartbeat"},
    {.name = "drain_seconds", .type = CONFIG_INT, .fallback = "30", .min = 1, .max = 7200, .help = "how long a stop waits for requests and jobs"},
    {.name = "labels", .type = CONFIG_STRING, .help = "comma-separated labels of this worker: it also takes jobs that ask for one of them"},
    {0},
};

/* The part of the engine's own words about configuration that belongs to templates, provision and auth comes from their tables. */
int node_configure(struct node *n, int *argc, char **argv, struct err *e)
{
    n->config = config_new();
    config_add(n->config, "node", node_config);
    config_add(n->config, "people", auth_config);
    config_add(n->config, "cluster", cluster_config);
    config_add(n->config, "golden paths", templates_config);
    config_add(n->config, "terraform", provision_config);
    config_add(n->config, "approval", approval_config);
    config_add(n->config, "notifications", notify_config);
    n->config_path = getenv("SOMA_CONFIG");
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (!strcmp(argv[i], "--config") && i + 1 < *argc)
            n->config_path = argv[++i];
        else if (!strncmp(argv[i], "--config=", 9))
            n->config_path = argv[i] + 9;
        else
            argv[kept++] = argv[i];
    }
    *argc = kept;
    argv[kept] = NULL;
    int r = n->config_path ? config_load_file(n->config, n->config_path, e) : 0;
    if (!r)
        r = config_load_env(n->config, e);
    return r ? r : config_load_flags(n->config, argc, argv, e);
}

/* Both roles start at once on a new data folder: whoever links first has made the identity, the other reads it. */
static int make_identity(const char *path, struct err *e)
{
    char id[ID_LEN + 1], own[560], line[ID_LEN + 2];
    id_new(id);
    snprintf(own, sizeof own, "%s.%d", path, getpid());
    int n = snprintf(line, sizeof line, "%s\n", id);
    int r = fs_write_atomic(own, line, (size_t)n, 0600, e);
    if (!r && link(own, path) && errno != EEXIST)
        r = err_errno(e, ERR_IO, errno, "cannot create %s", path);
    unlink(own);
    return r;
}

/* A node is its data folder: a worker that comes back under the same id puts its own left-overs in order. */
static int read_identity(struct node *n, const char *data_dir, struct err *e)
{
    char path[512];
    BUF_AUTO text = BUF_INIT;
    snprintf(path, sizeof path, "%s/node_id", data_dir);
    int r = fs_read(path, 64, &text, e);
    if (r == ERR_NOT_FOUND) {
        r = make_identity(path, e);
        if (!r)
            r = fs_read(path, 64, &text, e);
    }
    if (r)
        return r;
    snprintf(n->id, sizeof n->id, "%.36s", buf_cstr(&text));
    if (!id_valid(n->id))
        return err_set(e, ERR_INVALID, "%s does not hold a node's id; remove the file to get a new one", path);
    return 0;
}

int node_open(struct node *n, const char *role, int pool, struct err *e)
{
    int r = config_check(n->config, e);
    if (r)
        return r;
    log_set_role(role);
    log_set_level((enum log_level)log_level_parse(config_str(n->config, "log_level")));
    const char *data_dir = config_str(n->config, "data_dir");
    snprintf(n->runs_dir, sizeof n->runs_dir, "%s/runs", data_dir);
    if ((r = fs_mkdirs(data_dir, 0700, e)) || (r = fs_mkdirs(n->runs_dir, 0700, e)) || (r = read_identity(n, data_dir, e)))
        return r;
    if (config_str(n->config, "node_name"))
        snprintf(n->name, sizeof n->name, "%s", config_str(n->config, "node_name"));
    else
        gethostname(n->name, sizeof n->name - 1);
    if ((r = keyring_open(config_str(n->config, "key_file"), &n->keys, e)))
        return r;
    keyring_set_instance(n->keys);
    secrets_set_keyring(n->keys);
    char application[64];
    snprintf(application, sizeof application, "somad %s", role);
    return db_open(&(struct db_options){.conninfo = config_str(n->config, "database"), .application = application, .size = pool, .wait_ms = 5000, .statement_timeout_ms = 60000},
                   &n->db, e);
}

void node_close(struct node *n)
{
    db_close(n->db);
    keyring_free(n->keys);
    config_free(n->config);
}

int node_await_database(struct node *n, struct err *e)
{
    for (bool said = false;; said = true) {
        DB_CONN_AUTO c = NULL;
        int r = db_take(n->db, &c, e);
        if (!r)
            r = db_check_schema(c, e);
        if (r != ERR_UNAVAILABLE && r != ERR_TIMEOUT)
            return r;
        if (!said)
            log_warn("waiting for the database", LOG_S("reason", e->msg));
        db_givep(&c);
        if (node_wait_signal(1000))
            return err_set(e, ERR_CANCELED, "asked to stop while waiting for the database");
    }
}

static sigset_t signals_of_interest(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

void node_block_signals(void)
{
    sigset_t set = signals_of_interest();
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int node_wait_signal(int timeout_ms)
{
    sigset_t set = signals_of_interest();
    struct timespec t = {timeout_ms / 1000, (timeout_ms % 1000) * 1000000L};
    int s = sigtimedwait(&set, NULL, &t);
    return s > 0 ? s : 0;
}
