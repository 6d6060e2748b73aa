/* The hooks of the HTTP server. The one complication here is speed: a signed-in request costs a comparison and a copy, and sees the database once in AUTH_FRESH_MS. */
#include "portal/auth/auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "portal/auth/auth_private.h"
#include "portal/core/clock.h"
#include "portal/core/log.h"
#include "portal/core/thread.h"
#include "portal/secrets/secrets.h"

static _Atomic(struct auth *) instance;

const struct config_key auth_config[] = {
    {"public_url", CONFIG_STRING, NULL, 0, 0, NULL, false, false, false, "address that browsers see, such as https://soma.example.com; without it requests from other sites are told by the Host header"},
    {"secure_cookies", CONFIG_BOOL, "false", 0, 0, NULL, false, false, false, "mark cookies Secure even when TLS ends before the node"},
    {"session_hours", CONFIG_INT, "12", 1, 720, NULL, false, false, false, "a session ends after so many hours"},
    {"session_idle_minutes", CONFIG_INT, "120", 0, 43200, NULL, false, false, false, "a session ends after so many minutes without a request; 0: never before its hours are over"},
    {"requests_per_minute", CONFIG_INT, "30000", 0, 2000000000, NULL, false, false, false, "requests of one token or session in a minute, counted by each node for itself; 0: no limit"},
    {"sign_ins_per_minute", CONFIG_INT, "10", 1, 100000, NULL, false, false, false, "failed attempts to sign in with one name in a minute, on all nodes together; six times as many from one address"},
    {0},
};

void auth_options_from_config(const struct config *c, struct auth_options *ret)
{
    ret->public_url = config_str(c, "public_url");
    ret->secure_cookies = config_bool(c, "secure_cookies");
    ret->session_hours = (int)config_int(c, "session_hours");
    ret->idle_minutes = (int)config_int(c, "session_idle_minutes");
    ret->requests_per_minute = (int)config_int(c, "requests_per_minute");
    ret->sign_ins_per_minute = (int)config_int(c, "sign_ins_per_minute");
}

int auth_new(const struct auth_options *o, struct auth **ret, struct err *e)
{
    if (o->public_url && *o->public_url && strncmp(o->public_url, "http://", 7) && strncmp(o->public_url, "https://", 8))
        return err_set(e, ERR_INVALID, "public_url must begin with http:// or https://, it is `%s`", o->public_url);
    struct auth *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(e, ERR_NOMEM, "no memory");
    a->o = *o;
    a->o.session_hours = o->session_hours > 0 ? o->session_hours : 12;
    a->o.sign_ins_per_minute = o->sign_ins_per_minute > 0 ? o->sign_ins_per_minute : 10;
    a->public_url = o->public_url && *o->public_url ? strdup(o->public_url) : NULL;
    a->o.public_url = a->public_url;
    a->cache = cache_new();
    secrets_register(idempotency_secrets);
    *ret = a;
    return 0;
}

void auth_free(struct auth *a)
{
    if (!a)
        return;
    struct auth *current = a;
    atomic_compare_exchange_strong(&instance, &current, NULL);
    cache_free(a->cache);
    free(a->public_url);
    free(a);
}

void auth_set_instance(struct auth *a)
{
    instance = a;
}

struct auth *auth_instance(void)
{
    return instance;
}

struct db *auth_db(void)
{
    return instance ? auth_instance()->o.db : NULL;
}

void auth_forget(void)
{
    if (instance)
        cache_forget(auth_instance()->cache);
}

