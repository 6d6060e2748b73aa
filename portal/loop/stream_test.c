// label: threads
#include "portal/loop/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "portal/core/clock.h"
#include "portal/core/thread.h"

#define MANY 300

struct set { struct loop *l; struct streams *ss; int listener; struct sockaddr_in at; };

static void set_up(struct set *s)
{
    socklen_t n = sizeof s->at;
    s->at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&s->at, n), 0);
    assert_int_equal(listen(s->listener, 512), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&s->at, &n), 0);
    assert_int_equal(loop_new(&s->l, NULL), 0);
    assert_int_equal(loop_start(s->l, NULL), 0);
    s->ss = streams_new(s->l);
}

static void tear_down(struct set *s)
{
    streams_free(s->ss);
    loop_free(s->l);
    close(s->listener);
}

static void pair(struct set *s, int *client, int *server)
{
    *client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*client, (struct sockaddr *)&s->at, sizeof s->at), 0);
    *server = accept(s->listener, NULL, NULL);
    assert_true(*server >= 0);
}

/* Reads until `want` bytes came, the end, or 5 s. */
static size_t take(int fd, char *out, size_t want)
{
    size_t n = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (n < want && poll(&p, 1, 5000) > 0) {
        ssize_t r = read(fd, out + n, want - n);
        if (r <= 0)
            break;
        n += (size_t)r;
    }
    return n;
}

static bool at_end(int fd)
{
    char scrap[4096];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 5000) > 0) {
        ssize_t r = read(fd, scrap, sizeof scrap);
        if (r <= 0)
            return true;
    }
    return false;
}

static atomic_int closed;
static void on_closed(struct stream *s, void *arg)
{
    (void)s;
    assert_int_equal(thread_get_role(), THREAD_LOOP);
    atomic_fetch_add(&closed, 1);
    if (arg)
        sem_post(arg);
}

static bool closed_within(int n, int ms)
{
    for (; atomic_load(&closed) < n && ms > 0; ms -= 5)
        clock_sleep_ms(5);
    return atomic_load(&closed) == n;
}

static void send_text(struct stream *s, const char *text)
{
    struct stream_block *b = stream_block_new(text, strlen(text));
    stream_send(s, b);
    stream_block_unref(b);
}

static void one_event_reaches_many(void **state)
{
    (void)state;
    struct set set;
    set_up(&set);
    atomic_store(&closed, 0);
    static int client[MANY];
    static struct stream *st[MANY];
    struct stream_owner o = {on_closed, NULL};
    for (int i = 0; i < MANY; i++) {
        int server;
        pair(&set, &client[i], &server);
        st[i] = stream_new(set.ss, server, NULL);
        stream_ref(st[i]);
        stream_set_owner(st[i], &o);
    }
    assert_int_equal(streams_count(set.ss), MANY);
    static const char text[] = "id: 1\nevent: x\ndata: {}\n\n";
    int64_t start = clock_mono_ms();
    for (int round = 0; round < 3; round++) {
        struct stream_block *b = stream_block_new(text, sizeof text - 1);
        for (int i = 0; i < MANY; i++)
            stream_send(st[i], b);
        stream_block_unref(b);
    }
    for (int i = 0; i < MANY; i++) {
        char got[3 * sizeof text] = "";
        assert_int_equal(take(client[i], got, 3 * (sizeof text - 1)), 3 * (sizeof text - 1));
        assert_memory_equal(got + 2 * (sizeof text - 1), text, sizeof text - 1);
    }
    assert_true(clock_mono_ms() - start < 5000);
    /* A third of the clients goes away: they are noticed without a write. */
    for (int i = 0; i < MANY / 3; i++)
        close(client[i]);
    assert_true(closed_within(MANY / 3, 5000));
    assert_int_equal(streams_count(set.ss), MANY - MANY / 3);
    /* Sending to an ended stream is forgotten. */
    send_text(st[0], "data: late\n\n");
    for (int i = MANY / 3; i < MANY; i++)
        stream_close(st[i]);
    assert_true(closed_within(MANY, 5000));
    for (int i = MANY / 3; i < MANY; i++) {
        assert_true(at_end(client[i]));
        close(client[i]);
    }
    for (int i = 0; i < MANY; i++)
        stream_unref(st[i]);
    tear_down(&set);
}

