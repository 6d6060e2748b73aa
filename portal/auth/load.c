/* Reads a principal from the database. */
#include <string.h>

#include "auth_queries.h"
#include "portal/auth/auth_private.h"

static struct principal *fill(const struct db_result *row, bool session, struct arena *a)
{
    struct principal *p = arena_alloc(a, sizeof *p);
    p->actor = arena_strdup(a, db_str(row, 0, 0));
    p->name = arena_strdup(a, db_str(row, 0, 1));
    p->person = arena_strdup(a, db_str(row, 0, 2));
    p->person_name = arena_strdup(a, db_str(row, 0, 3));
    p->service_account = db_bool(row, 0, 4);
    *(session ? &p->session_id : &p->token_id) = arena_strdup(a, db_str(row, 0, 5));
    p->scopes = arena_strdup(a, db_str_or_null(row, 0, 6));
    principal_set_roles(p, db_str(row, 0, 7), db_str_or_null(row, 0, 8), a);
    return p;
}

static int gone(struct err *e, const char *what)
{
    return err_set(e, ERR_UNAUTHENTICATED, "this %s does not stand: it was never given out, has expired or was ended. Sign in again", what);
}

int load_token(struct db_conn *c, const uint8_t *hash, const char *id, struct arena *a, struct principal **ret, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_run(c, Q_TOKEN_LOAD, &row, e, hash ? db_bytes(hash, CRYPTO_DIGEST) : db_null(), db_text(id));
    if (!r && db_rows(row) == 0)
        r = gone(e, "token");
    if (r)
        return r;
    *ret = fill(row, false, a);
    return db_bool(row, 0, 9) ? db_run(c, Q_TOKEN_TOUCH, NULL, e, db_text((*ret)->token_id)) : 0;
}

int load_session(struct db_conn *c, const uint8_t *hash, const char *id, int idle_minutes, struct arena *a, struct principal **ret, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_run(c, Q_SESSION_LOAD, &row, e, hash ? db_bytes(hash, CRYPTO_DIGEST) : db_null(), db_text(id), db_int(idle_minutes));
    if (!r && db_rows(row) == 0)
        r = gone(e, "session");
    if (r)
        return r;
    *ret = fill(row, true, a);
    /* Looking at a session by its id (a watch) is no use of it. */
    return hash && db_bool(row, 0, 9) ? db_run(c, Q_SESSION_TOUCH, NULL, e, db_text((*ret)->session_id)) : 0;
}
