/* Filling a golden path's files with a service's values. The one complication is that a value lands in one of three languages: plain text, PromQL within
 * quotes, or a text in which Prometheus itself looks for {{ }}; each has its own way to keep a value from meaning anything. */
#include "portal/json/json.h"
#include "portal/json/schema.h"
#include "portal/json/yaml.h"
#include "portal/monitoring/monitoring_private.h"
#include <stdio.h>
#include <string.h>

enum language { PLAIN, PROMQL, PROMETHEUS_TEXT };

struct fill { const char *file; const json_t *values; struct arena *a; struct err *e; bool prometheus; };

enum { RENDERED_MAX = 512 * 1024 };

/* The value called `name` ("outputs.database"); NULL when there is none. The environment's settings stay inside. */
static const json_t *find(const json_t *values, const char *name)
{
    static const char *const groups[] = {"parameters", "outputs", "tags"};
    const char *dot = strchr(name, '.');
    if (!dot)
        return json_object_get(values, name);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (strlen(groups[i]) == (size_t)(dot - name) && strncmp(groups[i], name, (size_t)(dot - name)) == 0)
            return json_object_get(json_object_get(values, groups[i]), dot + 1);
    return NULL;
}

/* For within quotes of any kind: each quote as its number, which every kind reads (in backquotes it stays as it is written, but cannot end them). */
static void add_promql(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '"' || *s == '\'' || *s == '`')
            buf_printf(out, "\\x%02x", (unsigned char)*s);
        else if (*s == '\\')
            buf_str(out, "\\\\");
        else if (*s == '\n')
            buf_str(out, "\\n");
        else
            buf_char(out, *s);
    }
}

static void add_prometheus_text(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if (s[0] == '{' && s[1] == '{') {
            buf_str(out, "{{ \"{{\" }}");
            s++;
        } else {
            buf_char(out, *s);
        }
    }
}

static int add_value(struct fill *f, struct buf *out, const char *name, enum language language)
{
    const json_t *v = find(f->values, name);
    BUF_AUTO number = BUF_INIT;
    if (!v || json_is_object(v) || json_is_array(v))
        return err_set(f->e, ERR_INVALID, "%s: {{ soma.%s }} names no single value of this service", f->file, name);
    const char *s = json_string_value(v);
    if (!s && !json_is_null(v)) {
        json_write(v, &number);
        s = buf_cstr(&number);
    }
    if (!s)
        s = "";
    if (language == PROMQL)
        add_promql(out, s);
    else if (language == PROMETHEUS_TEXT)
        add_prometheus_text(out, s);
    else
        buf_str(out, s);
    return 0;
}

/* At "{{": the name of a placeholder of ours in `name`, and what it takes of the text; 0 when it is another's {{ }}. */
static size_t placeholder(const char *p, char *name, size_t cap)
{
    const char *start = p;
    p += 2;
    p += strspn(p, " ");
    if (strncmp(p, "soma.", 5) != 0)
        return 0;
    p += 5;
    size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
    if (n == 0 || n >= cap)
        return 0;
    memcpy(name, p, n);
    name[n] = 0;
    p += n + strspn(p + n, " ");
    return strncmp(p, "}}", 2) == 0 ? (size_t)(p + 2 - start) : 0;
}

/* The text with its values, or NULL with the error filled. */
static json_t *fill_text(struct fill *f, const char *text, enum language language)
{
    BUF_AUTO out = BUF_INIT;
    char name[128];
    for (const char *p = text; *p;) {
        size_t n = strncmp(p, "{{", 2) == 0 ? placeholder(p, name, sizeof name) : 0;
        if (n > 0) {
            if (add_value(f, &out, name, language))
                return NULL;
            p += n;
        } else if (strncmp(p, "{{", 2) == 0 && strncmp(p + 2 + strspn(p + 2, " "), "soma.", 5) == 0) {
            err_set(f->e, ERR_INVALID, "%s: \"%.60s\" is no placeholder; write {{ soma.name }} or {{ soma.outputs.host }}, names only", f->file, p);
            return NULL;
        } else {
            buf_char(&out, *p++);
        }
        if (out.len > RENDERED_MAX) {
            err_set(f->e, ERR_INVALID, "%s: a text in it becomes too long", f->file);
            return NULL;
        }
    }
    return json_textn(buf_cstr(&out), out.len);
}

static int fill_value(struct fill *f, json_t *v, bool expression);

static json_t *filled(struct fill *f, json_t *v, bool expression, int *ret_code)
{
    *ret_code = 0;
    if (!json_is_string(v)) {
        *ret_code = fill_value(f, v, expression);
        return NULL;
    }
    json_t *text = fill_text(f, json_string_value(v), expression ? PROMQL : f->prometheus ? PROMETHEUS_TEXT : PLAIN);
    if (!text)
        *ret_code = ERR_INVALID;
    return text;
}

/* Fills all texts in an object or list. Keys are left as they are; what stands under `expr` is PromQL. */
static int fill_value(struct fill *f, json_t *v, bool expression)
{
    const char *key;
    json_t *member, *text;
    void *next;
    size_t i;
    int code;
    json_object_foreach_safe(v, next, key, member) {
        text = filled(f, member, strcmp(key, "expr") == 0, &code);
        if (code)
            return code;
        if (text)
            json_object_set_new(v, key, text);
    }
    json_array_foreach(v, i, member) {
        text = filled(f, member, expression, &code);
        if (code)
            return code;
        if (text)
            json_array_set_new(v, i, text);
    }
    return 0;
}

