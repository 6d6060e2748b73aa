/* What the two sides of a snapshot share: the request's text and the frames on the socket. */
#pragma once
#include "portal/git/git.h"
#include <git2.h>

#define GIT_HELPER_NAME "git-helper"
#define GIT_FRAME_MAX (64u * 1024 * 1024)

/* A frame: length of the payload (4 bytes, this machine's order), type, payload. */
enum frame_type {
    FRAME_REQUEST = 'Q', /* to the child: the request in JSON */
    FRAME_COMMIT = 'C',  /* 40 hex digits, then '1' when unchanged or '0' */
    FRAME_ENTRIES = 'E', /* packed entries */
    FRAME_END = '.',     /* all entries were sent */
    FRAME_READ = 'R',    /* to the child: index (4 bytes), most bytes (8 bytes) */
    FRAME_DATA = 'D',    /* a file's bytes */
    FRAME_ERROR = 'X',   /* code (4 bytes), words */
};

int frame_write(int fd, enum frame_type type, const void *p, size_t n); /* 0 or -1 */

/* The child's own view of the request. */
struct helper_request {
    char *url, *ref, *mirror, *known;
    char *username, *password, *ssh_key, *passphrase, *host_key;
    int64_t ms, bytes, memory;
    size_t entries;
};

/* git_fetch.c: opens the repository (mirrored or where it lies) and finds the commit. */
int fetch_open(const struct helper_request *r, git_repository **ret_repo, git_oid *ret_commit, struct err *e);
int fetch_error(struct err *e, int fallback, const char *what); /* libgit2's last error in our words */
/* Path of a local repository, or NULL when the URL is remote. malloc'ed. */
char *url_local_path(const char *url);

/* git_tree.c: lists the tree, kept in the child for reading by index. */
struct tree_item { char *path; enum git_kind kind; int64_t size; git_oid oid; };
struct tree_list { struct tree_item *items; size_t n, cap, folders, limit; size_t name_bytes; };
int tree_list_commit(git_repository *repo, const git_oid *commit, struct tree_list *ret, struct err *e);
int tree_read(git_repository *repo, const struct tree_item *item, int64_t max, struct buf *out, struct err *e);
void tree_list_done(struct tree_list *l);
