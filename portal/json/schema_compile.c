/* From JSON to a graph of nodes. The one complication is that graph: references make it cyclic, so nodes are made from a list of work instead
 * of by recursion, and at the end no node may reach itself without going down into the value (that check would never end). */
#include "portal/json/schema_private.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERN_MAX = 4096, REF_MAX = 2000 };

#define AT(member) offsetof(struct node, member)
static const struct keyword keywords[] = {
    {"$schema", SHAPE_DIALECT, 0}, {"$id", SHAPE_ID, 0}, {"$anchor", SHAPE_TEXT, 0}, {"$dynamicAnchor", SHAPE_TEXT, 0}, {"$comment", SHAPE_TEXT, 0},
    {"$vocabulary", SHAPE_NOTE, 0}, {"$defs", SHAPE_MAP, AT(defs)}, {"definitions", SHAPE_OLD, 0}, {"$ref", SHAPE_REF, AT(ref)},
    {"$dynamicRef", SHAPE_DYNAMIC_REF, AT(dynamic_ref)},
    {"allOf", SHAPE_SCHEMAS, AT(all_of)}, {"anyOf", SHAPE_SCHEMAS, AT(any_of)}, {"oneOf", SHAPE_SCHEMAS, AT(one_of)}, {"not", SHAPE_SCHEMA, AT(not_)},
    {"if", SHAPE_SCHEMA, AT(if_)}, {"then", SHAPE_SCHEMA, AT(then_)}, {"else", SHAPE_SCHEMA, AT(else_)},
    {"dependentSchemas", SHAPE_MAP, AT(dependent_schemas)}, {"prefixItems", SHAPE_SCHEMAS, AT(prefix_items)}, {"items", SHAPE_SCHEMA, AT(items)},
    {"contains", SHAPE_SCHEMA, AT(contains)}, {"properties", SHAPE_MAP, AT(properties)}, {"patternProperties", SHAPE_PATTERNS, AT(pattern_properties)},
    {"additionalProperties", SHAPE_SCHEMA, AT(additional_properties)}, {"propertyNames", SHAPE_SCHEMA, AT(property_names)},
    {"unevaluatedItems", SHAPE_SCHEMA, AT(unevaluated_items)}, {"unevaluatedProperties", SHAPE_SCHEMA, AT(unevaluated_properties)},
    {"contentSchema", SHAPE_SCHEMA, AT(content_schema)},
    {"type", SHAPE_TYPE, 0}, {"const", SHAPE_ANY, AT(constant)}, {"enum", SHAPE_ENUM, AT(enumeration)}, {"multipleOf", SHAPE_FACTOR, AT(multiple_of)},
    {"maximum", SHAPE_NUMBER, AT(maximum)}, {"exclusiveMaximum", SHAPE_NUMBER, AT(exclusive_maximum)}, {"minimum", SHAPE_NUMBER, AT(minimum)},
    {"exclusiveMinimum", SHAPE_NUMBER, AT(exclusive_minimum)}, {"maxLength", SHAPE_COUNT, AT(max_length)}, {"minLength", SHAPE_COUNT, AT(min_length)},
    {"pattern", SHAPE_PATTERN, 0}, {"maxItems", SHAPE_COUNT, AT(max_items)}, {"minItems", SHAPE_COUNT, AT(min_items)},
    {"uniqueItems", SHAPE_BOOL, AT(unique)}, {"maxContains", SHAPE_COUNT, AT(max_contains)}, {"minContains", SHAPE_COUNT, AT(min_contains)},
    {"maxProperties", SHAPE_COUNT, AT(max_properties)}, {"minProperties", SHAPE_COUNT, AT(min_properties)}, {"required", SHAPE_NAMES, AT(required)},
    {"dependentRequired", SHAPE_NAME_LISTS, AT(dependent_required)}, {"format", SHAPE_TEXT, AT(format)}, {"default", SHAPE_ANY, AT(fallback)},
    {"title", SHAPE_TEXT, 0}, {"description", SHAPE_TEXT, 0}, {"examples", SHAPE_NOTE, 0}, {"deprecated", SHAPE_NOTE, 0}, {"readOnly", SHAPE_NOTE, 0},
    {"writeOnly", SHAPE_NOTE, 0}, {"contentEncoding", SHAPE_TEXT, 0}, {"contentMediaType", SHAPE_TEXT, 0},
};
enum { N_KEYWORDS = sizeof keywords / sizeof *keywords };

