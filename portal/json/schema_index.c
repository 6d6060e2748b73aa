/* Where schemas are: identifiers, anchors and references inside the documents that were given. */
#include "portal/json/schema_private.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t slot_of(const struct entry *map, size_t cap, const json_t *json)
{
    size_t i = (size_t)(((uintptr_t)json >> 4) * 0x9E3779B97F4A7C15ull >> 16) & (cap - 1);
    while (map[i].json && map[i].json != json)
        i = (i + 1) & (cap - 1);
    return i;
}

static void grow(struct schema *s)
{
    size_t cap = s->map_cap ? s->map_cap * 2 : 64;
    struct entry *map = calloc(cap, sizeof *map);
    if (!map)
        abort();
    for (size_t i = 0; i < s->map_cap; i++)
        if (s->map[i].json)
            map[slot_of(map, cap, s->map[i].json)] = s->map[i];
    free(s->map);
    s->map = map;
    s->map_cap = cap;
}

struct entry *schema_entry(struct schema *s, const json_t *json, bool add)
{
    if (add && (s->map_n + 1) * 2 > s->map_cap)
        grow(s);
    if (s->map_cap == 0)
        return NULL;
    struct entry *found = &s->map[slot_of(s->map, s->map_cap, json)];
    if (found->json)
        return found;
    if (!add)
        return NULL;
    found->json = json;
    s->map_n++;
    return found;
}

const struct place *schema_place(struct schema *s, const struct place *up, const char *key, size_t index)
{
    struct place *p = arena_alloc(s->arena, sizeof *p);
    *p = (struct place){up, key, index};
    return p;
}

static void write_place(struct buf *out, const struct place *p)
{
    if (!p)
        return;
    write_place(out, p->up);
    if (p->key)
        json_pointer_add(out, p->key);
    else
        json_pointer_add_index(out, p->index);
}

int schema_complain(struct compiler *c, const struct place *p, const char *key, const char *fmt, ...)
{
    BUF_AUTO pointer = BUF_INIT;
    char words[240];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    buf_str(&pointer, c->at);
    write_place(&pointer, p);
    if (key)
        json_pointer_add(&pointer, key);
    c->failed = true;
    return err_field(c->e, buf_cstr(&pointer), "%s", words);
}

static struct resource *add_resource(struct schema *s, const char *uri, const json_t *root, const struct place *p)
{
    struct resource *r = arena_alloc(s->arena, sizeof *r);
    *r = (struct resource){arena_strdup(s->arena, uri), root, p, NULL, s->resources};
    s->resources = r;
    return r;
}

static struct resource *find_resource(const struct schema *s, const char *uri)
{
    for (struct resource *r = s->resources; r; r = r->next)
        if (strcmp(r->uri, uri) == 0)
            return r;
    return NULL;
}

static void add_anchor(struct compiler *c, struct resource *r, const json_t *json, const char *keyword, bool dynamic, const struct place *p)
{
    const char *name = json_string_value(json_object_get(json, keyword));
    if (!name)
        return;
    for (const struct anchor_name *a = r->anchors; a; a = a->next) {
        if (strcmp(a->name, name) == 0 && a->json != json) {
            schema_complain(c, p, keyword, "names an anchor that another schema has already");
            return;
        }
    }
    struct anchor_name *a = arena_alloc(c->s->arena, sizeof *a);
    *a = (struct anchor_name){arena_strdup(c->s->arena, name), json, dynamic, NULL, r->anchors};
    r->anchors = a;
}

static void index_members(struct compiler *c, const json_t *json, struct resource *r, const struct place *p, int depth)
{
    const char *key, *name;
    json_t *value, *item;
    json_object_foreach((json_t *)(uintptr_t)json, key, value) {
        const struct keyword *k = schema_keyword(key);
        if (!k || (k->shape != SHAPE_SCHEMA && k->shape != SHAPE_SCHEMAS && k->shape != SHAPE_MAP && k->shape != SHAPE_PATTERNS))
            continue;
        const struct place *inner = schema_place(c->s, p, k->name, 0);
        if (k->shape == SHAPE_SCHEMA) {
            schema_index(c, value, r, inner, depth + 1);
        } else if (k->shape == SHAPE_SCHEMAS) {
            size_t i;
            json_array_foreach(value, i, item)
                schema_index(c, item, r, schema_place(c->s, inner, NULL, i), depth + 1);
        } else {
            json_object_foreach(value, name, item)
                schema_index(c, item, r, schema_place(c->s, inner, name, 0), depth + 1);
        }
    }
}

