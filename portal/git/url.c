/* URLs and refs of template repositories: what may be registered, and which of them are local. */
#include "portal/git/git_private.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool starts(const char *s, const char *prefix)
{
    return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

static bool has_bad_byte(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == 0x7f || *s == '\\')
            return true;
    return false;
}

/* user@host:path, the way ssh has always been written for git. */
static bool is_scp(const char *url)
{
    const char *colon = strchr(url, ':');
    const char *slash = strchr(url, '/');
    const char *at = strchr(url, '@');
    return colon && at && at > url && at < colon && (!slash || colon < slash) && colon[1] && colon[1] != '/' && colon > at + 1;
}

/* The part between "//" and the next slash; its length in *n. */
static const char *authority(const char *url, size_t *n)
{
    const char *p = strstr(url, "://");
    p = p ? p + 3 : url;
    *n = strcspn(p, "/?#");
    return p;
}

static bool is_loopback(const char *host, size_t n)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]", NULL};
    for (int i = 0; names[i]; i++) {
        size_t len = strlen(names[i]);
        if (n >= len && strncasecmp(host, names[i], len) == 0 && (n == len || host[len] == ':'))
            return true;
    }
    return false;
}

static int check_remote(const char *url, bool with_credentials, struct err *e)
{
    size_t n;
    const char *host = authority(url, &n);
    const char *at = memchr(host, '@', n);
    if (at) {
        if (memchr(host, ':', (size_t)(at - host)))
            return err_field(e, "/url", "carries a password; leave it out and give it as credentials, which are kept sealed");
        if (!starts(url, "ssh:"))
            return err_field(e, "/url", "carries a user name; give it as credentials");
        n -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    if (n == 0 || host[n] != '/' || !host[n + 1])
        return err_field(e, "/url", "needs a host and a path, as in https://git.example.com/platform/templates.git");
    if (*host == '-')
        return err_field(e, "/url", "has a host name that begins with a dash");
    if (strpbrk(host + n, "?#"))
        return err_field(e, "/url", "has a query or a fragment, which a git URL does not have");
    if (with_credentials && starts(url, "http:") && !is_loopback(host, n))
        return err_field(e, "/url", "is plain http, which would send the credentials in clear; use https");
    return 0;
}

int git_url_check(const char *url, bool with_credentials, struct err *e)
{
    if (!url || !*url)
        return err_field(e, "/url", "is missing");
    if (strlen(url) > 1000)
        return err_field(e, "/url", "is longer than 1,000 bytes");
    if (has_bad_byte(url))
        return err_field(e, "/url", "holds a blank, a backslash or a control character");
    if (url[0] == '/' || starts(url, "file://")) {
        char *path = url_local_path(url);
        bool ok = path && path[0] == '/' && path[1];
        free(path);
        return ok ? 0 : err_field(e, "/url", "must name an absolute path on this machine, as in file:///srv/git/templates.git");
    }
    if (starts(url, "https://") || starts(url, "http://") || starts(url, "ssh://"))
        return check_remote(url, with_credentials, e);
    if (is_scp(url) && url[0] != '-')
        return 0;
    return err_field(e, "/url", "must be a file, https, http or ssh URL");
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *url_local_path(const char *url)
{
    if (url[0] == '/')
        return strdup(url);
    if (!starts(url, "file://"))
        return NULL;
    const char *p = url + 7;
    if (starts(p, "localhost/"))
        p += 9;
    char *path = calloc(1, strlen(p) + 1), *out = path;
    for (; path && *p; p++) {
        int high = *p == '%' ? hex_digit(p[1]) : -1, low = high >= 0 ? hex_digit(p[2]) : -1;
        if (low >= 0 && high * 16 + low != 0) {
            *out++ = (char)(high * 16 + low);
            p += 2;
        } else {
            *out++ = *p;
        }
    }
    return path;
}

int git_ref_check(const char *ref, struct err *e)
{
    if (!ref || !*ref)
        return 0;
    size_t n = strlen(ref);
    if (n > 200)
        return err_field(e, "/ref", "is longer than 200 bytes");
    if (ref[0] == '-' || ref[0] == '/' || ref[n - 1] == '/' || ref[n - 1] == '.' || strstr(ref, "..") || strstr(ref, "//") || strstr(ref, "@{"))
        return err_field(e, "/ref", "is no name of a branch, a tag or a commit");
    for (const char *p = ref; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("~^:?*[\\", *p))
            return err_field(e, "/ref", "is no name of a branch, a tag or a commit");
    return 0;
}
