/* Filling in defaults. The complication: a default may be an object whose own schema has defaults, and a recursive schema would unfold for ever;
 * so inside a value that came from a default no schema is applied a second time on one way down, and all fillings share a budget. */
#include "portal/json/schema_private.h"

enum { FILLS_MAX = 10000, DOWN_MAX = 100 };

struct way { const struct way *up; const struct node *node; bool filled; };
struct fill { size_t left; struct err *e; };

static int too_many(struct fill *f)
{
    return err_set(f->e, ERR_TOO_LARGE, "the schema's defaults unfold without measure; leave some out");
}

/* Whether `n` is on the way down already, since the first value that came from a default. */
static bool goes_round(const struct way *way, const struct node *n)
{
    for (; way && way->filled; way = way->up)
        if (way->node == n)
            return true;
    return false;
}

static int fill(struct fill *f, const struct node *n, json_t *v, const struct way *way, int depth);

static int fill_object(struct fill *f, const struct node *n, json_t *v, const struct way *way, int depth)
{
    for (size_t i = 0; i < n->properties.n; i++) {
        const struct child *c = &n->properties.items[i];
        json_t *member = json_object_get(v, c->name);
        const struct node *from = c->node;
        struct way down = {way, c->node, way && way->filled};
        if (goes_round(way, c->node))
            continue;
        for (int hops = 0; !member && !from->fallback && from->ref && hops < DOWN_MAX; hops++)
            from = from->ref; /* the default may stand behind a $ref */
        if (!member && from->fallback) {
            if (f->left-- == 0)
                return too_many(f);
            member = json_deep_copy(from->fallback);
            json_object_set_new(v, c->name, member);
            down.filled = true;
        }
        int code = member ? fill(f, c->node, member, &down, depth + 1) : 0;
        if (code)
            return code;
    }
    return 0;
}

static int fill_array(struct fill *f, const struct node *n, json_t *v, const struct way *way, int depth)
{
    size_t i;
    json_t *item;
    json_array_foreach(v, i, item) {
        const struct node *of = i < n->prefix_items.n ? n->prefix_items.items[i] : n->items;
        int code = of ? fill(f, of, item, way, depth + 1) : 0;
        if (code)
            return code;
    }
    return 0;
}

static int fill(struct fill *f, const struct node *n, json_t *v, const struct way *way, int depth)
{
    int code = 0;
    if (depth > DOWN_MAX || f->left-- == 0)
        return too_many(f);
    if (n->ref)
        code = fill(f, n->ref, v, way, depth + 1);
    for (size_t i = 0; !code && i < n->all_of.n; i++)
        code = fill(f, n->all_of.items[i], v, way, depth + 1);
    if (!code && json_is_object(v))
        code = fill_object(f, n, v, way, depth);
    else if (!code && json_is_array(v))
        code = fill_array(f, n, v, way, depth);
    return code;
}

int schema_fill_defaults(const struct schema *s, const json_t *value, json_t **ret, struct err *e)
{
    struct fill f = {FILLS_MAX + json_object_size(value) + json_array_size(value), e};
    json_t *copy = json_deep_copy(value);
    int code = copy ? fill(&f, s->entry, copy, NULL, 0) : err_set(e, ERR_NOMEM, "not enough memory for a value");
    if (code)
        json_decref(copy);
    else
        *ret = copy;
    return code;
}
