/* What happens outside any request: the first administrator, tokens for the machine's owner, identities proven elsewhere, and throwing away what has ended. */
#include <stdio.h>
#include <string.h>

#include "auth_queries.h"
#include "portal/auth/auth_private.h"
#include "portal/core/id.h"
#include "portal/crypto/password.h"

static int audit_system(struct db_conn *c, const char *action, const char *subject, const char *address, struct err *e)
{
    return db_run(c, Q_AUDIT_APPEND, NULL, e, db_text("system"), db_text("system"), db_null(), db_text(address), db_text(action), db_text(subject), db_null(), db_null(),
                  db_null(), db_null(), db_null());
}

/* A token without scopes for 366 days; its secret in ret. */
static int insert_token(struct db_conn *c, const char *account, const char *name, char ret[CRYPTO_TOKEN_MAX], struct err *e)
{
    char id[ID_LEN + 1], subject[ID_LEN + 16];
    uint8_t hash[CRYPTO_DIGEST];
    id_new(id);
    crypto_token_new(TOKEN_PREFIX, ret);
    crypto_sha256(ret, strlen(ret), hash);
    snprintf(subject, sizeof subject, "token:%s", id);
    int x = db_run(c, Q_TOKEN_INSERT, NULL, e, db_text(id), db_bytes(hash, sizeof hash), db_text(account), db_text(name), db_null(), db_null(), db_int(366 * 86400), db_null());
    return x ? x : audit_system(c, "token.create", subject, NULL, e);
}

struct first {
    const char *name, *phc, *token_name;
    bool created;
    char token[CRYPTO_TOKEN_MAX];
};

static int first_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct first *f = arg;
    char id[ID_LEN + 1], binding[ID_LEN + 1], subject[64];
    DB_RESULT_AUTO any = NULL;
    f->created = false;
    int x = db_run(c, Q_LOCK_ADMINS, NULL, e);
    if (!x)
        x = db_one(c, Q_ANY_PERSON, &any, e);
    if (x || db_bool(any, 0, 0))
        return x;
    id_new(id);
    id_new(binding);
    snprintf(subject, sizeof subject, "account:%s", f->name);
    x = db_run(c, Q_PERSON_INSERT, NULL, e, db_text(id), db_text(f->name), db_null(), db_null(), db_text(f->phc));
    if (!x)
        x = db_run(c, Q_BINDING_INSERT, NULL, e, db_text(binding), db_text(id), db_text("platform-admin"), db_null());
    if (!x)
        x = audit_system(c, "person.create", subject, NULL, e);
    if (!x)
        x = audit_system(c, "role.bind", subject, NULL, e);
    if (!x)
        x = insert_token(c, id, f->token_name, f->token, e);
    f->created = x == 0;
    return x;
}

int auth_bootstrap(struct db *db, const char *name, const char *password, bool *ret_created, char *ret_token, struct err *e)
{
    char phc[PASSWORD_PHC_MAX];
    struct first f = {.name = name, .phc = password ? phc : NULL, .token_name = "first-administrator"};
    int x = check_name(name, "/name", e);
    if (!x && password)
        x = password_check(password, "/password", e);
    if (!x && password)
        x = password_hash(password, phc, e);
    if (!x)
        x = db_tx(db, first_tx, &f, e);
    if (x)
        return x;
    *ret_created = f.created;
    snprintf(ret_token, CRYPTO_TOKEN_MAX, "%s", f.created ? f.token : "");
    crypto_wipe(f.token, sizeof f.token);
    return 0;
}

static int issue_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct first *f = arg;
    DB_RESULT_AUTO row = NULL;
    int x = db_run(c, Q_PASSWORD_GET, &row, e, db_text(f->name));
    if (!x && db_rows(row) == 0)
        x = err_set(e, ERR_NOT_FOUND, "there is no person `%.80s` whose account is enabled", f->name);
    return x ? x : insert_token(c, db_str(row, 0, 0), f->token_name, f->token, e);
}

int auth_issue_token(struct db *db, const char *person, const char *token_name, char *ret_token, struct err *e)
{
    struct first f = {.name = person, .token_name = token_name};
    int x = check_name(token_name, "/name", e);
    if (!x)
        x = db_tx(db, issue_tx, &f, e);
    if (!x)
        snprintf(ret_token, CRYPTO_TOKEN_MAX, "%s", f.token);
    crypto_wipe(f.token, sizeof f.token);
    return x;
}

struct identity {
    const struct auth_identity *who;
    const char *address;
    int hours;
    char cookie[CRYPTO_TOKEN_MAX];
};

/* An account of the identity's own. One that is there already is never taken over by its name. */
static int first_sight(struct db_conn *c, const struct auth_identity *who, char ret_id[ID_LEN + 1], struct err *e)
{
    char subject[64];
    id_new(ret_id);
    int x = check_name(who->name, "/name", e);
    if (!x)
        x = db_run(c, Q_PERSON_INSERT, NULL, e, db_text(ret_id), db_text(who->name), db_null(), db_text(who->email), db_null());
    if (x == ERR_CONFLICT) {
        err_set(e, x, "there is an account `%s` already that does not belong to this identity; an administrator must settle it", who->name);
        return err_type(e, "name-taken");
    }
    snprintf(subject, sizeof subject, "account:%.40s", who->name);
    if (!x)
        x = db_run(c, Q_IDENTITY_INSERT, NULL, e, db_text(who->issuer), db_text(who->subject), db_text(ret_id));
    return x ? x : audit_system(c, "person.create", subject, NULL, e);
}

static int identity_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct identity *i = arg;
    char id[ID_LEN + 1], session[ID_LEN + 1], subject[64];
    uint8_t hash[CRYPTO_DIGEST];
    DB_RESULT_AUTO row = NULL;
    int x = db_run(c, Q_IDENTITY_FIND, &row, e, db_text(i->who->issuer), db_text(i->who->subject));
    if (x)
        return x;
    if (db_rows(row) && db_bool(row, 0, 2))
        return err_set(e, ERR_DENIED, "the account `%s` is disabled", db_str(row, 0, 1));
    snprintf(subject, sizeof subject, "account:%.40s", db_rows(row) ? db_str(row, 0, 1) : i->who->name);
    if (db_rows(row))
        snprintf(id, sizeof id, "%s", db_str(row, 0, 0));
    else
        x = first_sight(c, i->who, id, e);
    id_new(session);
    crypto_sha256(i->cookie, strlen(i->cookie), hash);
    if (!x)
        x = db_run(c, Q_SESSION_INSERT, NULL, e, db_text(session), db_bytes(hash, sizeof hash), db_text(id), db_int(i->hours), db_text(i->address));
    return x ? x : audit_system(c, "session.create", subject, i->address, e);
}

int auth_session_from_identity(struct auth *a, const struct auth_identity *who, const char *address, char *ret_cookie, struct err *e)
{
    struct identity i = {.who = who, .address = address, .hours = a->o.session_hours};
    crypto_token_new(SESSION_PREFIX, i.cookie);
    int x = db_tx(a->o.db, identity_tx, &i, e);
    if (!x)
        snprintf(ret_cookie, CRYPTO_TOKEN_MAX, "%s", i.cookie);
    return x;
}

int auth_collect(struct db_conn *c, struct err *e)
{
    int deleted;
    int x = db_run(c, Q_COLLECT_SESSIONS, NULL, e);
    if (!x)
        x = db_run(c, Q_COLLECT_TOKENS, NULL, e);
    if (!x)
        x = db_run(c, Q_COLLECT_BUCKETS, NULL, e);
    return x ? x : idempotency_collect(c, &deleted, e);
}
