/* The parent's side of a first commit: looks at the paths, hands the files to the child, waits for its word. */
#include "portal/core/fs.h"
#include "portal/git/git_private.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* ---- paths ---- */

static bool is_bad_part(const char *p, size_t n)
{
    if (n == 0 || (n == 1 && *p == '.') || (n == 2 && !strncmp(p, "..", 2)) || (n >= 4 && !strncasecmp(p, ".git", 4) && (n == 4 || p[4] == ' ' || p[4] == '.')))
        return true;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] < ' ' || p[i] == 0x7f || p[i] == '\\' || p[i] == ':')
            return true;
    return n >= 4 && !strncasecmp(p, "git~", 4); /* a short name of .git elsewhere */
}

static bool is_bad_path(const char *path)
{
    if (!*path || strlen(path) > 400)
        return true;
    for (const char *p = path;; p++) {
        size_t n = strcspn(p, "/");
        if (is_bad_part(p, n))
            return true;
        p += n;
        if (!*p)
            return false;
    }
}

static int by_path(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* Whether a folder of `path` is a file of the commit. */
static bool lies_below_file(const char *const *paths, size_t n, const char *path)
{
    char folder[512];
    const char *key = folder;
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        memcpy(folder, path, (size_t)(slash - path));
        folder[slash - path] = 0;
        if (bsearch(&key, paths, n, sizeof *paths, by_path))
            return true;
    }
    return false;
}

static int check_paths(const struct git_publish *p, struct err *e)
{
    const char **paths = calloc(p->n_files + 1, sizeof *paths);
    int rc = paths ? 0 : err_set(e, ERR_NOMEM, "no memory for the names of files");
    for (size_t i = 0; i < p->n_files && rc == 0; i++) {
        paths[i] = p->files[i].path;
        if (is_bad_path(paths[i]))
            rc = err_set(e, ERR_INVALID, "the file \"%.200s\" cannot be in a repository: its name leads out, is empty, too long, or holds what no name may hold", paths[i]);
    }
    if (rc == 0)
        qsort(paths, p->n_files, sizeof *paths, by_path);
    for (size_t i = 0; i < p->n_files && rc == 0; i++) {
        if (i && !strcmp(paths[i], paths[i - 1]))
            rc = err_set(e, ERR_INVALID, "two files are called \"%.200s\"", paths[i]);
        else if (lies_below_file(paths, p->n_files, paths[i]))
            rc = err_set(e, ERR_INVALID, "\"%.200s\" lies in a folder that is a file too", paths[i]);
    }
    free(paths);
    return rc;
}

/* ---- the child ---- */

static void put(json_t *j, const char *key, const char *value)
{
    if (value)
        json_object_set_new(j, key, json_text(value));
}

static int send_request(const struct git_publish *p, struct git_snapshot *s, struct err *e)
{
    json_t *j = json_object();
    helper_put_common(j, p->url, p->credentials, &p->limits, p->limits.ms > 0 ? p->limits.ms : 120000);
    put(j, "scratch", p->scratch);
    put(j, "base", p->base);
    put(j, "branch", p->branch);
    put(j, "author", p->author);
    put(j, "email", p->email);
    put(j, "message", p->message);
    json_object_set_new(j, "time", json_integer(p->time));
    json_object_set_new(j, "look_only", json_boolean(p->look_only));
    struct buf text = BUF_INIT;
    json_write(j, &text);
    json_decref(j);
    int rc = helper_send(s, FRAME_REQUEST, text.data, text.len, e);
    buf_wipe(&text);
    return rc;
}

static int send_files(const struct git_publish *p, struct git_snapshot *s, struct err *e)
{
    BUF_AUTO b = BUF_INIT;
    int rc = 0;
    for (size_t i = 0; i < p->n_files && rc == 0 && !p->look_only; i++) {
        const struct git_new_file *f = &p->files[i];
        uint32_t n = (uint32_t)strlen(f->path);
        if (f->len > GIT_FRAME_MAX - 1024)
            return err_set(e, ERR_TOO_LARGE, "the file \"%.200s\" is too large for a commit", f->path);
        buf_clear(&b);
        buf_char(&b, f->executable ? '1' : '0');
        buf_add(&b, &n, 4);
        buf_add(&b, f->path, n);
        buf_add(&b, f->data, f->len);
        rc = helper_send(s, FRAME_FILE, b.data, b.len, e);
    }
    return rc ? rc : helper_send(s, FRAME_END, NULL, 0, e);
}

static int take_answer(struct git_snapshot *s, char ret_commit[41], bool *ret_before, struct err *e)
{
    BUF_AUTO b = BUF_INIT;
    char type = 0;
    int rc = helper_receive(s, &type, &b, e);
    if (rc == 0 && (type != FRAME_COMMIT || b.len != 41))
        rc = err_set(e, ERR_INTERNAL, "the git helper named no commit");
    if (rc)
        return rc;
    memcpy(ret_commit, b.data, 40);
    ret_commit[40] = 0;
    *ret_before = b.data[40] == '1';
    return 0;
}

static int make_scratch(const char *scratch, struct err *e)
{
    int rc = fs_remove_tree(scratch, e);
    return rc ? rc : fs_mkdirs(scratch, 0700, e);
}

int git_publish(const struct git_publish *p, char ret_commit[41], bool *ret_before, struct err *e)
{
    struct git_snapshot *s = NULL;
    bool with_credentials = p->credentials && (p->credentials->password || p->credentials->ssh_key);
    int rc = git_url_check(p->url, with_credentials, e);
    if (rc == 0)
        rc = git_ref_check(p->branch, e);
    if (rc == 0)
        rc = check_paths(p, e);
    if (rc == 0)
        rc = make_scratch(p->scratch, e);
    if (rc == 0)
        rc = helper_start(p->limits.ms, p->canceled, p->arg, &s, e);
    if (rc == 0)
        rc = send_request(p, s, e);
    if (rc == 0)
        rc = send_files(p, s, e);
    if (rc == 0)
        rc = take_answer(s, ret_commit, ret_before, e);
    git_snapshot_close(s);
    struct err late = ERR_INIT;
    fs_remove_tree(p->scratch, &late); /* what stays is removed at the next start */
    return rc;
}
