/* The libgit2 seam: one commit of a repository, seen from outside.
 *
 * libgit2 never runs in the node's own process. A *snapshot* is a child (this program again, started as `<program> git-helper`) with limits on time, bytes,
 * memory and file size, which fetches, resolves the ref, lists the commit's tree and hands over single files on request. So a host that never answers, a
 * pack that unfolds to gigabytes or a defect in the library costs one refresh, not the node. A local repository is read where it lies; others are mirrored
 * (bare, one ref) below a folder of the caller's. No hook, filter or program named by a configuration ever runs, and nothing is checked out.
 *
 * A program that opens snapshots must begin its main() with:
 *     if (git_helper_wanted(argc, argv)) return git_helper_main();
 *
 * Threads: any that may block; one snapshot belongs to one thread. */
#pragma once
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct git_credentials {      /* what is not needed is NULL */
    const char *username;
    const char *password;     /* or a token */
    const char *ssh_key;      /* private key in PEM, in memory */
    const char *passphrase;   /* of the key */
    const char *host_key;     /* ssh: lines as ssh-keyscan prints them, or SHA256:... fingerprints; one must match */
};

struct git_limits {           /* 0: the default */
    int64_t ms;               /* for everything until the tree is listed; and for each later read; 120,000 */
    int64_t bytes;            /* received in one fetch; 256 MiB */
    int64_t memory;           /* of the child; 512 MiB */
    size_t entries;           /* files and folders of the tree; 100,000 */
};

struct git_request {
    const char *url;          /* as git_url_check() accepts it */
    const char *ref;          /* branch, tag, refs/..., full commit id; "" or NULL: what HEAD shows */
    const char *mirror;       /* folder for the mirror, made when missing; not used for local repositories */
    const char *known;        /* commit that the caller has already: then only `unchanged` is told; or NULL */
    const struct git_credentials *credentials; /* or NULL */
    struct git_limits limits;
    bool (*canceled)(void *arg); /* asked about every second; or NULL */
    void *arg;
};

enum git_kind { GIT_FILE = 1, GIT_LINK = 2, GIT_SUBMODULE = 3 };

struct git_entry {
    const char *path;         /* "a/b.tf": no "..", no ".git", no empty part; other bytes are as the repository has them, UTF-8 or not */
    enum git_kind kind;
    int64_t size;             /* in bytes; -1: the repository lacks the object */
};

struct git_snapshot;

/* Whether the URL may be registered: file (or an absolute path), https, http, ssh or user@host:path; no password in it, no control characters.
 * `with_credentials`: refuses http to other machines. ERR_INVALID with field /url. */
int git_url_check(const char *url, bool with_credentials, struct err *e);
/* Whether a ref is well formed: ERR_INVALID with field /ref. "" is. */
int git_ref_check(const char *ref, struct err *e);

/* Errors: ERR_NOT_FOUND (no repository, no such ref), ERR_UNAVAILABLE (host away), ERR_DENIED (credentials, certificate, host key), ERR_TOO_LARGE, ERR_TIMEOUT,
 * ERR_CANCELED, ERR_INVALID (hostile or broken repository), ERR_IO. The words never hold a credential. */
int git_snapshot_open(const struct git_request *r, struct git_snapshot **ret, struct err *e);
void git_snapshot_close(struct git_snapshot *s); /* takes NULL; ends the child */
const char *git_snapshot_commit(const struct git_snapshot *s); /* 40 hex digits */
bool git_snapshot_unchanged(const struct git_snapshot *s);     /* it is `known`; no entries then */
/* Sorted by path as bytes. */
const struct git_entry *git_snapshot_entries(const struct git_snapshot *s, size_t *ret_n);
/* Appends a file's bytes (of a link: its target). ERR_TOO_LARGE beyond `max`, found before it is loaded. */
int git_snapshot_read(struct git_snapshot *s, size_t index, size_t max, struct buf *out, struct err *e);

/* ---- a first commit, made and pushed ---- */

struct git_new_file { const char *path; const void *data; size_t len; bool executable; };

struct git_publish {
    const char *url;          /* of the repository to fill; a local one that is not there is made (bare), a remote one must be there, or its host make it */
    const char *base;         /* local ones: the folder that must be there already; or NULL */
    const char *branch;
    const struct git_new_file *files; size_t n_files;
    const char *author, *email, *message;
    int64_t time;             /* of the commit, Unix seconds, UTC: equal requests make the same commit */
    const char *scratch;      /* folder for work; made anew, and removed at the end */
    bool look_only;           /* whether it could be done: ERR_CONFLICT when there is anything at all */
    const struct git_credentials *credentials; /* or NULL */
    struct git_limits limits;
    bool (*canceled)(void *arg); /* asked about every second; or NULL */
    void *arg;
};

/* Makes one commit without parents of the files and pushes it as `branch` to a repository that is empty: nothing that is there is ever overwritten. When the branch
 * is there already and begins with exactly this commit, an earlier call did it: 0, with *ret_before. Cut off anywhere, it may be called again.
 * Errors: ERR_CONFLICT (the repository holds something else), ERR_INVALID (a path that leads out, is there twice, or is file and folder at once; no bare
 * repository), and those of git_snapshot_open(). The words never hold a credential. */
int git_publish(const struct git_publish *p, char ret_commit[41], bool *ret_before, struct err *e);

/* Removes a mirror that nobody needs any more; leaves one that a snapshot is using. */
int git_mirror_remove(const char *mirror, struct err *e);

bool git_helper_wanted(int argc, char **argv);
int git_helper_main(void);
