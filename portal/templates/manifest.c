/* The manifest by itself: read with its lines, held against its schema, then what a schema cannot say.
 *
 * The complication: every finding names the line of the value to blame, so pointers of errors are looked up in the YAML's marks. */
#include "portal/json/json.h"
#include "portal/json/schema.h"
#include "portal/templates/check.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* ---- reading ---- */

static struct schema *compiled;
static struct err compile_error;

static void compile_schema(void)
{
    const struct schema_options o = {.strict = true};
    schema_compile(manifest_schema(), &o, &compiled, &compile_error);
}

static const struct schema *the_schema(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, compile_schema);
    return compiled;
}

static int line_of(const struct yaml_marks *marks, const char *pointer)
{
    int line = 0, column = 0;
    if (marks)
        yaml_marks_find(marks, pointer, &line, &column);
    return line > 0 ? line : 1;
}

int manifest_line(const struct check_template *t, const char *pointer)
{
    return line_of(t->marks, pointer);
}

static void add_yaml_error(struct findings *f, const char *path, const struct err *e)
{
    int line = 0, column = 0, n = 0;
    if (sscanf(e->msg, "line %d, column %d: %n", &line, &column, &n) == 2 && n > 0)
        finding_add(f, path, line, "%s", e->msg + n);
    else
        finding_add(f, path, 1, "%s", e->msg);
}

/* One finding for each field of the error, at its line. */
static void add_fields(struct findings *f, const char *path, const struct yaml_marks *marks, const struct err *e)
{
    for (unsigned i = 0; i < e->n_fields; i++)
        finding_add(f, path, line_of(marks, e->fields[i].pointer), "%s: %s", e->fields[i].pointer[0] ? e->fields[i].pointer : "/", e->fields[i].detail);
    if (e->n_fields == 0)
        finding_add(f, path, 1, "%s", e->msg);
}

/* Whether the top of a schema judges members elsewhere than in `properties`: then only unevaluatedProperties sees them all. */
static bool has_applicators(const json_t *schema)
{
    static const char *const keys[] = {"allOf", "anyOf", "oneOf", "if", "then", "else", "$ref", "$dynamicRef", "dependentSchemas", "not", NULL};
    for (size_t i = 0; keys[i]; i++)
        if (json_object_get(schema, keys[i]))
            return true;
    return false;
}

static void close_parameters(json_t *manifest)
{
    json_t *spec = json_object_get(manifest, "spec"), *p = json_object_get(spec, "parameters"), *catalog = json_object_get(spec, "catalog");
    if (!json_object_get(p, "additionalProperties") && !json_object_get(p, "unevaluatedProperties"))
        json_object_set_new(p, has_applicators(p) ? "unevaluatedProperties" : "additionalProperties", json_false());
    if (!json_object_get(catalog, "type"))
        json_object_set(catalog, "type", json_object_get(spec, "type"));
}

json_t *manifest_read(const char *path, const char *text, size_t len, struct findings *f, struct arena *a, struct yaml_marks **ret_marks)
{
    struct err e = ERR_INIT;
    json_t *plain = NULL, *full = NULL;
    const struct yaml_limits limits = {.bytes = CHECK_FILE_MAX, .nodes = 20000};
    if (!the_schema()) {
        finding_add(f, path, 0, "the manifest's schema is broken: %s", compile_error.msg);
        return NULL;
    }
    if (yaml_read(text, len, NULL, &limits, a, &plain, ret_marks, &e) != 0) {
        add_yaml_error(f, path, &e);
        return NULL;
    }
    if (!json_is_object(plain)) {
        finding_add(f, path, 1, "is no manifest: it must be a mapping with apiVersion, kind, metadata and spec");
    } else if (schema_validate(the_schema(), plain, "", &e) != 0) {
        add_fields(f, path, *ret_marks, &e);
    } else if (schema_fill_defaults(the_schema(), plain, &full, &e) != 0) {
        finding_add(f, path, 1, "%s", e.msg);
    } else {
        close_parameters(full);
    }
    json_decref(plain);
    return full;
}

/* ---- parameters ---- */

/* Schema parts that judge the same value as the schema they stand in. */
static const char *const same_lists[] = {"allOf", "anyOf", "oneOf", NULL};
static const char *const same_single[] = {"if", "then", "else", "not", NULL};

struct parameters { const json_t *root; parameter_fn fn; void *arg; int steps; };

