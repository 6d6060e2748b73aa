/* libyaml's events to JSON values. The one complication is the text from strangers: aliases are copied under one budget of nodes, so that a
 * few lines cannot unfold into gigabytes, and nesting is bounded before anything here or later recurses over it. */
#include "portal/json/yaml.h"
#include "portal/json/json.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { BYTES_DEFAULT = 1024 * 1024, NODES_DEFAULT = 50000, DEPTH_DEFAULT = 64, DEPTH_LIMIT = 500, ANCHORS_MAX = 1000 };

/* A place knows its parent and its own token: whole pointers of all values could be far larger than the text. */
struct mark { size_t id, parent; const char *token; int line, column; };
#define NO_PARENT SIZE_MAX
struct yaml_marks { struct mark *items; size_t n, cap; struct arena *arena; };
struct anchor { char *name; json_t *value; size_t nodes; };

struct reader {
    yaml_parser_t parser;
    const char *file;
    size_t nodes, nodes_max;
    int depth, depth_max;
    struct anchor *anchors;
    size_t n_anchors;
    struct yaml_marks *marks; /* NULL: not wanted */
    size_t parent;            /* mark of the collection that is being read */
    struct err *e;
};

static int fail_code(struct reader *r, int code, yaml_mark_t at, const char *why)
{
    if (r->file)
        return err_set(r->e, code, "%s:%zu:%zu: %s", r->file, at.line + 1, at.column + 1, why);
    return err_set(r->e, code, "line %zu, column %zu: %s", at.line + 1, at.column + 1, why);
}

static int fail(struct reader *r, yaml_mark_t at, const char *why)
{
    return fail_code(r, ERR_INVALID, at, why);
}

/* The parser's own complaint. Its words never quote the input. */
static int fail_parser(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(r->e, ERR_NOMEM, "not enough memory to read YAML");
    if (p->error == YAML_READER_ERROR)
        return fail(r, p->mark, "this is not UTF-8 text, or holds control characters");
    char why[200];
    snprintf(why, sizeof why, "%s%s%s", p->problem ? p->problem : "this is not YAML", p->context ? ", " : "", p->context ? p->context : "");
    return fail(r, p->problem_mark, why);
}

static int read_value(struct reader *r, const yaml_event_t *event, json_t **ret);

static int next(struct reader *r, yaml_event_t *event)
{
    return yaml_parser_parse(&r->parser, event) ? 0 : fail_parser(r);
}

/* Notes where the member `token` of the current collection stands; returns the mark's id. */
static size_t mark_here(struct reader *r, const char *token, yaml_mark_t at)
{
    struct yaml_marks *m = r->marks;
    if (!m)
        return 0;
    if (m->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 64;
        struct mark *items = arena_alloc(m->arena, cap * sizeof *items);
        if (m->n)
            memcpy(items, m->items, m->n * sizeof *items);
        m->items = items;
        m->cap = cap;
    }
    m->items[m->n] = (struct mark){m->n, r->parent, arena_strdup(m->arena, token), (int)at.line + 1, (int)at.column + 1};
    return m->n++;
}

static int count_nodes(struct reader *r, size_t n, yaml_mark_t at)
{
    if (n > r->nodes_max - r->nodes)
        return fail_code(r, ERR_TOO_LARGE, at, "the document unfolds into too many values");
    r->nodes += n;
    return 0;
}

/* The scalars of the core schema. */

static bool all_of(const char *s, size_t n, const char *set)
{
    for (size_t i = 0; i < n; i++)
        if (!strchr(set, s[i]) || !s[i])
            return false;
    return n > 0;
}

static bool one_of(const char *s, const char *a, const char *b, const char *c)
{
    return strcmp(s, a) == 0 || strcmp(s, b) == 0 || strcmp(s, c) == 0;
}

static bool looks_int(const char *s, int *ret_base)
{
    if (s[0] == '0' && (s[1] == 'o' || s[1] == 'x')) {
        *ret_base = s[1] == 'o' ? 8 : 16;
        return all_of(s + 2, strlen(s + 2), s[1] == 'o' ? "01234567" : "0123456789abcdefABCDEF");
    }
    *ret_base = 10;
    if (*s == '-' || *s == '+')
        s++;
    return all_of(s, strlen(s), "0123456789");
}

