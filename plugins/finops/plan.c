// The one complication: a plan tells values, but not which resource an unknown value comes from. That is in the configuration, by expression, one scope a module;
// references are followed through variables and outputs of modules with a limit on their number of steps.
#include "plugins/finops/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STEPS 16

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

const char *plan_action_name(enum plan_action action)
{
    static const char *const names[] = { "none", "create", "update", "replace", "delete" };
    return names[action];
}

static enum plan_action action_of(const json_t *change)
{
    bool create = false, destroy = false, update = false;
    size_t i;
    json_t *word;
    json_array_foreach(json_object_get(change, "actions"), i, word) {
        const char *text = json_string_value(word);
        create |= text && !strcmp(text, "create");
        destroy |= text && !strcmp(text, "delete");
        update |= text && !strcmp(text, "update");
    }
    return create && destroy ? PLAN_REPLACE : create ? PLAN_CREATE : destroy ? PLAN_DELETE : update ? PLAN_UPDATE : PLAN_NOTHING;
}

static const char *last_part(const char *source)
{
    const char *slash = strrchr(source, '/');
    return slash ? slash + 1 : source;
}

// The configuration of a module instance like `module.a["x"].module.b`: the calls along its way.
static const json_t *scope_of(const struct plan *plan, const char *module)
{
    const json_t *scope = doc_at(plan->root, "configuration.root_module");
    const char *p = module;
    while (scope && !strncmp(p, "module.", 7)) {
        p += 7;
        size_t len = strcspn(p, ".[");
        const char *name = pool_copy_len(plan->pool, p, len);
        scope = json_object_get(json_object_get(json_object_get(scope, "module_calls"), name), "module");
        p += len;
        if (*p == '[') { // a key may hold dots and brackets inside its quotes
            bool quoted = p[1] == '"';
            const char *end = strstr(p, quoted ? "\"]" : "]");
            p = end ? end + (quoted ? 2 : 1) : p + strlen(p);
        }
        p += *p == '.';
    }
    return scope;
}

static const json_t *config_of(const json_t *scope, const char *type, const char *name)
{
    size_t i;
    json_t *block;
    json_array_foreach(json_object_get(scope, "resources"), i, block) {
        if (!strcmp(text_of(block, "type"), type) && !strcmp(text_of(block, "name"), name))
            return block;
    }
    return NULL;
}

// The value of an expression when it is a constant or a variable of the root module.
static const char *constant_of(const struct plan *plan, const json_t *expression)
{
    const char *text = json_string_value(json_object_get(expression, "constant_value"));
    const char *reference = json_string_value(json_array_get(json_object_get(expression, "references"), 0));
    if (text || !reference || strncmp(reference, "var.", 4))
        return text;
    size_t len = strcspn(reference + 4, ".[");
    const json_t *value = doc_at(plan->root, "variables");
    value = json_object_get(json_object_get(value, pool_copy_len(plan->pool, reference + 4, len)), "value");
    if (reference[4 + len] == '.') // var.soma.region
        value = doc_at(value, reference + 4 + len + 1);
    return json_string_value(value);
}

static const char *provider_region(const struct plan *plan, const char *key)
{
    const json_t *providers = doc_at(plan->root, "configuration.provider_config");
    const json_t *expressions = json_object_get(json_object_get(providers, key), "expressions");
    const char *region = constant_of(plan, json_object_get(expressions, "region"));
    const char *colon = strrchr(key, ':');
    if (!region && colon) // module.web:aws, a provider that was passed in: the same name in the root module
        region = provider_region(plan, colon + 1);
    return region;
}

// eu-west-1a -> eu-west-1
static const char *zone_region(const struct plan *plan, const char *zone)
{
    size_t len = zone ? strlen(zone) : 0;
    if (len < 4 || zone[len - 1] < 'a' || zone[len - 1] > 'z' || zone[len - 2] < '0' || zone[len - 2] > '9')
        return NULL;
    return pool_copy_len(plan->pool, zone, len - 1);
}

