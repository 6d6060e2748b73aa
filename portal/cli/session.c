/* Signing in: the password buys a session, the session a token, and only the token is kept. */
#include "portal/cli/cli.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct flag login_flags[] = {
    {"name", 'n', FLAG_TEXT, "NAME", NULL, false, "your name there (asked for on a terminal)"},
    {"password-stdin", 0, FLAG_BOOL, NULL, NULL, false, "read the password from standard input"},
    {"token-name", 0, FLAG_TEXT, "NAME", NULL, false, "what the token is called in `soma tokens list` (default: this machine's name)"},
    {"days", 0, FLAG_INT, "N", NULL, false, "for how long it holds (default 90)"},
    FLAG_END,
};

/* "cli-<host name>", as the rule of names has it: small letters, digits, hyphens, at most 40. */
static const char *default_token_name(struct cli *c)
{
    char host[64] = "";
    gethostname(host, sizeof host - 1);
    char *name = arena_printf(c->arena, "cli-%.36s", host);
    for (char *p = name; *p; p++) {
        if (*p == '.')
            *p = 0; /* the host without its domain */
        else
            *p = isalnum((unsigned char)*p) ? (char)tolower((unsigned char)*p) : '-';
        if (!*p)
            break;
    }
    for (size_t n = strlen(name); n && name[n - 1] == '-';)
        name[--n] = 0;
    return name;
}

static int sign_in(struct cli *c, const char *name, const char *password, struct err *e)
{
    JSON_AUTO session = NULL;
    JSON_AUTO body = json_pack("{s:s, s:s}", "name", name, "password", password);
    if (!body)
        return err_set(e, ERR_INVALID, "name or password is no UTF-8");
    client_set_token(c->client, NULL);
    client_keep_cookies(c->client);
    int code = cli_send(c, "POST", "/api/v1/session", body, NULL, &session, e);
    if (code == ERR_UNAUTHENTICATED) /* "sign in with soma login" would be no help here */
        return err_set(e, ERR_UNAUTHENTICATED, "%s does not know this name and password. After some wrong tries it lets you wait", c->profile.url);
    if (!code)
        client_set_csrf(c->client, json_string_value(json_object_get(session, "csrf_token")));
    return code;
}

static int make_token(struct cli *c, json_t **ret, struct err *e)
{
    const char *name = args_text(&c->args, "token-name");
    int64_t days = args_int(&c->args, "days", 90);
    if (days < 1 || days > 366)
        return args_wrong(e, "--days is from 1 to 366");
    JSON_AUTO body = json_pack("{s:s, s:I}", "name", name ? name : default_token_name(c), "expires_in", (json_int_t)(days < 366 ? days * 86400 : 31622400));
    return cli_send(c, "POST", "/api/v1/tokens", body, "", ret, e);
}

static const char *text_at(const json_t *doc, const char *path)
{
    const char *text = json_string_value(output_at(doc, path));
    return text ? text : "";
}

static bool goes_in_clear(const char *url)
{
    return !strncmp(url, "http://", 7) && strncmp(url + 7, "127.", 4) != 0 && strncmp(url + 7, "localhost", 9) != 0 && strncmp(url + 7, "[::1]", 5) != 0;
}

static int ask_name(struct cli *c, const char **ret, struct err *e)
{
    char *typed;
    *ret = args_text(&c->args, "name");
    if (*ret)
        return 0;
    if (!cli_interactive())
        return args_wrong(e, "there is no terminal to ask for your name on: give --name");
    int code = cli_ask(c, "Name", false, &typed, e);
    *ret = typed;
    return code;
}

static int run_login(struct cli *c, struct err *e)
{
    JSON_AUTO token = NULL;
    const char *name;
    char *password = NULL;
    struct err ignored = ERR_INIT;
    int code = cli_client(c, e);
    if (code)
        return code;
    if (goes_in_clear(c->profile.url))
        output_note("soma: %s is not encrypted: others on the way can read your password", c->profile.url);
    code = ask_name(c, &name, e);
    if (!code)
        code = cli_password(c, arena_printf(c->arena, "Password of %s at %s", name, c->profile.url), false, &password, e);
    if (!code)
        code = sign_in(c, name, password, e);
    if (password)
        explicit_bzero(password, strlen(password));
    if (code)
        return code;
    code = make_token(c, &token, e);
    cli_send(c, "DELETE", "/api/v1/session", NULL, NULL, NULL, &ignored); /* it runs out by itself if this fails */
    client_set_csrf(c->client, NULL);
    if (!code)
        code = profile_store(&c->profile, text_at(token, "token"), text_at(token, "id"), name, e);
    if (code)
        return code;
    output_note("Signed in to %s as %s. The token is in %s and holds until %.10s; `soma logout` revokes it.", c->profile.url, name, c->profile.path,
                text_at(token, "expires_at"));
    if (getenv("SOMA_TOKEN") || getenv("SOMA_TOKEN_FILE"))
        output_note("soma: SOMA_TOKEN or SOMA_TOKEN_FILE is set and goes before it");
    return EXIT_DONE;
}

