/* A folder as a source: listed once by descriptors, so that a path is never resolved through a link. */
#include "portal/templates/source.h"
#include "portal/core/fs.h"
#include "portal/templates/check.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_MAX 500000
#define DEPTH_MAX 60

struct folder { int root; };

struct listing { const char *below; struct arena *arena; struct source_entry *items; size_t n, cap; struct buf path; int depth; };

static bool is_ours_to_skip(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, ".git") == 0 || strcmp(name, ".terraform") == 0;
}

static int add(struct listing *l, enum source_kind kind, int64_t size, struct err *e)
{
    if (l->n == ENTRIES_MAX)
        return err_set(e, ERR_TOO_LARGE, "the folder holds more than %d files; check the golden path's own folder", ENTRIES_MAX);
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 128;
        struct source_entry *grown = arena_alloc(l->arena, cap * sizeof(*grown));
        if (l->n)
            memcpy(grown, l->items, l->n * sizeof(*grown));
        l->items = grown;
        l->cap = cap;
    }
    l->items[l->n++] = (struct source_entry){arena_strdup(l->arena, buf_cstr(&l->path)), kind, size};
    return 0;
}

/* Folders outside of what is checked that can be large and hold no module. */
static bool is_beside(const struct listing *l, const char *name)
{
    return (*name == '.' || strcmp(name, "node_modules") == 0) && *l->below && strcmp(l->path.data, l->below) != 0 && !path_below(l->path.data, l->below) &&
           !path_below(l->below, l->path.data);
}

static int list_folder(struct listing *l, int fd, struct err *e);

static int list_entry(struct listing *l, int dir, const char *name, struct err *e)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : err_errno(e, ERR_IO, errno, "cannot look at %s", l->path.data);
    if (S_ISREG(st.st_mode))
        return add(l, SOURCE_FILE, st.st_size, e);
    if (S_ISLNK(st.st_mode))
        return add(l, SOURCE_LINK, st.st_size, e);
    if (!S_ISDIR(st.st_mode))
        return add(l, SOURCE_OTHER, 0, e);
    if (l->depth >= DEPTH_MAX)
        return err_set(e, ERR_TOO_LARGE, "%.300s lies more than %d folders deep", l->path.data, DEPTH_MAX);
    if (is_beside(l, name))
        return 0;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, ERR_IO, errno, "cannot open %s", l->path.data);
    /* A submodule that is checked out has a file `.git` in its folder. */
    if (l->depth && fstatat(fd, ".git", &st, AT_SYMLINK_NOFOLLOW) == 0) {
        close(fd);
        return add(l, SOURCE_SUBMODULE, 0, e);
    }
    return list_folder(l, fd, e);
}

/* Takes the descriptor. */
static int list_folder(struct listing *l, int fd, struct err *e)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return err_errno(e, ERR_IO, errno, "cannot list %s", buf_cstr(&l->path));
    }
    int rc = 0;
    l->depth++;
    for (struct dirent *d; rc == 0 && (d = readdir(dir));) {
        if (is_ours_to_skip(d->d_name))
            continue;
        size_t before = l->path.len;
        if (before)
            buf_char(&l->path, '/');
        buf_str(&l->path, d->d_name);
        rc = list_entry(l, dirfd(dir), d->d_name, e);
        l->path.len = before;
        l->path.data[before] = 0;
    }
    l->depth--;
    closedir(dir);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    const struct source_entry *x = a, *y = b;
    return strcmp(x->path, y->path);
}

/* Opens a file by its path, folder by folder, so that no link is followed. */
static int open_below(int root, const char *path)
{
    int dir = dup(root);
    for (const char *slash; dir >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
        char *name = strndup(path, (size_t)(slash - path));
        int next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        free(name);
        close(dir);
        dir = next;
    }
    if (dir < 0)
        return -1;
    int fd = openat(dir, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    close(dir);
    return fd;
}

static int read_link(struct folder *f, const char *path, size_t max, struct buf *out, struct err *e)
{
    char target[4096];
    ssize_t n = readlinkat(f->root, path, target, sizeof(target));
    if (n < 0)
        return err_errno(e, ERR_IO, errno, "cannot read the link %s", path);
    if ((size_t)n > max)
        return err_set(e, ERR_TOO_LARGE, "%s is too long a link", path);
    buf_add(out, target, (size_t)n);
    return 0;
}

static int read_file(struct template_source *s, size_t index, size_t max, struct buf *out, struct err *e)
{
    struct folder *f = s->arg;
    const struct source_entry *entry = &s->entries[index];
    if (entry->kind == SOURCE_LINK)
        return read_link(f, entry->path, max, out, e);
    FD_AUTO fd = open_below(f->root, entry->path);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return err_errno(e, ERR_IO, errno, "cannot open %s", entry->path);
    size_t start = out->len;
    for (;;) {
        buf_reserve(out, 65536);
        ssize_t n = read(fd, out->data + out->len, 65535);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, ERR_IO, errno, "cannot read %s", entry->path);
        out->len += (size_t)n;
        out->data[out->len] = 0;
        if (out->len - start > max)
            return err_set(e, ERR_TOO_LARGE, "%s is too large", entry->path);
        if (n == 0)
            return 0;
    }
}

int source_open_dir(const char *path, const char *below, struct arena *a, struct template_source *ret, struct err *e)
{
    struct listing l = {.below = below, .arena = a};
    struct folder *f = arena_alloc(a, sizeof(*f));
    f->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->root < 0)
        return err_errno(e, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO, errno, "cannot open the folder %s", path);
    int fd = openat(f->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    buf_reserve(&l.path, 256);
    int rc = fd < 0 ? err_errno(e, ERR_IO, errno, "cannot open the folder %s", path) : list_folder(&l, fd, e);
    buf_done(&l.path);
    if (rc != 0) {
        close(f->root);
        return rc;
    }
    if (l.n)
        qsort(l.items, l.n, sizeof(*l.items), by_path);
    *ret = (struct template_source){l.items, l.n, read_file, f, false};
    return 0;
}

void source_done_dir(struct template_source *s)
{
    struct folder *f = s->arg;
    if (f)
        close(f->root);
    s->arg = NULL;
}

size_t source_find(const struct template_source *s, const char *path)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(s->entries[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
