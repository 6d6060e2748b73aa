/* Orders at the API: accepted, listed, taken back. Who decides about them is in approve.c; what happens to them afterwards is in road.c.
 *
 * The complication: an order's acceptance, its service, its job, its audit entry and the answer kept for its Idempotency-Key commit together or not at all. */
#include <stdio.h>
#include <string.h>

#include "portal/audit/audit.h"
#include "portal/auth/idempotency.h"
#include "portal/catalog/catalog.h"
#include "portal/core/id.h"
#include "portal/json/json.h"
#include "portal/monitoring/monitoring.h"
#include "portal/provision/provision_private.h"
#include "portal/secrets/secrets.h"
#include "provision_queries.h"

struct accept {
    struct http_req *r;
    const char *kind, *name, *template, *environment, *team, *cost_centre;
    bool plan_only;
    char order[ID_LEN + 1], service[ID_LEN + 1];
    struct template_version version;
    json_t *parameters;    /* complete; owned */
    const char *service_id, *prior_state, *template_version;
    const char *parameters_text, *tags_text;
    const char *answer;
};

static const char *text_of(const json_t *body, const char *key)
{
    return json_string_value(json_object_get(body, key));
}

static const char *json_in_arena(struct arena *a, const json_t *v)
{
    BUF_AUTO b = BUF_INIT;
    json_write(v, &b);
    return arena_strdup(a, b.data);
}

static int name_taken(struct err *e, const char *name)
{
    err_set(e, ERR_CONFLICT, "the name `%s` is taken by another service of this installation; choose another, or destroy that one first", name);
    snprintf(e->link, sizeof e->link, "/api/v1/services/%s", name);
    return err_type(e, "name-taken");
}

static int need_create_fields(const struct accept *a, struct err *e)
{
    int r = 0;
    if (!a->template)
        r = err_field(e, "/template", "is needed to create a service; `soma templates list` names the golden paths");
    if (!a->environment)
        r = err_field(e, "/environment", "is needed to create a service; `soma environments list` names them");
    if (!a->team)
        r = err_field(e, "/team", "is needed to create a service");
    return r;
}

static int check_environment(struct db_conn *c, const struct accept *a, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_run(c, Q_ENVIRONMENT_FOR_ORDER, &row, e, db_text(a->environment));
    if (r)
        return r;
    if (db_rows(row) == 0)
        return err_field(e, "/environment", "there is no environment `%s`", a->environment);
    if (db_is_null(row, 0, 1))
        return 0;
    json_t *teams = NULL;
    bool allowed = false;
    if ((r = json_read(db_str(row, 0, 1), strlen(db_str(row, 0, 1)), 0, &teams, e)))
        return r;
    size_t i;
    json_t *team;
    json_array_foreach(teams, i, team)
        allowed |= !strcmp(json_string_value(team), a->team);
    json_decref(teams);
    if (allowed)
        return 0;
    err_set(e, ERR_DENIED, "the environment %s does not take orders of team %s; a platform-admin can allow it: soma environments update %s --team %s", a->environment,
            a->team, a->environment, a->team);
    return ERR_DENIED;
}

/* A golden path that makes a repository needs a place for it, a name that will do, and values that can be written down. */
static int check_repository(struct db_conn *c, const struct accept *a, struct err *e)
{
    json_auto_t *values = json_pack("{s:s,s:s,s:s,s:s,s:s,s:O}", "name", a->name, "team", a->team, "environment", a->environment, "owner", a->r->who->person_name,
                                    "cost_centre", a->cost_centre, "parameters", a->parameters);
    return values ? repository_accept(c, &a->version, a->environment, values, a->r->arena, e) : err_set(e, ERR_INTERNAL, "the order's values are no valid text");
}

/* Team, environment, golden path and parameters of a create; fills version, parameters, cost centre. */
static int check_create(struct db_conn *c, struct accept *a, struct err *e)
{
    struct http_req *r = a->r;
    int x = need_create_fields(a, e);
    if (x)
        return x;
    DB_RESULT_AUTO team = NULL;
    /* Rights first: which teams and environments there are is not for everybody to find out. */
    if ((x = auth_require(r->who, ROLE_DEVELOPER, a->team, e)) || (x = db_run(c, Q_TEAM_COST_CENTRE, &team, e, db_text(a->team))))
        return x;
    if (db_rows(team) == 0)
        return err_field(e, "/team", "there is no team `%s`", a->team);
    if ((x = check_environment(c, a, e)))
        return x;
    if (!a->cost_centre)
        a->cost_centre = arena_strdup(r->arena, db_str(team, 0, 0));
    struct err why = ERR_INIT;
    x = templates_get(c, a->template, r->arena, &a->version, &why);
    if (x == ERR_NOT_FOUND)
        return err_field(e, "/template", "%s", why.msg);
    if (x) {
        *e = why;
        return x;
    }
    if (templates_check_environment(&a->version, a->environment, &why))
        return err_field(e, "/environment", "%s", why.msg);
    if ((x = templates_check_name(&a->version, a->name, e)))
        return x;
    a->template_version = a->version.id;
    x = templates_check_parameters(&a->version, json_object_get(r->json, "parameters"), &a->parameters, e);
    return !x && templates_repository(&a->version) ? check_repository(c, a, e) : x;
}

