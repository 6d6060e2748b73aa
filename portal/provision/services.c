#include <stdio.h>
#include <string.h>

#include "portal/audit/audit.h"
#include "portal/core/log.h"
#include "portal/json/json.h"
#include "portal/provision/provision_private.h"
#include "portal/secrets/secrets.h"
#include "provision_queries.h"

#define ENTITY_MAX 64

int services_list(struct http_req *r, struct err *e)
{
    return page_reply(r, &Q_SERVICE_PAGE, "environment", e);
}

static int no_service(struct err *e, const char *name)
{
    return err_set(e, ERR_NOT_FOUND, "there is no service `%.64s` that you may see; `soma services list` shows those that you may", name);
}

/* The entity of the event log. Names that no service can have are cut to a length that no kept entity has. */
static const char *entity_of(const char *name, char out[ENTITY_MAX])
{
    size_t n = strnlen(name, ENTITY_MAX - 9);
    memcpy(out, "service:", 8);
    memcpy(out + 8, name, n);
    out[8 + n] = 0;
    return out;
}

void services_forget(const char *name)
{
    char entity[ENTITY_MAX];
    if (name && provision_get()->reads)
        read_cache_drop(provision_get()->reads, entity_of(name, entity));
}

static int reply_service(struct http_req *r, const struct cache_entry *s)
{
    return http_etag(r, s->etag) ? 0 : http_reply(r, 200, "application/json", s->body, s->len);
}

static int read_service(struct http_req *r, const char *name, const char *entity, const struct cache_mark *mark, struct err *e)
{
    struct read_cache *reads = provision_get()->reads;
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    int x = db_take(provision_get()->db, &c, e);
    if (!x)
        x = db_run(c, Q_SERVICE_GET, &row, e, db_text(name));
    if (x)
        return x;
    if (db_rows(row) == 0 || !auth_has(r->who, ROLE_VIEWER, db_str(row, 0, 1)))
        return no_service(e, name);
    char etag[80];
    snprintf(etag, sizeof etag, "%.36s-%s", db_str(row, 0, 3), db_str(row, 0, 2));
    struct cache_entry s = {.key = entity, .team = db_str(row, 0, 1), .etag = etag, .body = db_str(row, 0, 0), .len = strlen(db_str(row, 0, 0))};
    if (reads)
        read_cache_put(reads, mark, &s);
    return reply_service(r, &s);
}

/* Whoever may not see a service goes the way of a service that is not there: not even the time that it takes tells the two apart. */
int services_show(struct http_req *r, struct err *e)
{
    struct read_cache *reads = provision_get()->reads;
    const char *name = http_param(r, "name");
    char entity[ENTITY_MAX];
    struct cache_mark mark = {0};
    CACHE_ENTRY_AUTO s = reads ? read_cache_get(reads, entity_of(name, entity), &mark) : NULL;
    return s && auth_has(r->who, ROLE_VIEWER, s->team) ? reply_service(r, s) : read_service(r, name, entity, &mark, e);
}

static int read_json(const struct db_result *row, int col, json_t **ret, struct err *e)
{
    return json_read(db_str(row, 0, col), strlen(db_str(row, 0, col)), 0, ret, e);
}

static int load_outputs(struct db_conn *c, struct http_req *r, struct db_result **ret, json_t **ret_outputs, struct err *e)
{
    const char *name = http_param(r, "name");
    int x = db_run(c, Q_SERVICE_OUTPUTS, ret, e, db_text(name));
    if (x)
        return x;
    if (db_rows(*ret) == 0 || !auth_has(r->who, ROLE_VIEWER, db_str(*ret, 0, 1)))
        return no_service(e, name);
    return read_json(*ret, 2, ret_outputs, e);
}

/* Sensitive ones have no value in the row; what is there is copied through. */
int services_outputs(struct http_req *r, struct err *e)
{
    const char *name = http_param(r, "name");
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    int x = db_take(provision_get()->db, &c, e);
    if (!x)
        x = db_run(c, Q_SERVICE_OUTPUTS_SHOWN, &row, e, db_text(name));
    if (x)
        return x;
    if (db_rows(row) == 0 || !auth_has(r->who, ROLE_VIEWER, db_str(row, 0, 0)))
        return no_service(e, name);
    BUF_AUTO b = BUF_INIT;
    buf_str(&b, "{\"outputs\":");
    buf_str(&b, db_str(row, 0, 1));
    buf_char(&b, '}');
    return http_reply_json(r, 200, &b);
}

