#include "portal/cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include "portal/cli/input.h"
#include "portal/cli/text.h"
#include "portal/core/clock.h"
#include "portal/templates/templates.h"

#define SECRET_MAX ((size_t)65536)
#define WAIT_MS (5 * 60000)

#define FLAG_WAIT {"wait", 0, FLAG_BOOL, NULL, NULL, false, "wait until it was read, and show what is wrong in it"}

static const struct column list_columns[] = {
    {"NAME", "name", COLUMN_TEXT}, {"TITLE", "title", COLUMN_TEXT}, {"OWNER", "owner", COLUMN_TEXT}, {"TYPE", "type", COLUMN_TEXT},
    {"VERSION", "version", COLUMN_NUMBER}, {"REPOSITORY", "repository", COLUMN_TEXT}, {"PUBLISHED", "published_at", COLUMN_TIME}, {0},
};

static const struct column fields[] = {
    {"Golden path", "name", COLUMN_TEXT},
    {"Title", "title", COLUMN_TEXT},
    {"What", "description", COLUMN_TEXT},
    {"State", "state", COLUMN_STATE},
    {"Owner", "owner", COLUMN_TEXT},
    {"Type", "type", COLUMN_TEXT},
    {"Tags", "tags", COLUMN_LIST},
    {"Environments", "environments", COLUMN_LIST},
    {"Usually takes", "typical_seconds", COLUMN_SECONDS},
    {"Version", "version", COLUMN_TEXT},
    {"Repository", "repository", COLUMN_TEXT},
    {"Folder", "path", COLUMN_TEXT},
    {"Commit", "commit", COLUMN_TEXT},
    {"Published", "published_at", COLUMN_TIME},
    {0},
};

static const struct column parameter_columns[] = {
    {"PARAMETER", "name", COLUMN_TEXT}, {"TYPE", "type", COLUMN_LIST}, {"NEEDED", "needed", COLUMN_TEXT}, {"DEFAULT", "default", COLUMN_TEXT},
    {"ALLOWED", "enum", COLUMN_LIST},   {"WHAT", "title|description", COLUMN_TEXT}, {0},
};

static const struct column output_columns[] = {
    {"OUTPUT", "name", COLUMN_TEXT}, {"SENSITIVE", "sensitive", COLUMN_TEXT}, {"WHAT", "title|description", COLUMN_TEXT}, {0},
};

static const struct column repository_columns[] = {
    {"NAME", "name", COLUMN_TEXT}, {"URL", "url", COLUMN_TEXT}, {"REF", "ref", COLUMN_TEXT}, {"STATE", "state", COLUMN_STATE}, {"PROBLEMS", "problem_count", COLUMN_NUMBER},
    {"COMMIT", "commit", COLUMN_TEXT}, {"READ", "refreshed_at", COLUMN_TIME}, {0},
};

static const struct column repository_fields[] = {
    {"Repository", "name", COLUMN_TEXT}, {"URL", "url", COLUMN_TEXT}, {"Ref", "ref", COLUMN_TEXT}, {"Credentials", "credentials", COLUMN_TEXT}, {"State", "state", COLUMN_STATE},
    {"Commit", "commit", COLUMN_TEXT}, {"Read", "refreshed_at", COLUMN_TIME}, {"Registered", "created_at", COLUMN_TIME}, {"By", "created_by", COLUMN_TEXT},
    {"Golden paths", "templates", COLUMN_LIST}, {"Webhook", "webhook.url", COLUMN_TEXT}, {"Webhook secret", "webhook.secret", COLUMN_TEXT}, {0},
};

static const struct column problem_columns[] = {
    {"FILE", "path", COLUMN_TEXT}, {"LINE", "line", COLUMN_NUMBER}, {"PROBLEM", "reason", COLUMN_TEXT}, {0},
};

static int run_list(struct cli *c, struct err *e)
{
    return cli_print_list(c, "/api/v1/templates", list_columns, e);
}

