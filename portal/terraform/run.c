/* One phase of one run. A single loop reads what the leash reports, what the engine writes and how the state grows; the one other thread tells
 * the leash about the lease, so that a callback that waits for the database does not cost the run its life.
 *
 * The engine writes its -json lines into a file, not a pipe: what it said before it died is there for whoever comes after us. */
#include "portal/core/clock.h"
#include "portal/core/fs.h"
#include "portal/crypto/crypto.h"
#include "portal/terraform/leash_proto.h"
#include "portal/terraform/terraform_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROVIDERS_MAX 32
#define ENGINE 0 /* index of the engine's box at the leash; provider i is i + 1 */
#define STDERR_KEPT 16384
#define DIAGNOSTICS_MAX 100
#define TICK_MS 200
#define LEASE_TICK_MS 200
#define DOCUMENT_MAX ((size_t)256 << 20)

struct child {
    bool running, ended;
    int status;
    int out, err; /* ends of pipes that we read; -1 */
    struct buf out_text, err_text;
};

struct run {
    struct tf_dir *d;
    const struct tf_spec *s;
    struct arena *a;
    struct tf_result *r;
    struct err *e;
    const char *bwrap, *reattach;
    struct tf_masker *mask;
    const char *const *secrets;
    struct tf_leash *leash;
    int inotify, journal;
    struct buf line;        /* of the journal, not yet whole */
    bool skip_line;         /* it grew too long */
    bool lost;              /* a provider did not answer the engine */
    const char *dead;       /* which, when that is known */
    size_t journal_read;
    const char *lineage;
    struct buf last;        /* the last complete state that was seen: the file may be cut off later */
    int64_t serial;         /* last one handed to on_state, or the prior one */
    int64_t deadline;       /* monotonic */
    int state_code;         /* what on_state returned */
    size_t diagnostics_cap;
    struct child child[PROVIDERS_MAX + 1];
    struct {
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t wake;
        bool started, stop;
    } pinger;
};

/* ---- the lease ---- */

static int64_t lease_until(const struct run *r)
{
    return r->s->cb.lease_until ? r->s->cb.lease_until(r->s->cb.user) : LEASH_NO_LEASE;
}

static void *ping(void *arg)
{
    struct run *r = arg;
    int64_t told = -1;
    pthread_mutex_lock(&r->pinger.lock);
    while (!r->pinger.stop) {
        pthread_mutex_unlock(&r->pinger.lock);
        int64_t until = lease_until(r);
        if (until != told)
            tf_leash_lease(r->leash, told = until);
        pthread_mutex_lock(&r->pinger.lock);
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_nsec += LEASE_TICK_MS * 1000000;
        t.tv_sec += t.tv_nsec / 1000000000;
        t.tv_nsec %= 1000000000;
        if (!r->pinger.stop)
            pthread_cond_timedwait(&r->pinger.wake, &r->pinger.lock, &t);
    }
    pthread_mutex_unlock(&r->pinger.lock);
    return NULL;
}

static int pinger_start(struct run *r, struct err *e)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->pinger.lock, NULL);
    pthread_cond_init(&r->pinger.wake, &attr);
    pthread_condattr_destroy(&attr);
    int cause = pthread_create(&r->pinger.thread, NULL, ping, r);
    if (cause)
        return err_errno(e, ERR_UNAVAILABLE, cause, "cannot start the lease's thread");
    r->pinger.started = true;
    return 0;
}

static void pinger_stop(struct run *r)
{
    if (!r->pinger.started)
        return;
    pthread_mutex_lock(&r->pinger.lock);
    r->pinger.stop = true;
    pthread_cond_signal(&r->pinger.wake);
    pthread_mutex_unlock(&r->pinger.lock);
    pthread_join(r->pinger.thread, NULL);
    pthread_cond_destroy(&r->pinger.wake);
    pthread_mutex_destroy(&r->pinger.lock);
    r->pinger.started = false;
}

/* ---- diagnostics and events ---- */

static bool same(const struct tf_diagnostic *x, const struct tf_diagnostic *y)
{
    return x->line == y->line && !strcmp(x->summary, y->summary) && !strcmp(x->detail, y->detail) && !strcmp(x->address, y->address) && !strcmp(x->file, y->file);
}

static void add_diagnostic(struct run *r, const struct tf_diagnostic *d)
{
    struct tf_result *res = r->r;
    for (size_t i = 0; i < res->n_diagnostics; i++)
        if (same(&res->diagnostics[i], d))
            return;
    if (res->n_diagnostics >= DIAGNOSTICS_MAX)
        return;
    if (!res->diagnostics)
        res->diagnostics = arena_alloc(r->a, DIAGNOSTICS_MAX * sizeof *res->diagnostics);
    res->diagnostics[res->n_diagnostics++] = *d;
}

