/* A first commit and its push, in the child.
 *
 * The complication: it may be done twice, by us again after a crash or by two workers at once. Equal requests make the same commit, byte for byte, so what stands at
 * the branch tells whether it is ours; and the push names the branch as new, which the other side checks when it takes it. */
#include "portal/core/fs.h"
#include "portal/git/git_private.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct push {
    const struct helper_request *r;
    struct err *e;
    git_repository *repo;   /* bare, in the scratch folder */
    git_oid commit;
    char *local;            /* path of a repository on this machine, or NULL */
    bool made;              /* it was not there, and we made it */
};

enum found { FOUND_NOTHING, FOUND_OURS, FOUND_OTHER_BRANCH /* the branch is there, at another commit */, FOUND_OTHER };

/* ---- the commit ---- */

static int add_file(struct push *p, git_index *index, const struct buf *frame)
{
    uint32_t n;
    if (frame->len < 5)
        return err_set(p->e, ERR_INTERNAL, "a broken file was sent to the git helper");
    memcpy(&n, frame->data + 1, 4);
    if (n == 0 || frame->len - 5 < n)
        return err_set(p->e, ERR_INTERNAL, "a broken file was sent to the git helper");
    char *path = strndup(frame->data + 5, n);
    git_index_entry entry = {.path = path, .mode = frame->data[0] == '1' ? GIT_FILEMODE_BLOB_EXECUTABLE : GIT_FILEMODE_BLOB};
    int rc = git_blob_create_from_buffer(&entry.id, p->repo, frame->data + 5 + n, frame->len - 5 - n);
    if (rc == 0)
        rc = git_index_add(index, &entry);
    if (rc != 0)
        fetch_error(p->e, rc, "a file cannot be added to the commit");
    free(path);
    return rc == 0 ? 0 : p->e->code;
}

/* Files come until the end is said. */
static int take_files(struct push *p, git_index *index)
{
    struct buf frame = BUF_INIT;
    char type = 0;
    int rc = 0;
    while (rc == 0 && type != FRAME_END) {
        if (frame_read(HELPER_SOCKET, &type, &frame) != 0)
            rc = err_set(p->e, ERR_INTERNAL, "the files for the commit did not come");
        else if (type == FRAME_FILE)
            rc = add_file(p, index, &frame);
        else if (type != FRAME_END)
            rc = err_set(p->e, ERR_INTERNAL, "something else than files was sent to the git helper");
    }
    buf_done(&frame);
    return rc;
}

static int write_commit(struct push *p, git_index *index)
{
    const struct helper_request *r = p->r;
    git_oid tree_id;
    git_tree *tree = NULL;
    git_signature *by = NULL;
    git_reference *ref = NULL;
    char branch[300];
    snprintf(branch, sizeof branch, "refs/heads/%s", r->branch);
    int rc = git_index_write_tree_to(&tree_id, index, p->repo);
    if (rc == 0)
        rc = git_tree_lookup(&tree, p->repo, &tree_id);
    if (rc == 0)
        rc = git_signature_new(&by, r->author, r->email, r->time, 0);
    if (rc == 0)
        rc = git_commit_create(&p->commit, p->repo, NULL, by, by, NULL, r->message, tree, 0, NULL);
    if (rc == 0)
        rc = git_reference_create(&ref, p->repo, branch, &p->commit, 1, NULL);
    git_reference_free(ref);
    git_signature_free(by);
    git_tree_free(tree);
    return rc == 0 ? 0 : fetch_error(p->e, rc, "cannot make the commit");
}

static int make_commit(struct push *p)
{
    git_index *index = NULL;
    int rc = git_repository_init(&p->repo, p->r->scratch, 1);
    if (rc == 0)
        rc = git_index_new(&index);
    rc = rc != 0 ? fetch_error(p->e, rc, "cannot make a repository to work in") : take_files(p, index);
    if (rc == 0 && !p->r->look_only)
        rc = write_commit(p, index);
    git_index_free(index);
    return rc;
}

/* ---- a repository on this machine ---- */

