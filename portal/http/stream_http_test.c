// label: threads
/* Event streams handed over from the listener, over plain sockets and TLS; TLS itself. */
#include "portal/http/testkit.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "portal/loop/stream.h"

#define H "Host: localhost\r\n"
#define MANY 200

static struct loop *loop;
static struct streams *streams;
static struct http_server *plain, *secure;
static char folder[] = "/tmp/soma-http-test-XXXXXX";
static char certificate[64], key[64];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stream *kept[2 * MANY];
static size_t n_kept;
static atomic_int closed;

/* --- what is served --- */

static void on_closed(struct stream *s, void *arg)
{
    (void)s, (void)arg;
    atomic_fetch_add(&closed, 1);
}

static int open_stream(struct http_req *r, struct err *e)
{
    struct stream *s = NULL;
    http_add_header(r, "X-Extra", "1");
    int n = http_take_stream(r, &s, e);
    if (n)
        return n;
    stream_ref(s);
    pthread_mutex_lock(&lock);
    kept[n_kept++] = s;
    pthread_mutex_unlock(&lock);
    stream_set_owner(s, &(struct stream_owner){on_closed, NULL});
    return 0;
}

static int fail_after(struct http_req *r, struct err *e)
{
    struct stream *s = NULL;
    int n = http_take_stream(r, &s, e);
    return n ? n : err_set(e, ERR_UNAVAILABLE, "The log is away.");
}

static int fail_before(struct http_req *r, struct err *e)
{
    (void)r;
    return err_set(e, ERR_DENIED, "Needs the role viewer.");
}

static int hello(struct http_req *r, struct err *e)
{
    (void)e;
    return http_reply(r, 200, "text/plain", r->tls ? "secure" : "plain", r->tls ? 6 : 5);
}

static int large(struct http_req *r, struct err *e)
{
    (void)e;
    static char text[300000];
    memset(text, 'l', sizeof text);
    return http_reply(r, 200, "text/plain", text, sizeof text);
}

static int echo(struct http_req *r, struct err *e)
{
    (void)e;
    return http_reply(r, 200, "text/plain", r->body, r->body_len);
}

static const struct http_route routes[] = {
    {"GET", "/stream", NULL, "public", open_stream, HTTP_STREAM, 0},
    {"GET", "/fails-after", NULL, "public", fail_after, HTTP_STREAM, 0},
    {"GET", "/fails-before", NULL, "public", fail_before, HTTP_STREAM, 0},
    {"GET", "/hello", NULL, "public", hello, 0, 0},
    {"GET", "/large", NULL, "public", large, 0, 0},
    {"POST", "/echo", NULL, "public", echo, HTTP_RAW_BODY, 1000000},
    {0},
};

/* --- certificate and clients --- */

static void write_certificate(const char *name)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, pkey);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    assert_true(X509_sign(x, pkey, EVP_sha256()) > 0);
    FILE *f = fopen(certificate, "w");
    PEM_write_X509(f, x);
    fclose(f);
    f = fopen(key, "w");
    PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(pkey);
}

static SSL_CTX *client_context;

static struct client connect_to(const struct http_server *s)
{
    struct client c = kit_connect(s);
    if (s != secure)
        return c;
    c.ssl = SSL_new(client_context);
    SSL_set_fd(c.ssl, c.fd);
    assert_int_equal(SSL_connect(c.ssl), 1);
    return c;
}

static int start(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(certificate, sizeof certificate, "%s/c.pem", folder);
    snprintf(key, sizeof key, "%s/k.pem", folder);
    write_certificate("first");
    client_context = SSL_CTX_new(TLS_client_method());
    assert_int_equal(loop_new(&loop, NULL), 0);
    assert_int_equal(loop_start(loop, NULL), 0);
    streams = streams_new(loop);
    struct http_options o = {.threads = 6, .streams = streams, .header_timeout_ms = 1500};
    plain = kit_server(&o, routes);
    o.certificate = certificate;
    o.private_key = key;
    secure = kit_server(&o, routes);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    struct http_stats st;
    http_server_drain(plain, 1000);
    http_server_stats(plain, &st);
    assert_int_equal(st.busy, 0);
    http_server_free(plain);
    http_server_drain(secure, 1000);
    http_server_stats(secure, &st);
    assert_int_equal(st.busy, 0);
    http_server_free(secure);
    streams_free(streams);
    loop_free(loop);
    SSL_CTX_free(client_context);
    unlink(certificate);
    unlink(key);
    rmdir(folder);
    return 0;
}

/* --- tests --- */

static void read_text(struct client *c, const char *want)
{
    size_t n = strlen(want);
    while (c->in.len < n && kit_fill(c) > 0)
        ;
    assert_true(c->in.len >= n);
    assert_memory_equal(c->in.data, want, n);
    kit_consume(c, n);
}

