/* What gates ask of people before an order may be applied, and the rounds in which it is asked. Who decides is in approve.c.
 *
 * The complication: an approval is for one plan. A plan made anew is held against the approved one by a keyed digest of what it changes (plan_digest.c); equal goes on,
 * different is asked about anew. */
#include <string.h>

#include "portal/core/id.h"
#include "portal/json/json.h"
#include "portal/provision/approval_private.h"
#include "portal/provision/provision_private.h"
#include "portal/secrets/secrets.h"
#include "provision_queries.h"

static bool role_is_known(const char *role)
{
    static const char *const known[] = {"approver", "developer", "viewer", "platform-admin"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i], role))
            return true;
    return false;
}

int demand_check(const struct gate_input *in, struct gate_approval *a, struct err *e)
{
    if (!a->role)
        a->role = "approver";
    if (!role_is_known(a->role))
        return err_set(e, ERR_INVALID, "it asks for the approval of the role `%.40s`, which there is not", a->role);
    if (!a->count)
        a->count = 1;
    if (!a->expires_in)
        a->expires_in = GATE_APPROVAL_SECONDS;
    if (a->count < 1 || a->count > GATE_APPROVERS_MAX)
        return err_set(e, ERR_INVALID, "it asks for the approval of %d people; 1 to %d can be asked for", a->count, GATE_APPROVERS_MAX);
    if (a->expires_in < 1 || a->expires_in > GATE_APPROVAL_SECONDS_MAX)
        return err_set(e, ERR_INVALID, "it asks for approval within %lld s; 1 to %d can be asked for", (long long)a->expires_in, GATE_APPROVAL_SECONDS_MAX);
    if (!strcmp(a->role, "platform-admin")) {
        a->team = "";
        return 0;
    }
    if (!a->team) {
        a->team = in->team;
        return 0;
    }
    DB_RESULT_AUTO row = NULL;
    int r = db_one(in->c, Q_DEMAND_TEAM, &row, e, db_text(a->team));
    if (!r && !db_bool(row, 0, 0))
        r = err_set(e, ERR_INVALID, "it asks for the approval of the team `%.40s`, which there is not", a->team);
    return r;
}

int demand_put(const struct gate_input *in, const char *gate, const struct gate_verdict *v, struct err *e)
{
    const struct gate_approval *a = &v->approval;
    return db_run(in->c, Q_DEMAND_PUT, NULL, e, db_text(in->order_id), db_text(gate_point_name(in->point)), db_text(gate), db_text(a->role), db_text(a->team),
                  db_int(a->count), db_int(a->expires_in), db_text(v->message ? v->message : ""));
}

int demands_forget(const struct gate_input *in, struct err *e)
{
    return db_run(in->c, Q_DEMANDS_FORGET, NULL, e, db_text(in->order_id), db_text(gate_point_name(in->point)));
}

int demands_words(struct db_conn *c, const char *order_id, struct arena *a, const char **ret, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_DEMAND_WORDS, &row, e, db_text(order_id));
    if (!r)
        *ret = arena_strdup(a, db_str_or_null(row, 0, 0));
    return r;
}

/* ---- rounds ---- */

static int open_round(struct db_conn *c, struct order *o, const char *reason, struct err *e)
{
    char id[ID_LEN + 1];
    DB_RESULT_AUTO row = NULL;
    id_new(id);
    int r = db_run(c, Q_APPROVAL_REPLACE, NULL, e, db_text(o->id));
    if (!r)
        r = db_run(c, Q_APPROVAL_OPEN, NULL, e, db_text(id), db_text(o->id), db_text(reason));
    if (!r)
        r = db_run(c, Q_APPROVAL_ASK, NULL, e, db_text(id), db_text(o->id));
    if (!r)
        r = order_move(c, o->id, o->team, o->state, "awaiting_approval", "system", reason, NULL, e);
    if (!r)
        r = db_one(c, Q_APPROVAL_GET, &row, e, db_text(id));
    if (!r)
        r = order_event(c, o->id, o->team, "approval.asked", db_str(row, 0, 0), e);
    return r ? r : approval_tell(c, id, "asked", e);
}

int approval_next(struct db_conn *c, struct order *o, const char *reason, const char **ret_state, struct err *e)
{
    const char *words = NULL;
    DB_RESULT_AUTO carried = NULL;
    int r = demands_words(c, o->id, o->job->arena, &words, e);
    if (!r && words)
        r = db_run(c, Q_APPROVAL_CARRIED, &carried, e, db_text(o->id));
    if (r)
        return r;
    if (words && db_rows(carried) == 0) {
        *ret_state = "awaiting_approval";
        return open_round(c, o, words, e);
    }
    *ret_state = "applying";
    return order_move(c, o->id, o->team, o->state, "applying", "system", words ? "the plan was made anew and changes the same: the approval stands" : reason, NULL, e);
}

