/* The parent's side: starts the child, sends the request, collects the list, asks for files. A deadline and the caller's wish to stop are looked at
 * while waiting; either ends the child. */
#include "portal/core/arena.h"
#include "portal/core/clock.h"
#include "portal/core/fs.h"
#include "portal/git/git_private.h"
#include "portal/json/json.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct git_snapshot {
    struct arena *arena;
    int fd;
    pid_t pid;
    int64_t ms;
    char commit[41];
    bool unchanged;
    struct git_entry *entries;
    size_t n, cap;
    bool (*canceled)(void *arg);
    void *arg;
};

const char *git_snapshot_commit(const struct git_snapshot *s)
{
    return s->commit;
}

bool git_snapshot_unchanged(const struct git_snapshot *s)
{
    return s->unchanged;
}

const struct git_entry *git_snapshot_entries(const struct git_snapshot *s, size_t *ret_n)
{
    *ret_n = s->n;
    return s->entries;
}

void git_snapshot_close(struct git_snapshot *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    arena_free(s->arena);
    free(s);
}

/* ---- waiting ---- */

static int wait_readable(struct git_snapshot *s, int64_t deadline, struct err *e)
{
    for (;;) {
        int64_t left = deadline - clock_mono_ms();
        if (left <= 0)
            return err_set(e, ERR_TIMEOUT, "the git host took longer than %lld s; it was given up", (long long)(s->ms / 1000));
        if (s->canceled && s->canceled(s->arg))
            return err_set(e, ERR_CANCELED, "it was asked to stop");
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        int n = poll(&p, 1, left > 1000 ? 1000 : (int)left);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return err_errno(e, ERR_IO, errno, "cannot wait for the git helper");
    }
}

/* Why the child went without a word. */
static int child_ended(struct git_snapshot *s, struct err *e)
{
    int status = 0;
    pid_t pid = s->pid;
    s->pid = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        return err_set(e, ERR_TOO_LARGE, "the repository is too large: reading it took more processor time than one repository may take");
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        return err_set(e, ERR_TIMEOUT, "the git host took longer than %lld s; it was given up", (long long)(s->ms / 1000));
    if (WIFSIGNALED(status))
        return err_set(e, ERR_TOO_LARGE, "the git helper was ended by signal %d; the repository may unfold to more memory than one may take", WTERMSIG(status));
    return err_set(e, ERR_INTERNAL, "the git helper ended with status %d; it must be started by a program that hands over to git_helper_main()", WEXITSTATUS(status));
}

static int receive(struct git_snapshot *s, void *p, size_t n, int64_t deadline, struct err *e)
{
    for (size_t done = 0; done < n;) {
        int rc = wait_readable(s, deadline, e);
        if (rc != 0)
            return rc;
        ssize_t got = recv(s->fd, (char *)p + done, n - done, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return child_ended(s, e);
        done += (size_t)got;
    }
    return 0;
}

static int receive_frame(struct git_snapshot *s, char *ret_type, struct buf *out, int64_t deadline, struct err *e)
{
    char head[5];
    uint32_t len;
    buf_clear(out);
    int rc = receive(s, head, sizeof(head), deadline, e);
    if (rc != 0)
        return rc;
    memcpy(&len, head, 4);
    if (len > GIT_FRAME_MAX)
        return err_set(e, ERR_INTERNAL, "the git helper sent a frame of %u bytes", len);
    buf_reserve(out, len + 1u);
    rc = receive(s, out->data, len, deadline, e);
    if (rc != 0)
        return rc;
    out->len = len;
    out->data[len] = 0;
    *ret_type = head[4];
    if (*ret_type != FRAME_ERROR)
        return 0;
    int32_t code = ERR_INTERNAL;
    if (len >= sizeof(code))
        memcpy(&code, out->data, sizeof(code));
    return err_set(e, code < 0 ? code : ERR_INTERNAL, "%s", len > sizeof(code) ? out->data + sizeof(code) : "the git helper failed");
}

/* ---- starting ---- */

/* Only what reaching a host through a proxy and trusting its certificate may need. */
static void copy_environment(struct arena *a, char **out, size_t cap)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "ASAN_OPTIONS", "LSAN_OPTIONS", NULL};
    size_t n = 0;
    out[n++] = (char *)"HOME=/nonexistent"; /* without one, libgit2 gives up looking for known_hosts, and ssh with it */
    for (size_t i = 0; names[i] && n + 1 < cap; i++)
        if (getenv(names[i]))
            out[n++] = arena_printf(a, "%s=%s", names[i], getenv(names[i]));
    out[n] = NULL;
}