static bool in_list(const json_t *list, const char *word)
{
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)(uintptr_t)list, i, one)
        if (json_is_string(one) && !strcmp(json_string_value(one), word))
            return true;
    return false;
}

/* The members of an object as rows with a `name`; `required` (may be NULL) makes a `needed`. */
static json_t *member_rows(const json_t *object, const json_t *required)
{
    json_t *rows = json_array(), *member;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)object, name, member) {
        json_t *row = json_is_object(member) ? json_copy(member) : json_object();
        json_object_set_new(row, "name", json_string(name));
        if (required)
            json_object_set_new(row, "needed", json_boolean(in_list(required, name)));
        json_array_append_new(rows, row);
    }
    return rows;
}

static void print_rows(struct cli *c, const struct column *columns, const json_t *rows)
{
    if (!json_array_size(rows))
        return;
    BUF_AUTO out = BUF_INIT;
    output_table(&out, columns, rows, c->out.width, c->out.colour);
    fprintf(c->out.to, "\n%s", buf_cstr(&out));
}

static int run_show(struct cli *c, struct err *e)
{
    JSON_AUTO template = NULL;
    JSON_AUTO none = json_array();
    int code = cli_get(c, client_path(c->arena, "/api/v1/templates/{}", args_word(&c->args, 0)), &template, e);
    if (code)
        return code;
    output_document(&c->out, fields, template);
    if (c->out.format != OUTPUT_TABLE)
        return EXIT_DONE;
    const json_t *required = output_at(template, "parameters.required");
    JSON_AUTO parameters = member_rows(output_at(template, "parameters.properties"), required ? required : none);
    JSON_AUTO outputs = member_rows(json_object_get(template, "outputs"), NULL);
    print_rows(c, parameter_columns, parameters);
    print_rows(c, output_columns, outputs);
    return EXIT_DONE;
}

static void print_repository(struct cli *c, const json_t *repository)
{
    output_document(&c->out, repository_fields, repository);
    if (c->out.format == OUTPUT_TABLE)
        print_rows(c, problem_columns, json_object_get(repository, "problems"));
}

static int run_repositories(struct cli *c, struct err *e)
{
    JSON_AUTO repository = NULL;
    if (!c->args.n_words)
        return cli_print_list(c, "/api/v1/templates/repositories", repository_columns, e);
    int code = cli_get(c, client_path(c->arena, "/api/v1/templates/repositories/{}", args_word(&c->args, 0)), &repository, e);
    if (!code)
        print_repository(c, repository);
    return code;
}

/* Waits until the repository was read; *ret is its document. */
static int wait_for(struct cli *c, const char *name, json_t **ret, struct err *e)
{
    for (int64_t until = clock_mono_ms() + WAIT_MS;;) {
        JSON_AUTO repository = NULL;
        int code = cli_get(c, client_path(c->arena, "/api/v1/templates/repositories/{}", name), &repository, e);
        if (code)
            return code;
        const char *state = json_string_value(json_object_get(repository, "state"));
        if (!state || strcmp(state, "refreshing") != 0) {
            *ret = json_incref(repository);
            return 0;
        }
        if (clock_mono_ms() > until)
            return err_set(e, ERR_TIMEOUT, "%s was not read within %d minutes; `soma templates repositories %s` looks again", name, WAIT_MS / 60000, name);
        clock_sleep_ms(300);
    }
}

/* Whether all in it is in order. */
static int exit_of(const json_t *repository)
{
    return json_integer_value(json_object_get(repository, "problem_count")) ? EXIT_FAILED : EXIT_DONE;
}

/* ---- add ---- */

