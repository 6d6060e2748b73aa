/* The page that a mailed link opens. Looking at it decides nothing: programs that scan mail follow links. Only its own form does, once, for the person to whom the link
 * was sent; a browser that is signed in as somebody else is turned away.
 *
 * The token in the path is a secret: only its hash is kept, and the log names the route instead of the path (HTTP_SECRET_PATH). */
#include <stdio.h>
#include <string.h>

#include "portal/crypto/keyring.h"
#include "portal/http/page.h"
#include "portal/json/json.h"
#include "portal/provision/approval_private.h"
#include "provision_queries.h"

#define LINK_PREFIX "somal_"
#define PROOF_MAX 48

static const char style[] = "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}"
                            "h1{font-size:1.4rem}dt{color:#555}dd{margin:0 0 .6rem}pre{background:#f3f3f3;padding:.8rem;overflow:auto}"
                            "textarea{width:100%;box-sizing:border-box;font:inherit}button{font:inherit;padding:.5rem 1.2rem;margin:.6rem .6rem 0 0}"
                            "@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}dt{color:#aaa}pre{background:#262626}}";

static enum { LINKS_ON, LINKS_SIGNED_IN, LINKS_OFF } links; /* written before threads start */

const struct config_key approval_config[] = {
    {.name = "approval_links", .type = CONFIG_ENUM, .fallback = "on", .choices = "on|signed-in|off", .help = "links in mails that approve; signed-in: only in a browser where the person is signed in"},
    {0},
};

void approval_configure(const struct config *c)
{
    const char *s = config_str(c, "approval_links");
    links = !strcmp(s, "off") ? LINKS_OFF : !strcmp(s, "signed-in") ? LINKS_SIGNED_IN : LINKS_ON;
}

struct page {
    struct http_req *r;
    uint8_t hash[CRYPTO_DIGEST];
    const char *person, *person_name, *round;
    char proof[PROOF_MAX];
    struct decision x;
    bool yes;
};

int approval_link_new(struct db_conn *c, const char *round, const char *person, struct arena *a, const char **ret_url, struct err *e)
{
    char token[CRYPTO_TOKEN_MAX];
    uint8_t hash[CRYPTO_DIGEST];
    *ret_url = NULL;
    if (!*notify_public_url() || links == LINKS_OFF)
        return 0;
    crypto_token_new(LINK_PREFIX, token);
    crypto_sha256(token, strlen(token), hash);
    *ret_url = arena_printf(a, "%s/approve/%s", notify_public_url(), token);
    crypto_wipe(token, sizeof token);
    return db_run(c, Q_LINK_INSERT, NULL, e, db_bytes(hash, sizeof hash), db_text(round), db_text(person));
}

/* ---- the frame ---- */

static void html(struct buf *b, const char *s)
{
    for (; *s; s++)
        switch (*s) {
        case '&': buf_str(b, "&amp;"); break;
        case '<': buf_str(b, "&lt;"); break;
        case '>': buf_str(b, "&gt;"); break;
        case '"': buf_str(b, "&quot;"); break;
        case '\'': buf_str(b, "&#39;"); break;
        default: buf_char(b, *s);
        }
}

static void open_page(struct buf *b, const char *title)
{
    buf_str(b, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\"><title>");
    html(b, title);
    buf_printf(b, "</title><style>%s</style></head><body><main><h1>", style);
    html(b, title);
    buf_str(b, "</h1>");
}

static int send_page(struct http_req *r, int status, struct buf *b)
{
    uint8_t digest[CRYPTO_DIGEST];
    BUF_AUTO hash = BUF_INIT;
    crypto_sha256(style, sizeof style - 1, digest);
    crypto_base64(digest, sizeof digest, &hash);
    buf_str(b, "</main></body></html>\n");
    http_add_header(r, "Content-Security-Policy", "default-src 'none'; style-src 'sha256-%s'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", hash.data);
    http_add_header(r, "Cache-Control", "no-store");
    http_add_header(r, "Referrer-Policy", "no-referrer");
    int x = http_reply(r, status, "text/html; charset=utf-8", b->data, b->len);
    buf_wipe(b);
    return x;
}

static int say(struct http_req *r, int status, const char *title, const char *text)
{
    BUF_AUTO b = BUF_INIT;
    open_page(&b, title);
    buf_str(&b, "<p>");
    html(&b, text);
    buf_str(&b, "</p>");
    return send_page(r, status, &b);
}

