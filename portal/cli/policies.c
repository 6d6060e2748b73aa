/* `soma policy`: policies and what they decide. */
#include "portal/cli/policies.h"

#include <string.h>

#include "portal/cli/text.h"

static const struct column decision_columns[] = {
    {"SEVERITY", "severity", COLUMN_STATE}, {"RULE", "rule", COLUMN_TEXT}, {"ABOUT", "path", COLUMN_TEXT}, {"MESSAGE", "message", COLUMN_TEXT}, {0},
};

static const struct column rule_columns[] = {
    {"RULE", "rule", COLUMN_TEXT}, {"OUTCOME", "outcome", COLUMN_STATE}, {"INSTRUCTIONS", "instructions", COLUMN_NUMBER}, {"MICROSECONDS", "us", COLUMN_NUMBER}, {0},
};

static const struct column result_fields[] = {
    {"Policy", "policy", COLUMN_TEXT}, {"Point", "point", COLUMN_TEXT}, {"Outcome", "outcome", COLUMN_STATE}, {"Mode", "mode", COLUMN_TEXT}, {"Failed", "error", COLUMN_TEXT}, {0},
};

static void print_rows(struct cli *c, const struct column *columns, const json_t *rows)
{
    if (!json_array_size(rows))
        return;
    BUF_AUTO out = BUF_INIT;
    output_table(&out, columns, rows, c->out.width, c->out.colour);
    fprintf(c->out.to, "\n%s", buf_cstr(&out));
}

void policy_print_result(struct cli *c, const json_t *result)
{
    output_document(&c->out, result_fields, result);
    print_rows(c, decision_columns, json_object_get(result, "decisions"));
    print_rows(c, rule_columns, json_object_get(result, "rules"));
}

static const struct flag test_flags[] = {
    {"all", 'a', FLAG_BOOL, NULL, NULL, false, "tell of each test, not only of those that fail"},
    FLAG_END,
};

static const struct flag eval_flags[] = {
    {"input", 'i', FLAG_TEXT, "FILE", "file", false, "the input as JSON; without it a complete one with plain values"},
    {"plan", 0, FLAG_TEXT, "FILE", "file", false, "a plan (`terraform show -json`), laid into that input"},
    {"data", 'd', FLAG_TEXT, "FILE", "file", false, "the data as JSON: a name for each piece"},
    {"point", 'p', FLAG_TEXT, "request|plan|destroy|reveal|route", NULL, false, "where it is asked; else the input's point, else the policy's"},
    {"script", 0, FLAG_BOOL, NULL, NULL, false, "run any chunk of Lua in the sandbox and print what it answers"},
    FLAG_END,
};

const struct command policy_commands[] = {
    {"policy test", "[DIR]", test_flags, policy_run_test, 0, 1, "dir", "test the policies in a folder (lua); needs no server",
     "Runs NAME_test.lua for each NAME.lua, with the data of data.json there. Exit status: 0 all as expected, 1 not.\n"},
    {"policy eval", "FILE", eval_flags, policy_run_eval, 1, 1, "file", "ask one policy; needs no server",
     "Exit status: 0 allowed, 1 denied, 3 an approval would be needed.\n\nExample:\n"
     "  soma policy eval lua/required-tags.lua --plan plan.json --data lua/data.json\n"},
    {0},
};