static bool looks_float(const char *s)
{
    if (*s == '-' || *s == '+')
        s++;
    size_t whole = strspn(s, "0123456789"), fraction = 0;
    s += whole;
    if (*s == '.') {
        fraction = strspn(s + 1, "0123456789");
        s += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '-' || *s == '+')
            s++;
        return all_of(s, strlen(s), "0123456789");
    }
    return *s == 0;
}

static bool looks_infinite(const char *s)
{
    if (one_of(s, ".nan", ".NaN", ".NAN"))
        return true;
    if (*s == '-' || *s == '+')
        s++;
    return one_of(s, ".inf", ".Inf", ".INF");
}

static int read_int(struct reader *r, const char *s, int base, yaml_mark_t at, json_t **ret)
{
    errno = 0;
    long long n = strtoll(base == 10 ? s : s + 2, NULL, base);
    if (errno == ERANGE)
        return fail(r, at, "this whole number does not fit into 64 bits; put it in quotes to keep it as text");
    *ret = json_integer(n);
    return 0;
}

static int read_float(struct reader *r, const char *s, yaml_mark_t at, json_t **ret)
{
    *ret = json_real(strtod(s, NULL)); /* NULL when it overflowed */
    return *ret ? 0 : fail(r, at, "this number is too large");
}

static int read_text(struct reader *r, const char *s, size_t len, yaml_mark_t at, json_t **ret)
{
    if (memchr(s, 0, len))
        return fail(r, at, "U+0000 is not allowed in text");
    *ret = json_stringn(s, len);
    return *ret ? 0 : fail(r, at, "this is not UTF-8 text");
}

static int read_plain(struct reader *r, const char *s, size_t len, yaml_mark_t at, json_t **ret)
{
    int base;
    if (len == 0 || strcmp(s, "~") == 0 || one_of(s, "null", "Null", "NULL"))
        *ret = json_null();
    else if (one_of(s, "true", "True", "TRUE"))
        *ret = json_true();
    else if (one_of(s, "false", "False", "FALSE"))
        *ret = json_false();
    else if (looks_int(s, &base))
        return read_int(r, s, base, at, ret);
    else if (looks_float(s))
        return read_float(r, s, at, ret);
    else if (looks_infinite(s))
        return fail(r, at, "JSON has no infinity and no NaN; put it in quotes to keep it as text");
    else
        return read_text(r, s, len, at, ret);
    return 0;
}

/* A scalar under an explicit tag: the tag says what it is, the text must be of that form. */
static int read_tagged(struct reader *r, const char *tag, const char *s, size_t len, yaml_mark_t at, json_t **ret)
{
    int base;
    if (strcmp(tag, "!") == 0 || strcmp(tag, YAML_STR_TAG) == 0)
        return read_text(r, s, len, at, ret);
    if (strcmp(tag, YAML_INT_TAG) == 0)
        return looks_int(s, &base) ? read_int(r, s, base, at, ret) : fail(r, at, "this is not a whole number, as its tag says");
    if (strcmp(tag, YAML_FLOAT_TAG) == 0)
        return looks_float(s) ? read_float(r, s, at, ret) : fail(r, at, "this is not a number, as its tag says");
    if (strcmp(tag, YAML_BOOL_TAG) != 0 && strcmp(tag, YAML_NULL_TAG) != 0)
        return fail(r, at, "this tag is not known here; only those of YAML's core schema are");
    int code = read_plain(r, s, len, at, ret);
    if (code)
        return code;
    if (strcmp(tag, YAML_BOOL_TAG) == 0 ? json_is_boolean(*ret) : json_is_null(*ret))
        return 0;
    json_decref(*ret);
    return fail(r, at, "this is not what its tag says");
}

static int read_scalar(struct reader *r, const yaml_event_t *event, json_t **ret)
{
    const char *s = (const char *)event->data.scalar.value, *tag = (const char *)event->data.scalar.tag;
    size_t len = event->data.scalar.length;
    if (tag)
        return read_tagged(r, tag, s, len, event->start_mark, ret);
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return read_plain(r, s, len, event->start_mark, ret);
    return read_text(r, s, len, event->start_mark, ret);
}

/* Reads a member of the current collection, marked at `at`. */
static int read_inside(struct reader *r, const char *token, yaml_mark_t at, const yaml_event_t *event, json_t **ret)
{
    size_t outer = r->parent, id = mark_here(r, token, at);
    r->parent = id;
    int code = read_value(r, event, ret);
    r->parent = outer;
    return code;
}

