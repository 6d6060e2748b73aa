/* Names of files inside a repository: text without tricks. */
#include "portal/templates/check.h"
#include <string.h>
#include <strings.h>

char *copy_bytes(struct arena *a, const void *p, size_t n)
{
    char *copy = arena_alloc(a, n + 1);
    memcpy(copy, p, n);
    return copy;
}

bool path_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return n == 0 || (strncmp(path, folder, n) == 0 && path[n] == '/');
}

bool path_join(const char *folder, const char *relative, struct buf *out)
{
    buf_clear(out);
    buf_str(out, folder);
    if (*relative == '/')
        return false;
    while (*relative) {
        size_t n = strcspn(relative, "/");
        if (n == 2 && strncmp(relative, "..", 2) == 0) {
            if (out->len == 0)
                return false;
            const char *slash = strrchr(out->data, '/');
            out->len = slash ? (size_t)(slash - out->data) : 0;
            out->data[out->len] = 0;
        } else if (n > 0 && !(n == 1 && *relative == '.')) {
            if (out->len)
                buf_char(out, '/');
            buf_add(out, relative, n);
        }
        relative += n + (relative[n] == '/');
    }
    return true;
}

static bool is_utf8(const char *s)
{
    json_t *j = json_string(s); /* NULL for bad UTF-8 */
    json_decref(j);
    return j != NULL;
}

const char *path_problem(const char *path)
{
    if (!is_utf8(path))
        return "has a name that is not UTF-8";
    if (strlen(path) > 400)
        return "has a path longer than 400 bytes";
    for (const char *p = path; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f || *p == '\\')
            return "has a backslash or a control character in its name";
    if (*path == '/' || !*path)
        return "has an absolute or empty path";
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && *p == '.') || (n == 2 && strncmp(p, "..", 2) == 0))
            return "has \"..\", \".\" or an empty part in its path";
        if (n == 4 && strncasecmp(p, ".git", 4) == 0)
            return "lies in a folder \".git\"";
        p += n + (p[n] == '/');
    }
    return NULL;
}
