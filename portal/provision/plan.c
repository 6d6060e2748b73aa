#include <string.h>

#include "portal/json/json.h"
#include "portal/provision/run_private.h"
#include "portal/secrets/secrets.h"
#include "provision_queries.h"

/* A person waits for the first plan of an order: some seconds in all. A destroy may take a minute until its cloud is back. */
#define CREATE_TRIES 3
#define DESTROY_TRIES 6

static void change_json(struct buf *b, const struct tf_change *c)
{
    buf_str(b, b->data[b->len - 1] == '[' ? "{" : ",{");
    buf_json_kv(b, "address", c->address);
    buf_json_kv(b, "type", c->type);
    buf_json_kv(b, "action", tf_action_name(c->action));
    if (*c->reason)
        buf_json_kv(b, "reason", c->reason);
    if (*c->import_id)
        buf_json_kv(b, "import", c->import_id);
    buf_json_kraw(b, "before", c->before_json);
    buf_json_kraw(b, "after", c->after_json);
    buf_char(b, '}');
}

/* The plan as the API shows it: counts, and changes with sensitive values masked. */
static void summary_json(const struct tf_plan *p, struct buf *b)
{
    buf_char(b, '{');
    buf_json_kint(b, "add", p->add);
    buf_json_kint(b, "change", p->change);
    buf_json_kint(b, "destroy", p->destroy);
    buf_json_kint(b, "replace", p->replace);
    buf_json_kint(b, "import", p->import);
    buf_json_key(b, "changes");
    buf_char(b, '[');
    for (size_t i = 0; i < p->n_changes; i++)
        change_json(b, &p->changes[i]);
    buf_str(b, "]}");
}

static int64_t count_managed(const json_t *module)
{
    int64_t n = 0;
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(module, "resources"), i, item) {
        const char *mode = json_string_value(json_object_get(item, "mode"));
        n += mode && !strcmp(mode, "managed");
    }
    json_array_foreach(json_object_get(module, "child_modules"), i, item)
        n += count_managed(item);
    return n;
}

/* The plan as people see it, and the digest by which an approval is held to it. plan NULL: nothing is changed. */
static int set_plan(struct db_conn *c, struct order *o, const char *summary, const void *plan, size_t len, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    BUF_AUTO digest = BUF_INIT;
    const void *like = NULL;
    size_t like_len = 0;
    int r = db_run(c, Q_APPROVAL_DIGEST_KEY, &row, e, db_text(o->id));
    if (!r && db_rows(row))
        like = db_blob(row, 0, 0, o->job->arena, &like_len);
    if (!r)
        r = plan_digest(plan, len, like, like_len, &digest, e);
    return r ? r : db_run(c, Q_ORDER_SET_PLAN, NULL, e, db_text(o->id), db_text(summary), db_bytes(digest.data, digest.len));
}

struct plan_write { struct run_setup *s; const struct tf_result *result; };

static int keep_body(struct db_conn *c, void *arg, struct err *e)
{
    struct plan_write *w = arg;
    const struct order *o = w->s->order;
    const struct tf_result *t = w->result;
    BUF_AUTO sealed = BUF_INIT;
    BUF_AUTO sealed_json = BUF_INIT;
    BUF_AUTO summary = BUF_INIT;
    BUF_AUTO providers = BUF_INIT;
    int r = secrets_seal("saved_plan", o->id, w->s->serial, t->plan, t->plan_len, &sealed, e);
    if (!r)
        r = secrets_seal("saved_plan", o->id, w->s->serial, t->plan_json, t->plan_json_len, &sealed_json, e);
    if (r)
        return r;
    summary_json(&t->plan_read, &summary);
    run_providers_json(w->s, &providers);
    r = db_run(c, Q_PLAN_PUT, NULL, e, db_text(o->id), db_bytes(sealed.data, sealed.len), db_bytes(sealed_json.data, sealed_json.len), db_int(w->s->serial),
               db_text(o->template_version), db_text(w->s->engine.name), db_text(w->s->engine.version), db_text(providers.data), db_flag(t->changes));
    return r ? r : set_plan(c, w->s->order, summary.data, t->plan_json, t->plan_json_len, e);
}

static int forget_body(struct db_conn *c, void *arg, struct err *e)
{
    struct order *o = arg;
    int r = db_run(c, Q_PLAN_DROP, NULL, e, db_text(o->id));
    return r ? r : set_plan(c, o, "{\"add\":0,\"change\":0,\"destroy\":0,\"replace\":0,\"import\":0,\"changes\":[]}", NULL, 0, e);
}

/* A service that never came to hold anything is destroyed without asking its module, which may be the very thing that is broken. */
static int plan_nothing(struct order *o, struct run_outcome *ret, struct err *e)
{
    ret->end = RUN_OK;
    ret->masked_plan = json_object();
    return road_tx(o, forget_body, o, e);
}

int run_plan(struct order *o, struct run_outcome *ret, struct err *e)
{
    struct run_setup s = {0};
    struct tf_result result = {0};
    int looked = o->destroy && !o->plan_only ? run_reconcile_destroy(o, ret, e) : 0;
    if (looked || ret->end == RUN_FAILED)
        return looked;
    int nothing = o->destroy ? run_nothing_to_destroy(o, e) : 0;
    if (nothing)
        return nothing < 0 ? nothing : plan_nothing(o, ret, e);
    int r = run_setup(&s, o, e);
    if (!r)
        r = run_engine(&s, o->destroy ? TF_PLAN_DESTROY : TF_PLAN, &(struct run_input){0}, &result, e);
    if (r && run_error_is_ours(r)) {
        run_setup_done(&s);
        return r;
    }
    if (r || !result.ok) {
        r = run_fail_or_again(&s, "plan", &result, o->destroy ? DESTROY_TRIES : CREATE_TRIES, ret, e);
        run_setup_done(&s);
        return r;
    }
    struct plan_write w = {&s, &result};
    r = road_tx(o, keep_body, &w, e);
    if (!r)
        r = json_read(result.plan_read.masked, result.plan_read.masked_len, 200, &ret->masked_plan, e);
    ret->end = RUN_OK;
    ret->has_changes = result.changes;
    ret->resources_after = count_managed(json_object_get(json_object_get(ret->masked_plan, "planned_values"), "root_module"));
    run_setup_done(&s);
    return r;
}