static const char *text_of(const json_t *values, const char *key)
{
    const char *s = json_string_value(json_object_get(values, key));
    return s ? s : "";
}

/* Rules. */

static int fail_field(struct fill *f, const struct yaml_marks *marks, const struct err *why)
{
    int line, column;
    const char *pointer = why->n_fields ? why->fields[0].pointer : "";
    yaml_marks_find(marks, pointer, &line, &column);
    return err_set(f->e, ERR_INVALID, "%s:%d: %s %s", f->file, line, pointer[0] ? pointer : "the file", why->n_fields ? why->fields[0].detail : why->msg);
}

static void own_labels(json_t *rule, const json_t *values)
{
    static const char *const names[][2] = {{"service", "name"}, {"team", "team"}, {"environment", "environment"}, {"owner", "owner"}};
    json_t *labels = json_object_get(rule, "labels");
    if (!labels) {
        labels = json_object();
        json_object_set_new(rule, "labels", labels);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        BUF_AUTO escaped = BUF_INIT; /* labels of rules are templates, too */
        add_prometheus_text(&escaped, text_of(values, names[i][1]));
        json_object_set_new(labels, names[i][0], json_text(buf_cstr(&escaped)));
    }
}

static int finish_rules(struct fill *f, const json_t *doc, const struct yaml_marks *marks)
{
    size_t i, k;
    json_t *group, *rule;
    json_array_foreach(json_object_get(doc, "groups"), i, group) {
        const char *name = arena_printf(f->a, "%s/%s", text_of(f->values, "name"), text_of(group, "name"));
        json_object_set_new(group, "name", json_text(name));
        json_array_foreach(json_object_get(group, "rules"), k, rule) {
            const char *why = monitoring_expression_problem(text_of(rule, "expr"));
            if (why) {
                struct err e = ERR_INIT;
                err_field(&e, arena_printf(f->a, "/groups/%zu/rules/%zu/expr", i, k), "%s", why);
                return fail_field(f, marks, &e);
            }
            own_labels(rule, f->values);
        }
    }
    for (i = 0; i < json_array_size(json_object_get(doc, "groups")); i++)
        for (k = 0; k < i; k++)
            if (json_equal(json_object_get(json_array_get(json_object_get(doc, "groups"), i), "name"),
                           json_object_get(json_array_get(json_object_get(doc, "groups"), k), "name")))
                return err_set(f->e, ERR_INVALID, "%s: two groups have the same name", f->file);
    return 0;
}

static int render_rules(struct fill *f, json_t *doc, const struct yaml_marks *marks, const char **ret)
{
    struct err why = ERR_INIT;
    BUF_AUTO out = BUF_INIT;
    int code = fill_value(f, doc, false);
    if (code)
        return code;
    if (schema_validate(monitoring_rules_schema(), doc, "", &why))
        return fail_field(f, marks, &why);
    code = finish_rules(f, doc, marks);
    if (code)
        return code;
    yaml_write(doc, &out);
    if (out.len > RENDERED_MAX)
        return err_set(f->e, ERR_INVALID, "%s: it has more than %d bytes", f->file, RENDERED_MAX);
    *ret = arena_strdup(f->a, buf_cstr(&out));
    return 0;
}

int monitoring_render_rules(const char *file, const char *text, size_t len, const json_t *values, struct arena *a, const char **ret, struct err *e)
{
    struct fill f = {file, values, a, e, true};
    struct yaml_marks *marks = NULL;
    json_t *doc = NULL;
    int code = yaml_read(text, len, file, NULL, a, &doc, &marks, e);
    if (code)
        return code;
    code = render_rules(&f, doc, marks, ret);
    json_decref(doc);
    return code;
}

/* Dashboards. */

static int render_dashboard(struct fill *f, json_t *doc, const char **ret)
{
    BUF_AUTO out = BUF_INIT;
    if (!json_is_object(doc))
        return err_set(f->e, ERR_INVALID, "%s: a dashboard is an object", f->file);
    int code = fill_value(f, doc, false);
    if (code)
        return code;
    if (!json_is_string(json_object_get(doc, "title")))
        return err_set(f->e, ERR_INVALID, "%s: the dashboard has no title", f->file);
    /* Grafana knows a dashboard by its uid, of at most 40 characters; names are that long and unique. An id would be another installation's. */
    json_object_set_new(doc, "uid", json_text(text_of(f->values, "name")));
    json_object_del(doc, "id");
    json_write_pretty(doc, &out);
    if (out.len > RENDERED_MAX)
        return err_set(f->e, ERR_INVALID, "%s: it has more than %d bytes", f->file, RENDERED_MAX);
    *ret = arena_strdup(f->a, buf_cstr(&out));
    return 0;
}

int monitoring_render_dashboard(const char *file, const char *text, size_t len, const json_t *values, struct arena *a, const char **ret, struct err *e)
{
    struct fill f = {file, values, a, e, false};
    json_t *doc = NULL;
    int code = json_read(text, len, 0, &doc, e);
    if (code)
        return err_prefix(e, "%s", file);
    code = render_dashboard(&f, doc, ret);
    json_decref(doc);
    return code;
}
