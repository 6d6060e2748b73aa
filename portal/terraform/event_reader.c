/* `-json` lines. The complication: three shapes of the same facts (a line's "change", its "hook", and our own flat form), read by one function. */
#include "portal/terraform/terraform_private.h"

#include <string.h>

static const char *const type_names[] = {
    [TF_EVENT_OTHER] = "other",
    [TF_EVENT_VERSION] = "version",
    [TF_EVENT_PLANNED_CHANGE] = "planned_change",
    [TF_EVENT_RESOURCE_DRIFT] = "resource_drift",
    [TF_EVENT_CHANGE_SUMMARY] = "change_summary",
    [TF_EVENT_OUTPUTS] = "outputs",
    [TF_EVENT_DIAGNOSTIC] = "diagnostic",
    [TF_EVENT_APPLY_START] = "apply_start",
    [TF_EVENT_APPLY_PROGRESS] = "apply_progress",
    [TF_EVENT_APPLY_COMPLETE] = "apply_complete",
    [TF_EVENT_APPLY_ERRORED] = "apply_errored",
    [TF_EVENT_REFRESH_START] = "refresh_start",
    [TF_EVENT_REFRESH_COMPLETE] = "refresh_complete",
    [TF_EVENT_PROVISION_START] = "provision_start",
    [TF_EVENT_PROVISION_PROGRESS] = "provision_progress",
    [TF_EVENT_PROVISION_COMPLETE] = "provision_complete",
    [TF_EVENT_PROVISION_ERRORED] = "provision_errored",
};
#define N_TYPES (sizeof type_names / sizeof *type_names)

const char *tf_event_type_name(enum tf_event_type t)
{
    return (size_t)t < N_TYPES ? type_names[t] : type_names[TF_EVENT_OTHER];
}

static enum tf_event_type type_of(const char *name)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (!strcmp(name, type_names[i]))
            return (enum tf_event_type)i;
    return TF_EVENT_OTHER;
}

struct reading {
    struct arena *a;
    const struct tf_masker *m;
};

static const char *text(const struct reading *r, const json_t *object, const char *key)
{
    const char *s = tf_json_str(object, key);
    return *s ? tf_masker_text(r->m, r->a, arena_strdup(r->a, s)) : "";
}

/* The first of two places that has it. */
static const char *text_of(const struct reading *r, const json_t *first, const char *key, const json_t *second, const char *other)
{
    const char *s = text(r, first, key);
    return *s ? s : text(r, second, other);
}

static int64_t number(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    if (json_is_integer(v))
        return json_integer_value(v);
    double d = json_is_real(v) ? json_real_value(v) : 0;
    return d > -9e15 && d < 9e15 ? (int64_t)d : 0;
}

void tf_diagnostic_read(struct arena *a, const json_t *object, const struct tf_masker *m, struct tf_diagnostic *ret)
{
    const struct reading r = {a, m};
    const json_t *range = json_object_get(object, "range"), *start = json_object_get(range, "start");
    *ret = (struct tf_diagnostic){
        .severity = !strcmp(tf_json_str(object, "severity"), "warning") ? "warning" : "error",
        .summary = text(&r, object, "summary"),
        .detail = text(&r, object, "detail"),
        .address = text(&r, object, "address"),
        .file = text_of(&r, range, "filename", object, "file"),
        .line = start ? number(start, "line") : number(object, "line"),
        .column = start ? number(start, "column") : number(object, "column"),
        .code = text_of(&r, json_object_get(object, "snippet"), "code", object, "code"),
    };
}

static json_t *masked_value(const struct reading *r, const json_t *v)
{
    const char *key;
    json_t *item, *copy;
    size_t i;
    if (json_is_string(v))
        return json_string(tf_masker_text(r->m, r->a, json_string_value(v)));
    if (json_is_array(v)) {
        copy = json_array();
        json_array_foreach((json_t *)v, i, item)
            json_array_append_new(copy, masked_value(r, item));
        return copy;
    }
    if (!json_is_object(v))
        return json_deep_copy(v);
    copy = json_object();
    json_object_foreach((json_t *)v, key, item)
        json_object_set_new(copy, tf_masker_text(r->m, r->a, key), masked_value(r, item));
    return copy;
}

static char *dump(struct arena *a, const json_t *v)
{
    char *s = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    char *copy = arena_strdup(a, s);
    free(s);
    return copy;
}

/* An output is taken as sensitive unless it says that it is not. */
static const char *read_outputs(const struct reading *r, const json_t *outputs)
{
    TF_JSON_AUTO all = json_object();
    const char *name;
    json_t *o;
    json_object_foreach((json_t *)outputs, name, o) {
        json_t *one = json_object();
        bool sensitive = !json_is_false(json_object_get(o, "sensitive"));
        json_object_set_new(one, "sensitive", json_boolean(sensitive));
        if (*tf_json_str(o, "action"))
            json_object_set_new(one, "action", json_string(text(r, o, "action")));
        if (json_object_get(o, "type"))
            json_object_set_new(one, "type", masked_value(r, json_object_get(o, "type")));
        if (!sensitive && json_object_get(o, "value"))
            json_object_set_new(one, "value", masked_value(r, json_object_get(o, "value")));
        json_object_set_new(all, tf_masker_text(r->m, r->a, name), one);
    }
    return dump(r->a, all);
}

