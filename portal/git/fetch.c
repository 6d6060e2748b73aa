/* Finding the commit, in the child: a local repository is opened where it lies; a remote one is fetched, one ref, into a bare mirror.
 *
 * The complication: libgit2 1.5 has no timeouts. The parent ends the child at the deadline, so what a fetch leaves behind when it is cut off (a half pack)
 * is swept at the start of the next one, under a lock on the mirror. */
#include "portal/core/fs.h"
#include "portal/git/git_private.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PACKS_MAX 40           /* more than that: the mirror is made anew, which is its only garbage collection */
#define OBJECTS_MAX 3000000u

static int say(struct fetch *f, int code, const char *words)
{
    err_set(f->e, code, "%s", words);
    f->said = true;
    return GIT_EUSER;
}

static int code_of(int git_code, int klass, int fallback)
{
    switch (git_code) {
    case GIT_ENOTFOUND: return ERR_NOT_FOUND;
    case GIT_EAUTH:
    case GIT_ECERTIFICATE: return ERR_DENIED;
    default: break;
    }
    switch (klass) {
    case GIT_ERROR_NET:
    case GIT_ERROR_SSL:
    case GIT_ERROR_SSH:
    case GIT_ERROR_HTTP: return ERR_UNAVAILABLE;
    default: return fallback;
    }
}

int fetch_failed(struct err *e, int git_code, int fallback, const char *what)
{
    const git_error *last = git_error_last();
    int klass = last ? last->klass : GIT_ERROR_NONE;
    const char *words = last && last->message ? last->message : "no reason given";
    if (klass == GIT_ERROR_NOMEMORY)
        return err_set(e, ERR_TOO_LARGE, "%s: it unfolds to more memory than one repository may take", what);
    return err_set(e, code_of(git_code, klass, fallback), "%s: %s", what, words);
}

int fetch_error(struct err *e, int git_code, const char *what)
{
    return fetch_failed(e, git_code, ERR_INVALID, what);
}

/* ---- callbacks of the connection ---- */

static int on_credentials(git_credential **out, const char *url, const char *url_user, unsigned allowed, void *arg)
{
    struct fetch *f = arg;
    const struct helper_request *r = f->r;
    const char *user = r->username ? r->username : url_user ? url_user : "git";
    (void)url;
    if (allowed & GIT_CREDENTIAL_USERNAME)
        return git_credential_username_new(out, user);
    if ((allowed & GIT_CREDENTIAL_SSH_MEMORY) && r->ssh_key) {
        if (f->tried & GIT_CREDENTIAL_SSH_MEMORY)
            return say(f, ERR_DENIED, "the git host refused the ssh key; check the key, its passphrase, and that its public half is registered there");
        f->tried |= GIT_CREDENTIAL_SSH_MEMORY;
        return git_credential_ssh_key_memory_new(out, user, NULL, r->ssh_key, r->passphrase);
    }
    if ((allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT) && r->password) {
        if (f->tried & GIT_CREDENTIAL_USERPASS_PLAINTEXT)
            return say(f, ERR_DENIED, "the git host refused the user name and password (or token)");
        f->tried |= GIT_CREDENTIAL_USERPASS_PLAINTEXT;
        return git_credential_userpass_plaintext_new(out, user, r->password);
    }
    return say(f, ERR_DENIED, r->password || r->ssh_key ? "the git host asks for another kind of credentials than those given"
                                                        : "the git host asks for credentials, and none are registered (or the repository does not exist)");
}

static void base64(const unsigned char *p, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (; n >= 3; n -= 3, p += 3) {
        *out++ = digits[p[0] >> 2];
        *out++ = digits[(p[0] & 3) << 4 | p[1] >> 4];
        *out++ = digits[(p[1] & 15) << 2 | p[2] >> 6];
        *out++ = digits[p[2] & 63];
    }
    if (n) {
        unsigned char second = n == 2 ? p[1] : 0;
        *out++ = digits[p[0] >> 2];
        *out++ = digits[(p[0] & 3) << 4 | second >> 4];
        *out++ = n == 2 ? digits[(second & 15) << 2] : '=';
        *out++ = '=';
    }
    *out = 0;
}

/* Whether `word` stands in `text` between blanks. */
static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = text; (p = strstr(p, word)); p++)
        if ((p == text || strchr(" \t\r\n", p[-1])) && (!p[n] || strchr(" \t\r\n", p[n])))
            return true;
    return false;
}

