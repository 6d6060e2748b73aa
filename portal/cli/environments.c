#include "portal/cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include "portal/cli/input.h"

#define SECRET_MAX 16384

static const struct column list_columns[] = {
    {"NAME", "name", COLUMN_TEXT},   {"TITLE", "title", COLUMN_TEXT}, {"TEAMS", "teams", COLUMN_LIST}, {"APPROVAL", "require_approval", COLUMN_TEXT},
    {"CREDENTIALS", "credentials", COLUMN_LIST}, {0},
};

static const struct column fields[] = {
    {"Environment", "name", COLUMN_TEXT},
    {"Title", "title", COLUMN_TEXT},
    {"Teams", "teams", COLUMN_LIST},
    {"Needs approval", "require_approval", COLUMN_TEXT},
    {"Of so many", "approval_count", COLUMN_TEXT},
    {"Within seconds", "approval_seconds", COLUMN_TEXT},
    {"Of the team", "approval_team", COLUMN_TEXT},
    {"Settings", "settings", COLUMN_JSON},
    {"Credentials", "credentials", COLUMN_LIST},
    {"Services per team", "services_per_team", COLUMN_TEXT},
    {"Resources per team", "resources_per_team", COLUMN_TEXT},
    {"At once", "max_running", COLUMN_TEXT},
    {"Created", "created_at", COLUMN_TIME},
    {"Changed", "updated_at", COLUMN_TIME},
    {0},
};

static const struct flag change_flags[] = {
    {"title", 0, FLAG_TEXT, "TITLE", NULL, false, "in words"},
    {"team", 0, FLAG_LIST, "TEAM", "teams", false, "a team that may order here; none given: all teams"},
    {"all-teams", 0, FLAG_BOOL, NULL, NULL, false, "every team may order here"},
    {"setting", 0, FLAG_LIST, "NAME=VALUE", NULL, false, "a provider setting, such as region=eu-central-1; an empty value removes it"},
    {"credential", 0, FLAG_LIST, "NAME=VALUE", NULL, false, "a variable that the provider reads; sealed. Others on this machine may see it: prefer the next two"},
    {"credential-file", 0, FLAG_LIST, "NAME=PATH", "file", false, "the same, from a file (one line end at its end is left out)"},
    {"credential-stdin", 0, FLAG_TEXT, "NAME", NULL, false, "the same, from standard input"},
    {"remove-credential", 0, FLAG_LIST, "NAME", NULL, false, "forget one"},
    {"approval", 0, FLAG_TEXT, "yes|no", NULL, false, "whether every order here waits for an approver"},
    {"approval-count", 0, FLAG_INT, "N", NULL, false, "so many people must approve"},
    {"approval-seconds", 0, FLAG_INT, "N", NULL, false, "how long an order waits for them; 259200 (72 hours) unless told"},
    {"approval-team", 0, FLAG_TEXT, "TEAM", "teams", false, "whose approvers; empty: those of the order's team"},
    {"services-per-team", 0, FLAG_INT, "N", NULL, false, "at most N services of one team; 0: no limit"},
    {"resources-per-team", 0, FLAG_INT, "N", NULL, false, "at most N resources of one team; 0: no limit"},
    {"max-running", 0, FLAG_INT, "N", NULL, false, "at most N orders worked on at once; 0: no limit"},
    FLAG_END,
};

static int run_list(struct cli *c, struct err *e)
{
    JSON_AUTO doc = NULL;
    int code = cli_get(c, "/api/v1/environments", &doc, e); /* this list has no pages */
    if (!code)
        output_list(&c->out, list_columns, doc, "There is none.");
    return code;
}

static int run_show(struct cli *c, struct err *e)
{
    JSON_AUTO environment = NULL;
    int code = cli_get(c, client_path(c->arena, "/api/v1/environments/{}", args_word(&c->args, 0)), &environment, e);
    if (!code)
        output_document(&c->out, fields, environment);
    return code;
}

/* ---- Changes ---- */

static int put_text(json_t *object, const char *flag, const char *key, const char *value, struct err *e)
{
    json_t *text = value ? json_string(value) : json_null();
    if (!text || json_object_set_new(object, key, text))
        return args_wrong(e, "--%s %s: it is no UTF-8 text", flag, key);
    return 0;
}

static int add_pairs(struct cli *c, const char *flag, bool empty_removes, json_t *object, struct err *e)
{
    const char *text, *value;
    char *key;
    for (size_t i = 0; (text = args_nth(&c->args, flag, i)); i++) {
        int code = cli_split(c, flag, text, &key, &value, e);
        if (!code)
            code = put_text(object, flag, key, *value || !empty_removes ? value : NULL, e);
        if (code)
            return code;
    }
    return 0;
}

/* Puts a secret from a file or standard input ("-") under `key`. */
static int add_secret(const char *flag, const char *key, const char *path, json_t *object, struct err *e)
{
    BUF_AUTO text = BUF_INIT;
    int code = input_read(path, SECRET_MAX, &text, e);
    if (code)
        return err_prefix(e, "--%s %s", flag, key);
    if (text.len && text.data[text.len - 1] == '\n')
        text.data[--text.len] = 0;
    code = strlen(buf_cstr(&text)) == text.len ? put_text(object, flag, key, buf_cstr(&text), e) : err_set(e, ERR_INVALID, "--%s %s: it is no text", flag, key);
    buf_wipe(&text);
    return code;
}

