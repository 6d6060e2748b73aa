// label: threads
/* What a client may send wrongly, slowly or hugely, over real sockets. */
#include "portal/http/testkit.h"

#include <errno.h>

static int echo(struct http_req *r, struct err *e)
{
    (void)e;
    return http_reply(r, 200, "text/plain", r->body, r->body_len);
}

static int whoever(struct http_req *r, struct err *e)
{
    (void)e;
    BUF_AUTO b = BUF_INIT;
    buf_printf(&b, "<%s %s>", r->remote_addr, r->tls ? "https" : "http");
    return http_reply(r, 200, "text/plain", b.data, b.len);
}

static int item(struct http_req *r, struct err *e)
{
    (void)e;
    BUF_AUTO b = BUF_INIT;
    buf_printf(&b, "%s|%s|%s", http_param(r, "id"), http_query(r, "q") ? http_query(r, "q") : "-", r->path);
    return http_reply(r, 200, "text/plain; charset=utf-8", b.data, b.len);
}

static const struct http_route routes[] = {
    {"GET", "/item/{id}", NULL, "public", item, 0, 0},
    {"GET", "/", NULL, "public", echo, 0, 0},
    {"GET", "/whoever", NULL, "public", whoever, 0, 0},
    {"POST", "/echo", NULL, "public", echo, HTTP_RAW_BODY, 100000},
    {"POST", "/json", NULL, "public", echo, 0, 1000},
    {0},
};

static struct http_server *server;

static int start(void **state)
{
    (void)state;
    struct http_options o = {.threads = 8, .header_timeout_ms = 700, .body_timeout_ms = 2500, .body_min_rate = 1000, .body_grace_ms = 1000, .keep_alive_ms = 600};
    server = kit_server(&o, routes);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    struct http_stats st;
    http_server_drain(server, 2000);
    http_server_stats(server, &st);
    assert_int_equal(st.in_flight, 0);
    assert_int_equal(st.busy, 0);
    http_server_free(server);
    return 0;
}

#define H "Host: localhost\r\n"

