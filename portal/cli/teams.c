#include "portal/cli/cli.h"

static const struct column list_columns[] = {
    {"NAME", "name", COLUMN_TEXT}, {"TITLE", "title", COLUMN_TEXT}, {"COST CENTRE", "cost_centre", COLUMN_TEXT}, {"SINCE", "created_at", COLUMN_TIME}, {0},
};

static const struct column fields[] = {
    {"Team", "name", COLUMN_TEXT}, {"Title", "title", COLUMN_TEXT}, {"Cost centre", "cost_centre", COLUMN_TEXT}, {"Since", "created_at", COLUMN_TIME}, {0},
};

static const struct column member_columns[] = {
    {"MEMBER", "account", COLUMN_TEXT}, {"TITLE", "title", COLUMN_TEXT}, {"KIND", "kind", COLUMN_TEXT}, {"ROLES", "roles", COLUMN_LIST}, {0},
};

static int run_list(struct cli *c, struct err *e)
{
    return cli_print_list(c, "/api/v1/teams", list_columns, e);
}

static void print_team(struct cli *c, const json_t *team)
{
    const json_t *members = json_object_get(team, "members");
    output_document(&c->out, fields, team);
    if (c->out.format != OUTPUT_TABLE || !json_array_size(members))
        return;
    BUF_AUTO out = BUF_INIT;
    output_table(&out, member_columns, members, c->out.width, c->out.colour);
    fprintf(c->out.to, "\n%s", buf_cstr(&out));
}

static int run_show(struct cli *c, struct err *e)
{
    JSON_AUTO team = NULL;
    int code = cli_get(c, client_path(c->arena, "/api/v1/teams/{}", args_word(&c->args, 0)), &team, e);
    if (!code)
        print_team(c, team);
    return code;
}

static const struct flag create_flags[] = {
    {"title", 0, FLAG_TEXT, "TITLE", NULL, false, "the name that people read"},
    {"cost-centre", 0, FLAG_TEXT, "C", NULL, false, "who pays for its services"},
    FLAG_END,
};

static int run_create(struct cli *c, struct err *e)
{
    const struct args *a = &c->args;
    JSON_AUTO made = NULL;
    JSON_AUTO body = json_pack("{s:s, s:s*, s:s*}", "name", args_word(a, 0), "title", args_text(a, "title"), "cost_centre", args_text(a, "cost-centre"));
    if (!body)
        return args_wrong(e, "a word of this command is no UTF-8");
    int code = cli_send(c, "POST", "/api/v1/teams", body, "", &made, e);
    if (!code)
        print_team(c, made);
    return code;
}

const struct command teams_commands[] = {
    {"teams list", "", (const struct flag[]){FLAG_LIMIT, FLAG_END}, run_list, 0, 0, NULL, "teams that you may read", NULL},
    {"teams show", "TEAM", NULL, run_show, 1, 1, "teams", "one team with its members", NULL},
    {"teams create", "NAME", create_flags, run_create, 1, 1, NULL, "make a team", "Members come with `soma roles bind`.\n"},
    {0},
};
