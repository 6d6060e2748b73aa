/* Requests against the API document. Its one complication: a query parameter is text, while its schema speaks of numbers and lists; so the text
 * becomes a JSON value of a type that the schema names, and only then it is checked. */
#include "portal/http/openapi_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "portal/http/http_private.h"
#include "portal/json/json.h"
#include "portal/json/schema.h"

enum { T_INTEGER = 1, T_NUMBER = 2, T_BOOLEAN = 4, T_ARRAY = 8 };
enum place { IN_PATH, IN_QUERY, IN_HEADER, IN_ELSEWHERE };

struct param {
    const char *name;
    enum place place;
    bool required;
    unsigned types;       /* of a value, or of an item when it is a list */
    bool list;
    struct schema *schema;
};

struct operation {
    const char *id, *path, *need;
    char method[8];
    struct param *params;
    size_t n_params;
    struct schema *body;
    bool body_required;
};

struct document {
    json_t *root;
    struct operation *operations; /* sorted by id */
    size_t n, cap;
};

static struct document *loaded;

/* --- loading --- */

static void operation_done(struct operation *o)
{
    for (size_t i = 0; i < o->n_params; i++)
        schema_free(o->params[i].schema);
    free(o->params);
    schema_free(o->body);
}

static void document_free(struct document *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n; i++)
        operation_done(&d->operations[i]);
    free(d->operations);
    json_decref(d->root);
    free(d);
}

void http_openapi_free(void)
{
    document_free(loaded);
    loaded = NULL;
}

/* Follows references inside the document; `at` becomes the place where the thing really stands. NULL: it is not there. */
static const json_t *resolve(const struct document *d, const json_t *v, struct buf *at)
{
    for (int i = 0; i < 16 && json_is_object(v); i++) {
        const char *ref = json_string_value(json_object_get(v, "$ref"));
        if (!ref)
            return v;
        if (ref[0] != '#')
            return NULL;
        buf_clear(at);
        buf_str(at, ref + 1);
        v = json_pointer_get(d->root, ref + 1);
    }
    return NULL;
}

static int compile(const struct document *d, const json_t *schema, const char *at, const struct operation *o, struct schema **ret, struct err *e)
{
    struct schema_options options = {.root = d->root, .at = at, .assert_formats = true};
    int r = schema_compile(schema, &options, ret, e);
    return r ? err_prefix(e, "operation %s", o->id) : 0;
}

/* The types that a schema lets through, as far as it says so plainly. */
static unsigned types_of(const struct document *d, const json_t *schema, int depth)
{
    static const char *const choices[] = {"anyOf", "oneOf", "allOf"};
    BUF_AUTO at = BUF_INIT;
    unsigned types = 0;
    const json_t *type, *item;
    size_t i;
    schema = resolve(d, schema, &at);
    if (!schema || depth > 8)
        return 0;
    type = json_object_get(schema, "type");
    json_t *names = json_is_array(type) ? json_incref((json_t *)type) : json_pack("[O*]", type);
    json_array_foreach(names, i, item) {
        const char *name = json_string_value(item);
        if (name)
            types |= !strcmp(name, "integer") ? T_INTEGER : !strcmp(name, "number") ? T_NUMBER : !strcmp(name, "boolean") ? T_BOOLEAN : !strcmp(name, "array") ? T_ARRAY : 0;
    }
    json_decref(names);
    for (size_t k = 0; k < 3; k++)
        json_array_foreach(json_object_get(schema, choices[k]), i, item)
            types |= types_of(d, item, depth + 1);
    return types;
}