static void add_words(struct run *r, const char *summary, const char *detail)
{
    add_diagnostic(r, &(struct tf_diagnostic){.severity = "error", .summary = summary, .detail = tf_masker_text(r->mask, r->a, detail), .address = "", .file = "",
                                              .code = ""});
}

static bool is_told(const struct run *r, const struct tf_event *ev)
{
    if (ev->type == TF_EVENT_OTHER || ev->type == TF_EVENT_VERSION)
        return false;
    /* An apply repeats what its plan has told. */
    return !(r->s->phase == TF_APPLY && (ev->type == TF_EVENT_PLANNED_CHANGE || ev->type == TF_EVENT_RESOURCE_DRIFT));
}

static void take_line(struct run *r, const char *line, size_t n)
{
    ARENA_AUTO a = arena_new();
    struct tf_event ev;
    if (!n || *line != '{' || !tf_event_read_masked(a, line, n, r->mask, &ev))
        return;
    if (ev.type == TF_EVENT_DIAGNOSTIC) {
        struct tf_event kept;
        if (tf_event_read_masked(r->a, line, n, r->mask, &kept)) { /* the list outlives the line */
            add_diagnostic(r, &kept.diagnostic);
            r->lost |= !strcmp(kept.diagnostic.severity, "error") && tf_words_provider_lost(kept.diagnostic.summary, kept.diagnostic.detail);
        }
    }
    if (!r->s->cb.on_event || !is_told(r, &ev))
        return;
    BUF_AUTO json = BUF_INIT;
    tf_event_write(&ev, &json);
    r->s->cb.on_event(r->s->cb.user, &ev, buf_cstr(&json));
}

static void take_lines(struct run *r, const char *text, size_t n)
{
    while (n) {
        const char *end = memchr(text, '\n', n);
        size_t k = end ? (size_t)(end - text) : n;
        if (r->line.len + k > TF_LINE_MAX)
            r->skip_line = true;
        if (!r->skip_line)
            buf_add(&r->line, text, k);
        if (!end)
            return;
        if (!r->skip_line && r->line.len)
            take_line(r, r->line.data, r->line.len);
        buf_clear(&r->line);
        r->skip_line = false;
        text += k + 1;
        n -= k + 1;
    }
}

static void stop(struct run *r, enum tf_stopped why)
{
    if (r->r->stopped == TF_STOPPED_NOT)
        r->r->stopped = why;
}

static void read_journal(struct run *r)
{
    char piece[65536];
    ssize_t n;
    if (r->journal < 0)
        return;
    while ((n = pread(r->journal, piece, sizeof piece, (off_t)r->journal_read)) > 0) {
        r->journal_read += (size_t)n;
        take_lines(r, piece, (size_t)n);
        if (r->journal_read > TF_JOURNAL_MAX) {
            stop(r, TF_STOPPED_OUTPUT);
            return;
        }
    }
}

/* ---- state ---- */

static void keep_state(struct run *r, const void *bytes, size_t n, int64_t serial, const char *lineage)
{
    r->r->state = bytes;
    r->r->state_len = n;
    r->r->serial = r->serial = serial;
    r->r->lineage = r->lineage = lineage;
}

static void tell_state(struct run *r, const void *bytes, size_t n, int64_t serial, const char *lineage)
{
    if (r->state_code || !r->s->cb.on_state)
        return;
    r->state_code = r->s->cb.on_state(r->s->cb.user, serial, lineage, bytes, n, r->e);
    if (r->state_code)
        stop(r, TF_STOPPED_STATE);
}

static bool writes_state(const struct run *r)
{
    return r->s->phase == TF_APPLY || r->s->phase == TF_IMPORT;
}

/* After a change of the file. Each state is read into an arena of its own: a long apply writes hundreds. */
static void watch_state(struct run *r)
{
    if (!writes_state(r))
        return;
    ARENA_AUTO a = arena_new();
    BUF_AUTO b = BUF_INIT;
    int64_t serial;
    const char *lineage;
    if (fs_read(arena_printf(a, "%s/w/terraform.tfstate", tf_dir_path(r->d)), TF_STATE_MAX, &b, NULL) == 0 &&
        tf_state_read(a, b.data, b.len, &serial, &lineage) && (!r->lineage || !strcmp(r->lineage, lineage)) && serial > r->serial) {
        r->serial = serial;
        r->lineage = arena_strdup(r->a, lineage);
        struct buf older = r->last;
        r->last = b;
        b = older;
        fs_write_atomic(arena_printf(a, "%s/" TF_STATE_COPY, tf_dir_path(r->d)), r->last.data, r->last.len, 0600, NULL);
        tell_state(r, r->last.data, r->last.len, serial, lineage);
    }
    if (b.data)
        crypto_wipe(b.data, b.len);
}

