/* Published versions, as provision, monitoring and catalog see them. */
#include "portal/crypto/crypto.h"
#include "portal/json/json.h"
#include "portal/json/schema.h"
#include "portal/templates/archive.h"
#include "portal/templates/check.h"
#include "templates_queries.h"
#include <string.h>

static const json_t *spec(const struct template_version *v, const char *key)
{
    return json_object_get(json_object_get(v->manifest, "spec"), key);
}

const json_t *templates_parameters(const struct template_version *v) { return spec(v, "parameters"); }
const json_t *templates_generate(const struct template_version *v) { return spec(v, "generate"); }
const json_t *templates_outputs(const struct template_version *v) { return spec(v, "outputs"); }
const json_t *templates_monitoring(const struct template_version *v) { return spec(v, "monitoring"); }
const json_t *templates_catalog(const struct template_version *v) { return spec(v, "catalog"); }
const json_t *templates_destroy(const struct template_version *v) { return spec(v, "destroy"); }
const json_t *templates_environments(const struct template_version *v) { return spec(v, "environments"); }
const json_t *templates_repository(const struct template_version *v) { return spec(v, "repository"); }
int64_t templates_typical_seconds(const struct template_version *v) { return json_integer_value(spec(v, "typicalSeconds")); }

/* ---- reading ---- */

static const char *text_or(const json_t *object, const char *key, const char *fallback)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : fallback;
}

static int fill_version(const struct db_result *r, struct arena *a, struct template_version *ret, struct err *e)
{
    json_t *manifest = NULL;
    const char *text = db_str(r, 0, 7);
    int rc = json_read(text, strlen(text), 0, &manifest, e);
    if (rc != 0)
        return err_prefix(e, "the stored manifest of %s cannot be read", db_str(r, 0, 1));
    *ret = (struct template_version){.id = arena_strdup(a, db_str(r, 0, 0)), .name = arena_strdup(a, db_str(r, 0, 1)), .number = db_i64(r, 0, 2),
                                     .repository = arena_strdup(a, db_str(r, 0, 3)), .commit = arena_strdup(a, db_str(r, 0, 4)), .path = arena_strdup(a, db_str(r, 0, 5)),
                                     .published_at = arena_strdup(a, db_str(r, 0, 6)), .manifest = manifest};
    const json_t *metadata = json_object_get(manifest, "metadata"), *about = json_object_get(manifest, "spec");
    ret->title = text_or(metadata, "title", ret->name);
    ret->description = text_or(metadata, "description", "");
    ret->owner = text_or(about, "owner", "");
    ret->type = text_or(about, "type", "");
    return 0;
}

int templates_get(struct db_conn *c, const char *name, struct arena *a, struct template_version *ret, struct err *e)
{
    DB_RESULT_AUTO r = NULL;
    int rc = db_run(c, Q_VERSION_CURRENT, &r, e, db_text(name));
    if (rc != 0)
        return rc;
    if (db_rows(r) == 0)
        return err_set(e, ERR_NOT_FOUND, "there is no golden path `%.60s`; `soma templates list` shows those there are", name);
    if (db_bool(r, 0, 8))
        return err_set(e, ERR_NOT_FOUND, "the golden path `%.60s` was withdrawn: its repository no longer offers it", name);
    return fill_version(r, a, ret, e);
}

int templates_get_version(struct db_conn *c, const char *id, struct arena *a, struct template_version *ret, struct err *e)
{
    DB_RESULT_AUTO r = NULL;
    int rc = db_run(c, Q_VERSION_BY_ID, &r, e, db_text(id));
    if (rc != 0)
        return rc;
    if (db_rows(r) == 0)
        return err_set(e, ERR_NOT_FOUND, "there is no version %s of a golden path", id);
    return fill_version(r, a, ret, e);
}

void templates_version_done(struct template_version *v)
{
    json_decref(v->manifest);
    v->manifest = NULL;
}

/* ---- what an order must keep to ---- */

int templates_check_environment(const struct template_version *v, const char *environment, struct err *e)
{
    const json_t *allowed = templates_environments(v), *item;
    BUF_AUTO names = BUF_INIT;
    size_t i;
    if (!allowed)
        return 0;
    json_array_foreach((json_t *)allowed, i, item) {
        if (strcmp(json_string_value(item), environment) == 0)
            return 0;
        buf_printf(&names, "%s%s", i ? ", " : "", json_string_value(item));
    }
    return err_set(e, ERR_INVALID, "the golden path %s may not be ordered in %s; it may in: %s", v->name, environment, buf_cstr(&names));
}

