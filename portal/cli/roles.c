#include "portal/cli/cli.h"

#include <string.h>

static const struct column columns[] = {
    {"ACCOUNT", "account", COLUMN_TEXT}, {"ROLE", "role", COLUMN_TEXT}, {"TEAM", "team", COLUMN_TEXT}, {"KIND", "kind", COLUMN_TEXT}, {"ID", "id", COLUMN_TEXT}, {0},
};

static const struct flag list_flags[] = {
    {"account", 0, FLAG_TEXT, "ACCOUNT", "people", false, "only this account's"},
    {"team", 0, FLAG_TEXT, "TEAM", "teams", false, "only those in this team"},
    FLAG_LIMIT,
    FLAG_END,
};

static int run_list(struct cli *c, struct err *e)
{
    const struct args *a = &c->args;
    return cli_print_list(c, client_query(c->arena, "/api/v1/roles/bindings", "account", args_text(a, "account"), "team", args_text(a, "team"), NULL), columns, e);
}

static const struct flag bind_flags[] = {
    {"team", 0, FLAG_TEXT, "TEAM", "teams", false, "in this team; without it everywhere"},
    {"everywhere", 0, FLAG_BOOL, NULL, NULL, false, "say that a missing --team is meant"},
    FLAG_END,
};

static const char *const role_names[] = {"viewer", "developer", "approver", "platform-admin", NULL};

/* ACCOUNT ROLE; the role is checked here so that two words in the wrong order are told apart. */
static int read_binding(struct cli *c, const char **ret_account, const char **ret_role, struct err *e)
{
    *ret_account = args_word(&c->args, 0);
    *ret_role = args_word(&c->args, 1);
    for (size_t i = 0; role_names[i]; i++)
        if (!strcmp(role_names[i], *ret_role))
            return 0;
    return args_wrong(e, "\"%s\" is no role; roles are viewer, developer, approver, platform-admin", *ret_role);
}

static int run_bind(struct cli *c, struct err *e)
{
    const char *account, *role;
    JSON_AUTO made = NULL;
    int code = read_binding(c, &account, &role, e);
    if (code)
        return code;
    const char *team = args_text(&c->args, "team");
    if (team && args_has(&c->args, "everywhere"))
        return args_wrong(e, "--team and --everywhere contradict each other");
    JSON_AUTO body = json_pack("{s:s, s:s, s:s*}", "account", account, "role", role, "team", team);
    if (!body)
        return args_wrong(e, "a word of this command is no UTF-8");
    code = cli_send(c, "POST", "/api/v1/roles/bindings", body, "", &made, e);
    if (code)
        return code;
    if (c->out.format != OUTPUT_TABLE)
        output_raw(&c->out, made);
    else
        output_note("%s is %s %s%s.", account, role, team ? "in " : "everywhere", team ? team : "");
    return EXIT_DONE;
}

/* The id of the binding that the words name; NULL when there is none. */
static const char *find_binding(const json_t *bindings, const char *role, const char *team)
{
    size_t i;
    json_t *b;
    json_array_foreach(bindings, i, b) {
        const char *its_role = json_string_value(json_object_get(b, "role")), *its_team = json_string_value(json_object_get(b, "team"));
        if (its_role && !strcmp(its_role, role) && (team ? its_team && !strcmp(its_team, team) : !its_team))
            return json_string_value(json_object_get(b, "id"));
    }
    return NULL;
}

static int run_unbind(struct cli *c, struct err *e)
{
    const char *account, *role, *team = args_text(&c->args, "team");
    JSON_AUTO doc = NULL;
    int code = read_binding(c, &account, &role, e);
    if (!code)
        code = cli_list(c, client_query(c->arena, "/api/v1/roles/bindings", "account", account, NULL), &doc, e);
    if (code)
        return code;
    const char *id = find_binding(json_object_get(doc, "items"), role, team);
    if (!id)
        return err_set(e, ERR_NOT_FOUND, "%s is not %s %s%s; `soma roles list --account %s` shows what it is", account, role, team ? "in " : "everywhere",
                       team ? team : "", account);
    code = cli_send(c, "DELETE", client_path(c->arena, "/api/v1/roles/bindings/{}", id), NULL, "", NULL, e);
    if (!code)
        output_note("%s is no longer %s %s%s.", account, role, team ? "in " : "everywhere", team ? team : "");
    return code;
}

const struct command roles_commands[] = {
    {"roles list", "", list_flags, run_list, 0, 0, NULL, "who holds which role where", NULL},
    {"roles bind", "ACCOUNT ROLE", bind_flags, run_bind, 2, 2, "people", "give an account a role",
     "Roles: viewer reads; developer orders, destroys and reveals; approver approves; platform-admin may do all (everywhere only).\n"
     "Example: soma roles bind ada developer --team payments\n"},
    {"roles unbind", "ACCOUNT ROLE", bind_flags, run_unbind, 2, 2, "people", "take a role away", NULL},
    {0},
};