static int say_error(struct http_req *r, const struct err *e)
{
    return say(r, http_status_of(e), "Nothing was decided", e->msg);
}

/* ---- the link ---- */

/* What only the page's form knows: so that a program which posts to every address it finds decides nothing. */
static int make_proof(struct page *p, struct err *e)
{
    uint8_t key[CRYPTO_KEY], mac[CRYPTO_DIGEST];
    BUF_AUTO text = BUF_INIT;
    int r = keyring_derive(keyring_instance(), 0, "approval/page", key, NULL, e);
    if (r)
        return r;
    crypto_hmac(key, sizeof key, p->hash, sizeof p->hash, mac);
    crypto_wipe(key, sizeof key);
    crypto_base64url(mac, sizeof mac, &text);
    snprintf(p->proof, sizeof p->proof, "%s", text.data);
    return 0;
}

static int check_reader(const struct page *p, struct err *e)
{
    const struct principal *who = p->r->who;
    if (who && strcmp(who->person, p->person))
        return err_set(e, ERR_DENIED, "this link is for %s; you are signed in as %s", p->person_name, who->name);
    if (!who && links == LINKS_SIGNED_IN)
        return err_set(e, ERR_UNAUTHENTICATED, "sign in as %s first, then open the link again", p->person_name);
    return 0;
}

/* Who the link is for, and about what. ERR_NOT_FOUND: it is none of ours; ERR_CONFLICT: it was used, or its time has ended. */
static int find_link(struct db_conn *c, struct page *p, struct err *e)
{
    const char *token = http_param(p->r, "token");
    DB_RESULT_AUTO row = NULL;
    int r = 0;
    if (links != LINKS_OFF && crypto_token_valid(LINK_PREFIX, token)) {
        crypto_sha256(token, strlen(token), p->hash);
        r = db_run(c, Q_LINK_GET, &row, e, db_bytes(p->hash, sizeof p->hash));
    }
    if (!r && (!row || db_rows(row) == 0))
        return err_set(e, ERR_NOT_FOUND, "This link is not one of ours, or what it was about is gone.");
    if (r)
        return r;
    p->round = arena_strdup(p->r->arena, db_str(row, 0, 0));
    p->person = arena_strdup(p->r->arena, db_str(row, 0, 1));
    p->person_name = arena_strdup(p->r->arena, db_str(row, 0, 2));
    if ((r = check_reader(p, e)))
        return r;
    if (db_bool(row, 0, 4))
        return err_set(e, ERR_DENIED, "the account of %s is disabled", p->person_name);
    if (db_bool(row, 0, 3))
        return err_set(e, ERR_CONFLICT, "This link was used; it is good for one decision.");
    if (db_bool(row, 0, 5))
        return err_set(e, ERR_CONFLICT, "The time to decide has ended.");
    return make_proof(p, e);
}

/* ---- GET ---- */

static void change_line(const char *sign, const char *address, void *arg)
{
    struct buf *b = arg;
    html(b, sign);
    buf_char(b, ' ');
    html(b, address);
    buf_char(b, '\n');
}

static void row(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, "<dt>%s</dt><dd>", name);
    html(b, value);
    buf_str(b, "</dd>");
}

static void facts(struct buf *b, const struct approval_view *v, const struct page *p)
{
    buf_str(b, "<dl>");
    row(b, "Asked by", v->orderer);
    if (strcmp(v->orderer, v->actor))
        row(b, "Ordered with the account", v->actor);
    row(b, "Order", v->order);
    row(b, "Service", arena_printf(p->r->arena, "%s (%s), %s in %s, team %s", v->name, v->template, v->kind, v->environment, v->team));
    row(b, "Why approval is needed", v->reason);
    if (*v->price)
        row(b, "Price", v->price);
    row(b, "Until", v->expires_at);
    row(b, "Plan", arena_printf(p->r->arena, "%lld to add, %lld to change, %lld to destroy", (long long)json_integer_value(json_object_get(v->plan, "add")),
                                (long long)json_integer_value(json_object_get(v->plan, "change")), (long long)json_integer_value(json_object_get(v->plan, "destroy"))));
    buf_str(b, "</dl><pre>");
    approval_view_changes(v, 100, change_line, b);
    buf_str(b, "</pre>");
}

