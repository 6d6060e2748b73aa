/* What the two sides of a snapshot share: the request's text and the frames on the socket. */
#pragma once
#include "portal/git/git.h"
#include "portal/json/json.h"
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
    FRAME_FILE = 'F',    /* to the child, of a push: '1' when executable or '0', length of the path (4 bytes), path, the file's bytes */
    FRAME_ERROR = 'X',   /* code (4 bytes), words */
};

/* The parent's side of a child that works on a request: snapshot.c. It is a snapshot without entries, and closed like one. */
int helper_start(int64_t ms, bool (*canceled)(void *arg), void *arg, struct git_snapshot **ret, struct err *e);
int helper_send(struct git_snapshot *s, enum frame_type type, const void *p, size_t n, struct err *e);
/* The child's next frame; its error as ours. */
int helper_receive(struct git_snapshot *s, char *ret_type, struct buf *out, struct err *e);
void helper_put_common(json_t *j, const char *url, const struct git_credentials *c, const struct git_limits *l, int64_t ms);

/* The child's side. 1: the socket closed. */
int frame_read(int fd, char *ret_type, struct buf *out);
int frame_write(int fd, enum frame_type type, const void *p, size_t n); /* 0 or -1 */

/* The child's own view of the request. */
struct helper_request {
    char *url, *ref, *mirror, *known;
    char *username, *password, *ssh_key, *passphrase, *host_key;
    int64_t ms, bytes, memory;
    size_t entries;
    /* of a push */
    char *scratch, *base, *branch, *author, *email, *message;
    int64_t time;
    bool look_only;
};
#define HELPER_SOCKET 0

/* git_fetch.c: opens the repository (mirrored or where it lies) and finds the commit. */
int fetch_open(const struct helper_request *r, git_repository **ret_repo, git_oid *ret_commit, struct err *e);
int fetch_error(struct err *e, int git_code, const char *what); /* libgit2's last error in our words; ERR_INVALID when nothing better fits */
/* A connection to a remote and why it failed: the callbacks fill *e with words of their own. */
struct fetch { const struct helper_request *r; struct err *e; int tried; /* kinds of credentials already offered */ bool said; /* a callback has filled *e */ };
void fetch_set_callbacks(git_remote_callbacks *c, struct fetch *f);
int fetch_connect(struct fetch *f, git_remote *remote, git_direction direction);
int fetch_download(struct fetch *f, git_remote *remote, const char *const *specs, size_t n);
int fetch_failed(struct err *e, int git_code, int fallback, const char *what);

/* push.c: takes the files from the socket, makes the commit, pushes it. */
int push_publish(const struct helper_request *r, char ret_commit[GIT_OID_HEXSZ + 1], bool *ret_before, struct err *e);
/* Path of a local repository, or NULL when the URL is remote. malloc'ed. */
char *url_local_path(const char *url);

/* git_tree.c: lists the tree, kept in the child for reading by index. */
struct tree_item { char *path; enum git_kind kind; int64_t size; git_oid oid; };
struct tree_list { struct tree_item *items; size_t n, cap, folders, limit; size_t name_bytes; };
int tree_list_commit(git_repository *repo, const git_oid *commit, struct tree_list *ret, struct err *e);
int tree_read(git_repository *repo, const struct tree_item *item, int64_t max, struct buf *out, struct err *e);
void tree_list_done(struct tree_list *l);
