#include "portal/cli/cli.h"

#include <string.h>

static const struct column list_columns[] = {
    {"NAME", "name", COLUMN_TEXT}, {"TITLE", "title", COLUMN_TEXT}, {"EMAIL", "email", COLUMN_TEXT}, {"STATE", "state", COLUMN_STATE},
    {"ROLES", "roles", COLUMN_ROLES}, {"SINCE", "created_at", COLUMN_TIME}, {0},
};

static const struct column fields[] = {
    {"Person", "name", COLUMN_TEXT},    {"Title", "title", COLUMN_TEXT},     {"Email", "email", COLUMN_TEXT},    {"State", "state", COLUMN_STATE},
    {"Roles", "roles", COLUMN_ROLES},   {"Since", "created_at", COLUMN_TIME}, {"Password", "password", COLUMN_TEXT}, {0},
};

static int run_list(struct cli *c, struct err *e)
{
    return cli_print_list(c, "/api/v1/people", list_columns, e);
}

static int run_show(struct cli *c, struct err *e)
{
    JSON_AUTO person = NULL;
    int code = cli_get(c, client_path(c->arena, "/api/v1/people/{}", args_word(&c->args, 0)), &person, e);
    if (!code)
        output_document(&c->out, fields, person);
    return code;
}

/* ---- Passwords ---- */

#define PASSWORD_FLAGS \
    {"password-stdin", 0, FLAG_BOOL, NULL, NULL, false, "read the password from standard input"}, \
    {"ask-password", 0, FLAG_BOOL, NULL, NULL, false, "ask for the password on the terminal; without either one is made and shown once"}

static int add_password(struct cli *c, json_t *body, struct err *e)
{
    char *password;
    if (!args_has(&c->args, "password-stdin") && !args_has(&c->args, "ask-password"))
        return 0;
    int code = cli_password(c, "The new password", true, &password, e);
    if (code)
        return code;
    code = json_object_set_new(body, "password", json_string(password)) ? err_set(e, ERR_INVALID, "the password is no UTF-8") : 0;
    explicit_bzero(password, strlen(password));
    return code;
}

static void print_with_password(struct cli *c, const json_t *person)
{
    output_document(&c->out, fields, person);
    if (json_is_string(json_object_get(person, "password")))
        output_note("The password was made for this account and is shown this once.");
}

static const struct flag create_flags[] = {
    {"title", 0, FLAG_TEXT, "TITLE", NULL, false, "the name that people read"},
    {"email", 0, FLAG_TEXT, "ADDRESS", NULL, false, "where mail reaches them"},
    PASSWORD_FLAGS,
    FLAG_END,
};

static int run_create(struct cli *c, struct err *e)
{
    const struct args *a = &c->args;
    JSON_AUTO made = NULL;
    JSON_AUTO body = json_pack("{s:s, s:s*, s:s*}", "name", args_word(a, 0), "title", args_text(a, "title"), "email", args_text(a, "email"));
    if (!body)
        return args_wrong(e, "a word of this command is no UTF-8");
    int code = add_password(c, body, e);
    if (!code)
        code = cli_send(c, "POST", "/api/v1/people", body, "", &made, e);
    if (!code)
        print_with_password(c, made);
    return code;
}

static const struct flag update_flags[] = {
    {"title", 0, FLAG_TEXT, "TITLE", NULL, false, "the name that people read; empty: none"},
    {"email", 0, FLAG_TEXT, "ADDRESS", NULL, false, "where mail reaches them; empty: none"},
    FLAG_END,
};

static int run_update(struct cli *c, struct err *e)
{
    JSON_AUTO body = json_object();
    JSON_AUTO person = NULL;
    static const char *const flags[] = {"title", "email"};
    for (size_t i = 0; i < 2; i++) {
        const char *text = args_text(&c->args, flags[i]);
        if (text && json_object_set_new(body, flags[i], *text ? json_string(text) : json_null()))
            return err_set(e, ERR_INVALID, "--%s is no UTF-8", flags[i]);
    }
    if (!json_object_size(body))
        return args_wrong(e, "nothing to change was given; `soma people update --help` lists what can be");
    int code = cli_send(c, "PATCH", client_path(c->arena, "/api/v1/people/{}", args_word(&c->args, 0)), body, "", &person, e);
    if (!code)
        output_document(&c->out, fields, person);
    return code;
}

static const struct flag password_flags[] = {PASSWORD_FLAGS, FLAG_END};