int templates_check_engine(const struct template_version *v, const char *engine, const char *version, struct err *e)
{
    const json_t *want = spec(v, "engine");
    const char *constraint = json_string_value(want);
    if (!want)
        return 0;
    if (json_is_object(want)) {
        constraint = json_string_value(json_object_get(want, engine));
        if (!constraint)
            return err_set(e, ERR_INVALID, "the golden path %s does not run with %s (spec.engine names the engines that will do)", v->name, engine);
    }
    if (constraint && !constraint_allows(constraint, version))
        return err_set(e, ERR_INVALID, "the golden path %s needs %s %s; this is %s", v->name, engine, constraint, version);
    return 0;
}

int templates_check_name(const struct template_version *v, const char *name, struct err *e)
{
    const json_t *want = spec(v, "name");
    SCHEMA_AUTO s = NULL;
    struct err why = ERR_INIT;
    const struct schema_options o = {.assert_formats = true};
    if (!want)
        return 0;
    if (schema_compile(want, &o, &s, e) != 0)
        return err_set(e, ERR_INTERNAL, "the names' schema of %s cannot be read any more; publish the golden path anew", v->name);
    json_auto_t *value = json_string(name);
    if (schema_validate(s, value, "/name", &why) == 0)
        return 0;
    const char *words = json_string_value(json_object_get(want, "description"));
    return err_field(e, "/name", "the golden path %s does not take `%s`: %.150s", v->name, name, words ? words : why.n_fields ? why.fields[0].detail : why.msg);
}

int templates_check_parameters(const struct template_version *v, const json_t *parameters, json_t **ret_complete, struct err *e)
{
    SCHEMA_AUTO s = NULL;
    json_auto_t *given = parameters ? json_incref((json_t *)parameters) : json_object(), *full = NULL;
    const struct schema_options o = {.assert_formats = true};
    int rc = schema_compile(templates_parameters(v), &o, &s, e);
    if (rc != 0)
        return err_set(e, ERR_INTERNAL, "the parameters' schema of %s cannot be read any more; publish the golden path anew", v->name);
    rc = schema_fill_defaults(s, given, &full, e);
    if (rc == 0)
        rc = schema_validate(s, full, "/parameters", e);
    if (rc != 0)
        return rc;
    *ret_complete = full;
    full = NULL;
    return 0;
}

int templates_make_values(const struct template_version *v, json_t **ret, struct err *e)
{
    static const char special[] = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789-_.~";
    json_t *values = json_object(), *how;
    const char *name;
    char text[136];
    (void)e;
    json_object_foreach((json_t *)templates_generate(v), name, how) {
        json_int_t length = json_integer_value(json_object_get(how, "length"));
        length = length < 16 || length > 128 ? 32 : length;
        crypto_password_new(json_is_true(json_object_get(how, "special")) ? special : NULL, (size_t)length, text);
        json_object_set_new(values, name, json_string(text));
    }
    crypto_wipe(text, sizeof(text));
    *ret = values;
    return 0;
}

/* ---- files ---- */

struct files { const void *content; size_t len; const char *folder, *module; };

static int load_files(struct db_conn *c, const char *version_id, struct arena *a, struct files *ret, struct err *e)
{
    DB_RESULT_AUTO r = NULL;
    BUF_AUTO module = BUF_INIT;
    int rc = db_run(c, Q_VERSION_FILES, &r, e, db_text(version_id));
    if (rc != 0)
        return rc;
    if (db_rows(r) == 0)
        return err_set(e, ERR_NOT_FOUND, "there is no version %s of a golden path", version_id);
    ret->content = db_blob(r, 0, 0, a, &ret->len);
    ret->folder = arena_strdup(a, db_str(r, 0, 1));
    if (!path_join(ret->folder, db_str(r, 0, 2), &module))
        return err_set(e, ERR_INTERNAL, "the module's folder of version %s leads elsewhere", version_id);
    ret->module = arena_strdup(a, buf_cstr(&module));
    return 0;
}

int templates_export(struct db_conn *c, const char *version_id, const char *dir, struct arena *a, const char **ret_module, struct err *e)
{
    struct files f;
    int rc = load_files(c, version_id, a, &f, e);
    if (rc == 0)
        rc = archive_export(f.content, f.len, dir, e);
    if (rc == 0)
        *ret_module = *f.module ? f.module : ".";
    return rc;
}

struct search { const char *path; struct arena *arena; const char *data; size_t len; };

static int match_file(const struct archive_file *f, void *arg, struct err *e)
{
    struct search *s = arg;
    (void)e;
    if (strcmp(f->path, s->path) == 0) {
        s->data = copy_bytes(s->arena, f->data, f->len);
        s->len = f->len;
    }
    return 0;
}