static bool host_key_known(const char *known, const git_cert_hostkey *key)
{
    if (key->type & GIT_CERT_SSH_RAW) {
        char *text = malloc(key->hostkey_len / 3 * 4 + 8);
        if (!text)
            return false;
        base64((const unsigned char *)key->hostkey, key->hostkey_len, text);
        bool found = has_word(known, text);
        free(text);
        if (found)
            return true;
    }
    if (key->type & GIT_CERT_SSH_SHA256) {
        char print[64] = "SHA256:";
        base64(key->hash_sha256, sizeof(key->hash_sha256), print + 7);
        if (has_word(known, print))
            return true;
        print[strlen(print) - 1] = 0; /* without its padding */
        return has_word(known, print);
    }
    return false;
}

static int refuse_host(struct fetch *f, const git_cert_hostkey *key)
{
    char print[64] = "an unknown fingerprint";
    if (key->type & GIT_CERT_SSH_SHA256) {
        memcpy(print, "SHA256:", 8);
        base64(key->hash_sha256, sizeof(key->hash_sha256), print + 7);
    }
    err_set(f->e, ERR_DENIED, f->r->host_key ? "the host showed a key with %.60s, which is none of those registered as host_key; give all lines that ssh-keyscan prints, or this "
                                               "fingerprint once you have made sure that it is the host's"
                                             : "ssh needs the host's key: give `host_key` with the credentials, as ssh-keyscan prints it; the host showed %.60s", print);
    f->said = true;
    return GIT_EUSER;
}

static int on_certificate(git_cert *cert, int valid, const char *host, void *arg)
{
    struct fetch *f = arg;
    if (cert->cert_type == GIT_CERT_HOSTKEY_LIBSSH2) {
        const git_cert_hostkey *key = (const git_cert_hostkey *)cert;
        return f->r->host_key && host_key_known(f->r->host_key, key) ? 0 : refuse_host(f, key);
    }
    if (valid)
        return 0;
    err_set(f->e, ERR_DENIED, "the certificate of %.200s is not trusted by this machine; add its issuer to the system's certificates", host);
    f->said = true;
    return GIT_ECERTIFICATE;
}

static int on_progress(const git_indexer_progress *p, void *arg)
{
    struct fetch *f = arg;
    if ((int64_t)p->received_bytes <= f->r->bytes && p->total_objects <= OBJECTS_MAX)
        return 0;
    err_set(f->e, ERR_TOO_LARGE, "the repository is too large: more than %lld MiB or %u objects would have to be fetched; put the golden paths in a repository of their own",
            (long long)(f->r->bytes >> 20), OBJECTS_MAX);
    f->said = true;
    return GIT_EUSER;
}

/* ---- the mirror ---- */

/* Removes what an interrupted fetch left. False when the mirror has grown so that it is better made anew: too many packs, or too much in them. */
static bool sweep_packs(const struct helper_request *r)
{
    BUF_AUTO path = BUF_INIT;
    buf_printf(&path, "%s/objects/pack", r->mirror);
    DIR *dir = opendir(path.data);
    int packs = 0;
    int64_t bytes = 0;
    for (struct dirent *d; dir && (d = readdir(dir));) {
        const char *dot = strrchr(d->d_name, '.');
        struct stat st;
        if (dot && strcmp(dot, ".pack") == 0) {
            packs++;
            bytes += fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_size : 0;
        } else if (d->d_name[0] != '.' && !(dot && strcmp(dot, ".idx") == 0)) {
            unlinkat(dirfd(dir), d->d_name, 0);
        }
    }
    if (dir)
        closedir(dir);
    return packs <= PACKS_MAX && bytes <= 2 * r->bytes;
}

