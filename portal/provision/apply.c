#include <string.h>

#include "portal/core/log.h"
#include "portal/json/json.h"
#include "portal/provision/run_private.h"
#include "portal/secrets/secrets.h"
#include "provision_queries.h"

#define REST_TRIES 6
#define PROVIDER_TRIES 3 /* applies whose provider died: after that it is the provider's own fault */

/* The plan that was approved, opened. */
struct saved { const void *plan, *json; size_t plan_len, json_len; int64_t serial; bool has_changes; const char *engine, *engine_version, *providers; };

static int load_saved(struct order *o, struct saved *ret, struct err *e)
{
    struct arena *a = o->job->arena;
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    int r = db_take(o->job->db, &c, e);
    if (!r)
        r = db_one(c, Q_PLAN_GET, &row, e, db_text(o->id));
    if (r)
        return r;
    ret->serial = db_i64(row, 0, 2);
    ret->engine = arena_strdup(a, db_str(row, 0, 4));
    ret->engine_version = arena_strdup(a, db_str(row, 0, 5));
    ret->providers = arena_strdup(a, db_str(row, 0, 6));
    ret->has_changes = db_bool(row, 0, 7);
    r = run_open_sealed(row, 0, "saved_plan", o->id, ret->serial, a, &ret->plan, &ret->plan_len, e);
    return r ? r : run_open_sealed(row, 1, "saved_plan", o->id, ret->serial, a, &ret->json, &ret->json_len, e);
}

/* How many applies of this order were begun before, and how many of them were cut off under a living worker. */
static int count_applies(struct order *o, int *ret_begun, int *ret_stopped, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int r = db_take(o->job->db, &c, e);
    if (!r)
        r = db_run(c, Q_RUN_APPLIES, &rows, e, db_text(o->id));
    for (int i = 0; !r && i < db_rows(rows); i++) {
        ++*ret_begun;
        *ret_stopped += !db_is_null(rows, i, 0) && !strcmp(db_str(rows, i, 0), "stopped");
    }
    return r;
}

/* 1: the last state holds no resource, or there is none. */
int run_nothing_to_destroy(struct order *o, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    const void *state = NULL;
    size_t len = 0;
    int r = db_take(o->job->db, &c, e);
    if (!r)
        r = db_run(c, Q_STATE_LAST, &row, e, db_text(o->service_id));
    if (r || db_rows(row) == 0)
        return r ? r : 1;
    r = run_open_sealed(row, 2, "terraform_state", o->service_id, db_i64(row, 0, 0), o->job->arena, &state, &len, e);
    return r ? r : run_count_resources(state, len) == 0;
}

int run_plan_is_current(struct order *o, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO plan = NULL;
    DB_RESULT_AUTO state = NULL;
    DB_RESULT_AUTO begun = NULL;
    int r = db_take(o->job->db, &c, e);
    if (!r)
        r = db_run(c, Q_PLAN_GET, &plan, e, db_text(o->id));
    if (!r)
        r = db_run(c, Q_STATE_LAST, &state, e, db_text(o->service_id));
    if (!r)
        r = db_run(c, Q_RUN_APPLIES, &begun, e, db_text(o->id));
    if (r)
        return r;
    if (db_rows(plan) == 0 && o->destroy)
        return run_nothing_to_destroy(o, e);
    if (db_rows(plan) == 0 || strcmp(db_str(plan, 0, 3), o->template_version))
        return 0;
    if (db_rows(begun)) /* what moved, this order moved itself */
        return 1;
    return db_i64(plan, 0, 2) == (db_rows(state) ? db_i64(state, 0, 0) : -1);
}

/* ---- what is left of an apply that was cut off ---- */

static bool action_is_within(enum tf_action approved, enum tf_action now)
{
    switch (approved) {
    case TF_ACTION_CREATE: return now == TF_ACTION_CREATE || now == TF_ACTION_UPDATE || now == TF_ACTION_REPLACE;
    case TF_ACTION_REPLACE: return now == TF_ACTION_REPLACE || now == TF_ACTION_CREATE || now == TF_ACTION_UPDATE || now == TF_ACTION_DELETE;
    default: return approved == now;
    }
}

