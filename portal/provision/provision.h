/* Orders and services: the road from a request to the real thing and back. portal/provision/README.md tells the story.
 *
 * serve: provision_routes. work: provision_jobs (kind "order", subject = the order's id) and provision_sweep() at start. */
#pragma once
#include "portal/cluster/cluster.h"
#include "portal/core/config.h"
#include "portal/core/err.h"
#include "portal/db/db.h"
#include "portal/http/http.h"
#include "portal/jobs/jobs.h"
#include "portal/provision/cache.h"
#include "portal/secrets/secrets.h"
#include <stdbool.h>

struct provision_options {
    struct db *db;
    struct cluster *cluster;       /* pokes after commits; its streams */
    const char *node_id;
    struct read_cache *reads;      /* serve only; NULL: every read asks the database */
    /* work only */
    const char *data_dir;          /* the node's own folder */
    const char *runs_dir;          /* run folders, kept short: unix sockets lie below */
    const char *engine;            /* path or name of tofu / terraform */
    const char *providers;         /* colon-separated roots of unpacked mirrors */
    const char *leash;             /* path of soma-leash */
    int64_t plan_wall_ms, apply_wall_ms;
};

extern const struct config_key provision_config[];
extern const struct http_route provision_routes[];
extern const struct jobs_kind provision_jobs[];
extern const struct secrets_column provision_secrets[]; /* for rotation */

/* Once at start of a process; the strings are borrowed for its life. */
void provision_configure(const struct provision_options *o);
/* For the cluster's hooks of the process that has the cache: what an event or a topic makes of it. Thread: the cluster's. */
void provision_cache_event(struct read_cache *reads, const struct event *ev);
void provision_cache_woken(struct read_cache *reads, const char *topic);

/* What this node left behind when its worker died: waits for the leashes, stores last states and journals, then lets the orders' jobs be
 * taken over. Work role; `at_start` before jobs_start, then every few seconds: a leash may need its time. Returns how many runs were swept, or an error. Thread: main. */
int provision_sweep(bool at_start, struct err *e);
