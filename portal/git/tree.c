/* The tree of one commit, in the child: names and sizes first, bytes on request. Sizes come from object headers, so that a file of a gigabyte is never
 * unpacked; a tree that shares subtrees to unfold to millions of names ends at the limit. */
#include "portal/git/git_private.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TREE_DEPTH_MAX 60
#define TREE_BYTES_MAX (16u * 1024 * 1024)
#define NAME_BYTES_MAX (24u * 1024 * 1024)

static bool is_git_name(const char *name)
{
    return strcasecmp(name, ".git") == 0 || strcasecmp(name, "git~1") == 0;
}

static bool hostile_name(const char *name)
{
    return !*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/') || is_git_name(name);
}

static int too_many(const struct tree_list *l, struct err *e)
{
    return err_set(e, ERR_TOO_LARGE, "the repository holds more than %zu files and folders; put the golden paths in a repository of their own", l->limit);
}

static int add_item(struct tree_list *l, const char *path, enum git_kind kind, const git_oid *oid, int64_t size, struct err *e)
{
    l->name_bytes += strlen(path);
    if (l->n + l->folders >= l->limit || l->name_bytes > NAME_BYTES_MAX)
        return too_many(l, e);
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 256;
        struct tree_item *items = realloc(l->items, cap * sizeof(*items));
        if (!items)
            return err_set(e, ERR_NOMEM, "no memory for the list of files");
        l->items = items;
        l->cap = cap;
    }
    struct tree_item *item = &l->items[l->n];
    item->path = strdup(path);
    if (!item->path)
        return err_set(e, ERR_NOMEM, "no memory for the list of files");
    item->kind = kind;
    item->size = size;
    git_oid_cpy(&item->oid, oid);
    l->n++;
    return 0;
}

static int64_t blob_size(git_odb *odb, const git_oid *oid)
{
    size_t size;
    git_object_t type;
    if (git_odb_read_header(&size, &type, odb, oid) != 0 || type != GIT_OBJECT_BLOB)
        return -1;
    return (int64_t)size;
}

struct walk { git_repository *repo; git_odb *odb; struct tree_list *list; struct buf path; int depth; };

static int walk_tree(struct walk *w, const git_oid *oid, struct err *e);

static int walk_entry(struct walk *w, const git_tree_entry *entry, struct err *e)
{
    const char *name = git_tree_entry_name(entry);
    if (hostile_name(name))
        return err_set(e, ERR_INVALID, "the repository is hostile: in folder \"%s\" it holds the name \"%.100s\", which no git client makes; nothing was taken from it",
                       buf_cstr(&w->path), name);
    size_t before = w->path.len;
    if (before)
        buf_char(&w->path, '/');
    buf_str(&w->path, name);
    const git_oid *oid = git_tree_entry_id(entry);
    int rc;
    switch (git_tree_entry_filemode(entry)) {
    case GIT_FILEMODE_TREE: rc = walk_tree(w, oid, e); break;
    case GIT_FILEMODE_LINK: rc = add_item(w->list, w->path.data, GIT_LINK, oid, blob_size(w->odb, oid), e); break;
    case GIT_FILEMODE_COMMIT: rc = add_item(w->list, w->path.data, GIT_SUBMODULE, oid, 0, e); break;
    default: rc = add_item(w->list, w->path.data, GIT_FILE, oid, blob_size(w->odb, oid), e); break;
    }
    w->path.len = before;
    w->path.data[before] = 0;
    return rc;
}

static int walk_tree(struct walk *w, const git_oid *oid, struct err *e)
{
    size_t size;
    git_object_t type;
    git_tree *tree = NULL;
    if (w->depth >= TREE_DEPTH_MAX)
        return err_set(e, ERR_TOO_LARGE, "the folder \"%.300s...\" lies more than %d folders deep", buf_cstr(&w->path), TREE_DEPTH_MAX);
    if (++w->list->folders + w->list->n > w->list->limit)
        return too_many(w->list, e);
    int rc = git_odb_read_header(&size, &type, w->odb, oid);
    if (rc == 0 && size > TREE_BYTES_MAX)
        return err_set(e, ERR_TOO_LARGE, "the folder \"%s\" holds too many files", buf_cstr(&w->path));
    if (rc == 0)
        rc = git_tree_lookup(&tree, w->repo, oid);
    if (rc != 0)
        return fetch_error(e, rc, "the repository is broken: a folder cannot be read");
    w->depth++;
    size_t n = git_tree_entrycount(tree);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = walk_entry(w, git_tree_entry_byindex(tree, i), e);
    w->depth--;
    git_tree_free(tree);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    const struct tree_item *x = a, *y = b;
    return strcmp(x->path, y->path);
}

int tree_list_commit(git_repository *repo, const git_oid *commit_id, struct tree_list *ret, struct err *e)
{
    git_commit *commit = NULL;
    struct walk w = {.repo = repo, .list = ret};
    int rc = git_commit_lookup(&commit, repo, commit_id);
    if (rc == 0)
        rc = git_repository_odb(&w.odb, repo);
    rc = rc != 0 ? fetch_error(e, rc, "the commit cannot be read") : walk_tree(&w, git_commit_tree_id(commit), e);
    git_odb_free(w.odb);
    git_commit_free(commit);
    buf_done(&w.path);
    if (rc != 0)
        return rc;
    if (ret->n)
        qsort(ret->items, ret->n, sizeof(*ret->items), by_path);
    /* A hand-made tree can hold one name twice. */
    for (size_t i = 1; i < ret->n; i++)
        if (strcmp(ret->items[i - 1].path, ret->items[i].path) == 0)
            return err_set(e, ERR_INVALID, "the repository is hostile: it holds \"%.300s\" twice; nothing was taken from it", ret->items[i].path);
    return 0;
}

int tree_read(git_repository *repo, const struct tree_item *item, int64_t max, struct buf *out, struct err *e)
{
    if (item->kind == GIT_SUBMODULE || item->size < 0)
        return err_set(e, ERR_NOT_FOUND, "the repository does not hold the content of %.300s", item->path);
    if (item->size > max)
        return err_set(e, ERR_TOO_LARGE, "%.300s is %lld bytes long", item->path, (long long)item->size);
    git_blob *blob = NULL;
    int rc = git_blob_lookup(&blob, repo, &item->oid);
    if (rc != 0)
        return fetch_error(e, rc, "the repository is broken: a file cannot be read");
    if ((int64_t)git_blob_rawsize(blob) > max)
        rc = err_set(e, ERR_TOO_LARGE, "%.300s is too large", item->path);
    else
        buf_add(out, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
    git_blob_free(blob);
    return rc;
}

void tree_list_done(struct tree_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i].path);
    free(l->items);
    *l = (struct tree_list){0};
}
