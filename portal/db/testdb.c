#include "portal/db/testdb.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "portal/core/buf.h"
#include "portal/core/id.h"

static void must(int r, const struct err *e, const char *what)
{
    if (r) {
        fprintf(stderr, "testdb: %s: %s\n", what, e->msg);
        exit(99);
    }
}

static struct db_conn *connect_to(const char *conninfo)
{
    struct err e = ERR_INIT;
    struct db_conn *c = NULL;
    must(db_connect(conninfo, "testdb", &c, &e), &e, "connect");
    return c;
}

/* The same server, another database and optionally another role. */
static char *derive(const char *conninfo, const char *name, const char *user, const char *password)
{
    char *out = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    struct buf b = BUF_INIT;
    for (PQconninfoOption *o = options; o && o->keyword; o++) {
        const char *value = !strcmp(o->keyword, "dbname") ? name : user && !strcmp(o->keyword, "user") ? user
                          : user && !strcmp(o->keyword, "password") ? password : o->val;
        if (value)
            buf_printf(&b, "%s='%s' ", o->keyword, value);
    }
    PQconninfoFree(options);
    out = buf_take(&b, NULL);
    return out;
}

struct testdb *testdb_new(void)
{
    const char *server = getenv("SOMA_TEST_DATABASE");
    if (!server || !*server)
        return NULL;
    struct err e = ERR_INIT;
    struct testdb *t = calloc(1, sizeof *t);
    char id[ID_LEN + 1], sql[256];
    id_new(id);
    snprintf(t->name, sizeof t->name, "soma_test_%d_%.8s", getpid(), id + 28);
    struct db_conn *c = connect_to(server);
    snprintf(sql, sizeof sql, "create database %s", t->name);
    must(db_script(c, sql, &e), &e, "create database");
    /* Several tests may start at once: the second `create role` finds it there. */
    if (db_script(c, "create role soma_app login password 'app'", &e) && strcmp(db_sqlstate(c), "42710") && strcmp(db_sqlstate(c), "23505"))
        must(-1, &e, "create role");
    int r = 0;
    for (int i = 0; i < 20 && (r = db_script(c, "alter role soma_app login password 'app'", &e)); i++)
        usleep(20000); /* "tuple concurrently updated" by another test */
    must(r, &e, "alter role");
    db_give(c);
    t->admin = derive(server, t->name, NULL, NULL);
    t->app = derive(server, t->name, "soma_app", "app");
    int applied;
    c = connect_to(t->admin);
    must(db_migrate(c, &applied, &e), &e, "migrate");
    db_give(c);
    return t;
}

void testdb_free(struct testdb *t)
{
    if (!t)
        return;
    struct err e = ERR_INIT;
    char sql[256];
    struct db_conn *c = connect_to(getenv("SOMA_TEST_DATABASE"));
    snprintf(sql, sizeof sql, "drop database %s with (force)", t->name);
    must(db_script(c, sql, &e), &e, "drop database");
    db_give(c);
    free(t->admin);
    free(t->app);
    free(t);
}

struct db *testdb_pool(const struct testdb *t, int size)
{
    struct err e = ERR_INIT;
    struct db *d = NULL;
    must(db_open(&(struct db_options){.conninfo = t->app, .application = "test", .size = size, .wait_ms = 5000}, &d, &e), &e, "open");
    return d;
}
