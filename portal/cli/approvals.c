/* Who must agree, and who did. */
#include <stdio.h>
#include <string.h>

#include "portal/cli/orders.h"
#include "portal/cli/watch.h"

static const struct column list_columns[] = {
    {"ORDER", "order.id", COLUMN_TEXT},       {"SERVICE", "order.name", COLUMN_TEXT}, {"KIND", "order.kind", COLUMN_TEXT},
    {"ENVIRONMENT", "order.environment", COLUMN_TEXT}, {"TEAM", "order.team", COLUMN_TEXT},    {"BY", "order.person", COLUMN_TEXT},
    {"STATE", "state", COLUMN_STATE},         {"ASKED", "asked_at", COLUMN_TIME},     {"EXPIRES", "expires_at", COLUMN_TIME},
    {0},
};

static const struct column delegation_columns[] = {
    {"ID", "id", COLUMN_TEXT},       {"FROM", "from", COLUMN_TEXT},       {"TO", "to", COLUMN_TEXT}, {"UNTIL", "until", COLUMN_TIME},
    {"STATE", "state", COLUMN_STATE}, {"COMMENT", "comment", COLUMN_TEXT}, {0},
};

static const struct column delegation_fields[] = {
    {"Delegation", "id", COLUMN_TEXT}, {"From", "from", COLUMN_TEXT},       {"To", "to", COLUMN_TEXT}, {"Until", "until", COLUMN_TIME},
    {"State", "state", COLUMN_STATE},  {"Comment", "comment", COLUMN_TEXT}, {0},
};

/* ---- deciding ---- */

static const struct flag decide_flags[] = {
    {"comment", 'm', FLAG_TEXT, "TEXT", NULL, false, "why; stands in the order's record"},
    FLAG_END,
};

static void tell(const json_t *order)
{
    long long missing = (long long)json_integer_value(json_object_get(order, "missing"));
    if (missing > 0)
        output_note("Approved. %s waits for %lld more.", json_string_value(json_object_get(order, "name")), missing);
    else
        watch_tell(order);
}

/* Decides about the round that was there when the order was looked at: a plan made anew in between is not approved unseen. */
static int decide(struct cli *c, const char *decision, struct err *e)
{
    JSON_AUTO order = NULL;
    JSON_AUTO after = NULL;
    int code = orders_find(c, args_word(&c->args, 0), &order, e);
    if (code)
        return code;
    const char *id = json_string_value(json_object_get(order, "id")), *round = json_string_value(output_at(order, "approval.id"));
    bool waits = round && !strcmp(json_string_value(output_at(order, "approval.state")), "waiting");
    JSON_AUTO body = json_pack("{s:s, s:s*, s:s*}", "decision", decision, "comment", args_text(&c->args, "comment"), "approval", waits ? round : NULL);
    if (!body)
        return err_set(e, ERR_INVALID, "the comment is no UTF-8");
    code = cli_send(c, "POST", client_path(c->arena, "/api/v1/orders/{}/approval", id), body, "", &after, e);
    if (code)
        return code;
    if (c->out.format != OUTPUT_TABLE)
        output_raw(&c->out, after);
    else
        tell(after);
    return EXIT_DONE;
}

static int run_approve(struct cli *c, struct err *e)
{
    return decide(c, "approve", e);
}

static int run_reject(struct cli *c, struct err *e)
{
    return decide(c, "reject", e);
}

/* ---- lists ---- */

static const struct flag list_flags[] = {
    {"all", 'a', FLAG_BOOL, NULL, NULL, false, "not only what waits for you"},
    {"state", 0, FLAG_TEXT, "STATE", NULL, false, "waiting, approved, rejected, expired, canceled or replaced"},
    {"team", 0, FLAG_TEXT, "TEAM", "teams", false, "only this team's"},
    FLAG_LIMIT,
    FLAG_END,
};

static int run_list(struct cli *c, struct err *e)
{
    const struct args *a = &c->args;
    const char *state = args_text(a, "state"), *team = args_text(a, "team");
    return cli_print_list(c, client_query(c->arena, "/api/v1/approvals", "for", args_has(a, "all") || state || team ? "all" : "me", "state", state, "team", team, NULL),
                          list_columns, e);
}

/* ---- delegation ---- */

static const struct flag delegate_flags[] = {
    {"until", 0, FLAG_TEXT, "DATE", NULL, true, "the last day, 2026-12-31 (UTC), or a moment, 2026-12-31T18:00:00Z"},
    {"comment", 'm', FLAG_TEXT, "TEXT", NULL, false, "why"},
    FLAG_END,
};

static int run_delegate(struct cli *c, struct err *e)
{
    const char *until = args_text(&c->args, "until");
    JSON_AUTO made = NULL;
    if (strlen(until) == 10)
        until = arena_printf(c->arena, "%sT23:59:59Z", until);
    JSON_AUTO body = json_pack("{s:s, s:s, s:s*}", "to", args_word(&c->args, 0), "until", until, "comment", args_text(&c->args, "comment"));
    if (!body)
        return err_set(e, ERR_INVALID, "a word of this command is no UTF-8");
    int code = cli_send(c, "POST", "/api/v1/approvals/delegations", body, "", &made, e);
    if (!code)
        output_document(&c->out, delegation_fields, made);
    return code;
}

static int run_delegations(struct cli *c, struct err *e)
{
    return cli_print_list(c, "/api/v1/approvals/delegations", delegation_columns, e);
}

static int run_revoke(struct cli *c, struct err *e)
{
    JSON_AUTO after = NULL;
    int code = cli_send(c, "POST", client_path(c->arena, "/api/v1/approvals/delegations/{}/revoke", args_word(&c->args, 0)), NULL, "", &after, e);
    if (!code)
        output_document(&c->out, delegation_fields, after);
    return code;
}

#define NAMING "ORDER is an order's id, or the name of a service: then its newest order.\n"
#define OWN "Nobody decides about an order of their own. One person counts once.\n"

const struct command approvals_commands[] = {
    {"approve", "ORDER", decide_flags, run_approve, 1, 1, "services", "let an order go on that a gate stopped", NAMING OWN},
    {"reject", "ORDER", decide_flags, run_reject, 1, 1, "services", "refuse an order that a gate stopped", NAMING OWN},
    {"orders approve", "ORDER", decide_flags, run_approve, 1, 1, "services", "the same as `soma approve`", NAMING OWN},
    {"orders reject", "ORDER", decide_flags, run_reject, 1, 1, "services", "the same as `soma reject`", NAMING OWN},
    {"approvals list", "", list_flags, run_list, 0, 0, NULL, "orders that wait for your approval", "With --all, --state or --team those of others, too.\n"},
    {"approvals delegate", "PERSON", delegate_flags, run_delegate, 1, 1, "people", "hand your right to approve to somebody until a date",
     "They approve what you could; never an order of theirs or of yours, and they cannot hand it on.\n"},
    {"approvals delegations", "", (const struct flag[]){FLAG_LIMIT, FLAG_END}, run_delegations, 0, 0, NULL, "rights that were handed over, by you or to you", NULL},
    {"approvals revoke", "DELEGATION", NULL, run_revoke, 1, 1, NULL, "take a right back that was handed over, or give it back", NULL},
    {0},
};