void schema_index(struct compiler *c, const json_t *json, struct resource *r, const struct place *p, int depth)
{
    if (!json_is_object(json) || c->failed)
        return;
    struct entry *known = schema_entry(c->s, json, true);
    if (known->resource)
        return;
    if (depth > SCHEMA_DEPTH_MAX || c->s->map_n > SCHEMA_NODES_MAX) {
        schema_complain(c, NULL, NULL, "is nested too deep or too large for a schema");
        return;
    }
    const char *id = json_string_value(json_object_get(json, "$id"));
    if (id && id[0] != '#') {
        const char *uri = schema_uri_resolve(c->s->arena, r->uri, id);
        if (strcmp(uri, r->uri) != 0 || r->root != json)
            r = add_resource(c->s, uri, json, p);
    }
    *known = (struct entry){json, known->node, r, p};
    add_anchor(c, r, json, "$anchor", false, p);
    add_anchor(c, r, json, "$dynamicAnchor", true, p);
    index_members(c, json, r, p, depth);
}

struct resource *schema_add_document(struct compiler *c, const char *uri, const json_t *root)
{
    struct resource *r = add_resource(c->s, uri, root, NULL);
    const json_t **roots = realloc(c->s->roots, (c->s->n_roots + 1) * sizeof *roots);
    if (!roots)
        abort();
    c->s->roots = roots;
    c->s->roots[c->s->n_roots++] = json_incref((json_t *)(uintptr_t)root);
    return r;
}

/* A resource already known by that URI, or a document that the caller gave. */
static struct resource *load(struct compiler *c, const char *uri)
{
    struct resource *r = find_resource(c->s, uri);
    if (r)
        return r;
    for (const struct schema_document *d = c->o->documents; d && d->uri; d++) {
        if (strcmp(d->uri, uri) != 0)
            continue;
        r = schema_add_document(c, uri, d->root);
        schema_index(c, d->root, r, NULL, 0);
        return r;
    }
    return NULL;
}

/* Follows a JSON pointer from a resource's root; a schema with a URI of its own on the way changes the base. */
static const json_t *follow(struct compiler *c, struct resource *r, const char *pointer)
{
    const json_t *v = r->root;
    const struct place *p = r->place;
    while (v && *pointer) {
        size_t cap = strlen(pointer) + 1;
        char *token = arena_alloc(c->s->arena, cap);
        BUF_AUTO step = BUF_INIT;
        pointer = json_pointer_token(pointer, token, cap);
        if (!pointer)
            return NULL;
        json_pointer_add(&step, token);
        v = json_pointer_get(v, buf_cstr(&step));
        p = schema_place(c->s, p, token, 0);
        if (v && *pointer && json_is_string(json_object_get(v, "$id")))
            schema_index(c, v, r, p, 0);
        const struct entry *known = v ? schema_entry(c->s, v, false) : NULL;
        if (known && known->resource)
            r = known->resource;
    }
    if (v)
        schema_index(c, v, r, p, 0);
    return v;
}

const json_t *schema_resolve(struct compiler *c, struct resource *r, const char *ref, const char **ret_anchor)
{
    const char *hash = strchr(ref, '#');
    const char *uri = schema_uri_resolve(c->s->arena, r->uri, ref);
    struct resource *target = hash == ref ? r : load(c, uri);
    char *fragment = schema_uri_decode(c->s->arena, hash ? hash + 1 : "");
    *ret_anchor = NULL;
    if (!target || !fragment)
        return NULL;
    if (!*fragment)
        return target->root;
    if (*fragment == '/')
        return follow(c, target, fragment);
    for (const struct anchor_name *a = target->anchors; a; a = a->next) {
        if (strcmp(a->name, fragment) == 0) {
            *ret_anchor = a->dynamic ? a->name : NULL;
            return a->json;
        }
    }
    return NULL;
}
