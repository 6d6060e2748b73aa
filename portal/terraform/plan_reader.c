/* Plans. The complication is the masking: the document says beside each value which parts of it are sensitive (X and X_sensitive, values and
 * sensitive_values, value and sensitive), at every depth and in new places with every release, so the pairs are looked for everywhere
 * but inside of values themselves. */
#include "portal/terraform/terraform_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MASKED "(sensitive)"
#define VARIABLE_MIN 8 /* shorter values of sensitive variables are not looked for in other texts */

static const char *const action_names[] = {
    [TF_ACTION_NOOP] = "no-op", [TF_ACTION_CREATE] = "create", [TF_ACTION_UPDATE] = "update", [TF_ACTION_DELETE] = "delete",
    [TF_ACTION_REPLACE] = "replace", [TF_ACTION_READ] = "read", [TF_ACTION_FORGET] = "forget", [TF_ACTION_OTHER] = "other",
};

static const char *const pairs[][2] = {
    {"before", "before_sensitive"}, {"after", "after_sensitive"}, {"values", "sensitive_values"}, {"config_values", "config_sensitive"},
    {"config_before", "config_before_sensitive"}, {"config_after", "config_after_sensitive"},
};
#define N_PAIRS (sizeof pairs / sizeof *pairs)

const char *tf_action_name(enum tf_action a)
{
    return (size_t)a < sizeof action_names / sizeof *action_names ? action_names[a] : "other";
}

/* ---- masking ---- */

struct masking {
    struct arena *a;
    const struct tf_masker *m;
};

static json_t *masked_word(void)
{
    return json_string(MASKED);
}

/* What stands for `value` (borrowed) under `mask`: a new reference. */
static json_t *mask_value(json_t *value, const json_t *mask)
{
    if (json_is_true(mask))
        return masked_word();
    if (json_is_object(mask) && json_is_object(value)) {
        const char *key;
        json_t *sub;
        json_object_foreach((json_t *)mask, key, sub) {
            json_t *v = json_object_get(value, key);
            if (v)
                json_object_set_new(value, key, mask_value(v, sub));
        }
    } else if (json_is_array(mask) && json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(mask) && i < json_array_size(value); i++)
            json_array_set_new(value, i, mask_value(json_array_get(value, i), json_array_get(mask, i)));
    }
    return json_incref(value);
}

static void mask_pairs(json_t *object)
{
    for (size_t i = 0; i < N_PAIRS; i++) {
        json_t *value = json_object_get(object, pairs[i][0]), *mask = json_object_get(object, pairs[i][1]);
        if (value && mask)
            json_object_set_new(object, pairs[i][0], mask_value(value, mask));
    }
    if (json_is_true(json_object_get(object, "sensitive"))) {
        if (json_object_get(object, "value"))
            json_object_set_new(object, "value", masked_word());
        if (json_object_get(object, "default"))
            json_object_set_new(object, "default", masked_word());
    }
}

/* "values" of the prior state is a frame around more of the document: only beside its mask it is a value. */
static bool is_value(const json_t *object, const char *key)
{
    for (size_t i = 0; i < N_PAIRS; i++)
        if (!strcmp(key, pairs[i][0]) && json_object_get(object, pairs[i][1]))
            return true;
    return !strcmp(key, "value") || !strcmp(key, "default") || !strcmp(key, "constant_value");
}

static json_t *masked_string(const struct masking *k, json_t *v)
{
    const char *s = json_string_value(v), *masked;
    if (strlen(s) != json_string_length(v)) /* a NUL inside: what stands behind it cannot be searched, so none of it stays */
        return masked_word();
    masked = tf_masker_text(k->m, k->a, s);
    return masked == s ? NULL : json_string(masked);
}