static void plain_requests_pass(void **state)
{
    (void)state;
    kit_expect(server, "GET / HTTP/1.1\r\n" H "\r\n", 200, NULL);
    kit_expect(server, "GET / HTTP/1.0\r\n\r\n", 200, NULL);
    kit_expect(server, "\r\nGET / HTTP/1.1\r\n" H "\r\n", 200, NULL);
    kit_expect(server, "GET /item/a%20b?q=c%2Bd+e&r HTTP/1.1\r\n" H "X-Empty:\r\nX-Blank: \r\n\r\n", 200, "a b|c+d e|/item/a b");
    kit_expect(server, "GET /item/%C3%A4 HTTP/1.1\r\n" H "\r\n", 200, "ä|-|/item/ä");
    kit_expect(server, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello", 200, "hello");
    kit_expect(server, "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=1\r\nlo\r\n0\r\nTrailer: x\r\n\r\n", 200, "hello");
    kit_expect(server, "POST /echo HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 200, NULL);
}

static void ambiguous_framing_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\n" H "Content-Length:\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\n" H " Content-Length: 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\n" H "X: a\r\n folded\r\nContent-Length: 5\r\n\r\nhello",
        "GET / HTTP/1.1\n\rHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\rHost: a\r\n\r\n",
        "GET / HTTP/1.1\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r Host: a\r\n\r\n",
        "POST /echo HTTP/1.1\n" H "Content-Length: 5\r\n\r\nhello",
        "GET / HTTP/1.1\r\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
        "GET  / HTTP/1.1\r\n" H "\r\n",
        "GET /  HTTP/1.1\r\n" H "\r\n",
        "GET / HTTP/1.1 \r\n" H "\r\n",
        "GET / HTTP/1.1\r\n " H "\r\n",
        "GET / HTTP/1.1\r\n" H "Bad(Name): x\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "No colon\r\n\r\n",
        "GET / HTTP/1.1\r\n" H ": x\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "X: a\x01b\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\n" H "\r\n",
        "TRACE / HTTP/1.1\r\n" H "\r\n",
        "BREW / HTTP/1.1\r\n" H "\r\n",
        "get / HTTP/1.1\r\n" H "\r\n",
        "GET / HTTP/1.1\r\n\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n",
        "hello\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct client c = kit_connect(server);
        kit_say(&c, bad[i]);
        struct answer a = kit_answer(&c, false);
        if (a.status != 400 || !a.closed || !strstr(buf_cstr(&a.body), "\"type\":\"/problems/framing\"") || !kit_ended(&c))
            fail_msg("%s answered %d %s", bad[i], a.status, buf_cstr(&a.body));
        assert_string_equal(kit_header(&a, "Content-Type"), "application/problem+json");
        assert_non_null(kit_header(&a, "X-Request-Id"));
        kit_answer_done(&a);
        kit_close(&c);
    }
    /* An end that is none: the head is waited for in vain. */
    kit_expect(server, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\n\r\nhello", 408, "/problems/too-slow");
    kit_expect(server, "GET / HTTP/2.0\r\n" H "\r\n", 505, "/problems/http-version");
}

static void too_many_headers_are_refused_whole(void **state)
{
    (void)state;
    BUF_AUTO b = BUF_INIT;
    buf_str(&b, "POST /echo HTTP/1.1\r\n" H);
    for (int i = 0; i < 70; i++)
        buf_printf(&b, "X-%d: y\r\n", i);
    buf_str(&b, "Content-Length: 5\r\n\r\nhello"); /* beyond what civetweb keeps */
    kit_expect(server, b.data, 400, "framing");
}

static void a_huge_head_is_refused(void **state)
{
    (void)state;
    BUF_AUTO b = BUF_INIT;
    buf_str(&b, "GET / HTTP/1.1\r\n" H "X: ");
    for (int i = 0; i < 40000; i++)
        buf_char(&b, 'x');
    buf_str(&b, "\r\n\r\n");
    kit_expect(server, b.data, 431, "/problems/head-too-large");
}

static void strange_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"/item/a%2fb", "/item/a%2Fb", "/item/%00", "/item/a%0d%0ab", "/item/..", "/item/../item/x", "/./item/x", "/item/%2e%2e",
                                      "/item/.%2e/x", "/item/%", "/item/%4", "/item/%zz", "/item/%ff", "/item/%c0%af", "/item/%ed%a0%80", "/item/x?q=%00",
                                      "/item/x?q=%ff", "/item/x?q=%", "/item/x?%zz=1", "/item/x#y", "/item/%7f"};
    char text[256];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" H "\r\n", bad[i]);
        kit_expect(server, text, 400, "/problems/address");
    }
    kit_expect(server, "OPTIONS * HTTP/1.1\r\n" H "\r\n", 400, "/problems/address");
    kit_expect(server, "GET http://elsewhere.example:1/ HTTP/1.1\r\n" H "\r\n", 400, "/problems/address");
    snprintf(text, sizeof text, "GET http://localhost:%d/item/x HTTP/1.1\r\n" H "\r\n", http_server_port(server));
    kit_expect(server, text, 200, "x|-|/item/x");
    kit_expect(server, "GET item HTTP/1.1\r\n" H "\r\n", 400, "/problems/framing");
    kit_expect(server, "GET //item/x HTTP/1.1\r\n" H "\r\n", 404, NULL);
}