static void a_slow_reader_is_dropped_and_others_are_not(void **state)
{
    (void)state;
    struct set set;
    set_up(&set);
    atomic_store(&closed, 0);
    int slow, quick, server;
    struct stream_owner o = {on_closed, NULL};
    pair(&set, &slow, &server);
    struct stream *a = stream_new(set.ss, server, NULL);
    pair(&set, &quick, &server);
    struct stream *b = stream_new(set.ss, server, NULL);
    stream_ref(a);
    stream_ref(b);
    stream_set_owner(a, &o);
    stream_set_owner(b, &o);
    static char event[8192], got[sizeof event];
    memset(event, 'x', sizeof event);
    int rounds = 0;
    for (; rounds < 2000 && !atomic_load(&closed); rounds++) {
        struct stream_block *block = stream_block_new(event, sizeof event);
        stream_send(a, block);
        stream_send(b, block);
        stream_block_unref(block);
        assert_int_equal(take(quick, got, sizeof got), sizeof got);
        assert_true(stream_pending(b) <= STREAM_PENDING_MAX + sizeof event);
    }
    assert_true(rounds < 2000);
    assert_int_equal(streams_count(set.ss), 1);
    struct streams_stats stats;
    streams_get_stats(set.ss, &stats);
    assert_int_equal(stats.dropped, 1);
    send_text(b, "data: on\n\n");
    assert_int_equal(take(quick, got, 10), 10);
    stream_unref(a);
    stream_unref(b);
    close(slow);
    close(quick);
    tear_down(&set);
    assert_int_equal(atomic_load(&closed), 2);
}

static void one_large_event_passes(void **state)
{
    (void)state;
    struct set set;
    set_up(&set);
    int client, server;
    pair(&set, &client, &server);
    struct stream *s = stream_new(set.ss, server, NULL);
    static char event[1000000], got[sizeof event];
    memset(event, 'y', sizeof event);
    struct stream_block *b = stream_block_new(event, sizeof event);
    stream_send(s, b);
    stream_block_unref(b);
    assert_int_equal(take(client, got, sizeof got), sizeof got);
    assert_memory_equal(event, got, sizeof got);
    close(client);
    tear_down(&set);
}

static void a_silent_stream_speaks(void **state)
{
    (void)state;
    struct set set;
    set_up(&set);
    streams_set_comment(set.ss, 50);
    int client, server;
    pair(&set, &client, &server);
    struct stream *s = stream_new(set.ss, server, NULL);
    send_text(s, "data: 1\n\n");
    char got[64] = "";
    assert_int_equal(take(client, got, 9 + 8), 9 + 8);
    assert_string_equal(got, "data: 1\n\n: \n\n: \n\n");
    close(client);
    tear_down(&set);
}

static void drain_says_when_to_come_back(void **state)
{
    (void)state;
    struct set set;
    set_up(&set);
    int client[3], server;
    for (int i = 0; i < 3; i++) {
        pair(&set, &client[i], &server);
        struct stream *s = stream_new(set.ss, server, NULL);
        if (i == 2) {
            streams_drain(set.ss, 1500);
            stream_set_owner(s, &(struct stream_owner){0}); /* made before the drain, lives after */
        } else
            send_text(s, "data: 1\n\n");
    }
    pair(&set, &client[0], &server); /* the first client's number is used anew below; it ends with the loop */
    struct stream *late = stream_new(set.ss, server, NULL);
    stream_set_owner(late, &(struct stream_owner){0});
    for (int i = 0; i < 3; i++) {
        char got[64] = "";
        size_t n = take(client[i], got, sizeof got - 1);
        assert_string_equal(got, i == 1 ? "data: 1\n\nretry: 1500\n\n" : "retry: 1500\n\n");
        assert_int_equal(n, strlen(got));
        close(client[i]);
    }
    for (int i = 0; streams_count(set.ss) && i < 1000; i++)
        clock_sleep_ms(5);
    assert_int_equal(streams_count(set.ss), 0);
    tear_down(&set);
}

static void the_owner_hears_of_an_end_before_it_was_set(void **state)
{
    (void)state;
    struct set set;
    set_up(&set);
    atomic_store(&closed, 0);
    int client, server;
    pair(&set, &client, &server);
    struct stream *s = stream_new(set.ss, server, NULL);
    close(client); /* away already; nobody looks until somebody owns it */
    clock_sleep_ms(20);
    assert_int_equal(streams_count(set.ss), 1);
    stream_set_owner(s, &(struct stream_owner){on_closed, NULL});
    assert_true(closed_within(1, 5000));
    tear_down(&set);
}

static void the_loop_may_stop_first(void **state)
{
    (void)state;
    struct set set;
    set_up(&set);
    atomic_store(&closed, 0);
    int client[20], server;
    struct stream *kept = NULL;
    for (int i = 0; i < 20; i++) {
        pair(&set, &client[i], &server);
        struct stream *s = stream_new(set.ss, server, NULL);
        if (i == 0)
            stream_ref(kept = s);
        stream_set_owner(s, &(struct stream_owner){on_closed, NULL});
    }
    loop_stop(set.l);
    assert_int_equal(atomic_load(&closed), 20);
    for (int i = 0; i < 20; i++)
        close(client[i]);
    streams_free(set.ss);
    send_text(kept, "data: late\n\n"); /* a reference stays good */
    stream_unref(kept);
    loop_free(set.l);
    close(set.listener);
}

