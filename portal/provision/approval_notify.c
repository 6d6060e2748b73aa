/* People are told that they are asked, that time passes, and how it ended: by mail with a link of their own, and by Slack with buttons.
 *
 * Composing happens when a message is sent: so a link's token is in no queue, and who has decided meanwhile is not written to. */
#include <stdio.h>
#include <string.h>

#include "portal/core/id.h"
#include "portal/crypto/crypto.h"
#include "portal/json/json.h"
#include "portal/provision/approval_private.h"
#include "provision_queries.h"

#define CHANGES_MAX 40
#define BUTTON_APPROVE "soma_approve"
#define BUTTON_REJECT "soma_reject"

int approval_tell(struct db_conn *c, const char *round, const char *what, struct err *e)
{
    char subject[64];
    snprintf(subject, sizeof subject, "%s/%s", round, what);
    struct jobs_spec job = {.kind = "approval.notify", .subject = subject, .priority = -5};
    return jobs_enqueue(c, &job, NULL, e);
}

/* ---- whom to tell ---- */

struct telling { struct job *j; char round[ID_LEN + 1]; const char *what; };

static int enqueue(struct db_conn *c, const struct telling *t, const char *kind, const char *channel, const char *address, const char *person, struct err *e)
{
    char about[64];
    snprintf(about, sizeof about, "approval:%s", t->round);
    BUF_AUTO data = BUF_INIT;
    buf_char(&data, '{');
    buf_json_kv(&data, "approval", t->round);
    buf_char(&data, '}');
    struct notify_spec s = {.kind = kind, .channel = channel, .address = address, .person = person, .about = about, .data = data.data};
    return notify_enqueue(c, &s, NULL, e);
}

static int tell_one(struct db_conn *c, const struct telling *t, const char *kind, const struct db_result *rows, int i, struct err *e)
{
    int r = 0;
    const char *person = db_str(rows, i, 0), *mail = db_str_or_null(rows, i, 1), *slack = db_str_or_null(rows, i, 2);
    if (notify_has_mail() && mail && *mail)
        r = enqueue(c, t, kind, NOTIFY_MAIL, mail, person, e);
    if (!r && notify_slack_is_direct() && slack)
        r = enqueue(c, t, kind, NOTIFY_SLACK, slack, person, e);
    return r;
}

static int tell_asked(struct db_conn *c, const struct telling *t, const char *kind, struct err *e)
{
    DB_RESULT_AUTO rows = NULL;
    int r = db_run(c, Q_APPROVAL_RECIPIENTS, &rows, e, db_text(t->round));
    for (int i = 0; !r && i < db_rows(rows); i++)
        r = tell_one(c, t, kind, rows, i, e);
    if (!r && notify_has_slack() && !notify_slack_is_direct())
        r = enqueue(c, t, kind, NOTIFY_SLACK, "", NULL, e);
    return r;
}

static int notify_tx(struct db_conn *c, void *arg, struct err *e)
{
    const struct telling *t = arg;
    DB_RESULT_AUTO orderer = NULL;
    int r = jobs_guard(c, t->j, e);
    if (r)
        return r;
    if (strcmp(t->what, "ended"))
        return tell_asked(c, t, !strcmp(t->what, "asked") ? "approval.asked" : "approval.reminder", e);
    r = db_run(c, Q_APPROVAL_ORDERER, &orderer, e, db_text(t->round));
    return r || db_rows(orderer) == 0 ? r : tell_one(c, t, "approval.ended", orderer, 0, e);
}

int approval_notify(struct job *j, struct err *e)
{
    struct telling t = {.j = j};
    const char *slash = strchr(j->subject, '/');
    if (!slash || slash - j->subject != ID_LEN)
        return err_set(e, ERR_INVALID, "`%s` names no round of approval", j->subject), JOBS_DEAD;
    memcpy(t.round, j->subject, ID_LEN);
    t.what = slash + 1;
    if (!notify_has_mail() && !notify_has_slack())
        return JOBS_DONE;
    int r = db_tx(j->db, notify_tx, &t, e);
    if (!r)
        cluster_poke(provision_get()->cluster);
    return r ? JOBS_RETRY : JOBS_DONE;
}

/* ---- what they are told ---- */

