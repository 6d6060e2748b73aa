/* The API of golden paths and their repositories. */
#include "portal/templates/store.h"
#include "portal/audit/audit.h"
#include "portal/auth/auth.h"
#include "portal/core/id.h"
#include "portal/core/thread.h"
#include "portal/crypto/crypto.h"
#include "portal/crypto/cursor.h"
#include "portal/json/json.h"
#include "templates_queries.h"
#include <stdio.h>
#include <string.h>

static int take(struct db_conn **ret, struct err *e)
{
    return db_take(templates_settings()->db, ret, e);
}

/* ---- golden paths ---- */

static int list_templates(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    int64_t limit;
    const char *after = NULL;
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int x = http_query_int(r, "limit", 50, 1, 500, &limit, e);
    if (!x)
        x = cursor_open(http_query(r, "cursor"), "listTemplates", r->arena, &after, e);
    if (!x)
        x = take(&c, e);
    if (!x)
        x = db_run(c, Q_TEMPLATE_PAGE, &rows, e, db_text(http_query(r, "q")), db_text(http_query(r, "tag")), db_text(http_query(r, "owner")), db_text(http_query(r, "type")),
                   db_text(after), db_int(limit + 1));
    db_give(c);
    c = NULL;
    return x ? x : auth_reply_page(r, rows, limit, e);
}

static int reply_document(struct http_req *r, int status, const struct db_result *rows)
{
    const char *text = db_str(rows, 0, 0);
    return http_reply(r, status, "application/json", text, strlen(text));
}

static int get_template(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int x = take(&c, e);
    if (!x)
        x = db_run(c, Q_TEMPLATE_DOCUMENT, &rows, e, db_text(http_param(r, "name")));
    if (!x && db_rows(rows) == 0)
        return err_set(e, ERR_NOT_FOUND, "there is no golden path `%.60s`", http_param(r, "name"));
    return x ? x : reply_document(r, 200, rows);
}

static int get_version(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    const char *number = http_param(r, "number");
    size_t n = strspn(number, "0123456789");
    int x = n > 0 && n < 16 && !number[n] ? take(&c, e) : err_set(e, ERR_NOT_FOUND, "versions are numbers, as in /versions/3");
    if (!x)
        x = db_run(c, Q_TEMPLATE_VERSION_DOCUMENT, &rows, e, db_text(http_param(r, "name")), db_text(number));
    if (!x && db_rows(rows) == 0)
        return err_set(e, ERR_NOT_FOUND, "the golden path `%.60s` has no version %s", http_param(r, "name"), number);
    return x ? x : reply_document(r, 200, rows);
}

/* ---- repositories ---- */

static int list_repositories(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    int64_t limit;
    const char *after = NULL;
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int x = http_query_int(r, "limit", 50, 1, 500, &limit, e);
    if (!x)
        x = cursor_open(http_query(r, "cursor"), "listTemplateRepositories", r->arena, &after, e);
    if (!x)
        x = take(&c, e);
    if (!x)
        x = db_run(c, Q_REPOSITORY_PAGE, &rows, e, db_text(after), db_int(limit + 1), db_flag(auth_has(r->who, ROLE_ADMIN, NULL)));
    db_give(c);
    c = NULL;
    return x ? x : auth_reply_page(r, rows, limit, e);
}

static int load_repository(struct db_conn *c, const struct http_req *r, const char *name, struct db_result **ret, struct err *e)
{
    int x = db_run(c, Q_REPOSITORY_DOCUMENT, ret, e, db_text(name), db_flag(auth_has(r->who, ROLE_ADMIN, NULL)));
    if (!x && db_rows(*ret) == 0)
        return err_set(e, ERR_NOT_FOUND, "there is no template repository `%.60s`", name);
    return x;
}

static int get_repository(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int x = take(&c, e);
    if (!x)
        x = load_repository(c, r, http_param(r, "name"), &rows, e);
    return x ? x : reply_document(r, 200, rows);
}

