/* Providers in unpacked mirrors, and whether a folder is what a lock file means. The complication: hashing 700 MB takes seconds, so digests are
 * kept for the life of the process by the file's identity. */
#include "portal/core/fs.h"
#include "portal/crypto/crypto.h"
#include "portal/terraform/terraform_private.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH "amd64"
#elif defined(__aarch64__)
#define ARCH "arm64"
#elif defined(__i386__)
#define ARCH "386"
#elif defined(__arm__)
#define ARCH "arm"
#else
#define ARCH "unknown"
#endif
#define PLATFORM "linux_" ARCH

static const char *const public_hosts[] = {"registry.terraform.io", "registry.opentofu.org"};

/* ---- addresses ---- */

static bool part_valid(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("-_.:", s[i]))
            return false;
    return n > 0 && n < 128 && s[0] != '.';
}

static char *lower(struct arena *a, const char *s, size_t n)
{
    char *copy = arena_strndup(a, s, n);
    for (char *c = copy; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return copy;
}

int tf_address_read(struct arena *a, const char *text, struct tf_address *ret, struct err *e)
{
    const char *part[3];
    int n = 0;
    bool valid = true;
    for (const char *s = text;; n++) {
        size_t len = strcspn(s, "/");
        if (n == 3 || !part_valid(s, len)) {
            valid = false;
            break;
        }
        part[n] = lower(a, s, len);
        if (!s[len]) {
            n++;
            break;
        }
        s += len + 1;
    }
    if (!valid)
        return err_set(e, ERR_INVALID, "\"%.120s\" is no provider's address: write \"namespace/type\" or \"host/namespace/type\"", text);
    *ret = (struct tf_address){n == 3 ? part[0] : public_hosts[0], n >= 2 ? part[n - 2] : "hashicorp", part[n - 1], false};
    ret->public_host = !strcmp(ret->host, public_hosts[0]) || !strcmp(ret->host, public_hosts[1]);
    return 0;
}

/* ---- digests ---- */

struct digest {
    dev_t dev;
    ino_t ino;
    struct timespec mtime;
    off_t size;
    char hex[2 * CRYPTO_DIGEST + 1];
    struct digest *next;
};
static pthread_mutex_t digests_lock = PTHREAD_MUTEX_INITIALIZER;
static struct digest *digests; /* one for each file ever hashed: a few */

static struct digest *known(const struct stat *st)
{
    for (struct digest *d = digests; d; d = d->next)
        if (d->dev == st->st_dev && d->ino == st->st_ino && d->size == st->st_size && d->mtime.tv_sec == st->st_mtim.tv_sec &&
            d->mtime.tv_nsec == st->st_mtim.tv_nsec)
            return d;
    return NULL;
}

static int hash_open(int fd, const char *path, char hex[2 * CRYPTO_DIGEST + 1], struct err *e)
{
    uint8_t raw[CRYPTO_DIGEST];
    FREE_AUTO char *piece = malloc(1 << 20);
    struct crypto_digest *d = crypto_digest_new();
    ssize_t n;
    while ((n = read(fd, piece, 1 << 20)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            crypto_digest_add(d, piece, (size_t)n);
    int cause = errno;
    crypto_digest_finish(d, raw);
    if (n < 0)
        return err_errno(e, ERR_IO, cause, "cannot read %s", path);
    crypto_hex(raw, sizeof raw, hex);
    return 0;
}

static int hash_file(const char *path, char hex[2 * CRYPTO_DIGEST + 1], struct err *e)
{
    struct stat st;
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st))
        return err_errno(e, ERR_IO, errno, "cannot open %s", path);
    pthread_mutex_lock(&digests_lock);
    struct digest *d = known(&st);
    if (d)
        memcpy(hex, d->hex, sizeof d->hex);
    pthread_mutex_unlock(&digests_lock);
    if (d)
        return 0;
    int rc = hash_open(fd, path, hex, e);
    if (rc)
        return rc;
    d = malloc(sizeof *d);
    if (!d)
        return 0;
    *d = (struct digest){.dev = st.st_dev, .ino = st.st_ino, .mtime = st.st_mtim, .size = st.st_size};
    memcpy(d->hex, hex, sizeof d->hex);
    pthread_mutex_lock(&digests_lock);
    if (known(&st)) {
        free(d);
    } else {
        d->next = digests;
        digests = d;
    }
    pthread_mutex_unlock(&digests_lock);
    return 0;
}

/* ---- h1: the digest of a package's folder ---- */

struct listing {
    struct arena *a;
    const char **names; /* relative, with slashes */
    size_t n, cap;
};

static int list_files(struct listing *l, const char *root, const char *below, int depth, struct err *e)
{
    DIR *d = opendir(arena_printf(l->a, "%s/%s", root, below));
    if (!d || depth > 8) {
        if (d)
            closedir(d);
        return err_errno(e, ERR_IO, errno, "cannot list %s/%s", root, below);
    }
    int rc = 0;
    for (struct dirent *entry; !rc && (entry = readdir(d));) {
        struct stat st;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        const char *name = arena_printf(l->a, "%s%s%s", below, *below ? "/" : "", entry->d_name);
        if (stat(arena_printf(l->a, "%s/%s", root, name), &st))
            continue;
        if (S_ISDIR(st.st_mode)) {
            rc = list_files(l, root, name, depth + 1, e);
        } else if (S_ISREG(st.st_mode)) {
            if (l->n == l->cap) {
                size_t cap = l->cap ? l->cap * 2 : 16;
                const char **more = arena_alloc(l->a, cap * sizeof *more);
                if (l->n)
                    memcpy(more, l->names, l->n * sizeof *more);
                l->names = more;
                l->cap = cap;
            }
            l->names[l->n++] = name;
        }
    }
    closedir(d);
    return rc;
}

static int by_bytes(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* Hash1 of golang.org/x/mod/sumdb/dirhash: SHA-256, in base64, of the lines "<hex of the file>  <name>\n" in order of names. */
static int package_h1(struct arena *a, const char *folder, const char **ret, struct err *e)
{
    struct listing l = {.a = a};
    BUF_AUTO lines = BUF_INIT;
    BUF_AUTO out = BUF_INIT;
    uint8_t raw[CRYPTO_DIGEST];
    int rc = list_files(&l, folder, "", 0, e);
    if (!rc && l.n)
        qsort(l.names, l.n, sizeof *l.names, by_bytes);
    for (size_t i = 0; !rc && i < l.n; i++) {
        char hex[2 * CRYPTO_DIGEST + 1];
        rc = hash_file(arena_printf(a, "%s/%s", folder, l.names[i]), hex, e);
        buf_printf(&lines, "%s  %s\n", rc ? "" : hex, l.names[i]);
    }
    if (rc)
        return rc;
    crypto_sha256(buf_cstr(&lines), lines.len, raw);
    buf_str(&out, "h1:");
    crypto_base64(raw, sizeof raw, &out);
    *ret = arena_strdup(a, buf_cstr(&out));
    return 0;
}

/* ---- lock files ---- */

struct locked {
    bool there;
    const char *version;
    const char **h1;
    size_t n_h1, n_other;
};

static const char *quoted(struct arena *a, const char **s, const char *end)
{
    const char *open = memchr(*s, '"', (size_t)(end - *s)), *close = open ? memchr(open + 1, '"', (size_t)(end - open - 1)) : NULL;
    if (!close)
        return NULL;
    *s = close + 1;
    return arena_strndup(a, open + 1, (size_t)(close - open - 1));
}

/* The text between the braces behind `provider "<address>"`, written by the engines themselves: no strings with braces in it. */
static const char *lock_block(struct arena *a, const char *lock, const struct tf_address *want, const char **ret_end)
{
    for (const char *s = lock; (s = strstr(s, "provider")); s += 8) {
        const char *at = s + 8, *line_end = at + strcspn(at, "\n");
        struct tf_address found;
        const char *name = quoted(a, &at, line_end);
        if (!name || tf_address_read(a, name, &found, NULL))
            continue;
        if (strcmp(found.space, want->space) != 0 || strcmp(found.type, want->type) != 0 ||
            !(found.public_host && want->public_host ? true : !strcmp(found.host, want->host)))
            continue;
        at += strcspn(at, "{");
        *ret_end = at + strcspn(at, "}");
        return at;
    }
    return NULL;
}

static void read_lock(struct arena *a, const char *lock, const struct tf_address *want, struct locked *ret)
{
    const char *end, *s = lock ? lock_block(a, lock, want, &end) : NULL;
    *ret = (struct locked){0};
    if (!s)
        return;
    ret->there = true;
    const char *version = strstr(s, "version");
    if (version && version < end)
        ret->version = quoted(a, &version, end);
    ret->h1 = arena_alloc(a, ((size_t)(end - s) / 8 + 1) * sizeof *ret->h1);
    for (const char *hash; (hash = quoted(a, &s, end));) {
        if (!strncmp(hash, "h1:", 3))
            ret->h1[ret->n_h1++] = hash;
        else if (!strncmp(hash, "zh:", 3))
            ret->n_other++;
    }
}

static int check_lock(struct arena *a, const struct locked *l, const char *folder, const char *address, struct err *e)
{
    const char *h1;
    if (!l->there || (!l->n_h1 && !l->n_other))
        return 0;
    if (!l->n_h1)
        return err_set(e, ERR_DENIED, "the template's .terraform.lock.hcl names %s with zh: hashes alone; these are of the packed archive and cannot be checked against "
                       "the unpacked provider. Add h1: hashes: `terraform providers lock -fs-mirror=DIR -platform=" PLATFORM "`", address);
    int rc = package_h1(a, folder, &h1, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < l->n_h1; i++)
        if (!strcmp(l->h1[i], h1))
            return 0;
    return err_set(e, ERR_DENIED, "the provider %s in %s is not the one that the template's .terraform.lock.hcl means: its hash is %s. Put the right package into the "
                   "mirror, or lock the template anew", address, folder, h1);
}

/* ---- the search ---- */

struct best {
    const char *version, *folder, *binary;
};

static const char *find_binary(struct arena *a, const char *folder, const char *type)
{
    const char *prefix = arena_printf(a, "terraform-provider-%s", type), *found = NULL;
    size_t n = strlen(prefix);
    DIR *d = opendir(folder);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        if (strncmp(entry->d_name, prefix, n) != 0 || (entry->d_name[n] && entry->d_name[n] != '_'))
            continue;
        const char *path = tf_program_find(a, arena_printf(a, "%s/%s", folder, entry->d_name));
        if (path && (!found || strcmp(path, found) < 0))
            found = path;
    }
    if (d)
        closedir(d);
    return found;
}

static int look_in(struct arena *a, const char *base, const char *type, const char *constraint, struct best *best, struct buf *seen, struct err *e)
{
    DIR *d = opendir(base);
    int rc = 0;
    for (struct dirent *entry; d && !rc && (entry = readdir(d));) {
        const char *version = entry->d_name;
        if (*version == '.' || tf_version_fits(version, "", NULL) < 0)
            continue;
        rc = tf_version_fits(version, constraint, e);
        buf_printf(seen, "%s%s", seen->len ? ", " : "", version);
        if (rc <= 0)
            continue;
        rc = 0;
        const char *folder = arena_printf(a, "%s/%s/" PLATFORM, base, version);
        const char *binary = find_binary(a, folder, type);
        if (binary && (!best->version || tf_version_compare(version, best->version) > 0))
            *best = (struct best){arena_strdup(a, version), folder, binary};
    }
    if (d)
        closedir(d);
    return rc < 0 ? rc : 0;
}

static int search(struct arena *a, const char *roots, const struct tf_address *want, const char *constraint, struct best *best, struct buf *seen, struct err *e)
{
    for (const char *at = roots ? roots : ""; *at;) {
        size_t n = strcspn(at, ":");
        for (size_t h = 0; n && h < (want->public_host ? 2 : 1); h++) {
            const char *host = want->public_host ? public_hosts[h] : want->host;
            int rc = look_in(a, arena_printf(a, "%.*s/%s/%s/%s", (int)n, at, host, want->space, want->type), want->type, constraint, best, seen, e);
            if (rc)
                return rc;
        }
        at += n;
        at += *at == ':';
    }
    return 0;
}

int tf_provider_find(struct arena *a, const char *roots, const char *address, const char *constraint, const char *lock_hcl, struct tf_provider *ret,
                     struct err *e)
{
    struct tf_address want;
    struct locked lock;
    struct best best = {0};
    BUF_AUTO seen = BUF_INIT;
    char hex[2 * CRYPTO_DIGEST + 1];
    int rc = tf_address_read(a, address, &want, e);
    if (rc)
        return rc;
    read_lock(a, lock_hcl, &want, &lock);
    const char *wanted = lock.version ? arena_printf(a, "%s%s= %s", constraint ? constraint : "", constraint && *constraint ? ", " : "", lock.version) : constraint;
    rc = search(a, roots, &want, wanted, &best, &seen, e);
    if (rc)
        return err_prefix(e, "provider %s", address);
    if (!best.binary)
        return err_set(e, ERR_NOT_FOUND, "there is no provider %s/%s %s for " PLATFORM " (%s%s). Put its unpacked binary as %s/%s/%s/VERSION/" PLATFORM
                       "/terraform-provider-%s_vVERSION into one of the mirror folders: %s", want.space, want.type, wanted && *wanted ? wanted : "of any version",
                       seen.len ? "there are " : "none is there", seen.len ? buf_cstr(&seen) : "", want.host, want.space, want.type, want.type,
                       roots && *roots ? roots : "none is configured");
    rc = check_lock(a, &lock, best.folder, address, e);
    if (!rc)
        rc = hash_file(best.binary, hex, e);
    if (rc)
        return rc;
    *ret = (struct tf_provider){.address = arena_printf(a, "%s/%s/%s", want.host, want.space, want.type), .version = best.version, .binary = best.binary,
                                .sha256 = arena_strdup(a, hex)};
    return 0;
}
