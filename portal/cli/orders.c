#include "portal/cli/orders.h"

#include <stdlib.h>
#include <string.h>

#include "portal/cli/progress.h"
#include "portal/cli/values.h"
#include "portal/cli/watch.h"
#include "portal/core/id.h"

#define EVENTS_DEFAULT 10000

static const struct column list_columns[] = {
    {"ORDER", "id", COLUMN_TEXT},        {"SERVICE", "name", COLUMN_TEXT}, {"KIND", "kind", COLUMN_TEXT},
    {"STATE", "state", COLUMN_STATE},    {"TEMPLATE", "template", COLUMN_TEXT}, {"ENVIRONMENT", "environment", COLUMN_TEXT},
    {"TEAM", "team", COLUMN_TEXT},       {"BY", "ordered_by", COLUMN_TEXT}, {"ORDERED", "requested_at", COLUMN_TIME},
    {0},
};

static const struct column order_fields[] = {
    {"Order", "id", COLUMN_TEXT},
    {"Service", "name", COLUMN_TEXT},
    {"Kind", "kind", COLUMN_TEXT},
    {"State", "state", COLUMN_STATE},
    {"Reason", "reason", COLUMN_TEXT},
    {"Problem", "problem.detail|problem.message", COLUMN_TEXT},
    {"Template", "template", COLUMN_TEXT},
    {"Environment", "environment", COLUMN_TEXT},
    {"Team", "team", COLUMN_TEXT},
    {"Cost centre", "cost_centre", COLUMN_TEXT},
    {"Ordered by", "ordered_by", COLUMN_TEXT},
    {"Person", "person", COLUMN_TEXT},
    {"Ordered", "requested_at", COLUMN_TIME},
    {"Ended", "finished_at", COLUMN_TIME},
    {"Plan only", "plan_only", COLUMN_TEXT},
    {"Parameters", "parameters", COLUMN_JSON},
    {0},
};

static const struct column step_columns[] = {
    {"STEP", "state", COLUMN_TEXT}, {"AT", "at", COLUMN_TIME}, {"TOOK", "seconds", COLUMN_SECONDS}, {"ACTOR", "actor", COLUMN_TEXT}, {"REASON", "reason", COLUMN_TEXT}, {0},
};

static const struct column gate_columns[] = {
    {"POINT", "point", COLUMN_TEXT}, {"GATE", "gate", COLUMN_TEXT}, {"OUTCOME", "outcome", COLUMN_STATE}, {"MESSAGE", "message", COLUMN_TEXT}, {0},
};

static const struct column change_columns[] = {
    {"ACTION", "action|actions", COLUMN_TEXT}, {"RESOURCE", "address", COLUMN_TEXT}, {0},
};

int orders_find(struct cli *c, const char *word, json_t **ret, struct err *e)
{
    if (id_valid(word))
        return cli_get(c, client_path(c->arena, "/api/v1/orders/{}", word), ret, e);
    if (!id_name_valid(word))
        return args_wrong(e, "\"%s\" is neither the id of an order nor the name of a service", word);
    JSON_AUTO page = NULL;
    int code = cli_get(c, client_query(c->arena, "/api/v1/orders", "service", word, "limit", "1", NULL), &page, e);
    if (code)
        return code;
    const char *id = json_string_value(json_object_get(json_array_get(json_object_get(page, "items"), 0), "id"));
    if (!id)
        return err_set(e, ERR_NOT_FOUND, "there is no order about a service named %s; `soma orders list` shows those there are", word);
    return cli_get(c, client_path(c->arena, "/api/v1/orders/{}", id), ret, e);
}

static void print_part(struct cli *c, const char *title, const struct column *columns, const json_t *items)
{
    if (!json_array_size(items))
        return;
    BUF_AUTO out = BUF_INIT;
    output_styled(&out, STYLE_BOLD, c->out.colour, title);
    buf_char(&out, '\n');
    output_table(&out, columns, items, c->out.width, c->out.colour);
    fprintf(c->out.to, "\n%s", buf_cstr(&out));
}