static int audit_repository(struct db_conn *c, const struct http_req *r, const char *action, const char *name, const char *before, const char *after, const char *detail,
                            struct err *e)
{
    struct audit_entry entry = {.action = action, .subject = arena_printf(r->arena, "template-repository:%s", name), .before = before, .after = after, .detail = detail};
    audit_from_request(&entry, r);
    return audit_append(c, &entry, e);
}

/* What changes: a transaction of one of these. */
struct change { struct http_req *r; const char *name; char secret[65]; struct db_result *document; };

static int add_in_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct change *g = arg;
    const json_t *body = g->r->json;
    const char *url = json_string_value(json_object_get(body, "url")), *ref = json_string_value(json_object_get(body, "ref"));
    BUF_AUTO detail = BUF_INIT;
    int x = templates_add_repository(c, g->name, url, ref, json_object_get(body, "credentials"), g->r->who->name, g->secret, e);
    if (x)
        return x;
    db_result_free(g->document);
    g->document = NULL;
    x = load_repository(c, g->r, g->name, &g->document, e);
    buf_char(&detail, '{');
    buf_json_kv(&detail, "url", url);
    buf_json_kv(&detail, "ref", ref ? ref : "");
    buf_char(&detail, '}');
    return x ? x : audit_repository(c, g->r, "template-repository.create", g->name, NULL, db_str(g->document, 0, 0), detail.data, e);
}

/* The answer is the document with the webhook's secret, which is shown this once. */
static int reply_created(struct http_req *r, const struct change *g)
{
    struct buf b = BUF_INIT;
    const char *document = db_str(g->document, 0, 0), *end = strrchr(document, '}');
    buf_add(&b, document, (size_t)(end - document));
    buf_json_key(&b, "webhook");
    buf_char(&b, '{');
    buf_json_kv(&b, "url", arena_printf(r->arena, "/api/v1/templates/repositories/%s/webhook", g->name));
    buf_json_kv(&b, "secret", g->secret);
    buf_str(&b, "}}");
    http_add_header(r, "Location", "/api/v1/templates/repositories/%s", g->name);
    int x = http_reply_json(r, 201, &b);
    buf_wipe(&b);
    return x;
}

static int create_repository(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    struct change g = {.r = r};
    if (json_need_str(r->json, "", "name", &g.name, e) != 0)
        return e->code;
    int x = auth_require(r->who, ROLE_ADMIN, NULL, e);
    if (!x)
        x = db_tx(templates_settings()->db, add_in_tx, &g, e);
    if (!x)
        x = reply_created(r, &g);
    crypto_wipe(g.secret, sizeof(g.secret));
    db_result_free(g.document);
    return x;
}

static int delete_in_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct change *g = arg;
    DB_RESULT_AUTO before = NULL;
    int x = load_repository(c, g->r, g->name, &before, e);
    if (!x)
        x = templates_remove_repository(c, g->name, e);
    return x ? x : audit_repository(c, g->r, "template-repository.delete", g->name, db_str(before, 0, 0), NULL, NULL, e);
}

static int delete_repository(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    struct change g = {.r = r, .name = http_param(r, "name")};
    int x = auth_require(r->who, ROLE_ADMIN, NULL, e);
    if (!x)
        x = db_tx(templates_settings()->db, delete_in_tx, &g, e);
    return x ? x : http_reply_empty(r, 204);
}

static int refresh_in_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct change *g = arg;
    int x = templates_request_refresh(c, g->name, e);
    if (!x)
        x = audit_repository(c, g->r, "template-repository.refresh", g->name, NULL, NULL, NULL, e);
    db_result_free(g->document);
    g->document = NULL;
    return x ? x : load_repository(c, g->r, g->name, &g->document, e);
}

static int refresh_repository(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    struct change g = {.r = r, .name = http_param(r, "name")};
    int x = auth_require(r->who, ROLE_ADMIN, NULL, e);
    if (!x)
        x = db_tx(templates_settings()->db, refresh_in_tx, &g, e);
    if (!x) {
        http_add_header(r, "Location", "/api/v1/templates/repositories/%s", g.name);
        x = reply_document(r, 202, g.document);
    }
    db_result_free(g.document);
    return x;
}

/* ---- webhook ---- */