/* Generated values are made once, sealed, and used by every later run on the service. */
static int seal_values(struct accept *a, const char *table, const char *row, struct buf *sealed, struct err *e)
{
    json_t *values = NULL;
    int r = templates_make_values(&a->version, &values, e);
    if (r)
        return r;
    BUF_AUTO text = BUF_INIT;
    json_write(values, &text);
    json_decref(values);
    r = secrets_seal(table, row, 0, text.data, text.len, sealed, e);
    buf_wipe(&text);
    return r;
}

/* What a failed service of that name left in catalog, monitoring and states goes with it. */
static int free_name(struct db_conn *c, const struct accept *a, struct err *e)
{
    DB_RESULT_AUTO old = NULL;
    int r = db_run(c, Q_SERVICE_REUSABLE, &old, e, db_text(a->name), db_text(a->team));
    if (r || db_rows(old) == 0)
        return r;
    const char *id = db_str(old, 0, 0);
    if ((r = monitoring_remove(c, id, e)) || (r = catalog_remove_service(c, id, e)))
        return r;
    r = db_run(c, Q_STATE_WIPE, NULL, e, db_text(id));
    return r ? r : db_run(c, Q_RUN_FORGET, NULL, e, db_text(id));
}

static int insert_service(struct db_conn *c, struct accept *a, struct err *e)
{
    BUF_AUTO sealed = BUF_INIT;
    id_new(a->service);
    a->service_id = a->service;
    int r = seal_values(a, "service", a->service, &sealed, e);
    if (!r)
        r = free_name(c, a, e);
    if (r)
        return r;
    r = db_run(c, Q_SERVICE_INSERT, NULL, e, db_text(a->service), db_text(a->name), db_text(a->template), db_text(a->template_version), db_text(a->environment),
               db_text(a->team), db_text(a->r->who->person_name), db_text(a->cost_centre), db_text(a->parameters_text), db_text(a->tags_text), db_text(a->order),
               db_bytes(sealed.data, sealed.len));
    if (r)
        return r == ERR_CONFLICT ? name_taken(e, a->name) : r;
    return service_created(c, a->name, a->team, a->order, e);
}

/* Who names a team, environment or golden path with a destroy means the service that is so: another is left alone. */
static int check_destroy(const struct accept *a, const struct db_result *row, struct err *e)
{
    static const struct { const char *key; int col; } told[] = {{"team", 1}, {"template", 3}, {"environment", 5}, {"cost_centre", 6}};
    struct err found = ERR_INIT;
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        const char *given = text_of(a->r->json, told[i].key), *is = db_str(row, 0, told[i].col);
        char pointer[32];
        snprintf(pointer, sizeof pointer, "/%s", told[i].key);
        if (given && strcmp(given, is))
            err_field(&found, pointer, "the service %s has `%s` here; leave it out, or name that", a->name, is);
    }
    if (json_object_size(json_object_get(a->r->json, "parameters")))
        err_field(&found, "/parameters", "a destroy takes none");
    if (found.code)
        *e = found;
    return found.code;
}

/* A destroy takes everything from the service. */
static int take_service(struct db_conn *c, struct accept *a, struct err *e)
{
    struct arena *m = a->r->arena;
    DB_RESULT_AUTO row = NULL;
    int r = db_run(c, Q_SERVICE_FOR_DESTROY, &row, e, db_text(a->name));
    if (r)
        return r;
    if (db_rows(row) == 0)
        return err_set(e, ERR_NOT_FOUND, "there is no service `%s`; `soma services list` shows those that you may see", a->name);
    a->team = arena_strdup(m, db_str(row, 0, 1));
    if (!auth_has(a->r->who, ROLE_VIEWER, a->team))
        return err_set(e, ERR_NOT_FOUND, "there is no service `%s`; `soma services list` shows those that you may see", a->name);
    if ((r = auth_require(a->r->who, ROLE_DEVELOPER, a->team, e)))
        return r;
    if ((r = check_destroy(a, row, e)))
        return r;
    a->prior_state = arena_strdup(m, db_str(row, 0, 2));
    if (strcmp(a->prior_state, "ready") && strcmp(a->prior_state, "failed")) {
        err_set(e, ERR_CONFLICT, "the service %s is %s: another order is at work on it; wait for its end, or cancel it while it waits", a->name, a->prior_state);
        snprintf(e->link, sizeof e->link, "/api/v1/orders/%s", db_str(row, 0, 8));
        return err_type(e, "service-busy");
    }
    a->service_id = arena_strdup(m, db_str(row, 0, 0));
    a->template = arena_strdup(m, db_str(row, 0, 3));
    a->template_version = arena_strdup(m, db_str(row, 0, 4));
    a->environment = arena_strdup(m, db_str(row, 0, 5));
    a->cost_centre = arena_strdup(m, db_str(row, 0, 6));
    a->parameters_text = arena_strdup(m, db_str(row, 0, 7));
    return a->plan_only ? 0 : service_move(c, a->service_id, a->name, a->team, "destroying", "", a->order, e);
}

