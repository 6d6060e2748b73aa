#include "portal/cli/cli.h"

/* A row for each process: a node that serves and works has two. */
static const struct column columns[] = {
    {"NAME", "name", COLUMN_TEXT}, {"ROLE", "role", COLUMN_TEXT}, {"VERSION", "version", COLUMN_TEXT}, {"STATE", "state", COLUMN_STATE}, {"STARTED", "started_at", COLUMN_TIME},
    {"SEEN", "seen_at", COLUMN_TIME}, {"NODE", "id", COLUMN_TEXT}, {0},
};

static json_t *process_rows(const json_t *nodes)
{
    json_t *rows = json_array(), *node, *process;
    size_t i, k;
    json_array_foreach((json_t *)(uintptr_t)nodes, i, node) {
        json_array_foreach(json_object_get(node, "processes"), k, process) {
            json_t *row = json_copy(process);
            json_object_set(row, "name", json_object_get(node, "name"));
            json_object_set(row, "id", json_object_get(node, "id"));
            json_array_append_new(rows, row);
        }
    }
    return rows;
}

static int run_list(struct cli *c, struct err *e)
{
    JSON_AUTO doc = NULL;
    int code = cli_get(c, "/api/v1/nodes", &doc, e); /* this list has no pages */
    if (code)
        return code;
    if (c->out.format == OUTPUT_TABLE)
        json_object_set_new(doc, "items", process_rows(json_object_get(doc, "items")));
    output_list(&c->out, columns, doc, "There is none.");
    return EXIT_DONE;
}

const struct command nodes_commands[] = {
    {"nodes list", "", NULL, run_list, 0, 0, NULL, "the machines of this installation and their processes", NULL},
    {0},
};