static int start_child(struct git_snapshot *s, struct err *e)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return err_errno(e, ERR_IO, errno, "cannot make a socket for the git helper");
    char *arguments[] = {(char *)"soma-git", (char *)GIT_HELPER_NAME, NULL}, *environment[16];
    copy_environment(s->arena, environment, 16);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pair[1], 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawn(&s->pid, "/proc/self/exe", &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(pair[1]);
    s->fd = pair[0];
    if (rc == 0)
        return 0;
    s->pid = 0;
    return err_errno(e, ERR_IO, rc, "cannot start the git helper");
}

static void put(json_t *j, const char *key, const char *value)
{
    if (value && *value)
        json_object_set_new(j, key, json_text(value));
}

void helper_put_common(json_t *j, const char *url, const struct git_credentials *c, const struct git_limits *l, int64_t ms)
{
    static const struct git_credentials none;
    if (!c)
        c = &none;
    put(j, "url", url);
    put(j, "username", c->username);
    put(j, "password", c->password);
    put(j, "ssh_key", c->ssh_key);
    put(j, "passphrase", c->passphrase);
    put(j, "host_key", c->host_key);
    json_object_set_new(j, "ms", json_integer(ms));
    json_object_set_new(j, "bytes", json_integer(l->bytes > 0 ? l->bytes : 256 << 20));
    json_object_set_new(j, "memory", json_integer(l->memory > 0 ? l->memory : 512 << 20));
    json_object_set_new(j, "entries", json_integer(l->entries > 0 ? (json_int_t)l->entries : 100000));
}

int helper_send(struct git_snapshot *s, enum frame_type type, const void *p, size_t n, struct err *e)
{
    if (frame_write(s->fd, type, p, n) == 0)
        return 0;
    /* It went before it had read all: it said why, or the way it ended tells. */
    BUF_AUTO b = BUF_INIT;
    char got;
    int rc = helper_receive(s, &got, &b, e);
    return rc ? rc : err_set(e, ERR_INTERNAL, "the git helper stopped listening");
}

static int send_request(struct git_snapshot *s, const struct git_request *r, struct err *e)
{
    json_t *j = json_object();
    helper_put_common(j, r->url, r->credentials, &r->limits, s->ms);
    put(j, "mirror", r->mirror);
    put(j, "known", r->known);
    json_object_set_new(j, "ref", json_text(r->ref ? r->ref : ""));
    struct buf text = BUF_INIT;
    json_write(j, &text);
    json_decref(j);
    int rc = helper_send(s, FRAME_REQUEST, text.data, text.len, e);
    buf_wipe(&text);
    return rc;
}

/* ---- the list ---- */

static int unpack_entries(struct git_snapshot *s, const struct buf *b, struct err *e)
{
    for (size_t at = 0; at < b->len;) {
        uint32_t len;
        if (b->len - at < 13)
            return err_set(e, ERR_INTERNAL, "the git helper sent a broken list");
        memcpy(&len, b->data + at + 9, 4);
        if (b->len - at - 13 < len)
            return err_set(e, ERR_INTERNAL, "the git helper sent a broken list");
        if (s->n == s->cap) {
            size_t cap = s->cap ? s->cap * 2 : 256;
            struct git_entry *grown = arena_alloc(s->arena, cap * sizeof(*grown));
            if (s->n)
                memcpy(grown, s->entries, s->n * sizeof(*grown));
            s->entries = grown;
            s->cap = cap;
        }
        struct git_entry *entry = &s->entries[s->n++];
        entry->kind = (enum git_kind)b->data[at];
        memcpy(&entry->size, b->data + at + 1, 8);
        entry->path = arena_strndup(s->arena, b->data + at + 13, len);
        at += 13 + len;
    }
    return 0;
}

