/* The libuv loop. Its one complication: libuv may be touched on the loop's thread only, so every (any) function makes its object at once,
 * hands libuv's part over by loop_post, and both sides meet in `stopped` and in the list of all objects. */
#include "portal/loop/loop_private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "portal/core/log.h"
#include "portal/core/thread.h"

struct post {
    void (*fn)(void *arg);
    void *arg;
};

enum state { NEW, RUNNING, STOPPING, ENDED };

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    pthread_t thread;
    bool started, joined; /* of the thread that starts and stops */
    pthread_mutex_t lock; /* what follows */
    enum state state;
    struct post *posts;
    size_t n_posts, cap_posts;
    struct loop_handle *handles;
    struct loop_end *ends;
};

void *loop_alloc(size_t n)
{
    void *p = calloc(1, n);
    if (!p) {
        log_error("out of memory: this process ends and is started anew", LOG_I("bytes", (int64_t)n));
        abort();
    }
    return p;
}

uv_loop_t *loop_uv(struct loop *l)
{
    return &l->uv;
}

bool loop_is_here(const struct loop *l)
{
    return l->started && pthread_equal(l->thread, pthread_self());
}

bool loop_is_started(struct loop *l)
{
    pthread_mutex_lock(&l->lock);
    bool started = l->started;
    pthread_mutex_unlock(&l->lock);
    return started;
}

/* --- posts --- */

bool loop_try_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&l->lock);
    bool open = l->state != ENDED;
    if (open) {
        if (l->n_posts == l->cap_posts) {
            l->cap_posts = l->cap_posts ? l->cap_posts * 2 : 32;
            struct post *more = realloc(l->posts, l->cap_posts * sizeof *more);
            if (!more)
                abort();
            l->posts = more;
        }
        l->posts[l->n_posts++] = (struct post){fn, arg};
        /* Under the lock: the handle is closed only after `state` became ENDED under it. */
        if (l->n_posts == 1)
            uv_async_send(&l->wake);
    }
    pthread_mutex_unlock(&l->lock);
    return open;
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
    loop_try_post(l, fn, arg);
}

/* Runs what is posted now; false when there was nothing. */
static bool run_posts(struct loop *l)
{
    pthread_mutex_lock(&l->lock);
    struct post *posts = l->posts;
    size_t n = l->n_posts;
    l->posts = NULL;
    l->n_posts = l->cap_posts = 0;
    pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; i < n; i++)
        posts[i].fn(posts[i].arg);
    free(posts);
    return n > 0;
}

/* --- handles --- */

static void handle_list(struct loop_handle *h, struct loop *l, void (*gone)(struct loop_handle *h))
{
    h->loop = l;
    h->gone = gone;
    h->listed = true;
    pthread_mutex_lock(&l->lock);
    h->next = l->handles;
    if (h->next)
        h->next->prev = h;
    l->handles = h;
    pthread_mutex_unlock(&l->lock);
}

static void handle_unlist(struct loop_handle *h)
{
    struct loop *l = h->loop;
    pthread_mutex_lock(&l->lock);
    if (h->prev)
        h->prev->next = h->next;
    else
        l->handles = h->next;
    if (h->next)
        h->next->prev = h->prev;
    h->listed = false;
    pthread_mutex_unlock(&l->lock);
}

static void on_handle_closed(uv_handle_t *u)
{
    struct loop_handle *h = u->data;
    h->open = false;
    h->gone(h);
}

void loop_handle_close(struct loop_handle *h)
{
    if (h->closing)
        return;
    h->closing = true;
    if (h->open)
        uv_close(&h->uv.any, on_handle_closed);
    else
        h->gone(h);
}

int loop_handle_poll(struct loop_handle *h, struct loop *l, int fd)
{
    int r = uv_poll_init(&l->uv, &h->uv.poll, fd);
    if (r)
        return r;
    h->uv.any.data = h;
    h->open = true;
    return 0;
}

/* --- timers --- */

struct loop_timer {
    struct loop_handle h;
    void (*fn)(void *arg);
    void *arg;
    uint64_t first, every;
    atomic_bool stopped;
};

static void timer_gone(struct loop_handle *h)
{
    struct loop_timer *t = (struct loop_timer *)h;
    /* Without a stop the owner may still hold the pointer: loop_free frees it. */
    if (!atomic_load(&t->stopped))
        return;
    handle_unlist(h);
    free(t);
}

static void timer_close(void *arg)
{
    struct loop_timer *t = arg;
    loop_handle_close(&t->h);
}

static void on_timer(uv_timer_t *u)
{
    struct loop_timer *t = u->data;
    if (atomic_load(&t->stopped))
        return;
    if (t->every) {
        t->fn(t->arg);
        return;
    }
    t->fn(t->arg);
    /* A stop inside the callback has done this already. */
    if (!atomic_exchange(&t->stopped, true))
        loop_handle_close(&t->h);
}