int templates_file(struct db_conn *c, const char *version_id, const char *path, struct arena *a, const char **ret, size_t *ret_len, struct err *e)
{
    struct files f;
    BUF_AUTO full = BUF_INIT;
    int rc = load_files(c, version_id, a, &f, e);
    if (rc != 0)
        return rc;
    struct search s = {.arena = a};
    if (path_join(f.folder, path, &full)) {
        s.path = buf_cstr(&full);
        rc = archive_each(f.content, f.len, match_file, &s, e);
    }
    if (rc == 0 && !s.data)
        return err_set(e, ERR_NOT_FOUND, "the version holds no file %s", path);
    if (rc == 0) {
        *ret = s.data;
        *ret_len = s.len;
    }
    return rc;
}

/* ---- providers ---- */

struct listing { struct arena *arena; struct archive_file *items; size_t n, cap; };

static int keep_file(const struct archive_file *f, void *arg, struct err *e)
{
    struct listing *l = arg;
    (void)e;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        struct archive_file *grown = arena_alloc(l->arena, cap * sizeof(*grown));
        if (l->n)
            memcpy(grown, l->items, l->n * sizeof(*grown));
        l->items = grown;
        l->cap = cap;
    }
    l->items[l->n++] = (struct archive_file){arena_strdup(l->arena, f->path), copy_bytes(l->arena, f->data, f->len), f->len};
    return 0;
}

int templates_skeleton(struct db_conn *c, const struct template_version *v, const json_t *named, struct arena *a, struct templates_file **ret, size_t *ret_n, struct err *e)
{
    struct files f;
    struct listing l = {.arena = a};
    BUF_AUTO folder = BUF_INIT;
    int rc = load_files(c, v->id, a, &f, e);
    if (rc == 0)
        rc = archive_each(f.content, f.len, keep_file, &l, e);
    if (rc == 0 && !path_join(f.folder, json_string_value(json_object_get(templates_repository(v), "skeleton")), &folder))
        rc = err_set(e, ERR_INTERNAL, "the skeleton's folder of %s leads elsewhere", v->name);
    struct templates_file *files = arena_alloc(a, (l.n + 1) * sizeof(*files));
    size_t n = 0;
    for (size_t i = 0; i < l.n && rc == 0; i++)
        if (path_below(l.items[i].path, buf_cstr(&folder)))
            rc = skeleton_render(l.items[i].path + folder.len + 1, l.items[i].data, l.items[i].len, named, a, &files[n++], e);
    *ret = files;
    *ret_n = n;
    return rc;
}

/* The archive's folders as the module reader asks for them. */
static int list_archive(void *arg, const char *dir, struct arena *a, struct hcl_file **ret, size_t *ret_n, struct err *e)
{
    const struct listing *l = arg;
    struct hcl_file *files = arena_alloc(a, (l->n + 1) * sizeof(*files));
    size_t skip = *dir ? strlen(dir) + 1 : 0, n = 0;
    bool found = false;
    for (size_t i = 0; i < l->n; i++) {
        if (!path_below(l->items[i].path, dir))
            continue;
        found = true;
        const char *name = l->items[i].path + skip;
        if (!strchr(name, '/'))
            files[n++] = (struct hcl_file){.name = name, .text = l->items[i].data, .len = l->items[i].len};
    }
    if (!found)
        return err_set(e, ERR_NOT_FOUND, "there is no folder \"%s\"", dir);
    *ret = files;
    *ret_n = n;
    return 0;
}

static const char *find_lock(const struct listing *l, const char *module)
{
    BUF_AUTO path = BUF_INIT;
    path_join(module, ".terraform.lock.hcl", &path);
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i].path, path.data) == 0)
            return l->items[i].data;
    return NULL;
}

int templates_providers(struct db_conn *c, const char *version_id, struct arena *a, struct tf_requirement **ret, size_t *ret_n, struct err *e)
{
    struct files f;
    struct listing l = {.arena = a};
    struct hcl_module *m = NULL;
    int rc = load_files(c, version_id, a, &f, e);
    if (rc == 0)
        rc = archive_each(f.content, f.len, keep_file, &l, e);
    if (rc == 0)
        rc = hcl_check_module(&(struct hcl_source){list_archive, &l}, f.module, a, &m, e);
    if (rc != 0)
        return rc;
    const char *lock = find_lock(&l, f.module);
    struct tf_requirement *all = arena_alloc(a, (m->n_providers + 1) * sizeof(*all));
    size_t n = 0;
    for (size_t i = 0; i < m->n_providers; i++) {
        const struct hcl_provider *p = &m->providers[i];
        size_t k = 0;
        while (k < n && strcmp(all[k].source, p->source) != 0)
            k++;
        if (k == n)
            all[n++] = (struct tf_requirement){p->source, p->version, lock};
        else if (*p->version && strcmp(all[k].constraint, p->version) != 0)
            all[k].constraint = *all[k].constraint ? arena_printf(a, "%s, %s", all[k].constraint, p->version) : p->version;
    }
    *ret = all;
    *ret_n = n;
    return 0;
}
