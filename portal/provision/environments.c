#include <stdio.h>
#include <string.h>

#include "portal/audit/audit.h"
#include "portal/auth/idempotency.h"
#include "portal/core/id.h"
#include "portal/json/json.h"
#include "portal/provision/provision_private.h"
#include "portal/secrets/secrets.h"
#include "provision_queries.h"

static struct db_param optional_int(const json_t *body, const char *key)
{
    const json_t *v = json_object_get(body, key);
    return json_is_integer(v) ? db_int(json_integer_value(v)) : db_null();
}

static struct db_param optional_bool(const json_t *body, const char *key)
{
    const json_t *v = json_object_get(body, key);
    return json_is_boolean(v) ? db_flag(json_is_true(v)) : db_null();
}

/* JSON text of a member, or NULL when it is absent or null. In the arena. */
static const char *member_text(struct arena *a, const json_t *body, const char *key)
{
    const json_t *v = json_object_get(body, key);
    if (!v || json_is_null(v))
        return NULL;
    BUF_AUTO b = BUF_INIT;
    json_write(v, &b);
    return arena_strdup(a, b.data);
}

static int put_credential(struct db_conn *c, const char *environment, const char *name, const char *value, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_run(c, Q_ENVIRONMENT_CREDENTIAL_VERSION, &row, e, db_text(environment), db_text(name));
    if (r)
        return r;
    int64_t version = db_rows(row) ? db_i64(row, 0, 0) : 1;
    char id[160];
    snprintf(id, sizeof id, "%s/%s", environment, name);
    BUF_AUTO sealed = BUF_INIT;
    r = secrets_seal("environment_credential", id, version, value, strlen(value), &sealed, e);
    if (!r)
        r = db_run(c, Q_ENVIRONMENT_CREDENTIAL_PUT, NULL, e, db_text(environment), db_text(name), db_int(version), db_bytes(sealed.data, sealed.len));
    return r;
}

static int put_credentials(struct db_conn *c, const char *environment, const json_t *credentials, struct err *e)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)credentials, name, value) {
        int r = json_is_null(value) ? db_run(c, Q_ENVIRONMENT_CREDENTIAL_DELETE, NULL, e, db_text(environment), db_text(name))
                                    : put_credential(c, environment, name, json_string_value(value), e);
        if (r)
            return r;
    }
    return 0;
}

static const char *etag_of(char out[32], int64_t version)
{
    snprintf(out, 32, "%lld", (long long)version);
    return out;
}

static int audit_change(struct db_conn *c, const struct http_req *r, const char *action, const char *name, const char *before, const char *after, struct err *e)
{
    char subject[80];
    snprintf(subject, sizeof subject, "environment:%s", name);
    struct audit_entry a = {.action = action, .subject = subject, .before = before, .after = after};
    audit_from_request(&a, r);
    return audit_append(c, &a, e);
}

/* The queue keeps the limits of environments; it learns each change in the same transaction. */
static int tell_queue(struct db_conn *c, const char *name, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_ENVIRONMENT_FOR_ORDER, &row, e, db_text(name));
    return r ? r : jobs_set_environment_limit(c, name, (int)db_i64(row, 0, 2), e);
}

int environments_list(struct http_req *r, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int x = db_take(provision_get()->db, &c, e);
    if (!x)
        x = db_run(c, Q_ENVIRONMENT_LIST, &rows, e, db_flag(auth_has(r->who, ROLE_ADMIN, NULL)));
    return x ? x : auth_reply_page(r, rows, db_rows(rows), e);
}

int environments_show(struct http_req *r, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    const char *name = http_param(r, "name");
    bool all = auth_has(r->who, ROLE_ADMIN, NULL);
    int x = db_take(provision_get()->db, &c, e);
    if (!x)
        x = db_one(c, Q_ENVIRONMENT_GET, &row, e, db_text(name), db_flag(all));
    if (x == ERR_NOT_FOUND)
        return err_set(e, x, "there is no environment `%s`", name);
    if (x)
        return x;
    char etag[40];
    etag_of(etag, db_i64(row, 0, 1));
    if (!all)
        strcat(etag, "-short"); /* what administrators see is another text */
    return http_etag(r, etag) ? 0 : http_reply(r, 200, "application/json", db_str(row, 0, 0), strlen(db_str(row, 0, 0)));
}