/* Masks in place; `structural` while we are outside of values. */
static void mask_tree(const struct masking *k, json_t *v, bool structural)
{
    if (json_is_array(v)) {
        for (size_t i = 0; i < json_array_size(v); i++) {
            json_t *item = json_array_get(v, i), *new = json_is_string(item) ? masked_string(k, item) : NULL;
            if (new)
                json_array_set_new(v, i, new);
            else
                mask_tree(k, item, structural);
        }
        return;
    }
    if (!json_is_object(v))
        return;
    if (structural)
        mask_pairs(v);
    const char *key;
    json_t *item;
    void *next;
    json_object_foreach_safe(v, next, key, item) {
        json_t *new = json_is_string(item) ? masked_string(k, item) : NULL;
        if (new)
            json_object_set_new(v, key, new);
        else
            mask_tree(k, item, structural && !is_value(v, key));
    }
}

/* Keys (of maps) may hold a secret too. An object that has such a key is written anew, each of its keys looked at once. */
static void mask_keys(const struct masking *k, json_t *v)
{
    const char *key;
    json_t *item;
    size_t i;
    bool found = false;
    json_array_foreach(v, i, item)
        mask_keys(k, item);
    json_object_foreach(v, key, item) {
        mask_keys(k, item);
        found |= tf_masker_text(k->m, k->a, key) != key;
    }
    if (!found)
        return;
    TF_JSON_AUTO old = json_copy(v);
    json_object_clear(v);
    json_object_foreach(old, key, item)
        json_object_set(v, tf_masker_text(k->m, k->a, key), item);
}

/* Masks the root module's sensitive variables and gives `secrets` with their values behind. */
static const char *const *mask_variables(struct arena *a, json_t *root, const char *const *secrets)
{
    json_t *declared = json_object_get(json_object_get(json_object_get(root, "configuration"), "root_module"), "variables");
    json_t *values = json_object_get(root, "variables"), *d;
    const char *name;
    size_t n = 0;
    while (secrets && secrets[n])
        n++;
    const char **all = arena_alloc(a, (n + json_object_size(declared) + 1) * sizeof *all);
    if (n)
        memcpy(all, secrets, n * sizeof *all);
    json_object_foreach(declared, name, d) {
        json_t *v = json_object_get(values, name);
        if (!json_is_true(json_object_get(d, "sensitive")) || !v)
            continue;
        const char *s = json_string_value(json_object_get(v, "value"));
        if (s && strlen(s) >= VARIABLE_MIN)
            all[n++] = arena_strdup(a, s);
        json_object_set_new(v, "value", masked_word());
    }
    return all;
}

/* ---- reading ---- */

static char *dump(struct arena *a, const json_t *v, size_t *ret_n)
{
    char *s = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    char *copy = arena_strdup(a, s ? s : "null");
    free(s);
    if (ret_n)
        *ret_n = strlen(copy);
    return copy;
}

static enum tf_action read_action(const json_t *actions)
{
    const char *one = json_string_value(json_array_get(actions, 0)), *two = json_string_value(json_array_get(actions, 1));
    if (!one)
        return TF_ACTION_OTHER;
    if (two)
        return (!strcmp(one, "delete") && !strcmp(two, "create")) || (!strcmp(one, "create") && (!strcmp(two, "delete") || !strcmp(two, "forget")))
                   ? TF_ACTION_REPLACE
                   : TF_ACTION_OTHER;
    for (int i = TF_ACTION_NOOP; i < TF_ACTION_OTHER; i++)
        if (i != TF_ACTION_REPLACE && !strcmp(one, action_names[i]))
            return (enum tf_action)i;
    return TF_ACTION_OTHER;
}

static void read_paths(struct arena *a, const json_t *paths, struct tf_change *c)
{
    size_t i, j;
    json_t *path, *step;
    if (!json_array_size(paths))
        return;
    c->replace_paths = arena_alloc(a, json_array_size(paths) * sizeof *c->replace_paths);
    json_array_foreach((json_t *)paths, i, path) {
        BUF_AUTO b = BUF_INIT;
        json_array_foreach(path, j, step) {
            if (json_is_string(step))
                buf_printf(&b, "%s%s", b.len ? "." : "", json_string_value(step));
            else if (json_is_integer(step))
                buf_printf(&b, "[%" PRId64 "]", (int64_t)json_integer_value(step));
        }
        c->replace_paths[c->n_replace_paths++] = arena_strdup(a, buf_cstr(&b));
    }
}

