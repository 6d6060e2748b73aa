/* A run's folder, and what is done with those that a dead worker left. The lock says whether somebody still holds the run: it is one open file
 * description that the worker makes and the leash inherits, so it is held without a gap until both have ended. */
#include "portal/core/clock.h"
#include "portal/core/fs.h"
#include "portal/terraform/terraform_private.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAKING ".new-"
#define MAKING_OLD_S 600

struct tf_dir {
    struct arena *a;
    const char *run, *path, *modules;
    int lock;
};

static bool run_valid(const char *run)
{
    size_t n = strlen(run);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)run[i]) && !strchr("._-", run[i]))
            return false;
    return n > 0 && n <= 200 && *run != '.';
}

const char *tf_dir_run(const struct tf_dir *d) { return d->run; }
const char *tf_dir_path(const struct tf_dir *d) { return d->path; }
const char *tf_dir_modules(const struct tf_dir *d) { return d->modules; }
int tf_dir_lock_fd(const struct tf_dir *d) { return d->lock; }

/* Made under another name and renamed when it is locked: nobody ever sees an unlocked folder of a living run. */
static int make_locked(const char *making, const char *path, int *ret_lock, struct err *e)
{
    char name[4096];
    int rc = fs_remove_tree(making, e);
    if (rc)
        return rc;
    if (mkdir(making, 0700))
        return err_errno(e, ERR_IO, errno, "cannot make the run's folder %s", making);
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/%s", making, i ? "w" : "m");
        if (mkdir(name, 0700))
            return err_errno(e, ERR_IO, errno, "cannot make %s", name);
    }
    snprintf(name, sizeof name, "%s/" TF_LOCK, making);
    FD_AUTO lock = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB))
        return err_errno(e, ERR_IO, errno, "cannot lock %s", name);
    if (renameat2(AT_FDCWD, making, AT_FDCWD, path, RENAME_NOREPLACE))
        return errno == EEXIST ? err_set(e, ERR_CONFLICT, "the run's folder %s is there already: an earlier worker left it, sweep it first", path)
                               : err_errno(e, ERR_IO, errno, "cannot make the run's folder %s", path);
    *ret_lock = lock;
    lock = -1;
    return 0;
}

int tf_dir_new(const char *runs_dir, const char *run, struct tf_dir **ret, struct err *e)
{
    if (!run_valid(run))
        return err_set(e, ERR_INVALID, "\"%.200s\" cannot be a run's id: letters, digits, '.', '_' and '-' only", run);
    int rc = fs_mkdirs(runs_dir, 0700, e);
    if (rc)
        return rc;
    FREE_AUTO char *real = realpath(runs_dir, NULL);
    if (!real || strlen(real) > 3000)
        return err_errno(e, ERR_IO, real ? ENAMETOOLONG : errno, "cannot use %s", runs_dir);
    ARENA_AUTO a = arena_new();
    const char *path = arena_printf(a, "%s/%s", real, run), *making = arena_printf(a, "%s/" MAKING "%s", real, run);
    int lock;
    rc = make_locked(making, path, &lock, e);
    if (rc) {
        fs_remove_tree(making, NULL);
        return rc;
    }
    struct tf_dir *d = arena_alloc(a, sizeof *d);
    *d = (struct tf_dir){a, arena_strdup(a, run), path, arena_printf(a, "%s/m", path), lock};
    a = NULL;
    *ret = d;
    return 0;
}

void tf_dir_free(struct tf_dir *d, bool wipe)
{
    if (!d)
        return;
    if (wipe)
        fs_remove_tree(d->path, NULL);
    close(d->lock);
    arena_free(d->a);
}

/* ---- what a killed leash leaves ---- */