static const struct flag add_flags[] = {
    {"name", 0, FLAG_TEXT, "NAME", NULL, false, "what it is called here, if NAME is not given before URL (default: from the URL)"},
    {"ref", 0, FLAG_TEXT, "REF", NULL, false, "branch or tag (default: what the repository itself names)"},
    {"username", 0, FLAG_TEXT, "NAME", NULL, false, "for https with a password, or ssh (default: git)"},
    {"password-stdin", 0, FLAG_BOOL, NULL, NULL, false, "read the password for https from standard input"},
    {"token-stdin", 0, FLAG_BOOL, NULL, NULL, false, "read an access token for https from standard input"},
    {"ssh-key", 0, FLAG_TEXT, "FILE", "file", false, "private key for ssh"},
    {"passphrase-stdin", 0, FLAG_BOOL, NULL, NULL, false, "read the key's passphrase from standard input"},
    {"host-key", 0, FLAG_TEXT, "TEXT", NULL, false, "the host's public key, as in known_hosts"},
    FLAG_WAIT,
    FLAG_END,
};

/* "https://git.example.org/platform/golden-paths.git" is golden-paths. */
static const char *name_of_url(struct cli *c, const char *url)
{
    size_t n = strlen(url);
    while (n && url[n - 1] == '/')
        n--;
    if (n > 4 && !strncmp(url + n - 4, ".git", 4))
        n -= 4;
    size_t start = n;
    while (start && url[start - 1] != '/' && url[start - 1] != ':')
        start--;
    char *name = arena_strndup(c->arena, url + start, n - start);
    for (char *p = name; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ? *p : '-';
    return name;
}

static bool is_url(const char *word)
{
    return strpbrk(word, ":/") != NULL;
}

/* [NAME] URL, in either order: a name has neither colon nor slash. */
static int read_words(struct cli *c, const char **ret_name, const char **ret_url, struct err *e)
{
    const char *one = args_word(&c->args, 0), *two = args_word(&c->args, 1);
    if (two && is_url(one) == is_url(two))
        return args_wrong(e, "\"%s\" and \"%s\" are not a name and a URL", one, two);
    *ret_url = two && !is_url(one) ? two : one;
    *ret_name = two ? (is_url(one) ? two : one) : args_text(&c->args, "name");
    if (!*ret_name)
        *ret_name = name_of_url(c, *ret_url);
    return 0;
}

static int put_secret(json_t *object, const char *key, const char *path, struct err *e)
{
    BUF_AUTO text = BUF_INIT;
    int code = input_read(path, SECRET_MAX, &text, e);
    if (code)
        return code;
    bool whole = !strcmp(key, "ssh_key"); /* a key's last line end belongs to it */
    while (!whole && text.len && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
        text.data[--text.len] = 0;
    if (json_object_set_new(object, key, json_string(buf_cstr(&text))))
        code = err_set(e, ERR_INVALID, "the %s is no text", key);
    buf_wipe(&text);
    return code;
}

static int read_credentials(struct cli *c, json_t *object, struct err *e)
{
    static const struct { const char *flag, *key; } secrets[] = {{"password-stdin", "password"}, {"token-stdin", "token"}, {"passphrase-stdin", "passphrase"}};
    int code = 0, from_stdin = 0;
    for (size_t i = 0; !code && i < 3; i++) {
        if (!args_has(&c->args, secrets[i].flag))
            continue;
        if (from_stdin++)
            return args_wrong(e, "only one of --password-stdin, --token-stdin and --passphrase-stdin can read standard input");
        code = put_secret(object, secrets[i].key, "-", e);
    }
    if (!code && args_has(&c->args, "ssh-key"))
        code = put_secret(object, "ssh_key", args_text(&c->args, "ssh-key"), e);
    if (!code && args_has(&c->args, "host-key"))
        json_object_set_new(object, "host_key", json_string(args_text(&c->args, "host-key")));
    if (!code && args_has(&c->args, "username"))
        json_object_set_new(object, "username", json_string(args_text(&c->args, "username")));
    return code;
}

static int run_add(struct cli *c, struct err *e)
{
    const struct args *a = &c->args;
    JSON_AUTO credentials = json_object();
    JSON_AUTO made = NULL;
    const char *name, *url;
    int code = read_words(c, &name, &url, e);
    if (code)
        return code;
    JSON_AUTO body = json_pack("{s:s, s:s, s:s*}", "name", name, "url", url, "ref", args_text(a, "ref"));
    if (!body)
        return args_wrong(e, "a word of this command is no UTF-8");
    code = read_credentials(c, credentials, e);
    if (code)
        return code;
    if (json_object_size(credentials))
        json_object_set(body, "credentials", credentials);
    code = cli_send(c, "POST", "/api/v1/templates/repositories", body, "", &made, e);
    if (code)
        return code;
    const char *webhook = json_string_value(output_at(made, "webhook.url"));
    if (webhook && *webhook == '/')
        json_object_set_new(json_object_get(made, "webhook"), "url", json_sprintf("%s%s", c->profile.url, webhook));
    JSON_AUTO read = NULL;
    if (args_has(a, "wait") && (code = wait_for(c, name, &read, e)))
        return code;
    if (read) /* as it is now, and the webhook, which is told of this once */
        json_object_update(made, read);
    print_repository(c, made);
    output_note("The webhook's secret is shown this once.");
    if (!read)
        output_note("The repository is being read; `soma templates repositories %s` tells what is in it, and what is wrong.", name);
    return read ? exit_of(read) : EXIT_DONE;
}

static int run_remove(struct cli *c, struct err *e)
{
    int code = cli_send(c, "DELETE", client_path(c->arena, "/api/v1/templates/repositories/{}", args_word(&c->args, 0)), NULL, "", NULL, e);
    if (!code)
        output_note("The repository %s is removed. Its golden paths can no longer be ordered; services made from them stay.", args_word(&c->args, 0));
    return code;
}

/* *ret is the document as the server has it, or with --wait as it was read. */
static int refresh_one(struct cli *c, const char *name, json_t **ret, struct err *e)
{
    const char *path = client_path(c->arena, "/api/v1/templates/repositories/{}/refresh", name);
    if (!args_has(&c->args, "wait"))
        return cli_send(c, "POST", path, NULL, "", ret, e);
    int code = cli_send(c, "POST", path, NULL, "", NULL, e);
    return code ? code : wait_for(c, name, ret, e);
}

static void tell_refreshed(struct cli *c, const json_t *repository)
{
    if (c->out.format != OUTPUT_TABLE)
        return;
    if (args_has(&c->args, "wait"))
        print_repository(c, repository);
    else
        output_note("The repository %s is being read again.", json_string_value(json_object_get(repository, "name")));
}

static int refresh_all(struct cli *c, const json_t *repositories, json_t *items, struct err *e)
{
    size_t i;
    json_t *one;
    int worst = EXIT_DONE;
    json_array_foreach((json_t *)(uintptr_t)repositories, i, one) {
        json_t *read = NULL;
        int code = refresh_one(c, json_string_value(json_object_get(one, "name")), &read, e);
        if (code)
            return code;
        json_array_append_new(items, read);
        tell_refreshed(c, read);
        if (args_has(&c->args, "wait") && exit_of(read))
            worst = EXIT_FAILED;
    }
    return worst;
}

static int run_refresh(struct cli *c, struct err *e)
{
    JSON_AUTO list = NULL;
    JSON_AUTO done = json_pack("{s:[]}", "items");
    int code = 0;
    if (c->args.n_words)
        list = json_pack("{s:[{s:s}]}", "items", "name", args_word(&c->args, 0));
    else
        code = cli_list(c, "/api/v1/templates/repositories", &list, e);
    if (!code)
        code = refresh_all(c, json_object_get(list, "items"), json_object_get(done, "items"), e);
    if (code >= 0 && c->out.format != OUTPUT_TABLE)
        output_raw(&c->out, c->args.n_words ? json_array_get(json_object_get(done, "items"), 0) : done);
    return code;
}

/* ---- check ---- */

static void report_json(struct cli *c, const struct template_report *r)
{
    JSON_AUTO doc = json_pack("{s:[], s:[]}", "golden_paths", "findings");
    for (size_t i = 0; i < r->n_names; i++)
        json_array_append_new(json_object_get(doc, "golden_paths"), json_string(r->names[i]));
    for (size_t i = 0; i < r->n_findings; i++)
        json_array_append_new(json_object_get(doc, "findings"),
                              json_pack("{s:s, s:i, s:s}", "path", r->findings[i].path, "line", r->findings[i].line, "reason", r->findings[i].reason));
    output_raw(&c->out, doc);
}

static void add_finding(struct buf *out, const char *dir, const struct template_finding *f)
{
    BUF_AUTO line = BUF_INIT;
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    buf_printf(&line, "%.*s/%s:", (int)n, dir, f->path);
    if (f->line)
        buf_printf(&line, "%d:", f->line);
    buf_printf(&line, " %s", f->reason);
    text_clean(out, buf_cstr(&line), false);
    buf_char(out, '\n');
}

static void report_text(struct cli *c, const char *dir, const struct template_report *r)
{
    BUF_AUTO out = BUF_INIT;
    for (size_t i = 0; i < r->n_findings; i++)
        add_finding(&out, dir, &r->findings[i]);
    for (size_t i = 0; i < r->n_names; i++)
        buf_printf(&out, "%s is in order.\n", r->names[i]);
    fputs(buf_cstr(&out), c->out.to);
    if (r->n_findings)
        output_note("%zu %s to mend.", r->n_findings, r->n_findings == 1 ? "thing" : "things");
}

/* Needs no server: for a hook before a push. */
static int run_check(struct cli *c, struct err *e)
{
    const char *dir = c->args.n_words ? args_word(&c->args, 0) : ".";
    struct template_report r = {0};
    int code = templates_check_dir(dir, &r, e);
    if (code)
        return code;
    if (c->out.format != OUTPUT_TABLE)
        report_json(c, &r);
    else
        report_text(c, dir, &r);
    code = r.n_findings ? EXIT_FAILED : EXIT_DONE;
    templates_report_done(&r);
    return code;
}

const struct command templates_commands[] = {
    {"templates list", "", (const struct flag[]){FLAG_LIMIT, FLAG_END}, run_list, 0, 0, NULL, "golden paths that can be ordered", NULL},
    {"templates show", "TEMPLATE", NULL, run_show, 1, 1, "templates", "one golden path and its parameters", NULL},
    {"templates repositories", "[REPOSITORY]", (const struct flag[]){FLAG_LIMIT, FLAG_END}, run_repositories, 0, 1, "templates/repositories",
     "the git repositories they come from; of one, what is wrong in it", NULL},
    {"templates add", "[NAME] URL", add_flags, run_add, 1, 2, NULL, "register a git repository",
     "Examples:\n"
     "  soma templates add platform https://git.example.org/platform/golden-paths.git --ref main\n"
     "  soma templates add git@git.example.org:platform/golden-paths.git --ssh-key ~/.ssh/id_soma\n"},
    {"templates remove", "REPOSITORY", NULL, run_remove, 1, 1, "templates/repositories", "forget a repository; services made from it stay", NULL},
    {"templates refresh", "[REPOSITORY]", (const struct flag[]){FLAG_WAIT, FLAG_END}, run_refresh, 0, 1, "templates/repositories", "read a repository, or all, again now", NULL},
    {"templates check", "[DIR]", NULL, run_check, 0, 1, "dir", "check golden paths in a folder before a push; needs no server",
     "Prints FILE:LINE: REASON for each finding. Exit status: 0 in order, 1 something is wrong.\n"},
    {0},
};