/* When all is over: what the file holds now, or what it held before it was cut off in mid-write. */
static void collect_state(struct run *r)
{
    const void *bytes;
    size_t n;
    int64_t serial, told = r->serial;
    const char *lineage;
    if (!writes_state(r))
        return;
    if (tf_state_collect(r->a, tf_dir_path(r->d), r->s->workdir, r->lineage, told, &bytes, &n, &serial, &lineage) && serial >= told) {
        keep_state(r, bytes, n, serial, lineage);
        if (serial > told)
            tell_state(r, bytes, n, serial, lineage);
    } else if (r->last.len) {
        keep_state(r, arena_memdup(r->a, r->last.data, r->last.len), r->last.len, told, r->lineage);
    } else if (r->s->state) {
        keep_state(r, r->s->state, r->s->state_len, told, r->lineage);
    }
}

/* An engine that was killed leaves what it had begun in its journal alone: OpenTofu writes no state after each resource. One that failed tells what it was refused. */
static void collect_journal(struct run *r)
{
    if (r->s->phase != TF_APPLY || r->r->ok || !tf_journal_read(r->a, tf_dir_path(r->d), &r->r->journal, &r->r->journal_len))
        return;
    bool cut = r->r->stopped || r->r->exit_status > 128;
    r->r->unsaved = !cut && tf_recovery_behind(r->r->journal, r->r->journal_len, r->r->state, r->r->state_len);
}

/* ---- the loop ---- */

static void read_pipe(int *fd, struct buf *b, size_t keep)
{
    char piece[8192];
    ssize_t n = read(*fd, piece, sizeof piece);
    if (n <= 0) {
        if (n == 0 || (errno != EINTR && errno != EAGAIN))
            fs_closep(fd);
        return;
    }
    buf_add(b, piece, (size_t)n);
    if (b->len > 2 * keep) { /* the end tells more than the beginning */
        memmove(b->data, b->data + b->len - keep, keep);
        b->len = keep;
        b->data[keep] = 0;
    }
}

static void leash_says(struct run *r, const struct tf_leash_event *ev)
{
    if (ev->kind == LEASH_ENDED) {
        stop(r, ev->value == LEASH_REASON_LEASE ? TF_STOPPED_LEASE : TF_STOPPED_LEASH);
        return;
    }
    if (ev->index < 0 || ev->index > PROVIDERS_MAX)
        return;
    struct child *c = &r->child[ev->index];
    if (ev->kind == LEASH_STARTED)
        c->running = true;
    if (ev->kind == LEASH_FAILED)
        buf_printf(&c->err_text, "bwrap: cannot start %s: %s\n", ev->text, strerror((int)ev->value));
    if (ev->kind == LEASH_EXITED || ev->kind == LEASH_FAILED) {
        c->running = false;
        c->ended = true;
        c->status = ev->kind == LEASH_EXITED ? (int)ev->value : 127 << 8;
    }
}

static void read_leash(struct run *r)
{
    struct tf_leash_event ev;
    int rc;
    while ((rc = tf_leash_next(r->leash, &ev)) > 0)
        leash_says(r, &ev);
    if (rc < 0)
        stop(r, TF_STOPPED_LEASH);
}

static void check_stops(struct run *r)
{
    if (r->s->phase != TF_APPLY && r->s->cancel && atomic_load(r->s->cancel))
        stop(r, TF_STOPPED_CANCEL);
    if (lease_until(r) <= 0)
        stop(r, TF_STOPPED_LEASE);
    if (clock_mono_ms() > r->deadline)
        stop(r, TF_STOPPED_TIMEOUT);
}

static void pump(struct run *r)
{
    struct pollfd p[2 + 2 * (PROVIDERS_MAX + 1)] = {{tf_leash_fd(r->leash), POLLIN, 0}, {r->inotify, POLLIN, 0}};
    nfds_t n = 2 + 2 * (nfds_t)(r->s->n_providers + 1);
    for (nfds_t i = 2; i < n; i++)
        p[i] = (struct pollfd){i % 2 ? r->child[i / 2 - 1].err : r->child[i / 2 - 1].out, POLLIN, 0};
    poll(p, n, TICK_MS);
    for (nfds_t i = 2; i < n; i++)
        if (p[i].fd >= 0 && p[i].revents) {
            struct child *c = &r->child[i / 2 - 1];
            read_pipe(i % 2 ? &c->err : &c->out, i % 2 ? &c->err_text : &c->out_text, STDERR_KEPT);
        }
    if (p[0].revents)
        read_leash(r);
    if (p[1].revents) {
        char events[8192];
        while (read(r->inotify, events, sizeof events) > 0)
            ;
        watch_state(r);
    }
    read_journal(r);
    check_stops(r);
}

