/* Shared by the files of portal/provision alone. */
#pragma once
#include "portal/auth/auth.h"
#include "portal/provision/gates.h"
#include "portal/provision/provision.h"
#include "portal/templates/templates.h"

const struct provision_options *provision_get(void);

/* ---- environments.c ---- */
int environments_list(struct http_req *r, struct err *e);
int environments_show(struct http_req *r, struct err *e);
int environments_create(struct http_req *r, struct err *e);
int environments_update(struct http_req *r, struct err *e);
int environments_delete(struct http_req *r, struct err *e);
/* Settings and opened credentials of an environment for a run. Credentials are "NAME=value" strings in the arena, NULL-terminated. */
struct environment_run { json_t *settings; const char **credentials; };
int environment_open(struct db_conn *c, const char *name, struct arena *a, struct environment_run *ret, struct err *e);
void environment_run_done(struct environment_run *er);

/* ---- orders.c, services.c, events.c: handlers ---- */
int orders_create(struct http_req *r, struct err *e);
int orders_list(struct http_req *r, struct err *e);
int orders_show(struct http_req *r, struct err *e);
int orders_cancel(struct http_req *r, struct err *e);
int orders_decide(struct http_req *r, struct err *e);
int orders_events(struct http_req *r, struct err *e);
int all_events(struct http_req *r, struct err *e);
/* This process wrote the service, or may have: reads see it from now on. After the transaction, whatever its end. Takes NULL. */
void services_forget(const char *name);
int services_list(struct http_req *r, struct err *e);
int services_show(struct http_req *r, struct err *e);
int services_outputs(struct http_req *r, struct err *e);
int services_reveal(struct http_req *r, struct err *e);

/* Answers a list by its query, whose parameters are: teams, state, team, the value of the query parameter `filter`, the id to go on behind, and how many. */
int page_reply(struct http_req *r, const struct db_query *page, const char *filter, struct err *e);

/* ---- moves.c: changes of state, each with step, event and (where a person acts) audit ---- */
/* The order goes from `from` to `to`; ERR_CONFLICT when it is not in `from` any more. problem: JSON text or NULL. */
int order_move(struct db_conn *c, const char *id, const char *team, const char *from, const char *to, const char *actor, const char *reason,
               const char *problem, struct err *e);
/* The service's new state, with its event. order NULL keeps the current one. */
int service_move(struct db_conn *c, const char *id, const char *name, const char *team, const char *state, const char *reason, const char *order,
                 struct err *e);
/* Events of a service's row that changed without a move: they tell who keeps it in memory. In the same transaction. `what`: "outputs", "resources", "warning". */
int service_created(struct db_conn *c, const char *name, const char *team, const char *order, struct err *e);
int service_changed(struct db_conn *c, const char *name, const char *team, const char *what, struct err *e);
/* How many resources the service has; its event when that is another number than before. */
int service_set_resources(struct db_conn *c, const char *id, const char *name, const char *team, int64_t resources, struct err *e);
int order_event(struct db_conn *c, const char *order_id, const char *team, const char *type, const char *data, struct err *e);

/* ---- approvals.c: what gates ask for ---- */
/* Fills in the defaults; ERR_INVALID when nobody could ever meet the demand. Strings stay the gate's or are the arena's. */
int demand_check(const struct gate_input *in, struct gate_approval *a, struct err *e);
int demand_put(const struct gate_input *in, const char *gate, const struct gate_verdict *v, struct err *e);
/* What in->point asked for before is not asked for any more. */
int demands_forget(const struct gate_input *in, struct err *e);

/* ---- road.c ---- */
struct order {             /* as the worker holds it; strings in the job's arena */
    struct job *job;
    const char *id, *kind, *service_id, *name, *template, *template_version, *environment, *team, *actor_name, *person, *person_name, *cost_centre;
    const char *state, *prior_state;
    json_t *parameters;
    bool plan_only, destroy;
    int runs;              /* of this job's try: makes run ids distinct */
    const void *sealed_values; size_t sealed_values_len;
    struct template_version version;
};
int road_run(struct job *j, struct err *e);
int road_dead(struct db_conn *c, const char *subject, json_t *args, const char *reason, struct err *e);
/* One transaction of the order's job: guard, body, commit; then the cluster is poked. */
int road_tx(struct order *o, int (*body)(struct db_conn *c, void *arg, struct err *e), void *arg, struct err *e);

/* ---- run.c: phases of the engine for an order ---- */
enum run_end { RUN_OK, RUN_FAILED };
struct run_outcome {
    enum run_end end;
    const char *reason;      /* sentence for people when it failed */
    const char *problem;     /* JSON text {type, detail, diagnostics} when it failed */
    bool has_changes;
    int64_t resources_after;
    json_t *masked_plan;     /* of a plan phase; owned by the caller */
};
/* Plans and keeps the plan sealed. `imports` are from a recovery; failed ones are dropped and the plan is made anew. */
int run_plan(struct order *o, struct run_outcome *ret, struct err *e);
/* Applies exactly the saved plan; after a crash first plans what is left of it. Stores states, and outputs at the end. */
int run_apply(struct order *o, struct run_outcome *ret, struct err *e);
/* 1: the service's last state holds no resource, or there is none. */
int run_nothing_to_destroy(struct order *o, struct err *e);
/* Whether the saved plan still fits state and template: 1 yes, 0 no. */
int run_plan_is_current(struct order *o, struct err *e);