static int make_local(struct push *p)
{
    git_repository *made = NULL;
    git_repository_init_options o = GIT_REPOSITORY_INIT_OPTIONS_INIT;
    o.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR | GIT_REPOSITORY_INIT_MKPATH;
    o.initial_head = p->r->branch;
    int rc = git_repository_init_ext(&made, p->local, &o);
    git_repository_free(made);
    p->made = rc == 0;
    return rc == 0 ? 0 : fetch_failed(p->e, rc, ERR_IO, "cannot make the repository");
}

/* Bare and there afterwards; when we only look, it may be missing. */
static int prepare_local(struct push *p)
{
    struct stat st;
    char *base = p->r->base ? url_local_path(p->r->base) : NULL;
    bool no_base = base && (stat(base, &st) != 0 || !S_ISDIR(st.st_mode));
    if (no_base)
        err_set(p->e, ERR_NOT_FOUND, "there is no folder %s for repositories on this machine", base);
    free(base);
    if (no_base)
        return p->e->code;
    if (stat(p->local, &st) != 0)
        return errno != ENOENT ? err_errno(p->e, ERR_IO, errno, "cannot look at %s", p->local) : p->r->look_only ? 0 : make_local(p);
    git_repository *there = NULL;
    if (git_repository_open_ext(&there, p->local, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL) != 0)
        return err_set(p->e, ERR_CONFLICT, "%s is there already and is no git repository", p->local);
    bool bare = git_repository_is_bare(there);
    git_repository_free(there);
    return bare ? 0 : err_set(p->e, ERR_INVALID, "%s is a work tree; only a bare repository can be pushed to", p->local);
}

/* Whoever clones it gets the branch, though the repository was made for another. */
static void point_head(const struct push *p)
{
    git_repository *there = NULL;
    char branch[300];
    snprintf(branch, sizeof branch, "refs/heads/%s", p->r->branch);
    if (p->local && git_repository_open_bare(&there, p->local) == 0 && git_repository_head_unborn(there) == 1)
        git_repository_set_head(there, branch);
    git_repository_free(there);
}

/* ---- what is there ---- */

static enum found look(const struct push *p, const git_remote_head **heads, size_t n, git_oid *ret_tip)
{
    char branch[300];
    enum found found = FOUND_NOTHING;
    snprintf(branch, sizeof branch, "refs/heads/%s", p->r->branch);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(heads[i]->name, "refs/", 5) != 0)
            continue; /* HEAD, and what an empty repository says instead of refs */
        if (strcmp(heads[i]->name, branch) != 0) {
            found = found == FOUND_NOTHING ? FOUND_OTHER : found;
            continue;
        }
        git_oid_cpy(ret_tip, &heads[i]->oid);
        return !p->r->look_only && git_oid_equal(ret_tip, &p->commit) ? FOUND_OURS : FOUND_OTHER_BRANCH;
    }
    return found;
}

/* Whether the branch went on from our commit. */
static int began_with_ours(struct push *p, const git_oid *tip, bool *ret)
{
    struct fetch f = {.r = p->r, .e = p->e};
    git_remote *remote = NULL;
    char spec[700];
    const char *one[] = {spec};
    snprintf(spec, sizeof spec, "+refs/heads/%s:refs/soma/there", p->r->branch);
    int rc = git_remote_create_anonymous(&remote, p->repo, p->r->url);
    rc = rc != 0 ? fetch_error(p->e, rc, "the URL is not understood") : fetch_download(&f, remote, one, 1);
    git_remote_free(remote);
    if (rc == 0)
        *ret = git_graph_descendant_of(p->repo, tip, &p->commit) == 1;
    return rc;
}

/* ---- the push ---- */

static int on_ref(const char *ref, const char *status, void *arg)
{
    struct fetch *f = arg;
    if (!status)
        return 0;
    err_set(f->e, ERR_DENIED, "the git host refused %.200s: %.500s", ref, status);
    f->said = true;
    return GIT_EUSER;
}