/* --- senders on several threads while clients come and go --- */

struct storm { struct stream *s[50]; atomic_bool stop; };

static void *send_storm(void *arg)
{
    struct storm *m = arg;
    while (!atomic_load(&m->stop)) {
        struct stream_block *b = stream_block_new("data: storm\n\n", 13);
        for (int i = 0; i < 50; i++)
            stream_send(m->s[i], b);
        stream_block_unref(b);
        clock_sleep_ms(1);
    }
    return NULL;
}

static void senders_and_leavers_at_once(void **state)
{
    (void)state;
    struct set set;
    set_up(&set);
    atomic_store(&closed, 0);
    struct storm m = {0};
    int client[50];
    for (int i = 0; i < 50; i++) {
        int server;
        pair(&set, &client[i], &server);
        m.s[i] = stream_new(set.ss, server, NULL);
        stream_ref(m.s[i]);
        stream_set_owner(m.s[i], &(struct stream_owner){on_closed, NULL});
    }
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, send_storm, &m);
    for (int i = 0; i < 50; i++) {
        char got[13];
        assert_int_equal(take(client[i], got, 13), 13);
        if (i % 2)
            close(client[i]);
        else
            stream_close(m.s[i]);
    }
    assert_true(closed_within(50, 10000));
    atomic_store(&m.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < 50; i++) {
        stream_unref(m.s[i]);
        if (!(i % 2))
            close(client[i]);
    }
    tear_down(&set);
}

/* --- TLS --- */

static SSL_CTX *server_context(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(c, x), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(c, key), 1);
    X509_free(x);
    EVP_PKEY_free(key);
    return c;
}

struct handshake { SSL *ssl; int ok; };
static void *accept_tls(void *arg)
{
    struct handshake *h = arg;
    h->ok = SSL_accept(h->ssl);
    return NULL;
}

static void streams_over_tls(void **state)
{
    (void)state;
    enum { N = 40 };
    struct set set;
    set_up(&set);
    atomic_store(&closed, 0);
    SSL_CTX *sc = server_context(), *cc = SSL_CTX_new(TLS_client_method());
    SSL *client[N];
    int fds[N];
    struct stream *st[N];
    for (int i = 0; i < N; i++) {
        int server;
        pair(&set, &fds[i], &server);
        struct handshake h = {SSL_new(sc), 0};
        SSL_set_fd(h.ssl, server);
        client[i] = SSL_new(cc);
        SSL_set_fd(client[i], fds[i]);
        pthread_t t;
        pthread_create(&t, NULL, accept_tls, &h);
        assert_int_equal(SSL_connect(client[i]), 1);
        pthread_join(t, NULL);
        assert_int_equal(h.ok, 1);
        st[i] = stream_new(set.ss, server, h.ssl);
        stream_ref(st[i]);
        stream_set_owner(st[i], &(struct stream_owner){on_closed, NULL});
    }
    static char event[40000];
    memset(event, 'z', sizeof event);
    struct stream_block *b = stream_block_new(event, sizeof event);
    for (int i = 0; i < N; i++)
        stream_send(st[i], b);
    stream_block_unref(b);
    for (int i = 0; i < N; i++) {
        static char got[sizeof event];
        size_t n = 0;
        while (n < sizeof got) {
            int r = SSL_read(client[i], got + n, (int)(sizeof got - n));
            assert_true(r > 0);
            n += (size_t)r;
        }
        assert_memory_equal(got, event, sizeof event);
    }
    /* Orderly farewell by the client, and a server that closes. */
    for (int i = 0; i < N / 2; i++)
        SSL_shutdown(client[i]);
    assert_true(closed_within(N / 2, 5000));
    for (int i = N / 2; i < N; i++) {
        stream_close(st[i]);
        char c;
        assert_int_equal(SSL_read(client[i], &c, 1), 0);
        assert_int_equal(SSL_get_error(client[i], 0), SSL_ERROR_ZERO_RETURN);
    }
    assert_true(closed_within(N, 5000));
    for (int i = 0; i < N; i++) {
        stream_unref(st[i]);
        SSL_free(client[i]);
        close(fds[i]);
    }
    SSL_CTX_free(sc);
    SSL_CTX_free(cc);
    tear_down(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_event_reaches_many),
        cmocka_unit_test(a_slow_reader_is_dropped_and_others_are_not),
        cmocka_unit_test(one_large_event_passes),
        cmocka_unit_test(a_silent_stream_speaks),
        cmocka_unit_test(drain_says_when_to_come_back),
        cmocka_unit_test(the_owner_hears_of_an_end_before_it_was_set),
        cmocka_unit_test(the_loop_may_stop_first),
        cmocka_unit_test(senders_and_leavers_at_once),
        cmocka_unit_test(streams_over_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