static void timer_open(void *arg)
{
    struct loop_timer *t = arg;
    struct loop *l = t->h.loop;
    if (atomic_load(&t->stopped))
        return;
    uv_timer_init(&l->uv, &t->h.uv.timer);
    t->h.uv.any.data = t;
    t->h.open = true;
    uv_update_time(&l->uv);
    uv_timer_start(&t->h.uv.timer, on_timer, t->first, t->every);
}

struct loop_timer *loop_timer_start(struct loop *l, int64_t first_ms, int64_t every_ms, void (*fn)(void *arg), void *arg)
{
    struct loop_timer *t = loop_alloc(sizeof *t);
    t->fn = fn;
    t->arg = arg;
    t->first = first_ms > 0 ? (uint64_t)first_ms : 0;
    t->every = every_ms > 0 ? (uint64_t)every_ms : 0;
    handle_list(&t->h, l, timer_gone);
    loop_post(l, timer_open, t);
    return t;
}

void loop_timer_stop(struct loop_timer *t)
{
    if (!t || atomic_exchange(&t->stopped, true))
        return;
    loop_post(t->h.loop, timer_close, t);
}

/* --- descriptors --- */

struct loop_watch {
    struct loop_handle h;
    void (*fn)(int fd, void *arg);
    void *arg;
    int fd, own; /* `own` is our duplicate: the caller may close theirs before the loop heard of it */
    atomic_bool stopped;
};

static void watch_gone(struct loop_handle *h)
{
    struct loop_watch *w = (struct loop_watch *)h;
    close(w->own);
    w->own = -1;
    if (!atomic_load(&w->stopped))
        return;
    handle_unlist(h);
    free(w);
}

static void watch_close(void *arg)
{
    struct loop_watch *w = arg;
    loop_handle_close(&w->h);
}

static void on_readable(uv_poll_t *u, int status, int events)
{
    (void)status, (void)events; /* an error shows itself to the one who reads */
    struct loop_watch *w = u->data;
    if (!atomic_load(&w->stopped))
        w->fn(w->fd, w->arg);
}

static void watch_open(void *arg)
{
    struct loop_watch *w = arg;
    if (atomic_load(&w->stopped))
        return;
    int r = loop_handle_poll(&w->h, w->h.loop, w->own);
    if (!r)
        r = uv_poll_start(&w->h.uv.poll, UV_READABLE, on_readable);
    if (r)
        log_error("a descriptor cannot be watched", LOG_S("reason", uv_strerror(r)));
}

struct loop_watch *loop_watch_read(struct loop *l, int fd, void (*fn)(int fd, void *arg), void *arg)
{
    struct stat st;
    if (fstat(fd, &st) || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
        return NULL;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0)
        return NULL;
    struct loop_watch *w = loop_alloc(sizeof *w);
    w->fn = fn;
    w->arg = arg;
    w->fd = fd;
    w->own = own;
    handle_list(&w->h, l, watch_gone);
    loop_post(l, watch_open, w);
    return w;
}

void loop_watch_stop(struct loop_watch *w)
{
    if (!w || atomic_exchange(&w->stopped, true))
        return;
    loop_post(w->h.loop, watch_close, w);
}

/* --- children --- */

struct child {
    struct loop_handle h;
    pid_t pid;
    int pidfd;
    void (*fn)(pid_t pid, int status, void *arg);
    void *arg;
    bool done;
};

static void child_gone(struct loop_handle *h)
{
    struct child *c = (struct child *)h;
    if (c->pidfd >= 0)
        close(c->pidfd);
    handle_unlist(h);
    free(c);
}

static void on_child(uv_poll_t *u, int status, int events)
{
    (void)status, (void)events;
    struct child *c = u->data;
    int wait_status = 0;
    pid_t got = waitpid(c->pid, &wait_status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR) || c->done)
        return;
    c->done = true;
    if (got < 0) /* someone else reaped it: it ended, how is not known */
        wait_status = W_EXITCODE(255, 0);
    c->fn(c->pid, wait_status, c->arg);
    loop_handle_close(&c->h);
}

static void child_open(void *arg)
{
    struct child *c = arg;
    int r = loop_handle_poll(&c->h, c->h.loop, c->pidfd);
    if (!r)
        r = uv_poll_start(&c->h.uv.poll, UV_READABLE, on_child);
    if (r)
        log_error("a child cannot be watched: its end will not be seen", LOG_I("pid", c->pid), LOG_S("reason", uv_strerror(r)));
}

