/* A round of approval as people are told of it: in a mail, in Slack, on the page of a link. */
#include <string.h>

#include "portal/json/json.h"
#include "portal/provision/approval_private.h"
#include "provision_queries.h"

int approval_view_load(struct db_conn *c, const char *round, struct arena *a, struct approval_view *ret, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    struct approval_view v = {0};
    int r = db_one(c, Q_APPROVAL_VIEW, &row, e, db_text(round));
    if (r)
        return r;
    const char **texts[] = {&v.round, &v.state, &v.reason, &v.expires_at, &v.order, &v.kind, &v.name, &v.template, &v.environment, &v.team, &v.orderer, &v.actor, &v.orderer_id,
                            &v.price, &v.ended};
    int n = sizeof texts / sizeof *texts;
    for (int i = 0; i < n; i++)
        *texts[i] = arena_strdup(a, db_str(row, 0, i));
    v.over = db_bool(row, 0, n);
    json_t **documents[] = {&v.plan, &v.demands, &v.decisions};
    for (int i = 0; !r && i < 3; i++)
        if (!db_is_null(row, 0, n + 1 + i))
            r = json_read(db_str(row, 0, n + 1 + i), strlen(db_str(row, 0, n + 1 + i)), 200, documents[i], e);
    if (r)
        approval_view_done(&v);
    else
        *ret = v;
    return r;
}

void approval_view_done(struct approval_view *v)
{
    json_decref(v->plan);
    json_decref(v->demands);
    json_decref(v->decisions);
    v->plan = v->demands = v->decisions = NULL;
}

const char *approval_view_title(const struct approval_view *v, struct arena *a)
{
    return arena_printf(a, "%s the service %s (%s) in %s for team %s", v->kind, v->name, v->template, v->environment, v->team);
}

static const char *sign_of(const char *action)
{
    return !strcmp(action, "create") ? "+" : !strcmp(action, "delete") ? "-" : !strcmp(action, "update") ? "~" : !strcmp(action, "replace") ? "-/+" : action;
}

void approval_view_changes(const struct approval_view *v, size_t max, void (*line)(const char *sign, const char *address, void *arg), void *arg)
{
    const json_t *changes = json_object_get(v->plan, "changes");
    size_t n = json_array_size(changes);
    for (size_t i = 0; i < n && i < max; i++) {
        const json_t *change = json_array_get(changes, i);
        const char *action = json_string_value(json_object_get(change, "action")), *address = json_string_value(json_object_get(change, "address"));
        line(sign_of(action ? action : "?"), address ? address : "?", arg);
    }
    if (n > max)
        line("...", "and more", arg);
}
