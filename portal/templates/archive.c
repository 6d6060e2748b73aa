/* The archive of a version: see archive.h. What comes from the database is checked again before it is written. */
#include "portal/templates/archive.h"
#include "portal/core/fs.h"
#include "portal/templates/check.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char head[] = "soma files 1\n";

void archive_begin(struct buf *out)
{
    buf_str(out, head);
}

void archive_add(struct buf *out, const char *path, const void *data, size_t len)
{
    buf_printf(out, "%zu %s\n", len, path);
    buf_add(out, data, len);
}

static int broken(struct err *e)
{
    return err_set(e, ERR_INVALID, "the archive of this version is damaged; publish the golden path anew");
}

int archive_each(const void *archive, size_t len, int (*fn)(const struct archive_file *f, void *arg, struct err *e), void *arg, struct err *e)
{
    const char *p = archive, *end = p + len;
    char path[512];
    if (len < sizeof(head) - 1 || memcmp(p, head, sizeof(head) - 1) != 0)
        return broken(e);
    for (p += sizeof(head) - 1; p < end;) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p)), *blank = line_end ? memchr(p, ' ', (size_t)(line_end - p)) : NULL;
        size_t n = 0;
        if (!blank || blank == p || blank - p > 8 || (size_t)(line_end - blank) > sizeof(path))
            return broken(e);
        for (; p < blank; p++) {
            if (!isdigit((unsigned char)*p))
                return broken(e);
            n = n * 10 + (size_t)(*p - '0');
        }
        memcpy(path, blank + 1, (size_t)(line_end - blank - 1));
        path[line_end - blank - 1] = 0;
        p = line_end + 1;
        if (n > (size_t)(end - p) || path_problem(path))
            return broken(e);
        const struct archive_file file = {path, p, n};
        int rc = fn(&file, arg, e);
        if (rc != 0)
            return rc;
        p += n;
    }
    return 0;
}

/* Opens (and makes) the folders of `path` below `root`; *ret_name is its last part. No link is followed: whatever is there must be a folder. */
static int open_folder(int root, const char *path, const char **ret_name, struct err *e)
{
    int dir = fcntl(root, F_DUPFD_CLOEXEC, 3);
    for (const char *slash; dir >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
        char name[512];
        size_t n = (size_t)(slash - path);
        memcpy(name, path, n);
        name[n] = 0;
        int next = -1;
        if (mkdirat(dir, name, 0700) == 0 || errno == EEXIST)
            next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int why = errno;
        close(dir);
        errno = why;
        dir = next;
    }
    *ret_name = path;
    if (dir < 0)
        err_errno(e, ERR_IO, errno, "cannot make the folder of %s", path);
    return dir;
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

static int write_file(const struct archive_file *f, void *arg, struct err *e)
{
    const char *name;
    FD_AUTO dir = open_folder(*(int *)arg, f->path, &name, e);
    if (dir < 0)
        return e ? e->code : ERR_IO;
    FD_AUTO fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, errno == EEXIST ? ERR_CONFLICT : ERR_IO, errno, "cannot write %s", f->path);
    if (write_all(fd, f->data, f->len) != 0)
        return err_errno(e, ERR_IO, errno, "cannot write %s", f->path);
    return 0;
}

int archive_export(const void *archive, size_t len, const char *dir, struct err *e)
{
    FD_AUTO root = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0)
        return err_errno(e, ERR_IO, errno, "cannot open the folder %s", dir);
    return archive_each(archive, len, write_file, &root, e);
}