const struct keyword *schema_keyword(const char *name)
{
    for (size_t i = 0; i < N_KEYWORDS; i++)
        if (strcmp(keywords[i].name, name) == 0)
            return &keywords[i];
    return NULL;
}

const char *schema_near_keyword(const char *name)
{
    const char *names[N_KEYWORDS + 1];
    for (size_t i = 0; i < N_KEYWORDS; i++)
        names[i] = keywords[i].name;
    names[N_KEYWORDS] = NULL;
    return json_near_word(name, names);
}

static struct node *new_node(struct compiler *c, const json_t *json, struct resource *r, const struct place *p)
{
    struct node *n = arena_alloc(c->s->arena, sizeof *n);
    *n = (struct node){.json = json, .resource = r, .place = p, .never = json_is_false(json),
                       .max_length = -1, .min_length = -1, .max_items = -1, .min_items = -1, .max_contains = -1, .min_contains = -1,
                       .max_properties = -1, .min_properties = -1};
    if (++c->s->n_nodes > SCHEMA_NODES_MAX)
        schema_complain(c, NULL, NULL, "has more parts than a schema may have");
    *c->s->nodes_tail = n; /* the list is the work that is left, too */
    c->s->nodes_tail = &n->next;
    return n;
}

/* The node of a schema, made when it is first asked for; true and false have no identity and get one each time. */
static struct node *node_of(struct compiler *c, const json_t *json, struct resource *r, const struct place *p)
{
    if (!json_is_object(json)) {
        if (!json_is_boolean(json))
            schema_complain(c, p, NULL, "must be a schema: an object, true or false");
        return new_node(c, json, r, p);
    }
    struct entry *known = schema_entry(c->s, json, false);
    if (!known || !known->resource) { /* the search for identifiers ended early with a complaint */
        c->failed = true;
        return new_node(c, json, r, p);
    }
    if (!known->node) {
        struct node *n = new_node(c, json, known->resource, known->place);
        known->node = n;
    }
    return known->node;
}

static pcre2_code *compile_pattern(struct compiler *c, struct node *n, const char *keyword, const char *text)
{
    int error;
    PCRE2_SIZE offset;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context)
        abort();
    pcre2_set_max_pattern_length(context, PATTERN_MAX);
    pcre2_set_parens_nest_limit(context, 50);
    pcre2_set_compile_extra_options(context, PCRE2_EXTRA_ALT_BSUX);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                                     PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_ALLOW_EMPTY_CLASS | PCRE2_MATCH_UNSET_BACKREF, &error, &offset,
                                     context);
    pcre2_compile_context_free(context);
    if (!code) {
        PCRE2_UCHAR words[160];
        pcre2_get_error_message(error, words, sizeof words);
        schema_complain(c, n->place, keyword, "is no pattern that can be used: %s, at character %zu", (const char *)words, (size_t)offset);
        return NULL;
    }
    struct schema *s = c->s;
    if (s->n_codes == s->codes_cap) {
        s->codes_cap = s->codes_cap ? s->codes_cap * 2 : 8;
        pcre2_code **codes = realloc(s->codes, s->codes_cap * sizeof *codes);
        if (!codes)
            abort();
        s->codes = codes;
    }
    return s->codes[s->n_codes++] = code;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct child *)a)->name, ((const struct child *)b)->name);
}

static void read_map(struct compiler *c, struct node *n, const char *key, const json_t *value, struct children *ret)
{
    const char *name;
    json_t *item;
    if (!json_is_object(value)) {
        schema_complain(c, n->place, key, "must be an object of schemas");
        return;
    }
    const struct place *p = schema_place(c->s, n->place, key, 0);
    ret->items = arena_alloc(c->s->arena, (json_object_size(value) + 1) * sizeof *ret->items);
    json_object_foreach((json_t *)(uintptr_t)value, name, item)
        ret->items[ret->n++] = (struct child){name, node_of(c, item, n->resource, schema_place(c->s, p, name, 0))};
    if (ret->n)
        qsort(ret->items, ret->n, sizeof *ret->items, by_name);
}

static void read_patterns(struct compiler *c, struct node *n, const char *key, const json_t *value, struct patterns *ret)
{
    const char *text;
    json_t *item;
    if (!json_is_object(value)) {
        schema_complain(c, n->place, key, "must be an object of schemas");
        return;
    }
    const struct place *p = schema_place(c->s, n->place, key, 0);
    ret->items = arena_alloc(c->s->arena, (json_object_size(value) + 1) * sizeof *ret->items);
    json_object_foreach((json_t *)(uintptr_t)value, text, item) {
        pcre2_code *code = compile_pattern(c, n, key, text);
        ret->items[ret->n++] = (struct pattern){text, code, node_of(c, item, n->resource, schema_place(c->s, p, text, 0))};
    }
}