static void text_line(const char *sign, const char *address, void *arg)
{
    buf_printf(arg, "  %s %s\n", sign, address);
}

static void plan_line(const struct approval_view *v, struct buf *b)
{
    static const char *const counts[] = {"add", "change", "destroy"};
    buf_str(b, "Plan:");
    for (size_t i = 0; i < 3; i++)
        buf_printf(b, "%s %lld to %s", i ? "," : "", (long long)json_integer_value(json_object_get(v->plan, counts[i])), counts[i]);
    buf_char(b, '\n');
}

static const char *asked_text(const struct approval_view *v, const char *url, bool again, struct arena *a)
{
    BUF_AUTO b = BUF_INIT;
    if (again)
        buf_str(&b, "This is still waiting for you.\n\n");
    buf_printf(&b, "%s asks to %s.\n\n", v->orderer, approval_view_title(v, a));
    buf_printf(&b, "Why you are asked: %s\nUntil: %s\n", v->reason, v->expires_at);
    if (*v->price)
        buf_printf(&b, "Price: %s\n", v->price);
    plan_line(v, &b);
    approval_view_changes(v, CHANGES_MAX, text_line, &b);
    if (url)
        buf_printf(&b, "\nApprove or reject it on this page. The link is for you alone and good for one decision; opening it decides nothing:\n%s\n", url);
    buf_printf(&b, "\nOr from a shell: soma approve %s   or   soma reject %s --comment '...'\n", v->order, v->order);
    const char *text = arena_strdup(a, b.data);
    buf_wipe(&b);
    return text;
}

/* Slack's three special characters. */
static void slack_escape(struct buf *b, const char *s)
{
    for (; *s; s++)
        if (*s == '&')
            buf_str(b, "&amp;");
        else if (*s == '<')
            buf_str(b, "&lt;");
        else if (*s == '>')
            buf_str(b, "&gt;");
        else
            buf_char(b, *s);
}

static void slack_line(const char *sign, const char *address, void *arg)
{
    slack_escape(arg, sign);
    buf_char(arg, ' ');
    slack_escape(arg, address);
    buf_char(arg, '\n');
}

static json_t *button(const char *action, const char *text, const char *style, const char *value)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:{s:s,s:s}}", "type", "button", "action_id", action, "style", style, "value", value, "text", "type", "plain_text", "text", text);
}

static json_t *asked_slack(const struct approval_view *v, bool again, struct arena *a)
{
    BUF_AUTO b = BUF_INIT;
    buf_printf(&b, "%s*", again ? "Still waiting: " : "");
    slack_escape(&b, v->orderer);
    buf_str(&b, "* asks to ");
    slack_escape(&b, approval_view_title(v, a));
    buf_str(&b, "\n");
    slack_escape(&b, v->reason);
    buf_printf(&b, "\nUntil %s", v->expires_at);
    if (*v->price) {
        buf_str(&b, "\nPrice: ");
        slack_escape(&b, v->price);
    }
    buf_char(&b, '\n');
    plan_line(v, &b);
    buf_str(&b, "```\n");
    approval_view_changes(v, 15, slack_line, &b);
    buf_str(&b, "```");
    json_t *section = json_pack("{s:s,s:{s:s,s:o}}", "type", "section", "text", "type", "mrkdwn", "text", json_textn(b.data, b.len < 2900 ? b.len : 2900));
    json_t *actions = json_pack("{s:s,s:[o,o]}", "type", "actions", "elements", button(BUTTON_APPROVE, "Approve", "primary", v->round),
                                button(BUTTON_REJECT, "Reject", "danger", v->round));
    return json_pack("{s:o,s:[o,o]}", "text", json_text(arena_printf(a, "%s asks to %s", v->orderer, approval_view_title(v, a))), "blocks", section, actions);
}

static const char *round_of(const struct notify_delivery *d)
{
    const char *round = json_string_value(json_object_get(d->data, "approval"));
    return round && id_valid(round) ? round : "00000000-0000-4000-8000-000000000000";
}

