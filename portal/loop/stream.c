/* Event streams. Their one complication: any thread sends, only the loop writes. A sender appends a block to the stream's inbox under one lock
 * and puts the stream on the dirty list; the loop moves inboxes to its own queues and writes them without the lock. */
#include "portal/loop/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "portal/core/clock.h"
#include "portal/core/thread.h"
#include "portal/loop/loop_private.h"

#define INBOX_MAX (4 * STREAM_PENDING_MAX) /* what may wait for a loop that is late, before the socket was even tried */
#define CLOSE_MS 5000
#define INPUT_MAX 65536 /* a client of a stream has nothing to say */
#define KERNEL_BUFFER 65536
#define USER_TIMEOUT_MS 60000
#define IOV_MAX_HERE 32

struct stream_block {
    atomic_size_t refs;
    size_t n;
    char bytes[];
};

struct queue {
    struct stream_block **items;
    size_t first, n, cap, bytes;
};

struct stream {
    struct loop_handle h;
    struct streams *all;
    int fd;
    SSL *ssl;
    atomic_size_t refs;
    atomic_size_t pending;
    /* under all->lock */
    struct stream_owner owner;
    struct stream *prev, *next, *dirty_next;
    struct queue inbox;
    bool dirty, live, close_asked, overrun, ended;
    /* the loop's */
    struct queue out;
    size_t offset;     /* of the first block in `out`, already written */
    size_t input;
    int64_t spoke_ms;  /* when something was last written */
    int64_t closing_ms; /* since when it is being closed; 0: it is not */
    int events;
    bool adopted;
};

struct streams {
    struct loop *loop;
    struct loop_timer *tick;
    struct loop_end end;
    struct stream_block *comment;
    int64_t comment_ms;
    pthread_mutex_t lock;
    pthread_cond_t finish;
    struct stream *list, *dirty;
    bool flush_posted;
    int retry_ms; /* >= 0 while draining */
    bool closed;  /* end_all has begun: by streams_free or the loop's end */
    bool finished;
    size_t count;
    atomic_size_t refs; /* its maker's, and one a stream: who kept a stream may send to it after streams_free */
    uint64_t opened;
    atomic_ullong dropped, sent;
};

/* --- blocks and queues --- */

struct stream_block *stream_block_new(const void *bytes, size_t n)
{
    struct stream_block *b = loop_alloc(sizeof *b + n);
    atomic_store(&b->refs, 1);
    b->n = n;
    memcpy(b->bytes, bytes, n);
    return b;
}

void stream_block_unref(struct stream_block *b)
{
    if (b && atomic_fetch_sub(&b->refs, 1) == 1)
        free(b);
}

static void queue_push(struct queue *q, struct stream_block *b)
{
    if (q->first + q->n == q->cap) {
        if (q->first > q->cap / 2) {
            memmove(q->items, q->items + q->first, q->n * sizeof *q->items);
            q->first = 0;
        } else {
            q->cap = q->cap ? q->cap * 2 : 8;
            struct stream_block **more = realloc(q->items, q->cap * sizeof *more);
            if (!more)
                abort();
            q->items = more;
        }
    }
    q->items[q->first + q->n++] = b;
    q->bytes += b->n;
}

static void queue_pop(struct queue *q)
{
    struct stream_block *b = q->items[q->first++];
    q->bytes -= b->n;
    if (!--q->n)
        q->first = 0;
    stream_block_unref(b);
}

static void queue_done(struct queue *q)
{
    while (q->n)
        queue_pop(q);
    free(q->items);
    *q = (struct queue){0};
}

/* --- references --- */

static void streams_unref(struct streams *ss)
{
    if (atomic_fetch_sub(&ss->refs, 1) != 1)
        return;
    stream_block_unref(ss->comment);
    pthread_mutex_destroy(&ss->lock);
    pthread_cond_destroy(&ss->finish);
    free(ss);
}

void stream_ref(struct stream *s)
{
    atomic_fetch_add(&s->refs, 1);
}