/* ---- children ---- */

static int memory_file(const char *name, const struct buf *content, struct err *e)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0 || (content && (write(fd, content->data, content->len) != (ssize_t)content->len || lseek(fd, 0, SEEK_SET))))
        return err_errno(e, ERR_IO, errno, "cannot make a file in memory");
    return fd;
}

static int start_child(struct run *r, int index, const struct buf *box, const char *program, const char *const *args, int out_fd)
{
    const char *argv[40] = {r->bwrap, "--args", "3", "--setenv", "SOMA_RUN", tf_dir_run(r->d), "--", program};
    struct child *c = &r->child[index];
    int ends[2], n = 8;
    for (; args && *args && n < 39; args++)
        argv[n++] = *args;
    FD_AUTO given = memory_file("box", box, r->e);
    if (given < 0)
        return given;
    if (pipe2(ends, O_CLOEXEC))
        return err_errno(r->e, ERR_IO, errno, "cannot make a pipe");
    FD_AUTO theirs = ends[1];
    fs_closep(&c->err);
    buf_clear(&c->err_text);
    c->err = ends[0];
    fcntl(c->err, F_SETFL, O_NONBLOCK);
    c->running = c->ended = false;
    return tf_leash_spawn(r->leash, index, (char *const *)(uintptr_t)argv, given, out_fd, theirs, r->e);
}

/* What a child wrote on stderr, what is still in the pipe included. */
static const char *last_words(struct run *r, struct child *c)
{
    while (c->err >= 0) {
        size_t before = c->err_text.len;
        read_pipe(&c->err, &c->err_text, STDERR_KEPT);
        if (c->err >= 0 && c->err_text.len == before)
            break;
    }
    const char *words = buf_cstr(&c->err_text);
    size_t n = strlen(words);
    return tf_masker_text(r->mask, r->a, arena_strdup(r->a, n > 4000 ? words + n - 4000 : words));
}

static int box_failed(struct run *r, const char *words)
{
    return err_set(r->e, ERR_UNAVAILABLE, "bubblewrap could not make the box (%.400s). It needs unprivileged user namespaces: "
                   "`bwrap --unshare-user --ro-bind / / true` must work for the account of the node", words);
}

/* ---- providers ---- */

static int start_provider(struct run *r, size_t i)
{
    struct child *c = &r->child[i + 1];
    BUF_AUTO box = BUF_INIT;
    int ends[2], rc = tf_box_provider(&box, r->d, r->s, i, r->e);
    if (!rc && pipe2(ends, O_CLOEXEC))
        rc = err_errno(r->e, ERR_IO, errno, "cannot make a pipe");
    if (!rc) {
        c->out = ends[0];
        fcntl(c->out, F_SETFL, O_NONBLOCK);
        rc = start_child(r, (int)i + 1, &box, "/provider", NULL, ends[1]);
        close(ends[1]);
    }
    buf_wipe(&box);
    return rc;
}

static int provider_failed(struct run *r, size_t i, const char *what)
{
    struct child *c = &r->child[i + 1];
    const char *words = last_words(r, c);
    if (!strncmp(words, "bwrap: ", 7))
        return box_failed(r, words);
    return err_set(r->e, ERR_UNAVAILABLE, "the provider %s (%s) did not start: %s%s%.500s", r->s->providers[i].address, r->s->providers[i].binary, what,
                   *words ? ": " : "", words);
}

/* 1 it is up, 0 not yet. */
static int provider_up(struct run *r, size_t i, struct tf_attached *ret)
{
    struct child *c = &r->child[i + 1];
    struct err why = ERR_INIT;
    if (c->out_text.len && strchr(c->out_text.data, '\n')) {
        if (tf_handshake_read(r->a, c->out_text.data, &ret->protocol, &ret->socket, &why))
            return provider_failed(r, i, why.msg);
        ret->address = r->s->providers[i].address;
        return 1;
    }
    return c->ended ? provider_failed(r, i, "it ended at once") : 0;
}

static int stopped_error(struct run *r);

