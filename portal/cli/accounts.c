#include "portal/cli/cli.h"

static const struct column list_columns[] = {
    {"NAME", "name", COLUMN_TEXT},   {"TITLE", "title", COLUMN_TEXT}, {"TEAM", "team", COLUMN_TEXT}, {"OWNER", "owner", COLUMN_TEXT},
    {"STATE", "state", COLUMN_STATE}, {"ROLES", "roles", COLUMN_ROLES}, {0},
};

static const struct column fields[] = {
    {"Service account", "name", COLUMN_TEXT}, {"Title", "title", COLUMN_TEXT}, {"Team", "team", COLUMN_TEXT}, {"Owner", "owner", COLUMN_TEXT},
    {"State", "state", COLUMN_STATE},         {"Roles", "roles", COLUMN_ROLES}, {"Since", "created_at", COLUMN_TIME}, {0},
};

static int run_list(struct cli *c, struct err *e)
{
    return cli_print_list(c, "/api/v1/service-accounts", list_columns, e);
}

static int run_show(struct cli *c, struct err *e)
{
    JSON_AUTO account = NULL;
    int code = cli_get(c, client_path(c->arena, "/api/v1/service-accounts/{}", args_word(&c->args, 0)), &account, e);
    if (!code)
        output_document(&c->out, fields, account);
    return code;
}

static const struct flag create_flags[] = {
    {"team", 0, FLAG_TEXT, "TEAM", "teams", true, "the team it belongs to"},
    {"title", 0, FLAG_TEXT, "TITLE", NULL, false, "what it is for"},
    {"owner", 0, FLAG_TEXT, "PERSON", "people", false, "the person behind it; yourself unless you are platform-admin"},
    {"role", 0, FLAG_LIST, "viewer|developer|approver", NULL, false, "a role in the team"},
    FLAG_END,
};

static int run_create(struct cli *c, struct err *e)
{
    const struct args *a = &c->args;
    JSON_AUTO made = NULL;
    JSON_AUTO body = json_pack("{s:s, s:s, s:s*, s:s*}", "name", args_word(a, 0), "team", args_text(a, "team"), "title", args_text(a, "title"), "owner",
                               args_text(a, "owner"));
    if (!body)
        return args_wrong(e, "a word of this command is no UTF-8");
    const char *role;
    for (size_t i = 0; (role = args_nth(a, "role", i)); i++) {
        if (i == 0)
            json_object_set_new(body, "roles", json_array());
        json_array_append_new(json_object_get(body, "roles"), json_string(role));
    }
    int code = cli_send(c, "POST", "/api/v1/service-accounts", body, "", &made, e);
    if (code)
        return code;
    output_document(&c->out, fields, made);
    output_note("`soma tokens create NAME --service-account %s` makes a token for it.", args_word(a, 0));
    return EXIT_DONE;
}

static int turn(struct cli *c, const char *pattern, struct err *e)
{
    JSON_AUTO account = NULL;
    int code = cli_send(c, "POST", client_path(c->arena, pattern, args_word(&c->args, 0)), NULL, "", &account, e);
    if (!code)
        output_document(&c->out, fields, account);
    return code;
}

static int run_disable(struct cli *c, struct err *e)
{
    return turn(c, "/api/v1/service-accounts/{}/disable", e);
}

static int run_enable(struct cli *c, struct err *e)
{
    return turn(c, "/api/v1/service-accounts/{}/enable", e);
}

const struct command accounts_commands[] = {
    {"service-accounts list", "", (const struct flag[]){FLAG_LIMIT, FLAG_END}, run_list, 0, 0, NULL, "accounts of programs in the teams that you may read", NULL},
    {"service-accounts show", "ACCOUNT", NULL, run_show, 1, 1, "service-accounts", "one of them", NULL},
    {"service-accounts create", "NAME", create_flags, run_create, 1, 1, NULL, "make an account for a program",
     "It may never do more than the person behind it, who does not approve what it ordered.\n"},
    {"service-accounts disable", "ACCOUNT", NULL, run_disable, 1, 1, "service-accounts", "shut it out; its tokens are revoked", NULL},
    {"service-accounts enable", "ACCOUNT", NULL, run_enable, 1, 1, "service-accounts", "let it in again", NULL},
    {0},
};
