/* The rules for modules: what Soma does not run, and what a module is made of. One complication: JSON files have no blocks below the top level,
 * so there a member's name is what counts, and only where Terraform itself would take it for a block. */
#include "portal/templates/hcl_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PROBLEMS_MAX = 100, FOLDERS_MAX = 50, FILES_MAX = 300 };

struct call { const char *prefix, *dir, *file; int line; }; /* file and line of the call */

/* One walk over a module and the local modules it calls. */
struct walk {
    struct arena *a;
    struct hcl_module *m;
    const char *file;       /* path in the repository of what is read */
    const char *dir;        /* its folder */
    const char *prefix;     /* of addresses: "module.net." */
    bool json, root;
    size_t n_files;
    size_t more;            /* problems that were not kept */
    struct call calls[FOLDERS_MAX * 4];
    size_t n_calls;
};

/* Grows an arena array by one; the old one stays behind until the arena goes. */
static void *push(struct arena *a, void **items, size_t *n, size_t size)
{
    if ((*n & (*n - 1)) == 0) {
        void *grown = arena_alloc(a, (*n ? *n * 2 : 4) * size);
        if (*n)
            memcpy(grown, *items, *n * size);
        *items = grown;
    }
    return (char *)*items + (*n)++ * size;
}
#define PUSH(w, list) push((w)->a, (void **)&(w)->m->list, &(w)->m->n_##list, sizeof *(w)->m->list)

__attribute__((format(printf, 3, 4))) static void refuse(struct walk *w, int line, const char *fmt, ...)
{
    va_list ap;
    if (w->m->n_problems == PROBLEMS_MAX) {
        w->more++;
        return;
    }
    va_start(ap, fmt);
    *(struct hcl_problem *)PUSH(w, problems) = (struct hcl_problem){w->file, line, arena_vprintf(w->a, fmt, ap)};
    va_end(ap);
}

static bool is(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (is(word, *words))
            return true;
    return false;
}

