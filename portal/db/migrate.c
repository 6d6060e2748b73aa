#include "portal/db/db.h"

#include <stdio.h>
#include <string.h>

#include "migrations_embedded.h"
#include "portal/core/log.h"
#include "portal/db/db_private.h"

static const struct db_query q_ledger_get = {"ledger_get", "select digest from soma.migration where name = $1"};
static const struct db_query q_ledger_set = {"ledger_set",
    "insert into soma.migration (name, digest) values ($1, $2) on conflict (name) do update set digest = excluded.digest, applied_at = now()"};
static const struct db_query q_ledger_once = {"ledger_once", "select count(*) from soma.migration where name ~ '^[0-9]{4}_'"};
static const struct db_query q_owner = {"schema_owner",
    "select pg_get_userbyid(nspowner) = current_user or (select rolsuper from pg_roles where rolname = current_user) from pg_namespace where nspname = 'soma'"};

/* "soma" the schema, the node's role, and the ledger of what ran. */
static const char bootstrap_sql[] =
    "create schema if not exists soma;"
    "do $$ begin if not exists (select from pg_roles where rolname = 'soma_app') then create role soma_app login; end if; end $$;"
    "grant usage on schema soma to soma_app;"
    "create table if not exists soma.migration (name text primary key, digest text not null, applied_at timestamptz not null default now());"
    "grant select on soma.migration to soma_app;";

static int apply(struct db_conn *c, const struct migration *m, struct err *e)
{
    int r = db_begin(c, e);
    if (!r)
        r = db_script(c, m->sql, e);
    if (!r)
        r = db_run(c, q_ledger_set, NULL, e, db_text(m->name), db_text(m->digest));
    if (!r)
        r = db_commit(c, e);
    if (r) {
        db_rollback(c);
        return err_prefix(e, "migration %s", m->name);
    }
    return 1;
}

static int apply_if_needed(struct db_conn *c, const struct migration *m, bool once, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_run(c, q_ledger_get, &row, e, db_text(m->name));
    if (r)
        return r;
    if (db_rows(row) == 0)
        return apply(c, m, e);
    if (!strcmp(db_str(row, 0, 0), m->digest))
        return 0;
    if (once)
        return err_set(e, ERR_CONFLICT, "migration %s ran with another text than this binary carries; a migration never changes once it landed: restore its file or use the binary that fits", m->name);
    return apply(c, m, e);
}

int db_migrate(struct db_conn *c, int *ret_applied, struct err *e)
{
    int applied = 0;
    /* The lock keeps two `somad migrate` apart; it ends with the connection. */
    int r = db_script(c, "select pg_advisory_lock(20261121)", e);
    if (!r)
        r = db_script(c, bootstrap_sql, e);
    /* PostgreSQL remembers a function's plan by the search path of its creation; all of ours live in soma. */
    if (!r)
        r = db_script(c, "set search_path = soma", e);
    for (int once = 1; once >= 0 && r >= 0; once--)
        for (const struct migration *m = once ? migrations_once : migrations_repeat; m->name; m++) {
            r = apply_if_needed(c, m, once, e);
            if (r < 0)
                break;
            applied += r;
        }
    if (PQstatus(c->pg) == CONNECTION_OK)
        db_script(c, "select pg_advisory_unlock(20261121)", NULL);
    if (r < 0)
        return r;
    *ret_applied = applied;
    return 0;
}

int db_check_schema(struct db_conn *c, struct err *e)
{
    DB_RESULT_AUTO owner = NULL;
    int r = db_one(c, q_owner, &owner, e);
    if (r == ERR_NOT_FOUND)
        return err_set(e, ERR_INVALID, "the database has no schema `soma`: run `somad migrate` first");
    if (r)
        return r;
    if (db_bool(owner, 0, 0))
        return err_set(e, ERR_INVALID, "the node's database role owns the schema or is a superuser: a node must sign in as soma_app, so that it cannot alter its own audit log; only `somad migrate` uses the owner");
    int64_t known = 0;
    for (const struct migration *m = migrations_once; m->name; m++)
        known++;
    DB_RESULT_AUTO count = NULL;
    if ((r = db_one(c, q_ledger_once, &count, e)))
        return r;
    if (db_i64(count, 0, 0) < known)
        return err_set(e, ERR_INVALID, "the database is older than this binary (%lld of %lld migrations ran): run `somad migrate`", (long long)db_i64(count, 0, 0), (long long)known);
    if (db_i64(count, 0, 0) > known)
        return err_set(e, ERR_INVALID, "the database is newer than this binary: start the somad that migrated it");
    return 0;
}
