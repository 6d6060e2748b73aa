#include "portal/cli/cli.h"

static const struct column columns[] = {
    {"ID", "id", COLUMN_NUMBER},     {"AT", "at", COLUMN_TIME},           {"ACTOR", "actor_name", COLUMN_TEXT}, {"PERSON", "person", COLUMN_TEXT}, {"ACTION", "action", COLUMN_TEXT},
    {"SUBJECT", "subject", COLUMN_TEXT}, {"TEAM", "team", COLUMN_TEXT}, {"ADDRESS", "address", COLUMN_TEXT},  {0},
};

static const struct flag list_flags[] = {
    {"action", 0, FLAG_TEXT, "ACTION", NULL, false, "only these: secret.reveal, or all of a kind: secret.*"},
    {"actor", 0, FLAG_TEXT, "NAME", "people", false, "only what this account, or the person behind it, did"},
    {"subject", 0, FLAG_TEXT, "SUBJECT", NULL, false, "only about this: service:orders-db"},
    {"team", 0, FLAG_TEXT, "TEAM", "teams", false, "only this team's"},
    {"since", 0, FLAG_TEXT, "TIME", NULL, false, "not before: 2026-01-31T10:00:00Z"},
    {"until", 0, FLAG_TEXT, "TIME", NULL, false, "before"},
    FLAG_LIMIT,
    FLAG_END,
};

static int run_list(struct cli *c, struct err *e)
{
    const struct args *a = &c->args;
    return cli_print_list(c, client_query(c->arena, "/api/v1/audit", "action", args_text(a, "action"), "actor", args_text(a, "actor"), "subject", args_text(a, "subject"),
                                          "team", args_text(a, "team"), "since", args_text(a, "since"), "until", args_text(a, "until"), NULL), columns, e);
}

static const struct flag verify_flags[] = {
    {"anchor", 0, FLAG_TEXT, "ID:HASH", NULL, false, "a head that was kept earlier: the chain must still contain it"},
    FLAG_END,
};

/* Exit status 1 when the chain is broken, so that a script can watch over it. */
static int run_verify(struct cli *c, struct err *e)
{
    JSON_AUTO verdict = NULL;
    int code = cli_get(c, client_query(c->arena, "/api/v1/audit/verify", "anchor", args_text(&c->args, "anchor"), NULL), &verdict, e);
    if (code)
        return code;
    bool intact = json_is_true(json_object_get(verdict, "intact"));
    long long entries = (long long)json_integer_value(json_object_get(verdict, "entries"));
    const char *anchor = json_string_value(output_at(verdict, "head.anchor")), *problem = json_string_value(json_object_get(verdict, "problem"));
    if (c->out.format != OUTPUT_TABLE)
        output_raw(&c->out, verdict);
    else if (intact)
        fprintf(c->out.to, "The chain of %lld entries is intact.\n%s%s%s", entries, anchor ? "Keep this head elsewhere, and give it as --anchor later: " : "", anchor ? anchor : "",
                anchor ? "\n" : "");
    if (intact)
        return EXIT_DONE;
    output_note("soma: the audit log is broken: %s", problem ? problem : "the server does not say where");
    return EXIT_FAILED;
}

const struct command audit_commands[] = {
    {"audit list", "", list_flags, run_list, 0, 0, NULL, "every write and every look at a secret, newest first", NULL},
    {"audit verify", "", verify_flags, run_verify, 0, 0, NULL, "check the chain of the log", "Exit status: 0 intact, 1 broken.\n"},
    {0},
};