/* Whether the process is a bubblewrap of ours for that run: its command line carries the mark. */
static bool is_box_of(const char *pid, const char *run)
{
    char path[64], text[2048];
    snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid);
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return false;
    text[n] = 0;
    size_t first = strlen(text);
    if (first < 5 || strcmp(text + first - 5, "bwrap") != 0)
        return false;
    for (char *s = text; s < text + n; s += strlen(s) + 1)
        if (!strcmp(s, "SOMA_RUN") && s + 9 < text + n && !strcmp(s + 9, run))
            return true;
    return false;
}

static int kill_boxes(const char *run)
{
    int n = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *entry; d && (entry = readdir(d));)
        if (isdigit((unsigned char)*entry->d_name) && is_box_of(entry->d_name, run)) {
            kill((pid_t)atoi(entry->d_name), SIGKILL);
            n++;
        }
    if (d)
        closedir(d);
    return n;
}

/* A box dies with its leash by PDEATHSIG, but a moment later; twice without a find is the end of it. */
void tf_dir_reap(const char *run)
{
    for (int quiet = 0, tries = 0; quiet < 2 && tries < 500; tries++) {
        quiet = kill_boxes(run) ? 0 : quiet + 1;
        clock_sleep_ms(20);
    }
}

/* ---- the journal ---- */

/* One line of the engine's log: `... [ERROR] vertex "ADDRESS" error: SUMMARY` or `... [ERROR] plugin....ApplyResourceChange: error="rpc error..."`. */
static void read_log_line(struct arena *a, const char *line, struct buf *out)
{
    static const char vertex[] = "[ERROR] vertex ", error[] = " error: ";
    const char *at = strstr(line, vertex), *colon = at ? strstr(at, error) : NULL;
    if (colon) {
        const char *quoted = arena_strndup(a, at + strlen(vertex), (size_t)(colon - at) - strlen(vertex));
        json_t *address = json_loads(quoted, JSON_DECODE_ANY, NULL);
        if (json_is_string(address)) {
            /* The log has the summary alone; where a call was lost it is the core's own, so its place stands for the detail. */
            const struct tf_diagnostic d = {.severity = "error", .summary = colon + strlen(error), .detail = "GRPCProvider).", .address = json_string_value(address), .file = "",
                                            .code = ""};
            const struct tf_event ev = {.type = TF_EVENT_DIAGNOSTIC, .diagnostic = d};
            tf_event_write(&ev, out);
            buf_char(out, '\n');
        }
        json_decref(address);
    } else if (strstr(line, "ApplyResourceChange: error=")) {
        buf_str(out, "{\"type\":\"" TF_CALL_LOST "\"}\n");
    }
}

bool tf_journal_read(struct arena *a, const char *folder, const char **ret, size_t *ret_n)
{
    BUF_AUTO journal = BUF_INIT;
    BUF_AUTO log = BUF_INIT;
    if (fs_read(arena_printf(a, "%s/" TF_JOURNAL, folder), TF_JOURNAL_MAX, &journal, NULL) || !journal.len)
        return false;
    if (!fs_read(arena_printf(a, "%s/" TF_ENGINE_LOG, folder), TF_JOURNAL_MAX, &log, NULL) && log.len) {
        buf_char(&journal, '\n'); /* its last line may be half a line */
        char *rest = log.data;
        for (char *line; (line = strsep(&rest, "\n"));)
            read_log_line(a, line, &journal);
    }
    *ret = arena_strndup(a, journal.data, journal.len);
    *ret_n = journal.len;
    return true;
}

/* ---- sweeping ---- */

struct sweep {
    struct arena *a;
    const char *runs_dir;
    int (*cb)(void *user, const struct tf_leftover *l, struct err *e);
    void *user;
};

/* The lock when nobody holds it, -1 when somebody does, -2 when the folder is gone meanwhile. */
static int take_lock(const char *folder)
{
    char name[4096];
    struct stat ours, now;
    snprintf(name, sizeof name, "%s/" TF_LOCK, folder);
    FD_AUTO fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno == ENOENT ? -2 : -1;
    if (flock(fd, LOCK_EX | LOCK_NB))
        return -1;
    if (fstat(fd, &ours) || stat(name, &now) || ours.st_ino != now.st_ino || ours.st_dev != now.st_dev)
        return -2;
    int taken = fd;
    fd = -1;
    return taken;
}

