/* `soma templates check DIR`: the same check as on refresh, on files that were not pushed yet. */
#include "portal/templates/check.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The git work tree around `dir`, which bounds what modules may reach; `dir` itself when there is none. */
static void find_root(const char *dir, char root[PATH_MAX])
{
    char probe[PATH_MAX + 8];
    struct stat st;
    strcpy(root, dir);
    for (;;) {
        snprintf(probe, sizeof(probe), "%s/.git", root);
        if (lstat(probe, &st) == 0)
            return;
        char *slash = strrchr(root, '/');
        if (!slash || slash == root)
            break;
        *slash = 0;
    }
    strcpy(root, dir);
}

/* A path of the repository as seen from the checked folder. */
static const char *from_folder(struct arena *a, const char *path, const char *below)
{
    size_t n = strlen(below);
    if (n == 0)
        return path;
    if (path_below(path, below))
        return path + n + 1;
    BUF_AUTO out = BUF_INIT;
    buf_str(&out, "../");
    for (const char *p = below; (p = strchr(p, '/')); p++)
        buf_str(&out, "../");
    buf_str(&out, path);
    return arena_strdup(a, out.data);
}

static void fill_report(struct template_report *r, const struct check *c, const char *below)
{
    r->findings = c->findings.items;
    r->n_findings = c->findings.n;
    for (size_t i = 0; i < r->n_findings; i++)
        r->findings[i].path = from_folder(r->arena, r->findings[i].path, below);
    r->n_manifests = c->n_templates;
    r->names = arena_alloc(r->arena, (c->n_templates + 1) * sizeof(*r->names));
    for (size_t i = 0; i < c->n_templates; i++)
        if (c->templates[i].ok)
            r->names[r->n_names++] = arena_strdup(r->arena, c->templates[i].name);
}

static int check_folder(const char *dir, struct template_report *r, struct err *e)
{
    char full[PATH_MAX], root[PATH_MAX];
    struct template_source s;
    struct check c;
    if (!realpath(dir, full))
        return err_errno(e, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO, errno, "cannot open the folder %s", dir);
    find_root(full, root);
    const char *below = full + strlen(root);
    below += *below == '/';
    int rc = source_open_dir(root, below, r->arena, &s, e);
    if (rc != 0)
        return rc;
    rc = check_source(&s, below, r->arena, &c, e);
    source_done_dir(&s);
    if (rc != 0)
        return rc;
    fill_report(r, &c, below);
    check_done(&c);
    if (r->n_manifests == 0 && r->n_findings == 0)
        return err_set(e, ERR_NOT_FOUND, "there is no template.yaml in %s or below it", dir);
    return 0;
}

int templates_check_dir(const char *dir, struct template_report *ret, struct err *e)
{
    *ret = (struct template_report){.arena = arena_new()};
    int rc = check_folder(dir, ret, e);
    if (rc != 0)
        templates_report_done(ret);
    return rc;
}

void templates_report_done(struct template_report *r)
{
    arena_free(r->arena);
    *r = (struct template_report){0};
}
