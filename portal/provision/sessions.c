/* A database that people are connected to cannot be dropped, and the provider does not end their sessions. A golden path that says `spec.destroy.endSessions:
 * postgresql` has this done for it, after the approval and before the engine applies: each database that the approved plan drops is shut, then its sessions are ended.
 *
 * The complication: clients connect again at once, and the owner may open its database again. So the roles that go with it may not sign in any more, which no owner
 * can take back; whoever is still inside is ended until nobody is. Databases and roles are those of the plan and no others: a template cannot name them. */
#include <stdio.h>
#include <string.h>

#include "portal/core/clock.h"
#include "portal/json/json.h"
#include "portal/provision/run_private.h"
#include "provision_queries.h"

#define PATIENCE_MS 10000
#define PAUSE_MS 100

struct shut { struct run_setup *s; struct db_conn *c; const char *database; int64_t ended; const char *left; };

/* The names of what the plan drops, as a JSON list. */
static json_t *dropped(const json_t *plan, const char *type)
{
    json_t *names = json_array();
    size_t i;
    const json_t *resource;
    json_array_foreach(json_object_get(plan, "resource_changes"), i, resource) {
        const char *its = json_string_value(json_object_get(resource, "type"));
        const json_t *change = json_object_get(resource, "change");
        const json_t *actions = json_object_get(change, "actions");
        const char *action = json_string_value(json_array_get(actions, 0));
        const char *name = json_string_value(json_object_get(json_object_get(change, "before"), "name"));
        if (its && name && action && !strcmp(its, type) && json_array_size(actions) == 1 && !strcmp(action, "delete"))
            json_array_append_new(names, json_string(name));
    }
    return names;
}

static const char *credential(const struct run_setup *s, const char *name)
{
    size_t n = strlen(name);
    for (const char **p = s->env.credentials; p && *p; p++)
        if (!strncmp(*p, name, n) && (*p)[n] == '=')
            return *p + n + 1;
    return NULL;
}

/* The environment's setting, else its credential, else the fallback. */
static const char *of_environment(const struct run_setup *s, const char *setting, const char *variable, const char *fallback)
{
    const char *text = setting ? json_string_value(json_object_get(s->env.settings, setting)) : NULL;
    if (!text)
        text = credential(s, variable);
    return text ? text : fallback;
}

static void conninfo_add(struct buf *b, const char *key, const char *value)
{
    if (!value)
        return;
    buf_printf(b, "%s='", key);
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\')
            buf_char(b, '\\');
        buf_char(b, *value);
    }
    buf_str(b, "' ");
}

static int connect_server(const struct run_setup *s, struct db_conn **ret, struct err *e)
{
    BUF_AUTO b = BUF_INIT;
    const char *host = of_environment(s, "postgres_host", "PGHOST", NULL);
    if (!host)
        return err_set(e, ERR_INVALID, "the environment `%s` has no setting postgres_host", s->order->environment);
    bool loopback = !strcmp(host, "127.0.0.1") || !strcmp(host, "::1") || !strcmp(host, "localhost");
    conninfo_add(&b, "host", host);
    conninfo_add(&b, "port", of_environment(s, "postgres_port", "PGPORT", "5432"));
    conninfo_add(&b, "sslmode", of_environment(s, "postgres_sslmode", "PGSSLMODE", loopback ? "disable" : "require"));
    conninfo_add(&b, "user", credential(s, "PGUSER"));
    conninfo_add(&b, "password", credential(s, "PGPASSWORD"));
    conninfo_add(&b, "dbname", of_environment(s, NULL, "PGDATABASE", "postgres"));
    conninfo_add(&b, "options", "-c statement_timeout=15s -c lock_timeout=1s");
    int r = db_connect(b.data, "soma: destroy", ret, e);
    buf_wipe(&b);
    return r;
}

/* Runs the statements that a query makes: the server itself quotes the names in them. The first error counts, the others are tried all the same. */
static int run_made(struct db_conn *c, const struct db_result *rows, struct err *e)
{
    int first = 0;
    for (int i = 0; i < db_rows(rows); i++) {
        int r = db_script(c, db_str(rows, i, 0), first ? NULL : e);
        first = first ? first : r;
    }
    return first;
}

/* One pass. ERR_TIMEOUT: a session that is about to end holds the database's row; the next pass gets it. */
static int shut_and_end(struct shut *h, const char *roles, int64_t *ret_ended, struct err *e)
{
    DB_RESULT_AUTO statements = NULL;
    DB_RESULT_AUTO row = NULL;
    int shut = db_run(h->c, Q_SESSIONS_SHUT, &statements, e, db_text(h->database), db_text(roles));
    if (!shut)
        shut = run_made(h->c, statements, e);
    if (shut && !strcmp(db_sqlstate(h->c), "55P03"))
        shut = ERR_TIMEOUT;
    int r = db_one(h->c, Q_SESSIONS_END, &row, shut ? NULL : e, db_text(h->database));
    if (r)
        return shut ? shut : r;
    *ret_ended = db_i64(row, 0, 0);
    h->left = *db_str(row, 0, 1) ? arena_strdup(h->s->arena, db_str(row, 0, 1)) : NULL;
    return shut;
}