static int add_credentials(struct cli *c, json_t *object, struct err *e)
{
    const char *text, *path;
    char *key;
    int code = add_pairs(c, "credential", false, object, e);
    for (size_t i = 0; !code && (text = args_nth(&c->args, "credential-file", i)); i++) {
        code = cli_split(c, "credential-file", text, &key, &path, e);
        if (!code)
            code = add_secret("credential-file", key, path, object, e);
    }
    if (!code && (text = args_text(&c->args, "credential-stdin")))
        code = add_secret("credential-stdin", text, "-", object, e);
    for (size_t i = 0; !code && (text = args_nth(&c->args, "remove-credential", i)); i++)
        code = put_text(object, "remove-credential", text, NULL, e);
    return code;
}

static void add_limits(struct cli *c, json_t *body)
{
    static const struct { const char *flag, *key; } limits[] = {
        {"approval-count", "approval_count"}, {"approval-seconds", "approval_seconds"}, {"services-per-team", "services_per_team"}, {"resources-per-team", "resources_per_team"}, {"max-running", "max_running"},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (args_has(&c->args, limits[i].flag))
            json_object_set_new(body, limits[i].key, json_integer(args_int(&c->args, limits[i].flag, 0)));
}

static int make_body(struct cli *c, json_t *body, struct err *e)
{
    JSON_AUTO settings = json_object();
    JSON_AUTO credentials = json_object();
    const char *text;
    int code = add_pairs(c, "setting", true, settings, e);
    if (!code)
        code = add_credentials(c, credentials, e);
    if (!code && (text = args_text(&c->args, "title")))
        code = put_text(body, "title", "title", text, e);
    if (code)
        return code;
    if (json_object_size(settings))
        json_object_set(body, "settings", settings);
    if (json_object_size(credentials))
        json_object_set(body, "credentials", credentials);
    if (args_has(&c->args, "all-teams"))
        json_object_set_new(body, "teams", json_null());
    for (size_t i = 0; (text = args_nth(&c->args, "team", i)); i++) {
        if (!json_is_array(json_object_get(body, "teams")))
            json_object_set_new(body, "teams", json_array());
        json_array_append_new(json_object_get(body, "teams"), json_string(text));
    }
    if ((text = args_text(&c->args, "approval")))
        json_object_set_new(body, "require_approval", json_boolean(!strcmp(text, "yes")));
    if ((text = args_text(&c->args, "approval-team")))
        json_object_set_new(body, "approval_team", *text ? json_string(text) : json_null());
    add_limits(c, body);
    return 0;
}

static int run_create(struct cli *c, struct err *e)
{
    JSON_AUTO body = json_object();
    JSON_AUTO made = NULL;
    int code = put_text(body, "name", "name", args_word(&c->args, 0), e);
    if (!code)
        code = make_body(c, body, e);
    if (!code)
        code = cli_send(c, "POST", "/api/v1/environments", body, "", &made, e);
    if (!code)
        output_document(&c->out, fields, made);
    return code;
}

static int run_update(struct cli *c, struct err *e)
{
    JSON_AUTO body = json_object();
    JSON_AUTO now = NULL;
    JSON_AUTO changed = NULL;
    char *etag = NULL;
    const char *path = client_path(c->arena, "/api/v1/environments/{}", args_word(&c->args, 0));
    int code = make_body(c, body, e);
    if (!code && !json_object_size(body))
        return args_wrong(e, "nothing to change was given; `soma environments update --help` lists what can be");
    if (!code)
        code = cli_get_etag(c, path, &now, &etag, e);
    if (!code)
        code = cli_send_match(c, "PATCH", path, body, etag, &changed, e);
    if (!code)
        output_document(&c->out, fields, changed);
    return code;
}

static int run_delete(struct cli *c, struct err *e)
{
    int code = cli_send(c, "DELETE", client_path(c->arena, "/api/v1/environments/{}", args_word(&c->args, 0)), NULL, "", NULL, e);
    if (!code)
        output_note("The environment %s is removed.", args_word(&c->args, 0));
    return code;
}

const struct command environments_commands[] = {
    {"environments list", "", NULL, run_list, 0, 0, NULL, "all environments", NULL},
    {"environments show", "ENVIRONMENT", NULL, run_show, 1, 1, "environments", "one environment; of its credentials only the names", NULL},
    {"environments create", "NAME", change_flags, run_create, 1, 1, NULL, "make one",
     "Example:\n  soma environments create dev --title 'Development' --setting region=eu-central-1 --credential-file AWS_SECRET_ACCESS_KEY=key.txt\n"},
    {"environments update", "ENVIRONMENT", change_flags, run_update, 1, 1, "environments", "change one; what is not named stays", NULL},
    {"environments delete", "ENVIRONMENT", NULL, run_delete, 1, 1, "environments", "remove one that no order ever used", NULL},
    {0},
};