static int load_param(struct document *d, struct operation *o, const json_t *given, const char *where, struct err *e)
{
    BUF_AUTO at = BUF_INIT;
    buf_str(&at, where);
    const json_t *v = resolve(d, given, &at);
    const char *name = json_string_value(json_object_get(v, "name")), *in = json_string_value(json_object_get(v, "in"));
    const json_t *schema = json_object_get(v, "schema");
    if (!name || !in || !schema)
        return err_set(e, ERR_INVALID, "operation %s: the parameter at %s has no name, place or schema", o->id, where);
    struct param p = {.name = name, .required = json_is_true(json_object_get(v, "required")),
                      .place = !strcmp(in, "path") ? IN_PATH : !strcmp(in, "query") ? IN_QUERY : !strcmp(in, "header") ? IN_HEADER : IN_ELSEWHERE};
    p.types = types_of(d, schema, 0);
    if (p.types & T_ARRAY) {
        BUF_AUTO scratch = BUF_INIT;
        p.list = true;
        p.types = types_of(d, json_object_get(resolve(d, schema, &scratch), "items"), 0);
    }
    buf_str(&at, "/schema");
    int r = compile(d, schema, at.data, o, &p.schema, e);
    if (r)
        return r;
    struct param *more = realloc(o->params, (o->n_params + 1) * sizeof *more);
    if (!more)
        abort();
    o->params = more;
    o->params[o->n_params++] = p;
    return 0;
}

static int load_params(struct document *d, struct operation *o, const json_t *list, const char *where, struct err *e)
{
    size_t i;
    const json_t *v;
    json_array_foreach(list, i, v) {
        BUF_AUTO at = BUF_INIT;
        buf_printf(&at, "%s/parameters/%zu", where, i);
        int r = load_param(d, o, v, at.data, e);
        if (r)
            return r;
    }
    return 0;
}

static int load_body(struct document *d, struct operation *o, const json_t *operation, const char *where, struct err *e)
{
    BUF_AUTO at = BUF_INIT;
    const json_t *given = json_object_get(operation, "requestBody");
    if (!given)
        return 0;
    buf_printf(&at, "%s/requestBody", where);
    const json_t *v = resolve(d, given, &at), *schema = json_object_get(json_object_get(json_object_get(v, "content"), "application/json"), "schema");
    o->body_required = json_is_true(json_object_get(v, "required"));
    if (!schema)
        return v ? 0 : err_set(e, ERR_INVALID, "operation %s: its requestBody is not there", o->id);
    buf_str(&at, "/content/application~1json/schema");
    return compile(d, schema, at.data, o, &o->body, e);
}

static struct operation *operation_add(struct document *d)
{
    if (d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 64;
        struct operation *more = realloc(d->operations, d->cap * sizeof *more);
        if (!more)
            abort();
        d->operations = more;
    }
    d->operations[d->n] = (struct operation){0};
    return &d->operations[d->n++];
}

static int load_operation(struct document *d, const char *path, const char *method, const json_t *item, const json_t *v, struct err *e)
{
    BUF_AUTO path_at = BUF_INIT, at = BUF_INIT;
    buf_str(&path_at, "/paths");
    json_pointer_add(&path_at, path);
    buf_printf(&at, "%s/%s", path_at.data, method);
    struct operation *o = operation_add(d);
    o->id = json_string_value(json_object_get(v, "operationId"));
    o->path = path;
    o->need = json_string_value(json_object_get(v, "x-need"));
    for (size_t i = 0; method[i] && i < sizeof o->method - 1; i++)
        o->method[i] = (char)(method[i] - ('a' - 'A'));
    if (!o->id)
        return err_set(e, ERR_INVALID, "%s %s has no operationId", o->method, path);
    int r = load_params(d, o, json_object_get(item, "parameters"), path_at.data, e);
    if (!r)
        r = load_params(d, o, json_object_get(v, "parameters"), at.data, e);
    return r ? r : load_body(d, o, v, at.data, e);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct operation *)a)->id, ((const struct operation *)b)->id);
}

static int load_paths(struct document *d, struct err *e)
{
    static const char *const methods[] = {"get", "post", "put", "patch", "delete", NULL};
    const char *path;
    json_t *item;
    json_object_foreach(json_object_get(d->root, "paths"), path, item)
        for (int m = 0; methods[m]; m++) {
            const json_t *v = json_object_get(item, methods[m]);
            int r = v ? load_operation(d, path, methods[m], item, v, e) : 0;
            if (r)
                return r;
        }
    qsort(d->operations, d->n, sizeof *d->operations, by_id);
    for (size_t i = 1; i < d->n; i++)
        if (!by_id(&d->operations[i - 1], &d->operations[i]))
            return err_set(e, ERR_INVALID, "the operationId %s is there twice", d->operations[i].id);
    return 0;
}