static void walk_parameters(struct parameters *w, const json_t *schema, const char *at, int depth)
{
    const char *key;
    const json_t *value;
    size_t i;
    if (!json_is_object(schema) || depth > 16 || ++w->steps > 2000)
        return;
    BUF_AUTO pointer = BUF_INIT;
    json_object_foreach((json_t *)json_object_get(schema, "properties"), key, value) {
        buf_clear(&pointer);
        buf_printf(&pointer, "%s/properties", at);
        json_pointer_add(&pointer, key);
        w->fn(key, pointer.data, w->arg);
    }
    for (size_t k = 0; same_single[k]; k++) {
        buf_clear(&pointer);
        buf_printf(&pointer, "%s/%s", at, same_single[k]);
        walk_parameters(w, json_object_get(schema, same_single[k]), pointer.data, depth + 1);
    }
    for (size_t k = 0; same_lists[k]; k++)
        json_array_foreach((json_t *)json_object_get(schema, same_lists[k]), i, value) {
            buf_clear(&pointer);
            buf_printf(&pointer, "%s/%s/%zu", at, same_lists[k], i);
            walk_parameters(w, value, pointer.data, depth + 1);
        }
    json_object_foreach((json_t *)json_object_get(schema, "dependentSchemas"), key, value) {
        buf_clear(&pointer);
        buf_printf(&pointer, "%s/dependentSchemas", at);
        json_pointer_add(&pointer, key);
        walk_parameters(w, value, pointer.data, depth + 1);
    }
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    if (ref && ref[0] == '#' && (ref[1] == '/' || !ref[1]))
        walk_parameters(w, json_pointer_get(w->root, ref + 1), ref + 1, depth + 1);
}

void manifest_each_parameter(const json_t *parameters, parameter_fn fn, void *arg)
{
    struct parameters w = {parameters, fn, arg, 0};
    walk_parameters(&w, parameters, "", 0);
}

bool manifest_parameter_given(const json_t *parameters, const char *name)
{
    const json_t *item;
    size_t i;
    json_array_foreach((json_t *)json_object_get(parameters, "required"), i, item)
        if (json_is_string(item) && strcmp(json_string_value(item), name) == 0)
            return true;
    return json_object_get(json_object_get(json_object_get(parameters, "properties"), name), "default") != NULL;
}

/* ---- what the schema cannot say ---- */

struct inspection { const struct check_template *t; struct findings *f; const json_t *spec; const char *at; };

static void fault(struct inspection *n, const char *pointer, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void fault(struct inspection *n, const char *pointer, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *reason = arena_vprintf(n->f->arena, fmt, ap);
    va_end(ap);
    finding_add(n->f, n->t->manifest_path, manifest_line(n->t, pointer), "%s: %s", pointer, reason);
}

static bool is_variable_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return n > 0 && n < 100 && !s[n] && s[0] != '-' && !(s[0] >= '0' && s[0] <= '9');
}

/* Names that a `variable` block may not have, with both engines. */
static bool is_reserved_name(const char *s)
{
    static const char *const names[] = {"soma", "source", "version", "providers", "count", "for_each", "lifecycle", "depends_on", "locals", NULL};
    for (size_t i = 0; names[i]; i++)
        if (strcmp(s, names[i]) == 0)
            return true;
    return false;
}

static void check_parameter_name(const char *name, const char *pointer, void *arg)
{
    struct inspection *n = arg;
    const char *full = arena_printf(n->f->arena, "/spec/parameters%s", pointer);
    if (!is_variable_name(name))
        fault(n, full, "\"%s\" cannot be the name of a variable", name);
    else if (is_reserved_name(name))
        fault(n, full, "\"%s\" is a reserved name", name);
    else if (json_object_get(json_object_get(n->spec, "generate"), name))
        fault(n, full, "is generated by spec.generate; nobody can be asked for it too");
}

static void check_parameters(struct inspection *n)
{
    const json_t *p = json_object_get(n->spec, "parameters"), *item;
    struct err e = ERR_INIT;
    SCHEMA_AUTO s = NULL;
    const struct schema_options o = {.at = "/spec/parameters", .strict = true, .assert_formats = true};
    size_t i;
    manifest_each_parameter(p, check_parameter_name, n);
    if (schema_compile(p, &o, &s, &e) != 0)
        add_fields(n->f, n->t->manifest_path, n->t->marks, &e);
    json_array_foreach((json_t *)json_object_get(p, "required"), i, item)
        if (!json_object_get(json_object_get(p, "properties"), json_string_value(item)))
            fault(n, arena_printf(n->f->arena, "/spec/parameters/required/%zu", i), "names \"%s\", which is no property", json_string_value(item));
    const char *name;
    json_object_foreach((json_t *)json_object_get(n->spec, "generate"), name, item)
        if (is_reserved_name(name))
            fault(n, arena_printf(n->f->arena, "/spec/generate/%s", name), "\"%s\" is a reserved name", name);
}

/* The schema of a service's name, if there is one. */
static void check_names(struct inspection *n)
{
    const json_t *name = json_object_get(n->spec, "name");
    struct err e = ERR_INIT;
    SCHEMA_AUTO s = NULL;
    const struct schema_options o = {.at = "/spec/name", .strict = true, .assert_formats = true};
    if (name && schema_compile(name, &o, &s, &e) != 0)
        add_fields(n->f, n->t->manifest_path, n->t->marks, &e);
}

