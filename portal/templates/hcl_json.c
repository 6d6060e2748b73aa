/* HCL's JSON syntax (.tf.json). jansson says whether it is JSON; then a scan of the same text makes nodes with lines, which jansson does not keep.
 * JSON has no blocks: at the top level the known block types are unfolded into blocks with labels, below it every member is an attribute whose
 * object's members are its own. */
#include "portal/json/json.h"
#include "portal/templates/hcl_private.h"
#include <stdlib.h>
#include <string.h>

/* The file is valid JSON by now, so the scan need not check. */

static void skip(struct hcl_text *t)
{
    while (t->i < t->len && strchr(" \t\r\n,:", t->s[t->i])) {
        if (t->s[t->i++] == '\n') {
            t->line++;
            t->line_start = t->i;
        }
    }
}

/* At a quote, to behind its end; the decoded text. */
static const char *take_string(struct hcl_text *t)
{
    size_t start = t->i++;
    while (t->s[t->i] != '"')
        t->i += t->s[t->i] == '\\' ? 2 : 1;
    t->i++;
    json_t *v = NULL;
    const char *text = "";
    if (json_read(t->s + start, t->i - start, 0, &v, NULL) == 0)
        text = arena_strndup(t->a, json_string_value(v), json_string_length(v));
    json_decref(v);
    return text;
}

static struct hcl_node *read_value(struct hcl_text *t, struct hcl_node *n);

static struct hcl_node *read_object(struct hcl_text *t, struct hcl_node *n)
{
    struct hcl_node *tail = n->first;
    while (tail && tail->next)
        tail = tail->next;
    t->i++;
    for (skip(t); t->s[t->i] != '}'; skip(t)) {
        int line = t->line, column = (int)(t->i - t->line_start) + 1;
        struct hcl_node *member = hcl_node_new(t, HCL_ATTRIBUTE, take_string(t), line, column);
        skip(t);
        if (!member || !read_value(t, member))
            return NULL;
        hcl_append(n, &tail, member);
    }
    t->i++;
    return n;
}

/* A list's objects give their members to the list's own attribute: HCL reads a list of objects as several blocks of one name. */
static struct hcl_node *read_array(struct hcl_text *t, struct hcl_node *n)
{
    t->i++;
    for (skip(t); t->s[t->i] != ']'; skip(t))
        if (!read_value(t, n))
            return NULL;
    t->i++;
    return n;
}

static struct hcl_node *read_value(struct hcl_text *t, struct hcl_node *n)
{
    size_t start = t->i;
    bool whole = !n->text; /* not an item of a list */
    if (whole)
        n->text = ""; /* marks the items of a list as inner */
    if (t->s[t->i] == '{') {
        if (!read_object(t, n))
            return NULL;
    } else if (t->s[t->i] == '[') {
        if (!read_array(t, n))
            return NULL;
    } else if (t->s[t->i] == '"') {
        const char *text = take_string(t);
        if (whole && !strstr(text, "${") && !strstr(text, "%{"))
            n->literal = text;
    } else {
        while (t->i < t->len && !strchr(" \t\r\n,:]}", t->s[t->i]))
            t->i++;
    }
    if (whole)
        n->text = arena_strndup(t->a, t->s + start, t->i - start < HCL_TEXT_MAX ? t->i - start : HCL_TEXT_MAX);
    return n;
}

static size_t labels_of(const char *type)
{
    static const struct { const char *type; size_t labels; } types[] = {
        {"resource", 2}, {"data", 2}, {"ephemeral", 2}, {"list", 2}, {"action", 2}, {"module", 1}, {"provider", 1}, {"variable", 1}, {"output", 1}, {"check", 1},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].type, type) == 0)
            return types[i].labels;
    return 0;
}

struct unfold { struct hcl_text *t; struct hcl_node *body, *tail; const char *type; const char *labels[2]; };

/* A block from `from`, whose members become the block's own. */
static bool add_block(struct unfold *u, struct hcl_node *from, size_t n_labels)
{
    struct hcl_node *block = hcl_node_new(u->t, HCL_BLOCK, u->type, from->line, from->column);
    if (!block)
        return false;
    block->labels = arena_memdup(u->t->a, u->labels, sizeof u->labels);
    block->n_labels = n_labels;
    block->first = from->first;
    for (struct hcl_node *m = block->first; m; m = m->next)
        m->parent = block;
    hcl_append(u->body, &u->tail, block);
    return true;
}

static bool unfold(struct unfold *u, struct hcl_node *from, size_t level, size_t n_labels)
{
    if (from->text[0] != '{' && from->text[0] != '[')
        return strcmp(from->text, "null") == 0 || strcmp(from->name, "//") == 0 || hcl_fail(u->t, from->line, "%s must be an object here", from->name);
    if (level == n_labels)
        return add_block(u, from, n_labels);
    for (struct hcl_node *m = from->first; m; m = m->next) {
        u->labels[level] = m->name;
        if (!unfold(u, m, level + 1, n_labels))
            return false;
    }
    return true;
}

struct hcl_node *hcl_read_json(struct hcl_text *t)
{
    struct err e = ERR_INIT;
    json_t *v = NULL;
    struct hcl_node *body = hcl_node_new(t, HCL_BLOCK, "", 1, 1), *top = hcl_node_new(t, HCL_ATTRIBUTE, "", 1, 1);
    if (json_read(t->s, t->len, HCL_DEPTH_MAX, &v, &e)) {
        int line = strncmp(e.msg, "line ", 5) == 0 ? atoi(e.msg + 5) : 1;
        hcl_fail(t, line > 0 ? line : 1, "%s", e.msg);
        return NULL;
    }
    bool object = json_is_object(v) || json_is_array(v);
    json_decref(v);
    if (!object) {
        hcl_fail(t, 1, "the file must be an object");
        return NULL;
    }
    skip(t);
    if (!read_value(t, top))
        return NULL;
    struct unfold u = {.t = t, .body = body};
    for (struct hcl_node *m = top->first; m; m = m->next) {
        if (strcmp(m->name, "//") == 0)
            continue;
        u.type = m->name;
        if (!unfold(&u, m, 0, labels_of(m->name)))
            return NULL;
    }
    return body;
}