// arn:aws:sqs:eu-west-1:123456789012:orders -> eu-west-1, for what is there already
static const char *arn_region(const struct plan *plan, const char *arn)
{
    const char *p = arn ? arn : "";
    for (int i = 0; i < 3 && p; i++)
        p = strchr(p + (i > 0), ':');
    size_t len = p ? strcspn(p + 1, ":") : 0;
    return len ? pool_copy_len(plan->pool, p + 1, len) : NULL;
}

static const char *region_of(const struct plan *plan, const struct plan_resource *r)
{
    const json_t *values = r->after ? r->after : r->before;
    const char *region = json_string_value(json_object_get(values, "region"));
    if (!region && r->config)
        region = provider_region(plan, text_of(r->config, "provider_config_key"));
    if (!region)
        region = json_string_value(json_object_get(values, "location"));
    if (!region)
        region = arn_region(plan, json_string_value(json_object_get(values, "arn")));
    return region ? region : zone_region(plan, json_string_value(json_object_get(values, "availability_zone")));
}

static const json_t *object_at(const json_t *change, const char *key)
{
    const json_t *value = json_object_get(change, key);
    return json_is_object(value) ? value : NULL;
}

static bool read_resource(struct plan *plan, const json_t *entry, struct plan_resource *r)
{
    const json_t *change = json_object_get(entry, "change");
    *r = (struct plan_resource){ .address = text_of(entry, "address"), .type = text_of(entry, "type"), .name = text_of(entry, "name"),
        .module = text_of(entry, "module_address"), .provider = last_part(text_of(entry, "provider_name")), .action = action_of(change),
        .before = object_at(change, "before"), .after = object_at(change, "after"), .unknown = object_at(change, "after_unknown"),
        .before_sensitive = object_at(change, "before_sensitive"), .after_sensitive = object_at(change, "after_sensitive") };
    if (!*r->address || !*r->type || !json_is_object(change))
        return false;
    r->scope = scope_of(plan, r->module);
    r->config = config_of(r->scope, r->type, r->name);
    r->region = region_of(plan, r);
    return true;
}

static bool read_resources(struct plan *plan, char why[DOC_WHY])
{
    const json_t *changes = json_object_get(plan->root, "resource_changes");
    plan->resources = pool_take(plan->pool, (json_array_size(changes) + 1) * sizeof *plan->resources);
    size_t i;
    json_t *entry;
    json_array_foreach(changes, i, entry) {
        if (!strcmp(text_of(entry, "mode"), "data"))
            continue;
        if (!read_resource(plan, entry, &plan->resources[plan->count])) {
            snprintf(why, DOC_WHY, "resource change %zu has no address, type or change: the plan is not one that `show -json` printed", i + 1);
            return false;
        }
        plan->count++;
    }
    return true;
}

static bool refuse(char why[DOC_WHY], const char *words)
{
    snprintf(why, DOC_WHY, "%s", words);
    return false;
}

bool plan_read(struct pool *pool, const json_t *root, struct plan *ret_plan, char why[DOC_WHY])
{
    *ret_plan = (struct plan){ .pool = pool, .root = root };
    const char *format = json_string_value(json_object_get(root, "format_version"));
    if (!json_is_object(root))
        return refuse(why, "a plan is a JSON object: give what `terraform show -json PLANFILE` prints");
    if (!format && json_object_get(root, "lineage"))
        return refuse(why, "this is a state, not a plan: make a plan with `terraform plan -out FILE`, then give what `terraform show -json FILE` prints");
    if (!format)
        return refuse(why, "there is no format_version: give what `terraform show -json PLANFILE` prints");
    if (strncmp(format, "1.", 2) && strcmp(format, "0.2")) {
        snprintf(why, DOC_WHY, "format_version %.40s is not read here: make the plan with Terraform 1.0 or newer, or OpenTofu (format 0.2 or 1.x)", format);
        return false;
    }
    if (json_is_true(json_object_get(root, "errored")))
        return refuse(why, "the plan failed (`errored` is true): mend the configuration and plan again");
    if (!json_is_array(json_object_get(root, "resource_changes"))) {
        if (!json_object_get(root, "planned_values"))
            return refuse(why, "there are neither resource_changes nor planned_values: this is the JSON of a state, or of a file that is not a plan");
        return true; // a plan that changes nothing
    }
    return read_resources(ret_plan, why);
}