static int run_password(struct cli *c, struct err *e)
{
    JSON_AUTO body = json_object();
    JSON_AUTO person = NULL;
    int code = add_password(c, body, e);
    if (!code)
        code = cli_send(c, "POST", client_path(c->arena, "/api/v1/people/{}/password", args_word(&c->args, 0)), body, "", &person, e);
    if (!code)
        print_with_password(c, person);
    return code;
}

static int turn(struct cli *c, const char *pattern, struct err *e)
{
    JSON_AUTO person = NULL;
    int code = cli_send(c, "POST", client_path(c->arena, pattern, args_word(&c->args, 0)), NULL, "", &person, e);
    if (!code)
        output_document(&c->out, fields, person);
    return code;
}

static int run_disable(struct cli *c, struct err *e)
{
    return turn(c, "/api/v1/people/{}/disable", e);
}

static int run_enable(struct cli *c, struct err *e)
{
    return turn(c, "/api/v1/people/{}/enable", e);
}

/* ---- Slack ---- */

static const struct column slack_fields[] = {
    {"Person", "person", COLUMN_TEXT}, {"Slack user", "user", COLUMN_TEXT}, {"Workspace", "team", COLUMN_TEXT}, {"Linked by", "linked_by", COLUMN_TEXT}, {0},
};

static const struct flag slack_flags[] = {
    {"user", 0, FLAG_TEXT, "ID", NULL, false, "Slack's id of the user, U...: by a platform-admin"},
    {"team", 0, FLAG_TEXT, "ID", NULL, false, "Slack's id of the workspace, T..., when there are several"},
    {"code", 0, FLAG_TEXT, "CODE", NULL, false, "the code that Slack showed you: links you yourself"},
    FLAG_END,
};

static int run_link_slack(struct cli *c, struct err *e)
{
    const struct args *a = &c->args;
    const char *code = args_text(a, "code"), *user = args_text(a, "user"), *name = args_word(a, 0);
    JSON_AUTO linked = NULL;
    if (!code == !user || !user == !!name)
        return args_wrong(e, "say either PERSON --user ID, or --code CODE");
    JSON_AUTO body = code ? json_pack("{s:s}", "code", code) : json_pack("{s:s, s:s*}", "user", user, "team", args_text(a, "team"));
    if (!body)
        return err_set(e, ERR_INVALID, "a word of this command is no UTF-8");
    int x = code ? cli_send(c, "POST", "/api/v1/slack/link", body, "", &linked, e)
                 : cli_send(c, "PUT", client_path(c->arena, "/api/v1/people/{}/slack", name), body, "", &linked, e);
    if (!x)
        output_document(&c->out, slack_fields, linked);
    return x;
}

static int run_unlink_slack(struct cli *c, struct err *e)
{
    const char *name = args_word(&c->args, 0);
    int code = cli_send(c, "DELETE", client_path(c->arena, "/api/v1/people/{}/slack", name), NULL, "", NULL, e);
    if (!code)
        output_note("%s is not linked to a Slack user any more.", name);
    return code;
}

const struct command people_commands[] = {
    {"people list", "", (const struct flag[]){FLAG_LIMIT, FLAG_END}, run_list, 0, 0, NULL, "all people", NULL},
    {"people show", "PERSON", NULL, run_show, 1, 1, "people", "one person and their roles", NULL},
    {"people create", "NAME", create_flags, run_create, 1, 1, NULL, "make an account", "Roles are given with `soma roles bind`.\n"},
    {"people update", "PERSON", update_flags, run_update, 1, 1, "people", "change title or e-mail address, also your own", NULL},
    {"people disable", "PERSON", NULL, run_disable, 1, 1, "people", "shut somebody out; their sessions end, their tokens are revoked", NULL},
    {"people enable", "PERSON", NULL, run_enable, 1, 1, "people", "let somebody in again", NULL},
    {"people password", "PERSON", password_flags, run_password, 1, 1, "people", "give somebody a new password",
     "`soma password` changes your own.\n"},
    {"people link-slack", "[PERSON]", slack_flags, run_link_slack, 0, 1, "people", "say which Slack user a person is",
     "Examples:\n  soma people link-slack ada --user U024BE7LH\n  soma people link-slack --code K7Q2M9XWPD4T\n"},
    {"people unlink-slack", "PERSON", NULL, run_unlink_slack, 1, 1, "people", "forget which Slack user a person is, also your own", NULL},
    {0},
};