static void send_all(const char *text)
{
    struct stream_block *b = stream_block_new(text, strlen(text));
    for (size_t i = 0; i < n_kept; i++)
        stream_send(kept[i], b);
    stream_block_unref(b);
}

static void wait_closed(int n)
{
    for (int i = 0; i < 2000 && atomic_load(&closed) < n; i++)
        clock_sleep_ms(5);
    assert_int_equal(atomic_load(&closed), n);
}

/* A client has the head of its stream a moment before the handler goes on. */
static void wait_kept(size_t n)
{
    size_t now = 0;
    for (int i = 0; i < 2000 && now < n; i++) {
        pthread_mutex_lock(&lock);
        now = n_kept;
        pthread_mutex_unlock(&lock);
        if (now < n)
            clock_sleep_ms(5);
    }
    assert_int_equal(now, n);
}

/* Many streams on six workers, and the workers are free for others. */
static void many_streams(struct http_server *s)
{
    static struct client c[MANY];
    atomic_store(&closed, 0);
    pthread_mutex_lock(&lock);
    n_kept = 0;
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < MANY; i++) {
        c[i] = connect_to(s);
        kit_say(&c[i], "GET /stream HTTP/1.1\r\n" H "Last-Event-ID: 5-7\r\n\r\n");
        struct answer a = kit_answer(&c[i], true);
        assert_int_equal(a.status, 200);
        assert_string_equal(kit_header(&a, "Content-Type"), "text/event-stream; charset=utf-8");
        assert_string_equal(kit_header(&a, "Cache-Control"), "no-store");
        assert_string_equal(kit_header(&a, "X-Extra"), "1");
        assert_null(kit_header(&a, "Content-Length"));
        assert_true(a.closed);
        kit_answer_done(&a);
        wait_kept((size_t)i + 1); /* so that kept[i] is the stream of c[i] */
    }
    assert_int_equal(streams_count(streams), MANY);
    struct client other = connect_to(s);
    for (int i = 0; i < 20; i++) {
        kit_say(&other, "GET /hello HTTP/1.1\r\n" H "\r\n");
        struct answer a = kit_answer(&other, false);
        assert_int_equal(a.status, 200);
        kit_answer_done(&a);
    }
    kit_close(&other);
    struct http_stats st;
    for (int i = 0; i < 400; i++) { /* the client has its answer a moment before the worker is done */
        http_server_stats(s, &st);
        if (!st.in_flight)
            break;
        clock_sleep_ms(5);
    }
    assert_int_equal(st.in_flight, 0);
    for (int round = 0; round < 3; round++) {
        send_all("id: 1\ndata: {\"a\":1}\n\n");
        for (int i = 0; i < MANY; i++)
            read_text(&c[i], "id: 1\ndata: {\"a\":1}\n\n");
    }
    for (int i = 0; i < MANY / 2; i++)
        kit_close(&c[i]);
    wait_closed(MANY / 2);
    send_all("data: 2\n\n");
    for (int i = MANY / 2; i < MANY; i++) {
        read_text(&c[i], "data: 2\n\n");
        if (i % 2)
            stream_close(kept[i]);
        else
            kit_close(&c[i]);
    }
    wait_closed(MANY);
    for (int i = MANY / 2; i < MANY; i++)
        if (i % 2) {
            assert_true(kit_ended(&c[i]));
            kit_close(&c[i]);
        }
    for (size_t i = 0; i < n_kept; i++)
        stream_unref(kept[i]);
}

static void streams_over_plain_sockets(void **state)
{
    (void)state;
    many_streams(plain);
}

static void streams_over_tls(void **state)
{
    (void)state;
    many_streams(secure);
}

static void a_stream_that_fails_ends(void **state)
{
    (void)state;
    struct http_server *const both[] = {plain, secure};
    for (int i = 0; i < 2; i++) {
        struct client c = connect_to(both[i]);
        kit_say(&c, "GET /fails-after HTTP/1.1\r\n" H "\r\n");
        struct answer a = kit_answer(&c, true);
        assert_int_equal(a.status, 200);
        assert_true(kit_ended(&c));
        kit_answer_done(&a);
        kit_close(&c);
        c = connect_to(both[i]);
        kit_say(&c, "GET /fails-before HTTP/1.1\r\n" H "\r\n");
        a = kit_answer(&c, false);
        assert_int_equal(a.status, 403);
        assert_false(a.closed);
        kit_answer_done(&a);
        kit_say(&c, "HEAD /stream HTTP/1.1\r\n" H "\r\n");
        a = kit_answer(&c, true);
        assert_int_equal(a.status, 405);
        kit_answer_done(&a);
        kit_close(&c);
    }
    for (int i = 0; i < 400 && streams_count(streams); i++)
        clock_sleep_ms(5);
    assert_int_equal(streams_count(streams), 0);
}