static int start_providers(struct run *r)
{
    struct tf_attached up[PROVIDERS_MAX] = {0};
    int64_t until = clock_mono_ms() + (r->s->provider_ms ? r->s->provider_ms : 60000);
    size_t ready = 0;
    int rc = 0;
    for (size_t i = 0; !rc && i < r->s->n_providers; i++)
        rc = start_provider(r, i);
    while (!rc && ready < r->s->n_providers) {
        for (ready = 0; ready < r->s->n_providers; ready++) {
            int one = provider_up(r, ready, &up[ready]);
            if (one < 0)
                return one;
            if (one == 0)
                break;
        }
        if (ready == r->s->n_providers)
            break;
        pump(r);
        if (r->r->stopped)
            return stopped_error(r);
        if (clock_mono_ms() > until)
            return provider_failed(r, ready, "it said nothing in time");
    }
    r->reattach = tf_reattach_json(r->a, up, r->s->n_providers);
    return rc;
}

static void note_dead_providers(struct run *r)
{
    for (size_t i = 0; i < r->s->n_providers; i++) {
        struct child *c = &r->child[i + 1];
        if (!c->ended)
            continue;
        bool by_signal = WIFSIGNALED(c->status) || WEXITSTATUS(c->status) > 128;
        int n = WIFSIGNALED(c->status) ? WTERMSIG(c->status) : WEXITSTATUS(c->status) > 128 ? WEXITSTATUS(c->status) - 128 : WEXITSTATUS(c->status);
        r->dead = arena_printf(r->a, "The provider %s ended while it was needed (%s %d)", r->s->providers[i].address, by_signal ? "signal" : "status", n);
        add_words(r, r->dead, last_words(r, c));
    }
}

/* ---- the engine ---- */

/* Runs one command of the engine to its end; its status is in r->r->exit_status. */
static int engine(struct run *r, const char *const *args, int out_fd)
{
    struct child *c = &r->child[ENGINE];
    BUF_AUTO box = BUF_INIT;
    tf_box_engine(&box, r->d, r->s, r->reattach);
    int rc = start_child(r, ENGINE, &box, "/engine", args, out_fd);
    while (!rc && !c->ended && !r->r->stopped)
        pump(r);
    if (rc)
        return rc;
    if (!c->ended)
        return stopped_error(r);
    read_journal(r);
    r->r->exit_status = WIFEXITED(c->status) ? WEXITSTATUS(c->status) : 128 + WTERMSIG(c->status);
    const char *words = last_words(r, c);
    if (r->r->exit_status && !strncmp(words, "bwrap: ", 7))
        return box_failed(r, words);
    return 0;
}

static int read_memory(struct run *r, int fd, const char **ret, size_t *ret_n)
{
    struct stat st;
    if (fstat(fd, &st))
        return err_errno(r->e, ERR_IO, errno, "cannot read the engine's answer");
    if ((size_t)st.st_size > DOCUMENT_MAX)
        return err_set(r->e, ERR_TOO_LARGE, "the engine's answer is larger than %zu MiB", DOCUMENT_MAX >> 20);
    char *text = arena_alloc(r->a, (size_t)st.st_size + 1);
    size_t n = 0;
    for (ssize_t k; n < (size_t)st.st_size && (k = pread(fd, text + n, (size_t)st.st_size - n, (off_t)n)) > 0;)
        n += (size_t)k;
    *ret = text;
    *ret_n = n;
    return 0;
}

/* A command that answers with one document or a few lines; kept in memory, for it may hold values. */
static int engine_answer(struct run *r, const char *const *args, const char **ret, size_t *ret_n)
{
    FD_AUTO out = memory_file("answer", NULL, r->e);
    if (out < 0)
        return out;
    int rc = engine(r, args, out);
    return rc ? rc : read_memory(r, out, ret, ret_n);
}

/* An engine that fails without a diagnostic (a crash, an unknown option) has at least written something. */
static void failed_without_words(struct run *r, const char *command)
{
    for (size_t i = 0; i < r->r->n_diagnostics; i++)
        if (!strcmp(r->r->diagnostics[i].severity, "error"))
            return;
    add_words(r, arena_printf(r->a, "%s %s ended with status %d", r->s->engine.name, command, r->r->exit_status), last_words(r, &r->child[ENGINE]));
}

static int init(struct run *r)
{
    static const char *const args[] = {"init", "-no-color", "-input=false", "-json", NULL};
    const char *text;
    size_t n;
    int rc = engine_answer(r, args, &text, &n);
    if (rc)
        return rc;
    take_lines(r, text, n);
    buf_clear(&r->line);
    if (r->r->exit_status)
        failed_without_words(r, "init");
    return 0;
}