/* The digest of a secret whose form is right; false: it cannot be ours. One connection brings one secret again and again, and a connection has one thread. */
static bool digest_of(const char *prefix, const char *secret, uint8_t out[CRYPTO_DIGEST])
{
    static _Thread_local struct { char secret[CRYPTO_TOKEN_MAX]; size_t len; uint8_t digest[CRYPTO_DIGEST]; } last;
    size_t n = strnlen(secret, CRYPTO_TOKEN_MAX);
    bool same = n && n == last.len && crypto_equal(secret, last.secret, n) && !strncmp(secret, prefix, strlen(prefix));
    if (!same) {
        if (!crypto_token_valid(prefix, secret))
            return false;
        crypto_sha256(secret, n, last.digest);
        memcpy(last.secret, secret, n);
        last.len = n;
    }
    memcpy(out, last.digest, CRYPTO_DIGEST);
    return true;
}

/* The secret that the request brings, as its digest: of a bearer token, else of the cookie. False: none, or one that cannot be ours. */
static bool secret_of(const struct http_req *r, uint8_t ret_hash[CRYPTO_DIGEST], bool *ret_session, bool *ret_given)
{
    const char *header = http_header(r, "Authorization");
    *ret_session = false;
    *ret_given = header != NULL;
    if (header) { /* Prometheus before 2.43 sends a credentials file's text without the word Bearer */
        const char *token = !strncasecmp(header, "Bearer ", 7) ? header + 7 + strspn(header + 7, " ") : header;
        return digest_of(TOKEN_PREFIX, token, ret_hash);
    }
    const char *cookie = http_cookie(r, SESSION_COOKIE);
    *ret_session = *ret_given = cookie != NULL;
    return cookie && digest_of(SESSION_PREFIX, cookie, ret_hash);
}

static int read_principal(struct auth *a, const uint8_t hash[CRYPTO_DIGEST], bool session, struct arena *arena, struct principal **ret, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    unsigned generation = cache_generation(a->cache);
    int64_t now = clock_mono_ms();
    int r = db_take(a->o.db, &c, e);
    if (!r)
        r = session ? load_session(c, hash, NULL, a->o.idle_minutes, arena, ret, e) : load_token(c, hash, NULL, arena, ret, e);
    if (!r)
        cache_put(a->cache, hash, *ret, now, generation);
    return r;
}

static void tell_allowance(struct http_req *r, const struct allowance *w)
{
    if (!w->limit)
        return;
    http_add_header(r, "RateLimit-Policy", "\"requests\";q=%d;w=60", w->limit);
    http_add_header(r, "RateLimit", "\"requests\";r=%d;t=%d", w->left, w->reset);
}

static int identify(struct http_req *r, const uint8_t hash[CRYPTO_DIGEST], bool session, struct err *e)
{
    struct auth *a = auth_instance();
    struct allowance allowance = {0};
    struct principal *p = cache_get(a->cache, hash, a->o.requests_per_minute, r->arena, &allowance);
    if (!p) {
        int x = read_principal(a, hash, session, r->arena, &p, e);
        if (x)
            return x;
        /* The entry is fresh now: this counts the request. It is NULL only when another thread forgot everything just then. */
        cache_get(a->cache, hash, a->o.requests_per_minute, r->arena, &allowance);
    }
    tell_allowance(r, &allowance);
    if (allowance.exceeded) {
        err_set(e, ERR_RATE, "more than %d requests in a minute with this %s", allowance.limit, session ? "session" : "token");
        e->retry_after = allowance.reset;
        return ERR_RATE;
    }
    r->who = p;
    return 0;
}

static bool is_public(const struct http_req *r)
{
    return r->route && r->route->need && !strcmp(r->route->need, "public");
}

int auth_authenticate(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    uint8_t hash[CRYPTO_DIGEST];
    bool session, given;
    if (!auth_instance())
        return 0;
    bool ours = secret_of(r, hash, &session, &given);
    if (!given || (!ours && is_public(r)))
        return 0;
    int x = ours ? identify(r, hash, session, e)
                 : err_set(e, ERR_UNAUTHENTICATED, "the %s is not one that Soma gave out%s", session ? "session cookie" : "token",
                           session ? ": sign in again" : ": send `Authorization: Bearer soma_...` exactly as it was shown");
    /* With an old cookie one can still sign in. */
    if (x && x != ERR_RATE && is_public(r)) {
        *e = (struct err)ERR_INIT;
        return 0;
    }
    return x;
}

