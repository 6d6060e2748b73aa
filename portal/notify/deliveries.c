/* What was sent and how it went: for administrators; and a message to try the settings with. */
#include <stdio.h>
#include <string.h>

#include "notify_queries.h"
#include "portal/audit/audit.h"
#include "portal/auth/auth.h"
#include "portal/auth/idempotency.h"
#include "portal/cluster/cluster.h"
#include "portal/core/id.h"
#include "portal/crypto/cursor.h"
#include "portal/json/json.h"
#include "portal/notify/notify_private.h"

const struct http_route notify_routes[] = {
    {"GET", "/api/v1/notify/deliveries", "listDeliveries", "platform-admin", deliveries_list, 0, 0},
    {"GET", "/api/v1/notify/deliveries/{id}", "getDelivery", "platform-admin", deliveries_show, 0, 0},
    {"POST", "/api/v1/notify/test", "testNotification", "platform-admin", notify_try, HTTP_IDEMPOTENT, 4096},
    {"POST", "/api/v1/slack/interactions", "callSlackInteractions", "public", slack_interactions, HTTP_RAW_BODY | HTTP_NO_CSRF, 256 * 1024},
    {"POST", "/api/v1/slack/link", "linkSlackByCode", "signed-in", slack_link_redeem, HTTP_IDEMPOTENT, 4096},
    {"GET", "/api/v1/people/{name}/slack", "getSlackUser", "signed-in", slack_link_show, 0, 0},
    {"PUT", "/api/v1/people/{name}/slack", "linkSlack", "platform-admin", slack_link_put, HTTP_IDEMPOTENT, 4096},
    {"DELETE", "/api/v1/people/{name}/slack", "unlinkSlack", "signed-in", slack_link_delete, HTTP_IDEMPOTENT, 0},
    {0},
};

/* ---- kinds of our own ---- */

static int compose_test(struct db_conn *c, const struct notify_delivery *d, struct arena *a, struct notify_message *ret, struct err *e)
{
    (void)c;
    (void)e;
    const char *by = json_string_value(json_object_get(d->data, "by"));
    ret->subject = "Soma can send to you";
    ret->text = arena_printf(a, "This message was sent by %s from %s to try the settings. Nothing is to be done.\n", by ? by : "an administrator", notify_public_url());
    return 0;
}

static int compose_response(struct db_conn *c, const struct notify_delivery *d, struct arena *a, struct notify_message *ret, struct err *e)
{
    (void)c;
    (void)a;
    if (!d->secret || !slack_may_answer(d->secret))
        return err_set(e, ERR_CANCELED, "there is no address to answer to");
    const char *text = json_string_value(json_object_get(d->data, "text"));
    ret->subject = "Soma";
    ret->text = text ? text : "";
    ret->slack = json_incref((json_t *)(uintptr_t)d->data);
    return 0;
}

void notify_register_builtin(void)
{
    static const struct notify_kind own[] = {{"test", compose_test}, {"slack.response", compose_response}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        notify_register(&own[i]);
}

/* ---- routes ---- */

int deliveries_list(struct http_req *r, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int64_t limit;
    const char *cursor = http_query(r, "cursor"), *after = NULL;
    int x = http_query_int(r, "limit", 50, 1, 500, &limit, e);
    if (!x && cursor)
        x = cursor_open(cursor, r->route->operation, r->arena, &after, e);
    if (!x)
        x = db_take(notify_get()->db, &c, e);
    if (!x)
        x = db_run(c, Q_DELIVERY_PAGE, &rows, e, db_text(http_query(r, "state")), db_text(after), db_int(limit + 1));
    return x ? x : auth_reply_page(r, rows, limit, e);
}

int deliveries_show(struct http_req *r, struct err *e)
{
    const char *id = http_param(r, "id");
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    int x = id_valid(id) ? db_take(notify_get()->db, &c, e) : ERR_NOT_FOUND;
    if (!x)
        x = db_one(c, Q_DELIVERY_GET, &row, e, db_text(id));
    if (x == ERR_NOT_FOUND)
        return err_set(e, x, "there is no delivery `%.40s`", id);
    return x ? x : http_reply(r, 200, "application/json", db_str(row, 0, 0), strlen(db_str(row, 0, 0)));
}

struct trying { struct http_req *r; const char *channel, *to, *address, *person, *answer; char id[ID_LEN + 1]; };

/* Mail goes to an address, or to that of a person. */
static int find_address(struct db_conn *c, struct trying *t, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    t->address = t->to ? t->to : "";
    if (strcmp(t->channel, NOTIFY_MAIL) || strchr(t->address, '@'))
        return 0;
    int r = db_run(c, Q_NOTIFY_PERSON, &row, e, db_text(t->to ? t->to : t->r->who->person_name));
    if (r)
        return r;
    if (db_rows(row) == 0 || db_is_null(row, 0, 1))
        return err_field(e, "/to", "is neither an address nor a person with one; `soma people update NAME --email ADDRESS` sets it");
    t->person = arena_strdup(t->r->arena, db_str(row, 0, 0));
    t->address = arena_strdup(t->r->arena, db_str(row, 0, 1));
    return 0;
}

static int try_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct trying *t = arg;
    struct http_req *r = t->r;
    DB_RESULT_AUTO row = NULL;
    BUF_AUTO data = BUF_INIT;
    int x = find_address(c, t, e);
    if (!x && !strcmp(t->channel, NOTIFY_MAIL) && !auth_email_valid(t->address))
        x = err_field(e, "/to", "is not an address that mail can be sent to");
    if (x)
        return x;
    buf_char(&data, '{');
    buf_json_kv(&data, "by", r->who->name);
    buf_char(&data, '}');
    struct notify_spec s = {.kind = "test", .channel = t->channel, .address = t->address, .person = t->person, .about = "test", .data = data.data};
    x = notify_enqueue(c, &s, t->id, e);
    if (!x)
        x = db_one(c, Q_DELIVERY_GET, &row, e, db_text(t->id));
    if (x)
        return x;
    t->answer = arena_strdup(r->arena, db_str(row, 0, 0));
    struct audit_entry a = {.action = "notify.test", .subject = arena_printf(r->arena, "delivery:%s", t->id), .after = t->answer};
    audit_from_request(&a, r);
    x = idempotency_record(c, r, 202, NULL, t->answer, strlen(t->answer), e);
    return x ? x : audit_append(c, &a, e);
}

int notify_try(struct http_req *r, struct err *e)
{
    struct trying t = {.r = r, .channel = json_string_value(json_object_get(r->json, "channel")), .to = json_string_value(json_object_get(r->json, "to"))};
    bool mail = !strcmp(t.channel, NOTIFY_MAIL);
    if (mail ? !notify_has_mail() : !notify_has_slack())
        return err_set(e, ERR_CONFLICT, mail ? "no mail server is configured on this node: smtp_server, smtp_from" : "no Slack is configured on this node: slack_webhook or slack_bot_token");
    int x = db_tx(notify_get()->db, try_tx, &t, e);
    if (x)
        return x;
    cluster_poke(notify_get()->cluster);
    return http_reply(r, 202, "application/json", t.answer, strlen(t.answer));
}