void stream_unref(struct stream *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    queue_done(&s->inbox);
    queue_done(&s->out);
    streams_unref(s->all);
    free(s);
}

/* --- on the loop --- */

static void stream_gone(struct loop_handle *h)
{
    stream_unref((struct stream *)h);
}

static void stream_end(struct stream *s)
{
    struct streams *ss = s->all;
    pthread_mutex_lock(&ss->lock);
    bool again = s->ended;
    s->ended = true;
    struct stream_owner owner = s->owner;
    bool live = s->live;
    pthread_mutex_unlock(&ss->lock);
    if (again)
        return;
    loop_handle_close(&s->h); /* drops the loop's reference when libuv is done with it */
    if (s->ssl) {
        /* One word of farewell if it fits into the socket; nobody waits for the answer. */
        ERR_clear_error();
        if (SSL_shutdown(s->ssl) < 0)
            ERR_clear_error();
        SSL_free(s->ssl);
        s->ssl = NULL;
    }
    close(s->fd);
    s->fd = -1;
    /* The list's reference is still held, so that `closed` sees the stream. */
    if (owner.closed)
        owner.closed(s, owner.arg);
    pthread_mutex_lock(&ss->lock);
    if (s->prev)
        s->prev->next = s->next;
    else
        ss->list = s->next;
    if (s->next)
        s->next->prev = s->prev;
    ss->count--;
    pthread_mutex_unlock(&ss->lock);
    if (live)
        stream_unref(s); /* else whoever made it has yet to set an owner, and needs the pointer for that */
}

static void stream_drop(struct stream *s)
{
    atomic_fetch_add(&s->all->dropped, 1);
    stream_end(s);
}

/* Bytes written, 0 when the socket is full, -1 when it is dead. */
static ssize_t write_tls(struct stream *s)
{
    struct stream_block *b = s->out.items[s->out.first];
    size_t n = 0;
    ERR_clear_error();
    int r = SSL_write_ex(s->ssl, b->bytes + s->offset, b->n - s->offset, &n);
    if (r == 1)
        return (ssize_t)n;
    int why = SSL_get_error(s->ssl, r);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? 0 : -1;
}