static const char *tags_of(const struct accept *a)
{
    BUF_AUTO b = BUF_INIT;
    buf_char(&b, '{');
    buf_json_kv(&b, "Owner", a->r->who->person_name);
    buf_json_kv(&b, "CostCenter", a->cost_centre);
    buf_json_kv(&b, "ManagedBy", "soma");
    buf_json_kv(&b, "Environment", a->environment);
    buf_char(&b, '}');
    return arena_strdup(a->r->arena, b.data);
}

static int insert_order(struct db_conn *c, struct accept *a, struct err *e)
{
    const struct principal *p = a->r->who;
    int r = db_run(c, Q_ORDER_INSERT, NULL, e, db_text(a->order), db_text(a->kind), db_text(a->service_id), db_text(a->name), db_text(a->template),
                   db_text(a->template_version), db_text(a->environment), db_text(a->team), db_text(p->actor), db_text(p->name), db_text(p->person),
                   db_text(p->person_name), db_text(a->cost_centre), db_text(a->parameters_text), db_flag(a->plan_only), db_text(a->prior_state));
    if (!r && a->plan_only && strcmp(a->kind, "destroy")) {
        BUF_AUTO sealed = BUF_INIT;
        r = seal_values(a, "orders", a->order, &sealed, e);
        if (!r)
            r = db_run(c, Q_ORDER_SET_VALUES, NULL, e, db_text(a->order), db_bytes(sealed.data, sealed.len));
    }
    if (!r)
        r = db_run(c, Q_ORDER_STEP_ADD, NULL, e, db_text(a->order), db_text("queued"), db_text(p->name), db_text(""));
    if (!r)
        r = order_event(c, a->order, a->team, "order.state", "{\"state\":\"queued\",\"from\":null}", e);
    if (r)
        return r;
    struct jobs_spec job = {.kind = "order", .subject = a->order, .team = a->team, .environment = a->environment};
    return jobs_enqueue(c, &job, NULL, e);
}

static int answer_order(struct db_conn *c, const char *id, struct arena *a, const char **ret, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_ORDER_JSON, &row, e, db_text(id));
    if (!r)
        *ret = arena_strdup(a, db_str(row, 0, 0));
    return r;
}

static int audit_order(struct db_conn *c, const struct http_req *r, const char *action, const char *name, const char *team, const char *order, const char *after,
                       struct err *e)
{
    char subject[64], detail[80];
    snprintf(subject, sizeof subject, "service:%s", name);
    snprintf(detail, sizeof detail, "{\"order\":\"%s\"}", order);
    struct audit_entry a = {.action = action, .subject = subject, .team = team, .after = after, .detail = detail};
    audit_from_request(&a, r);
    return audit_append(c, &a, e);
}

static int accept_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct accept *a = arg;
    bool destroy = !strcmp(a->kind, "destroy");
    int r;
    id_new(a->order); /* anew when the transaction is repeated */
    if (destroy)
        r = take_service(c, a, e);
    else if (a->plan_only)
        r = 0;
    else
        r = insert_service(c, a, e);
    if (!r)
        r = insert_order(c, a, e);
    if (!r)
        r = answer_order(c, a->order, a->r->arena, &a->answer, e);
    char location[80];
    snprintf(location, sizeof location, "/api/v1/orders/%s", a->order);
    if (!r)
        r = idempotency_record(c, a->r, 202, location, a->answer, strlen(a->answer), e);
    return r ? r : audit_order(c, a->r, a->plan_only ? "order.plan" : destroy ? "order.destroy" : "order.create", a->name, a->team, a->order, a->answer, e);
}

static int prepare_create(struct accept *a, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    int r = db_take(provision_get()->db, &c, e);
    if (!r)
        r = check_create(c, a, e);
    if (r)
        return r;
    a->parameters_text = json_in_arena(a->r->arena, a->parameters);
    a->tags_text = tags_of(a);
    return 0;
}

