/* Who holds which role where. */
#include <stdio.h>
#include <string.h>

#include "auth_queries.h"
#include "portal/auth/auth_private.h"
#include "portal/core/id.h"

int bindings_list(struct http_req *r, struct err *e)
{
    int64_t limit;
    const char *after;
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int x = limit_and_cursor(r, &limit, &after, e);
    if (!x)
        x = db_take(auth_db(), &c, e);
    if (!x)
        x = db_run(c, Q_BINDINGS_PAGE, &rows, e, db_text(after), db_int(limit + 1), db_text(http_query(r, "account")), db_text(http_query(r, "team")),
                   db_flag(auth_has(r->who, ROLE_ADMIN, NULL)), db_text(r->who->actor), db_text(auth_teams_json(r->who, r->arena)));
    return x ? x : auth_reply_page(r, rows, limit, e);
}

static int no_such(struct err *e, const char *id)
{
    return err_set(e, ERR_NOT_FOUND, "there is no role binding `%.80s` that you may see", id);
}

int bindings_show(struct http_req *r, struct err *e)
{
    const char *id = http_param(r, "id");
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    if (!id_valid(id))
        return no_such(e, id);
    int x = db_take(auth_db(), &c, e);
    if (!x)
        x = db_run(c, Q_BINDING_JSON, &row, e, db_text(id));
    if (x)
        return x;
    if (db_rows(row) == 0 || (strcmp(db_str(row, 0, 1), r->who->actor) && !auth_has(r->who, ROLE_VIEWER, db_str_or_null(row, 0, 2))))
        return no_such(e, id);
    return reply_row(r, row, "role binding", id, e);
}

struct binding {
    struct write w;
    const char *account, *role, *team, *id;
    char account_id[ID_LEN + 1];
};

static int find_account(struct db_conn *c, struct binding *b, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int x = db_run(c, Q_ACCOUNT_FIND, &row, e, db_text(b->account));
    if (x)
        return x;
    if (db_rows(row) == 0)
        return err_field(e, "/account", "there is no account `%.80s`", b->account);
    if (!strcmp(b->role, "platform-admin") && strcmp(db_str(row, 0, 1), "person"))
        return err_field(e, "/role", "platform-admin is a role for people; a service account gets viewer, developer or approver");
    snprintf(b->account_id, sizeof b->account_id, "%s", db_str(row, 0, 0));
    return 0;
}

static int held_already(struct db_conn *c, const struct binding *b, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    db_rollback(c);
    err_set(e, ERR_CONFLICT, "`%s` holds the role %s %s%s already", b->account, b->role, b->team ? "in team " : "everywhere", b->team ? b->team : "");
    if (db_run(c, Q_BINDING_FIND, &row, NULL, db_text(b->account_id), db_text(b->role), db_text(b->team)) == 0 && db_rows(row))
        snprintf(e->link, sizeof e->link, "/api/v1/roles/bindings/%s", db_str(row, 0, 0));
    return err_type(e, "role-held");
}

static int create_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct binding *b = arg;
    char id[ID_LEN + 1];
    DB_RESULT_AUTO row = NULL;
    id_new(id);
    int x = find_account(c, b, e);
    if (!x)
        x = db_run(c, Q_BINDING_INSERT, NULL, e, db_text(id), db_text(b->account_id), db_text(b->role), db_text(b->team));
    if (x == ERR_CONFLICT)
        return held_already(c, b, e);
    if (x == ERR_NOT_FOUND)
        return err_field(e, "/team", "there is no team `%.80s`", b->team);
    if (!x)
        x = db_one(c, Q_BINDING_JSON, &row, e, db_text(id));
    if (x)
        return x;
    b->w.answer = b->w.after = b->w.detail = row_json(b->w.r, row);
    b->w.location = arena_printf(b->w.r->arena, "/api/v1/roles/bindings/%s", id);
    return write_finish(c, &b->w, e);
}

int bindings_create(struct http_req *r, struct err *e)
{
    struct binding b = {.w = {.r = r, .action = "role.bind", .status = 201}, .account = body_text(r, "account"), .role = body_text(r, "role"), .team = body_text(r, "team")};
    unsigned mask;
    int x = check_name(b.account, "/account", e);
    if (!x && b.team)
        x = check_name(b.team, "/team", e);
    if (!x && (!b.role || role_parse(b.role, strlen(b.role), &mask)))
        x = err_field(e, "/role", "the roles are viewer, developer, approver, platform-admin");
    if (!x && b.team && mask & ROLE_ADMIN)
        x = err_field(e, "/team", "platform-admin is given everywhere, not in one team");
    if (x)
        return x;
    b.w.team = b.team;
    b.w.subject = arena_printf(r->arena, "account:%s", b.account);
    return write_run(&b.w, create_tx, true, e);
}

static int delete_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct binding *b = arg;
    DB_RESULT_AUTO row = NULL;
    int x = db_run(c, Q_LOCK_ADMINS, NULL, e);
    if (!x)
        x = db_run(c, Q_BINDING_JSON, &row, e, db_text(b->id));
    if (x)
        return x;
    if (db_rows(row) == 0)
        return no_such(e, b->id);
    b->w.before = b->w.detail = row_json(b->w.r, row);
    b->w.team = arena_strdup(b->w.r->arena, db_str_or_null(row, 0, 2));
    b->w.subject = arena_printf(b->w.r->arena, "binding:%s", b->id);
    x = db_run(c, Q_BINDING_DELETE, NULL, e, db_text(b->id));
    if (!x && !strcmp(db_str(row, 0, 3), "platform-admin"))
        x = db_run(c, Q_KEEP_ADMIN, NULL, e);
    return x ? x : write_finish(c, &b->w, e);
}

int bindings_delete(struct http_req *r, struct err *e)
{
    struct binding b = {.w = {.r = r, .action = "role.unbind", .status = 204}, .id = http_param(r, "id")};
    if (!id_valid(b.id))
        return no_such(e, b.id);
    return write_run(&b.w, delete_tx, true, e);
}