// --- references

// Where a reference is read: a configuration scope and the module instance that it stands for.
struct place {
    const json_t *scope;
    const char *module;
};

static const struct plan_resource *follow(const struct plan *plan, struct place at, const json_t *expression, const struct plan_resource *from, const char *type,
    int steps);

static bool same_instance(const struct plan_resource *r, const struct plan_resource *from)
{
    const char *mine = strrchr(r->address, '['), *theirs = strrchr(from->address, '[');
    return mine && theirs && !strcmp(mine, theirs);
}

static bool ends_with(const char *text, const char *end, size_t end_len)
{
    size_t len = strlen(text);
    return len >= end_len && strnlen(end, end_len) == end_len && !memcmp(text + len - end_len, end, end_len);
}

// `aws_launch_template.web[0].id`, in the scope of a module: the instance that the reference names, or the one of the same key, or the first.
static const struct plan_resource *find_named(const struct plan *plan, struct place at, const char *reference, const struct plan_resource *from)
{
    const struct plan_resource *best = NULL;
    size_t type_len = strcspn(reference, ".");
    const char *name = reference + type_len + 1;
    size_t name_len = reference[type_len] ? strcspn(name, ".[") : 0;
    for (size_t i = 0; i < plan->count && name_len; i++) {
        const struct plan_resource *r = &plan->resources[i];
        if (strcmp(r->module, at.module) || strlen(r->type) != type_len || strncmp(r->type, reference, type_len) || strlen(r->name) != name_len ||
            strncmp(r->name, name, name_len))
            continue;
        if (name[name_len] == '[' && ends_with(r->address, name + name_len, strcspn(name + name_len, "]") + 1))
            return r;
        if (!best || same_instance(r, from))
            best = r;
    }
    return best;
}

// The module that called this one: `module.a.module.b` -> `module.a`, and the call's name, b.
static struct place caller_of(const struct plan *plan, struct place at, const char **ret_call)
{
    const char *last = at.module, *p = at.module;
    while ((p = strstr(p, "module."))) {
        if (p == at.module || p[-1] == '.')
            last = p;
        p += 7;
    }
    size_t len = (size_t)(last - at.module);
    const char *module = pool_copy_len(plan->pool, at.module, len ? len - 1 : 0);
    *ret_call = pool_copy_len(plan->pool, last + 7, strcspn(last + 7, ".["));
    return (struct place){ scope_of(plan, module), module };
}

static const struct plan_resource *follow_variable(const struct plan *plan, struct place at, const char *reference, const struct plan_resource *from, const char *type,
    int steps)
{
    const char *call;
    if (!*at.module)
        return NULL;
    struct place caller = caller_of(plan, at, &call);
    const json_t *expressions = json_object_get(json_object_get(json_object_get(caller.scope, "module_calls"), call), "expressions");
    const char *name = pool_copy_len(plan->pool, reference + 4, strcspn(reference + 4, ".["));
    return follow(plan, caller, json_object_get(expressions, name), from, type, steps);
}

static const struct plan_resource *follow_output(const struct plan *plan, struct place at, const char *reference, const struct plan_resource *from, const char *type,
    int steps)
{
    const char *p = reference + 7, *name = pool_copy_len(plan->pool, p, strcspn(p, ".["));
    const char *dot = strrchr(reference, '.');
    const json_t *module = json_object_get(json_object_get(json_object_get(at.scope, "module_calls"), name), "module");
    if (!module || !dot || dot < p)
        return NULL;
    const json_t *output = json_object_get(json_object_get(module, "outputs"), pool_copy_len(plan->pool, dot + 1, strcspn(dot + 1, "[")));
    const char *instance = pool_copy_len(plan->pool, reference, (size_t)(dot - reference));
    struct place inside = { module, pool_format(plan->pool, "%s%s%s", at.module, *at.module ? "." : "", instance) };
    return follow(plan, inside, json_object_get(output, "expression"), from, type, steps);
}

