/* The check over a source: finds the golden paths, reads what belongs to each, holds manifest and module against the rules.
 *
 * The complication: one that is broken must not hide the others, and a hostile tree must not cost more than its limits. So each file is judged before it is
 * read, read at most once, and what is wrong with it is a finding; only the source's own failure (the host away, the disk gone) ends the whole check. */
#include "portal/json/json.h"
#include "portal/templates/check.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum file_state { UNREAD, LOADED, REFUSED };

struct loaded { enum file_state state; const char *data; size_t len; };

struct checker {
    struct arena *arena;
    struct template_source *source;
    struct findings *findings;
    struct loaded *files;      /* one for each entry */
    unsigned char *taken;      /* belongs to some golden path */
    size_t bytes;
    struct check_template *templates;
    size_t n_templates, cap;
};

/* ---- single files ---- */

static int refuse(struct checker *c, size_t i, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int refuse(struct checker *c, size_t i, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *reason = arena_vprintf(c->arena, fmt, ap);
    va_end(ap);
    finding_add(c->findings, c->source->entries[i].path, 0, "%s", reason);
    c->files[i].state = REFUSED;
    c->files[i].data = "";
    return 0;
}

static const char *size_words(struct arena *a, int64_t n)
{
    if (n >= 1 << 30)
        return arena_printf(a, "%.1f GiB", (double)n / (1 << 30));
    return n >= 1 << 20 ? arena_printf(a, "%.1f MiB", (double)n / (1 << 20)) : arena_printf(a, "%lld bytes", (long long)n);
}

/* Errors that speak of this file; all others are the source's. */
static bool is_of_file(int code)
{
    return code == ERR_TOO_LARGE || code == ERR_NOT_FOUND || code == ERR_INVALID;
}

static int refuse_link(struct checker *c, size_t i, struct err *e)
{
    BUF_AUTO target = BUF_INIT;
    int rc = c->source->read(c->source, i, 4096, &target, e);
    if (rc != 0 && !is_of_file(rc))
        return rc;
    return refuse(c, i, "is a symbolic link to \"%.200s\"; links are not followed, put the file itself here", buf_cstr(&target));
}

static bool is_lfs_pointer(const char *data, size_t len)
{
    static const char head[] = "version https://git-lfs.github.com/spec/";
    return len < 1024 && len >= sizeof(head) - 1 && memcmp(data, head, sizeof(head) - 1) == 0;
}

/* Reads a file once; whatever is wrong with it becomes a finding. */
static int load(struct checker *c, size_t i, struct err *e)
{
    const struct source_entry *entry = &c->source->entries[i];
    c->taken[i] = 1;
    if (c->files[i].state != UNREAD)
        return 0;
    const char *why = path_problem(entry->path);
    if (why)
        return refuse(c, i, "%s", why);
    if (entry->kind == SOURCE_LINK)
        return refuse_link(c, i, e);
    if (entry->kind == SOURCE_SUBMODULE)
        return refuse(c, i, "is a submodule; Soma does not fetch submodules, put the files themselves here");
    if (entry->kind != SOURCE_FILE)
        return refuse(c, i, "is neither a file nor a folder");
    if (entry->size > CHECK_FILE_MAX)
        return refuse(c, i, "is %s long; a file of a golden path has at most 1 MiB", size_words(c->arena, entry->size));
    if (entry->size < 0)
        return refuse(c, i, "is named by the commit, but the repository does not hold its content");
    if (c->bytes + (size_t)entry->size > CHECK_LOAD_MAX)
        return refuse(c, i, "was not read: the golden paths here hold more than 16 MiB in all");
    BUF_AUTO b = BUF_INIT;
    int rc = c->source->read(c->source, i, CHECK_FILE_MAX, &b, e);
    if (rc != 0)
        return is_of_file(rc) ? refuse(c, i, "%s", e->msg) : rc;
    if (is_lfs_pointer(buf_cstr(&b), b.len))
        return refuse(c, i, "is a Git LFS pointer, not the file; Soma does not fetch from LFS, commit the file itself");
    c->files[i] = (struct loaded){LOADED, copy_bytes(c->arena, buf_cstr(&b), b.len), b.len};
    c->bytes += b.len;
    return 0;
}

/* ---- the module's view of the source ---- */

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), m = strlen(tail);
    return n >= m && strcmp(s + n - m, tail) == 0;
}