int orders_create(struct http_req *r, struct err *e)
{
    struct accept a = {.r = r, .kind = text_of(r->json, "kind"), .name = text_of(r->json, "name"), .template = text_of(r->json, "template"),
                       .environment = text_of(r->json, "environment"), .team = text_of(r->json, "team"), .cost_centre = text_of(r->json, "cost_centre"),
                       .plan_only = json_is_true(json_object_get(r->json, "plan_only"))};
    int x = strcmp(a.kind, "destroy") ? prepare_create(&a, e) : 0;
    if (!x)
        x = db_tx(provision_get()->db, accept_tx, &a, e);
    services_forget(a.name);
    json_decref(a.parameters);
    templates_version_done(&a.version);
    if (x)
        return x;
    cluster_poke(provision_get()->cluster);
    http_add_header(r, "Location", "/api/v1/orders/%s", a.order);
    return http_reply(r, 202, "application/json", a.answer, strlen(a.answer));
}

int orders_list(struct http_req *r, struct err *e)
{
    return page_reply(r, &Q_ORDER_PAGE, "service", e);
}

static int no_order(struct err *e, const char *id)
{
    return err_set(e, ERR_NOT_FOUND, "there is no order `%.40s` that you may see; `soma orders list` shows those that you may", id);
}

int orders_show(struct http_req *r, struct err *e)
{
    const char *id = http_param(r, "id");
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    if (!id_valid(id))
        return no_order(e, id);
    int x = db_take(provision_get()->db, &c, e);
    if (!x)
        x = db_run(c, Q_ORDER_DETAIL, &row, e, db_text(id));
    bool seen = false;
    if (!x && db_rows(row))
        x = order_visible(c, r->who, id, db_str(row, 0, 1), &seen, e);
    if (x)
        return x;
    if (!seen)
        return no_order(e, id);
    services_forget(db_str(row, 0, 2)); /* who is told here that the order has ended finds the service so at the next look */
    return http_reply(r, 200, "application/json", db_str(row, 0, 0), strlen(db_str(row, 0, 0)));
}

/* ---- taking back ---- */

struct cancel { struct http_req *r; const char *id, *name, *answer; };

static int check_cancel(const struct cancel *k, const struct db_result *order, struct err *e)
{
    const char *state = db_str(order, 0, 2);
    int r = auth_require(k->r->who, ROLE_DEVELOPER, db_str(order, 0, 1), e);
    if (r || !strcmp(state, "queued") || !strcmp(state, "awaiting_approval"))
        return r;
    err_set(e, ERR_CONFLICT, "the order is %s; it can be canceled only while it is queued or waits for approval%s", state,
            !strcmp(state, "ready") || !strcmp(state, "failed") || !strcmp(state, "canceled") ? "" : ". Let it end; then `soma destroy` takes back what it made");
    return err_type(e, "too-late");
}

static int cancel_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct cancel *k = arg;
    const struct principal *p = k->r->who;
    DB_RESULT_AUTO order = NULL;
    int r = id_valid(k->id) ? db_run(c, Q_ORDER_LOCK, &order, e, db_text(k->id)) : no_order(e, k->id);
    if (!r && (db_rows(order) == 0 || !auth_has(p, ROLE_VIEWER, db_str(order, 0, 1))))
        return no_order(e, k->id);
    if (r || (r = check_cancel(k, order, e)))
        return r;
    const char *team = db_str(order, 0, 1), *reason = arena_printf(k->r->arena, "canceled by %s", p->name);
    k->name = arena_strdup(k->r->arena, db_str(order, 0, 7));
    if ((r = jobs_cancel(c, "order", k->id, e)) < 0)
        return r;
    r = order_move(c, k->id, team, db_str(order, 0, 2), "canceled", p->name, reason, NULL, e);
    if (!r)
        r = order_give_back(c, k->id, order, reason, e);
    if (!r)
        r = answer_order(c, k->id, k->r->arena, &k->answer, e);
    if (!r)
        r = idempotency_record(c, k->r, 200, NULL, k->answer, strlen(k->answer), e);
    return r ? r : audit_order(c, k->r, "order.cancel", k->name, team, k->id, k->answer, e);
}

int orders_cancel(struct http_req *r, struct err *e)
{
    struct cancel k = {.r = r, .id = http_param(r, "id")};
    int x = db_tx(provision_get()->db, cancel_tx, &k, e);
    services_forget(k.name);
    if (x)
        return x;
    cluster_poke(provision_get()->cluster);
    return http_reply(r, 200, "application/json", k.answer, strlen(k.answer));
}
