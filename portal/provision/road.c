/* The road of one order, step by step. Each step begins from what is recorded, so that whoever takes the job over goes on where it stood; each change of
 * state is one transaction under the job's guard.
 *
 * An error of ours or of the platform (database away, provider did not start) is tried again; what the template, the cloud or a gate says ends the order. */
#include <stdio.h>
#include <string.h>

#include "portal/catalog/catalog.h"
#include "portal/core/log.h"
#include "portal/json/json.h"
#include "portal/monitoring/monitoring.h"
#include "portal/provision/provision_private.h"
#include "provision_queries.h"

struct road_call { struct order *o; int (*body)(struct db_conn *c, void *arg, struct err *e); void *arg; };

static int guarded(struct db_conn *c, void *arg, struct err *e)
{
    struct road_call *call = arg;
    int r = jobs_guard(c, call->o->job, e);
    return r ? r : call->body(c, call->arg, e);
}

int road_tx(struct order *o, int (*body)(struct db_conn *c, void *arg, struct err *e), void *arg, struct err *e)
{
    struct road_call call = {o, body, arg};
    int r = db_tx(o->job->db, guarded, &call, e);
    if (!r)
        cluster_poke(provision_get()->cluster);
    return r;
}

struct move { struct order *o; const char *to, *reason, *problem; const char *service_state; };

static int move_body(struct db_conn *c, void *arg, struct err *e)
{
    struct move *m = arg;
    int r = order_move(c, m->o->id, m->o->team, m->o->state, m->to, "system", m->reason, m->problem, e);
    if (!r && m->service_state && m->o->service_id && !m->o->plan_only)
        r = service_move(c, m->o->service_id, m->o->name, m->o->team, m->service_state, m->reason, NULL, e);
    bool ends = !strcmp(m->to, "ready") || !strcmp(m->to, "failed") || !strcmp(m->to, "canceled");
    if (!r && ends)
        r = db_run(c, Q_PLAN_DROP, NULL, e, db_text(m->o->id));
    return r;
}

static int go(struct order *o, const char *to, const char *reason, struct err *e)
{
    struct move m = {.o = o, .to = to, .reason = reason};
    int r = road_tx(o, move_body, &m, e);
    if (!r)
        o->state = to;
    return r;
}

static int finish_failed(struct order *o, const char *reason, const char *problem, const char *service_state, struct err *e)
{
    struct move m = {.o = o, .to = "failed", .reason = reason, .problem = problem, .service_state = service_state};
    int r = road_tx(o, move_body, &m, e);
    if (!r)
        o->state = "failed";
    return r;
}

/* ---- gates ---- */

struct ask { struct order *o; enum gate_point point; const struct run_outcome *plan; enum gate_outcome outcome; const char *reason; const char *demands; };

static int ask_body(struct db_conn *c, void *arg, struct err *e)
{
    struct ask *a = arg;
    struct order *o = a->o;
    struct gate_input in = {.c = c, .arena = o->job->arena, .point = a->point, .order_id = o->id, .service_id = o->service_id, .name = o->name,
                            .template = o->template, .environment = o->environment, .team = o->team, .person_name = o->person_name,
                            .cost_centre = o->cost_centre, .kind = o->kind, .parameters = o->parameters};
    if (a->plan) {
        in.plan = a->plan->masked_plan;
        in.resources_after = a->plan->resources_after;
    }
    int r = gates_ask(&in, &a->outcome, &a->reason, e);
    return r ? r : demands_words(c, o->id, o->job->arena, &a->demands, e);
}

static int fail_denied(struct order *o, const char *point, const char *reason, struct err *e)
{
    BUF_AUTO problem = BUF_INIT;
    buf_char(&problem, '{');
    buf_json_kv(&problem, "type", "denied");
    buf_json_kv(&problem, "point", point);
    buf_json_kv(&problem, "detail", reason);
    buf_char(&problem, '}');
    /* Nothing was applied: the name of a create is free again, a destroy leaves its service as it was. */
    return finish_failed(o, arena_printf(o->job->arena, "denied: %s", reason), problem.data, o->destroy ? o->prior_state : "destroyed", e);
}

/* ---- steps: each does its work and moves the order on: walk() goes by the state it left ---- */

static int step_queued(struct order *o, struct err *e)
{
    return go(o, "checking", "", e);
}

static int step_checking(struct order *o, struct err *e)
{
    struct ask a = {.o = o, .point = o->destroy ? GATE_DESTROY : GATE_REQUEST};
    int r = road_tx(o, ask_body, &a, e);
    if (r)
        return r;
    if (a.outcome == GATE_DENY)
        return fail_denied(o, gate_point_name(a.point), a.reason, e);
    if (!o->destroy && templates_repository(&o->version)) {
        struct run_outcome out = {0};
        if ((r = repository_look(o, &out, e)))
            return r;
        if (out.end == RUN_FAILED)
            return finish_failed(o, out.reason, out.problem, "destroyed", e);
    }
    return go(o, "planning", a.reason, e);
}

