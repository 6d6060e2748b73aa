#include "portal/cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define LIMIT_DEFAULT 500
#define PAGE_MAX 500

void cli_json_free(json_t **j)
{
    json_decref(*j);
    *j = NULL;
}

bool cli_interactive(void)
{
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

int cli_client(struct cli *c, struct err *e)
{
    if (c->client)
        return 0;
    int code = profile_load(c->arena, args_text(&c->args, "url"), args_text(&c->args, "ca"), &c->profile, e);
    if (code)
        return code;
    struct client_options o = {.url = c->profile.url, .token = c->profile.token, .ca = c->profile.ca, .verbose = args_has(&c->args, "verbose")};
    return client_new(&o, &c->client, e);
}

int cli_get(struct cli *c, const char *path, json_t **ret, struct err *e)
{
    return cli_get_etag(c, path, ret, NULL, e);
}

int cli_get_etag(struct cli *c, const char *path, json_t **ret, char **ret_etag, struct err *e)
{
    struct reply r = {0};
    int code = cli_client(c, e);
    if (!code)
        code = client_call(c->client, &(struct request){.method = "GET", .path = path}, &r, e);
    if (code)
        return code;
    if (!r.body)
        return err_set(e, ERR_INTERNAL, "the server answered %s with nothing", path);
    *ret = r.body;
    if (ret_etag)
        *ret_etag = *r.etag ? arena_strdup(c->arena, r.etag) : NULL;
    return 0;
}

static int send_request(struct cli *c, const struct request *q, json_t **ret, struct err *e)
{
    REPLY_AUTO r = {0};
    int code = cli_client(c, e);
    if (!code)
        code = client_call(c->client, q, &r, e);
    if (code)
        return code;
    if (ret)
        *ret = r.body ? json_incref(r.body) : json_object();
    return 0;
}

int cli_send(struct cli *c, const char *method, const char *path, const json_t *body, const char *key, json_t **ret, struct err *e)
{
    return send_request(c, &(struct request){.method = method, .path = path, .body = body, .key = key}, ret, e);
}

int cli_send_match(struct cli *c, const char *method, const char *path, const json_t *body, const char *etag, json_t **ret, struct err *e)
{
    return send_request(c, &(struct request){.method = method, .path = path, .body = body, .key = "", .if_match = etag}, ret, e);
}

/* Takes over the items of one page; returns whether another one should be fetched. */
static bool take_page(json_t *doc, const struct reply *r, int64_t limit)
{
    json_t *items = json_object_get(doc, "items");
    json_t *page = json_is_array(r->body) ? r->body : json_object_get(r->body, "items");
    json_array_extend(items, page);
    while (json_array_size(items) > (size_t)limit)
        json_array_remove(items, json_array_size(items) - 1);
    if (!*r->next)
        return false;
    if (json_array_size(items) < (size_t)limit)
        return json_array_size(page) > 0;
    json_object_set_new(doc, "next", json_string(r->next));
    return false;
}

int cli_list(struct cli *c, const char *path, json_t **ret, struct err *e)
{
    int64_t limit = args_int(&c->args, "limit", LIMIT_DEFAULT);
    if (limit < 1)
        return args_wrong(e, "--limit is at least 1, not %lld", (long long)limit);
    int code = cli_client(c, e);
    if (code)
        return code;
    char page[24];
    snprintf(page, sizeof page, "%d", (int)(limit < PAGE_MAX ? limit : PAGE_MAX));
    path = client_query(c->arena, path, "limit", page, NULL);
    JSON_AUTO doc = json_pack("{s:[]}", "items");
    for (bool more = true; more;) {
        REPLY_AUTO r = {0};
        code = client_call(c->client, &(struct request){.method = "GET", .path = path}, &r, e);
        if (code)
            return code;
        more = take_page(doc, &r, limit);
        path = arena_strdup(c->arena, r.next);
    }
    *ret = json_incref(doc);
    return 0;
}

int cli_print_list(struct cli *c, const char *path, const struct column *columns, struct err *e)
{
    JSON_AUTO doc = NULL;
    int code = cli_list(c, path, &doc, e);
    if (code)
        return code;
    output_list(&c->out, columns, doc, "There is none.");
    if (json_object_get(doc, "next") && !args_has(&c->args, "limit"))
        output_note("There are more than %d: --limit N shows N of them.", LIMIT_DEFAULT);
    return EXIT_DONE;
}

static volatile sig_atomic_t interrupted; /* while a question without echo stands */

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int read_line(struct cli *c, char **ret, struct err *e)
{
    char line[4096];
    size_t n = 0;
    for (char ch; n < sizeof line - 1;) {
        ssize_t got = read(STDIN_FILENO, &ch, 1); /* byte by byte: what follows the line stays for others */
        if (got < 0 && errno == EINTR && !interrupted)
            continue;
        if (got <= 0 && n == 0)
            return err_set(e, ERR_INVALID, "nothing was given on standard input");
        if (got <= 0 || ch == '\n')
            break;
        line[n++] = ch;
    }
    if (n && line[n - 1] == '\r')
        n--;
    *ret = arena_strndup(c->arena, line, n);
    explicit_bzero(line, sizeof line);
    return 0;
}

/* Reads without echo; the terminal gets its echo back whatever ends the reading, Ctrl-C too. */
static int read_hidden(struct cli *c, char **ret, struct err *e)
{
    struct termios before, quiet;
    struct sigaction act = {.sa_handler = on_signal}, before_int, before_term;
    if (tcgetattr(STDIN_FILENO, &before))
        return read_line(c, ret, e);
    sigaction(SIGINT, &act, &before_int);
    sigaction(SIGTERM, &act, &before_term);
    quiet = before;
    quiet.c_lflag &= (tcflag_t)~ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    int code = read_line(c, ret, e);
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    sigaction(SIGINT, &before_int, NULL);
    sigaction(SIGTERM, &before_term, NULL);
    fputc('\n', stderr);
    return interrupted ? err_set(e, ERR_CANCELED, "interrupted") : code;
}

int cli_ask(struct cli *c, const char *question, bool hidden, char **ret, struct err *e)
{
    if (!cli_interactive())
        return err_set(e, ERR_INVALID, "there is no terminal to ask on (%s)", question);
    fprintf(stderr, "%s: ", question);
    fflush(stderr);
    return hidden ? read_hidden(c, ret, e) : read_line(c, ret, e);
}

int cli_password(struct cli *c, const char *question, bool twice, char **ret, struct err *e)
{
    if (args_has(&c->args, "password-stdin"))
        return read_line(c, ret, e);
    if (!cli_interactive())
        return err_set(e, ERR_INVALID, "there is no terminal to ask for the password on: hand it over with --password-stdin");
    char *again;
    int code = cli_ask(c, question, true, ret, e);
    if (code || !twice)
        return code;
    code = cli_ask(c, "The same again", true, &again, e);
    if (!code && strcmp(*ret, again) != 0)
        return err_set(e, ERR_INVALID, "the two passwords differ: nothing was changed");
    return code;
}

int cli_split(struct cli *c, const char *flag, const char *text, char **ret_key, const char **ret_value, struct err *e)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return args_wrong(e, "--%s takes NAME=VALUE, not \"%.*s\"", flag, (int)strcspn(text, "="), text);
    *ret_key = arena_strndup(c->arena, text, (size_t)(equals - text));
    *ret_value = equals + 1;
    return 0;
}