static const char *folder_prefix(struct arena *a, const char *folder)
{
    return *folder ? arena_printf(a, "%s/", folder) : "";
}

static int list_folder(void *arg, const char *dir, struct arena *a, struct hcl_file **ret, size_t *ret_n, struct err *e)
{
    struct checker *c = arg;
    const char *prefix = folder_prefix(a, dir);
    size_t skip = strlen(prefix), first = source_find(c->source, prefix), last = first, n = 0;
    while (last < c->source->n && strncmp(c->source->entries[last].path, prefix, skip) == 0)
        last++;
    if (first == last)
        return err_set(e, ERR_NOT_FOUND, "there is no folder \"%s\"", dir);
    struct hcl_file *files = arena_alloc(a, (last - first) * sizeof(*files));
    for (size_t i = first; i < last; i++) {
        const struct source_entry *entry = &c->source->entries[i];
        const char *name = entry->path + skip;
        if (strchr(name, '/'))
            continue;
        struct hcl_file *file = &files[n++];
        *file = (struct hcl_file){.name = name, .link = entry->kind == SOURCE_LINK};
        if (!ends_with(name, ".tf") && !ends_with(name, ".tf.json"))
            continue;
        int rc = load(c, i, e);
        if (rc != 0)
            return rc;
        file->text = c->files[i].data;
        file->len = c->files[i].len;
    }
    *ret = files;
    *ret_n = n;
    return 0;
}

/* ---- what belongs to a golden path ---- */

/* Whether the entry belongs to another golden path that lies deeper in `folder`. */
static bool is_in_nested(const struct checker *c, const char *path, const char *folder)
{
    for (size_t i = 0; i < c->n_templates; i++) {
        const char *other = c->templates[i].folder;
        if (strcmp(other, folder) != 0 && strlen(other) > strlen(folder) && path_below(other, folder) && path_below(path, other))
            return true;
    }
    return false;
}