static ssize_t write_plain(struct stream *s)
{
    struct iovec iov[IOV_MAX_HERE];
    struct msghdr m = {.msg_iov = iov};
    for (size_t i = 0; i < s->out.n && i < IOV_MAX_HERE; i++) {
        struct stream_block *b = s->out.items[s->out.first + i];
        size_t skip = i ? 0 : s->offset;
        iov[m.msg_iovlen++] = (struct iovec){b->bytes + skip, b->n - skip};
    }
    ssize_t n = sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

static void account(struct stream *s, size_t n)
{
    atomic_fetch_sub(&s->pending, n);
    atomic_fetch_add(&s->all->sent, n);
    s->spoke_ms = clock_mono_ms();
    n += s->offset;
    while (s->out.n && n >= s->out.items[s->out.first]->n) {
        n -= s->out.items[s->out.first]->n;
        queue_pop(&s->out);
    }
    s->offset = n;
}

static void on_socket(uv_poll_t *u, int status, int events);

static bool want(struct stream *s, int events)
{
    if (s->events == events)
        return true;
    s->events = events;
    return uv_poll_start(&s->h.uv.poll, events, on_socket) == 0;
}

/* Writes what fits. The stream may have ended afterwards. */
static void stream_flush(struct stream *s)
{
    if (s->ended || !s->adopted)
        return;
    while (s->out.n) {
        ssize_t n = s->ssl ? write_tls(s) : write_plain(s);
        if (n < 0) {
            stream_end(s);
            return;
        }
        if (n == 0)
            break;
        account(s, (size_t)n);
    }
    /* One event alone may be larger than the bound. */
    if (s->out.n > 1 && s->out.bytes - s->offset > STREAM_PENDING_MAX) {
        stream_drop(s);
        return;
    }
    if (!s->out.n && s->closing_ms) {
        if (!s->ssl)
            shutdown(s->fd, SHUT_WR);
        stream_end(s);
        return;
    }
    if (!want(s, s->out.n ? UV_READABLE | UV_DISCONNECT | UV_WRITABLE : UV_READABLE | UV_DISCONNECT))
        stream_end(s);
}

/* 1: something came, 0: nothing now, -1: the client is away. */
static int read_some(struct stream *s)
{
    char scrap[4096];
    if (s->ssl) {
        size_t n = 0;
        ERR_clear_error();
        int r = SSL_read_ex(s->ssl, scrap, sizeof scrap, &n);
        int why = r == 1 ? 0 : SSL_get_error(s->ssl, r);
        ERR_clear_error();
        s->input += n;
        return r == 1 ? 1 : why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
    ssize_t n = recv(s->fd, scrap, sizeof scrap, MSG_DONTWAIT);
    if (n > 0)
        s->input += (size_t)n;
    return n > 0 ? 1 : n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? 0 : -1;
}

static void on_socket(uv_poll_t *u, int status, int events)
{
    struct stream *s = u->data;
    if (status < 0) {
        stream_end(s);
        return;
    }
    if (events & (UV_READABLE | UV_DISCONNECT)) {
        int r = 1; /* TLS keeps what it has decrypted: read it all */
        while (r == 1 && s->input <= INPUT_MAX)
            r = read_some(s);
        if (r != 0) {
            stream_end(s);
            return;
        }
    }
    stream_flush(s);
}

static void adopt(struct stream *s)
{
    s->adopted = true;
    s->spoke_ms = clock_mono_ms();
    int flags = fcntl(s->fd, F_GETFL);
    int size = KERNEL_BUFFER;
    unsigned timeout = USER_TIMEOUT_MS;
    int on = 1;
    if (flags >= 0)
        fcntl(s->fd, F_SETFL, flags | O_NONBLOCK);
    /* A slow reader's backlog is bounded in the kernel too; a peer that vanished is noticed by the unacknowledged comment. */
    setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (s->ssl)
        SSL_set_mode(s->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    if (loop_handle_poll(&s->h, s->all->loop, s->fd) || !want(s, UV_READABLE | UV_DISCONNECT))
        stream_end(s);
}

/* Moves the inbox over, adopts and closes as asked, writes. */
static void stream_work(struct stream *s)
{
    struct streams *ss = s->all;
    pthread_mutex_lock(&ss->lock);
    bool live = s->live && !s->ended;
    for (size_t i = 0; live && i < s->inbox.n; i++)
        queue_push(&s->out, s->inbox.items[s->inbox.first + i]);
    if (live)
        s->inbox.first = s->inbox.n = s->inbox.bytes = 0;
    bool overrun = s->overrun, closing = s->close_asked;
    pthread_mutex_unlock(&ss->lock);
    if (!live)
        return;
    if (!s->adopted)
        adopt(s);
    if (closing && !s->closing_ms)
        s->closing_ms = clock_mono_ms();
    if (overrun)
        stream_drop(s);
    else
        stream_flush(s);
}

static void flush_dirty(void *arg)
{
    struct streams *ss = arg;
    pthread_mutex_lock(&ss->lock);
    struct stream *s = ss->dirty;
    ss->dirty = NULL;
    ss->flush_posted = false;
    pthread_mutex_unlock(&ss->lock);
    while (s) {
        pthread_mutex_lock(&ss->lock);
        struct stream *next = s->dirty_next;
        s->dirty = false;
        pthread_mutex_unlock(&ss->lock);
        stream_work(s);
        stream_unref(s);
        s = next;
    }
}

/* Under the lock. */
static void mark_dirty(struct stream *s)
{
    struct streams *ss = s->all;
    if (s->dirty || ss->closed)
        return;
    s->dirty = true;
    s->dirty_next = ss->dirty;
    ss->dirty = s;
    stream_ref(s);
    if (!ss->flush_posted)
        ss->flush_posted = loop_try_post(ss->loop, flush_dirty, ss);
}

/* --- all at once --- */

/* Calls fn on the loop for each live stream; fn may end it. */
static void each(struct streams *ss, void (*fn)(struct stream *s, void *arg), void *arg)
{
    pthread_mutex_lock(&ss->lock);
    size_t n = 0;
    struct stream **all = ss->count ? loop_alloc(ss->count * sizeof(struct stream *)) : NULL;
    for (struct stream *s = ss->list; s; s = s->next) {
        stream_ref(s);
        all[n++] = s;
    }
    pthread_mutex_unlock(&ss->lock);
    for (size_t i = 0; i < n; i++) {
        fn(all[i], arg);
        stream_unref(all[i]);
    }
    free(all);
}

static void tick_one(struct stream *s, void *arg)
{
    struct streams *ss = arg;
    if (s->ended || !s->adopted)
        return;
    int64_t now = clock_mono_ms();
    if (s->closing_ms && now - s->closing_ms > CLOSE_MS) {
        stream_drop(s);
        return;
    }
    if (s->closing_ms || now - s->spoke_ms < ss->comment_ms)
        return;
    s->spoke_ms = now;
    atomic_fetch_add(&ss->comment->refs, 1);
    atomic_fetch_add(&s->pending, ss->comment->n);
    queue_push(&s->out, ss->comment);
    stream_flush(s);
}

static void on_tick(void *arg)
{
    struct streams *ss = arg;
    each(ss, tick_one, ss);
}

static void end_one(struct stream *s, void *arg)
{
    (void)arg;
    stream_end(s);
}

/* On the loop, or after its end. */
static void end_all(void *arg)
{
    struct streams *ss = arg;
    atomic_fetch_add(&ss->refs, 1);
    flush_dirty(ss);
    pthread_mutex_lock(&ss->lock);
    ss->closed = true;
    pthread_mutex_unlock(&ss->lock);
    flush_dirty(ss);
    each(ss, end_one, NULL);
    pthread_mutex_lock(&ss->lock);
    ss->finished = true;
    pthread_cond_broadcast(&ss->finish);
    pthread_mutex_unlock(&ss->lock);
    streams_unref(ss);
}

struct streams *streams_new(struct loop *l)
{
    struct streams *ss = loop_alloc(sizeof *ss);
    ss->loop = l;
    ss->retry_ms = -1;
    ss->comment = stream_block_new(": \n\n", 4);
    atomic_store(&ss->refs, 1);
    pthread_mutex_init(&ss->lock, NULL);
    pthread_cond_init(&ss->finish, NULL);
    ss->end = (struct loop_end){end_all, ss, NULL};
    loop_at_end(l, &ss->end);
    streams_set_comment(ss, 15000);
    return ss;
}

void streams_set_comment(struct streams *ss, int64_t every_ms)
{
    loop_timer_stop(ss->tick);
    int64_t tick = every_ms / 5;
    ss->comment_ms = every_ms - tick;
    ss->tick = loop_timer_start(ss->loop, tick, tick, on_tick, ss);
}

void streams_free(struct streams *ss)
{
    if (!ss)
        return;
    loop_timer_stop(ss->tick);
    loop_forget_end(ss->loop, &ss->end);
    if (loop_is_started(ss->loop) && loop_try_post(ss->loop, end_all, ss)) {
        pthread_mutex_lock(&ss->lock);
        while (!ss->finished)
            pthread_cond_wait(&ss->finish, &ss->lock);
        pthread_mutex_unlock(&ss->lock);
    } else
        end_all(ss);
    streams_unref(ss);
}

size_t streams_count(const struct streams *ss)
{
    struct streams_stats stats;
    streams_get_stats(ss, &stats);
    return stats.open;
}

void streams_get_stats(const struct streams *css, struct streams_stats *ret)
{
    struct streams *ss = (struct streams *)css;
    pthread_mutex_lock(&ss->lock);
    ret->open = ss->count;
    ret->opened = ss->opened;
    pthread_mutex_unlock(&ss->lock);
    ret->dropped = atomic_load(&ss->dropped);
    ret->sent_bytes = atomic_load(&ss->sent);
}

/* Under the lock. */
static void say_retry(struct stream *s, int retry_ms)
{
    char text[48];
    int n = snprintf(text, sizeof text, "retry: %d\n\n", retry_ms);
    struct stream_block *b = stream_block_new(text, (size_t)n);
    queue_push(&s->inbox, b);
    atomic_fetch_add(&s->pending, b->n);
    s->close_asked = true;
    if (s->live)
        mark_dirty(s);
}

void streams_drain(struct streams *ss, int retry_ms)
{
    pthread_mutex_lock(&ss->lock);
    ss->retry_ms = retry_ms < 0 ? 0 : retry_ms;
    for (struct stream *s = ss->list; s; s = s->next)
        if (!s->close_asked)
            say_retry(s, ss->retry_ms);
    pthread_mutex_unlock(&ss->lock);
}

/* --- one stream --- */

struct stream *stream_new(struct streams *ss, int fd, void *ssl)
{
    struct stream *s = loop_alloc(sizeof *s);
    s->h.loop = ss->loop;
    s->h.gone = stream_gone;
    s->all = ss;
    atomic_fetch_add(&ss->refs, 1);
    s->fd = fd;
    s->ssl = ssl;
    atomic_store(&s->refs, 2); /* the list's and the handle's */
    pthread_mutex_lock(&ss->lock);
    s->next = ss->list;
    if (s->next)
        s->next->prev = s;
    ss->list = s;
    ss->count++;
    ss->opened++;
    if (ss->retry_ms >= 0)
        say_retry(s, ss->retry_ms);
    pthread_mutex_unlock(&ss->lock);
    return s;
}

struct last_word {
    struct stream *s;
    struct stream_owner owner;
};

static void say_closed(void *arg)
{
    struct last_word *w = arg;
    if (w->owner.closed)
        w->owner.closed(w->s, w->owner.arg);
    stream_unref(w->s);
    free(w);
}

/* Under the lock: the stream begins to live. When all were ended before that, the owner has yet to hear of it: say_last_word() without the lock. */
static struct last_word *make_live(struct stream *s)
{
    if (s->live)
        return NULL;
    s->live = true;
    if (!s->ended)
        return NULL;
    struct last_word *w = loop_alloc(sizeof *w);
    *w = (struct last_word){s, s->owner};
    return w;
}

static void say_last_word(struct last_word *w)
{
    if (w && !loop_try_post(w->s->all->loop, say_closed, w))
        say_closed(w);
}

void stream_set_owner(struct stream *s, const struct stream_owner *o)
{
    struct streams *ss = s->all;
    pthread_mutex_lock(&ss->lock);
    s->owner = *o;
    struct last_word *w = make_live(s);
    if (!s->ended)
        mark_dirty(s);
    pthread_mutex_unlock(&ss->lock);
    say_last_word(w);
}

/* Under the lock. */
static void enqueue(struct stream *s, struct stream_block *b)
{
    if (s->inbox.n && s->inbox.bytes + b->n > INBOX_MAX)
        s->overrun = true;
    else {
        atomic_fetch_add(&b->refs, 1);
        atomic_fetch_add(&s->pending, b->n);
        queue_push(&s->inbox, b);
    }
    mark_dirty(s);
}

void stream_send(struct stream *s, struct stream_block *b)
{
    struct streams *ss = s->all;
    pthread_mutex_lock(&ss->lock);
    struct last_word *w = make_live(s);
    if (!s->ended && !s->close_asked && !s->overrun && b->n)
        enqueue(s, b);
    pthread_mutex_unlock(&ss->lock);
    say_last_word(w);
}

size_t stream_pending(struct stream *s)
{
    return atomic_load(&s->pending);
}

void stream_close(struct stream *s)
{
    struct streams *ss = s->all;
    pthread_mutex_lock(&ss->lock);
    struct last_word *w = make_live(s);
    s->close_asked = true;
    if (!s->ended)
        mark_dirty(s);
    pthread_mutex_unlock(&ss->lock);
    say_last_word(w);
}