static int read_sequence(struct reader *r, json_t *list)
{
    for (;;) {
        yaml_event_t event;
        int code = next(r, &event);
        if (code)
            return code;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return 0;
        }
        json_t *item = NULL;
        char token[24];
        snprintf(token, sizeof token, "%zu", json_array_size(list));
        code = read_inside(r, token, event.start_mark, &event, &item);
        yaml_event_delete(&event);
        if (code)
            return code;
        json_array_append_new(list, item);
    }
}

/* Whether `event` can be a key of `object`; the key's text stays in the event. */
static int check_key(struct reader *r, const yaml_event_t *event, const json_t *object)
{
    if (event->type != YAML_SCALAR_EVENT)
        return fail(r, event->start_mark, "a key must be plain text");
    const char *key = (const char *)event->data.scalar.value;
    if (event->data.scalar.anchor)
        return fail(r, event->start_mark, "a key cannot carry an anchor");
    if (event->data.scalar.tag && strcmp((const char *)event->data.scalar.tag, YAML_STR_TAG) != 0)
        return fail(r, event->start_mark, "a key cannot carry a tag");
    if (strlen(key) != event->data.scalar.length)
        return fail(r, event->start_mark, "U+0000 is not allowed in a key");
    if (strcmp(key, "<<") == 0 && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return fail(r, event->start_mark, "merge keys (<<) are no part of YAML 1.2; write the members out");
    if (json_object_get(object, key))
        return fail(r, event->start_mark, "this key stands twice in one mapping");
    return 0;
}

static int read_member(struct reader *r, const yaml_event_t *key, json_t *object)
{
    yaml_event_t event;
    json_t *value = NULL;
    const char *name = (const char *)key->data.scalar.value;
    int code = next(r, &event);
    if (code)
        return code;
    code = read_inside(r, name, key->start_mark, &event, &value);
    yaml_event_delete(&event);
    if (code)
        return code;
    if (json_object_set_new(object, name, value))
        return fail(r, key->start_mark, "this key is not UTF-8 text");
    return 0;
}

static int read_mapping(struct reader *r, json_t *object)
{
    for (;;) {
        yaml_event_t event;
        int code = next(r, &event);
        if (code)
            return code;
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return 0;
        }
        code = check_key(r, &event, object);
        if (!code)
            code = count_nodes(r, 1, event.start_mark);
        if (!code)
            code = read_member(r, &event, object);
        yaml_event_delete(&event);
        if (code)
            return code;
    }
}

static int read_alias(struct reader *r, const yaml_event_t *event, json_t **ret)
{
    const char *name = (const char *)event->data.alias.anchor;
    for (size_t i = r->n_anchors; i-- > 0;) {
        const struct anchor *a = &r->anchors[i];
        if (strcmp(a->name, name) != 0)
            continue;
        int code = count_nodes(r, a->nodes, event->start_mark);
        if (code)
            return code;
        *ret = json_deep_copy(a->value);
        return *ret ? 0 : err_set(r->e, ERR_NOMEM, "not enough memory to read YAML");
    }
    return fail(r, event->start_mark, "this alias names an anchor that is not complete before it");
}

static const yaml_char_t *anchor_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT: return event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT: return event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT: return event->data.mapping_start.anchor;
    default: return NULL;
    }
}

static int keep_anchor(struct reader *r, const yaml_event_t *event, json_t *value, size_t nodes)
{
    const yaml_char_t *name = anchor_of(event);
    if (!name)
        return 0;
    if (r->n_anchors == ANCHORS_MAX)
        return fail_code(r, ERR_TOO_LARGE, event->start_mark, "there are too many anchors");
    struct anchor *grown = realloc(r->anchors, (r->n_anchors + 1) * sizeof *grown);
    if (!grown)
        abort();
    r->anchors = grown;
    r->anchors[r->n_anchors++] = (struct anchor){strdup((const char *)name), json_incref(value), nodes};
    return 0;
}

static int read_collection(struct reader *r, const yaml_event_t *event, json_t **ret)
{
    bool list = event->type == YAML_SEQUENCE_START_EVENT;
    const yaml_char_t *tag = list ? event->data.sequence_start.tag : event->data.mapping_start.tag;
    if (tag && strcmp((const char *)tag, list ? YAML_SEQ_TAG : YAML_MAP_TAG) != 0)
        return fail(r, event->start_mark, "this tag is not known here; only those of YAML's core schema are");
    if (r->depth == r->depth_max)
        return fail(r, event->start_mark, "nested too deep");
    json_t *value = list ? json_array() : json_object();
    r->depth++;
    int code = list ? read_sequence(r, value) : read_mapping(r, value);
    r->depth--;
    if (code) {
        json_decref(value);
        return code;
    }
    *ret = value;
    return 0;
}

