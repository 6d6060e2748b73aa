/* Which Slack user is which person: said by a platform-admin, or by the person with a code that was shown to the Slack user alone. */
#include <stdio.h>
#include <string.h>

#include "notify_queries.h"
#include "portal/audit/audit.h"
#include "portal/auth/auth.h"
#include "portal/auth/idempotency.h"
#include "portal/crypto/crypto.h"
#include "portal/crypto/password.h"
#include "portal/notify/notify_private.h"

static void code_hash(const char *code, uint8_t out[CRYPTO_DIGEST])
{
    crypto_sha256(code, strlen(code), out);
}

int slack_code_new(struct db_conn *c, const char *team, const char *user, char out[16], struct err *e)
{
    uint8_t hash[CRYPTO_DIGEST];
    crypto_password_new("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", 12, out);
    code_hash(out, hash);
    return db_run(c, Q_SLACK_CODE_INSERT, NULL, e, db_bytes(hash, sizeof hash), db_text(team), db_text(user));
}

struct linking { struct http_req *r; const char *name, *id, *user, *team, *answer, *before; bool by_code; };

static int find(struct db_conn *c, struct linking *k, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    DB_RESULT_AUTO before = NULL;
    int r = db_run(c, Q_NOTIFY_PERSON, &row, e, db_text(k->name));
    if (!r && (db_rows(row) == 0 || strcmp(db_str(row, 0, 2), "person")))
        return err_set(e, ERR_NOT_FOUND, "there is no person `%.80s`", k->name);
    if (r)
        return r;
    k->id = arena_strdup(k->r->arena, db_str(row, 0, 0));
    r = db_run(c, Q_SLACK_LINK_JSON, &before, e, db_text(k->id));
    k->before = !r && db_rows(before) ? arena_strdup(k->r->arena, db_str(before, 0, 0)) : NULL;
    return r;
}

static int audit(struct db_conn *c, const struct linking *k, const char *action, int status, struct err *e)
{
    char subject[96];
    snprintf(subject, sizeof subject, "account:%.80s", k->name);
    struct audit_entry a = {.action = action, .subject = subject, .before = k->before, .after = k->answer, .detail = k->answer ? k->answer : k->before};
    audit_from_request(&a, k->r);
    int r = idempotency_record(c, k->r, status, NULL, k->answer ? k->answer : "", k->answer ? strlen(k->answer) : 0, e);
    return r ? r : audit_append(c, &a, e);
}

static int link_it(struct db_conn *c, struct linking *k, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = find(c, k, e);
    if (!r)
        r = db_run(c, Q_SLACK_LINK, NULL, e, db_text(k->id), db_text(k->user), db_text(k->team), db_text(k->r->who->name));
    if (r == ERR_CONFLICT)
        return err_set(e, r, "the Slack user %s is linked to another person; a platform-admin can take that back: soma people unlink-slack NAME", k->user);
    if (!r)
        r = db_one(c, Q_SLACK_LINK_JSON, &row, e, db_text(k->id));
    if (r)
        return r;
    k->answer = arena_strdup(k->r->arena, db_str(row, 0, 0));
    return audit(c, k, "person.slack.link", 200, e);
}

static int put_tx(struct db_conn *c, void *arg, struct err *e)
{
    return link_it(c, arg, e);
}

static const char *body_text(const struct http_req *r, const char *member)
{
    const char *s = json_string_value(json_object_get(r->json, member));
    return s ? s : "";
}

int slack_link_put(struct http_req *r, struct err *e)
{
    struct linking k = {.r = r, .name = http_param(r, "name"), .user = body_text(r, "user"), .team = body_text(r, "team")};
    int x = db_tx(notify_get()->db, put_tx, &k, e);
    return x ? x : http_reply(r, 200, "application/json", k.answer, strlen(k.answer));
}

static int redeem_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct linking *k = arg;
    uint8_t hash[CRYPTO_DIGEST];
    DB_RESULT_AUTO row = NULL;
    code_hash(body_text(k->r, "code"), hash);
    int r = db_run(c, Q_SLACK_CODE_TAKE, &row, e, db_bytes(hash, sizeof hash));
    if (!r && db_rows(row) == 0)
        return err_field(e, "/code", "does not stand: it was used, is older than 10 minutes, or was never given out. Press the button in Slack again for a new one");
    if (r)
        return r;
    k->team = arena_strdup(k->r->arena, db_str(row, 0, 0));
    k->user = arena_strdup(k->r->arena, db_str(row, 0, 1));
    return link_it(c, k, e);
}

int slack_link_redeem(struct http_req *r, struct err *e)
{
    struct linking k = {.r = r, .name = r->who->person_name};
    if (r->who->service_account)
        return err_set(e, ERR_DENIED, "a Slack user is linked to a person; sign in as that person");
    int x = db_tx(notify_get()->db, redeem_tx, &k, e);
    return x ? x : http_reply(r, 200, "application/json", k.answer, strlen(k.answer));
}

static int is_theirs(const struct http_req *r, const char *name, struct err *e)
{
    return !r->who->service_account && !strcmp(name, r->who->name) ? 0 : auth_require(r->who, ROLE_ADMIN, NULL, e);
}

static int not_linked(struct err *e, const char *name)
{
    return err_set(e, ERR_NOT_FOUND, "%.80s is not linked to a Slack user", name);
}

int slack_link_show(struct http_req *r, struct err *e)
{
    struct linking k = {.r = r, .name = http_param(r, "name")};
    DB_CONN_AUTO c = NULL;
    int x = is_theirs(r, k.name, e);
    if (!x)
        x = db_take(notify_get()->db, &c, e);
    if (!x)
        x = find(c, &k, e);
    if (!x && !k.before)
        x = not_linked(e, k.name);
    return x ? x : http_reply(r, 200, "application/json", k.before, strlen(k.before));
}

static int delete_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct linking *k = arg;
    int r = find(c, k, e);
    if (!r && !k->before)
        r = not_linked(e, k->name);
    if (!r)
        r = db_run(c, Q_SLACK_UNLINK, NULL, e, db_text(k->id));
    return r ? r : audit(c, k, "person.slack.unlink", 204, e);
}

int slack_link_delete(struct http_req *r, struct err *e)
{
    struct linking k = {.r = r, .name = http_param(r, "name")};
    int x = is_theirs(r, k.name, e);
    if (!x)
        x = db_tx(notify_get()->db, delete_tx, &k, e);
    return x ? x : http_reply_empty(r, 204);
}