/* ERR_INVALID with each team that does not exist; `teams` is a JSON array's text, or NULL. */
static int check_teams(struct db_conn *c, const char *teams, struct err *e)
{
    DB_RESULT_AUTO unknown = NULL;
    int r = teams ? db_run(c, Q_ENVIRONMENT_UNKNOWN_TEAMS, &unknown, e, db_text(teams)) : 0;
    for (int i = 0; !r && teams && i < db_rows(unknown); i++) {
        char pointer[40];
        snprintf(pointer, sizeof pointer, "/teams/%s", db_str(unknown, i, 0));
        err_field(e, pointer, "there is no team `%s`", db_str(unknown, i, 1));
    }
    return r ? r : teams && db_rows(unknown) ? ERR_INVALID : 0;
}

struct environment_write { struct http_req *r; const char *name; const char *answer; char etag[32]; };

static int answer_of(struct db_conn *c, struct environment_write *w, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_ENVIRONMENT_GET, &row, e, db_text(w->name), db_flag(true));
    if (r)
        return r;
    w->answer = arena_strdup(w->r->arena, db_str(row, 0, 0));
    etag_of(w->etag, db_i64(row, 0, 1));
    return 0;
}

static int no_approval_team(struct err *e, const json_t *body)
{
    return err_field(e, "/approval_team", "there is no team `%s`", json_string_value(json_object_get(body, "approval_team")));
}

static int create_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct environment_write *w = arg;
    struct http_req *r = w->r;
    const json_t *b = r->json;
    const char *teams = member_text(r->arena, b, "teams");
    int x = check_teams(c, teams, e);
    if (!x)
        x = db_run(c, Q_ENVIRONMENT_INSERT, NULL, e, db_text(w->name), db_text(json_string_value(json_object_get(b, "title"))),
                   db_text(member_text(r->arena, b, "settings")), db_text(teams), optional_bool(b, "require_approval"),
                   optional_int(b, "services_per_team"), optional_int(b, "resources_per_team"), optional_int(b, "max_running"), optional_int(b, "approval_count"),
                   optional_int(b, "approval_seconds"), db_text(json_string_value(json_object_get(b, "approval_team"))));
    if (x == ERR_NOT_FOUND)
        return no_approval_team(e, b);
    if (x == ERR_CONFLICT) {
        err_set(e, x, "there is an environment `%s` already", w->name);
        snprintf(e->link, sizeof e->link, "/api/v1/environments/%s", w->name);
        return err_type(e, "name-taken");
    }
    if (!x)
        x = put_credentials(c, w->name, json_object_get(b, "credentials"), e);
    if (!x)
        x = tell_queue(c, w->name, e);
    if (!x)
        x = answer_of(c, w, e);
    char location[80];
    snprintf(location, sizeof location, "/api/v1/environments/%s", w->name);
    if (!x)
        x = idempotency_record(c, r, 201, location, w->answer, strlen(w->answer), e);
    return x ? x : audit_change(c, r, "environment.create", w->name, NULL, w->answer, e);
}

int environments_create(struct http_req *r, struct err *e)
{
    struct environment_write w = {.r = r, .name = json_string_value(json_object_get(r->json, "name"))};
    int x = db_tx(provision_get()->db, create_tx, &w, e);
    if (x)
        return x;
    http_add_header(r, "Location", "/api/v1/environments/%s", w.name);
    http_add_header(r, "ETag", "\"%s\"", w.etag);
    return http_reply(r, 201, "application/json", w.answer, strlen(w.answer));
}

static int not_there(struct err *e, const char *name)
{
    return err_set(e, ERR_NOT_FOUND, "there is no environment `%s`", name);
}