static bool is_safe(const struct http_req *r)
{
    return !strcmp(r->method, "GET") || !strcmp(r->method, "HEAD") || !strcmp(r->method, "OPTIONS");
}

static int check_csrf(const struct http_req *r, struct err *e)
{
    char want[CSRF_MAX];
    const char *given = http_header(r, "X-CSRF-Token"), *cookie = http_cookie(r, SESSION_COOKIE);
    int x = session_check_origin(r, e);
    if (x || !cookie)
        return x;
    session_csrf(cookie, want);
    if (given && strlen(given) == strlen(want) && crypto_equal(given, want, strlen(want)))
        return 0;
    err_set(e, ERR_DENIED, "a write with the session cookie carries the header X-CSRF-Token; its value is `csrf_token` of GET /api/v1/session");
    return err_type(e, "csrf");
}

static int scope_missing(const struct principal *p, const char *scope, struct err *e)
{
    err_set(e, ERR_DENIED, "needs a token with the scope `%s`%s%s", scope, p->scopes ? "; this one has " : ", or the role platform-admin", p->scopes ? p->scopes : "");
    return err_type(e, "scope-missing");
}

static int check_scope(const struct principal *p, const char *scope, struct err *e)
{
    char quoted[48];
    snprintf(quoted, sizeof quoted, "\"%s\"", scope);
    if (auth_has(p, ROLE_ADMIN, NULL) || (p->scopes && strstr(p->scopes, quoted)))
        return 0;
    return scope_missing(p, scope, e);
}

/* What every signed-in caller may call, but for what the scopes of a token leave out. */
static int check_signed_in(const struct http_req *r, struct err *e)
{
    unsigned scopes = scopes_of(r->who);
    const char *operation = r->route->operation ? r->route->operation : "";
    /* Any token may ask who it is, and give itself up (its handler keeps it from others). */
    if (!strcmp(operation, "getSession") || !strcmp(operation, "revokeToken"))
        return 0;
    if (!(scopes & (SCOPE_READ | SCOPE_ORDERS | SCOPE_ADMIN)))
        return scope_missing(r->who, "read", e);
    if (!is_safe(r) && !(scopes & (SCOPE_ORDERS | SCOPE_ADMIN)))
        return scope_missing(r->who, "orders", e);
    return 0;
}

static int check_need(const struct http_req *r, struct err *e)
{
    const char *need = r->route->need ? r->route->need : "signed-in";
    unsigned includes;
    if (!strncmp(need, "scope:", 6))
        return check_scope(r->who, need + 6, e);
    int x = check_signed_in(r, e);
    if (x || !strcmp(need, "signed-in") || !strncmp(need, "team:", 5))
        return x;
    if (role_parse(need, strlen(need), &includes))
        return err_set(e, ERR_INTERNAL, "the route %s needs `%s`, which is no role", r->route->pattern, need);
    /* Held somewhere is enough here; the words are those of a role held nowhere. */
    if (principal_holds(r->who, includes))
        return 0;
    enum role role = includes & ROLE_ADMIN ? ROLE_ADMIN : includes & ROLE_APPROVER ? ROLE_APPROVER : includes & ROLE_DEVELOPER ? ROLE_DEVELOPER : ROLE_VIEWER;
    return auth_require(r->who, role, NULL, e);
}

int auth_authorize(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    if (is_public(r))
        return 0;
    if (!r->who)
        return err_set(e, ERR_UNAUTHENTICATED, "nobody is signed in: send `Authorization: Bearer <token>`, or sign in at POST /api/v1/session");
    if (r->who->session_id && !is_safe(r) && !(r->route->flags & HTTP_NO_CSRF)) {
        int x = check_csrf(r, e);
        if (x)
            return x;
    }
    return check_need(r, e);
}