static int upload(struct fetch *f, git_remote *remote)
{
    git_push_options o = GIT_PUSH_OPTIONS_INIT;
    char spec[700];
    char *one[] = {spec};
    const git_strarray specs = {one, 1};
    snprintf(spec, sizeof spec, "refs/heads/%s:refs/heads/%s", f->r->branch, f->r->branch);
    fetch_set_callbacks(&o.callbacks, f);
    o.callbacks.push_update_reference = on_ref;
    o.pb_parallelism = 1;
    o.proxy_opts.type = GIT_PROXY_AUTO;
    o.follow_redirects = f->r->password ? GIT_REMOTE_REDIRECT_NONE : GIT_REMOTE_REDIRECT_INITIAL;
    f->tried = 0;
    int rc = git_remote_upload(remote, &specs, &o);
    if (rc == 0 || f->said)
        return rc == 0 ? 0 : f->e->code;
    return fetch_failed(f->e, rc, ERR_UNAVAILABLE, "the push failed");
}

/* Hosts say in different ways that a repository is not there. */
static int explain_absence(struct err *e)
{
    bool said = e->code == ERR_NOT_FOUND || strstr(e->msg, "status code: 404") || strstr(e->msg, "not found") || strstr(e->msg, "does not exist");
    if (said && e->code != ERR_DENIED)
        err_set(e, ERR_NOT_FOUND, "there is no such repository, and the host makes none by itself when something is pushed; make an empty one there");
    return e->code;
}

static int try_once(struct push *p, bool *ret_before, enum found *ret_found, git_oid *ret_tip)
{
    struct fetch f = {.r = p->r, .e = p->e};
    git_remote *remote = NULL;
    const git_remote_head **heads = NULL;
    size_t n = 0;
    int rc = git_remote_create_anonymous(&remote, p->repo, p->r->url);
    rc = rc != 0 ? fetch_error(p->e, rc, "the URL is not understood") : fetch_connect(&f, remote, GIT_DIRECTION_PUSH);
    if (rc != 0 && !p->local)
        rc = explain_absence(p->e);
    if (rc == 0 && git_remote_ls(&heads, &n, remote) != 0)
        rc = fetch_error(p->e, GIT_ERROR, "cannot list the refs");
    if (rc == 0) {
        *ret_found = look(p, heads, n, ret_tip);
        *ret_before = *ret_found == FOUND_OURS;
        if (*ret_found == FOUND_NOTHING && !p->r->look_only)
            rc = upload(&f, remote);
    }
    git_remote_free(remote);
    return rc;
}

static int refuse(struct push *p)
{
    return err_set(p->e, ERR_CONFLICT, "the repository holds something else already, and nothing there is overwritten");
}

static int push_commit(struct push *p, bool *ret_before)
{
    enum found found = FOUND_NOTHING;
    git_oid tip;
    bool ours = false;
    int rc = try_once(p, ret_before, &found, &tip);
    if (rc != 0 && found == FOUND_NOTHING && p->e->code != ERR_DENIED && p->e->code != ERR_NOT_FOUND) {
        /* Another may have been quicker: then it is there now. */
        struct err first = *p->e;
        rc = try_once(p, ret_before, &found, &tip);
        if (rc != 0)
            *p->e = first;
    }
    if (rc != 0 || found == FOUND_NOTHING || found == FOUND_OURS)
        return rc;
    if (found == FOUND_OTHER || p->r->look_only)
        return refuse(p);
    if ((rc = began_with_ours(p, &tip, &ours)) != 0)
        return rc;
    *ret_before = ours;
    return ours ? 0 : refuse(p);
}

int push_publish(const struct helper_request *r, char ret_commit[GIT_OID_HEXSZ + 1], bool *ret_before, struct err *e)
{
    struct push p = {.r = r, .e = e, .local = url_local_path(r->url)};
    int rc = make_commit(&p);
    if (p.local)
        umask(022); /* it is for others to read */
    if (rc == 0 && p.local)
        rc = prepare_local(&p);
    struct stat st;
    bool missing = p.local && r->look_only && stat(p.local, &st) != 0;
    if (rc == 0 && !missing)
        rc = push_commit(&p, ret_before);
    if (rc == 0 && !r->look_only)
        point_head(&p);
    git_oid_tostr(ret_commit, GIT_OID_HEXSZ + 1, &p.commit);
    git_repository_free(p.repo);
    free(p.local);
    return rc;
}