/* NULL when every change was approved, else the address of one that was not. */
static const char *beyond_approval(const struct tf_plan *approved, const struct tf_plan *now)
{
    for (size_t i = 0; i < now->n_changes; i++) {
        const struct tf_change *c = &now->changes[i];
        bool within = c->action == TF_ACTION_READ || c->action == TF_ACTION_NOOP;
        for (size_t k = 0; k < approved->n_changes && !within; k++)
            within = !strcmp(approved->changes[k].address, c->address) && action_is_within(approved->changes[k].action, c->action);
        if (!within)
            return c->address;
    }
    return NULL;
}

/* Plans what is left; 0 with result->ok, or the outcome is filled. */
static int plan_rest(struct run_setup *s, const struct saved *saved, struct run_found *found, struct tf_result *result, struct run_outcome *ret, struct err *e)
{
    struct order *o = s->order;
    int r = o->destroy ? 0 : run_reconcile(s, found, ret, e);
    if (r || ret->end == RUN_FAILED)
        return r;
    r = run_engine(s, o->destroy ? TF_PLAN_DESTROY : TF_PLAN, &(struct run_input){0}, result, e);
    if (r && run_error_is_ours(r))
        return r;
    if (r || !result->ok)
        return run_fail_or_again(s, "plan of what an interrupted apply left", result, REST_TRIES, ret, e);
    struct tf_plan approved;
    if ((r = tf_plan_read(s->arena, saved->json, saved->json_len, s->secrets, &approved, e)))
        return r;
    const char *beyond = beyond_approval(&approved, &result->plan_read);
    if (beyond) {
        struct err why = ERR_INIT;
        err_set(&why, ERR_CONFLICT, "the apply was interrupted, and going on would change %s beyond the approved plan; order anew, or destroy", beyond);
        result->ok = false;
        run_fail(s, "apply", result, &why, ret);
    }
    return 0;
}

/* ---- what is kept after an apply ---- */

struct keep { struct run_setup *s; const struct tf_result *result; int64_t resources; struct run_found *found; };

static int split_outputs(const struct keep *k, json_t *shown, json_t *secret, struct err *e)
{
    const json_t *declared = templates_outputs(&k->s->order->version);
    for (size_t i = 0; i < k->result->n_outputs; i++) {
        const struct tf_output *out = &k->result->outputs[i];
        const json_t *about = json_object_get(declared, out->name);
        if (!about)
            continue;
        json_t *value = NULL;
        int r = json_read(out->value_json, strlen(out->value_json), 64, &value, e);
        if (r)
            return err_prefix(e, "output %s", out->name);
        const char *title = json_string_value(json_object_get(about, "title"));
        bool sensitive = out->sensitive || json_is_true(json_object_get(about, "sensitive"));
        json_object_set_new(shown, out->name, json_pack("{s:O,s:b,s:s}", "value", sensitive ? json_null() : value, "sensitive", sensitive, "title", title ? title : out->name));
        if (sensitive)
            json_object_set(secret, out->name, value);
        json_decref(value);
    }
    return 0;
}

static int outputs_body(struct db_conn *c, void *arg, struct err *e)
{
    struct keep *k = arg;
    const char *id = k->s->order->service_id;
    json_t *shown = json_object(), *secret = json_object();
    DB_RESULT_AUTO row = NULL;
    BUF_AUTO text = BUF_INIT;
    BUF_AUTO plain = BUF_INIT;
    BUF_AUTO sealed = BUF_INIT;
    int r = split_outputs(k, shown, secret, e);
    if (!r)
        r = db_one(c, Q_SERVICE_OUTPUTS_VERSION, &row, e, db_text(id));
    if (!r) {
        json_write(shown, &text);
        json_write(secret, &plain);
        r = secrets_seal("service", id, db_i64(row, 0, 0), plain.data, plain.len, &sealed, e);
    }
    if (!r)
        r = db_run(c, Q_SERVICE_SET_OUTPUTS, NULL, e, db_text(id), db_text(text.data), db_bytes(sealed.data, sealed.len), db_int(db_i64(row, 0, 0)), db_int(k->resources));
    if (!r)
        r = service_changed(c, k->s->order->name, k->s->order->team, "outputs", e);
    if (!r)
        r = run_settle(c, k->s->order, k->found, e);
    buf_wipe(&plain);
    json_decref(shown);
    json_decref(secret);
    return r;
}

