#include "portal/cli/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "portal/core/fs.h"

int input_read(const char *path, size_t max, struct buf *ret, struct err *e)
{
    if (strcmp(path, "-") != 0)
        return fs_read(path, max, ret, e);
    char part[16384];
    for (ssize_t n; (n = read(STDIN_FILENO, part, sizeof part)) != 0;) {
        if (n < 0 && errno != EINTR)
            return err_errno(e, ERR_IO, errno, "cannot read standard input");
        if (n > 0)
            buf_add(ret, part, (size_t)n);
        if (ret->len > max)
            return err_set(e, ERR_TOO_LARGE, "standard input is larger than %zu bytes", max);
    }
    explicit_bzero(part, sizeof part);
    return 0;
}