/* Until the database was shut and nobody was there for two looks in a row. */
static int end_all(struct shut *h, const char *roles, struct err *e)
{
    int64_t until = clock_boot_ms() + PATIENCE_MS, ended = 0;
    int r = 0;
    for (int pass = 0, empty = 0; empty < 2 && clock_boot_ms() < until; pass++) {
        if (pass)
            clock_sleep_ms(PAUSE_MS);
        *e = (struct err)ERR_INIT;
        r = shut_and_end(h, roles, &ended, e);
        if (r && r != ERR_TIMEOUT)
            return r;
        h->ended += pass ? 0 : ended;
        empty = r || ended ? 0 : empty + 1;
    }
    if (h->left)
        return err_set(e, ERR_CONFLICT, "%s is a superuser and has a session open, which no one else may end", h->left);
    return r || !ended ? r : err_set(e, ERR_TIMEOUT, "sessions did not end within %d s", PATIENCE_MS / 1000);
}

/* As a member of the owner's role one may alter its database and end its sessions; the membership is given back. */
static int shut_database(struct shut *h, const char *roles, struct err *e)
{
    DB_RESULT_AUTO owner = NULL;
    int r = db_run(h->c, Q_SESSIONS_OWNER, &owner, e, db_text(h->database));
    if (r || db_rows(owner) == 0) /* gone already: a destroy that goes on after it was cut off */
        return r;
    if (!db_bool(owner, 0, 2))
        r = db_script(h->c, db_str(owner, 0, 0), e);
    if (!r)
        r = end_all(h, roles, e);
    if (!db_bool(owner, 0, 2))
        db_script(h->c, db_str(owner, 0, 1), NULL);
    return r;
}

struct told { struct order *o; const char *type, *data; };

static int tell_body(struct db_conn *c, void *arg, struct err *e)
{
    struct told *t = arg;
    return t->data ? order_event(c, t->o->id, t->o->team, t->type, t->data, e) : 0;
}

/* Sessions that stay are no reason to stop: the engine has the last word, and hears why in the hint. */
static int tell(struct run_setup *s, const struct shut *h, int code, const struct err *why, struct err *e)
{
    BUF_AUTO data = BUF_INIT;
    struct told t = {s->order, code ? "order.warning" : "order.sessions_ended", NULL};
    buf_char(&data, '{');
    if (code) {
        s->hint = arena_printf(s->arena, "the sessions of database %s could not all be ended: %s", h->database, why->msg);
        buf_json_kv(&data, "step", "applying");
        buf_json_kv(&data, "message", s->hint);
    } else {
        buf_json_kv(&data, "database", h->database);
        buf_json_kint(&data, "sessions", h->ended);
    }
    buf_char(&data, '}');
    t.data = data.data;
    return road_tx(s->order, tell_body, &t, e);
}

static int end_of_each(struct run_setup *s, const json_t *databases, const char *roles, struct err *e)
{
    size_t i;
    const json_t *name;
    DB_CONN_AUTO c = NULL;
    int r = 0;
    json_array_foreach(databases, i, name) {
        struct err why = ERR_INIT;
        struct shut h = {.s = s, .database = json_string_value(name)};
        int code = c ? 0 : connect_server(s, &c, &why);
        h.c = c;
        if (!code)
            code = shut_database(&h, roles, &why);
        if (!r && (code || h.ended))
            r = tell(s, &h, code, &why, e);
    }
    return r;
}

int run_end_sessions(struct run_setup *s, const void *plan_json, size_t len, struct err *e)
{
    const char *kind = json_string_value(json_object_get(templates_destroy(&s->order->version), "endSessions"));
    json_t *plan = NULL;
    int r = kind ? json_read(plan_json, len, 200, &plan, e) : 0;
    if (r || !kind)
        return r;
    json_t *databases = dropped(plan, "postgresql_database"), *roles = dropped(plan, "postgresql_role");
    json_decref(plan);
    BUF_AUTO list = BUF_INIT;
    json_write(roles, &list);
    /* Whoever lost the order meanwhile shuts nobody out. */
    r = road_tx(s->order, tell_body, &(struct told){s->order, NULL, NULL}, e);
    if (!r)
        r = end_of_each(s, databases, list.data, e);
    json_decref(databases);
    json_decref(roles);
    return r;
}