static int compose_asked(struct db_conn *c, const struct notify_delivery *d, struct arena *a, struct notify_message *ret, struct err *e)
{
    APPROVAL_VIEW_AUTO v = {0};
    DB_RESULT_AUTO decided = NULL;
    const char *url = NULL;
    bool again = !strcmp(d->kind, "approval.reminder"), mail = !strcmp(d->channel, NOTIFY_MAIL);
    int r = approval_view_load(c, round_of(d), a, &v, e);
    if (r == ERR_NOT_FOUND || (!r && (strcmp(v.state, "waiting") || v.over)))
        return err_set(e, ERR_CANCELED, "the order does not wait any more");
    if (!r && d->person)
        r = db_run(c, Q_APPROVAL_DECIDED, &decided, e, db_text(v.round), db_text(d->person));
    if (!r && decided && db_rows(decided))
        return err_set(e, ERR_CANCELED, "%s has decided", d->person_name);
    if (!r && mail && d->person)
        r = approval_link_new(c, v.round, d->person, a, &url, e);
    if (r)
        return r;
    ret->subject = arena_printf(a, "%s: %s %s in %s (team %s)", again ? "Still waiting for approval" : "Approval needed", v.kind, v.name, v.environment, v.team);
    ret->text = asked_text(&v, url, again, a);
    ret->slack = mail ? NULL : asked_slack(&v, again, a);
    return 0;
}

static int compose_ended(struct db_conn *c, const struct notify_delivery *d, struct arena *a, struct notify_message *ret, struct err *e)
{
    APPROVAL_VIEW_AUTO v = {0};
    int r = approval_view_load(c, round_of(d), a, &v, e);
    if (r)
        return r == ERR_NOT_FOUND ? err_set(e, ERR_CANCELED, "the order is gone") : r;
    ret->subject = arena_printf(a, "Your order is %s: %s %s in %s", v.state, v.kind, v.name, v.environment);
    ret->text = arena_printf(a, "Your order to %s: %s\n\nLook at it with: soma orders show %s\n", approval_view_title(&v, a), *v.ended ? v.ended : v.state, v.order);
    return 0;
}

/* ---- buttons ---- */

struct pressing { const struct notify_press *p; struct arena *arena; struct decision x; };

static int press_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct pressing *k = arg;
    const struct notify_press *p = k->p;
    DB_RESULT_AUTO row = NULL;
    int r = id_valid(p->value) ? db_run(c, Q_APPROVAL_GET, &row, e, db_text(p->value)) : 0;
    if (!r && (!row || db_rows(row) == 0))
        return err_set(e, ERR_NOT_FOUND, "there is no such approval any more");
    if (r)
        return r;
    struct decider d = {.person = p->person, .person_name = p->person_name, .actor = p->person, .actor_name = p->person_name, .via = "slack", .address = p->address,
                        .request_id = p->request_id};
    k->x.order_id = arena_strdup(k->arena, db_str(row, 0, 1));
    k->x.approval = p->value;
    k->x.comment = "";
    return approval_decide(c, k->arena, &d, &k->x, e);
}

static int press(const struct notify_press *p, struct arena *a, const char **ret_text, bool *ret_replace, struct err *e)
{
    struct pressing k = {.p = p, .arena = a, .x = {.yes = !strcmp(p->action, BUTTON_APPROVE)}};
    int r = db_tx(provision_get()->db, press_tx, &k, e);
    services_forget(k.x.name);
    if (r)
        return r;
    cluster_poke(provision_get()->cluster);
    if (k.x.missing > 0)
        *ret_text = arena_printf(a, "Your approval of %s counts; %lld more needed.", k.x.name, (long long)k.x.missing);
    else
        *ret_text = arena_printf(a, "%s was %s by %s.", k.x.name, k.x.yes ? "approved" : "rejected", p->person_name);
    *ret_replace = k.x.missing == 0;
    return 0;
}

void provision_register_messages(void)
{
    static const struct notify_kind kinds[] = {{"approval.asked", compose_asked}, {"approval.reminder", compose_asked}, {"approval.ended", compose_ended}};
    static const struct notify_button buttons[] = {{BUTTON_APPROVE, press}, {BUTTON_REJECT, press}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        notify_register(&kinds[i]);
    for (size_t i = 0; i < sizeof buttons / sizeof *buttons; i++)
        notify_register_button(&buttons[i]);
}