int http_openapi_load(const char *json, size_t len, struct err *e)
{
    struct document *d = calloc(1, sizeof *d);
    if (!d)
        abort();
    int r = json_read(json, len, 0, &d->root, e);
    if (!r)
        r = load_paths(d, e);
    if (r) {
        document_free(d);
        return err_prefix(e, "the API document");
    }
    document_free(loaded);
    loaded = d;
    return 0;
}

static const struct operation *find(const char *id)
{
    struct operation key = {.id = id};
    return loaded && loaded->n && id ? bsearch(&key, loaded->operations, loaded->n, sizeof key, by_id) : NULL;
}

/* --- checking --- */

static bool is_decimal(const char *s, bool whole)
{
    s += *s == '-';
    size_t n = strspn(s, "0123456789");
    if (!n || (n > 1 && *s == '0'))
        return false;
    s += n;
    if (*s == '.' && !whole) {
        n = strspn(++s, "0123456789");
        if (!n)
            return false;
        s += n;
    }
    return !*s;
}

/* What the text most likely is, of the types that may be; else it stays text, and the schema says what it should have been. */
static json_t *value_of(const char *text, unsigned types)
{
    if ((types & (T_INTEGER | T_NUMBER)) && is_decimal(text, true)) {
        errno = 0;
        long long v = strtoll(text, NULL, 10);
        if (!errno)
            return json_integer(v);
    }
    if ((types & T_NUMBER) && is_decimal(text, false))
        return json_real(strtod(text, NULL));
    if ((types & T_BOOLEAN) && (!strcmp(text, "true") || !strcmp(text, "false")))
        return json_boolean(text[0] == 't');
    return json_text(text);
}

static int validate(const struct param *p, const json_t *v, const char *at, struct err *e)
{
    int r = schema_validate(p->schema, v, at, e);
    return r == ERR_TOO_LARGE ? err_field(e, at, "is too much to check") : r;
}

static int check_query_param(const struct http_req *r, const struct param *p, struct err *e)
{
    char at[64];
    size_t given = 0;
    json_t *v = p->list ? json_array() : NULL;
    int failed = 0;
    snprintf(at, sizeof at, "?%s", p->name);
    for (size_t i = 0; i < http_query_count(r); i++) {
        const char *name, *value;
        http_query_at(r, i, &name, &value);
        if (strcmp(name, p->name))
            continue;
        given++;
        if (p->list)
            json_array_append_new(v, value_of(value, p->types));
        else if (!v)
            v = value_of(value, p->types);
    }
    if (!given)
        failed = p->required ? err_field(e, at, "is missing") : 0;
    else if (given > 1 && !p->list)
        failed = err_field(e, at, "is given %zu times; once is enough", given);
    else
        failed = validate(p, v, at, e);
    json_decref(v);
    return failed;
}

static int check_unknown(const struct http_req *r, const struct operation *o, struct err *e)
{
    int failed = 0;
    for (size_t i = 0; i < http_query_count(r); i++) {
        const char *name, *value, *names[HTTP_PARAMS_MAX * 4] = {NULL};
        size_t n = 0;
        bool known = false;
        char at[64];
        http_query_at(r, i, &name, &value);
        for (size_t k = 0; k < o->n_params; k++)
            if (o->params[k].place == IN_QUERY) {
                known |= !strcmp(o->params[k].name, name);
                if (n < sizeof names / sizeof *names - 1)
                    names[n++] = o->params[k].name;
            }
        if (known)
            continue;
        const char *near = json_near_word(name, names);
        snprintf(at, sizeof at, "?%.60s", name);
        failed = near ? err_field(e, at, "is not known here; is \"%s\" meant?", near) : err_field(e, at, "is not known here");
    }
    return failed;
}

/* Headers with a meaning of their own in HTTP are judged where they are used. */
static bool is_common_header(const char *name)
{
    return !strcasecmp(name, "Idempotency-Key") || !strcasecmp(name, "If-Match") || !strcasecmp(name, "If-None-Match") || !strcasecmp(name, "Authorization");
}