static void read_list(struct compiler *c, struct node *n, const char *key, const json_t *value, struct nodes *ret)
{
    size_t i;
    json_t *item;
    if (!json_is_array(value) || json_array_size(value) == 0) {
        schema_complain(c, n->place, key, "must be a list of at least one schema");
        return;
    }
    const struct place *p = schema_place(c->s, n->place, key, 0);
    ret->items = arena_alloc(c->s->arena, json_array_size(value) * sizeof *ret->items);
    json_array_foreach(value, i, item)
        ret->items[ret->n++] = node_of(c, item, n->resource, schema_place(c->s, p, NULL, i));
}

static unsigned type_bit(const json_t *word)
{
    static const struct { const char *word; unsigned bit; } types[] = {
        {"null", TYPE_NULL}, {"boolean", TYPE_BOOLEAN}, {"object", TYPE_OBJECT}, {"array", TYPE_ARRAY}, {"number", TYPE_NUMBER | TYPE_INTEGER},
        {"string", TYPE_STRING}, {"integer", TYPE_INTEGER},
    };
    for (size_t i = 0; json_is_string(word) && i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].word, json_string_value(word)) == 0)
            return types[i].bit;
    return 0;
}

static void read_type(struct compiler *c, struct node *n, const json_t *value)
{
    bool good = json_is_string(value) || json_array_size(value) > 0;
    n->types |= type_bit(value);
    for (size_t i = 0; i < json_array_size(value); i++) {
        unsigned bit = type_bit(json_array_get(value, i));
        good = good && bit;
        n->types |= bit;
    }
    if (!good || !n->types)
        schema_complain(c, n->place, "type", "must be one of null, boolean, object, array, number, string, integer, or a list of them");
}

static bool is_name_list(const json_t *value)
{
    size_t i;
    json_t *item;
    if (!json_is_array(value))
        return false;
    json_array_foreach(value, i, item)
        if (!json_is_string(item))
            return false;
    return true;
}

static bool is_name_lists(const json_t *value)
{
    const char *key;
    json_t *item;
    if (!json_is_object(value))
        return false;
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
        if (!is_name_list(item))
            return false;
    return true;
}

static void read_count(struct compiler *c, struct node *n, const char *key, const json_t *value, int64_t *ret)
{
    double real = json_is_real(value) ? json_real_value(value) : -1;
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        *ret = json_integer_value(value);
    else if (real >= 0 && real < 9e15 && real == floor(real))
        *ret = (int64_t)real;
    else
        schema_complain(c, n->place, key, "must be a whole number from 0");
}

static void read_reference(struct compiler *c, struct node *n, const char *key, const json_t *value, struct node **ret, const char **ret_anchor)
{
    const char *ref = json_string_value(value), *anchor = NULL;
    if (!ref || strlen(ref) > REF_MAX) {
        schema_complain(c, n->place, key, "must be a reference such as \"#/$defs/name\"");
        return;
    }
    const json_t *target = schema_resolve(c, n->resource, ref, &anchor);
    if (!target) {
        schema_complain(c, n->place, key, ref[0] == '#' ? "leads nowhere: there is nothing at %.100s in this document"
                                                        : "names %.100s; only references inside this document are followed", ref);
        return;
    }
    *ret = node_of(c, target, n->resource, n->place);
    if (ret_anchor)
        *ret_anchor = anchor;
}

static void read_plain(struct compiler *c, struct node *n, const struct keyword *k, const json_t *value)
{
    void *to = (char *)n + k->offset;
    bool good = true;
    switch (k->shape) {
    case SHAPE_NUMBER: good = json_is_number(value); break;
    case SHAPE_FACTOR: good = json_is_number(value) && json_number_value(value) > 0; break;
    case SHAPE_NAMES: good = is_name_list(value); break;
    case SHAPE_NAME_LISTS: good = is_name_lists(value); break;
    case SHAPE_ENUM: good = json_is_array(value); break;
    default: break;
    }
    if (good)
        *(const json_t **)to = value;
    else
        schema_complain(c, n->place, k->name, "must be %s", k->shape == SHAPE_NUMBER ? "a number" : k->shape == SHAPE_FACTOR ? "a number above 0"
                        : k->shape == SHAPE_NAMES ? "a list of names" : k->shape == SHAPE_ENUM ? "a list of values" : "an object of lists of names");
}

