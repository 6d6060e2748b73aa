/* Gates: who may say no, or ask for a person, at four points of the road. At one point gates decide in the order of their number; all decide,
 * so that the orderer sees every reason at once; each decision is recorded. A gate that fails to decide denies. */
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

struct gate_verdict { enum gate_outcome outcome; const char *message; json_t *detail; /* taken over; may be NULL */ };

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
 * messages of the deciding gates. */
int gates_ask(const struct gate_input *in, enum gate_outcome *ret, const char **ret_reason, struct err *e);
const char *gate_point_name(enum gate_point p);
const char *gate_outcome_name(enum gate_outcome o);
int gates_list(struct http_req *r, struct err *e); /* GET /api/v1/gates */
