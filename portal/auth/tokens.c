/* API tokens. The one complication here: one made with a token must not outlive it nor reach further. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth_queries.h"
#include "portal/auth/auth_private.h"
#include "portal/core/id.h"

static bool may_manage(const struct principal *p, const char *account, const char *owner)
{
    return !strcmp(account, p->actor) || (!p->service_account && !strcmp(owner, p->person)) || auth_has(p, ROLE_ADMIN, NULL);
}

/* The account of a list's filter; "" in ret_id without one. */
static int filter_of(struct db_conn *c, const struct http_req *r, char ret_id[ID_LEN + 1], struct err *e)
{
    const char *name = http_query(r, "account");
    DB_RESULT_AUTO row = NULL;
    ret_id[0] = 0;
    int x = name ? db_run(c, Q_ACCOUNT_FIND, &row, e, db_text(name)) : 0;
    if (x || !name)
        return x;
    if (db_rows(row) == 0 || !may_manage(r->who, db_str(row, 0, 0), db_str(row, 0, 2)))
        return err_set(e, ERR_NOT_FOUND, "there is no account `%.80s` whose tokens you may see", name);
    snprintf(ret_id, ID_LEN + 1, "%s", db_str(row, 0, 0));
    return 0;
}

int tokens_list(struct http_req *r, struct err *e)
{
    int64_t limit;
    const char *after;
    char account[ID_LEN + 1] = "";
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int x = limit_and_cursor(r, &limit, &after, e);
    if (!x)
        x = db_take(auth_db(), &c, e);
    if (!x)
        x = filter_of(c, r, account, e);
    if (!x)
        x = db_run(c, Q_TOKENS_PAGE, &rows, e, db_text(after), db_int(limit + 1), db_text(*account ? account : NULL), db_text(r->who->actor));
    return x ? x : auth_reply_page(r, rows, limit, e);
}

static int no_such(struct err *e, const char *id)
{
    return err_set(e, ERR_NOT_FOUND, "there is no token `%.80s` that you may see", id);
}

/* The token's row, if the caller may manage it. */
static int get_own(struct db_conn *c, const struct http_req *r, const char *id, struct db_result **ret, struct err *e)
{
    int x = id_valid(id) ? db_run(c, Q_TOKEN_JSON, ret, e, db_text(id)) : no_such(e, id);
    if (!x && (db_rows(*ret) == 0 || !may_manage(r->who, db_str(*ret, 0, 1), db_str(*ret, 0, 2))))
        x = no_such(e, id);
    return x;
}

int tokens_show(struct http_req *r, struct err *e)
{
    const char *id = http_param(r, "id");
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    int x = db_take(auth_db(), &c, e);
    if (!x)
        x = get_own(c, r, id, &row, e);
    return x ? x : reply_row(r, row, "token", id, e);
}

struct token {
    struct write w;
    const char *name, *account_name, *scopes, *expires_at, *id;
    int64_t expires_in;
    char account[ID_LEN + 1];
    char secret[CRYPTO_TOKEN_MAX];
};

/* Whose token it is to be: one's own, or that of a service account. */
static int find_account(struct db_conn *c, struct token *t, struct err *e)
{
    const struct principal *p = t->w.r->who;
    DB_RESULT_AUTO row = NULL;
    snprintf(t->account, sizeof t->account, "%s", p->actor);
    t->account_name = p->name;
    const char *name = body_text(t->w.r, "service_account");
    int x = name ? db_run(c, Q_ACCOUNT_FIND, &row, e, db_text(name)) : 0;
    if (x || !name)
        return x;
    if (db_rows(row) == 0 || strcmp(db_str(row, 0, 1), "service_account") || !may_manage(p, db_str(row, 0, 0), db_str(row, 0, 2)))
        return err_field(e, "/service_account", "there is no service account `%.80s` that you own", name);
    if (db_bool(row, 0, 4))
        return err_field(e, "/service_account", "the service account `%.80s` is disabled", name);
    snprintf(t->account, sizeof t->account, "%s", db_str(row, 0, 0));
    t->account_name = name;
    t->w.team = arena_strdup(t->w.r->arena, db_str_or_null(row, 0, 3));
    return 0;
}

static int check_end(struct db_conn *c, const struct token *t, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    if (!t->expires_at)
        return 0;
    int x = db_one(c, Q_TOKEN_END_IS_FAIR, &row, e, db_text(t->expires_at));
    if (x && !strncmp(db_sqlstate(c), "22", 2))
        return err_field(e, "/expires_at", "this is not a time such as 2026-01-31T10:20:30Z");
    if (!x && !db_bool(row, 0, 0))
        return err_field(e, "/expires_at", "a token ends in the future, at most 366 days from now");
    return x;
}