static int refuse_hook(struct err *e)
{
    return err_set(e, ERR_UNAUTHENTICATED, "the call carries no signature that fits: X-Hub-Signature-256 or X-Gitea-Signature made with the webhook's secret, or the secret "
                                           "itself as X-Gitlab-Token");
}

static bool signature_fits(const struct http_req *r, const char *secret)
{
    const char *body = r->body ? r->body : "", *given = http_header(r, "X-Hub-Signature-256");
    if (given)
        return crypto_hmac_matches(secret, strlen(secret), body, r->body_len, given);
    if ((given = http_header(r, "X-Gitea-Signature")))
        return crypto_hmac_matches(secret, strlen(secret), body, r->body_len, given);
    if (!(given = http_header(r, "X-Gitlab-Token")))
        return false;
    uint8_t a[CRYPTO_DIGEST], b[CRYPTO_DIGEST]; /* digests: equal lengths, so that the comparison tells nothing */
    crypto_sha256(given, strlen(given), a);
    crypto_sha256(secret, strlen(secret), b);
    return crypto_equal(a, b, sizeof(a));
}

/* An unknown repository is answered like a wrong signature: who cannot sign learns nothing. */
static int check_hook(const struct http_req *r, const char *name, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    json_t *sealed = NULL;
    size_t len;
    int x = take(&c, e);
    if (!x)
        x = db_run(c, Q_REPOSITORY_SECRET, &row, e, db_text(name));
    if (x)
        return x;
    if (db_rows(row) == 0)
        return refuse_hook(e);
    const void *bytes = db_blob(row, 0, 0, r->arena, &len);
    x = repository_open_sealed(name, db_i64(row, 0, 1), bytes, len, &sealed, e);
    if (x)
        return x;
    const char *secret = json_string_value(json_object_get(sealed, "webhook_secret"));
    bool fits = secret && *secret && signature_fits(r, secret);
    json_decref(sealed);
    return fits ? 0 : refuse_hook(e);
}

static int hook_in_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct change *g = arg;
    struct audit_entry entry = {.actor = "system", .actor_name = "webhook", .address = g->r->remote_addr, .action = "template-repository.refresh",
                                .subject = arena_printf(g->r->arena, "template-repository:%s", g->name), .request_id = g->r->request_id};
    int x = templates_request_refresh(c, g->name, e);
    return x ? x : audit_append(c, &entry, e);
}

static int call_webhook(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    struct change g = {.r = r, .name = http_param(r, "name")};
    int x = check_hook(r, g.name, e);
    if (!x)
        x = db_tx(templates_settings()->db, hook_in_tx, &g, e);
    return x ? x : http_reply(r, 202, "application/json", "{\"state\":\"refreshing\"}", 22);
}

const struct http_route templates_routes[] = {
    {"GET", "/api/v1/templates", "listTemplates", "viewer", list_templates, 0, 0},
    {"GET", "/api/v1/templates/repositories", "listTemplateRepositories", "viewer", list_repositories, 0, 0},
    {"POST", "/api/v1/templates/repositories", "createTemplateRepository", "platform-admin", create_repository, HTTP_IDEMPOTENT | HTTP_SECRET_BODY, 65536},
    {"GET", "/api/v1/templates/repositories/{name}", "getTemplateRepository", "viewer", get_repository, 0, 0},
    {"DELETE", "/api/v1/templates/repositories/{name}", "deleteTemplateRepository", "platform-admin", delete_repository, HTTP_IDEMPOTENT, 0},
    {"POST", "/api/v1/templates/repositories/{name}/refresh", "refreshTemplateRepository", "platform-admin", refresh_repository, HTTP_IDEMPOTENT, 4096},
    {"POST", "/api/v1/templates/repositories/{name}/webhook", "callTemplateWebhook", "public", call_webhook, HTTP_RAW_BODY | HTTP_NO_CSRF, 4 << 20},
    {"GET", "/api/v1/templates/{name}", "getTemplate", "viewer", get_template, 0, 0},
    {"GET", "/api/v1/templates/{name}/versions/{number}", "getTemplateVersion", "viewer", get_version, 0, 0},
    {0},
};
