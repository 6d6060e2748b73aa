/* What a node's processes share: configuration, database, keys, identity. Only portal/main.c and its neighbours include this. Thread: main. */
#pragma once
#include "portal/core/config.h"
#include "portal/core/err.h"
#include "portal/crypto/keyring.h"
#include "portal/db/db.h"

struct node {
    struct config *config;
    const char *config_path;   /* or NULL */
    struct db *db;
    struct keyring *keys;
    char id[40];               /* of the data folder: the same after a restart */
    char name[128];
    char runs_dir[512];
};

extern const struct config_key node_config[];

/* All tables, then file, environment, flags. argv keeps what is no option. */
int node_configure(struct node *n, int *argc, char **argv, struct err *e);
/* Keys, identity, folders, the database pool; `role` names the log's lines and the pool's connections. */
int node_open(struct node *n, const char *role, int pool, struct err *e);
void node_close(struct node *n);
/* Waits until the database answers and its schema fits; ERR_CANCELED when a signal came first. */
int node_await_database(struct node *n, struct err *e);
/* Blocks SIGINT, SIGTERM, SIGHUP in this and all later threads; node_wait_signal takes them: the signal, or 0 after the time. */
void node_block_signals(void);
int node_wait_signal(int timeout_ms);

int serve_main(struct node *n, struct err *e);
int work_main(struct node *n, struct err *e);
/* The small parent: starts one process for each role and starts it anew when it dies. Never returns an error of theirs. */
int supervise_main(struct node *n, int argc, char **argv, struct err *e);
/* Prometheus text of this process. */
struct http_server;
struct jobs;
struct cluster;
void metrics_configure(struct node *n, struct http_server *api, struct jobs *jobs, struct cluster *cluster);
void metrics_set_draining(void);       /* /ready says no from now on */
int metrics_ready(struct err *e);      /* 0, or ERR_UNAVAILABLE with the part that is away */
/* Opens the second port: /health, /ready, /metrics. `listen` NULL opens nothing. */
int metrics_listen(const char *listen, struct http_server **ret, struct err *e);