static void print_order(struct cli *c, const json_t *order)
{
    output_document(&c->out, order_fields, order);
    if (c->out.format != OUTPUT_TABLE)
        return;
    print_part(c, "Steps", step_columns, json_object_get(order, "steps"));
    print_part(c, "Gates", gate_columns, json_object_get(order, "gates"));
    const json_t *plan = json_object_get(order, "plan");
    if (json_is_object(plan)) {
        fprintf(c->out.to, "\nPlan: %lld to add, %lld to change, %lld to destroy\n", (long long)json_integer_value(output_at(plan, "add")),
                (long long)json_integer_value(output_at(plan, "change")), (long long)json_integer_value(output_at(plan, "destroy|remove")));
        print_part(c, "Changes", change_columns, json_object_get(plan, "changes"));
    }
}

/* How a watched order ended: the document for programs, a sentence for people; a plan is shown whole. */
static void print_end(struct cli *c, const json_t *order)
{
    if (c->out.format != OUTPUT_TABLE)
        output_raw(&c->out, order);
    else if (json_is_true(json_object_get(order, "plan_only")))
        print_order(c, order);
    watch_tell(order);
}

int orders_accepted(struct cli *c, const json_t *order, struct err *e)
{
    struct watch_options o = {0};
    JSON_AUTO ended = NULL;
    bool plan = args_has(&c->args, "plan");
    if (!args_has(&c->args, "watch") && !plan) {
        if (c->out.format != OUTPUT_TABLE)
            output_raw(&c->out, order);
        else
            fprintf(c->out.to, "%s\n", json_string_value(json_object_get(order, "id")));
        watch_tell(order);
        return EXIT_DONE;
    }
    int code = watch_order(c, order, &o, &ended, e);
    if (ended && code != EXIT_INTERRUPTED)
        print_end(c, ended);
    return code;
}

/* ---- order ---- */

static const struct flag order_flags[] = {
    {"template", 't', FLAG_TEXT, "TEMPLATE", "templates", true, "the golden path"},
    {"environment", 'e', FLAG_TEXT, "ENVIRONMENT", "environments", true, "where"},
    {"team", 0, FLAG_TEXT, "TEAM", "teams", true, "whose it will be"},
    {"set", 's', FLAG_LIST, "KEY=VALUE", NULL, false, "a parameter; its type is the golden path's; dots for members"},
    {"set-json", 0, FLAG_LIST, "KEY=JSON", NULL, false, "a parameter in JSON"},
    {"parameters", 'f', FLAG_LIST, "FILE", "file", false, "parameters in YAML or JSON (- is standard input); --set wins"},
    {"cost-centre", 0, FLAG_TEXT, "C", NULL, false, "who pays, unless it is the team's own"},
    {"plan", 0, FLAG_BOOL, NULL, NULL, false, "plan and ask the gates, apply nothing; waits for the plan and shows it"},
    {"watch", 'w', FLAG_BOOL, NULL, NULL, false, "follow it to the end"},
    {"idempotency-key", 0, FLAG_TEXT, "K", NULL, false, "sending it again with the same key orders nothing twice"},
    FLAG_END,
};

/* The golden path's parameter schema; NULL when there is none to be had, then the server alone decides. */
static json_t *get_schema(struct cli *c)
{
    JSON_AUTO template = NULL;
    struct err ignored = ERR_INIT;
    if (!args_count(&c->args, "set") && !args_count(&c->args, "set-json"))
        return NULL;
    if (cli_get(c, client_path(c->arena, "/api/v1/templates/{}", args_text(&c->args, "template")), &template, &ignored))
        return NULL;
    const json_t *schema = output_at(template, "parameters");
    return json_incref((json_t *)(uintptr_t)schema);
}

static int read_parameters(struct cli *c, const json_t *schema, json_t *parameters, struct err *e)
{
    const char *text;
    int code = 0;
    for (size_t i = 0; !code && (text = args_nth(&c->args, "parameters", i)); i++)
        code = values_load(text, parameters, e);
    for (size_t i = 0; !code && (text = args_nth(&c->args, "set-json", i)); i++)
        code = values_set_json(schema, parameters, text, e);
    bool wrong = false; /* all wrong fields are told of at once */
    for (size_t i = 0; !code && (text = args_nth(&c->args, "set", i)); i++) {
        int one = values_set(schema, parameters, text, e);
        wrong |= one && e->n_fields;
        code = one && !e->n_fields ? one : 0;
    }
    return wrong && !code ? ERR_INVALID : code;
}