static int collect(struct git_snapshot *s, struct err *e)
{
    BUF_AUTO b = BUF_INIT;
    int64_t deadline = clock_mono_ms() + s->ms;
    char type;
    for (;;) {
        int rc = receive_frame(s, &type, &b, deadline, e);
        if (rc != 0)
            return rc;
        if (type == FRAME_END)
            return s->commit[0] ? 0 : err_set(e, ERR_INTERNAL, "the git helper named no commit");
        if (type == FRAME_COMMIT && b.len == 41) {
            memcpy(s->commit, b.data, 40);
            s->unchanged = b.data[40] == '1';
        } else if (type == FRAME_ENTRIES) {
            rc = unpack_entries(s, &b, e);
        }
        if (rc != 0)
            return rc;
    }
}

/* The folder in which the mirror and its lock lie; a local repository needs none. */
static int make_mirror_folder(const struct git_request *r, struct err *e)
{
    char *local = url_local_path(r->url);
    const char *slash = r->mirror ? strrchr(r->mirror, '/') : NULL;
    bool needed = !local && slash && slash != r->mirror;
    free(local);
    if (!needed)
        return 0;
    char *folder = strndup(r->mirror, (size_t)(slash - r->mirror));
    int rc = fs_mkdirs(folder, 0700, e);
    free(folder);
    return rc;
}

int helper_start(int64_t ms, bool (*canceled)(void *arg), void *arg, struct git_snapshot **ret, struct err *e)
{
    struct git_snapshot *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for the git helper");
    s->arena = arena_new();
    s->fd = -1;
    s->ms = ms > 0 ? ms : 120000;
    s->canceled = canceled;
    s->arg = arg;
    int rc = start_child(s, e);
    if (rc != 0)
        git_snapshot_close(s);
    else
        *ret = s;
    return rc;
}

int helper_receive(struct git_snapshot *s, char *ret_type, struct buf *out, struct err *e)
{
    return receive_frame(s, ret_type, out, clock_mono_ms() + s->ms, e);
}

int git_snapshot_open(const struct git_request *r, struct git_snapshot **ret, struct err *e)
{
    struct git_snapshot *s = NULL;
    int rc = git_url_check(r->url, false, e);
    if (rc == 0)
        rc = make_mirror_folder(r, e);
    if (rc == 0)
        rc = helper_start(r->limits.ms, r->canceled, r->arg, &s, e);
    if (rc == 0)
        rc = send_request(s, r, e);
    if (rc == 0)
        rc = collect(s, e);
    if (rc != 0) {
        git_snapshot_close(s);
        return rc;
    }
    *ret = s;
    return 0;
}

int git_snapshot_read(struct git_snapshot *s, size_t index, size_t max, struct buf *out, struct err *e)
{
    char request[12], type;
    uint32_t i = (uint32_t)index;
    int64_t most = (int64_t)max;
    memcpy(request, &i, 4);
    memcpy(request + 4, &most, 8);
    if (s->pid <= 0)
        return err_set(e, ERR_INTERNAL, "the git helper is gone");
    if (frame_write(s->fd, FRAME_READ, request, sizeof(request)) != 0)
        return child_ended(s, e);
    BUF_AUTO b = BUF_INIT;
    int rc = receive_frame(s, &type, &b, clock_mono_ms() + s->ms, e);
    if (rc == 0)
        buf_add(out, b.data, b.len);
    return rc;
}

int git_mirror_remove(const char *mirror, struct err *e)
{
    BUF_AUTO lock = BUF_INIT;
    buf_printf(&lock, "%s.lock", mirror);
    FD_AUTO fd = open(lock.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(e, ERR_IO, errno, "cannot open %s", lock.data);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return 0;
    int rc = fs_remove_tree(mirror, e);
    if (rc == 0)
        unlink(lock.data);
    return rc;
}