static int show(struct db_conn *c, struct page *p, struct err *e)
{
    APPROVAL_VIEW_AUTO v = {0};
    BUF_AUTO b = BUF_INIT;
    int r = approval_view_load(c, p->round, p->r->arena, &v, e);
    if (r)
        return r;
    if (strcmp(v.state, "waiting"))
        return err_set(e, ERR_CONFLICT, "The order does not wait for approval any more: %s", *v.ended ? v.ended : v.state);
    open_page(&b, arena_printf(p->r->arena, "%s asks to %s", v.orderer, approval_view_title(&v, p->r->arena)));
    facts(&b, &v, p);
    buf_printf(&b, "<form method=\"post\"><input type=\"hidden\" name=\"proof\" value=\"%s\"><label>Comment<br><textarea name=\"comment\" rows=\"3\" maxlength=\"2000\"></textarea></label><br>"
               "<button name=\"decision\" value=\"approve\">Approve</button><button name=\"decision\" value=\"reject\">Reject</button></form><p>You decide as ", p->proof);
    html(&b, p->person_name);
    buf_str(&b, ".</p>");
    return send_page(p->r, 200, &b);
}

int approve_page_show(struct http_req *r, struct err *e)
{
    struct page p = {.r = r};
    DB_CONN_AUTO c = NULL;
    int x = db_take(provision_get()->db, &c, e);
    if (!x)
        x = find_link(c, &p, e);
    if (!x)
        x = show(c, &p, e);
    return x ? say_error(r, e) : 0;
}

/* ---- POST ---- */

/* The link is taken and the decision made together: of two that are sent at once one finds it taken. */
static int decide_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct page *p = arg;
    APPROVAL_VIEW_AUTO v = {0};
    DB_RESULT_AUTO taken = NULL;
    int r = approval_view_load(c, p->round, p->r->arena, &v, e);
    if (!r)
        r = db_run(c, Q_LINK_TAKE, &taken, e, db_bytes(p->hash, sizeof p->hash));
    if (!r && db_affected(taken) == 0)
        return err_set(e, ERR_CONFLICT, "This link was used; it is good for one decision.");
    if (r)
        return r;
    p->x.order_id = v.order;
    p->x.approval = p->round;
    struct decider d = {.person = p->person, .person_name = p->person_name, .actor = p->person, .actor_name = p->person_name, .via = "link", .address = p->r->remote_addr,
                        .request_id = p->r->request_id};
    return approval_decide(c, p->r->arena, &d, &p->x, e);
}

static int read_form(struct page *p, struct err *e)
{
    struct http_req *r = p->r;
    const char *proof = http_form_member(r->arena, r->body, r->body_len, "proof"), *decision = http_form_member(r->arena, r->body, r->body_len, "decision");
    const char *comment = http_form_member(r->arena, r->body, r->body_len, "comment");
    if (!proof || strlen(proof) != strlen(p->proof) || !crypto_equal(proof, p->proof, strlen(proof)))
        return err_set(e, ERR_INVALID, "this was not sent by the link's own page; open the link and decide there");
    if (!decision || (strcmp(decision, "approve") && strcmp(decision, "reject")))
        return err_set(e, ERR_INVALID, "the form says neither approve nor reject");
    if (comment && strlen(comment) > 8000)
        return err_set(e, ERR_INVALID, "the comment is too long");
    p->x.yes = !strcmp(decision, "approve");
    p->x.comment = comment ? comment : "";
    return 0;
}

int approve_page_post(struct http_req *r, struct err *e)
{
    struct page p = {.r = r};
    DB_CONN_AUTO c = NULL;
    int x = db_take(provision_get()->db, &c, e);
    if (!x)
        x = find_link(c, &p, e);
    db_givep(&c);
    if (!x)
        x = read_form(&p, e);
    if (!x) {
        x = db_tx(provision_get()->db, decide_tx, &p, e);
        services_forget(p.x.name);
    }
    if (x)
        return say_error(r, e);
    cluster_poke(provision_get()->cluster);
    if (p.x.missing > 0)
        return say(r, 200, "Approved", arena_printf(r->arena, "Your approval of %s counts. It waits for %lld more.", p.x.name, (long long)p.x.missing));
    return say(r, 200, p.x.yes ? "Approved" : "Rejected", p.x.yes ? arena_printf(r->arena, "%s goes on now with exactly the plan you saw.", p.x.name)
                                                                    : arena_printf(r->arena, "%s was refused; nothing was changed.", p.x.name));
}
