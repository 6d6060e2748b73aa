/* Messages that Soma sends: for administrators. */
#include <stdio.h>
#include <string.h>

#include "portal/cli/cli.h"
#include "portal/core/clock.h"

static const struct column list_columns[] = {
    {"ID", "id", COLUMN_TEXT},       {"KIND", "kind", COLUMN_TEXT},   {"CHANNEL", "channel", COLUMN_TEXT}, {"PERSON", "person", COLUMN_TEXT},
    {"STATE", "state", COLUMN_STATE}, {"TRIES", "attempts", COLUMN_TEXT}, {"AT", "created_at", COLUMN_TIME},  {"ERROR", "error", COLUMN_TEXT}, {0},
};

static const struct column fields[] = {
    {"Delivery", "id", COLUMN_TEXT}, {"Kind", "kind", COLUMN_TEXT},      {"Channel", "channel", COLUMN_TEXT}, {"Address", "address", COLUMN_TEXT},
    {"State", "state", COLUMN_STATE}, {"Tries", "attempts", COLUMN_TEXT}, {"Error", "error", COLUMN_TEXT},     {0},
};

static const struct flag list_flags[] = {
    {"state", 0, FLAG_TEXT, "STATE", NULL, false, "queued, sent, dropped or failed"},
    FLAG_LIMIT,
    FLAG_END,
};

static int run_list(struct cli *c, struct err *e)
{
    return cli_print_list(c, client_query(c->arena, "/api/v1/notify/deliveries", "state", args_text(&c->args, "state"), NULL), list_columns, e);
}

static const struct flag test_flags[] = {
    {"mail", 0, FLAG_TEXT, "WHOM", "people", false, "by mail: to a person, or to an address"},
    {"slack", 0, FLAG_BOOL, NULL, NULL, false, "by Slack, to the configured channel"},
    {"to", 0, FLAG_TEXT, "CHANNEL", NULL, false, "another Slack channel or user"},
    {"wait", 0, FLAG_INT, "SECONDS", NULL, false, "how long to wait for its sending (default 30)"},
    FLAG_END,
};

/* Waits until it was sent or given up; the last look decides. */
static int wait_sent(struct cli *c, const char *id, json_t **delivery, struct err *e)
{
    int64_t end = clock_mono_ms() + 1000 * args_int(&c->args, "wait", 30);
    const char *path = client_path(c->arena, "/api/v1/notify/deliveries/{}", id);
    while (!strcmp(json_string_value(json_object_get(*delivery, "state")), "queued") && clock_mono_ms() < end) {
        JSON_AUTO now = NULL;
        clock_sleep_ms(200);
        int code = cli_get(c, path, &now, e);
        if (code)
            return code;
        json_decref(*delivery);
        *delivery = json_incref(now);
    }
    return 0;
}

static int run_test(struct cli *c, struct err *e)
{
    const char *mail = args_text(&c->args, "mail");
    bool slack = args_has(&c->args, "slack");
    JSON_AUTO delivery = NULL;
    if (!mail == !slack)
        return args_wrong(e, "say --mail WHOM or --slack");
    JSON_AUTO body = json_pack("{s:s, s:s*}", "channel", mail ? "mail" : "slack", "to", mail ? mail : args_text(&c->args, "to"));
    if (!body)
        return err_set(e, ERR_INVALID, "a word of this command is no UTF-8");
    int code = cli_send(c, "POST", "/api/v1/notify/test", body, "", &delivery, e);
    if (!code)
        code = wait_sent(c, json_string_value(json_object_get(delivery, "id")), &delivery, e);
    if (code)
        return code;
    output_document(&c->out, fields, delivery);
    return strcmp(json_string_value(json_object_get(delivery, "state")), "sent") ? EXIT_FAILED : EXIT_DONE;
}

const struct command notify_commands[] = {
    {"notify deliveries", "", list_flags, run_list, 0, 0, NULL, "messages that were sent or are to be sent, newest first", NULL},
    {"notify list", "", list_flags, run_list, 0, 0, NULL, "the same", NULL},
    {"notify test", "", test_flags, run_test, 0, 0, NULL, "send a message to try the settings with",
     "Examples:\n  soma notify test --mail ada\n  soma notify test --slack\n\nExit status: 0 it was sent, 1 not.\n"},
    {0},
};