static void read_text(struct compiler *c, struct node *n, const struct keyword *k, const json_t *value)
{
    if (!json_is_string(value)) {
        schema_complain(c, n->place, k->name, "must be text");
        return;
    }
    if (k->offset)
        *(const char **)((char *)n + k->offset) = json_string_value(value);
    if (k->shape == SHAPE_DIALECT && c->o->strict && !strstr(json_string_value(value), "json-schema.org/draft/2020-12/schema"))
        schema_complain(c, n->place, k->name, "must be https://json-schema.org/draft/2020-12/schema, the only one that is read here");
    if (k->shape == SHAPE_PATTERN) {
        n->pattern.text = json_string_value(value);
        n->pattern.code = compile_pattern(c, n, k->name, n->pattern.text);
    }
}

static void read_keyword(struct compiler *c, struct node *n, const struct keyword *k, const json_t *value)
{
    void *to = (char *)n + k->offset;
    switch (k->shape) {
    case SHAPE_NOTE: break;
    case SHAPE_OLD:
        if (c->o->strict)
            schema_complain(c, n->place, k->name, "is the old name; write $defs");
        break;
    case SHAPE_SCHEMA: *(struct node **)to = node_of(c, value, n->resource, schema_place(c->s, n->place, k->name, 0)); break;
    case SHAPE_SCHEMAS: read_list(c, n, k->name, value, to); break;
    case SHAPE_MAP: read_map(c, n, k->name, value, to); break;
    case SHAPE_PATTERNS: read_patterns(c, n, k->name, value, to); break;
    case SHAPE_COUNT: read_count(c, n, k->name, value, to); break;
    case SHAPE_BOOL:
        if (!json_is_boolean(value))
            schema_complain(c, n->place, k->name, "must be true or false");
        *(bool *)to = json_is_true(value);
        break;
    case SHAPE_TEXT:
    case SHAPE_ID:
    case SHAPE_DIALECT:
    case SHAPE_PATTERN: read_text(c, n, k, value); break;
    case SHAPE_TYPE: read_type(c, n, value); break;
    case SHAPE_REF: read_reference(c, n, k->name, value, to, NULL); break;
    case SHAPE_DYNAMIC_REF: read_reference(c, n, k->name, value, to, &n->dynamic_name); break;
    case SHAPE_ANY:
    case SHAPE_NUMBER:
    case SHAPE_FACTOR:
    case SHAPE_NAMES:
    case SHAPE_NAME_LISTS:
    case SHAPE_ENUM: read_plain(c, n, k, value); break;
    }
}