/* Marks and loads everything below `folder`; `nested`: without the golden paths that lie deeper in it. */
static int gather_folder(struct checker *c, const char *folder, bool nested, unsigned char *mine, struct err *e)
{
    const char *prefix = folder_prefix(c->arena, folder);
    size_t skip = strlen(prefix);
    for (size_t i = source_find(c->source, prefix); i < c->source->n && strncmp(c->source->entries[i].path, prefix, skip) == 0; i++) {
        if (mine[i] || (nested && is_in_nested(c, c->source->entries[i].path, folder)))
            continue;
        mine[i] = 1;
        int rc = load(c, i, e);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static bool fill_files(struct checker *c, struct check_template *t, const unsigned char *mine)
{
    bool ok = true;
    size_t n = 0;
    for (size_t i = 0; i < c->source->n; i++)
        n += mine[i];
    t->files = arena_alloc(c->arena, (n + 1) * sizeof(*t->files));
    for (size_t i = 0; i < c->source->n; i++) {
        if (!mine[i])
            continue;
        ok = ok && c->files[i].state == LOADED;
        t->files[t->n_files++] = (struct check_file){arena_strdup(c->arena, c->source->entries[i].path), c->files[i].data, c->files[i].len};
        t->bytes += c->files[i].len + strlen(c->source->entries[i].path) + 16;
    }
    if (t->n_files > CHECK_FILES_MAX) {
        finding_add(c->findings, t->manifest_path, 0, "the golden path and its modules hold %zu files; there may be %d", t->n_files, CHECK_FILES_MAX);
        ok = false;
    }
    if (t->bytes > CHECK_ARCHIVE_MAX) {
        finding_add(c->findings, t->manifest_path, 0, "the golden path and its modules hold %s; there may be 4 MiB", size_words(c->arena, (int64_t)t->bytes));
        ok = false;
    }
    return ok;
}

/* ---- files that the manifest names ---- */

static const struct check_file *named_file(struct checker *c, struct check_template *t, const char *pointer, const char *name)
{
    BUF_AUTO path = BUF_INIT;
    bool inside = path_join(t->folder, name, &path) && path_below(buf_cstr(&path), t->folder);
    for (size_t i = 0; inside && i < t->n_files; i++)
        if (strcmp(t->files[i].path, path.data) == 0)
            return &t->files[i];
    finding_add(c->findings, t->manifest_path, manifest_line(t, pointer), "%s: %s", pointer,
                inside ? "names a file that is not there" : "must lie in the golden path's folder");
    return NULL;
}

static bool check_rule(struct checker *c, const char *path, int line, const json_t *rule)
{
    const json_t *expr = json_object_get(rule, "expr");
    if (json_is_object(rule) && json_is_string(expr) && (json_is_string(json_object_get(rule, "alert")) || json_is_string(json_object_get(rule, "record"))))
        return true;
    finding_add(c->findings, path, line, "each rule needs `alert` or `record`, and `expr` as text");
    return false;
}

/* Alerting rules as Prometheus reads them: groups of rules. The expressions are Prometheus' to judge. */
static bool check_rules(struct checker *c, const struct check_file *file)
{
    struct err e = ERR_INIT;
    json_t *root = NULL, *group, *rule;
    struct yaml_marks *marks = NULL;
    size_t i, k;
    if (yaml_read(file->data, file->len, file->path, NULL, c->arena, &root, &marks, &e) != 0) {
        const char *tail = e.msg + strlen(file->path);
        int line = strncmp(e.msg, file->path, strlen(file->path)) == 0 && *tail == ':' ? atoi(tail + 1) : 0;
        finding_add(c->findings, file->path, line, "%s", e.msg);
        return false;
    }
    bool ok = json_is_array(json_object_get(root, "groups"));
    if (!ok)
        finding_add(c->findings, file->path, 1, "has no list `groups` of alerting rules");
    json_array_foreach(json_object_get(root, "groups"), i, group) {
        int line = 1, column;
        char pointer[64];
        snprintf(pointer, sizeof(pointer), "/groups/%zu", i);
        yaml_marks_find(marks, pointer, &line, &column);
        if (!json_is_string(json_object_get(group, "name")) || !json_is_array(json_object_get(group, "rules"))) {
            finding_add(c->findings, file->path, line, "each group needs a `name` and a list `rules`");
            ok = false;
        }
        json_array_foreach(json_object_get(group, "rules"), k, rule) {
            snprintf(pointer, sizeof(pointer), "/groups/%zu/rules/%zu", i, k);
            yaml_marks_find(marks, pointer, &line, &column);
            ok = check_rule(c, file->path, line, rule) && ok;
        }
    }
    json_decref(root);
    return ok;
}

static bool check_dashboard(struct checker *c, const struct check_file *file)
{
    struct err e = ERR_INIT;
    json_t *root = NULL;
    int line = 0;
    bool ok = json_read(file->data, file->len, 0, &root, &e) == 0;
    if (!ok) {
        const char *at = strstr(e.msg, "line ");
        line = at ? atoi(at + 5) : 0;
        finding_add(c->findings, file->path, line, "is no JSON: %s", e.msg);
    } else if (!json_is_object(root) || !json_is_array(json_object_get(root, "panels"))) {
        finding_add(c->findings, file->path, 1, "is no Grafana dashboard: it has no list `panels`");
        ok = false;
    }
    json_decref(root);
    return ok;
}

static bool check_monitoring(struct checker *c, struct check_template *t)
{
    const json_t *monitoring = json_object_get(json_object_get(t->manifest, "spec"), "monitoring");
    const char *rules = json_string_value(json_object_get(monitoring, "rules")), *dashboard = json_string_value(json_object_get(monitoring, "dashboard"));
    bool ok = true;
    if (rules) {
        const struct check_file *file = named_file(c, t, "/spec/monitoring/rules", rules);
        ok = file && check_rules(c, file);
    }
    if (dashboard) {
        const struct check_file *file = named_file(c, t, "/spec/monitoring/dashboard", dashboard);
        ok = file && check_dashboard(c, file) && ok;
    }
    return ok;
}

/* ---- the skeleton of a repository ---- */

struct usage { const json_t *values; bool *used; const char *unknown; };

static void note_use(const char *name, size_t len, void *arg)
{
    struct usage *u = arg;
    const char *key;
    const json_t *value;
    size_t i = 0;
    bool found = false;
    json_object_foreach((json_t *)u->values, key, value) {
        bool same = strlen(key) == len && strncmp(key, name, len) == 0;
        u->used[i++] |= same;
        found |= same;
    }
    if (!found)
        u->unknown = name;
}

static bool check_skeleton_path(struct checker *c, const char *path, struct usage *u)
{
    u->unknown = NULL;
    const char *why = expand_each(path, note_use, u);
    if (!why && u->unknown)
        why = "has a ${...} in its name that is none of spec.repository.values";
    if (why)
        finding_add(c->findings, path, 0, "%s", why);
    return !why;
}

/* Every value must be used somewhere: a misspelt one would otherwise do nothing, silently. */
static bool check_values_used(struct checker *c, const struct check_template *t, const struct usage *u)
{
    const char *key;
    const json_t *value;
    size_t i = 0;
    bool ok = true;
    json_object_foreach((json_t *)u->values, key, value)
        if (!u->used[i++]) {
            const char *pointer = arena_printf(c->arena, "/spec/repository/values/%s", key);
            finding_add(c->findings, t->manifest_path, manifest_line(t, pointer), "%s: no file of the skeleton holds ${%s}", pointer, key);
            ok = false;
        }
    return ok;
}

static bool check_repository(struct checker *c, struct check_template *t)
{
    const json_t *spec = json_object_get(t->manifest, "spec"), *repository = json_object_get(spec, "repository");
    const char *at = "/spec/repository/skeleton", *name = json_string_value(json_object_get(repository, "skeleton"));
    struct usage u = {.values = json_object_get(repository, "values")};
    size_t n = 0;
    bool ok = true;
    BUF_AUTO folder = BUF_INIT;
    if (!repository)
        return true;
    u.used = arena_alloc(c->arena, json_object_size(u.values) + 1);
    if (!path_join(t->folder, name, &folder) || strcmp(buf_cstr(&folder), t->folder) == 0 || !path_below(buf_cstr(&folder), t->folder)) {
        finding_add(c->findings, t->manifest_path, manifest_line(t, at), "%s: must be a folder within the golden path's folder", at);
        return false;
    }
    for (size_t i = 0; i < t->n_files; i++) {
        const struct check_file *f = &t->files[i];
        if (!path_below(f->path, folder.data))
            continue;
        n++;
        ok = check_skeleton_path(c, f->path, &u) && ok;
        if (skeleton_is_text(f->data, f->len))
            skeleton_each(f->data, f->len, note_use, &u);
    }
    if (n == 0)
        finding_add(c->findings, t->manifest_path, manifest_line(t, at), "%s: there is no file in the folder \"%s\"", at, folder.data);
    return n > 0 && check_values_used(c, t, &u) && ok;
}

/* ---- one golden path ---- */

/* Reads the module and what it calls; marks their folders' files as the golden path's too. */
static int check_module(struct checker *c, struct check_template *t, unsigned char *mine, bool *ok, struct err *e)
{
    const char *name = json_string_value(json_object_get(json_object_get(t->manifest, "spec"), "module"));
    const struct hcl_source files = {list_folder, c};
    struct hcl_module *m = NULL;
    BUF_AUTO folder = BUF_INIT;
    if (!path_join(t->folder, name, &folder) || (strcmp(buf_cstr(&folder), t->folder) != 0 && !path_below(buf_cstr(&folder), t->folder))) {
        finding_add(c->findings, t->manifest_path, manifest_line(t, "/spec/module"), "/spec/module: must lie in the golden path's folder");
        *ok = false;
        return 0;
    }
    int rc = hcl_check_module(&files, buf_cstr(&folder), c->arena, &m, e);
    if (rc == ERR_NOT_FOUND) {
        finding_add(c->findings, t->manifest_path, manifest_line(t, "/spec/module"), "/spec/module: there is no folder \"%s\"", buf_cstr(&folder));
        *ok = false;
        return 0;
    }
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < m->n_problems; i++)
        finding_add(c->findings, m->problems[i].file, m->problems[i].line, "%s", m->problems[i].reason);
    *ok = m->n_problems == 0 && *ok;
    *ok = cross_check(t, m, c->findings) && *ok;
    for (size_t i = 0; i < m->n_folders && rc == 0; i++)
        rc = path_below(m->folders[i], t->folder) || strcmp(m->folders[i], t->folder) == 0 ? 0 : gather_folder(c, m->folders[i], false, mine, e);
    return rc;
}

static int check_one(struct checker *c, struct check_template *t, size_t manifest, struct err *e)
{
    int rc = load(c, manifest, e);
    if (rc != 0 || c->files[manifest].state != LOADED)
        return rc;
    t->manifest = manifest_read(t->manifest_path, c->files[manifest].data, c->files[manifest].len, c->findings, c->arena, &t->marks);
    if (!t->manifest)
        return 0;
    t->name = json_string_value(json_object_get(json_object_get(t->manifest, "metadata"), "name"));
    bool ok = manifest_check(t, c->findings);
    unsigned char *mine = arena_alloc(c->arena, c->source->n);
    rc = gather_folder(c, t->folder, true, mine, e);
    if (rc == 0)
        rc = check_module(c, t, mine, &ok, e);
    if (rc != 0)
        return rc;
    ok = fill_files(c, t, mine) && ok;
    ok = check_repository(c, t) && ok;
    t->ok = check_monitoring(c, t) && ok;
    return 0;
}

/* ---- the whole ---- */

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void add_template(struct checker *c, const char *path)
{
    if (c->n_templates == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 16;
        struct check_template *grown = arena_alloc(c->arena, cap * sizeof(*grown));
        if (c->n_templates)
            memcpy(grown, c->templates, c->n_templates * sizeof(*grown));
        c->templates = grown;
        c->cap = cap;
    }
    const char *name = file_name(path);
    size_t folder = name == path ? 0 : (size_t)(name - path) - 1;
    c->templates[c->n_templates++] = (struct check_template){.folder = arena_strndup(c->arena, path, folder), .manifest_path = arena_strdup(c->arena, path)};
}

#define TEMPLATES_MAX 500

static void find_templates(struct checker *c, const char *below)
{
    for (size_t i = 0; i < c->source->n; i++) {
        const char *path = c->source->entries[i].path, *name = file_name(path);
        if (!path_below(path, below))
            continue;
        if (strcmp(name, "template.yml") == 0 || (strcasecmp(name, "template.yaml") == 0 && strcmp(name, "template.yaml") != 0))
            finding_add(c->findings, path, 0, "must be called template.yaml to be seen as a golden path");
        if (strcmp(name, "template.yaml") != 0)
            continue;
        if (c->n_templates == TEMPLATES_MAX) {
            finding_add(c->findings, path, 0, "was left out: a repository may hold %d golden paths", TEMPLATES_MAX);
            continue;
        }
        add_template(c, path);
    }
}

/* Two of one name in one repository: the first by path stays. */
static void refuse_doubles(struct checker *c)
{
    for (size_t i = 0; i < c->n_templates; i++)
        for (size_t k = 0; k < i && c->templates[i].ok; k++)
            if (c->templates[k].ok && strcmp(c->templates[k].name, c->templates[i].name) == 0) {
                c->templates[i].ok = false;
                finding_add(c->findings, c->templates[i].manifest_path, manifest_line(&c->templates[i], "/metadata/name"),
                            "/metadata/name: \"%s\" is the name of %s already", c->templates[i].name, c->templates[k].manifest_path);
            }
}

int check_source(struct template_source *s, const char *below, struct arena *a, struct check *ret, struct err *e)
{
    *ret = (struct check){.arena = a, .findings.arena = a};
    struct checker c = {.arena = a, .source = s, .findings = &ret->findings};
    c.files = arena_alloc(a, (s->n + 1) * sizeof(*c.files));
    c.taken = arena_alloc(a, s->n + 1);
    find_templates(&c, below);
    ret->templates = c.templates;
    ret->n_templates = c.n_templates;
    int rc = 0;
    for (size_t i = 0; i < c.n_templates && rc == 0; i++)
        rc = check_one(&c, &c.templates[i], source_find(s, c.templates[i].manifest_path), e);
    if (rc == 0 && s->committed)
        rc = check_surroundings(s, below, c.taken, ret, e);
    if (rc != 0) {
        check_done(ret);
        return rc;
    }
    refuse_doubles(&c);
    findings_sort(&ret->findings);
    return 0;
}

void check_done(struct check *c)
{
    for (size_t i = 0; i < c->n_templates; i++)
        json_decref(c->templates[i].manifest);
    c->n_templates = 0;
}