/* Opens or makes the mirror and holds its lock until this process ends. */
static int open_mirror(const struct helper_request *r, git_repository **ret, struct err *e)
{
    BUF_AUTO lock = BUF_INIT;
    buf_printf(&lock, "%s.lock", r->mirror);
    int fd = open(lock.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(e, ERR_IO, errno, "cannot make %s", lock.data);
    if (flock(fd, LOCK_EX) != 0)
        return err_errno(e, ERR_IO, errno, "cannot lock %s", lock.data);
    if (!sweep_packs(r) && fs_remove_tree(r->mirror, e) != 0)
        return e->code;
    if (git_repository_open_ext(ret, r->mirror, GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE, NULL) == 0)
        return 0;
    if (fs_remove_tree(r->mirror, e) != 0)
        return e->code;
    git_repository_init_options o = GIT_REPOSITORY_INIT_OPTIONS_INIT;
    o.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKPATH;
    int rc = git_repository_init_ext(ret, r->mirror, &o);
    return rc == 0 ? 0 : fetch_error(e, rc, "cannot make the mirror");
}

/* ---- refs ---- */

static bool is_commit_id(const char *ref)
{
    return strlen(ref) == 40 && strspn(ref, "0123456789abcdef") == 40;
}

static const git_remote_head *find_head(const git_remote_head **heads, size_t n, const char *prefix, const char *ref)
{
    char name[300];
    snprintf(name, sizeof(name), "%s%s", prefix, ref);
    for (size_t i = 0; i < n; i++)
        if (strcmp(heads[i]->name, name) == 0)
            return heads[i];
    return NULL;
}

/* The advertised ref that `ref` names; NULL with *e filled. */
static const git_remote_head *choose_head(const git_remote_head **heads, size_t n, const char *ref, struct err *e)
{
    const git_remote_head *found = NULL;
    if (!*ref) {
        found = find_head(heads, n, "", "HEAD");
        if (!found)
            err_set(e, ERR_NOT_FOUND, "the repository is empty, or its HEAD names a branch that is not there; push a commit, or register a ref");
        return found;
    }
    static const char *const prefixes[] = {"refs/heads/", "refs/tags/", ""};
    for (size_t i = 0; i < 3 && !found; i++)
        if (*prefixes[i] || strncmp(ref, "refs/", 5) == 0)
            found = find_head(heads, n, prefixes[i], ref);
    if (!found)
        err_set(e, ERR_NOT_FOUND, "the repository has no branch and no tag \"%s\"", ref);
    return found;
}

static int peel(git_repository *repo, const git_oid *id, git_oid *ret, struct err *e)
{
    git_object *object = NULL, *commit = NULL;
    int rc = git_object_lookup(&object, repo, id, GIT_OBJECT_ANY);
    if (rc == 0)
        rc = git_object_peel(&commit, object, GIT_OBJECT_COMMIT);
    if (rc == 0)
        git_oid_cpy(ret, git_object_id(commit));
    git_object_free(commit);
    git_object_free(object);
    return rc == 0 ? 0 : fetch_error(e, rc, "the ref leads to no commit");
}

/* ---- fetching ---- */

void fetch_set_callbacks(git_remote_callbacks *c, struct fetch *f)
{
    c->credentials = on_credentials;
    c->certificate_check = on_certificate;
    c->transfer_progress = on_progress;
    c->payload = f;
}

int fetch_download(struct fetch *f, git_remote *remote, const char *const *specs, size_t n)
{
    git_fetch_options o = GIT_FETCH_OPTIONS_INIT;
    fetch_set_callbacks(&o.callbacks, f);
    o.update_fetchhead = 0;
    o.prune = GIT_FETCH_NO_PRUNE;
    o.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    o.follow_redirects = f->r->password ? GIT_REMOTE_REDIRECT_NONE : GIT_REMOTE_REDIRECT_INITIAL;
    o.proxy_opts.type = GIT_PROXY_AUTO;
    git_strarray list = {(char **)specs, n};
    int rc = git_remote_fetch(remote, &list, &o, NULL);
    if (rc == 0 || f->said)
        return rc == 0 ? 0 : f->e->code;
    return fetch_failed(f->e, rc, ERR_UNAVAILABLE, "the fetch failed");
}

int fetch_connect(struct fetch *f, git_remote *remote, git_direction direction)
{
    git_remote_connect_options o = GIT_REMOTE_CONNECT_OPTIONS_INIT;
    fetch_set_callbacks(&o.callbacks, f);
    /* Credentials go to the registered host only, wherever it points. */
    o.follow_redirects = f->r->password ? GIT_REMOTE_REDIRECT_NONE : GIT_REMOTE_REDIRECT_INITIAL;
    o.proxy_opts.type = GIT_PROXY_AUTO;
    int rc = git_remote_connect_ext(remote, direction, &o);
    if (rc == 0 || f->said)
        return rc == 0 ? 0 : f->e->code;
    const git_error *last = git_error_last();
    if (f->tried && last && strstr(last->message, "authenticate"))
        return err_set(f->e, ERR_DENIED, "the git host could not be satisfied with the ssh credentials; check that the key is a private key and that its passphrase is right: %s",
                       last->message);
    return fetch_failed(f->e, rc, ERR_UNAVAILABLE, "cannot reach the repository");
}

static int fetch_ref(struct fetch *f, git_repository *repo, git_remote *remote, git_oid *ret, struct err *e)
{
    const char *ref = f->r->ref;
    const git_remote_head **heads;
    size_t n;
    int rc = git_remote_ls(&heads, &n, remote);
    if (rc != 0)
        return fetch_error(e, rc, "cannot list the refs");
    const git_remote_head *head = NULL;
    git_oid id;
    if (is_commit_id(ref)) {
        git_oid_fromstr(&id, ref);
    } else {
        head = choose_head(heads, n, ref, e);
        if (!head)
            return e->code;
        git_oid_cpy(&id, &head->oid);
    }
    char advertised[GIT_OID_HEXSZ + 1];
    git_oid_tostr(advertised, sizeof(advertised), &id);
    git_odb *odb = NULL;
    bool here = git_repository_odb(&odb, repo) == 0 && git_odb_exists(odb, &id);
    git_odb_free(odb);
    if (!here && !(f->r->known && strcmp(f->r->known, advertised) == 0)) {
        char spec[400];
        const char *one[] = {spec}, *all[] = {"+refs/heads/*:refs/soma/heads/*", "+refs/tags/*:refs/soma/tags/*"};
        /* A HEAD that is a branch is fetched as that branch. */
        snprintf(spec, sizeof(spec), "+%s:refs/soma/head", head && head->symref_target ? head->symref_target : head ? head->name : "");
        rc = head ? fetch_download(f, remote, one, 1) : fetch_download(f, remote, all, 2);
        if (rc != 0)
            return rc;
    }
    if (!here && f->r->known && strcmp(f->r->known, advertised) == 0) {
        git_oid_cpy(ret, &id);
        return 0;
    }
    return peel(repo, &id, ret, e);
}

static int open_remote(const struct helper_request *r, git_repository **ret, git_oid *ret_commit, struct err *e)
{
    struct fetch f = {.r = r, .e = e};
    git_repository *repo = NULL;
    git_remote *remote = NULL;
    if (!r->mirror || !*r->mirror)
        return err_set(e, ERR_INTERNAL, "no folder for the mirror was given");
    if (open_mirror(r, &repo, e) != 0)
        return e->code;
    int rc = git_remote_create_anonymous(&remote, repo, r->url);
    rc = rc != 0 ? fetch_error(e, rc, "the URL is not understood") : fetch_connect(&f, remote, GIT_DIRECTION_FETCH);
    if (rc == 0)
        rc = fetch_ref(&f, repo, remote, ret_commit, e);
    git_remote_free(remote);
    if (rc == 0) {
        *ret = repo;
        return 0;
    }
    git_repository_free(repo);
    sweep_packs(r);
    return rc;
}

static int open_local(const struct helper_request *r, const char *path, git_repository **ret, git_oid *ret_commit, struct err *e)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return err_errno(e, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO, errno, "there is no repository at %s", path);
    int rc = git_repository_open_ext(ret, path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
    if (rc == GIT_ENOTFOUND)
        return err_set(e, ERR_NOT_FOUND, "%s is no git repository", path);
    if (rc != 0)
        return fetch_error(e, rc, "cannot open the repository");
    git_oid id;
    static const char *const prefixes[] = {"refs/heads/", "refs/tags/", ""};
    rc = GIT_ENOTFOUND;
    if (!*r->ref)
        rc = git_reference_name_to_id(&id, *ret, "HEAD");
    for (size_t i = 0; *r->ref && i < 3 && rc != 0; i++) {
        char name[300];
        snprintf(name, sizeof(name), "%s%s", prefixes[i], r->ref);
        if (*prefixes[i] || strncmp(r->ref, "refs/", 5) == 0)
            rc = git_reference_name_to_id(&id, *ret, name);
    }
    if (rc != 0 && is_commit_id(r->ref))
        rc = git_oid_fromstr(&id, r->ref);
    if (rc == 0)
        return peel(*ret, &id, ret_commit, e);
    if (!*r->ref)
        return err_set(e, ERR_NOT_FOUND, "the repository is empty, or its HEAD names a branch that is not there; make a commit, or register a ref");
    return err_set(e, ERR_NOT_FOUND, "the repository has no branch and no tag \"%s\"", r->ref);
}

int fetch_open(const struct helper_request *r, git_repository **ret_repo, git_oid *ret_commit, struct err *e)
{
    char *path = url_local_path(r->url);
    int rc = path ? open_local(r, path, ret_repo, ret_commit, e) : open_remote(r, ret_repo, ret_commit, e);
    free(path);
    return rc;
}