static int check_header(const struct http_req *r, const struct param *p, struct err *e)
{
    const char *text = is_common_header(p->name) ? NULL : http_header(r, p->name);
    if (!text)
        return p->required && !is_common_header(p->name) ? err_field(e, p->name, "is missing") : 0;
    json_t *v = value_of(text, p->types);
    int failed = validate(p, v, p->name, e);
    json_decref(v);
    return failed;
}

static int check_path(const struct http_req *r, const struct param *p, struct err *e)
{
    const char *text = http_param(r, p->name);
    if (!text)
        return 0;
    struct err why = ERR_INIT;
    json_t *v = value_of(text, p->types);
    int failed = validate(p, v, p->name, &why);
    json_decref(v);
    return failed ? err_set(e, ERR_NOT_FOUND, "There is nothing at this path: %.800s.", why.msg) : 0;
}

static int check_params(const struct http_req *r, const struct operation *o, struct err *e)
{
    int failed = 0;
    for (size_t i = 0; i < o->n_params; i++) {
        const struct param *p = &o->params[i];
        if (p->place == IN_PATH && check_path(r, p, e))
            return ERR_NOT_FOUND;
    }
    for (size_t i = 0; i < o->n_params; i++) {
        const struct param *p = &o->params[i];
        int n = p->place == IN_QUERY ? check_query_param(r, p, e) : p->place == IN_HEADER ? check_header(r, p, e) : 0;
        failed = n ? n : failed;
    }
    int unknown = http_query_count(r) ? check_unknown(r, o, e) : 0;
    return unknown ? unknown : failed;
}

static int check_content(const struct http_req *r, const struct operation *o, struct err *e)
{
    if (!r->body_len) {
        if (!o->body_required)
            return 0;
        err_set(e, ERR_INVALID, "This request needs a JSON body; /api/docs#%s shows it.", o->id);
        return err_type(e, "body-missing");
    }
    if (!o->body || !r->json)
        return 0;
    int n = schema_validate(o->body, r->json, "", e);
    return n == ERR_TOO_LARGE ? err_field(e, "", "is too much to check") : n;
}

int http_openapi_check(struct http_req *r, struct err *e)
{
    const struct operation *o = r->route ? find(r->route->operation) : NULL;
    if (!o)
        return 0;
    int n = check_params(r, o, e);
    return n ? n : check_content(r, o, e);
}

/* --- comparing --- */

struct comparison {
    struct buf *out;
    int n;
    bool *seen; /* by operation */
};

static void compare_route(const struct http_route *route, void *arg)
{
    struct comparison *c = arg;
    const struct operation *o = find(route->operation);
    if (o) {
        c->seen[o - loaded->operations] = true;
        const char *need = route->need ? route->need : "signed-in";
        if (strcmp(o->method, route->method) || strcmp(o->path, route->pattern))
            buf_printf(c->out, "the route %s %s names the operation %s, which is %s %s in the document\n", route->method, route->pattern, o->id, o->method, o->path);
        else if (!o->need || strcmp(o->need, need))
            buf_printf(c->out, "the route %s %s needs %s, its operation %s %s by x-need\n", route->method, route->pattern, need, o->id, o->need ? o->need : "nothing");
        else
            return;
    } else if (route->operation)
        buf_printf(c->out, "the route %s %s names the operation %s, which the document does not have\n", route->method, route->pattern, route->operation);
    else if (!strncmp(route->pattern, "/api/", 5))
        buf_printf(c->out, "the route %s %s names no operation\n", route->method, route->pattern);
    else
        return;
    c->n++;
}

int http_openapi_compare(const struct http_server *const servers[], size_t n, struct buf *out)
{
    if (!loaded) {
        buf_str(out, "there is no document\n");
        return 1;
    }
    struct comparison c = {out, 0, calloc(loaded->n + 1, sizeof(bool))};
    if (!c.seen)
        abort();
    for (size_t i = 0; i < n; i++)
        http_server_each_route(servers[i], compare_route, &c);
    for (size_t i = 0; i < loaded->n; i++)
        if (!c.seen[i]) {
            const struct operation *o = &loaded->operations[i];
            buf_printf(out, "the operation %s, %s %s, has no route\n", o->id, o->method, o->path);
            c.n++;
        }
    free(c.seen);
    return c.n;
}
