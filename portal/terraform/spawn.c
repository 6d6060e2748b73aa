/* Small programs that answer a question, and which engine a binary is. */
#include "portal/core/clock.h"
#include "portal/core/fs.h"
#include "portal/terraform/terraform_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MS 20000

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

const char *tf_program_find(struct arena *a, const char *name)
{
    if (strchr(name, '/')) {
        FREE_AUTO char *full = is_program(name) ? realpath(name, NULL) : NULL;
        return arena_strdup(a, full);
    }
    const char *path = getenv("PATH");
    for (const char *at = path ? path : "/usr/local/bin:/usr/bin:/bin"; *at;) {
        size_t n = strcspn(at, ":");
        const char *candidate = arena_printf(a, "%.*s/%s", (int)n, at, name);
        if (n && *candidate == '/' && is_program(candidate))
            return candidate;
        at += n;
        at += *at == ':';
    }
    return NULL;
}

static int spawn(const char *path, char *const argv[], char *const env[], int out, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    int cause = posix_spawn(ret, path, &actions, &attr, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return cause;
}

/* false: time is up */
static bool drain(int fd, int64_t until, size_t max, struct buf *out)
{
    char piece[4096];
    for (;;) {
        int64_t left = until - clock_mono_ms();
        struct pollfd p = {fd, POLLIN, 0};
        int n = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        ssize_t k = read(fd, piece, sizeof piece);
        if (k <= 0)
            return true;
        if (out->len < max)
            buf_add(out, piece, (size_t)k);
    }
}

int tf_spawn_read(const char *path, char *const argv[], char *const env[], int64_t timeout_ms, size_t max, struct buf *out, int *ret_status, struct err *e)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return err_errno(e, ERR_IO, errno, "cannot make a pipe");
    FD_AUTO reader = ends[0];
    FD_AUTO writer = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
    close(ends[1]);
    pid_t pid;
    int cause = spawn(path, argv, env, writer, &pid);
    if (cause)
        return err_errno(e, cause == ENOENT ? ERR_NOT_FOUND : ERR_IO, cause, "cannot start %s", path);
    fs_closep(&writer);
    bool spoke = drain(reader, clock_mono_ms() + timeout_ms, max, out);
    if (!spoke)
        kill(-pid, SIGKILL);
    while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
        ;
    return spoke ? 0 : err_set(e, ERR_TIMEOUT, "%s said nothing for %lld s and was ended", path, (long long)timeout_ms / 1000);
}

/* "OpenTofu v1.12.6" or "Terraform v1.11.4" is the first line of `version` with both. */
static bool read_banner(struct arena *a, const char *text, struct tf_engine *ret)
{
    static const struct { const char *banner, *name; enum tf_kind kind; } known[] = {
        {"OpenTofu v", "tofu", TF_KIND_TOFU}, {"Terraform v", "terraform", TF_KIND_TERRAFORM}};
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(known[i].banner);
        if (strncmp(text, known[i].banner, n) != 0)
            continue;
        ret->name = known[i].name;
        ret->kind = known[i].kind;
        ret->version = arena_strndup(a, text + n, strcspn(text + n, " \r\n"));
        return true;
    }
    return false;
}

int tf_engine_detect(struct arena *a, const char *path, struct tf_engine *ret, struct err *e)
{
    const char *program = tf_program_find(a, path);
    if (!program)
        return err_set(e, ERR_NOT_FOUND, "there is no program %s: install OpenTofu or Terraform, or name the engine's binary in the configuration", path);
    BUF_AUTO out = BUF_INIT;
    int status = 0;
    char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t) "version", NULL};
    char *env[] = {(char *)(uintptr_t) "CHECKPOINT_DISABLE=1", (char *)(uintptr_t) "HOME=/nonexistent", (char *)(uintptr_t) "TF_CLI_CONFIG_FILE=/dev/null", NULL};
    int rc = tf_spawn_read(program, argv, env, ANSWER_MS, 65536, &out, &status, e);
    if (rc)
        return rc;
    struct tf_engine found = {.path = program};
    if (!WIFEXITED(status) || WEXITSTATUS(status) || !read_banner(a, buf_cstr(&out), &found))
        return err_set(e, ERR_INVALID, "%s is neither OpenTofu nor Terraform: `version` did not answer with the name of either", program);
    *ret = found;
    return 0;
}
