#include "portal/cli/cli.h"

#include <string.h>

const struct flag cli_global_flags[] = {
    {"url", 0, FLAG_TEXT, "URL", NULL, false, "the server (SOMA_URL; default: where you signed in last, else " PROFILE_DEFAULT_URL ")"},
    {"ca", 0, FLAG_TEXT, "FILE", "file", false, "authorities to trust instead of the system's (SOMA_CA)"},
    {"output", 'o', FLAG_TEXT, "table|json|yaml", NULL, false, "how results are printed"},
    {"verbose", 'v', FLAG_BOOL, NULL, NULL, false, "tell of each request on standard error"},
    {"help", 'h', FLAG_BOOL, NULL, NULL, false, "what this command does, and its flags"},
    FLAG_END,
};

const struct command *const cli_tables[] = {
    session_commands,   orders_commands,       approvals_commands, notify_commands, services_commands, templates_commands, environments_commands, teams_commands, people_commands,
    accounts_commands,  roles_commands,        tokens_commands,   audit_commands,     nodes_commands,        jobs_commands,  policy_commands, completion_commands,
    NULL,
};

const struct cli_noun cli_nouns[] = {
    {"login", "sign in and keep a token for this server"},
    {"logout", "revoke that token and forget it"},
    {"whoami", "who this token speaks for, and its roles"},
    {"password", "change your own password"},
    {"order", "order a golden path"},
    {"orders", "list, show, watch orders; their logs"},
    {"approve", "let an order go on that waits for approval"},
    {"reject", "refuse an order that waits for approval"},
    {"approvals", "what waits for you; hand your right over"},
    {"cancel", "take an order back while it is queued or waits"},
    {"destroy", "end a service and all it consists of"},
    {"services", "what there is: list, show, outputs, connect"},
    {"templates", "golden paths and the git repositories they come from"},
    {"environments", "named targets: settings, credentials, teams, limits"},
    {"policy", "what is allowed: policies, their tests, their decisions"},
    {"teams", "teams and their members"},
    {"people", "accounts of people"},
    {"service-accounts", "accounts of programs"},
    {"roles", "who may do what, where"},
    {"tokens", "API tokens"},
    {"audit", "the log of every write and every look at a secret"},
    {"notify", "messages by mail and Slack"},
    {"nodes", "the machines of this installation"},
    {"jobs", "the queue"},
    {"completion", "completion for your shell"},
    {NULL, NULL},
};

void cli_each(void (*fn)(const struct command *cmd, void *arg), void *arg)
{
    for (const struct command *const *table = cli_tables; *table; table++)
        for (const struct command *cmd = *table; cmd->path; cmd++)
            fn(cmd, arg);
}

bool cli_is_noun(const char *word)
{
    for (size_t i = 0; cli_nouns[i].noun; i++)
        if (!strcmp(cli_nouns[i].noun, word))
            return true;
    return false;
}

static const struct command *find_path(const char *first, const char *second)
{
    size_t n = strlen(first);
    for (const struct command *const *table = cli_tables; *table; table++)
        for (const struct command *cmd = *table; cmd->path; cmd++)
            if (!strncmp(cmd->path, first, n) && (second ? cmd->path[n] == ' ' && !strcmp(cmd->path + n + 1, second) : !cmd->path[n]))
                return cmd;
    return NULL;
}

const struct command *cli_find(int argc, char **argv, int *ret_used)
{
    const struct command *cmd = NULL;
    *ret_used = 0;
    if (argc > 1 && (cmd = find_path(argv[0], argv[1])))
        *ret_used = 2;
    else if (argc > 0 && (cmd = find_path(argv[0], NULL)))
        *ret_used = 1;
    else if (argc > 0 && (argc == 1 || argv[1][0] == '-') && (cmd = find_path(argv[0], "list")))
        *ret_used = 1;
    return cmd;
}
