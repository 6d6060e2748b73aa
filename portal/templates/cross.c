/* The manifest against its module: what is asked for must be taken, what is shown must be there, and nothing may be left to a prompt. */
#include "portal/json/json.h"
#include "portal/templates/check.h"
#include <string.h>

struct cross { const struct check_template *t; const struct hcl_module *m; struct findings *f; const json_t *spec; bool ok; };

static void fault(struct cross *c, const char *pointer, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void fault(struct cross *c, const char *pointer, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *reason = arena_vprintf(c->f->arena, fmt, ap);
    va_end(ap);
    finding_add(c->f, c->t->manifest_path, manifest_line(c->t, pointer), "%s: %s", pointer, reason);
    c->ok = false;
}

static const struct hcl_variable *find_variable(const struct hcl_module *m, const char *name)
{
    for (size_t i = 0; i < m->n_variables; i++)
        if (strcmp(m->variables[i].name, name) == 0)
            return &m->variables[i];
    return NULL;
}

static void check_parameter(const char *name, const char *pointer, void *arg)
{
    struct cross *c = arg;
    if (!find_variable(c->m, name))
        fault(c, arena_printf(c->f->arena, "/spec/parameters%s", pointer), "the module declares no variable \"%s\"", name);
}

static void check_generated(struct cross *c)
{
    const char *name;
    const json_t *value;
    json_object_foreach((json_t *)json_object_get(c->spec, "generate"), name, value) {
        const struct hcl_variable *v = find_variable(c->m, name);
        if (!v) {
            fault(c, arena_printf(c->f->arena, "/spec/generate/%s", name), "the module declares no variable \"%s\"", name);
        } else if (!v->sensitive) {
            finding_add(c->f, v->file, v->line, "variable \"%s\" takes a generated secret and must be declared `sensitive = true`", name);
            c->ok = false;
        }
    }
}

static void check_outputs(struct cross *c)
{
    const char *name;
    const json_t *value;
    json_object_foreach((json_t *)json_object_get(c->spec, "outputs"), name, value) {
        const char *pointer = arena_printf(c->f->arena, "/spec/outputs/%s", name);
        const struct hcl_output *o = NULL;
        for (size_t i = 0; i < c->m->n_outputs && !o; i++)
            if (strcmp(c->m->outputs[i].name, name) == 0)
                o = &c->m->outputs[i];
        bool sensitive = json_is_true(json_object_get(value, "sensitive"));
        if (!o) {
            fault(c, pointer, "the module has no output \"%s\"", name);
        } else if (o->sensitive && !sensitive) {
            fault(c, pointer, "the module's output is sensitive: say `sensitive: true` here too, or it would be shown in clear");
        } else if (!o->sensitive && sensitive) {
            finding_add(c->f, o->file, o->line, "output \"%s\" is sensitive in the manifest and must be declared `sensitive = true`", name);
            c->ok = false;
        }
    }
}

static void check_variables(struct cross *c)
{
    const json_t *generate = json_object_get(c->spec, "generate"), *parameters = json_object_get(c->spec, "parameters");
    for (size_t i = 0; i < c->m->n_variables; i++) {
        const struct hcl_variable *v = &c->m->variables[i];
        if (v->has_default || strcmp(v->name, "soma") == 0 || json_object_get(generate, v->name) || manifest_parameter_given(parameters, v->name))
            continue;
        finding_add(c->f, v->file, v->line,
                    "variable \"%s\" has no default, and nothing gives it a value: name it in spec.parameters (required, or with a default) or in spec.generate, or give it a default",
                    v->name);
        c->ok = false;
    }
}

bool cross_check(const struct check_template *t, const struct hcl_module *m, struct findings *f)
{
    struct cross c = {t, m, f, json_object_get(t->manifest, "spec"), true};
    if (!m->soma_variable)
        fault(&c, "/spec/module", "the module does not declare `variable \"soma\"`, from which its providers and names are written");
    manifest_each_parameter(json_object_get(c.spec, "parameters"), check_parameter, &c);
    check_generated(&c);
    check_outputs(&c);
    check_variables(&c);
    return c.ok;
}
