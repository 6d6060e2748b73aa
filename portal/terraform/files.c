/* What a run puts into its folder: w/ (values, state, plan; the engine's alone) and one generated file beside the template's own in m/. */
#include "portal/core/fs.h"
#include "portal/terraform/terraform_private.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The paths are those inside of the box, the same for every run: a plan remembers them. */
#define BACKEND "terraform {\n  backend \"local\" {\n    path = \"/w/terraform.tfstate\"\n  }\n}\n"
/* Providers come by reattachment; anything else is looked for in a folder that is not there, and fails at once instead of asking a registry. */
#define CLI_CONFIG "provider_installation {\n  filesystem_mirror {\n    path = \"/w/none\"\n  }\n}\n"

static int write_new(const char *path, const void *p, size_t n, struct err *e)
{
    FD_AUTO fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, ERR_IO, errno, "cannot make %s", path);
    for (const char *s = p; n;) {
        ssize_t k = write(fd, s, n);
        if (k < 0 && errno != EINTR)
            return err_errno(e, ERR_IO, errno, "cannot write %s", path);
        if (k > 0) {
            s += k;
            n -= (size_t)k;
        }
    }
    return 0;
}

static int write_generated(const char *folder, struct arena *a, struct err *e)
{
    return write_new(arena_printf(a, "%s/" TF_GENERATED, folder), BACKEND, strlen(BACKEND), e);
}

/* Templates are checked long before; what could still undo the generated file or pose as the engine's own is refused here too. */
static bool may_not_ship(const char *name)
{
    static const char *const whole[] = {"terraform.tfstate", "errored.tfstate", ".terraform", NULL};
    static const char *const ends[] = {"override.tf", "override.tf.json", ".tofu", ".tofu.json", NULL};
    size_t n = strlen(name);
    for (size_t i = 0; whole[i]; i++)
        if (!strcmp(name, whole[i]))
            return true;
    for (size_t i = 0; ends[i]; i++)
        if (n >= strlen(ends[i]) && !strcmp(name + n - strlen(ends[i]), ends[i]))
            return true;
    return !strncmp(name, "soma_generated", strlen("soma_generated"));
}

static int check_shipped(const char *folder, struct err *e)
{
    DIR *d = opendir(folder);
    if (!d)
        return err_set(e, ERR_INVALID, "the template has no folder for its root module at %s: export it before the run", folder);
    int rc = 0;
    for (struct dirent *entry; !rc && (entry = readdir(d));)
        if (may_not_ship(entry->d_name))
            rc = err_set(e, ERR_INVALID, "the template ships %s, which would get into the engine's way: remove it from the repository", entry->d_name);
    closedir(d);
    return rc;
}

int tf_files_write(const struct tf_dir *d, const struct tf_spec *s, struct err *e)
{
    ARENA_AUTO a = arena_new();
    const char *root = tf_dir_path(d), *workdir = s->workdir ? s->workdir : "";
    const char *folder = arena_printf(a, "%s/%s", tf_dir_modules(d), workdir);
    int rc = check_shipped(folder, e);
    /* What the lock file says was checked when the providers were found; reattached ones are none of the engine's business. */
    if (!rc && unlink(arena_printf(a, "%s/.terraform.lock.hcl", folder)) && errno != ENOENT)
        rc = err_errno(e, ERR_IO, errno, "cannot put the lock file aside");
    if (!rc)
        rc = write_generated(folder, a, e);
    if (!rc)
        rc = write_new(arena_printf(a, "%s/workdir", root), workdir, strlen(workdir), e);
    if (!rc)
        rc = write_new(arena_printf(a, "%s/w/cli.rc", root), CLI_CONFIG, strlen(CLI_CONFIG), e);
    if (!rc && s->tfvars_json)
        rc = write_new(arena_printf(a, "%s/w/tfvars.json", root), s->tfvars_json, strlen(s->tfvars_json), e);
    if (!rc && s->state)
        rc = write_new(arena_printf(a, "%s/w/terraform.tfstate", root), s->state, s->state_len, e);
    if (!rc && s->plan)
        rc = write_new(arena_printf(a, "%s/w/plan", root), s->plan, s->plan_len, e);
    for (size_t i = 0; !rc && i < s->n_providers; i++)
        if (mkdir(arena_printf(a, "%s/p%zu", root, i), 0700))
            rc = err_errno(e, ERR_IO, errno, "cannot make the provider's folder");
    return rc;
}

void tf_files_forget(const struct tf_dir *d, const struct tf_spec *s)
{
    ARENA_AUTO a = arena_new();
    unlink(arena_printf(a, "%s/w/tfvars.json", tf_dir_path(d)));
    unlink(arena_printf(a, "%s/w/plan", tf_dir_path(d)));
    for (size_t i = 0; i < s->n_providers; i++)
        fs_remove_tree(arena_printf(a, "%s/p%zu", tf_dir_path(d), i), NULL);
}
