/* Accounts of programs: owned by a person and a team, and never able to do more than that person. */
#include <stdio.h>
#include <string.h>

#include "auth_queries.h"
#include "portal/auth/auth_private.h"
#include "portal/core/id.h"

struct program {
    struct write w;
    const char *name, *team, *owner; /* names */
    char owner_id[ID_LEN + 1];
};

int service_accounts_list(struct http_req *r, struct err *e)
{
    int64_t limit;
    const char *after;
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int x = limit_and_cursor(r, &limit, &after, e);
    if (!x)
        x = db_take(auth_db(), &c, e);
    if (!x)
        x = db_run(c, Q_SERVICE_ACCOUNTS_PAGE, &rows, e, db_text(after), db_int(limit + 1), db_text(auth_teams_json(r->who, r->arena)), db_text(r->who->person));
    return x ? x : auth_reply_page(r, rows, limit, e);
}

static bool may_see(const struct principal *p, const struct db_result *row)
{
    return auth_has(p, ROLE_VIEWER, db_str(row, 0, 2)) || !strcmp(db_str(row, 0, 1), p->person);
}

static int no_such(struct err *e, const char *name)
{
    return err_set(e, ERR_NOT_FOUND, "there is no service account `%.80s` that you may see", name);
}

int service_accounts_show(struct http_req *r, struct err *e)
{
    const char *name = http_param(r, "name");
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    int x = db_take(auth_db(), &c, e);
    if (!x)
        x = db_run(c, Q_ACCOUNT_JSON, &row, e, db_text(name), db_text("service_account"));
    if (!x && (db_rows(row) == 0 || !may_see(r->who, row)))
        x = no_such(e, name);
    return x ? x : reply_row(r, row, "service account", name, e);
}

static int needs_admin_scope(struct err *e)
{
    return err_set(e, ERR_DENIED, "changing accounts needs a token with the scope `admin`, or a session");
}

static int taken(struct db_conn *c, const char *name, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    db_rollback(c);
    bool person = db_run(c, Q_ACCOUNT_FIND, &row, NULL, db_text(name)) == 0 && db_rows(row) && !strcmp(db_str(row, 0, 1), "person");
    err_set(e, ERR_CONFLICT, "the name `%s` is taken by another account; people and service accounts share their names", name);
    snprintf(e->link, sizeof e->link, "/api/v1/%s/%s", person ? "people" : "service-accounts", name);
    return err_type(e, "name-taken");
}

static int find_owner(struct db_conn *c, struct program *p, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int x = db_run(c, Q_ACCOUNT_FIND, &row, e, db_text(p->owner));
    if (x)
        return x;
    if (db_rows(row) == 0 || strcmp(db_str(row, 0, 1), "person") || db_bool(row, 0, 4))
        return err_field(e, "/owner", "there is no person `%.80s` whose account is enabled", p->owner);
    snprintf(p->owner_id, sizeof p->owner_id, "%s", db_str(row, 0, 0));
    return 0;
}

static int give_roles(struct db_conn *c, const struct program *p, const char *id, struct err *e)
{
    size_t i;
    json_t *role;
    json_array_foreach(json_object_get(p->w.r->json, "roles"), i, role) {
        char binding[ID_LEN + 1];
        id_new(binding);
        int x = db_run(c, Q_BINDING_INSERT, NULL, e, db_text(binding), db_text(id), db_text(json_string_value(role)), db_text(p->team));
        if (x)
            return x;
    }
    return 0;
}

static int create_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct program *p = arg;
    struct http_req *r = p->w.r;
    char id[ID_LEN + 1];
    DB_RESULT_AUTO row = NULL;
    id_new(id);
    int x = find_owner(c, p, e);
    if (!x)
        x = db_run(c, Q_SERVICE_ACCOUNT_INSERT, NULL, e, db_text(id), db_text(p->name), db_text(body_text(r, "title")), db_text(p->owner_id), db_text(p->team));
    if (x == ERR_CONFLICT)
        return taken(c, p->name, e);
    if (x == ERR_NOT_FOUND)
        return err_field(e, "/team", "there is no team `%.80s`", p->team);
    if (!x)
        x = give_roles(c, p, id, e);
    if (!x)
        x = db_one(c, Q_ACCOUNT_JSON, &row, e, db_text(p->name), db_text("service_account"));
    if (x)
        return x;
    p->w.answer = p->w.after = row_json(r, row);
    return write_finish(c, &p->w, e);
}

