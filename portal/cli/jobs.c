#include "portal/cli/cli.h"

static const struct column columns[] = {
    {"ID", "id", COLUMN_TEXT}, {"KIND", "kind", COLUMN_TEXT}, {"SUBJECT", "subject", COLUMN_TEXT}, {"STATE", "state", COLUMN_STATE}, {"ATTEMPTS", "attempts", COLUMN_NUMBER},
    {"CRASHES", "crashes", COLUMN_NUMBER}, {"TEAM", "team", COLUMN_TEXT}, {"REASON", "reason", COLUMN_TEXT}, {0},
};

static const struct column fields[] = {
    {"Job", "id", COLUMN_TEXT},           {"Kind", "kind", COLUMN_TEXT},       {"Subject", "subject", COLUMN_TEXT},        {"State", "state", COLUMN_STATE},
    {"Reason", "reason", COLUMN_TEXT},    {"Team", "team", COLUMN_TEXT},       {"Environment", "environment", COLUMN_TEXT}, {"Label", "label", COLUMN_TEXT},
    {"Priority", "priority", COLUMN_TEXT}, {"Attempts", "attempts", COLUMN_TEXT}, {"Crashes", "crashes", COLUMN_TEXT},     {"Created", "created_at", COLUMN_TIME},
    {"Runs after", "run_after", COLUMN_TIME}, {"Node", "node", COLUMN_TEXT},   {"Claimed", "claimed_at", COLUMN_TIME},     {"Lease until", "lease_until", COLUMN_TIME},
    {"Leash", "leash.run", COLUMN_TEXT},  {"Given up", "dead_at", COLUMN_TIME}, {0},
};

static const struct flag list_flags[] = {
    {"state", 0, FLAG_TEXT, "queued|running|dead", NULL, false, "only those in this state; dead: given up"},
    {"kind", 0, FLAG_TEXT, "KIND", NULL, false, "only those of this kind"},
    FLAG_LIMIT,
    FLAG_END,
};

static int run_show(struct cli *c, struct err *e)
{
    JSON_AUTO job = NULL;
    int code = cli_get(c, client_path(c->arena, "/api/v1/jobs/{}", args_word(&c->args, 0)), &job, e);
    if (!code)
        output_document(&c->out, fields, job);
    return code;
}

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
    {"jobs show", "ID", NULL, run_show, 1, 1, NULL, "one job", NULL},
    {"jobs retry", "ID...", NULL, run_retry, 1, ARGS_MAX, NULL, "give a job that was given up another try", NULL},
    {0},
};