static void stale_bytes_of_another_client_are_never_parsed(void **state)
{
    (void)state;
    /* Fill every worker's buffer with a body that looks like a request, then send blank lines only. */
    BUF_AUTO b = BUF_INIT;
    static const char inner[] = "GET /item/secret HTTP/1.1\r\n" H "\r\n";
    buf_printf(&b, "POST /echo HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n%s", sizeof inner - 1, inner);
    for (int i = 0; i < 16; i++)
        kit_expect(server, b.data, 200, NULL);
    size_t head = b.len - (sizeof inner - 1);
    for (int i = 0; i < 16; i++) {
        struct client c = kit_connect(server);
        char blanks[512];
        memset(blanks, ' ', sizeof blanks);
        memcpy(blanks + head - 4, "\r\n\r\n", 4);
        kit_send(&c, blanks, head);
        struct answer a = kit_answer(&c, false);
        assert_true(a.status == 400 || a.status == 0);
        assert_null(strstr(buf_cstr(&a.body), "secret"));
        kit_answer_done(&a);
        kit_close(&c);
    }
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    struct client c = kit_connect(server);
    kit_say(&c, "GET /item/1 HTTP/1.1\r\n" H "\r\n"
                "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\ntwo"
                "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\n"
                "POST /json HTTP/1.1\r\n" H "Content-Length: 4\r\nContent-Type: text/plain\r\n\r\nfour"
                "HEAD /item/5 HTTP/1.1\r\n" H "\r\n"
                "GET /item/6 HTTP/1.1\r\n" H "\r\n");
    static const struct { int status; const char *body; } want[] = {{200, "1|-|/item/1"}, {200, "two"}, {200, "three"}, {415, NULL}, {200, ""}, {200, "6|-|/item/6"}};
    for (int i = 0; i < 6; i++) {
        struct answer a = kit_answer(&c, i == 4);
        assert_int_equal(a.status, want[i].status);
        assert_false(a.closed);
        if (want[i].body)
            assert_string_equal(buf_cstr(&a.body), want[i].body);
        if (i == 4)
            assert_string_equal(kit_header(&a, "Content-Length"), "11");
        kit_answer_done(&a);
    }
    kit_close(&c);
}

static void a_second_request_is_looked_at_as_closely(void **state)
{
    (void)state;
    static const char *const second[] = {"GET / HTTP/1.1\n\rHost: a\r\n\r\n", "GET / HTTP/1.1\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"};
    for (size_t i = 0; i < sizeof second / sizeof *second; i++)
        for (int pieces = 0; pieces < 2; pieces++)
            for (int body = 0; body < 2; body++) {
                char text[256];
                struct client c = kit_connect(server);
                int first = snprintf(text, sizeof text, body ? "POST /echo HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nok" : "GET / HTTP/1.1\r\n" H "\r\n");
                snprintf(text + first, sizeof text - (size_t)first, "%s", second[i]);
                if (pieces) { /* cut between the two bytes of the line end */
                    size_t cut = (size_t)first + strcspn(second[i], "\r\n") + 1;
                    kit_send(&c, text, cut);
                    clock_sleep_ms(20);
                    kit_say(&c, text + cut);
                } else
                    kit_say(&c, text);
                struct answer a = kit_answer(&c, false), b = kit_answer(&c, false);
                assert_int_equal(a.status, 200);
                assert_int_equal(b.status, 400);
                kit_answer_done(&a);
                kit_answer_done(&b);
                kit_close(&c);
            }
}

static void a_request_in_small_pieces(void **state)
{
    (void)state;
    static const char text[] = "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n6\r\npieces\r\n0\r\n\r\nGET /item/n HTTP/1.1\r\n" H "\r\n";
    struct client c = kit_connect(server);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        kit_send(&c, text + i, 1);
        if (i % 16 == 0)
            clock_sleep_ms(1);
    }
    struct answer a = kit_answer(&c, false), b = kit_answer(&c, false);
    assert_string_equal(buf_cstr(&a.body), "pieces");
    assert_string_equal(buf_cstr(&b.body), "n|-|/item/n");
    kit_answer_done(&a);
    kit_answer_done(&b);
    kit_close(&c);
}

static void broken_chunks_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"x\r\nabc\r\n0\r\n\r\n", "3\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "-3\r\nabc\r\n0\r\n\r\n", "ffffffffffffffffff\r\n",
                                      "3 x\r\nabc\r\n0\r\n\r\n", "\r\n3\r\nabc\r\n0\r\n\r\n", "3\r\nabc\n0\r\n\r\n", "0x3\r\nabc\r\n0\r\n\r\n", "3;\x01\r\nabc\r\n0\r\n\r\n",
                                      "0\r\nA: b\n\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[256];
        snprintf(text, sizeof text, "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n%s", bad[i]);
        kit_expect(server, text, 400, "/problems/framing");
    }
}