static const char *str(struct arena *a, const json_t *o, const char *key)
{
    return arena_strdup(a, tf_json_str(o, key));
}

static void read_change(struct arena *a, const json_t *rc, struct tf_change *c)
{
    const json_t *change = json_object_get(rc, "change");
    *c = (struct tf_change){
        .address = str(a, rc, "address"), .previous_address = str(a, rc, "previous_address"), .module = str(a, rc, "module_address"),
        .mode = str(a, rc, "mode"), .type = str(a, rc, "type"), .name = str(a, rc, "name"), .provider = str(a, rc, "provider_name"),
        .action = read_action(json_object_get(change, "actions")),
        .reason = str(a, rc, "action_reason"),
        .import_id = str(a, json_object_get(change, "importing"), "id"),
        .before_json = dump(a, json_object_get(change, "before"), NULL), .after_json = dump(a, json_object_get(change, "after"), NULL),
    };
    const char *first = json_string_value(json_array_get(json_object_get(change, "actions"), 0));
    c->create_before_destroy = c->action == TF_ACTION_REPLACE && first && !strcmp(first, "create");
    read_paths(a, json_object_get(change, "replace_paths"), c);
}

static void count(struct tf_plan *p, const struct tf_change *c, bool imported)
{
    int64_t *counters[] = {
        [TF_ACTION_NOOP] = NULL, [TF_ACTION_CREATE] = &p->add, [TF_ACTION_UPDATE] = &p->change, [TF_ACTION_DELETE] = &p->destroy,
        [TF_ACTION_REPLACE] = &p->replace, [TF_ACTION_READ] = &p->read, [TF_ACTION_FORGET] = &p->forget, [TF_ACTION_OTHER] = NULL,
    };
    if (counters[c->action])
        ++*counters[c->action];
    if (imported)
        p->import++;
}

static size_t read_changes(struct arena *a, const json_t *list, struct tf_plan *counted, struct tf_change **ret)
{
    size_t i, n = 0;
    json_t *rc;
    struct tf_change *all = arena_alloc(a, (json_array_size(list) + 1) * sizeof *all);
    json_array_foreach((json_t *)list, i, rc) {
        if (!json_is_object(json_object_get(rc, "change")))
            continue;
        bool imported = json_is_object(json_object_get(json_object_get(rc, "change"), "importing"));
        read_change(a, rc, &all[n]);
        if (counted)
            count(counted, &all[n], imported);
        if (all[n].action != TF_ACTION_NOOP || imported || *all[n].previous_address)
            n++;
    }
    *ret = all;
    return n;
}

static bool flag(const json_t *root, const char *key, bool fallback)
{
    const json_t *v = json_object_get(root, key);
    return json_is_boolean(v) ? json_is_true(v) : fallback;
}

int tf_plan_read(struct arena *a, const char *json, size_t n, const char *const *secrets, struct tf_plan *ret, struct err *e)
{
    json_error_t where;
    TF_JSON_AUTO root = tf_json_load(json, n, &where);
    if (!root)
        return err_set(e, ERR_INVALID, "this is no plan: line %d, column %d: %s", where.line, where.column, where.text);
    if (!json_is_object(root) || !json_is_string(json_object_get(root, "format_version")))
        return err_set(e, ERR_INVALID, "this is no plan: it has no \"format_version\"; give what `show -json` prints of a saved plan");
    const char *const *all = mask_variables(a, root, secrets);
    const struct masking k = {a, tf_masker_new(a, all)};
    mask_tree(&k, root, true);
    mask_keys(&k, root);
    struct tf_plan p = {
        .engine_version = str(a, root, "terraform_version"), .format_version = str(a, root, "format_version"),
        .errored = flag(root, "errored", false), .complete = flag(root, "complete", true), .applyable = flag(root, "applyable", true),
    };
    p.n_changes = read_changes(a, json_object_get(root, "resource_changes"), &p, &p.changes);
    p.n_drift = read_changes(a, json_object_get(root, "resource_drift"), NULL, &p.drift);
    p.masked = dump(a, root, &p.masked_len);
    *ret = p;
    return 0;
}
