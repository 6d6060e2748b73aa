#include "portal/cli/orders.h"
#include "portal/cli/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct column list_columns[] = {
    {"NAME", "name", COLUMN_TEXT}, {"STATE", "state", COLUMN_STATE}, {"TEMPLATE", "template", COLUMN_TEXT}, {"ENVIRONMENT", "environment", COLUMN_TEXT},
    {"TEAM", "team", COLUMN_TEXT}, {"OWNER", "owner", COLUMN_TEXT},  {"CREATED", "created_at", COLUMN_TIME}, {0},
};

static const struct column service_fields[] = {
    {"Service", "name", COLUMN_TEXT},
    {"Id", "id", COLUMN_TEXT},
    {"State", "state", COLUMN_STATE},
    {"Reason", "reason", COLUMN_TEXT},
    {"Warning", "warning", COLUMN_TEXT},
    {"Possibly left", "possibly_left", COLUMN_JSON},
    {"Template", "template", COLUMN_TEXT},
    {"Version", "template_version", COLUMN_TEXT},
    {"Environment", "environment", COLUMN_TEXT},
    {"Team", "team", COLUMN_TEXT},
    {"Owner", "owner", COLUMN_TEXT},
    {"Cost centre", "cost_centre", COLUMN_TEXT},
    {"Parameters", "parameters", COLUMN_JSON},
    {"Tags", "tags", COLUMN_JSON},
    {"Resources", "resources", COLUMN_TEXT},
    {"Last order", "order", COLUMN_TEXT},
    {"Created", "created_at", COLUMN_TIME},
    {"Ready", "ready_at", COLUMN_TIME},
    {"Destroyed", "destroyed_at", COLUMN_TIME},
    {0},
};

static const struct flag list_flags[] = {
    {"state", 0, FLAG_TEXT, "creating|ready|failed|changing|destroying|destroyed", NULL, false, "only those in this state; without it all but the destroyed"},
    {"team", 0, FLAG_TEXT, "TEAM", "teams", false, "only this team's"},
    {"environment", 'e', FLAG_TEXT, "ENVIRONMENT", "environments", false, "only those there"},
    FLAG_LIMIT,
    FLAG_END,
};

static int run_list(struct cli *c, struct err *e)
{
    const struct args *a = &c->args;
    return cli_print_list(c, client_query(c->arena, "/api/v1/services", "state", args_text(a, "state"), "team", args_text(a, "team"), "environment",
                                          args_text(a, "environment"), NULL), list_columns, e);
}

static int run_show(struct cli *c, struct err *e)
{
    JSON_AUTO service = NULL;
    int code = cli_get(c, client_path(c->arena, "/api/v1/services/{}", args_word(&c->args, 0)), &service, e);
    if (!code)
        output_document(&c->out, service_fields, service);
    return code;
}

/* ---- outputs ---- */

static const struct flag outputs_flags[] = {
    {"reveal", 0, FLAG_BOOL, NULL, NULL, false, "with the sensitive values; stands in the audit log"},
    FLAG_END,
};

static int get_outputs(struct cli *c, const char *name, bool reveal, json_t **ret, struct err *e)
{
    const char *path = client_path(c->arena, reveal ? "/api/v1/services/{}/outputs/reveal" : "/api/v1/services/{}/outputs", name);
    JSON_AUTO doc = NULL;
    int code = reveal ? cli_send(c, "POST", path, NULL, "", &doc, e) : cli_get(c, path, &doc, e);
    if (code)
        return code;
    const json_t *outputs = json_object_get(doc, "outputs");
    *ret = json_incref((json_t *)(uintptr_t)(json_is_object(outputs) ? outputs : doc));
    return 0;
}