static void requests_over_tls(void **state)
{
    (void)state;
    struct client c = connect_to(secure);
    assert_true(SSL_version(c.ssl) >= TLS1_2_VERSION);
    kit_say(&c, "GET /hello HTTP/1.1\r\n" H "\r\nGET /large HTTP/1.1\r\n" H "\r\n");
    struct answer a = kit_answer(&c, false);
    assert_string_equal(buf_cstr(&a.body), "secure");
    kit_answer_done(&a);
    a = kit_answer(&c, false);
    assert_int_equal(a.body.len, 300000);
    kit_answer_done(&a);
    static char junk[200000];
    kit_say(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 200000\r\n\r\n");
    kit_send(&c, junk, sizeof junk);
    a = kit_answer(&c, false);
    assert_int_equal(a.body.len, sizeof junk);
    kit_answer_done(&a);
    kit_say(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 2000000\r\n\r\n");
    a = kit_answer(&c, false);
    assert_int_equal(a.status, 413);
    kit_answer_done(&a);
    kit_close(&c);
    c = connect_to(secure);
    kit_say(&c, "nonsense\r\n\r\n");
    a = kit_answer(&c, false);
    assert_int_equal(a.status, 400);
    kit_answer_done(&a);
    kit_close(&c);
}

static void silent_and_plain_clients_of_tls_are_dropped(void **state)
{
    (void)state;
    struct client silent[4], wrong = kit_connect(secure);
    for (int i = 0; i < 4; i++)
        silent[i] = kit_connect(secure);
    kit_say(&wrong, "GET /hello HTTP/1.1\r\n" H "\r\n");
    while (kit_fill(&wrong) > 0) /* an alert, then the end; never an answer */
        ;
    assert_null(wrong.in.data ? strstr(wrong.in.data, "HTTP/1.1") : NULL);
    kit_close(&wrong);
    int64_t start_ms = clock_mono_ms();
    for (int i = 0; i < 4; i++) {
        assert_true(kit_ended(&silent[i]));
        kit_close(&silent[i]);
    }
    assert_true(clock_mono_ms() - start_ms < 8000);
    struct client c = connect_to(secure);
    kit_say(&c, "GET /hello HTTP/1.1\r\n" H "\r\n");
    struct answer a = kit_answer(&c, false);
    assert_int_equal(a.status, 200);
    kit_answer_done(&a);
    kit_close(&c);
}

static void common_name(struct client *c, char out[64])
{
    X509 *x = SSL_get1_peer_certificate(c->ssl);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, out, 64);
    X509_free(x);
}

static void the_certificate_is_read_anew(void **state)
{
    (void)state;
    char name[64];
    struct client old = connect_to(secure);
    common_name(&old, name);
    assert_string_equal(name, "first");
    write_certificate("second");
    struct err e = ERR_INIT;
    assert_int_equal(http_server_reload_certificate(secure, &e), 0);
    struct client fresh = connect_to(secure);
    common_name(&fresh, name);
    assert_string_equal(name, "second");
    kit_close(&fresh);
    FILE *f = fopen(key, "w");
    fputs("no key", f);
    fclose(f);
    assert_int_equal(http_server_reload_certificate(secure, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, key));
    fresh = connect_to(secure); /* the one before stays */
    kit_say(&old, "GET /hello HTTP/1.1\r\n" H "\r\n");
    struct answer a = kit_answer(&old, false);
    assert_int_equal(a.status, 200);
    kit_answer_done(&a);
    kit_close(&old);
    kit_close(&fresh);
    assert_int_equal(http_server_reload_certificate(plain, &e), ERR_CONFLICT);
}

static void drain_tells_streams_when_to_come_back(void **state)
{
    (void)state;
    pthread_mutex_lock(&lock);
    n_kept = 0;
    pthread_mutex_unlock(&lock);
    struct client c[2] = {connect_to(plain), connect_to(secure)};
    for (int i = 0; i < 2; i++) {
        kit_say(&c[i], "GET /stream HTTP/1.1\r\n" H "\r\n");
        struct answer a = kit_answer(&c[i], true);
        assert_int_equal(a.status, 200);
        kit_answer_done(&a);
    }
    wait_kept(2);
    streams_drain(streams, 2000);
    for (int i = 0; i < 2; i++) {
        read_text(&c[i], "retry: 2000\n\n");
        assert_true(kit_ended(&c[i]));
        kit_close(&c[i]);
        stream_unref(kept[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_over_plain_sockets),
        cmocka_unit_test(streams_over_tls),
        cmocka_unit_test(a_stream_that_fails_ends),
        cmocka_unit_test(requests_over_tls),
        cmocka_unit_test(silent_and_plain_clients_of_tls_are_dropped),
        cmocka_unit_test(the_certificate_is_read_anew),
        cmocka_unit_test(drain_tells_streams_when_to_come_back),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