/* A plan or apply that the engine failed: nothing is undone, and destroy works on what there is. */
static int fail_run(struct order *o, const struct run_outcome *out, struct err *e)
{
    return finish_failed(o, out->reason, out->problem, "failed", e);
}

struct next { struct order *o; const char *reason, *state; };

static int next_body(struct db_conn *c, void *arg, struct err *e)
{
    struct next *n = arg;
    return approval_next(c, n->o, n->reason, &n->state, e);
}

static int step_planning(struct order *o, struct err *e)
{
    struct run_outcome out = {0};
    int r = run_plan(o, &out, e);
    if (r)
        return r;
    if (out.end == RUN_FAILED)
        return fail_run(o, &out, e);
    struct ask a = {.o = o, .point = GATE_PLAN, .plan = &out};
    r = road_tx(o, ask_body, &a, e);
    json_decref(out.masked_plan);
    if (r)
        return r;
    if (a.outcome == GATE_DENY)
        return fail_denied(o, "plan", a.reason, e);
    if (o->plan_only)
        return go(o, "ready", a.demands ? arena_printf(o->job->arena, "planned only; an order would wait for approval: %s", a.demands) : "planned only; nothing was applied", e);
    struct next n = {.o = o, .reason = a.reason};
    r = road_tx(o, next_body, &n, e);
    if (!r)
        o->state = n.state;
    return r;
}

/* The golden path moved on and the order does not fit it any more. Nothing was applied. */
static int fail_moved(struct order *o, struct err *e)
{
    BUF_AUTO words = BUF_INIT;
    BUF_AUTO problem = BUF_INIT;
    buf_str(&words, e->msg);
    for (unsigned i = 0; i < e->n_fields; i++)
        buf_printf(&words, "; %s %s", e->fields[i].pointer, e->fields[i].detail);
    buf_str(&words, ". Order anew");
    buf_char(&problem, '{');
    buf_json_kv(&problem, "type", "template-moved");
    buf_json_kv(&problem, "detail", words.data);
    buf_char(&problem, '}');
    return finish_failed(o, words.data, problem.data, "destroyed", e);
}

static int step_applying(struct order *o, struct err *e)
{
    int current = run_plan_is_current(o, e);
    if (current < 0)
        return current;
    const char *why = "state or template moved since the plan was made: it is made anew";
    if (current)
        current = approval_fits(o, &why, e);
    if (current == ERR_INVALID)
        return fail_moved(o, e);
    if (current < 0)
        return current;
    if (!current)
        return go(o, "planning", why, e);
    struct run_outcome out = {0};
    int r = run_apply(o, &out, e);
    if (r)
        return r;
    if (out.end == RUN_STALE)
        return go(o, "planning", "the engine or a provider is another than the plan was made with: it is made anew", e);
    return out.end == RUN_FAILED ? fail_run(o, &out, e) : go(o, "monitoring", "", e);
}

json_t *road_service_values(struct db_conn *c, const struct order *o, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    json_t *outputs = NULL, *parameters = NULL, *tags = NULL;
    int r = db_one(c, Q_SERVICE_LOAD, &row, e, db_text(o->service_id));
    if (!r)
        r = json_read(db_str(row, 0, 6), strlen(db_str(row, 0, 6)), 0, &outputs, e);
    if (!r)
        r = json_read(db_str(row, 0, 2), strlen(db_str(row, 0, 2)), 0, &parameters, e);
    if (!r)
        r = json_read(db_str(row, 0, 4), strlen(db_str(row, 0, 4)), 0, &tags, e);
    json_t *plain = json_object();
    const char *key;
    json_t *output;
    json_object_foreach(outputs, key, output)
        if (!json_is_true(json_object_get(output, "sensitive")))
            json_object_set(plain, key, json_object_get(output, "value"));
    json_decref(outputs);
    json_t *values = r ? NULL : json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o}", "name", o->name, "team", o->team, "owner", db_str(row, 0, 5), "environment", o->environment,
                                          "cost_centre", o->cost_centre, "parameters", parameters, "tags", tags, "outputs", plain);
    if (!values) {
        json_decref(plain);
        json_decref(parameters);
        json_decref(tags);
        if (!r)
            err_set(e, ERR_INTERNAL, "the service's values are no valid text");
    }
    return values;
}