static int validate(struct run *r)
{
    static const char *const args[] = {"validate", "-no-color", "-json", NULL};
    const char *text;
    size_t n, i;
    json_t *d;
    int rc = engine_answer(r, args, &text, &n);
    if (rc)
        return rc;
    TF_JSON_AUTO root = tf_json_load(text, n, NULL);
    json_array_foreach(json_object_get(root, "diagnostics"), i, d) {
        struct tf_diagnostic one;
        tf_diagnostic_read(r->a, d, r->mask, &one);
        add_diagnostic(r, &one);
    }
    r->r->ok = !r->r->exit_status && json_is_true(json_object_get(root, "valid"));
    if (!r->r->ok)
        failed_without_words(r, "validate");
    return 0;
}

/* Opens the journal and runs a command that writes into it. */
static int engine_journal(struct run *r, const char *const *args)
{
    const char *path = arena_printf(r->a, "%s/" TF_JOURNAL, tf_dir_path(r->d));
    FD_AUTO out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    r->journal = open(path, O_RDONLY | O_CLOEXEC);
    if (out < 0 || r->journal < 0)
        return err_errno(r->e, ERR_IO, errno, "cannot make %s", path);
    if (fallocate(out, FALLOC_FL_KEEP_SIZE, 0, TF_JOURNAL_ROOM) && errno == ENOSPC)
        return err_errno(r->e, ERR_IO, ENOSPC, "there is no room for the engine's journal %s", path);
    return engine(r, args, out);
}

static int read_plan(struct run *r)
{
    static const char *const args[] = {"show", "-no-color", "-json", "/w/plan", NULL};
    BUF_AUTO b = BUF_INIT;
    int status = r->r->exit_status;
    int rc = fs_read(arena_printf(r->a, "%s/w/plan", tf_dir_path(r->d)), DOCUMENT_MAX, &b, r->e);
    if (rc)
        return rc;
    r->r->plan = arena_memdup(r->a, b.data, b.len);
    r->r->plan_len = b.len;
    crypto_wipe(b.data, b.len);
    rc = engine_answer(r, args, &r->r->plan_json, &r->r->plan_json_len);
    if (rc)
        return rc;
    if (r->r->exit_status) {
        failed_without_words(r, "show");
        return 0;
    }
    r->r->exit_status = status;
    rc = tf_plan_read(r->a, r->r->plan_json, r->r->plan_json_len, r->secrets, &r->r->plan_read, r->e);
    r->r->ok = !rc;
    r->r->changes = status == 2;
    return rc;
}

static int plan(struct run *r)
{
    const char *args[12] = {"plan", "-no-color", "-input=false", "-lock=false", "-json", "-out=/w/plan", "-detailed-exitcode"};
    int n = 7;
    if (r->s->tfvars_json)
        args[n++] = "-var-file=/w/tfvars.json";
    if (r->s->phase == TF_PLAN_DESTROY)
        args[n++] = "-destroy";
    int rc = engine_journal(r, args);
    if (rc)
        return rc;
    if (r->r->exit_status == 0 || r->r->exit_status == 2)
        return read_plan(r);
    failed_without_words(r, "plan");
    return 0;
}

static int apply(struct run *r)
{
    const char *args[12] = {"apply", "-no-color", "-input=false", "-lock=false", "-json"};
    int n = 5;
    if (r->s->tfvars_json)
        args[n++] = "-var-file=/w/tfvars.json";
    args[n++] = "/w/plan";
    int rc = engine_journal(r, args);
    if (rc)
        return rc;
    r->r->ok = !r->r->exit_status;
    if (!r->r->ok)
        failed_without_words(r, "apply");
    return 0;
}

/* The command has no -json form: its first error is its first line after "Error: ". */
static void import_failed(struct run *r, struct tf_imported *ret)
{
    const char *words = last_words(r, &r->child[ENGINE]), *error = strstr(words, "Error: ");
    error = error ? error + 7 : words;
    const char *summary = arena_strndup(r->a, error, strcspn(error, "\n"));
    ret->why = summary;
    ret->end = tf_words_absent(error) ? TF_IMPORT_ABSENT : tf_words_unimportable(error) ? TF_IMPORT_IMPOSSIBLE : TF_IMPORT_FAILED;
    if (ret->end == TF_IMPORT_FAILED)
        add_words(r, *summary ? summary : "the import ended without a word", error + strlen(summary));
}

static int import_one(struct run *r, const struct tf_import *one, struct tf_imported *ret)
{
    const char *args[12] = {"import", "-no-color", "-input=false", "-lock=false"}, *text;
    int n = 4;
    size_t len;
    if (r->s->tfvars_json)
        args[n++] = "-var-file=/w/tfvars.json";
    args[n++] = "--";
    args[n++] = one->address;
    args[n++] = one->id;
    int rc = engine_answer(r, args, &text, &len);
    if (rc)
        return rc;
    ret->end = TF_IMPORT_DONE;
    if (r->r->exit_status)
        import_failed(r, ret);
    return 0;
}