static const char *with_secret(struct arena *a, const char *json, const char *secret)
{
    return arena_printf(a, "%.*s,\"token\":\"%s\"}", (int)strlen(json) - 1, json, secret);
}

static int create_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct token *t = arg;
    struct http_req *r = t->w.r;
    uint8_t hash[CRYPTO_DIGEST];
    char id[ID_LEN + 1];
    DB_RESULT_AUTO row = NULL;
    id_new(id);
    crypto_sha256(t->secret, strlen(t->secret), hash);
    int x = find_account(c, t, e);
    if (!x)
        x = check_end(c, t, e);
    if (!x)
        x = db_run(c, Q_TOKEN_INSERT, NULL, e, db_text(id), db_bytes(hash, sizeof hash), db_text(t->account), db_text(t->name), db_text(t->scopes), db_text(t->expires_at),
                   db_int(t->expires_in), db_text(r->who->token_id));
    if (!x)
        x = db_one(c, Q_TOKEN_JSON, &row, e, db_text(id));
    if (x)
        return x;
    t->w.after = t->w.detail = row_json(r, row);
    t->w.answer = with_secret(r->arena, t->w.after, t->secret);
    t->w.subject = arena_printf(r->arena, "token:%s", id);
    t->w.location = arena_printf(r->arena, "/api/v1/tokens/%s", id);
    return write_finish(c, &t->w, e);
}

/* A token's scopes are all the caller's own, and there are some where the caller has them. */
static int check_scopes(struct http_req *r, const char **ret_scopes, struct err *e)
{
    const json_t *given = json_object_get(r->json, "scopes");
    char *text = given ? json_dumps(given, JSON_COMPACT) : NULL;
    struct principal wanted = {.scopes = text ? arena_strdup(r->arena, text) : NULL};
    free(text);
    *ret_scopes = wanted.scopes;
    if (given && (json_array_size(given) == 0 || scopes_of(&wanted) == 0))
        return err_field(e, "/scopes", "the scopes are read, orders, monitoring, admin");
    if (!r->who->scopes)
        return 0;
    if (!(scopes_of(r->who) & SCOPE_ADMIN))
        return err_set(e, ERR_DENIED, "making a token needs a token with the scope `admin`, or a session; this one has %s", r->who->scopes);
    if (!given)
        *ret_scopes = r->who->scopes;
    /* `admin` includes the others but monitoring, which it may give as well as any administrator. */
    return 0;
}

int tokens_create(struct http_req *r, struct err *e)
{
    const json_t *in = json_object_get(r->json, "expires_in"), *at = json_object_get(r->json, "expires_at");
    struct token t = {.w = {.r = r, .action = "token.create", .status = 201}, .name = body_text(r, "name"), .expires_at = json_string_value(at),
                      .expires_in = in ? json_integer_value(in) : TOKEN_DAYS * 86400};
    int x = check_name(t.name, "/name", e);
    if (!x && in && at)
        x = err_field(e, "/expires_in", "give expires_in or expires_at, not both");
    if (!x && (t.expires_in < 1 || t.expires_in > 366 * 86400))
        x = err_field(e, "/expires_in", "a token lives from 1 second to 366 days");
    if (!x)
        x = check_scopes(r, &t.scopes, e);
    if (x)
        return x;
    crypto_token_new(TOKEN_PREFIX, t.secret);
    x = write_run(&t.w, create_tx, false, e);
    crypto_wipe(t.secret, sizeof t.secret);
    return x;
}

static int revoke_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct token *t = arg;
    const struct principal *p = t->w.r->who;
    DB_RESULT_AUTO row = NULL;
    int x = get_own(c, t->w.r, t->id, &row, e);
    if (!x && !(scopes_of(p) & SCOPE_ADMIN) && strcmp(t->id, p->token_id))
        x = err_set(e, ERR_DENIED, "revoking another token than itself needs a token with the scope `admin`, or a session; this one has %s", p->scopes);
    if (x)
        return x;
    t->w.before = t->w.detail = row_json(t->w.r, row);
    x = db_run(c, Q_TOKEN_REVOKE, NULL, e, db_text(t->id));
    return x ? x : write_finish(c, &t->w, e);
}

int tokens_revoke(struct http_req *r, struct err *e)
{
    struct token t = {.w = {.r = r, .action = "token.revoke", .status = 204}, .id = http_param(r, "id")};
    t.w.subject = arena_printf(r->arena, "token:%.80s", t.id);
    return write_run(&t.w, revoke_tx, true, e);
}
