#include "portal/cli/cli.h"

static const struct column columns[] = {
    {"NAME", "name", COLUMN_TEXT}, {"ROLES", "roles|role", COLUMN_LIST}, {"VERSION", "version", COLUMN_TEXT}, {"STATE", "state", COLUMN_STATE}, {"SEEN", "seen_at|seen", COLUMN_TIME},
    {"ID", "id", COLUMN_TEXT},     {0},
};

static int run_list(struct cli *c, struct err *e)
{
    return cli_print_list(c, "/api/v1/nodes", columns, e);
}

const struct command nodes_commands[] = {
    {"nodes list", "", (const struct flag[]){FLAG_LIMIT, FLAG_END}, run_list, 0, 0, NULL, "the machines of this installation", NULL},
    {0},
};