static int read_value(struct reader *r, const yaml_event_t *event, json_t **ret)
{
    size_t before = r->nodes;
    int code;
    if (event->type == YAML_ALIAS_EVENT)
        return read_alias(r, event, ret);
    code = count_nodes(r, 1, event->start_mark);
    if (code)
        return code;
    code = event->type == YAML_SCALAR_EVENT ? read_scalar(r, event, ret) : read_collection(r, event, ret);
    if (code)
        return code;
    code = keep_anchor(r, event, *ret, r->nodes - before);
    if (code)
        json_decref(*ret);
    return code;
}

/* Takes one event that must be of `type` (stream start, document start, document end). */
static int expect(struct reader *r, yaml_event_type_t type)
{
    yaml_event_t event;
    int code = next(r, &event);
    if (code)
        return code;
    if (event.type != type)
        code = fail(r, event.start_mark, type == YAML_STREAM_END_EVENT ? "a second document begins here; only one is read" : "this is not YAML");
    yaml_event_delete(&event);
    return code;
}

static int read_document(struct reader *r, json_t **ret)
{
    yaml_event_t event;
    int code = expect(r, YAML_STREAM_START_EVENT);
    if (code || (code = next(r, &event)) != 0)
        return code;
    bool empty = event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
    if (empty) {
        *ret = json_null();
        return 0;
    }
    code = next(r, &event);
    if (code)
        return code;
    json_t *value = NULL;
    code = read_inside(r, "", event.start_mark, &event, &value);
    yaml_event_delete(&event);
    if (!code)
        code = expect(r, YAML_DOCUMENT_END_EVENT);
    if (!code)
        code = expect(r, YAML_STREAM_END_EVENT);
    if (code)
        json_decref(value);
    else
        *ret = value;
    return code;
}

static void reader_done(struct reader *r)
{
    for (size_t i = 0; i < r->n_anchors; i++) {
        free(r->anchors[i].name);
        json_decref(r->anchors[i].value);
    }
    free(r->anchors);
    yaml_parser_delete(&r->parser);
}

static int by_parent(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;
    return x->parent != y->parent ? (x->parent > y->parent) - (x->parent < y->parent) : strcmp(x->token, y->token);
}

int yaml_read(const char *text, size_t len, const char *file, const struct yaml_limits *limits, struct arena *a, json_t **ret,
              struct yaml_marks **ret_marks, struct err *e)
{
    size_t bytes_max = limits && limits->bytes ? limits->bytes : BYTES_DEFAULT;
    struct reader r = {.file = file, .nodes_max = limits && limits->nodes ? limits->nodes : NODES_DEFAULT,
                       .depth_max = limits && limits->depth ? limits->depth : DEPTH_DEFAULT, .parent = NO_PARENT, .e = e};
    if (len > bytes_max)
        return err_set(e, ERR_TOO_LARGE, "%s%sthe text has %zu bytes, at most %zu are read", file ? file : "", file ? ": " : "", len, bytes_max);
    if (r.depth_max > DEPTH_LIMIT)
        r.depth_max = DEPTH_LIMIT;
    if (ret_marks) {
        r.marks = arena_alloc(a, sizeof *r.marks);
        r.marks->arena = a;
    }
    if (!yaml_parser_initialize(&r.parser))
        return err_set(e, ERR_NOMEM, "not enough memory to read YAML");
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text ? text : ""), len);
    int code = read_document(&r, ret);
    reader_done(&r);
    if (!code && ret_marks) {
        if (r.marks->n)
            qsort(r.marks->items, r.marks->n, sizeof *r.marks->items, by_parent);
        *ret_marks = r.marks;
    }
    return code;
}

bool yaml_marks_find(const struct yaml_marks *m, const char *pointer, int *ret_line, int *ret_column)
{
    struct mark key = {.parent = NO_PARENT, .token = ""};
    char token[1024];
    *ret_line = *ret_column = 1;
    for (;;) {
        const struct mark *found = m && m->n ? bsearch(&key, m->items, m->n, sizeof *m->items, by_parent) : NULL;
        if (!found)
            return false;
        *ret_line = found->line;
        *ret_column = found->column;
        if (!*pointer)
            return true;
        pointer = json_pointer_token(pointer, token, sizeof token);
        if (!pointer)
            return false;
        key = (struct mark){.parent = found->id, .token = token};
    }
}
