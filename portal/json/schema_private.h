/* What the parts of the schema compiler share. A compiled schema is a graph of nodes in one arena; it never changes after schema_compile(). */
#pragma once
#include "portal/core/arena.h"
#include "portal/json/json.h"
#include "portal/json/schema.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* A place in the schema document, from the inside out; whole pointers are only made for errors. */
struct place { const struct place *up; const char *key; size_t index; /* key NULL: index */ };

struct node;
struct anchor_name { const char *name; const json_t *json; bool dynamic; struct node *node; struct anchor_name *next; }; /* node: of dynamic ones */

/* A schema with a URI of its own: what `$id` starts, or a whole document. */
struct resource { const char *uri; const json_t *root; const struct place *place; struct anchor_name *anchors; struct resource *next; };

struct child { const char *name; struct node *node; };
struct children { struct child *items; size_t n; };                 /* sorted by name */
struct nodes { struct node **items; size_t n; };
struct pattern { const char *text; pcre2_code *code; struct node *node; };
struct patterns { struct pattern *items; size_t n; };

enum {
    TYPE_NULL = 1, TYPE_BOOLEAN = 2, TYPE_OBJECT = 4, TYPE_ARRAY = 8, TYPE_NUMBER = 16, TYPE_STRING = 32, TYPE_INTEGER = 64,
};

struct node {
    const json_t *json;
    struct resource *resource;
    const struct place *place;
    struct node *next;        /* of all nodes */
    size_t in_degree;         /* while looking for endless references */
    bool never;               /* the schema `false` */
    unsigned types;           /* mask; 0: any */
    bool unique;
    const json_t *enumeration, *constant, *fallback, *required, *dependent_required;
    const json_t *multiple_of, *maximum, *exclusive_maximum, *minimum, *exclusive_minimum;
    int64_t max_length, min_length, max_items, min_items, max_contains, min_contains, max_properties, min_properties; /* -1: none */
    struct pattern pattern;   /* `pattern`; code NULL: none */
    const char *format;
    struct node *ref, *dynamic_ref;
    const char *dynamic_name; /* of dynamic_ref, when its first target is a $dynamicAnchor */
    struct nodes all_of, any_of, one_of, prefix_items;
    struct node *not_, *if_, *then_, *else_;
    struct node *items, *contains, *unevaluated_items;
    struct children properties, dependent_schemas, defs;
    struct patterns pattern_properties;
    struct node *additional_properties, *property_names, *unevaluated_properties, *content_schema;
};

struct entry { const json_t *json; struct node *node; struct resource *resource; const struct place *place; };

struct schema {
    struct arena *arena;
    const json_t **roots; size_t n_roots;   /* references held */
    struct resource *resources;
    struct node *entry, *nodes, **nodes_tail;
    size_t n_nodes;
    struct entry *map; size_t map_n, map_cap; /* JSON value -> where it is and its node; only while compiling */
    pcre2_code **codes; size_t n_codes, codes_cap;
    bool assert_formats, tracks;            /* tracks: some unevaluated* is in it */
};

/* State of one compilation. */
struct compiler {
    struct schema *s;
    const struct schema_options *o;
    const char *at;
    struct err *e;
    bool failed;
};

/* Shapes of a keyword's value; the compiler and the search for identifiers go by the same table. */
enum shape {
    SHAPE_NOTE, SHAPE_SCHEMA, SHAPE_SCHEMAS, SHAPE_MAP, SHAPE_PATTERNS, SHAPE_NUMBER, SHAPE_COUNT, SHAPE_BOOL, SHAPE_TEXT, SHAPE_ANY,
    SHAPE_NAMES, SHAPE_NAME_LISTS, SHAPE_TYPE, SHAPE_ENUM, SHAPE_PATTERN, SHAPE_REF, SHAPE_DYNAMIC_REF, SHAPE_FACTOR, SHAPE_DIALECT, SHAPE_ID, SHAPE_OLD,
};
struct keyword { const char *name; enum shape shape; size_t offset; };
const struct keyword *schema_keyword(const char *name); /* NULL: not known */
const char *schema_near_keyword(const char *name);

/* schema_uri.c */
char *schema_uri_resolve(struct arena *a, const char *base, const char *ref); /* RFC 3986, 5.2; without the fragment */
char *schema_uri_decode(struct arena *a, const char *fragment);              /* percent-decoded, or NULL */

/* schema_index.c */
enum { SCHEMA_NODES_MAX = 50000, SCHEMA_DEPTH_MAX = 250 };
struct entry *schema_entry(struct schema *s, const json_t *json, bool add);
const struct place *schema_place(struct schema *s, const struct place *up, const char *key, size_t index);
int schema_complain(struct compiler *c, const struct place *p, const char *key, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
struct resource *schema_add_document(struct compiler *c, const char *uri, const json_t *root);
/* Notes the identifiers in `json` and below, where schemas may stand. */
void schema_index(struct compiler *c, const json_t *json, struct resource *r, const struct place *p, int depth);
/* What `ref` names, seen from `r`; NULL: nothing. *ret_anchor is the dynamic anchor's name when it names one. */
const json_t *schema_resolve(struct compiler *c, struct resource *r, const char *ref, const char **ret_anchor);

/* schema_check.c */
bool schema_fits(const struct schema *s, const struct node *n, const json_t *value, const char *at, struct err *e, int *ret_code);

static inline const struct child *schema_child(const struct children *c, const char *name)
{
    size_t low = 0, high = c->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = __builtin_strcmp(name, c->items[middle].name);
        if (order == 0)
            return &c->items[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