static const struct plan_resource *follow_one(const struct plan *plan, struct place at, const char *reference, const struct plan_resource *from, const char *type,
    int steps)
{
    size_t len = strlen(type);
    if (!strncmp(reference, type, len) && reference[len] == '.')
        return find_named(plan, at, reference, from);
    if (!strncmp(reference, "var.", 4))
        return follow_variable(plan, at, reference, from, type, steps);
    if (!strncmp(reference, "module.", 7))
        return follow_output(plan, at, reference, from, type, steps);
    if (!strncmp(reference, "each.", 5))
        return follow(plan, at, json_object_get(from->config, "for_each_expression"), from, type, steps);
    return NULL;
}

static const struct plan_resource *follow(const struct plan *plan, struct place at, const json_t *expression, const struct plan_resource *from, const char *type,
    int steps)
{
    size_t i;
    json_t *reference;
    if (steps > MAX_STEPS)
        return NULL;
    json_array_foreach(json_object_get(expression, "references"), i, reference) {
        const char *text = json_string_value(reference);
        const struct plan_resource *found = text ? follow_one(plan, at, text, from, type, steps + 1) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

static bool reads_local(const json_t *expression)
{
    size_t i;
    json_t *reference;
    json_array_foreach(json_object_get(expression, "references"), i, reference) {
        const char *text = json_string_value(reference);
        if (text && !strncmp(text, "local.", 6))
            return true;
    }
    return false;
}

// Whether something in the plan was made from this attribute: `relevant_attributes`, whose addresses have no keys.
static bool is_relevant(const struct plan *plan, const struct plan_resource *r, const char *attribute)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(plan->root, "relevant_attributes"), i, entry) {
        const char *address = text_of(entry, "resource"), *part = json_string_value(json_array_get(json_object_get(entry, "attribute"), 0));
        size_t len = strlen(address);
        if (part && !strcmp(part, attribute) && !strncmp(r->address, address, len) && (!r->address[len] || r->address[len] == '['))
            return true;
    }
    return false;
}

// A plan does not print locals. What comes through one is unknown only if its source is: when a single resource of the module can be that source, it is.
static const struct plan_resource *only_unknown(const struct plan *plan, const struct plan_resource *r, const char *attribute, const char *type, bool relevant)
{
    const struct plan_resource *found = NULL;
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_resource *other = &plan->resources[i];
        if (strcmp(other->type, type) || strcmp(other->module, r->module) || !json_is_true(json_object_get(other->unknown, attribute)) ||
            (relevant && !is_relevant(plan, other, attribute)))
            continue;
        if (found)
            return NULL;
        found = other;
    }
    return found;
}

const struct plan_resource *plan_reference(const struct plan *plan, const struct plan_resource *r, const char *path, const char *type)
{
    const json_t *expression = doc_at(json_object_get(r->config, "expressions"), path);
    struct place at = { r->scope, r->module };
    const struct plan_resource *found = follow(plan, at, expression, r, type, 0);
    const char *dot = strrchr(path, '.');
    if (found || !reads_local(expression) || !json_is_true(doc_at(r->unknown, path)))
        return found;
    const char *attribute = dot ? dot + 1 : path;
    found = only_unknown(plan, r, attribute, type, true);
    return found ? found : only_unknown(plan, r, attribute, type, false);
}

bool plan_refers(const struct plan *plan, const struct plan_resource *r, const char *path, const struct plan_resource *to)
{
    return plan_reference(plan, r, path, to->type) == to;
}