/* The form of --set and --set-json needs no schema: what is wrong there is said before a server is asked. */
static int check_assignments(struct cli *c, struct err *e)
{
    JSON_AUTO scratch = json_object();
    const char *text;
    int code = 0;
    for (size_t i = 0; !code && (text = args_nth(&c->args, "set", i)); i++)
        code = values_set(NULL, scratch, text, e);
    for (size_t i = 0; !code && (text = args_nth(&c->args, "set-json", i)); i++)
        code = values_set_json(NULL, scratch, text, e);
    return code;
}

static int run_order(struct cli *c, struct err *e)
{
    const struct args *a = &c->args;
    JSON_AUTO parameters = json_object();
    JSON_AUTO order = NULL;
    int code = check_assignments(c, e);
    if (!code)
        code = cli_client(c, e);
    if (code)
        return code;
    JSON_AUTO schema = get_schema(c);
    code = read_parameters(c, schema, parameters, e);
    if (code)
        return code;
    JSON_AUTO body = json_pack("{s:s, s:s, s:s, s:s, s:s, s:O, s:s*, s:o*}", "kind", "create", "name", args_word(a, 0), "template", args_text(a, "template"),
                               "environment", args_text(a, "environment"), "team", args_text(a, "team"), "parameters", parameters, "cost_centre",
                               args_text(a, "cost-centre"), "plan_only", args_has(a, "plan") ? json_true() : NULL);
    if (!body)
        return args_wrong(e, "a word of this command is no UTF-8");
    const char *key = args_text(a, "idempotency-key");
    code = cli_send(c, "POST", "/api/v1/orders", body, key ? key : "", &order, e);
    return code ? code : orders_accepted(c, order, e);
}

/* ---- orders ---- */

static const struct flag list_flags[] = {
    {"state", 0, FLAG_TEXT, "STATE", NULL, false, "only those in this state; open: all that have not ended"},
    {"team", 0, FLAG_TEXT, "TEAM", "teams", false, "only this team's"},
    {"service", 0, FLAG_TEXT, "NAME", "services", false, "only those about this service"},
    FLAG_LIMIT,
    FLAG_END,
};

static int run_list(struct cli *c, struct err *e)
{
    const struct args *a = &c->args;
    return cli_print_list(c, client_query(c->arena, "/api/v1/orders", "state", args_text(a, "state"), "team", args_text(a, "team"), "service",
                                          args_text(a, "service"), NULL), list_columns, e);
}

static int run_show(struct cli *c, struct err *e)
{
    JSON_AUTO order = NULL;
    int code = orders_find(c, args_word(&c->args, 0), &order, e);
    if (!code)
        print_order(c, order);
    return code;
}

static const struct flag watch_flags[] = {
    {"past-approval", 0, FLAG_BOOL, NULL, NULL, false, "go on while an approval is awaited"},
    FLAG_END,
};

static int run_watch(struct cli *c, struct err *e)
{
    JSON_AUTO order = NULL;
    JSON_AUTO ended = NULL;
    struct watch_options o = {.past_approval = args_has(&c->args, "past-approval")};
    int code = orders_find(c, args_word(&c->args, 0), &order, e);
    if (!code)
        code = watch_order(c, order, &o, &ended, e);
    if (ended && code != EXIT_INTERRUPTED)
        print_end(c, ended);
    return code;
}

static const struct flag logs_flags[] = {
    {"follow", 'f', FLAG_BOOL, NULL, NULL, false, "go on until the order ends"},
    {"limit", 0, FLAG_INT, "N", NULL, false, "at most N events (default 10000)"},
    FLAG_END,
};

/* One event as a line: its time, then its words, or its name and data when this version has no words for it. */
static void print_event(struct cli *c, const json_t *event)
{
    BUF_AUTO line = BUF_INIT;
    BUF_AUTO words = BUF_INIT;
    const char *type = json_string_value(json_object_get(event, "type"));
    output_cell(&line, json_object_get(event, "at"), COLUMN_TIME);
    buf_str(&line, "  ");
    if (!progress_line(&words, type ? type : "", json_object_get(event, "data"), c->out.colour)) {
        buf_clear(&words);
        buf_str(&words, "  ");
        output_cell(&words, json_object_get(event, "type"), COLUMN_TEXT);
        const json_t *message = output_at(event, "data.message");
        buf_char(&words, ' ');
        output_cell(&words, message ? message : json_object_get(event, "data"), message ? COLUMN_TEXT : COLUMN_JSON);
    }
    fprintf(c->out.to, "%s%s\n", buf_cstr(&line), buf_cstr(&words));
}