static int reply_revealed(struct http_req *r, const json_t *outputs)
{
    BUF_AUTO b = BUF_INIT;
    buf_str(&b, "{\"outputs\":");
    json_write(outputs, &b);
    buf_char(&b, '}');
    int x = http_reply_json(r, 200, &b);
    buf_wipe(&b);
    return x;
}

struct reveal { struct http_req *r; json_t *outputs; bool denied; struct err refusal; };

/* Puts the sealed values into the outputs. */
static int open_outputs(struct db_conn *c, const struct db_result *row, struct arena *a, json_t *outputs, struct err *e)
{
    (void)c;
    if (db_is_null(row, 0, 3))
        return 0;
    size_t len;
    const void *sealed = db_blob(row, 0, 3, a, &len);
    BUF_AUTO plain = BUF_INIT;
    json_t *values = NULL;
    int r = secrets_open("service", db_str(row, 0, 0), db_i64(row, 0, 4), sealed, len, &plain, e);
    if (r == ERR_INVALID) { /* the request is fine, what is kept is not */
        log_error("a sealed value does not open", LOG_S("service", db_str(row, 0, 0)), LOG_S("reason", e->msg));
        r = err_set(e, ERR_INTERNAL, "what is kept of the service's secrets does not open: it was changed, or its key is gone. The node's log says more; restore the database and the key file from one backup");
    }
    if (!r)
        r = json_read(plain.data, plain.len, 0, &values, e);
    buf_wipe(&plain);
    const char *name;
    json_t *value;
    json_object_foreach(values, name, value)
        json_object_set(json_object_get(outputs, name), "value", value);
    json_decref(values);
    return r;
}

static int ask_reveal_gates(struct db_conn *c, struct reveal *v, const struct db_result *row, struct err *e)
{
    json_t *parameters = NULL;
    int r = read_json(row, 9, &parameters, e);
    if (r)
        return r;
    struct gate_input in = {.c = c, .arena = v->r->arena, .point = GATE_REVEAL, .service_id = db_str(row, 0, 0), .name = http_param(v->r, "name"),
                            .template = db_str(row, 0, 5), .environment = db_str(row, 0, 6), .team = db_str(row, 0, 1), .cost_centre = db_str(row, 0, 7),
                            .person_name = v->r->who->person_name, .kind = "reveal", .parameters = parameters};
    enum gate_outcome outcome = GATE_ALLOW;
    const char *reason = "";
    r = gates_ask(&in, &outcome, &reason, e);
    json_decref(parameters);
    if (!r && outcome >= GATE_APPROVE) { /* the decision is kept, so this transaction commits */
        v->denied = true;
        err_set(&v->refusal, ERR_DENIED, "a gate refuses to show the secrets of %s: %s", in.name, reason);
    }
    return r;
}

static int reveal_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct reveal *v = arg;
    DB_RESULT_AUTO row = NULL;
    json_decref(v->outputs);
    v->outputs = NULL;
    v->denied = false;
    int r = load_outputs(c, v->r, &row, &v->outputs, e);
    if (!r)
        r = auth_require(v->r->who, ROLE_DEVELOPER, db_str(row, 0, 1), e);
    if (!r)
        r = ask_reveal_gates(c, v, row, e);
    if (!r && !v->denied)
        r = open_outputs(c, row, v->r->arena, v->outputs, e);
    if (r)
        return r;
    char subject[80];
    snprintf(subject, sizeof subject, "service:%s", http_param(v->r, "name"));
    struct audit_entry a = {.action = v->denied ? "secret.reveal.denied" : "secret.reveal", .subject = subject, .team = db_str(row, 0, 1)};
    audit_from_request(&a, v->r);
    return audit_append(c, &a, e);
}

int services_reveal(struct http_req *r, struct err *e)
{
    struct reveal v = {.r = r};
    int x = db_tx(provision_get()->db, reveal_tx, &v, e);
    if (!x && v.denied) {
        *e = v.refusal;
        x = e->code;
    }
    if (!x)
        x = reply_revealed(r, v.outputs);
    json_decref(v.outputs);
    return x;
}
