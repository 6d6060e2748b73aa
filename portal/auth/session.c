/* Signing in and out. The one complication here: the password is checked with no database connection held, because that takes fifty milliseconds and little else does. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "auth_queries.h"
#include "portal/auth/auth_private.h"
#include "portal/core/id.h"
#include "portal/core/log.h"
#include "portal/core/thread.h"
#include "portal/crypto/password.h"

void session_csrf(const char *cookie, char out[CSRF_MAX])
{
    uint8_t mac[CRYPTO_DIGEST];
    BUF_AUTO text = BUF_INIT;
    crypto_hmac(cookie, strlen(cookie), "csrf", 4, mac);
    crypto_base64url(mac, sizeof mac, &text);
    snprintf(out, CSRF_MAX, "%s", text.data);
}

/* "https://host:port" of a URL, without a path. */
static size_t origin_length(const char *url)
{
    const char *host = strstr(url, "://");
    return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/") : strlen(url);
}

int session_check_origin(const struct http_req *r, struct err *e)
{
    const char *origin = http_header(r, "Origin"), *host = http_header(r, "Host"), *public_url = auth_instance()->o.public_url;
    if (!origin)
        return 0;
    if (public_url && strlen(origin) == origin_length(public_url) && !strncasecmp(origin, public_url, strlen(origin)))
        return 0;
    const char *origin_host = strstr(origin, "://");
    if (host && origin_host && !strcasecmp(origin_host + 3, host))
        return 0;
    err_set(e, ERR_DENIED, "a page of %.100s sent this request; only Soma's own pages may. Behind a proxy, set public_url", origin);
    return err_type(e, "other-origin");
}

static void set_cookie(struct http_req *r, const char *value, int64_t seconds)
{
    http_add_header(r, "Set-Cookie", "%s=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%lld%s", SESSION_COOKIE, value, (long long)seconds,
                    r->tls || auth_instance()->o.secure_cookies ? "; Secure" : "");
}

/* Account, roles and what speaks for them, as JSON. account: whose; token or session: one of them. */
static int describe(struct db_conn *c, struct arena *a, const char *account, const char *person, const char *person_name, const char *token, const char *session,
                    const char *cookie, const char **ret, struct err *e)
{
    char csrf[CSRF_MAX];
    DB_RESULT_AUTO row = NULL;
    BUF_AUTO b = BUF_INIT;
    int x = db_one(c, Q_WHOAMI, &row, e, db_text(account), db_text(token), db_text(session));
    if (x)
        return x;
    if (cookie)
        session_csrf(cookie, csrf);
    buf_char(&b, '{');
    buf_json_kraw(&b, "account", db_str(row, 0, 0));
    buf_json_key(&b, "person");
    buf_char(&b, '{');
    buf_json_kv(&b, "id", person);
    buf_json_kv(&b, "name", person_name);
    buf_char(&b, '}');
    buf_json_kraw(&b, "teams", db_str(row, 0, 2));
    buf_json_kraw(&b, "roles", db_str(row, 0, 1));
    buf_json_kraw(&b, "token", db_str_or_null(row, 0, 3));
    buf_json_kraw(&b, "session", db_str_or_null(row, 0, 4));
    buf_json_kv(&b, "csrf_token", cookie ? csrf : NULL);
    buf_char(&b, '}');
    *ret = arena_strndup(a, b.data, b.len);
    return 0;
}

struct sign_in {
    struct write w;
    const char *name, *account;
    char cookie[CRYPTO_TOKEN_MAX];
};

static int sign_in_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct sign_in *s = arg;
    uint8_t hash[CRYPTO_DIGEST];
    char id[ID_LEN + 1];
    DB_RESULT_AUTO done = NULL;
    id_new(id);
    crypto_sha256(s->cookie, strlen(s->cookie), hash);
    int x = db_run(c, Q_SESSION_INSERT, &done, e, db_text(id), db_bytes(hash, sizeof hash), db_text(s->account), db_int(auth_instance()->o.session_hours),
                   db_text(s->w.r->remote_addr));
    if (!x && db_affected(done) == 0)
        x = err_set(e, ERR_UNAUTHENTICATED, "name or password is wrong");
    if (!x)
        x = describe(c, s->w.r->arena, s->account, s->account, s->name, NULL, id, s->cookie, &s->w.answer, e);
    /* Nobody was signed in while this request came; the entry names who is now. */
    struct principal p = {.actor = s->account, .name = s->name, .person = s->account, .person_name = s->name};
    struct principal *before = s->w.r->who;
    s->w.r->who = &p;
    if (!x)
        x = write_finish(c, &s->w, e);
    s->w.r->who = before;
    return x;
}