/* Event pages go by the `cursor` in their body: a page without items is the end of what there is now. */
static int read_events(struct cli *c, const char *id, json_t *items, struct err *e)
{
    int64_t limit = args_int(&c->args, "limit", EVENTS_DEFAULT);
    const char *cursor = NULL;
    while (json_array_size(items) < (size_t)limit) {
        JSON_AUTO page = NULL;
        int code = cli_get(c, client_query(c->arena, client_path(c->arena, "/api/v1/orders/{}/events", id), "format", "json", "limit", "500", "cursor", cursor, NULL),
                           &page, e);
        if (code)
            return code;
        const json_t *more = json_object_get(page, "items");
        const char *next = json_string_value(json_object_get(page, "cursor"));
        if (!json_array_size(more) || !next || (cursor && !strcmp(next, cursor)))
            return 0;
        json_array_extend(items, (json_t *)(uintptr_t)more);
        cursor = arena_strdup(c->arena, next);
    }
    while (json_array_size(items) > (size_t)limit)
        json_array_remove(items, json_array_size(items) - 1);
    return 0;
}

static int run_logs(struct cli *c, struct err *e)
{
    JSON_AUTO order = NULL;
    if (args_int(&c->args, "limit", EVENTS_DEFAULT) < 1)
        return args_wrong(e, "--limit is at least 1, not %s", args_text(&c->args, "limit"));
    int code = orders_find(c, args_word(&c->args, 0), &order, e);
    if (code)
        return code;
    if (args_has(&c->args, "follow"))
        return watch_order(c, order, &(struct watch_options){.plain = true, .past_approval = true}, NULL, e);
    JSON_AUTO doc = json_pack("{s:[]}", "items");
    code = read_events(c, json_string_value(json_object_get(order, "id")), json_object_get(doc, "items"), e);
    if (code)
        return code;
    if (c->out.format != OUTPUT_TABLE) {
        output_raw(&c->out, doc);
        return EXIT_DONE;
    }
    size_t i;
    json_t *event;
    json_array_foreach(json_object_get(doc, "items"), i, event)
        print_event(c, event);
    return EXIT_DONE;
}

static int run_cancel(struct cli *c, struct err *e)
{
    JSON_AUTO order = NULL;
    JSON_AUTO after = NULL;
    int code = orders_find(c, args_word(&c->args, 0), &order, e);
    if (!code)
        code = cli_send(c, "POST", client_path(c->arena, "/api/v1/orders/{}/cancel", json_string_value(json_object_get(order, "id"))), NULL, "", &after, e);
    if (code)
        return code;
    if (c->out.format != OUTPUT_TABLE)
        output_raw(&c->out, after);
    else
        watch_tell(after);
    return EXIT_DONE;
}

#define WATCH_STATUS "Exit status of a watch: 0 ready, 1 failed, 3 waits for approval, 4 canceled. Ctrl-C leaves the order as it is.\n"
#define NAMING "ORDER is an order's id, or the name of a service: then its newest order.\n"

const struct command orders_commands[] = {
    {"order", "NAME", order_flags, run_order, 1, 1, NULL, "order a golden path",
     "Examples:\n"
     "  soma order orders-db --template postgres-database --environment local --team payments --set size=small --watch\n"
     "  soma order orders-db -t postgres-database -e local --team payments --parameters orders-db.yaml --plan\n"
     "\n`soma templates show TEMPLATE` lists the parameters.\n" WATCH_STATUS},
    {"orders list", "", list_flags, run_list, 0, 0, NULL, "orders of the teams that you may read, newest first", NULL},
    {"orders show", "ORDER", NULL, run_show, 1, 1, "services", "one order with its steps, gates and plan", NAMING},
    {"orders watch", "ORDER", watch_flags, run_watch, 1, 1, "services", "follow an order to its end", NAMING WATCH_STATUS},
    {"orders logs", "ORDER", logs_flags, run_logs, 1, 1, "services", "what happened, event by event", NAMING},
    {"cancel", "ORDER", NULL, run_cancel, 1, 1, "services", "take an order back while it is queued or waits for approval", NAMING},
    {0},
};