static int resources_body(struct db_conn *c, void *arg, struct err *e)
{
    struct keep *k = arg;
    const struct order *o = k->s->order;
    return service_set_resources(c, o->service_id, o->name, o->team, k->resources, e);
}

static bool same_tools(const struct run_setup *s, const struct saved *saved)
{
    BUF_AUTO now = BUF_INIT;
    run_providers_json(s, &now);
    json_t *a = NULL, *b = NULL;
    bool same = !strcmp(s->engine.name, saved->engine) && !strcmp(s->engine.version, saved->engine_version) && !json_read(now.data, now.len, 0, &a, NULL) &&
                !json_read(saved->providers, strlen(saved->providers), 0, &b, NULL) && json_equal(a, b);
    json_decref(a);
    json_decref(b);
    return same;
}

static int apply_with(struct run_setup *s, struct run_outcome *ret, struct err *e)
{
    struct order *o = s->order;
    struct saved saved = {0};
    struct run_found found = {0};
    int begun = 0, stopped = 0;
    int r = load_saved(o, &saved, e);
    if (!r)
        r = count_applies(o, &begun, &stopped, e);
    if (r)
        return r;
    struct tf_result rest = {0}, result = {0};
    struct run_input in = {.plan = saved.plan, .plan_len = saved.plan_len};
    if (!begun && !same_tools(s, &saved)) { /* another engine or provider would not apply exactly this plan */
        ret->end = RUN_STALE;
        return 0;
    }
    if (begun) {
        if ((r = plan_rest(s, &saved, &found, &rest, ret, e)) || ret->end == RUN_FAILED)
            return r;
        in = (struct run_input){.plan = rest.plan, .plan_len = rest.plan_len};
    }
    if (o->destroy && (r = run_end_sessions(s, saved.json, saved.json_len, e)))
        return r;
    r = run_engine(s, TF_APPLY, &in, &result, e);
    if (result.state) {
        s->state = result.state;
        s->state_len = result.state_len;
    }
    bool died = r == ERR_UNAVAILABLE && result.stopped == TF_STOPPED_PROVIDER;
    if (died && stopped + 1 < PROVIDER_TRIES)
        return run_again(arena_strdup(s->arena, e->msg), stopped + 1, PROVIDER_TRIES, e);
    if (r && !died && run_error_is_ours(r))
        return r;
    struct keep k = {s, &result, run_count_resources(s->state, s->state_len), &found};
    if (r || !result.ok) {
        run_fail(s, "apply", &result, e, ret);
        return road_tx(o, resources_body, &k, e);
    }
    run_drop_named(s, &found);
    ret->end = RUN_OK;
    return road_tx(o, o->destroy ? resources_body : outputs_body, &k, e);
}

int run_apply(struct order *o, struct run_outcome *ret, struct err *e)
{
    struct run_setup s = {0};
    int nothing = o->destroy ? run_nothing_to_destroy(o, e) : 0;
    if (nothing)
        return nothing < 0 ? nothing : 0; /* ret says RUN_OK */
    int r = run_setup(&s, o, e);
    if (!r)
        r = apply_with(&s, ret, e);
    else if (!run_error_is_ours(r)) {
        run_fail(&s, "apply", &(struct tf_result){0}, e, ret);
        r = 0;
    }
    if (!r && ret->end == RUN_FAILED && !o->destroy)
        r = run_fail_unsettled(&s, ret, e);
    run_setup_done(&s);
    return r;
}