static void read_unknown(struct compiler *c, const struct node *n, const char *key)
{
    if (!c->o->strict || strncmp(key, "ui:", 3) == 0 || strncmp(key, "x-", 2) == 0)
        return;
    const char *near = schema_near_keyword(key);
    schema_complain(c, n->place, key, "is not a keyword of JSON Schema 2020-12%s%s%s", near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static void read_node(struct compiler *c, struct node *n)
{
    const char *key;
    json_t *value;
    if (!json_is_object(n->json))
        return;
    json_object_foreach((json_t *)(uintptr_t)n->json, key, value) {
        const struct keyword *k = schema_keyword(key);
        if (k)
            read_keyword(c, n, k, value);
        else
            read_unknown(c, n, key);
    }
    if (n->unevaluated_items || n->unevaluated_properties)
        c->s->tracks = true;
}

/* Every $dynamicAnchor may become a $dynamicRef's target, so each needs its node. Returns whether there were new ones. */
static bool add_dynamic_targets(struct compiler *c)
{
    size_t before = c->s->n_nodes;
    for (const struct resource *r = c->s->resources; r; r = r->next)
        for (struct anchor_name *a = r->anchors; a; a = a->next)
            if (a->dynamic)
                a->node = node_of(c, a->json, NULL, NULL);
    return c->s->n_nodes > before;
}

static void read_all(struct compiler *c, struct node *from)
{
    struct node *last = NULL;
    do {
        for (struct node *n = last ? last->next : from; n && c->s->n_nodes <= SCHEMA_NODES_MAX; n = n->next) {
            read_node(c, n);
            last = n;
        }
    } while (!c->failed && add_dynamic_targets(c));
}

/* The nodes that look at the same value as `n`. */
static void each_beside(const struct node *n, void (*fn)(struct node *n, void *arg), void *arg)
{
    struct node *const single[] = {n->ref, n->not_, n->if_, n->then_, n->else_};
    const struct nodes *const lists[] = {&n->all_of, &n->any_of, &n->one_of};
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        if (single[i])
            fn(single[i], arg);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (size_t k = 0; k < lists[i]->n; k++)
            fn(lists[i]->items[k], arg);
    for (size_t i = 0; i < n->dependent_schemas.n; i++)
        fn(n->dependent_schemas.items[i].node, arg);
}

struct work { struct node **items; size_t n; };

static void count_in(struct node *n, void *arg)
{
    (void)arg;
    n->in_degree++;
}

static void count_out(struct node *n, void *arg)
{
    struct work *w = arg;
    if (--n->in_degree == 0)
        w->items[w->n++] = n;
}

/* Refuses a node that refers to itself on the same value: takes away, again and again, what nothing refers to; what is left is in a circle. */
static void refuse_circles(struct compiler *c)
{
    struct work w = {calloc(c->s->n_nodes + 1, sizeof(struct node *)), 0};
    if (!w.items)
        abort();
    for (struct node *n = c->s->nodes; n; n = n->next)
        each_beside(n, count_in, NULL);
    for (struct node *n = c->s->nodes; n; n = n->next)
        if (n->in_degree == 0)
            w.items[w.n++] = n;
    for (size_t i = 0; i < w.n; i++)
        each_beside(w.items[i], count_out, &w);
    free(w.items);
    for (struct node *n = c->s->nodes; n; n = n->next) {
        if (n->in_degree > 0 && n->ref && n->ref->in_degree > 0) {
            schema_complain(c, n->place, "$ref", "refers to itself without end");
            return;
        }
    }
}

static void check_defaults(struct compiler *c)
{
    for (const struct node *n = c->s->nodes; n; n = n->next) {
        struct err e = ERR_INIT;
        int code = 0;
        if (!n->fallback || schema_fits(c->s, n, n->fallback, "", &e, &code))
            continue;
        if (code)
            schema_complain(c, n->place, "default", "cannot be checked against its schema: %s", e.msg);
        else
            schema_complain(c, n->place, "default", "does not fit its own schema: %s%s%s", e.fields[0].pointer, e.fields[0].pointer[0] ? " " : "",
                            e.fields[0].detail);
    }
}

/* Sets up the documents and the place of `doc`; returns doc's resource. */
static struct resource *open_document(struct compiler *c, const json_t *doc, const struct place **ret_place)
{
    const json_t *root = c->o->root ? c->o->root : doc;
    struct resource *r = schema_add_document(c, "", root);
    *ret_place = NULL;
    if (!c->o->root || !c->o->at)
        return r;
    const char *rest = c->o->at;
    while (rest && *rest) {
        size_t cap = strlen(rest) + 1;
        char *token = arena_alloc(c->s->arena, cap);
        rest = json_pointer_token(rest, token, cap);
        *ret_place = schema_place(c->s, *ret_place, token, 0);
    }
    c->at = "";
    return r;
}

int schema_compile(const json_t *doc, const struct schema_options *o, struct schema **ret, struct err *e)
{
    static const struct schema_options plain = {0};
    struct err mine = ERR_INIT;
    struct schema *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "not enough memory for a schema");
    struct compiler c = {.s = s, .o = o ? o : &plain, .at = o && o->at ? o->at : "", .e = &mine};
    s->arena = arena_new();
    s->nodes_tail = &s->nodes;
    s->assert_formats = c.o->assert_formats;
    const struct place *p;
    struct resource *r = open_document(&c, doc, &p);
    schema_index(&c, doc, r, p, 0);
    if (!c.failed) {
        s->entry = node_of(&c, doc, r, p);
        read_all(&c, s->entry);
    }
    if (!c.failed)
        refuse_circles(&c);
    if (!c.failed && c.o->strict)
        check_defaults(&c);
    free(s->map);
    s->map = NULL;
    if (c.failed) {
        schema_free(s);
        if (e)
            *e = mine;
        return ERR_INVALID;
    }
    *ret = s;
    return 0;
}

void schema_free(struct schema *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_codes; i++)
        pcre2_code_free(s->codes[i]);
    for (size_t i = 0; i < s->n_roots; i++)
        json_decref((json_t *)(uintptr_t)s->roots[i]);
    free(s->codes);
    free(s->roots);
    free(s->map);
    arena_free(s->arena);
    free(s);
}

void schema_freep(struct schema **s)
{
    schema_free(*s);
}