/* {"host": {"value": ..., "sensitive": ...}} to {"host": ...}; *ret_hidden counts the sensitive ones without a value. */
static json_t *flatten(const json_t *outputs, size_t *ret_hidden)
{
    json_t *flat = json_object(), *output;
    const char *name;
    *ret_hidden = 0;
    json_object_foreach((json_t *)(uintptr_t)outputs, name, output) {
        json_t *value = json_is_object(output) ? json_object_get(output, "value") : output;
        if (json_is_true(json_object_get(output, "sensitive")) && (!value || json_is_null(value)))
            ++*ret_hidden;
        if (value)
            json_object_set(flat, name, value);
        else
            json_object_set_new(flat, name, json_null());
    }
    return flat;
}

static const struct column output_columns[] = {
    {"OUTPUT", "name", COLUMN_TEXT}, {"VALUE", "value", COLUMN_TEXT}, {"WHAT", "title|description", COLUMN_TEXT}, {0},
};

static void print_outputs(struct cli *c, const json_t *outputs)
{
    JSON_AUTO items = json_array();
    const char *name;
    json_t *output;
    json_object_foreach((json_t *)(uintptr_t)outputs, name, output) {
        json_t *item = json_deep_copy(output);
        bool hidden = json_is_true(json_object_get(item, "sensitive")) && json_is_null(json_object_get(item, "value"));
        json_object_set_new(item, "name", json_string(name));
        if (hidden)
            json_object_set_new(item, "value", json_string("(sensitive)"));
        json_array_append_new(items, item);
    }
    BUF_AUTO out = BUF_INIT;
    output_table(&out, output_columns, items, 0, c->out.colour); /* never shortened: values are copied from here */
    fwrite(buf_cstr(&out), 1, out.len, c->out.to);
    if (out.data)
        explicit_bzero(out.data, out.len);
}

static int run_outputs(struct cli *c, struct err *e)
{
    JSON_AUTO outputs = NULL;
    bool reveal = args_has(&c->args, "reveal");
    const char *name = args_word(&c->args, 0);
    int code = get_outputs(c, name, reveal, &outputs, e);
    if (code)
        return code;
    size_t hidden;
    JSON_AUTO flat = flatten(outputs, &hidden);
    if (c->out.format != OUTPUT_TABLE)
        output_raw(&c->out, flat);
    else if (json_object_size(outputs))
        print_outputs(c, outputs);
    else
        output_note("%s has no outputs yet.", name);
    if (hidden && !reveal)
        output_note("%zu sensitive %s not shown: --reveal shows %s, and that stands in the audit log.", hidden, hidden == 1 ? "value is" : "values are",
                    hidden == 1 ? "it" : "them");
    return EXIT_DONE;
}

/* ---- connect ---- */

static const char *text_output(struct cli *c, const json_t *flat, const char *name)
{
    const json_t *value = json_object_get(flat, name);
    if (json_is_integer(value))
        return arena_printf(c->arena, "%lld", (long long)json_integer_value(value));
    return json_string_value(value);
}

/* What psql reads from the environment; the password never stands among its arguments, which every account of the machine may read. */
static int set_environment(struct cli *c, const json_t *flat, const char *service, struct err *e)
{
    static const struct { const char *output, *variable; bool needed; } parts[] = {
        {"host", "PGHOST", true}, {"port", "PGPORT", false}, {"database", "PGDATABASE", true}, {"username", "PGUSER", true}, {"password", "PGPASSWORD", true}, {"sslmode", "PGSSLMODE", false},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *value = text_output(c, flat, parts[i].output);
        if (!value && parts[i].needed)
            return err_set(e, ERR_INVALID, "%s is no PostgreSQL database that psql could open: it has no output \"%s\"", service, parts[i].output);
        if (value)
            setenv(parts[i].variable, value, 1);
    }
    setenv("PGAPPNAME", "soma", 0);
    return 0;
}