static void read_summary(const json_t *changes, struct tf_event *ev)
{
    ev->add = number(changes, "add");
    ev->change = number(changes, "change");
    ev->remove = number(changes, "remove");
    ev->import = number(changes, "import");
}

int tf_event_read_masked(struct arena *a, const char *line, size_t n, const struct tf_masker *m, struct tf_event *ret)
{
    TF_JSON_AUTO root = tf_json_load(line, n, NULL);
    if (!json_is_object(root))
        return 0;
    const struct reading r = {a, m};
    const json_t *hook = json_object_get(root, "hook");
    if (!hook)
        hook = json_object_get(root, "change");
    if (!hook)
        hook = root; /* our own flat form */
    const json_t *resource = json_object_get(hook, "resource"), *outputs = json_object_get(root, "outputs");
    const json_t *changes = json_object_get(root, "changes"), *diagnostic = json_object_get(root, "diagnostic");
    *ret = (struct tf_event){
        .type_name = text(&r, root, "type"),
        .level = text(&r, root, "@level"),
        .message = text_of(&r, root, "@message", root, "message"),
        .timestamp = text(&r, root, "@timestamp"),
        .address = text_of(&r, resource, "addr", hook, "address"),
        .resource_type = text_of(&r, resource, "resource_type", hook, "resource_type"),
        .resource_name = text_of(&r, resource, "resource_name", hook, "resource_name"),
        .module = text_of(&r, resource, "module", hook, "module"),
        .provider = text_of(&r, resource, "implied_provider", hook, "provider"),
        .action = text(&r, hook, "action"),
        .reason = text(&r, hook, "reason"),
        .id_key = text(&r, hook, "id_key"),
        .id_value = text(&r, hook, "id_value"),
        .elapsed_s = number(hook, "elapsed_seconds"),
        .operation = text_of(&r, changes, "operation", root, "operation"),
        .outputs_json = json_is_object(outputs) ? read_outputs(&r, outputs) : "",
    };
    ret->type = type_of(ret->type_name);
    if (ret->type == TF_EVENT_CHANGE_SUMMARY)
        read_summary(changes ? changes : root, ret);
    tf_diagnostic_read(a, diagnostic ? diagnostic : ret->type == TF_EVENT_DIAGNOSTIC ? root : NULL, m, &ret->diagnostic);
    if (ret->type == TF_EVENT_DIAGNOSTIC && !*ret->address)
        ret->address = ret->diagnostic.address;
    return 1;
}

int tf_event_read(struct arena *a, const char *line, size_t n, const char *const *secrets, struct tf_event *ret)
{
    return tf_event_read_masked(a, line, n, tf_masker_new(a, secrets), ret);
}

static void put(struct buf *b, const char *key, const char *s)
{
    if (s && *s)
        buf_json_kv(b, key, s);
}

static void put_diagnostic(const struct tf_diagnostic *d, struct buf *b)
{
    put(b, "severity", d->severity);
    put(b, "summary", d->summary);
    put(b, "detail", d->detail);
    put(b, "address", d->address);
    put(b, "file", d->file);
    if (d->line)
        buf_json_kint(b, "line", d->line);
    if (d->column)
        buf_json_kint(b, "column", d->column);
    put(b, "code", d->code);
}

void tf_diagnostic_write(const struct tf_diagnostic *d, struct buf *out)
{
    buf_char(out, '{');
    put_diagnostic(d, out);
    buf_char(out, '}');
}

static void put_resource(const struct tf_event *ev, struct buf *b)
{
    put(b, "address", ev->address);
    put(b, "resource_type", ev->resource_type);
    put(b, "resource_name", ev->resource_name);
    put(b, "module", ev->module);
    put(b, "provider", ev->provider);
    put(b, "action", ev->action);
    put(b, "reason", ev->reason);
    put(b, "id_key", ev->id_key);
    put(b, "id_value", ev->id_value);
    if (ev->type == TF_EVENT_APPLY_PROGRESS || ev->type == TF_EVENT_APPLY_COMPLETE || ev->type == TF_EVENT_APPLY_ERRORED)
        buf_json_kint(b, "elapsed_seconds", ev->elapsed_s);
}

void tf_event_write(const struct tf_event *ev, struct buf *out)
{
    buf_char(out, '{');
    buf_json_kv(out, "type", tf_event_type_name(ev->type));
    put(out, "message", ev->message);
    if (ev->type == TF_EVENT_DIAGNOSTIC) {
        put_diagnostic(&ev->diagnostic, out);
    } else if (ev->type == TF_EVENT_CHANGE_SUMMARY) {
        buf_json_kint(out, "add", ev->add);
        buf_json_kint(out, "change", ev->change);
        buf_json_kint(out, "remove", ev->remove);
        buf_json_kint(out, "import", ev->import);
        put(out, "operation", ev->operation);
    } else if (ev->type == TF_EVENT_OUTPUTS) {
        buf_json_kraw(out, "outputs", *ev->outputs_json ? ev->outputs_json : "{}");
    } else {
        put_resource(ev, out);
    }
    buf_char(out, '}');
}
