#include "portal/cli/cli.h"

static const struct column columns[] = {
    {"ID", "id", COLUMN_TEXT},        {"KIND", "kind", COLUMN_TEXT},         {"SUBJECT", "subject", COLUMN_TEXT}, {"STATE", "state", COLUMN_STATE},
    {"ATTEMPT", "attempt|attempts", COLUMN_NUMBER}, {"TEAM", "team", COLUMN_TEXT}, {"REASON", "reason|error", COLUMN_TEXT}, {0},
};

static const struct flag list_flags[] = {
    {"state", 0, FLAG_TEXT, "STATE", NULL, false, "only those in this state, such as dead"},
    {"kind", 0, FLAG_TEXT, "KIND", NULL, false, "only those of this kind"},
    FLAG_LIMIT,
    FLAG_END,
};

static int run_list(struct cli *c, struct err *e)
{
    const struct args *a = &c->args;
    return cli_print_list(c, client_query(c->arena, "/api/v1/jobs", "state", args_text(a, "state"), "kind", args_text(a, "kind"), NULL), columns, e);
}

static int run_retry(struct cli *c, struct err *e)
{
    for (size_t i = 0; i < c->args.n_words; i++) {
        int code = cli_send(c, "POST", client_path(c->arena, "/api/v1/jobs/{}/retry", c->args.words[i]), NULL, "", NULL, e);
        if (code)
            return code;
        output_note("The job %s is queued again.", c->args.words[i]);
    }
    return EXIT_DONE;
}

const struct command jobs_commands[] = {
    {"jobs list", "", list_flags, run_list, 0, 0, NULL, "what is queued, runs, or was given up", NULL},
    {"jobs retry", "ID...", NULL, run_retry, 1, ARGS_MAX, NULL, "give a job that was given up another try", NULL},
    {0},
};