static void check_engine(struct inspection *n)
{
    const json_t *engine = json_object_get(n->spec, "engine"), *value;
    const char *key, *why;
    if (json_is_string(engine) && (why = constraint_problem(json_string_value(engine), n->f->arena)))
        fault(n, "/spec/engine", "%s", why);
    if (json_is_object(engine))
        json_object_foreach((json_t *)engine, key, value)
            if ((why = constraint_problem(json_string_value(value), n->f->arena)))
                fault(n, arena_printf(n->f->arena, "/spec/engine/%s", key), "%s", why);
}

struct known { const json_t *parameters; const char *name; bool found; };

static void match_parameter(const char *name, const char *pointer, void *arg)
{
    struct known *k = arg;
    (void)pointer;
    if (strcmp(name, k->name) == 0)
        k->found = true;
}

static void check_name(const char *name, size_t len, void *arg)
{
    struct inspection *n = arg;
    static const char *const plain[] = {"name", "team", "owner", "environment", "region", "cost_centre", NULL};
    const char *word = arena_strndup(n->f->arena, name, len);
    for (size_t i = 0; plain[i]; i++)
        if (strcmp(word, plain[i]) == 0)
            return;
    bool in_repository = strncmp(n->at, "/spec/repository", 16) == 0;
    if (strcmp(word, "outputs." TEMPLATES_REPOSITORY_URL) == 0 && json_object_get(n->spec, "repository")) {
        if (strncmp(n->at, "/spec/catalog", 13) != 0)
            fault(n, n->at, "${%s} is not known before the repository is there; only spec.catalog may use it", word);
    } else if (strncmp(word, "outputs.", 8) == 0 && strcmp(n->at, "/spec/repository/name") == 0) {
        fault(n, n->at, "${%s} is not known before anything is made, when the repository's name must be", word);
    } else if (strncmp(word, "outputs.", 8) == 0) {
        const json_t *output = json_object_get(json_object_get(n->spec, "outputs"), word + 8);
        if (!output)
            fault(n, n->at, "${%s} names no output of spec.outputs", word);
        else if (json_is_true(json_object_get(output, "sensitive")))
            fault(n, n->at, "${%s} is sensitive; it would stand in clear in the %s", word, in_repository ? "repository" : "catalog");
    } else if (strncmp(word, "parameters.", 11) == 0) {
        char top[120];
        struct known k = {.name = top};
        snprintf(top, sizeof(top), "%.*s", (int)strcspn(word + 11, "."), word + 11);
        manifest_each_parameter(json_object_get(n->spec, "parameters"), match_parameter, &k);
        if (!k.found)
            fault(n, n->at, "${%s} names no parameter", word);
    } else {
        fault(n, n->at, "${%s} is not known; there are ${name}, ${team}, ${owner}, ${environment}, ${region}, ${cost_centre}, ${parameters.x} and ${outputs.x}", word);
    }
}

/* All texts below a value. */
static void check_texts(struct inspection *n, const json_t *value, const char *at, int depth)
{
    const char *key, *why;
    const json_t *item;
    size_t i;
    if (depth > 8)
        return;
    BUF_AUTO pointer = BUF_INIT;
    if (json_is_string(value)) {
        n->at = arena_strdup(n->f->arena, at);
        if ((why = expand_each(json_string_value(value), check_name, n)))
            fault(n, at, "%s", why);
    }
    json_array_foreach((json_t *)value, i, item) {
        buf_clear(&pointer);
        buf_str(&pointer, at);
        json_pointer_add_index(&pointer, i);
        check_texts(n, item, pointer.data, depth + 1);
    }
    json_object_foreach((json_t *)value, key, item) {
        buf_clear(&pointer);
        buf_str(&pointer, at);
        json_pointer_add(&pointer, key);
        check_texts(n, item, pointer.data, depth + 1);
    }
}

/* Its link is an output that the module does not make. */
static void check_repository(struct inspection *n)
{
    const json_t *repository = json_object_get(n->spec, "repository");
    if (!repository)
        return;
    check_texts(n, json_object_get(repository, "name"), "/spec/repository/name", 0);
    check_texts(n, json_object_get(repository, "values"), "/spec/repository/values", 0);
    if (json_object_get(json_object_get(n->spec, "outputs"), TEMPLATES_REPOSITORY_URL))
        fault(n, "/spec/outputs/" TEMPLATES_REPOSITORY_URL, "is made by spec.repository; leave it out here");
}

bool manifest_check(const struct check_template *t, struct findings *f)
{
    size_t before = f->n + f->dropped;
    struct inspection n = {.t = t, .f = f, .spec = json_object_get(t->manifest, "spec")};
    check_names(&n);
    check_parameters(&n);
    check_engine(&n);
    check_repository(&n);
    check_texts(&n, json_object_get(n.spec, "catalog"), "/spec/catalog", 0);
    check_texts(&n, json_object_get(json_object_get(n.spec, "monitoring"), "labels"), "/spec/monitoring/labels", 0);
    return f->n + f->dropped == before;
}