static const struct hcl_node *member(const struct hcl_node *n, const char *name)
{
    for (const struct hcl_node *m = n->first; m; m = m->next)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

static const char *label(const struct hcl_node *n, size_t i)
{
    return i < n->n_labels ? n->labels[i] : "";
}

static bool is_true(const struct hcl_node *n)
{
    return n && n->text && (strcmp(n->text, "true") == 0 || strcmp(n->text, "\"true\"") == 0);
}

/* Names of files. */

static bool ends_in(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcasecmp(s + n - m, end) == 0;
}

static bool is_override(const char *name)
{
    static const char *const ends[] = {".tf", ".tf.json", ".tofu", ".tofu.json", NULL};
    for (size_t i = 0; ends[i]; i++) {
        size_t n = strlen(name), m = strlen(ends[i]);
        if (!ends_in(name, ends[i]))
            continue;
        n -= m;
        if ((n == 8 || (n > 8 && name[n - 9] == '_')) && strncasecmp(name + n - 8, "override", 8) == 0)
            return true;
    }
    return false;
}

const char *hcl_file_forbidden(const char *name)
{
    if (is_override(name))
        return "override files change other files out of sight; write it where it belongs";
    if (ends_in(name, ".tofu") || ends_in(name, ".tofu.json"))
        return "only OpenTofu reads files of this name; golden paths run on both engines: name it .tf";
    if (ends_in(name, ".auto.tfvars") || ends_in(name, ".auto.tfvars.json") || is(name, "terraform.tfvars") || is(name, "terraform.tfvars.json"))
        return "values come from the order and from defaults, not from files that are read by themselves";
    if (is(name, ".terraformrc") || is(name, "terraform.rc") || is(name, ".tofurc") || is(name, "tofu.rc"))
        return "the engine's settings are the installation's, not the template's";
    if (is(name, ".terraform"))
        return "this is what an engine makes; leave it out of the repository";
    if (ends_in(name, ".tfplan"))
        return "a saved plan may hold secrets; leave it out of the repository";
    if (ends_in(name, ".tfstate") || strcasestr(name, ".tfstate."))
        return "a state file may hold secrets; leave it out of the repository";
    return NULL;
}

/* Providers. */

static bool reaches_out(const char *provider)
{
    static const char *const names[] = {"external", "http", NULL};
    return is_one_of(provider, names);
}

/* The last part of "registry.example.org/hashicorp/http". */
static const char *provider_type(const char *source)
{
    const char *slash = strrchr(source, '/');
    return slash ? slash + 1 : source;
}

static void check_required_provider(struct walk *w, const struct hcl_node *n)
{
    const struct hcl_node *source = member(n, "source"), *version = member(n, "version");
    if (!n->literal && !n->first) {
        refuse(w, n->line, "write the provider %s as { source = \"...\", version = \"...\" } with plain texts", n->name);
        return;
    }
    if ((source && !source->literal) || (version && !version->literal)) {
        refuse(w, n->line, "source and version of the provider %s must be plain texts", n->name);
        return;
    }
    for (const struct hcl_node *m = n->first; m; m = m->next)
        if (strcmp(m->name, "configuration_aliases") == 0)
            refuse(w, m->line, "provider aliases (configuration_aliases) need the gateway that a later release brings");
    const char *address = source ? source->literal : arena_printf(w->a, "hashicorp/%s", n->name);
    if (reaches_out(provider_type(address)) || reaches_out(n->name))
        refuse(w, source ? source->line : n->line, "the provider %s runs programs or talks to any host while planning and is not allowed", address);
    *(struct hcl_provider *)PUSH(w, providers) =
        (struct hcl_provider){n->name, address, version ? version->literal : n->literal ? n->literal : "", w->file, n->line};
}

static void check_provider(struct walk *w, const struct hcl_node *n)
{
    const struct hcl_node *alias = member(n, "alias"), *each = member(n, "for_each");
    if (reaches_out(label(n, 0)))
        refuse(w, n->line, "the provider %s runs programs or talks to any host while planning and is not allowed", label(n, 0));
    if (alias)
        refuse(w, alias->line, "a provider with an alias needs the gateway that a later release brings");
    if (each)
        refuse(w, each->line, "a provider with for_each needs the gateway that a later release brings");
}

/* terraform { ... } */

static void check_setting(struct walk *w, const struct hcl_node *n)
{
    if (is(n->name, "required_version")) {
        if (!n->literal)
            refuse(w, n->line, "required_version must be plain text");
        else
            w->m->required_version = *w->m->required_version ? arena_printf(w->a, "%s, %s", w->m->required_version, n->literal) : n->literal;
    } else if (is(n->name, "required_providers")) {
        for (const struct hcl_node *p = n->first; p; p = p->next)
            check_required_provider(w, p);
        if (!n->first && n->text && strcmp(n->text, "{}") != 0)
            refuse(w, n->line, "required_providers must be written out");
    } else if (is(n->name, "backend") || is(n->name, "cloud") || is(n->name, "state_store")) {
        refuse(w, n->line, "%s is not allowed: Soma keeps the state", n->name);
    } else if (is(n->name, "encryption")) {
        refuse(w, n->line, "encryption is not allowed: Soma seals the state, and its key providers can run programs");
    } else if (!is(n->name, "provider_meta") && !is(n->name, "experiments") && strcmp(n->name, "//") != 0) {
        refuse(w, n->line, "%s is no setting that Soma knows in a terraform block", n->name);
    }
}

/* Resources and data. */

static void check_inner_blocks(struct walk *w, const struct hcl_node *n, bool direct)
{
    for (const struct hcl_node *m = n->first; m; m = m->next) {
        bool block = m->kind == HCL_BLOCK || (w->json && direct);
        const char *name = block && is(m->name, "dynamic") ? (m->kind == HCL_BLOCK ? label(m, 0) : m->first ? m->first->name : "") : m->name;
        if (block && is(name, "provisioner"))
            refuse(w, m->line, "provisioners run programs on this machine and are not allowed");
        else if (block && direct && is(name, "connection"))
            refuse(w, m->line, "connection blocks serve provisioners and are not allowed");
        else if (m->kind == HCL_BLOCK)
            check_inner_blocks(w, m, false);
        if (w->json && direct && is(m->name, "dynamic")) /* several may stand in one object */
            for (const struct hcl_node *d = m->first ? m->first->next : NULL; d; d = d->next)
                if (is(d->name, "provisioner") || is(d->name, "connection"))
                    refuse(w, d->line, "provisioners run programs on this machine and are not allowed");
    }
}

/* The provider that a type belongs to when nothing else is said: what stands before its first "_". */
static bool type_reaches_out(const char *type)
{
    size_t n = strcspn(type, "_");
    return (n == 4 && strncasecmp(type, "http", 4) == 0) || (n == 8 && strncasecmp(type, "external", 8) == 0);
}

static void check_resource(struct walk *w, const struct hcl_node *n)
{
    const char *type = label(n, 0), *name = label(n, 1);
    bool data = is(n->name, "data");
    if (n->n_labels != 2) {
        refuse(w, n->line, "a %s block needs a type and a name", n->name);
        return;
    }
    if (is(type, "terraform_remote_state"))
        refuse(w, n->line, "%s \"%s\" reads another service's state and is not allowed", n->name, type);
    else if (type_reaches_out(type))
        refuse(w, n->line, "%s \"%s\" runs programs or talks to any host while planning and is not allowed", n->name, type);
    check_inner_blocks(w, n, true);
    if (is(n->name, "ephemeral"))
        return;
    *(struct hcl_resource *)PUSH(w, resources) =
        (struct hcl_resource){type, name, arena_printf(w->a, "%s%s%s.%s", w->prefix, data ? "data." : "", type, name), data, w->file, n->line};
}

static void check_check(struct walk *w, const struct hcl_node *n)
{
    for (struct hcl_node *m = n->first; m; m = m->next) {
        if (!is(m->name, "data"))
            continue;
        if (m->kind == HCL_BLOCK) {
            check_resource(w, m);
            continue;
        }
        for (const struct hcl_node *type = m->first; type; type = type->next) { /* JSON: {"data": {TYPE: {NAME: ...}}} */
            for (const struct hcl_node *name = type->first; name; name = name->next) {
                const char *labels[] = {type->name, name->name};
                struct hcl_node block = *name;
                block.kind = HCL_BLOCK;
                block.name = "data";
                block.labels = labels;
                block.n_labels = 2;
                check_resource(w, &block);
            }
        }
    }
    check_inner_blocks(w, n, true);
}

/* Modules. */

/* `source` seen from `dir`, without "." and ".."; NULL when it leads out of the repository. */
static const char *resolve(struct walk *w, const char *dir, const char *source)
{
    BUF_AUTO out = BUF_INIT;
    buf_str(&out, dir);
    while (*source) {
        size_t n = strcspn(source, "/");
        if (n == 2 && source[0] == '.' && source[1] == '.') {
            if (out.len == 0)
                return NULL;
            while (out.len > 0 && out.data[out.len - 1] != '/')
                out.len--;
            if (out.len > 0)
                out.len--;
            out.data[out.len] = 0;
        } else if (n > 0 && !(n == 1 && source[0] == '.')) {
            if (out.len)
                buf_char(&out, '/');
            buf_add(&out, source, n);
        }
        source += n + (source[n] == '/');
    }
    return arena_strdup(w->a, buf_cstr(&out));
}

static void check_module_call(struct walk *w, const struct hcl_node *n)
{
    const struct hcl_node *source = member(n, "source"), *providers = member(n, "providers");
    if (providers)
        refuse(w, providers->line, "handing providers to a module needs the gateway that a later release brings");
    check_inner_blocks(w, n, true);
    if (!source || !source->literal) {
        refuse(w, source ? source->line : n->line, "a module's source must be plain text such as \"./modules/network\"");
        return;
    }
    const char *s = source->literal;
    if ((strncmp(s, "./", 2) != 0 && strncmp(s, "../", 3) != 0) || strchr(s, '\\')) {
        refuse(w, source->line, "modules must lie in the repository: the source must begin with ./ or ../, not come from \"%.100s\"", s);
        return;
    }
    const char *dir = resolve(w, w->dir, s);
    if (!dir)
        refuse(w, source->line, "the source \"%.100s\" leads out of the repository", s);
    else if (w->n_calls == sizeof w->calls / sizeof *w->calls)
        refuse(w, source->line, "there are too many modules");
    else
        w->calls[w->n_calls++] = (struct call){arena_printf(w->a, "%smodule.%s.", w->prefix, label(n, 0)), dir, w->file, source->line};
}

/* The top level. */

static void check_variable(struct walk *w, const struct hcl_node *n)
{
    if (!w->root)
        return;
    *(struct hcl_variable *)PUSH(w, variables) = (struct hcl_variable){label(n, 0), is_true(member(n, "sensitive")), member(n, "default") != NULL,
                                                                       is_true(member(n, "ephemeral")), w->file, n->line};
    if (strcmp(label(n, 0), "soma") == 0)
        w->m->soma_variable = true;
}

static void check_output(struct walk *w, const struct hcl_node *n)
{
    if (w->root)
        *(struct hcl_output *)PUSH(w, outputs) = (struct hcl_output){label(n, 0), is_true(member(n, "sensitive")), w->file, n->line};
}

static void check_block(struct walk *w, const struct hcl_node *n)
{
    static const char *const harmless[] = {"locals", "moved", NULL};
    if (n->kind != HCL_BLOCK) {
        refuse(w, n->line, "an argument cannot stand outside of blocks");
    } else if (is(n->name, "terraform")) {
        for (const struct hcl_node *m = n->first; m; m = m->next)
            check_setting(w, m);
    } else if (is(n->name, "resource") || is(n->name, "data") || is(n->name, "ephemeral")) {
        check_resource(w, n);
    } else if (is(n->name, "variable")) {
        check_variable(w, n);
    } else if (is(n->name, "output")) {
        check_output(w, n);
    } else if (is(n->name, "module")) {
        check_module_call(w, n);
    } else if (is(n->name, "provider")) {
        check_provider(w, n);
    } else if (is(n->name, "check")) {
        check_check(w, n);
    } else if (is(n->name, "removed")) {
        check_inner_blocks(w, n, true);
    } else if (is(n->name, "import")) {
        refuse(w, n->line, "import blocks take over what others own and are not allowed");
    } else if (!is_one_of(n->name, harmless)) {
        refuse(w, n->line, "%s is no block that Soma knows", n->name);
    }
}

/* Folders. */

static const char *join(struct walk *w, const char *dir, const char *name)
{
    return *dir ? arena_printf(w->a, "%s/%s", dir, name) : name;
}

static bool is_module_file(const char *name)
{
    size_t n = strlen(name);
    return (n > 3 && strcmp(name + n - 3, ".tf") == 0) || (n > 8 && strcmp(name + n - 8, ".tf.json") == 0);
}

/* Returns whether it is a file of the module. */
static bool check_file(struct walk *w, const struct hcl_file *f)
{
    const char *why = hcl_file_forbidden(f->name);
    struct hcl_trouble trouble;
    w->file = join(w, w->dir, f->name);
    if (why)
        refuse(w, 0, "%s", why);
    if (f->link && (is_module_file(f->name) || why))
        refuse(w, 0, "a symbolic link cannot be part of a golden path");
    if (!is_module_file(f->name) || f->link)
        return false;
    if (++w->n_files > FILES_MAX) {
        if (w->n_files == FILES_MAX + 1)
            refuse(w, 0, "there are more than %d Terraform files", FILES_MAX);
        return true;
    }
    const struct hcl_node *body = hcl_read_file(f->name, f->text, f->len, w->a, &trouble);
    if (!body) {
        refuse(w, trouble.line, "%s", trouble.reason);
        return true;
    }
    w->json = ends_in(f->name, ".json");
    for (const struct hcl_node *n = body->first; n; n = n->next)
        check_block(w, n);
    return true;
}

/* A shipped .terraform folder would tell the engine where modules lie, past all that is checked here. */
static int check_data_folder(struct walk *w, const struct hcl_source *source, struct err *e)
{
    struct hcl_file *files = NULL;
    size_t n = 0;
    w->file = join(w, w->dir, ".terraform");
    int code = source->list(source->arg, w->file, w->a, &files, &n, e);
    if (code != ERR_NOT_FOUND) {
        if (code == 0)
            refuse(w, 0, "%s", hcl_file_forbidden(".terraform"));
        return code;
    }
    if (e)
        *e = (struct err)ERR_INIT;
    return 0;
}

static int check_folder(struct walk *w, const struct hcl_source *source, const char *dir, const struct call *call, struct err *e)
{
    struct hcl_file *files = NULL;
    size_t n = 0, found = 0;
    int code = source->list(source->arg, dir, w->a, &files, &n, e);
    if (code == ERR_NOT_FOUND && call) {
        w->file = call->file;
        refuse(w, call->line, "the source leads to %s, but there is no such folder in the repository", dir);
        if (e)
            *e = (struct err)ERR_INIT;
        return 0;
    }
    if (code)
        return code;
    w->dir = dir;
    *(const char **)PUSH(w, folders) = dir;
    for (size_t i = 0; i < n; i++)
        found += check_file(w, &files[i]);
    w->file = *dir ? dir : ".";
    if (found == 0)
        refuse(w, 0, "there is no Terraform file (*.tf) in this folder");
    return check_data_folder(w, source, e);
}

static bool was_read(const struct walk *w, const char *dir)
{
    for (size_t i = 0; i < w->m->n_folders; i++)
        if (strcmp(w->m->folders[i], dir) == 0)
            return true;
    return false;
}

static int by_place(const void *a, const void *b)
{
    const struct hcl_problem *x = a, *y = b;
    int order = strcmp(x->file, y->file);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

int hcl_check_module(const struct hcl_source *source, const char *dir, struct arena *a, struct hcl_module **ret, struct err *e)
{
    struct hcl_module *m = arena_alloc(a, sizeof *m);
    struct walk *w = arena_alloc(a, sizeof *w);
    m->required_version = "";
    *w = (struct walk){.a = a, .m = m, .prefix = "", .root = true};
    int code = check_folder(w, source, arena_strdup(a, dir), NULL, e);
    for (size_t i = 0; !code && i < w->n_calls; i++) {
        const struct call *call = &w->calls[i];
        w->root = false;
        w->prefix = call->prefix;
        if (was_read(w, call->dir))
            continue;
        if (m->n_folders == FOLDERS_MAX) {
            w->file = call->file;
            refuse(w, call->line, "there are more than %d module folders", FOLDERS_MAX);
            break;
        }
        code = check_folder(w, source, call->dir, call, e);
    }
    if (code)
        return code;
    if (m->n_problems)
        qsort(m->problems, m->n_problems, sizeof *m->problems, by_place);
    if (w->more)
        m->problems[m->n_problems - 1].reason = arena_printf(a, "%s (and %zu more problems)", m->problems[m->n_problems - 1].reason, w->more);
    *ret = m;
    return 0;
}