/* The account's id and PHC string; NULL when there is no such person. */
static int find_password(const char *name, struct arena *a, const char **ret_account, const char **ret_phc, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    int x = db_take(auth_db(), &c, e);
    if (!x)
        x = db_run(c, Q_PASSWORD_GET, &row, e, db_text(name));
    if (x)
        return x;
    bool found = db_rows(row) > 0;
    *ret_account = found ? arena_strdup(a, db_str(row, 0, 0)) : NULL;
    *ret_phc = found ? arena_strdup(a, db_str_or_null(row, 0, 1)) : NULL;
    return 0;
}

/* One counted attempt; *ret_account is written when the password fits. */
static int prove(struct http_req *r, const char *name, const char *password, const char **ret_account, struct err *e)
{
    const char *account = NULL, *phc = NULL;
    int x = attempt_take(name, r->remote_addr, e);
    if (!x)
        x = find_password(name, r->arena, &account, &phc, e);
    if (x)
        return x;
    x = password_verify(phc, password, e);
    if (!x || x == ERR_RATE)
        attempt_give_back(name, r->remote_addr);
    if (!x)
        *ret_account = account;
    return x;
}

int session_create(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    struct sign_in s = {.w = {.r = r, .action = "session.create", .status = 201}, .name = body_text(r, "name")};
    int x = session_check_origin(r, e);
    if (!x)
        x = body_need(r, "name", e);
    if (!x)
        x = body_need(r, "password", e);
    if (!x)
        x = prove(r, s.name, body_text(r, "password"), &s.account, e);
    if (x == ERR_UNAUTHENTICATED)
        log_info("sign-in refused", LOG_S("name", s.name), LOG_S("address", r->remote_addr));
    if (x)
        return x;
    s.w.subject = arena_printf(r->arena, "account:%s", s.name);
    crypto_token_new(SESSION_PREFIX, s.cookie);
    x = db_tx(auth_db(), sign_in_tx, &s, e);
    if (x)
        return x;
    set_cookie(r, s.cookie, (int64_t)auth_instance()->o.session_hours * 3600);
    http_add_header(r, "Cache-Control", "no-store");
    return http_reply(r, 201, "application/json", s.w.answer, strlen(s.w.answer));
}

int session_show(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    DB_CONN_AUTO c = NULL;
    const char *answer = NULL;
    const struct principal *p = r->who;
    int x = db_take(auth_db(), &c, e);
    if (!x)
        x = describe(c, r->arena, p->actor, p->person, p->person_name, p->token_id, p->session_id, p->session_id ? http_cookie(r, SESSION_COOKIE) : NULL, &answer, e);
    if (x)
        return x;
    http_add_header(r, "Cache-Control", "no-store");
    return http_reply(r, 200, "application/json", answer, strlen(answer));
}

static int sign_out_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct write *w = arg;
    int x = db_run(c, Q_SESSION_DELETE, NULL, e, db_text(w->r->who->session_id));
    return x ? x : write_finish(c, w, e);
}

int session_delete(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    if (!r->who->session_id) {
        err_set(e, ERR_CONFLICT, "a token is not a session; revoke it with DELETE /api/v1/tokens/%s", r->who->token_id);
        snprintf(e->link, sizeof e->link, "/api/v1/tokens/%s", r->who->token_id);
        return err_type(e, "not-a-session");
    }
    struct write w = {.r = r, .action = "session.delete", .subject = arena_printf(r->arena, "account:%s", r->who->name), .status = 204};
    set_cookie(r, "", 0);
    return write_run(&w, sign_out_tx, true, e);
}

struct change {
    struct write w;
    char phc[PASSWORD_PHC_MAX];
};

static int change_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct change *h = arg;
    const struct principal *p = h->w.r->who;
    int x = db_run(c, Q_PASSWORD_SET, NULL, e, db_text(p->actor), db_text(h->phc));
    if (!x)
        x = db_run(c, Q_SESSIONS_END, NULL, e, db_text(p->actor), db_text(p->session_id));
    return x ? x : write_finish(c, &h->w, e);
}

int session_password(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    struct change h = {.w = {.r = r, .action = "password.change", .subject = arena_printf(r->arena, "account:%s", r->who->name), .status = 204}};
    const char *account = NULL;
    if (r->who->service_account)
        return err_set(e, ERR_DENIED, "a service account has no password");
    if (!(scopes_of(r->who) & SCOPE_ADMIN))
        return err_set(e, ERR_DENIED, "the scopes of this token do not reach to its account's password; sign in");
    int x = body_need(r, "current_password", e);
    if (!x)
        x = body_need(r, "new_password", e);
    if (!x)
        x = password_check(body_text(r, "new_password"), "/new_password", e);
    if (!x)
        x = prove(r, r->who->name, body_text(r, "current_password"), &account, e);
    if (x == ERR_UNAUTHENTICATED)
        return err_field(e, "/current_password", "this is not the current password");
    if (!x)
        x = password_hash(body_text(r, "new_password"), h.phc, e);
    return x ? x : write_run(&h.w, change_tx, true, e);
}