int loop_watch_child(struct loop *l, pid_t pid, void (*fn)(pid_t pid, int status, void *arg), void *arg, struct err *e)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return err_errno(e, errno == ESRCH ? ERR_NOT_FOUND : ERR_IO, errno, "process %ld cannot be watched", (long)pid);
    fcntl(pidfd, F_SETFD, FD_CLOEXEC);
    struct child *c = loop_alloc(sizeof *c);
    c->pid = pid;
    c->pidfd = pidfd;
    c->fn = fn;
    c->arg = arg;
    handle_list(&c->h, l, child_gone);
    loop_post(l, child_open, c);
    return 0;
}

/* --- life --- */

static void close_any(uv_handle_t *u, void *arg)
{
    struct loop *l = arg;
    if (uv_is_closing(u))
        return;
    if (u == (uv_handle_t *)&l->wake)
        uv_close(u, NULL);
    else
        loop_handle_close(u->data);
}

static void finish(struct loop *l)
{
    while (run_posts(l))
        ;
    pthread_mutex_lock(&l->lock);
    struct loop_end *end = l->ends;
    l->ends = NULL;
    pthread_mutex_unlock(&l->lock);
    for (struct loop_end *next; end; end = next) {
        next = end->next;
        end->fn(end->arg);
    }
    for (bool empty = false; !empty;) {
        run_posts(l);
        pthread_mutex_lock(&l->lock);
        empty = l->n_posts == 0;
        if (empty)
            l->state = ENDED;
        pthread_mutex_unlock(&l->lock);
    }
    uv_walk(&l->uv, close_any, l);
}

static void on_wake(uv_async_t *u)
{
    struct loop *l = u->data;
    run_posts(l);
    pthread_mutex_lock(&l->lock);
    bool stopping = l->state == STOPPING;
    pthread_mutex_unlock(&l->lock);
    if (stopping)
        finish(l);
}

static void *run(void *arg)
{
    struct loop *l = arg;
    thread_set_role(THREAD_LOOP, "loop");
    /* A peer that is gone must not end the process: OpenSSL writes without MSG_NOSIGNAL. */
    sigset_t pipe_only;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    return NULL;
}

int loop_new(struct loop **ret, struct err *e)
{
    struct loop *l = loop_alloc(sizeof *l);
    int r = uv_loop_init(&l->uv);
    if (!r && (r = uv_async_init(&l->uv, &l->wake, on_wake)))
        uv_loop_close(&l->uv);
    if (r) {
        free(l);
        return err_set(e, ERR_IO, "the event loop cannot start: %s", uv_strerror(r));
    }
    l->wake.data = l;
    pthread_mutex_init(&l->lock, NULL);
    *ret = l;
    return 0;
}

int loop_start(struct loop *l, struct err *e)
{
    pthread_mutex_lock(&l->lock);
    l->state = RUNNING;
    l->started = true;
    int r = pthread_create(&l->thread, NULL, run, l);
    if (r) {
        l->state = NEW;
        l->started = false;
    }
    pthread_mutex_unlock(&l->lock);
    return r ? err_errno(e, ERR_IO, r, "the thread of the event loop cannot start") : 0;
}

void loop_stop(struct loop *l)
{
    pthread_mutex_lock(&l->lock);
    bool here = loop_is_here(l);
    if (l->state == RUNNING) {
        l->state = STOPPING;
        uv_async_send(&l->wake);
    }
    bool join = l->started && !l->joined && !here;
    if (join)
        l->joined = true;
    pthread_mutex_unlock(&l->lock);
    if (join)
        pthread_join(l->thread, NULL);
}

void loop_at_end(struct loop *l, struct loop_end *end)
{
    pthread_mutex_lock(&l->lock);
    end->next = l->ends;
    l->ends = end;
    pthread_mutex_unlock(&l->lock);
}

void loop_forget_end(struct loop *l, struct loop_end *end)
{
    pthread_mutex_lock(&l->lock);
    for (struct loop_end **p = &l->ends; *p; p = &(*p)->next)
        if (*p == end) {
            *p = end->next;
            break;
        }
    pthread_mutex_unlock(&l->lock);
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    loop_stop(l);
    if (!l->started) { /* what was posted never ran; libuv only knows the wake handle */
        uv_close((uv_handle_t *)&l->wake, NULL);
        uv_run(&l->uv, UV_RUN_DEFAULT);
    }
    for (struct loop_handle *h = l->handles, *next; h; h = next) {
        next = h->next;
        if (h->gone == watch_gone && ((struct loop_watch *)h)->own >= 0)
            close(((struct loop_watch *)h)->own);
        if (h->gone == child_gone)
            close(((struct child *)h)->pidfd);
        free(h);
    }
    uv_loop_close(&l->uv);
    free(l->posts);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