static int run_logout(struct cli *c, struct err *e)
{
    int code = cli_client(c, e);
    if (code)
        return code;
    if (!c->profile.token_id) {
        output_note("No token of %s is kept here%s%s.", c->profile.url, c->profile.token ? "; the one in use comes from " : "", c->profile.token ? c->profile.token_from : "");
        return EXIT_DONE;
    }
    code = cli_send(c, "DELETE", client_path(c->arena, "/api/v1/tokens/{}", c->profile.token_id), NULL, "", NULL, e);
    if (code == ERR_UNAUTHENTICATED || code == ERR_NOT_FOUND)
        code = 0; /* it was revoked or has ended already */
    if (code)
        return err_prefix(e, "the token could not be revoked and is still kept here");
    code = profile_forget(&c->profile, e);
    if (!code)
        output_note("Signed out of %s: the token is revoked and forgotten.", c->profile.url);
    return code;
}

static void print_whoami(struct cli *c, const json_t *session)
{
    static const struct column fields[] = {
        {"Account", "account.name", COLUMN_TEXT}, {"Name", "account.title", COLUMN_TEXT}, {"Kind", "account.kind", COLUMN_TEXT}, {"Person", "person.name", COLUMN_TEXT},
        {"Server", "server", COLUMN_TEXT},        {"Token", "token.name", COLUMN_TEXT},   {"Scopes", "token.scopes", COLUMN_LIST}, {"Ends", "token.expires_at", COLUMN_TIME},
        {"Roles", "roles", COLUMN_ROLES},           {0},
    };
    JSON_AUTO shown = json_copy((json_t *)(uintptr_t)session);
    json_object_set_new(shown, "server", json_string(c->profile.url));
    output_document(&c->out, fields, shown);
}

static int run_whoami(struct cli *c, struct err *e)
{
    JSON_AUTO session = NULL;
    int code = cli_get(c, "/api/v1/session", &session, e);
    if (code)
        return code;
    if (c->out.format == OUTPUT_TABLE)
        print_whoami(c, session);
    else
        output_raw(&c->out, session);
    return EXIT_DONE;
}

static const struct flag password_flags[] = {
    {"password-stdin", 0, FLAG_BOOL, NULL, NULL, false, "read two lines from standard input: the password as it is, and the new one"},
    FLAG_END,
};

/* A route of its own session: passwords are changed by whoever knows the old one, so a token will do for the connection. */
static int run_password(struct cli *c, struct err *e)
{
    char *before = NULL, *after = NULL;
    int code = cli_client(c, e);
    if (!code)
        code = cli_password(c, "Password now", false, &before, e);
    if (!code)
        code = cli_password(c, "New password", true, &after, e);
    if (code)
        return code;
    JSON_AUTO body = json_pack("{s:s, s:s}", "current_password", before, "new_password", after);
    explicit_bzero(before, strlen(before));
    explicit_bzero(after, strlen(after));
    if (!body)
        return err_set(e, ERR_INVALID, "a password is no UTF-8");
    code = cli_send(c, "PUT", "/api/v1/session/password", body, NULL, NULL, e);
    if (!code)
        output_note("Your password is changed; your other sessions have ended, your tokens go on.");
    return code;
}

const struct command session_commands[] = {
    {"login", "", login_flags, run_login, 0, 0, NULL, "sign in and keep a token for this server",
     "Examples:\n"
     "  soma login --url https://soma.example.org\n"
     "  soma login --url https://soma.example.org --name ada --password-stdin < password.txt\n"
     "\nThe token is kept in ~/.config/soma/config.json (0600). A program rather takes one from `soma tokens create` in SOMA_TOKEN or SOMA_TOKEN_FILE.\n"},
    {"logout", "", NULL, run_logout, 0, 0, NULL, "revoke that token and forget it", NULL},
    {"whoami", "", NULL, run_whoami, 0, 0, NULL, "who this token speaks for, and its roles", NULL},
    {"password", "", password_flags, run_password, 0, 0, NULL, "change your own password", NULL},
    {0},
};