/* Settings of the person's own environment that would lead psql elsewhere. */
static void clear_environment(void)
{
    static const char *const others[] = {"PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE", "PGPASSFILE", "PGOPTIONS", "PGTARGETSESSIONATTRS"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        unsetenv(others[i]);
}

static int run_connect(struct cli *c, struct err *e)
{
    JSON_AUTO outputs = NULL;
    const char *name = args_word(&c->args, 0);
    int code = get_outputs(c, name, true, &outputs, e);
    if (code)
        return code;
    size_t hidden;
    JSON_AUTO flat = flatten(outputs, &hidden);
    clear_environment();
    code = set_environment(c, flat, name, e);
    if (code)
        return code;
    char **argv = arena_alloc(c->arena, (c->args.n_rest + 2) * sizeof *argv);
    argv[0] = arena_strdup(c->arena, "psql");
    for (size_t i = 0; i < c->args.n_rest; i++)
        argv[i + 1] = c->args.rest[i];
    fflush(NULL);
    execvp("psql", argv);
    if (errno == ENOENT)
        return err_set(e, ERR_IO, "psql is not installed: `apt install postgresql-client` brings it");
    return err_errno(e, ERR_IO, errno, "psql cannot be started");
}

/* ---- destroy ---- */

static const struct flag destroy_flags[] = {
    {"yes", 'y', FLAG_BOOL, NULL, NULL, false, "do not ask"},
    {"watch", 'w', FLAG_BOOL, NULL, NULL, false, "follow it to the end"},
    {"plan", 0, FLAG_BOOL, NULL, NULL, false, "plan and ask the gates, destroy nothing"},
    {"idempotency-key", 0, FLAG_TEXT, "K", NULL, false, "sending it again with the same key orders nothing twice"},
    FLAG_END,
};

static int confirm(struct cli *c, const char *name, struct err *e)
{
    char *typed;
    if (args_has(&c->args, "yes") || args_has(&c->args, "plan"))
        return 0;
    if (!cli_interactive())
        return err_set(e, ERR_INVALID, "without a terminal to ask on, `soma destroy %s` needs --yes; nothing was destroyed", name);
    output_note("This destroys %s and all that is in it. It cannot be taken back.", name);
    int code = cli_ask(c, "Type its name to go on", false, &typed, e);
    if (code)
        return code;
    return strcmp(typed, name) ? err_set(e, ERR_INVALID, "\"%s\" is not \"%s\": nothing was destroyed", typed, name) : 0;
}

static int run_destroy(struct cli *c, struct err *e)
{
    JSON_AUTO order = NULL;
    const char *name = args_word(&c->args, 0), *key = args_text(&c->args, "idempotency-key");
    int code = confirm(c, name, e);
    if (code)
        return code;
    JSON_AUTO body = json_pack("{s:s, s:s, s:o*}", "kind", "destroy", "name", name, "plan_only", args_has(&c->args, "plan") ? json_true() : NULL);
    if (!body)
        return err_set(e, ERR_INVALID, "the name is no UTF-8");
    code = cli_send(c, "POST", "/api/v1/orders", body, key ? key : "", &order, e);
    return code ? code : orders_accepted(c, order, e);
}

const struct command services_commands[] = {
    {"services list", "", list_flags, run_list, 0, 0, NULL, "services of the teams that you may read", NULL},
    {"services show", "SERVICE", NULL, run_show, 1, 1, "services", "one service", NULL},
    {"services outputs", "SERVICE", outputs_flags, run_outputs, 1, 1, "services", "how to reach it: host, port, url, ...",
     "With -o json or yaml: one flat object; a sensitive value is null unless revealed.\n"},
    {"services connect", "SERVICE [-- PSQL-ARGUMENTS]", NULL, run_connect, 1, 1, "services", "open a PostgreSQL database with psql",
     "The password reaches psql by its environment and is never shown. Looking it up stands in the audit log.\n"
     "Example: soma services connect orders-db -- -c 'select now()'\n", true},
    {"destroy", "SERVICE", destroy_flags, run_destroy, 1, 1, "services", "end a service and all it consists of",
     "On a terminal it asks for the name; without one it needs --yes.\n"
     "Exit status with --watch: 0 destroyed, 1 failed, 3 waits for approval, 4 canceled.\n"},
    {0},
};