static int update_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct environment_write *w = arg;
    struct http_req *r = w->r;
    const json_t *b = r->json;
    char etag[32];
    DB_RESULT_AUTO row = NULL;
    int x = db_one(c, Q_ENVIRONMENT_LOCK, &row, e, db_text(w->name));
    if (x == ERR_NOT_FOUND)
        return not_there(e, w->name);
    if (!x)
        x = http_if_match(r, etag_of(etag, db_i64(row, 0, 0)), false, e);
    if (!x)
        x = answer_of(c, w, e);
    if (x)
        return x;
    const char *before = w->answer, *teams = member_text(r->arena, b, "teams");
    if ((x = check_teams(c, teams, e)))
        return x;
    x = db_run(c, Q_ENVIRONMENT_UPDATE, NULL, e, db_text(w->name), db_text(json_string_value(json_object_get(b, "title"))),
               db_text(member_text(r->arena, b, "settings")), db_text(teams), optional_bool(b, "require_approval"),
               optional_int(b, "services_per_team"), optional_int(b, "resources_per_team"), optional_int(b, "max_running"),
               db_flag(json_object_get(b, "teams") != NULL), optional_int(b, "approval_count"), optional_int(b, "approval_seconds"),
               db_flag(json_object_get(b, "approval_team") != NULL), db_text(json_string_value(json_object_get(b, "approval_team"))));
    if (x == ERR_NOT_FOUND)
        return no_approval_team(e, b);
    if (!x)
        x = put_credentials(c, w->name, json_object_get(b, "credentials"), e);
    if (!x)
        x = tell_queue(c, w->name, e);
    if (!x)
        x = answer_of(c, w, e);
    if (!x)
        x = idempotency_record(c, r, 200, NULL, w->answer, strlen(w->answer), e);
    return x ? x : audit_change(c, r, "environment.update", w->name, before, w->answer, e);
}

int environments_update(struct http_req *r, struct err *e)
{
    struct environment_write w = {.r = r, .name = http_param(r, "name")};
    int x = db_tx(provision_get()->db, update_tx, &w, e);
    if (x)
        return x;
    http_add_header(r, "ETag", "\"%s\"", w.etag);
    return http_reply(r, 200, "application/json", w.answer, strlen(w.answer));
}

static int delete_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct environment_write *w = arg;
    int x = answer_of(c, w, e);
    if (x == ERR_NOT_FOUND)
        return not_there(e, w->name);
    if (!x)
        x = db_run(c, Q_ENVIRONMENT_DELETE, NULL, e, db_text(w->name));
    if (x == ERR_NOT_FOUND || (x && !strncmp(db_sqlstate(c), "23", 2)))
        return err_set(e, ERR_CONFLICT, "orders were made in the environment `%s`; it stays for their history. To close it, allow no team: {\"teams\": []}", w->name);
    if (!x)
        x = idempotency_record(c, w->r, 204, NULL, "", 0, e);
    return x ? x : audit_change(c, w->r, "environment.delete", w->name, w->answer, NULL, e);
}

int environments_delete(struct http_req *r, struct err *e)
{
    struct environment_write w = {.r = r, .name = http_param(r, "name")};
    int x = db_tx(provision_get()->db, delete_tx, &w, e);
    return x ? x : http_reply_empty(r, 204);
}

int environment_open(struct db_conn *c, const char *name, struct arena *a, struct environment_run *ret, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    DB_RESULT_AUTO credentials = NULL;
    int r = db_one(c, Q_ENVIRONMENT_FOR_ORDER, &row, e, db_text(name));
    if (!r)
        r = db_run(c, Q_ENVIRONMENT_CREDENTIALS, &credentials, e, db_text(name));
    if (!r)
        r = json_read(db_str(row, 0, 0), strlen(db_str(row, 0, 0)), 0, &ret->settings, e);
    if (r)
        return r;
    int n = db_rows(credentials);
    ret->credentials = arena_alloc(a, sizeof(char *) * (size_t)(n + 1));
    for (int i = 0; i < n && !r; i++) {
        char id[160];
        size_t len;
        snprintf(id, sizeof id, "%s/%s", name, db_str(credentials, i, 0));
        const void *sealed = db_blob(credentials, i, 2, a, &len);
        BUF_AUTO value = BUF_INIT;
        r = secrets_open("environment_credential", id, db_i64(credentials, i, 1), sealed, len, &value, e);
        if (!r)
            ret->credentials[i] = arena_printf(a, "%s=%s", db_str(credentials, i, 0), buf_cstr(&value));
        buf_wipe(&value);
    }
    return r ? err_prefix(e, "environment %s", name) : 0;
}

void environment_run_done(struct environment_run *er)
{
    json_decref(er->settings);
    er->settings = NULL;
    for (const char **p = er->credentials; p && *p; p++)
        explicit_bzero((char *)*p, strlen(*p));
}
