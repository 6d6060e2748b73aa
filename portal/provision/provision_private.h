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

/* ---- approvals.c: what gates ask for, and rounds of approval ---- */
/* Fills in the defaults; ERR_INVALID when nobody could ever meet the demand. Strings stay the gate's or are the arena's. */
int demand_check(const struct gate_input *in, struct gate_approval *a, struct err *e);
int demand_put(const struct gate_input *in, const char *gate, const struct gate_verdict *v, struct err *e);
/* What in->point asked for before is not asked for any more. */
int demands_forget(const struct gate_input *in, struct err *e);
/* The gates that ask for approval, with their messages, in one text; NULL: none does. In the arena. */
int demands_words(struct db_conn *c, const char *order_id, struct arena *a, const char **ret, struct err *e);

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

/* ---- approvals.c: rounds ---- */
/* A plan is there: in the transaction, moves the order on to `applying` (nothing is asked for, or it was given for this very plan) or opens a round and moves it to
 * `awaiting_approval`. *ret_state is a literal. */
int approval_next(struct db_conn *c, struct order *o, const char *reason, const char **ret_state, struct err *e);
/* Before an apply begins: 1 what is kept may be applied; 0 it is to be planned anew, *ret_why says why. A create whose golden path has a newer version takes it;
 * ERR_INVALID when the order does not fit that. */
int approval_fits(struct order *o, const char **ret_why, struct err *e);

/* ---- plan_digest.c ---- */
/* Key id and HMAC of what a plan changes: resources with their values, secret ones too. `like` (may be NULL) is an earlier digest that this one will be held against: its
 * key is used while there is one. plan NULL: nothing is changed. Appends to `out`. */
int plan_digest(const void *plan, size_t len, const void *like, size_t like_len, struct buf *out, struct err *e);

/* ---- approve.c: deciding ---- */
/* Who decides, and how. `who` is NULL where no token or session speaks (a link, Slack): then all of the person's rights count. */
struct decider { const struct principal *who; const char *person, *person_name, *actor, *actor_name, *via, *address, *request_id; };
struct decision {
    const char *order_id;    /* in */
    const char *approval;    /* in: id of the round that was looked at, or NULL for the one that waits */
    bool yes;                /* in */
    const char *comment;     /* in; never NULL */
    const char *name;        /* out: the service's; NULL before the order was found. For services_forget() */
    const char *state;       /* out: of the order afterwards */
    int64_t missing;         /* out: how many more must approve */
};
/* In a transaction: decides, and moves the order when that settles it. ERR_NOT_FOUND (also: may not see it), ERR_DENIED (own order; no right), ERR_CONFLICT (does not
 * wait, another round, expired, decided already). Audited. Afterwards: services_forget(), cluster_poke(). Strings in `a`. */
int approval_decide(struct db_conn *c, struct arena *a, const struct decider *d, struct decision *x, struct err *e);
/* Whether the caller may see an order of `team`: they read the team, or are asked about it. */
int order_visible(struct db_conn *c, const struct principal *p, const char *id, const char *team, bool *ret, struct err *e);
/* Nothing was applied: a create's name is free again, a destroy's service is what it was; the plan goes. `row` is of Q_ORDER_LOCK. */
int order_give_back(struct db_conn *c, const char *id, const struct db_result *row, const char *reason, struct err *e);
int orders_decide(struct http_req *r, struct err *e);
int approvals_list(struct http_req *r, struct err *e);
int approvals_show(struct http_req *r, struct err *e);

/* ---- delegations.c ---- */
int delegations_list(struct http_req *r, struct err *e);
int delegations_create(struct http_req *r, struct err *e);
int delegations_revoke(struct http_req *r, struct err *e);

/* ---- approval_clock.c ---- */
int approval_clock(struct job *j, struct err *e);

/* What monitoring, catalog and repository say about the service: parameters, tags, outputs that are no secret. Owned by the caller; NULL with *e. */
json_t *road_service_values(struct db_conn *c, const struct order *o, struct err *e);

/* ---- run.c: phases of the engine for an order ---- */
enum run_end { RUN_OK, RUN_FAILED, RUN_STALE /* of an apply: nothing was done, the plan is to be made anew with the engine and providers there are now */ };
struct run_outcome {
    enum run_end end;
    const char *reason;      /* sentence for people when it failed */
    const char *problem;     /* JSON text {type, detail, diagnostics} when it failed */
    bool has_changes;
    int64_t resources_after;
    json_t *masked_plan;     /* of a plan phase; owned by the caller */
};
/* Plans and keeps the plan sealed. A destroy first looks for what applies that were cut off have left. ERR_UNAVAILABLE also where a plan failed for a reason that may pass. */
int run_plan(struct order *o, struct run_outcome *ret, struct err *e);
/* Applies exactly the saved plan; after a crash first plans what is left of it. Stores states, and outputs at the end. */
int run_apply(struct order *o, struct run_outcome *ret, struct err *e);
/* 1: the service's last state holds no resource, or there is none. */
int run_nothing_to_destroy(struct order *o, struct err *e);
/* Whether the saved plan still fits state and template: 1 yes, 0 no. */
int run_plan_is_current(struct order *o, struct err *e);

/* ---- repository.c: the repository that a golden path makes (`spec.repository`) ---- */
/* Whether an order may be taken: ERR_INVALID naming the field to blame. `values`: {name, team, environment, parameters, ...}. */
int repository_accept(struct db_conn *c, const struct template_version *v, const char *environment, const json_t *values, struct arena *a, struct err *e);
/* Whether there is room for it, before anything is planned. 0, and ret->end says whether the order fails; an error is tried again. */
int repository_look(struct order *o, struct run_outcome *ret, struct err *e);
/* Makes and pushes it, once: what was pushed before is found. Otherwise as repository_look(). */
int repository_push(struct order *o, struct run_outcome *ret, struct err *e);
/* In the transaction that registers a service: its output `repository_url`, when there is a repository. */
int repository_register(struct db_conn *c, const struct order *o, struct err *e);
/* In the transaction that ends it: the event that the repository stays, and the words for it; *ret_words is left alone when there is none. */
int repository_keep(struct db_conn *c, const struct order *o, const char **ret_words, struct err *e);
/* Removes what pushes left that were cut off. Before jobs start. */
void repository_sweep(void);