static int import(struct run *r)
{
    r->r->ok = true;
    for (size_t i = 0; r->r->ok && i < r->s->n_imports; i++) {
        int rc = import_one(r, &r->s->imports[i], &r->r->imports[i]);
        if (rc)
            return rc;
        r->r->ok = r->r->imports[i].end != TF_IMPORT_FAILED;
    }
    return 0;
}

static int phase(struct run *r)
{
    int rc = start_providers(r);
    if (!rc)
        rc = init(r);
    if (rc || r->r->exit_status)
        return rc;
    switch (r->s->phase) {
    case TF_VALIDATE: return validate(r);
    case TF_APPLY: return apply(r);
    case TF_IMPORT: return import(r);
    default: return plan(r);
    }
}

/* ---- beginning and end ---- */

static int stopped_error(struct run *r)
{
    switch (r->r->stopped) {
    case TF_STOPPED_CANCEL: return err_set(r->e, ERR_CANCELED, "the run was canceled");
    case TF_STOPPED_LEASE: return err_set(r->e, ERR_FENCED, "the run was ended because its lease ran out");
    case TF_STOPPED_TIMEOUT: return err_set(r->e, ERR_TIMEOUT, "the run took longer than %lld s and was ended", (long long)r->s->wall_ms / 1000);
    case TF_STOPPED_STATE: return r->state_code; /* r->e has on_state's words */
    case TF_STOPPED_OUTPUT: return err_set(r->e, ERR_TOO_LARGE, "the engine wrote more than %zu MiB and was ended", TF_JOURNAL_MAX >> 20);
    case TF_STOPPED_PROVIDER: return err_set(r->e, ERR_UNAVAILABLE, "a provider died in mid-apply%s%s", r->dead ? ": " : "", r->dead ? r->dead : "");
    default: return err_set(r->e, ERR_UNAVAILABLE, "the run's supervisor (soma-leash) ended, and the run with it");
    }
}