static void large_bodies_end_early(void **state)
{
    (void)state;
    /* By Content-Length: nothing of the body is waited for. */
    kit_expect(server, "POST /json HTTP/1.1\r\n" H "Content-Type: application/json\r\nContent-Length: 1001\r\n\r\n", 413, "1000 bytes");
    /* With the client writing on and on, the answer still arrives. */
    struct client c = kit_connect(server);
    static char junk[65536];
    kit_say(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 3000000\r\n\r\n");
    for (int i = 0; i < 40; i++)
        if (!kit_send(&c, junk, sizeof junk))
            break;
    struct answer a = kit_answer(&c, false);
    assert_int_equal(a.status, 413);
    assert_true(a.closed);
    kit_answer_done(&a);
    kit_close(&c);
    /* By counting. */
    c = kit_connect(server);
    kit_say(&c, "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 10; i++)
        if (!kit_say(&c, "8000\r\n") || !kit_send(&c, junk, 0x8000) || !kit_say(&c, "\r\n"))
            break;
    a = kit_answer(&c, false);
    assert_int_equal(a.status, 413);
    kit_answer_done(&a);
    kit_close(&c);
    /* Exactly the limit passes. */
    c = kit_connect(server);
    kit_say(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n");
    kit_send(&c, junk, 50000);
    kit_send(&c, junk, 50000);
    a = kit_answer(&c, false);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body.len, 100000);
    kit_answer_done(&a);
    kit_close(&c);
}

static void leave_to_send_is_given(void **state)
{
    (void)state;
    struct client c = kit_connect(server);
    kit_say(&c, "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    struct answer a = kit_answer(&c, false);
    assert_int_equal(a.status, 100);
    kit_answer_done(&a);
    kit_say(&c, "hello");
    a = kit_answer(&c, false);
    assert_string_equal(buf_cstr(&a.body), "hello");
    kit_answer_done(&a);
    /* Refused at once when the length is too large: no leave, the connection ends. */
    kit_say(&c, "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 500000\r\n\r\n");
    a = kit_answer(&c, false);
    assert_int_equal(a.status, 413);
    assert_true(a.closed);
    kit_answer_done(&a);
    kit_close(&c);
    kit_expect(server, "POST /echo HTTP/1.1\r\n" H "Expect: miracles\r\nContent-Length: 5\r\n\r\nhello", 417, "expectation");
}

static void slow_heads_are_cut(void **state)
{
    (void)state;
    struct client c = kit_connect(server);
    int64_t start_ms = clock_mono_ms();
    kit_say(&c, "GET / HTTP/1.1\r\nHost: ");
    struct pollfd p = {.fd = c.fd, .events = POLLIN};
    for (int i = 0; i < 100 && poll(&p, 1, 50) == 0; i++)
        kit_say(&c, "a");
    struct answer a = kit_answer(&c, false);
    assert_int_equal(a.status, 408);
    assert_true(clock_mono_ms() - start_ms < 3000);
    kit_answer_done(&a);
    kit_close(&c);
    /* One who says nothing at all is let go without words. */
    c = kit_connect(server);
    assert_true(kit_ended(&c));
    assert_true(clock_mono_ms() - start_ms < 6000);
    kit_close(&c);
}

static void slow_bodies_are_cut(void **state)
{
    (void)state;
    /* Below the rate: 1,000 bytes a second are wanted after the first second. */
    struct client c = kit_connect(server);
    int64_t start_ms = clock_mono_ms();
    kit_say(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 50000\r\n\r\n");
    struct pollfd p = {.fd = c.fd, .events = POLLIN};
    for (int i = 0; i < 100 && poll(&p, 1, 50) == 0; i++)
        kit_say(&c, "x");
    struct answer a = kit_answer(&c, false);
    assert_int_equal(a.status, 408);
    assert_true(clock_mono_ms() - start_ms < 2300);
    kit_answer_done(&a);
    kit_close(&c);
    /* Above the rate, but beyond the deadline. */
    c = kit_connect(server);
    start_ms = clock_mono_ms();
    kit_say(&c, "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
    p.fd = c.fd;
    for (int i = 0; i < 100 && poll(&p, 1, 50) == 0; i++)
        kit_say(&c, "64\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
    a = kit_answer(&c, false);
    assert_int_equal(a.status, 408);
    assert_true(clock_mono_ms() - start_ms >= 2400 && clock_mono_ms() - start_ms < 5000);
    kit_answer_done(&a);
    kit_close(&c);
}

/* One lost packet is sent again after a second or three. */
static void a_pause_in_a_body_is_waited_for(void **state)
{
    (void)state;
    struct http_options o = {.threads = 2, .body_timeout_ms = 20000, .body_min_rate = 100000};
    struct http_server *s = kit_server(&o, routes);
    struct client c = kit_connect(s), slow = kit_connect(s);
    kit_say(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nhello");
    kit_say(&slow, "POST /echo HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nhello");
    int64_t start_ms = clock_mono_ms();
    clock_sleep_ms(2500);
    kit_say(&c, "world");
    struct answer a = kit_answer(&c, false);
    assert_int_equal(a.status, 200);
    assert_string_equal(buf_cstr(&a.body), "helloworld");
    kit_answer_done(&a);
    a = kit_answer(&slow, false);
    assert_int_equal(a.status, 408);
    assert_in_range(clock_mono_ms() - start_ms, 4900, 9000);
    kit_answer_done(&a);
    kit_close(&c);
    kit_close(&slow);
    http_server_free(s);
}

static void a_body_cut_off_does_no_harm(void **state)
{
    (void)state;
    struct client c = kit_connect(server);
    kit_say(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 50\r\n\r\nhalf");
    shutdown(c.fd, SHUT_WR);
    struct answer a = kit_answer(&c, false);
    assert_int_equal(a.status, 400);
    kit_answer_done(&a);
    kit_close(&c);
    c = kit_connect(server);
    kit_say(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 50\r\n\r\nhalf");
    kit_close(&c);
    kit_expect(server, "GET / HTTP/1.1\r\n" H "\r\n", 200, NULL);
}

static void ask_proxied(const struct http_server *s, const char *headers, const char *want)
{
    BUF_AUTO text = BUF_INIT;
    buf_printf(&text, "GET /whoever HTTP/1.1\r\n" H "%s\r\n", headers);
    kit_expect(s, text.data, 200, want);
}

static void only_trusted_proxies_say_who_asks(void **state)
{
    (void)state;
    /* Nobody is trusted: what a client writes about itself counts for nothing. */
    ask_proxied(server, "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=192.0.2.1;proto=https\r\nX-Real-IP: 192.0.2.1\r\n", "<127.0.0.1 http>");
    struct http_options o = {.threads = 2, .trusted_proxies = "10.1.0.0/16, 198.51.100.7,2001:db8:ff::/48 ::ffff:203.0.113.0"};
    struct http_server *s = kit_server(&o, routes);
    ask_proxied(s, "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n", "<127.0.0.1 http>");
    http_server_free(s);
    o.trusted_proxies = "127.0.0.0/8, 10.1.0.0/16,2001:db8:ff::/48";
    s = kit_server(&o, routes);
    static const struct { const char *headers, *want; } cases[] = {
        {"", "<127.0.0.1 http>"},
        {"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n", "<192.0.2.1 https>"},
        {"X-Forwarded-For: 192.0.2.1:5000\r\nX-Forwarded-Proto: HTTPS\r\n", "<192.0.2.1 https>"},
        {"X-Forwarded-For: 2001:DB8::1\r\n", "<2001:db8::1 http>"},
        {"X-Forwarded-For: [2001:db8::1]:443\r\n", "<2001:db8::1 http>"},
        {"X-Forwarded-For: ::ffff:192.0.2.1\r\n", "<192.0.2.1 http>"},
        /* What the client wrote itself stands to the left of what the proxies added. */
        {"X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n", "<192.0.2.1 http>"},
        {"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.1\r\n", "<192.0.2.1 http>"},
        {"X-Forwarded-For: 6.6.6.6, 192.0.2.1 ,10.1.2.3, 2001:db8:ff:1::2\r\n", "<192.0.2.1 http>"},
        {"X-Forwarded-For: 10.1.9.9, 10.1.2.3\r\n", "<10.1.9.9 http>"},
        {"X-Forwarded-For: 6.6.6.6, nonsense\r\n", "<127.0.0.1 http>"},
        {"X-Forwarded-For: 6.6.6.6, unknown, 10.1.2.3\r\n", "<10.1.2.3 http>"},
        {"X-Forwarded-For: \r\n", "<127.0.0.1 http>"},
        {"X-Forwarded-Proto: https, http\r\n", "<127.0.0.1 http>"},
        {"X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n", "<127.0.0.1 http>"},
        {"Forwarded: for=6.6.6.6;proto=https\r\n", "<127.0.0.1 http>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ask_proxied(s, cases[i].headers, cases[i].want);
    http_server_free(s);
    o.forwarded = true;
    s = kit_server(&o, routes);
    ask_proxied(s, "Forwarded: for=6.6.6.6;proto=https, for=192.0.2.1;by=1.2.3.4;proto=http\r\n", "<192.0.2.1 http>");
    ask_proxied(s, "Forwarded: For=\"[2001:db8:cafe::17]:4711\" ; Proto=https;host=x, for=10.1.2.3\r\n", "<2001:db8:cafe::17 https>");
    ask_proxied(s, "Forwarded: for=_hidden;proto=https\r\n", "<127.0.0.1 https>");
    ask_proxied(s, "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n", "<127.0.0.1 http>");
    http_server_free(s);
    static const char *const bad[] = {"10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "10.0.0.0/8x", "10.0.0.0/-1", "proxy.example.com", "10.0.0.1, nonsense"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = ERR_INIT;
        assert_int_equal(http_server_new(&(struct http_options){.listen = "127.0.0.1:0", .trusted_proxies = bad[i]}, &s, &e), ERR_INVALID);
        assert_non_null(strstr(e.msg, "trusted_proxies"));
    }
}

static void an_idle_connection_is_closed(void **state)
{
    (void)state;
    struct client c = kit_connect(server);
    int64_t start_ms = clock_mono_ms();
    kit_say(&c, "GET / HTTP/1.1\r\n" H "\r\n");
    struct answer a = kit_answer(&c, false);
    assert_false(a.closed);
    kit_answer_done(&a);
    assert_true(kit_ended(&c));
    assert_true(clock_mono_ms() - start_ms < 3000);
    kit_close(&c);
}

static void the_client_decides_about_keep_alive(void **state)
{
    (void)state;
    struct client c = kit_connect(server);
    kit_say(&c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    struct answer a = kit_answer(&c, false);
    assert_string_equal(kit_header(&a, "Connection"), "keep-alive");
    kit_answer_done(&a);
    a = kit_answer(&c, false);
    assert_true(a.closed);
    assert_true(kit_ended(&c));
    kit_answer_done(&a);
    kit_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_requests_pass),
        cmocka_unit_test(ambiguous_framing_is_refused),
        cmocka_unit_test(too_many_headers_are_refused_whole),
        cmocka_unit_test(a_huge_head_is_refused),
        cmocka_unit_test(strange_addresses_are_refused),
        cmocka_unit_test(stale_bytes_of_another_client_are_never_parsed),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(a_second_request_is_looked_at_as_closely),
        cmocka_unit_test(a_request_in_small_pieces),
        cmocka_unit_test(broken_chunks_are_refused),
        cmocka_unit_test(large_bodies_end_early),
        cmocka_unit_test(leave_to_send_is_given),
        cmocka_unit_test(slow_heads_are_cut),
        cmocka_unit_test(slow_bodies_are_cut),
        cmocka_unit_test(a_pause_in_a_body_is_waited_for),
        cmocka_unit_test(a_body_cut_off_does_no_harm),
        cmocka_unit_test(only_trusted_proxies_say_who_asks),
        cmocka_unit_test(an_idle_connection_is_closed),
        cmocka_unit_test(the_client_decides_about_keep_alive),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