/* Whoever makes one gives it nothing that they do not hold themselves. */
static int check_roles(const struct http_req *r, const char *team, struct err *e)
{
    size_t i;
    json_t *role;
    int x = auth_require(r->who, ROLE_DEVELOPER, team, e);
    json_array_foreach(json_object_get(r->json, "roles"), i, role) {
        const char *name = json_string_value(role);
        unsigned mask = 0;
        if (x)
            return x;
        if (!name || role_parse(name, strlen(name), &mask) || mask & ROLE_ADMIN)
            return err_field(e, "/roles", "a service account gets the roles viewer, developer, approver");
        x = auth_require(r->who, mask & ROLE_APPROVER ? ROLE_APPROVER : mask & ROLE_DEVELOPER ? ROLE_DEVELOPER : ROLE_VIEWER, team, e);
    }
    return x;
}

int service_accounts_create(struct http_req *r, struct err *e)
{
    struct program p = {.w = {.r = r, .action = "service-account.create", .status = 201}, .name = body_text(r, "name"), .team = body_text(r, "team"), .owner = body_text(r, "owner")};
    int x = check_name(p.name, "/name", e);
    if (!x)
        x = check_name(p.team, "/team", e);
    if (!x && !(scopes_of(r->who) & SCOPE_ADMIN))
        x = needs_admin_scope(e);
    if (!x)
        x = check_roles(r, p.team, e);
    if (!x && p.owner && strcmp(p.owner, r->who->person_name))
        x = auth_require(r->who, ROLE_ADMIN, NULL, e);
    if (x)
        return x;
    p.owner = p.owner ? p.owner : r->who->person_name;
    p.w.team = p.team;
    p.w.subject = arena_printf(r->arena, "account:%s", p.name);
    p.w.location = arena_printf(r->arena, "/api/v1/service-accounts/%s", p.name);
    return write_run(&p.w, create_tx, false, e);
}

/* The account, if the caller owns it or is an administrator. */
static int lock_own(struct db_conn *c, struct program *p, char ret_id[ID_LEN + 1], struct err *e)
{
    struct http_req *r = p->w.r;
    DB_RESULT_AUTO row = NULL;
    int x = db_run(c, Q_ACCOUNT_LOCK, &row, e, db_text(p->name), db_text("service_account"));
    if (!x && (db_rows(row) == 0 || !may_see(r->who, row)))
        x = no_such(e, p->name);
    if (!x && !(scopes_of(r->who) & SCOPE_ADMIN))
        x = needs_admin_scope(e);
    if (!x && strcmp(db_str(row, 0, 1), r->who->person))
        x = auth_require(r->who, ROLE_ADMIN, NULL, e);
    if (x)
        return x;
    p->w.before = row_json(r, row);
    p->w.team = arena_strdup(r->arena, db_str(row, 0, 2));
    snprintf(ret_id, ID_LEN + 1, "%s", db_str(row, 0, 3));
    return 0;
}

static int finish(struct db_conn *c, struct program *p, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int x = db_one(c, Q_ACCOUNT_JSON, &row, e, db_text(p->name), db_text("service_account"));
    if (x)
        return x;
    p->w.answer = p->w.after = row_json(p->w.r, row);
    return write_finish(c, &p->w, e);
}

static int disable_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct program *p = arg;
    char id[ID_LEN + 1];
    int x = lock_own(c, p, id, e);
    if (!x)
        x = db_run(c, Q_ACCOUNT_DISABLE, NULL, e, db_text(id));
    if (!x)
        x = db_run(c, Q_TOKENS_REVOKE_ALL, NULL, e, db_text(id));
    return x ? x : finish(c, p, e);
}

static int enable_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct program *p = arg;
    char id[ID_LEN + 1];
    int x = lock_own(c, p, id, e);
    if (!x)
        x = db_run(c, Q_ACCOUNT_ENABLE, NULL, e, db_text(id));
    return x ? x : finish(c, p, e);
}

static struct program program_of(struct http_req *r, const char *action)
{
    const char *name = http_param(r, "name");
    return (struct program){.w = {.r = r, .action = action, .status = 200, .subject = arena_printf(r->arena, "account:%.80s", name)}, .name = name};
}

int service_accounts_disable(struct http_req *r, struct err *e)
{
    struct program p = program_of(r, "service-account.disable");
    return write_run(&p.w, disable_tx, true, e);
}

int service_accounts_enable(struct http_req *r, struct err *e)
{
    struct program p = program_of(r, "service-account.enable");
    return write_run(&p.w, enable_tx, true, e);
}