static bool is_secret_name(const char *entry, size_t n)
{
    static const char *const words[] = {"PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (memmem(entry, n, words[i], strlen(words[i])))
            return true;
    return false;
}

static void add_secret(const char **all, size_t *n, const char *s)
{
    if (s && strlen(s) >= 8)
        all[(*n)++] = s;
}

/* The caller's secrets, the credentials by their names, and the sensitive outputs of the prior state. */
static void gather_secrets(struct run *r)
{
    struct tf_output *outputs = NULL;
    size_t n_outputs = 0, n = 0, most = 1;
    if (r->s->state)
        tf_state_outputs(r->a, r->s->state, r->s->state_len, &outputs, &n_outputs, NULL);
    for (const char *const *s = r->s->secrets; s && *s; s++)
        most++;
    for (size_t i = 0; i < r->s->n_providers; i++)
        for (const char *const *s = r->s->providers[i].env; s && *s; s++)
            most++;
    const char **all = arena_alloc(r->a, (most + n_outputs) * sizeof *all);
    for (const char *const *s = r->s->secrets; s && *s; s++)
        all[n++] = *s;
    for (size_t i = 0; i < r->s->n_providers; i++)
        for (const char *const *s = r->s->providers[i].env; s && *s; s++) {
            const char *equals = strchr(*s, '=');
            if (equals && is_secret_name(*s, (size_t)(equals - *s)))
                add_secret(all, &n, equals + 1);
        }
    for (size_t i = 0; i < n_outputs; i++) {
        TF_JSON_AUTO v = outputs[i].sensitive ? json_loads(outputs[i].value_json, JSON_DECODE_ANY, NULL) : NULL;
        add_secret(all, &n, arena_strdup(r->a, json_string_value(v)));
    }
    r->secrets = all;
    r->mask = tf_masker_new(r->a, all);
}

static int check_spec(struct run *r)
{
    const struct tf_spec *s = r->s;
    if (!s->engine.path || (s->workdir && !tf_path_inside(s->workdir)))
        return err_set(r->e, ERR_INVALID, "the run names no engine, or a root module outside of the template");
    if (s->n_providers > PROVIDERS_MAX)
        return err_set(r->e, ERR_INVALID, "the template uses more than %d providers", PROVIDERS_MAX);
    if (s->phase == TF_APPLY && (!s->plan || !s->plan_len))
        return err_set(r->e, ERR_INVALID, "an apply needs the plan that was approved");
    r->bwrap = tf_program_find(r->a, s->bwrap ? s->bwrap : "bwrap");
    if (!r->bwrap)
        return err_set(r->e, ERR_UNAVAILABLE, "bubblewrap is not installed: runs are never started without their box. Install the package bubblewrap (program `bwrap`)");
    r->r->imports = arena_alloc(r->a, (s->n_imports + 1) * sizeof *r->r->imports);
    if (s->state && !tf_state_read(r->a, s->state, s->state_len, &r->serial, &r->lineage))
        return err_set(r->e, ERR_INVALID, "the state that the run shall begin with is not complete");
    return 0;
}

static int watch_folder(struct run *r)
{
    r->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    const char *root = tf_dir_path(r->d);
    if (r->inotify < 0 || inotify_add_watch(r->inotify, root, IN_MODIFY | IN_CREATE) < 0 ||
        inotify_add_watch(r->inotify, arena_printf(r->a, "%s/w", root), IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
        return err_errno(r->e, ERR_UNAVAILABLE, errno, "cannot watch the run's folder (fs.inotify limits?)");
    return 0;
}

static int begin(struct run *r)
{
    if (lease_until(r) <= 0)
        return err_set(r->e, ERR_FENCED, "the lease is lost; nothing was started");
    int rc = r->s->cb.on_begin ? r->s->cb.on_begin(r->s->cb.user, tf_dir_run(r->d), r->e) : 0;
    r->r->started = !rc;
    if (!rc)
        rc = tf_files_write(r->d, r->s, r->e);
    if (!rc)
        rc = watch_folder(r);
    if (!rc)
        rc = tf_leash_start(r->d, r->s, &r->leash, r->e);
    if (!rc)
        rc = pinger_start(r, r->e);
    return rc;
}

static int end(struct run *r, int rc)
{
    if (r->leash) {
        note_dead_providers(r);
        pinger_stop(r);
        int reason = tf_leash_end(r->leash);
        if (rc < 0 || r->r->stopped) {
            if (reason == LEASH_REASON_LEASE)
                r->r->stopped = TF_STOPPED_LEASE;
            if (reason < 0 && !r->r->stopped)
                r->r->stopped = TF_STOPPED_LEASH;
        } else if (reason == LEASH_REASON_LEASE && !r->r->ok) { /* the engine's death came in before the word of its cause */
            r->r->stopped = TF_STOPPED_LEASE;
        }
        read_journal(r);
        if (r->lost && !rc && !r->r->ok && r->s->phase == TF_APPLY) /* what it was making may be there: this is no failure of the apply */
            stop(r, TF_STOPPED_PROVIDER);
        collect_state(r);
        collect_journal(r);
        tf_leash_free(r->leash);
    }
    tf_files_forget(r->d, r->s);
    if (r->r->stopped && (rc || !r->r->ok))
        rc = stopped_error(r);
    if (r->state_code)
        rc = r->state_code;
    if (r->r->state)
        tf_state_outputs(r->a, r->r->state, r->r->state_len, &r->r->outputs, &r->r->n_outputs, NULL);
    return rc;
}

static void done(struct run *r)
{
    for (size_t i = 0; i <= PROVIDERS_MAX; i++) {
        fs_closep(&r->child[i].out);
        fs_closep(&r->child[i].err);
        buf_wipe(&r->child[i].out_text);
        buf_wipe(&r->child[i].err_text);
    }
    fs_closep(&r->inotify);
    fs_closep(&r->journal);
    buf_wipe(&r->line);
    buf_wipe(&r->last);
}

int tf_run(struct tf_dir *d, const struct tf_spec *spec, struct arena *a, struct tf_result *res, struct err *e)
{
    struct err unasked = ERR_INIT;
    struct tf_spec s = *spec;
    int64_t started = clock_mono_ms();
    if (!s.wall_ms)
        s.wall_ms = s.phase == TF_APPLY ? 7200000 : 900000;
    if (!s.state_len)
        s.state = NULL;
    if (s.workdir && !strcmp(s.workdir, "."))
        s.workdir = "";
    *res = (struct tf_result){.exit_status = -1, .serial = -1};
    struct run *r = arena_alloc(a, sizeof *r);
    *r = (struct run){.d = d, .s = &s, .a = a, .r = res, .e = e ? e : &unasked, .inotify = -1, .journal = -1, .serial = -1, .deadline = started + s.wall_ms,
                      .reattach = "{}"};
    for (size_t i = 0; i <= PROVIDERS_MAX; i++)
        r->child[i].out = r->child[i].err = -1;
    int rc = check_spec(r);
    if (!rc) {
        gather_secrets(r);
        rc = begin(r);
    }
    if (!rc)
        rc = phase(r);
    rc = end(r, rc);
    done(r);
    res->took_ms = clock_mono_ms() - started;
    return rc;
}