static int monitor_body(struct db_conn *c, void *arg, struct err *e)
{
    struct order *o = arg;
    if (o->destroy)
        return monitoring_remove(c, o->service_id, e);
    struct environment_run env = {0};
    json_t *values = road_service_values(c, o, e);
    int r = values ? environment_open(c, o->environment, o->job->arena, &env, e) : e->code;
    if (!r) {
        const json_t *region = json_object_get(env.settings, "region");
        json_object_set_new(values, "region", json_string(region ? json_string_value(region) : ""));
        json_object_set(values, "settings", env.settings);
        struct monitoring_service s = {.id = o->service_id, .name = o->name, .team = o->team, .environment = o->environment, .version = &o->version, .values = values};
        r = monitoring_apply(c, &s, o->job->arena, e);
    }
    environment_run_done(&env);
    json_decref(values);
    return r;
}

struct warn { struct order *o; const char *text; };

static int warn_body(struct db_conn *c, void *arg, struct err *e)
{
    struct warn *w = arg;
    BUF_AUTO data = BUF_INIT;
    buf_char(&data, '{');
    buf_json_kv(&data, "step", "monitoring");
    buf_json_kv(&data, "message", w->text);
    buf_char(&data, '}');
    int r = db_run(c, Q_SERVICE_SET_WARNING, NULL, e, db_text(w->o->service_id), db_text(w->text));
    if (!r)
        r = service_changed(c, w->o->name, w->o->team, "warning", e);
    return r ? r : order_event(c, w->o->id, w->o->team, "order.warning", data.data, e);
}

/* Monitoring that fails warns and undoes nothing. */
static int step_monitoring(struct order *o, struct err *e)
{
    struct err why = ERR_INIT;
    int r = road_tx(o, monitor_body, o, &why);
    if (r == ERR_FENCED || r == ERR_UNAVAILABLE) {
        *e = why;
        return r;
    }
    if (r) {
        struct warn w = {o, arena_printf(o->job->arena, "monitoring is not set up: %s", why.msg)};
        log_warn("monitoring step failed", LOG_S("service", o->name), LOG_S("reason", why.msg));
        if ((r = road_tx(o, warn_body, &w, e)))
            return r;
    }
    return go(o, "registering", "", e);
}

/* A destroy never ends as if nothing were left when something may be. */
static int possibly_left(struct db_conn *c, const struct order *o, const char **ret, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_SERVICE_LEFT, &row, e, db_text(o->service_id));
    if (!r && *db_str(row, 0, 0))
        *ret = arena_printf(o->job->arena, "destroyed, but an apply of this service was cut off, and these may be left; look for them by hand: %s", db_str(row, 0, 0));
    return r;
}

static int register_body(struct db_conn *c, void *arg, struct err *e)
{
    struct order *o = arg;
    const char *left = NULL, *kept = NULL;
    int r;
    if (o->destroy) {
        r = catalog_remove_service(c, o->service_id, e);
        if (!r)
            r = db_run(c, Q_STATE_WIPE, NULL, e, db_text(o->service_id));
        if (!r)
            r = db_run(c, Q_RUN_FORGET, NULL, e, db_text(o->service_id));
        if (!r)
            r = possibly_left(c, o, &left, e);
        if (!r)
            r = repository_keep(c, o, &kept, e);
    } else if (!(r = repository_register(c, o, e))) {
        json_t *values = road_service_values(c, o, e);
        struct catalog_service s = {.id = o->service_id, .name = o->name, .team = o->team, .template = o->template, .version = &o->version, .values = values};
        r = values ? catalog_register_service(c, &s, o->job->arena, e) : e->code;
        json_decref(values);
    }
    if (r)
        return r;
    const char *reason = left && kept ? arena_printf(o->job->arena, "%s; %s", left, kept) : left ? left : kept;
    struct move m = {.o = o, .to = "ready", .reason = reason, .service_state = o->destroy ? "destroyed" : "ready"};
    return move_body(c, &m, e);
}

static int step_registering(struct order *o, struct err *e)
{
    struct run_outcome out = {0};
    int r = !o->destroy && templates_repository(&o->version) ? repository_push(o, &out, e) : 0;
    if (!r && out.end == RUN_FAILED)
        return fail_run(o, &out, e);
    if (!r)
        r = road_tx(o, register_body, o, e);
    if (!r)
        o->state = "ready";
    return r;
}

static const struct { const char *state; int (*step)(struct order *o, struct err *e); } steps[] = {
    {"queued", step_queued}, {"checking", step_checking}, {"planning", step_planning}, {"applying", step_applying},
    {"monitoring", step_monitoring}, {"registering", step_registering},
};

/* ---- the job ---- */

