#include "portal/cli/cli.h"

#include <stdlib.h>
#include <string.h>

static const struct column columns[] = {
    {"ID", "id", COLUMN_TEXT},        {"NAME", "name", COLUMN_TEXT},         {"ACCOUNT", "account", COLUMN_TEXT},     {"SCOPES", "scopes", COLUMN_LIST},
    {"STATE", "state", COLUMN_STATE}, {"ENDS", "expires_at", COLUMN_TIME}, {"LAST USED", "last_used_at", COLUMN_TIME}, {0},
};

static const struct column fields[] = {
    {"Id", "id", COLUMN_TEXT},         {"Name", "name", COLUMN_TEXT},       {"Account", "account", COLUMN_TEXT}, {"Scopes", "scopes", COLUMN_LIST},
    {"Ends", "expires_at", COLUMN_TIME}, {"Token", "token", COLUMN_TEXT}, {0},
};

static const struct flag list_flags[] = {
    {"account", 0, FLAG_TEXT, "ACCOUNT", "service-accounts", false, "only this account's"},
    FLAG_LIMIT,
    FLAG_END,
};

static int run_list(struct cli *c, struct err *e)
{
    return cli_print_list(c, client_query(c->arena, "/api/v1/tokens", "account", args_text(&c->args, "account"), NULL), columns, e);
}

static const struct flag create_flags[] = {
    {"service-account", 0, FLAG_TEXT, "ACCOUNT", "service-accounts", false, "whose token it is; yours unless given"},
    {"scope", 0, FLAG_LIST, "read|orders|monitoring|admin", NULL, false, "what it may at most; without it all that the account may"},
    {"expires-in", 0, FLAG_TEXT, "TIME", NULL, false, "how long it holds: 90d, 12h, 30m, or seconds (default 90d, at most 366d)"},
    {"idempotency-key", 0, FLAG_TEXT, "K", NULL, false, "sending it again with the same key makes no second token"},
    FLAG_END,
};

/* "90d" to seconds; -1: it is no time. */
static int64_t read_time(const char *text)
{
    char *unit;
    long long n = strtoll(text, &unit, 10);
    if (unit == text || n < 1 || n > 100000000 || (*unit && unit[1]))
        return -1;
    switch (*unit) {
    case 'd': return n * 86400;
    case 'h': return n * 3600;
    case 'm': return n * 60;
    case 's':
    case 0: return n;
    default: return -1;
    }
}

static int run_create(struct cli *c, struct err *e)
{
    const struct args *a = &c->args;
    const char *scope, *time = args_text(a, "expires-in"), *key = args_text(a, "idempotency-key");
    JSON_AUTO made = NULL;
    JSON_AUTO body = json_pack("{s:s, s:s*}", "name", args_word(a, 0), "service_account", args_text(a, "service-account"));
    if (!body)
        return args_wrong(e, "a word of this command is no UTF-8");
    if (time && read_time(time) < 0)
        return args_wrong(e, "--expires-in takes a time such as 90d, 12h or 30m, not \"%s\"", time);
    if (time)
        json_object_set_new(body, "expires_in", json_integer(read_time(time)));
    for (size_t i = 0; (scope = args_nth(a, "scope", i)); i++) {
        if (i == 0)
            json_object_set_new(body, "scopes", json_array());
        json_array_append_new(json_object_get(body, "scopes"), json_string(scope));
    }
    int code = cli_send(c, "POST", "/api/v1/tokens", body, key ? key : "", &made, e);
    if (code)
        return code;
    output_document(&c->out, fields, made);
    output_note("The token is shown this once. Programs take it from SOMA_TOKEN, or from a file that SOMA_TOKEN_FILE names.");
    return EXIT_DONE;
}

static int run_revoke(struct cli *c, struct err *e)
{
    for (size_t i = 0; i < c->args.n_words; i++) {
        int code = cli_send(c, "DELETE", client_path(c->arena, "/api/v1/tokens/{}", c->args.words[i]), NULL, "", NULL, e);
        if (code)
            return code;
        output_note("The token %s is revoked.", c->args.words[i]);
    }
    return EXIT_DONE;
}

const struct command tokens_commands[] = {
    {"tokens list", "", list_flags, run_list, 0, 0, NULL, "your tokens and those of your service accounts", NULL},
    {"tokens create", "NAME", create_flags, run_create, 1, 1, NULL, "make a token; it is shown once",
     "Example: soma tokens create ci --service-account ci-payments --scope orders --expires-in 30d\n"},
    {"tokens revoke", "ID...", NULL, run_revoke, 1, ARGS_MAX, NULL, "end tokens at once", NULL},
    {0},
};
