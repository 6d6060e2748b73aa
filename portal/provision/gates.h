/* Gates: who may say no, or ask for people, at four points of the road. At one point gates decide in the order of their number; all decide,
 * so that the orderer sees every reason at once; each decision is recorded. A gate that fails to decide denies.
 *
 * Approval. A gate that answers GATE_APPROVE says in the verdict's `approval` who must agree; zeroed, that is one approver of the order's team within 72 h. What the
 * gates of `request`, `destroy` and `plan` ask for is merged, and all of it must be met before anything is applied: of two demands for the same role in the same team
 * the larger count and the shorter time hold. The order waits once, after its plan, whichever point asked. At `reveal` nothing can wait: GATE_APPROVE refuses there.
 * Four eyes always hold: the person who ordered, the human behind a token, never counts. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/err.h"
#include "portal/db/db.h"
#include "portal/http/http.h"
#include <jansson.h>

enum gate_point { GATE_REQUEST = 1, GATE_PLAN = 2, GATE_DESTROY = 4, GATE_REVEAL = 8 };
enum gate_outcome { GATE_ALLOW, GATE_WARN, GATE_APPROVE, GATE_DENY }; /* the worst of a point counts */

struct gate_input {
    struct db_conn *c;          /* in a transaction; read what is needed */
    struct arena *arena;
    enum gate_point point;
    const char *order_id;       /* NULL at reveal */
    const char *service_id;     /* NULL for a plan-only order */
    const char *name, *template, *environment, *team, *person_name, *cost_centre;
    const char *kind;           /* "create" | "destroy"; "reveal" at that point */
    const json_t *parameters;
    const json_t *plan;         /* at GATE_PLAN: the engine's plan, everything sensitive masked; else NULL */
    int64_t resources_after;    /* at GATE_PLAN: how many resources the service has after the apply */
};

/* With GATE_APPROVE alone. A demand that no one could ever meet (unknown role or team, a number out of its range) denies, with words. */
#define GATE_APPROVERS_MAX 20
#define GATE_APPROVAL_SECONDS 259200         /* 72 h */
#define GATE_APPROVAL_SECONDS_MAX 7776000    /* 90 days */
struct gate_approval {
    const char *role;           /* "approver" (NULL), "developer", "viewer", "platform-admin"; read until the gate's next call */
    const char *team;           /* in which they hold it; NULL: the order's. A role that is held everywhere counts in each. Not for platform-admin */
    int count;                  /* so many different people; 0: 1; at most GATE_APPROVERS_MAX */
    int64_t expires_in;         /* s from the moment the order begins to wait; 0: GATE_APPROVAL_SECONDS; at most GATE_APPROVAL_SECONDS_MAX */
};

struct gate_verdict {
    enum gate_outcome outcome;
    const char *message;        /* for people; read until the gate's next call */
    json_t *detail;             /* taken over; may be NULL */
    struct gate_approval approval;
};

struct gate {
    const char *name, *title;
    unsigned points;            /* mask of enum gate_point */
    int number;                 /* 0..999; built-in ones are at hundreds */
    int (*decide)(const struct gate_input *in, struct gate_verdict *ret, struct err *e);
};

/* Before the server or the jobs start; kept by pointer. ERR_CONFLICT: name taken, or more than 64. */
int gates_register(const struct gate *g, struct err *e);
void gates_register_builtin(void);
/* Asks all gates of in->point, records each decision in the transaction of in->c, and appends the events of an order. *ret_reason (arena) joins the
 * messages of the deciding gates. What approvals the point asks for replaces what it asked for before (approvals.c). */
int gates_ask(const struct gate_input *in, enum gate_outcome *ret, const char **ret_reason, struct err *e);
const char *gate_point_name(enum gate_point p);
const char *gate_outcome_name(enum gate_outcome o);
int gates_list(struct http_req *r, struct err *e); /* GET /api/v1/gates */
