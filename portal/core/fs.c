#include "portal/core/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void fs_closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void fs_freep(void *p)
{
    free(*(void **)p);
}

int fs_read(const char *path, size_t max, struct buf *b, struct err *e)
{
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "cannot read %s", path);
    size_t start = b->len;
    for (;;) {
        buf_reserve(b, 65536);
        ssize_t n = read(fd, b->data + b->len, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, ERR_IO, errno, "cannot read %s", path);
        b->data[b->len += (size_t)n] = 0;
        if (n == 0)
            return 0;
        if (b->len - start > max)
            return err_set(e, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, max);
    }
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno != EINTR)
            return -1;
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
    }
    return 0;
}

int fs_write_atomic(const char *path, const void *p, size_t n, mode_t mode, struct err *e)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary)
        return err_set(e, ERR_INVALID, "the path %s is too long", path);
    FD_AUTO fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, ERR_IO, errno, "cannot create a file beside %s", path);
    if (fchmod(fd, mode) || write_all(fd, p, n) || fsync(fd) || rename(temporary, path)) {
        int cause = errno;
        unlink(temporary);
        return err_errno(e, ERR_IO, cause, "cannot write %s", path);
    }
    return 0;
}

int fs_mkdirs(const char *path, mode_t mode, struct err *e)
{
    char part[PATH_MAX];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return err_set(e, ERR_INVALID, "the path %s is too long", path);
    for (char *p = part + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char keep = *p;
        *p = 0;
        if (mkdir(part, mode) && errno != EEXIST)
            return err_errno(e, ERR_IO, errno, "cannot create the folder %s", part);
        if (!keep)
            return 0;
        *p = keep;
    }
}

/* Removes what is in the folder `fd` (which it closes) and reports the first failure by errno. */
static int remove_children(int fd)
{
    DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return -1;
    }
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(d));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (unlinkat(dirfd(d), entry->d_name, 0) == 0)
            continue;
        int child = openat(dirfd(d), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child < 0 || remove_children(child) || unlinkat(dirfd(d), entry->d_name, AT_REMOVEDIR))
            failed = errno;
    }
    closedir(d);
    errno = failed;
    return failed ? -1 : 0;
}

int fs_remove_tree(const char *path, struct err *e)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || remove_children(fd) || rmdir(path))
        return err_errno(e, ERR_IO, errno, "cannot remove %s", path);
    return 0;
}
