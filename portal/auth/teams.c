/* Teams. Members are the accounts that hold a role in one. */
#include <stdio.h>
#include <string.h>

#include "auth_queries.h"
#include "portal/auth/auth_private.h"

int teams_list(struct http_req *r, struct err *e)
{
    int64_t limit;
    const char *after;
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int x = limit_and_cursor(r, &limit, &after, e);
    if (!x)
        x = db_take(auth_db(), &c, e);
    if (!x)
        x = db_run(c, Q_TEAMS_PAGE, &rows, e, db_text(after), db_int(limit + 1), db_text(auth_teams_json(r->who, r->arena)));
    return x ? x : auth_reply_page(r, rows, limit, e);
}

int teams_show(struct http_req *r, struct err *e)
{
    const char *name = http_param(r, "name");
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    /* Rights first: whether a team is there is not for everybody to find out. */
    int x = auth_require(r->who, ROLE_VIEWER, name, e);
    if (!x)
        x = db_take(auth_db(), &c, e);
    if (!x)
        x = db_run(c, Q_TEAM_JSON, &row, e, db_text(name));
    return x ? x : reply_row(r, row, "team", name, e);
}

struct team {
    struct write w;
    const char *name;
};

static int create_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct team *t = arg;
    struct http_req *r = t->w.r;
    DB_RESULT_AUTO row = NULL;
    int x = db_run(c, Q_TEAM_INSERT, NULL, e, db_text(t->name), db_text(body_text(r, "title")), db_text(body_text(r, "cost_centre")));
    if (x == ERR_CONFLICT) {
        err_set(e, x, "there is a team `%s` already", t->name);
        snprintf(e->link, sizeof e->link, "/api/v1/teams/%s", t->name);
        return err_type(e, "name-taken");
    }
    if (!x)
        x = db_one(c, Q_TEAM_JSON, &row, e, db_text(t->name));
    if (x)
        return x;
    t->w.answer = t->w.after = row_json(r, row);
    return write_finish(c, &t->w, e);
}

int teams_create(struct http_req *r, struct err *e)
{
    struct team t = {.w = {.r = r, .action = "team.create", .status = 201}, .name = body_text(r, "name")};
    int x = check_name(t.name, "/name", e);
    if (x)
        return x;
    t.w.team = t.name;
    t.w.subject = arena_printf(r->arena, "team:%s", t.name);
    t.w.location = arena_printf(r->arena, "/api/v1/teams/%s", t.name);
    return write_run(&t.w, create_tx, false, e);
}
