/* What comes from Slack: a button was pressed. The body is believed only with Slack's signature, fresh and seen for the first time; the user only when they are linked to a
 * person here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify_queries.h"
#include "portal/cluster/cluster.h"
#include "portal/core/clock.h"
#include "portal/core/log.h"
#include "portal/crypto/crypto.h"
#include "portal/http/page.h"
#include "portal/json/json.h"
#include "portal/notify/notify_private.h"

#define FRESH_S 300
#define BUTTONS_MAX 16
static const struct notify_button *buttons[BUTTONS_MAX]; /* written before threads start */
static size_t n_buttons;

void notify_register_button(const struct notify_button *b)
{
    if (n_buttons < BUTTONS_MAX)
        buttons[n_buttons++] = b;
    else
        log_error("more buttons than there is room for", LOG_S("action", b->action));
}

int slack_check_signature(const char *secret, const char *timestamp, const char *signature, const void *body, size_t len, int64_t now_s, struct err *e)
{
    size_t digits = timestamp ? strspn(timestamp, "0123456789") : 0;
    if (!signature || digits == 0 || digits > 12 || timestamp[digits])
        return err_set(e, ERR_UNAUTHENTICATED, "X-Slack-Request-Timestamp and X-Slack-Signature are needed");
    int64_t age = now_s - strtoll(timestamp, NULL, 10);
    if (age > FRESH_S || age < -FRESH_S)
        return err_set(e, ERR_UNAUTHENTICATED, "the request is older than five minutes, or a clock is wrong");
    BUF_AUTO base = BUF_INIT;
    buf_printf(&base, "v0:%s:", timestamp);
    buf_add(&base, body, len);
    bool good = !strncmp(signature, "v0=", 3) && strlen(signature) == 3 + 2 * CRYPTO_DIGEST && crypto_hmac_matches(secret, strlen(secret), base.data, base.len, signature + 3);
    buf_wipe(&base);
    return good ? 0 : err_set(e, ERR_UNAUTHENTICATED, "the signature is not Slack's; slack_signing_secret must be that of the app");
}

struct incoming {
    struct http_req *r;
    uint8_t digest[CRYPTO_DIGEST];
    const char *user, *team, *action, *value, *response_url; /* of the payload; NULL: not there */
    const char *person, *person_name, *text;
    bool replace;
};

/* One signature is good once: a request that was overheard changes nothing. */
static int seen_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct incoming *in = arg;
    DB_RESULT_AUTO row = NULL;
    int r = db_run(c, Q_SLACK_SEEN, &row, e, db_bytes(in->digest, sizeof in->digest));
    if (!r && db_affected(row) == 0)
        r = err_set(e, ERR_UNAUTHENTICATED, "this request was sent before");
    return r;
}

static int verify(struct incoming *in, struct err *e)
{
    struct http_req *r = in->r;
    const char *secret = notify_get()->slack_secret, *signature = http_header(r, "X-Slack-Signature");
    if (!secret)
        return err_set(e, ERR_NOT_FOUND, "buttons in Slack are not answered here: slack_signing_secret is not set");
    int x = slack_check_signature(secret, http_header(r, "X-Slack-Request-Timestamp"), signature, r->body ? r->body : "", r->body_len, clock_wall_ms() / 1000, e);
    if (x)
        return x;
    crypto_sha256(signature, strlen(signature), in->digest);
    return db_tx(notify_get()->db, seen_tx, in, e);
}

static const char *text_at(struct arena *a, const json_t *j, const char *pointer)
{
    return arena_strdup(a, json_string_value(json_pointer_get(j, pointer)));
}

static int read_payload(struct incoming *in, struct err *e)
{
    struct arena *a = in->r->arena;
    const char *payload = http_form_member(a, in->r->body, in->r->body_len, "payload");
    json_t *j = NULL;
    if (!payload)
        return err_set(e, ERR_INVALID, "the form has no member `payload`");
    int x = json_read(payload, strlen(payload), 32, &j, e);
    if (x)
        return err_prefix(e, "payload");
    const char *type = json_string_value(json_object_get(j, "type"));
    if (type && !strcmp(type, "block_actions")) {
        in->user = text_at(a, j, "/user/id");
        in->team = text_at(a, j, "/team/id");
        in->action = text_at(a, j, "/actions/0/action_id");
        in->value = text_at(a, j, "/actions/0/value");
        in->response_url = text_at(a, j, "/response_url");
    }
    json_decref(j);
    return 0;
}

static int find_person_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct incoming *in = arg;
    struct arena *a = in->r->arena;
    DB_RESULT_AUTO row = NULL;
    char code[16];
    int r = db_run(c, Q_SLACK_PERSON, &row, e, db_text(in->user), db_text(in->team ? in->team : ""));
    if (r)
        return r;
    if (db_rows(row)) {
        in->person = arena_strdup(a, db_str(row, 0, 0));
        in->person_name = arena_strdup(a, db_str(row, 0, 1));
        return 0;
    }
    if ((r = slack_code_new(c, in->team ? in->team : "", in->user, code, e)))
        return r;
    in->text = arena_printf(a, "Your Slack user is not linked to a person in Soma, so nothing was done. Sign in and say within 10 minutes: soma people link-slack --code %s", code);
    return 0;
}

static void press(struct incoming *in)
{
    struct err e = ERR_INIT;
    for (size_t i = 0; i < n_buttons; i++) {
        if (strcmp(buttons[i]->action, in->action))
            continue;
        struct notify_press p = {.action = in->action, .value = in->value ? in->value : "", .person = in->person, .person_name = in->person_name,
                                 .address = in->r->remote_addr, .request_id = in->r->request_id};
        if (buttons[i]->press(&p, in->r->arena, &in->text, &in->replace, &e))
            in->text = arena_printf(in->r->arena, "Not done: %s", e.msg);
        return;
    }
    in->text = "This button does nothing in Soma.";
}

static json_t *message_of(const struct incoming *in)
{
    json_t *m = json_pack("{s:o, s:b}", "text", json_text(in->text), "replace_original", in->replace);
    if (!in->replace)
        json_object_set_new(m, "response_type", json_string("ephemeral"));
    return m;
}

/* The answer that the user sees goes to the address that came with the request, as a delivery. */
static int answer_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct incoming *in = arg;
    json_t *m = message_of(in);
    BUF_AUTO data = BUF_INIT;
    json_write(m, &data);
    json_decref(m);
    struct notify_spec s = {.kind = "slack.response", .channel = NOTIFY_SLACK_RESPONSE, .person = in->person, .about = "slack", .data = data.data, .secret = in->response_url};
    return notify_enqueue(c, &s, NULL, e);
}

static int answer_press(struct incoming *in, struct err *e)
{
    if (in->response_url && slack_may_answer(in->response_url)) {
        int x = db_tx(notify_get()->db, answer_tx, in, e);
        if (x)
            return x;
        cluster_poke(notify_get()->cluster);
    }
    json_t *m = message_of(in);
    int x = http_reply_json_t(in->r, 200, m);
    json_decref(m);
    return x;
}

int slack_interactions(struct http_req *r, struct err *e)
{
    struct incoming in = {.r = r};
    int x = verify(&in, e);
    if (!x)
        x = read_payload(&in, e);
    if (x)
        return x;
    if (!in.user || !in.action)
        return http_reply(r, 200, "application/json", "{}", 2);
    if ((x = db_tx(notify_get()->db, find_person_tx, &in, e)))
        return x;
    if (in.person)
        press(&in);
    return answer_press(&in, e);
}