static int load(struct job *j, struct db_conn *c, struct order *o, struct err *e)
{
    struct arena *a = j->arena;
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_ORDER_LOAD, &row, e, db_text(j->subject));
    if (r)
        return err_prefix(e, "order %s", j->subject);
    const char **fields[] = {&o->id, &o->kind, &o->service_id, &o->name, &o->template, &o->template_version, &o->environment, &o->team,
                             &o->actor_name, &o->person, &o->person_name, &o->cost_centre};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        *fields[i] = arena_strdup(a, db_str_or_null(row, 0, (int)i));
    o->job = j;
    o->plan_only = db_bool(row, 0, 13);
    o->destroy = !strcmp(o->kind, "destroy");
    o->state = arena_strdup(a, db_str(row, 0, 14));
    if (!db_is_null(row, 0, 15))
        o->sealed_values = db_blob(row, 0, 15, a, &o->sealed_values_len);
    o->prior_state = arena_strdup(a, db_str_or_null(row, 0, 16));
    r = json_read(db_str(row, 0, 12), strlen(db_str(row, 0, 12)), 0, &o->parameters, e);
    return r ? r : templates_get_version(c, o->template_version, a, &o->version, e);
}

static int walk(struct order *o, struct err *e)
{
    for (;;) {
        size_t i = 0;
        while (i < sizeof steps / sizeof *steps && strcmp(steps[i].state, o->state))
            i++;
        if (i == sizeof steps / sizeof *steps)
            return 0; /* waits for a person, or has ended */
        int r = steps[i].step(o, e);
        if (r)
            return r;
    }
}

/* Whether a conflict means that somebody moved the order meanwhile (canceled it): then nothing is left to do here. Any other is a failed step. */
static bool was_moved(struct job *j, const struct order *o)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    return o->state && !db_take(j->db, &c, NULL) && !db_run(c, Q_ORDER_FIND, &row, NULL, db_text(j->subject)) &&
           (db_rows(row) == 0 || strcmp(db_str(row, 0, 2), o->state) != 0);
}

static int retry_body(struct db_conn *c, void *arg, struct err *e)
{
    struct warn *w = arg;
    BUF_AUTO data = BUF_INIT;
    buf_char(&data, '{');
    buf_json_kv(&data, "step", w->o->state);
    buf_json_kv(&data, "message", w->text);
    buf_char(&data, '}');
    int r = db_run(c, Q_ORDER_SET_REASON, NULL, e, db_text(w->o->id), db_text(w->text));
    return r ? r : order_event(c, w->o->id, w->o->team, "order.warning", data.data, e);
}

/* Whoever looks at an order that stands still reads why. Best effort: the database itself may be what is away. */
static void tell_retry(struct order *o, const struct err *why)
{
    struct warn w = {o, arena_printf(o->job->arena, "%s; it is tried again", why->msg)};
    if (o->id && o->state && why->code != ERR_FENCED && why->code != ERR_CANCELED && *why->msg)
        road_tx(o, retry_body, &w, NULL);
}

int road_run(struct job *j, struct err *e)
{
    struct order o = {0};
    DB_CONN_AUTO c = NULL;
    log_context(NULL, j->subject);
    int r = db_take(j->db, &c, e);
    if (!r)
        r = load(j, c, &o, e);
    db_givep(&c);
    if (!r)
        r = walk(&o, e);
    bool done = !r || (r == ERR_CONFLICT && was_moved(j, &o));
    if (!done && r != ERR_NOT_FOUND)
        tell_retry(&o, e);
    json_decref(o.parameters);
    templates_version_done(&o.version);
    log_context(NULL, NULL);
    if (done)
        return JOBS_DONE;
    return r == ERR_NOT_FOUND ? JOBS_DEAD : JOBS_RETRY;
}

int road_dead(struct db_conn *c, const char *subject, json_t *args, const char *reason, struct err *e)
{
    (void)args;
    ARENA_AUTO a = arena_new();
    DB_RESULT_AUTO row = NULL;
    int r = db_run(c, Q_ORDER_LOCK, &row, e, db_text(subject));
    if (r || db_rows(row) == 0)
        return r;
    const char *state = db_str(row, 0, 2);
    if (!strcmp(state, "ready") || !strcmp(state, "failed") || !strcmp(state, "canceled"))
        return 0;
    const char *words = arena_printf(a, "given up: %s. Nothing more is tried; destroy the service or order anew once the cause is mended", reason);
    BUF_AUTO problem = BUF_INIT;
    buf_char(&problem, '{');
    buf_json_kv(&problem, "type", "given-up");
    buf_json_kv(&problem, "detail", words);
    buf_char(&problem, '}');
    r = order_move(c, subject, db_str(row, 0, 1), state, "failed", "system", words, problem.data, e);
    if (!r)
        r = db_run(c, Q_PLAN_DROP, NULL, e, db_text(subject));
    if (!r && !db_is_null(row, 0, 5) && !db_bool(row, 0, 8))
        r = service_move(c, db_str(row, 0, 5), db_str(row, 0, 7), db_str(row, 0, 1), "failed", words, NULL, e);
    return r;
}
