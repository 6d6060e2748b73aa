/* Reading and writing the socket ourselves: civetweb's own functions wait for a slow peer as long as it moves a byte now and then. */
#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "portal/core/clock.h"
#include "portal/http/http_private.h"

#define STEP_MS 250 /* how soon a node that gives up waiting is noticed */
#define LINGER_BYTES (4 * 1024 * 1024)
#define RECORD 16384

void pace_begin(struct pace *p, const struct http_server *s, int timeout_ms)
{
    *p = (struct pace){.timeout_ms = timeout_ms, .min_rate = s->o.body_min_rate, .grace_ms = s->o.body_grace_ms, .s = s};
}

/* Milliseconds left, 0 when it is over. A packet that is lost and sent again may cost some seconds: the rate is asked for behind the grace. */
static int time_left(struct pace *p)
{
    int64_t now = clock_mono_ms();
    if (!p->start_ms)
        p->start_ms = now;
    int64_t passed = now - p->start_ms;
    int64_t judged = passed - p->grace_ms;
    if (atomic_load(&p->s->aborting) || (judged > 0 && (int64_t)p->done * 1000 < judged * p->min_rate))
        return 0;
    return passed < p->timeout_ms ? (int)(p->timeout_ms - passed) : 0;
}

static int await(int fd, short events, struct pace *p)
{
    int left = time_left(p);
    if (!left)
        return IO_LATE;
    struct pollfd pfd = {.fd = fd, .events = events};
    poll(&pfd, 1, left < STEP_MS ? left : STEP_MS);
    return 0;
}

/* > 0 done; 0: wait for *ret_events; IO_CLOSED. */
static ssize_t tls_try(SSL *ssl, bool writing, void *p, size_t n, short *ret_events, bool *ret_end)
{
    size_t done = 0;
    ERR_clear_error();
    int r = writing ? SSL_write_ex(ssl, p, n, &done) : SSL_read_ex(ssl, p, n, &done);
    if (r == 1)
        return (ssize_t)done;
    int why = SSL_get_error(ssl, r);
    ERR_clear_error();
    *ret_end = why == SSL_ERROR_ZERO_RETURN;
    *ret_events = why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : IO_CLOSED;
}

ssize_t sock_read(int fd, SSL *ssl, void *p, size_t n, struct pace *pace)
{
    for (;;) {
        short events = POLLIN;
        bool end = false;
        ssize_t got = ssl ? tls_try(ssl, false, p, n, &events, &end) : recv(fd, p, n, MSG_DONTWAIT);
        if (got > 0) {
            pace->done += (size_t)got;
            /* A peer that always has a byte ready must not escape the deadline. */
            return time_left(pace) ? got : IO_LATE;
        }
        if (ssl ? end : got == 0)
            return 0;
        if (ssl ? got < 0 : errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return IO_CLOSED;
        int r = await(fd, events, pace);
        if (r)
            return r;
    }
}

static int write_parts(int fd, struct iovec *iov, size_t n_iov, struct pace *pace)
{
    for (;;) {
        struct msghdr m = {.msg_iov = iov, .msg_iovlen = n_iov};
        ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return IO_CLOSED;
        if (n > 0)
            pace->done += (size_t)n;
        for (; n_iov && n >= 0 && (size_t)n >= iov->iov_len; iov++, n_iov--)
            n -= (ssize_t)iov->iov_len;
        if (!n_iov)
            return 0;
        if (n > 0) {
            iov->iov_base = (char *)iov->iov_base + n;
            iov->iov_len -= (size_t)n;
        }
        int r = await(fd, POLLOUT, pace);
        if (r)
            return r;
    }
}

int sock_write(int fd, SSL *ssl, const void *p, size_t n, struct pace *pace)
{
    if (!ssl)
        return write_parts(fd, &(struct iovec){(void *)p, n}, 1, pace);
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    for (size_t at = 0; at < n;) {
        short events = POLLOUT;
        bool end = false;
        ssize_t done = tls_try(ssl, true, (char *)p + at, n - at, &events, &end);
        if (done < 0)
            return IO_CLOSED;
        at += (size_t)done;
        pace->done += (size_t)done;
        int r = done ? 0 : await(fd, events, pace);
        if (r)
            return r;
    }
    return 0;
}

int sock_write2(int fd, SSL *ssl, struct buf *scratch, const void *a, size_t an, const void *b, size_t bn, struct pace *pace)
{
    if (!ssl)
        return write_parts(fd, (struct iovec[]){{(void *)a, an}, {(void *)b, bn}}, bn ? 2 : 1, pace);
    if (bn && an + bn <= RECORD) { /* one record, one segment */
        buf_clear(scratch);
        buf_add(scratch, a, an);
        buf_add(scratch, b, bn);
        return sock_write(fd, ssl, scratch->data, scratch->len, pace);
    }
    int r = sock_write(fd, ssl, a, an, pace);
    return r || !bn ? r : sock_write(fd, ssl, b, bn, pace);
}

void sock_linger(int fd, SSL *ssl, const struct http_server *s, int ms)
{
    /* Closing with unread input makes the kernel send a reset, which can overtake our answer. */
    if (ssl) {
        ERR_clear_error();
        SSL_shutdown(ssl);
        ERR_clear_error();
    }
    shutdown(fd, SHUT_WR);
    struct pace p;
    pace_begin(&p, s, ms);
    p.min_rate = 0;
    char scrap[8192];
    while (p.done < LINGER_BYTES && sock_read(fd, NULL, scrap, sizeof scrap, &p) > 0)
        ;
}