int approval_count(struct db_conn *c, int64_t *ret_waiting, int64_t *ret_oldest_s, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_APPROVAL_COUNTS, &row, e);
    if (r)
        return r;
    *ret_waiting = db_i64(row, 0, 0);
    *ret_oldest_s = db_i64(row, 0, 1);
    return 0;
}

/* ---- before the apply ---- */

/* A new version may generate what the old one did not; what there is stays. */
static int merge_values(struct db_conn *c, const struct order *o, const struct template_version *v, struct buf *sealed, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    json_t *values = NULL, *old = NULL;
    BUF_AUTO plain = BUF_INIT;
    int r = templates_make_values(v, &values, e);
    if (!r)
        r = db_one(c, Q_SERVICE_LOAD, &row, e, db_text(o->service_id));
    if (!r && !db_is_null(row, 0, 3)) {
        size_t len;
        const void *blob = db_blob(row, 0, 3, o->job->arena, &len);
        r = secrets_open("service", o->service_id, 0, blob, len, &plain, e);
        if (!r)
            r = json_read(plain.data, plain.len, 0, &old, e);
    }
    buf_wipe(&plain);
    json_object_update_existing(values, old);
    if (!r) {
        json_write(values, &plain);
        r = secrets_seal("service", o->service_id, 0, plain.data, plain.len, sealed, e);
    }
    buf_wipe(&plain);
    json_decref(values);
    json_decref(old);
    return r;
}

struct take { struct order *o; const struct template_version *v; const json_t *parameters; };

static int take_body(struct db_conn *c, void *arg, struct err *e)
{
    struct take *t = arg;
    struct order *o = t->o;
    BUF_AUTO parameters = BUF_INIT;
    BUF_AUTO sealed = BUF_INIT;
    json_write(t->parameters, &parameters);
    int r = merge_values(c, o, t->v, &sealed, e);
    if (!r)
        r = db_run(c, Q_ORDER_TAKE_VERSION, NULL, e, db_text(o->id), db_text(t->v->id), db_text(parameters.data));
    if (!r)
        r = db_run(c, Q_SERVICE_TAKE_VERSION, NULL, e, db_text(o->service_id), db_text(t->v->id), db_text(parameters.data), db_bytes(sealed.data, sealed.len));
    return r ? r : service_changed(c, o->name, o->team, "template", e);
}

/* The golden path as it is now becomes the order's. */
static int take_version(struct order *o, struct template_version *v, struct err *e)
{
    json_t *complete = NULL;
    int r = templates_check_parameters(v, o->parameters, &complete, e);
    if (!r)
        r = road_tx(o, take_body, &(struct take){o, v, complete}, e);
    if (r) {
        json_decref(complete);
        return r;
    }
    json_decref(o->parameters);
    o->parameters = complete;
    templates_version_done(&o->version);
    o->version = *v;
    *v = (struct template_version){0};
    o->template_version = o->version.id;
    return 0;
}

/* A create whose golden path has another version by now takes it. One that was withdrawn is applied as it was approved. */
static int template_moved(struct order *o, struct err *e)
{
    TEMPLATE_VERSION_AUTO v = {0};
    DB_CONN_AUTO c = NULL;
    int r = db_take(o->job->db, &c, e);
    if (!r)
        r = templates_get(c, o->template, o->job->arena, &v, e);
    db_givep(&c);
    if (r == ERR_NOT_FOUND)
        return 0;
    if (r || !strcmp(v.id, o->template_version))
        return r;
    long long number = v.number;
    r = take_version(o, &v, e);
    return r == ERR_INVALID ? err_prefix(e, "the golden path %s came out as version %lld while the order waited, which the order does not fit", o->template, number) : r ? r : 1;
}

int approval_fits(struct order *o, const char **ret_why, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    int r = db_take(o->job->db, &c, e);
    if (!r)
        r = db_one(c, Q_APPROVAL_FITS, &row, e, db_text(o->id));
    db_givep(&c);
    if (r)
        return r;
    bool asked = db_bool(row, 0, 0), approved = db_bool(row, 0, 1), begun = db_bool(row, 0, 2);
    if (!asked || begun)
        return 1;
    *ret_why = "the plan is not the one that was approved: it is made anew";
    if (!approved)
        return 0;
    *ret_why = "the golden path has a newer version since the plan was approved: it is made anew";
    r = o->destroy ? 0 : template_moved(o, e);
    return r < 0 ? r : !r;
}