static void read_leftover(struct arena *a, const char *folder, struct tf_leftover *l)
{
    BUF_AUTO workdir = BUF_INIT;
    struct stat st;
    l->leash_spoke = stat(arena_printf(a, "%s/" TF_ENDED, folder), &st) == 0;
    l->serial = -1;
    if (fs_read(arena_printf(a, "%s/workdir", folder), 4096, &workdir, NULL) || (workdir.len && !tf_path_inside(workdir.data)))
        buf_clear(&workdir);
    tf_state_collect(a, folder, buf_cstr(&workdir), NULL, -1, &l->state, &l->state_len, &l->serial, &l->lineage);
    tf_journal_read(a, folder, &l->journal, &l->journal_len);
}

/* 1 done with (or left for the next sweep by the callback's word), 0 somebody holds it. */
static int sweep_one(const struct sweep *s, const char *run, struct err *e)
{
    ARENA_AUTO a = arena_new();
    const char *folder = arena_printf(a, "%s/%s", s->runs_dir, run);
    FD_AUTO lock = take_lock(folder);
    if (lock < 0)
        return lock == -2;
    struct tf_leftover l = {.run = run};
    read_leftover(a, folder, &l);
    if (!l.leash_spoke) { /* then what the boxes wrote until they died is read again */
        tf_dir_reap(run);
        read_leftover(a, folder, &l);
    }
    int rc = s->cb(s->user, &l, e);
    if (!rc)
        rc = fs_remove_tree(folder, e);
    return rc ? rc : 1;
}

/* A folder whose making was interrupted: nothing ever ran in it. */
static void sweep_making(const char *runs_dir, const char *name)
{
    char path[4096];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", runs_dir, name);
    if (lstat(path, &st) == 0 && clock_wall_ms() / 1000 - st.st_mtime > MAKING_OLD_S)
        fs_remove_tree(path, NULL);
}

static size_t list_runs(struct arena *a, const char *runs_dir, const char ***ret)
{
    size_t n = 0, cap = 0;
    const char **names = NULL;
    DIR *d = opendir(runs_dir);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        struct stat st;
        if (!strncmp(entry->d_name, MAKING, strlen(MAKING)))
            sweep_making(runs_dir, entry->d_name);
        if (!run_valid(entry->d_name) || fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode))
            continue;
        if (n == cap) {
            const char **more = arena_alloc(a, (cap = cap ? cap * 2 : 16) * sizeof *more);
            if (n)
                memcpy(more, names, n * sizeof *more);
            names = more;
        }
        names[n++] = arena_strdup(a, entry->d_name);
    }
    if (d)
        closedir(d);
    *ret = names;
    return n;
}

int tf_sweep(const char *runs_dir, int64_t wait_ms, int (*cb)(void *user, const struct tf_leftover *l, struct err *e), void *user, int *ret_held,
             struct err *e)
{
    ARENA_AUTO a = arena_new();
    const struct sweep s = {a, runs_dir, cb, user};
    const char **runs;
    size_t n = list_runs(a, runs_dir, &runs), left = n;
    int failed = 0;
    struct err one = ERR_INIT;
    for (int64_t until = clock_mono_ms() + wait_ms;;) {
        size_t held = 0;
        for (size_t i = 0; i < left; i++) {
            int rc = sweep_one(&s, runs[i], &one);
            if (rc == 0)
                runs[held++] = runs[i];
            else if (rc < 0 && !failed && (failed = rc) && e)
                *e = one;
        }
        left = held;
        if (!left || clock_mono_ms() >= until)
            break;
        clock_sleep_ms(50);
    }
    if (ret_held)
        *ret_held = (int)left;
    return failed;
}
