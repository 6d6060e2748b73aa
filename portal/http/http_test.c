// label: threads
/* Routes, hooks, answers and problems as a client sees them. */
#include "portal/http/testkit.h"

#include <pthread.h>
#include <semaphore.h>
#include <zlib.h>
#include <stdatomic.h>

#include "portal/core/thread.h"

#define H "Host: localhost\r\n"
#define J "Content-Type: application/json\r\n"

/* --- what is served --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char trail[512];         /* names of the hooks in the order of their calls */
static char stored_headers[1024], stored_body[1024];
static int stored_status;
static sem_t inside, go_on;

static void note(const char *what)
{
    pthread_mutex_lock(&lock);
    snprintf(trail + strlen(trail), sizeof trail - strlen(trail), "%s ", what);
    pthread_mutex_unlock(&lock);
}

static void trail_is(const char *want)
{
    for (int i = 0; i < 400; i++) { /* `done` comes after the answer was sent */
        pthread_mutex_lock(&lock);
        bool same = !strcmp(trail, want);
        pthread_mutex_unlock(&lock);
        if (same)
            break;
        clock_sleep_ms(5);
    }
    pthread_mutex_lock(&lock);
    assert_string_equal(trail, want);
    trail[0] = 0;
    pthread_mutex_unlock(&lock);
}

static int authenticate(struct http_req *r, struct err *e)
{
    assert_int_equal(thread_get_role(), THREAD_HTTP);
    note("authenticate");
    const char *token = http_header(r, "Authorization");
    if (token && strcmp(token, "Bearer good"))
        return err_set(e, ERR_UNAUTHENTICATED, "The token is not known.");
    r->who = token ? (struct principal *)"someone" : NULL;
    return 0;
}

static int authorize(struct http_req *r, struct err *e)
{
    note("authorize");
    http_add_header(r, "RateLimit", "\"default\";r=9;t=60");
    if (strcmp(r->route->need, "public") && !r->who)
        return err_set(e, ERR_UNAUTHENTICATED, "Sign in first.");
    if (!strcmp(r->route->need, "limited")) {
        err_set(e, ERR_RATE, "Too many.");
        e->retry_after = 7;
        return ERR_RATE;
    }
    return 0;
}

static int check_body(struct http_req *r, struct err *e)
{
    note("check");
    if (json_object_get(r->json, "wrong"))
        return err_field(e, "/wrong", "is not known");
    return 0;
}

static int idempotency_begin(struct http_req *r, int *ret_status, struct buf *ret_headers, struct buf *ret_body, struct err *e)
{
    note("begin");
    if (!strcmp(r->idempotency_key, "running"))
        return err_set(e, ERR_CONFLICT, "The first request with this key still runs.");
    if (!strcmp(r->idempotency_key, "other"))
        return err_set(e, ERR_INVALID, "The key was used with another body.");
    if (strcmp(r->idempotency_key, "again"))
        return 0;
    *ret_status = stored_status;
    buf_str(ret_headers, stored_headers);
    buf_str(ret_body, stored_body);
    return 1;
}

static void idempotency_end(struct http_req *r, int status, const char *headers, const char *body, size_t len)
{
    (void)r;
    note("end");
    stored_status = status;
    snprintf(stored_headers, sizeof stored_headers, "%s", headers);
    snprintf(stored_body, sizeof stored_body, "%.*s", (int)len, body);
}

static void done(struct http_req *r, int status, size_t bytes, int64_t duration_us)
{
    (void)r;
    assert_true(status >= 200 && bytes > 0 && duration_us >= 0);
    note("done");
}

static int make(struct http_req *r, struct err *e)
{
    (void)e;
    note("handler");
    http_add_header(r, "Location", "/things/%d", 7);
    BUF_AUTO b = BUF_INIT;
    buf_char(&b, '{');
    buf_json_kv(&b, "key", r->idempotency_key);
    buf_json_kv(&b, "name", json_string_value(json_object_get(r->json, "name")));
    buf_char(&b, '}');
    return http_reply_json(r, 202, &b);
}

static int show(struct http_req *r, struct err *e)
{
    if (!strcmp(http_param(r, "id"), "taken")) {
        http_add_header(r, "X-Lost", "yes");
        err_set(e, ERR_CONFLICT, "The name \"taken\" is taken.");
        snprintf(e->link, sizeof e->link, "/things/1");
        return err_type(e, "name-taken");
    }
    if (!strcmp(http_param(r, "id"), "broken"))
        return err_set(e, ERR_INTERNAL, "secret inner words");
    if (!strcmp(http_param(r, "id"), "silent"))
        return 0;
    if (!strcmp(http_param(r, "id"), "away"))
        return err_set(e, ERR_UNAVAILABLE, "The store is away.");
    int64_t limit = 0;
    int n = http_query_int(r, "limit", 50, 1, 500, &limit, e);
    if (n)
        return n;
    if (http_etag(r, "v1"))
        return 0;
    json_t *v = json_pack("{s:s, s:I, s:s?}", "id", http_param(r, "id"), "limit", (json_int_t)limit, "cookie", http_cookie(r, "c"));
    n = http_reply_json_t(r, 200, v);
    json_decref(v);
    return n;
}

static int fixed(struct http_req *r, struct err *e)
{
    (void)e;
    return http_reply(r, 200, "text/html; charset=utf-8", "<p>fixed", 8);
}

static int rest(struct http_req *r, struct err *e)
{
    (void)e;
    const char *p = http_param(r, "path");
    return http_reply(r, 200, "text/plain", p, strlen(p));
}

#define LONG_TEXT 20000

static int long_text(struct http_req *r, struct err *e)
{
    char *text = arena_alloc(r->arena, LONG_TEXT);
    for (size_t i = 0; i < LONG_TEXT; i++)
        text[i] = "{\"items\":[\"one\",\"two\"]}\n"[i % 25];
    if (!strcmp(r->method, "PUT") && http_if_match(r, "v7", true, e))
        return e->code;
    if (http_etag(r, "v7"))
        return 0;
    return http_reply(r, 200, http_query(r, "binary") ? "application/octet-stream" : "application/json", text, LONG_TEXT);
}

static int asset(struct http_req *r, struct err *e)
{
    (void)e;
    return http_reply_asset(r, "text/css", "abc", http_query(r, "v") != NULL, "plain text", 10, "zipped", 6);
}

static int inject(struct http_req *r, struct err *e)
{
    (void)e;
    http_add_header(r, "X-Value", "a\r\nX-Evil: %s", "b");
    http_add_header(r, "Cache-Control", "max-age=5");
    return http_reply_empty(r, 204);
}

static int wait_inside(struct http_req *r, struct err *e)
{
    (void)e;
    sem_post(&inside);
    sem_wait(&go_on);
    return http_reply(r, 200, "text/plain", "done", 4);
}

static int big(struct http_req *r, struct err *e)
{
    (void)e;
    size_t n = 30 * 1024 * 1024;
    char *p = malloc(n);
    memset(p, 'b', n);
    http_reply(r, 200, "text/plain", p, n);
    free(p);
    return 0;
}

static int remove_it(struct http_req *r, struct err *e)
{
    int n = http_if_match(r, "v1", http_query(r, "strict") != NULL, e);
    return n ? n : http_reply_empty(r, 204);
}

static const struct http_route routes[] = {
    {"POST", "/things", "makeThing", "signed-in", make, HTTP_IDEMPOTENT_REQUIRED | HTTP_SECRET_BODY, 0},
    {"PUT", "/things", "putThing", "public", make, HTTP_IDEMPOTENT, 0},
    {"GET", "/things/{id}", "getThing", "public", show, 0, 0},
    {"DELETE", "/things/{id}", "deleteThing", "public", remove_it, 0, 0},
    {"GET", "/things/fixed", "getFixed", "public", fixed, 0, 0},
    {"GET", "/limited", NULL, "limited", fixed, 0, 0},
    {"GET", "/files/{path*}", NULL, "public", rest, 0, 0},
    {"GET", "/things/{id}/parts/{part}", NULL, "public", show, 0, 0},
    {"GET", "/long", NULL, "public", long_text, 0, 0},
    {"PUT", "/long", NULL, "public", long_text, 0, 0},
    {"GET", "/longsecret", NULL, "public", long_text, HTTP_SECRET_BODY, 0},
    {"GET", "/asset", NULL, "public", asset, 0, 0},
    {"GET", "/inject", NULL, "public", inject, 0, 0},
    {"GET", "/wait", NULL, "public", wait_inside, 0, 0},
    {"GET", "/big", NULL, "public", big, 0, 0},
    {0},
};

static const struct http_hooks hooks = {authenticate, authorize, idempotency_begin, idempotency_end, check_body, done};
static struct http_server *server;

static int start(void **state)
{
    (void)state;
    sem_init(&inside, 0, 0);
    sem_init(&go_on, 0, 0);
    struct http_options o = {.threads = 8, .hooks = &hooks, .body_timeout_ms = 3000, .body_min_rate = 100000, .body_grace_ms = 500};
    server = kit_server(&o, routes);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    http_server_free(server);
    return 0;
}

static int forget(void **state)
{
    (void)state;
    clock_sleep_ms(20);
    pthread_mutex_lock(&lock);
    trail[0] = 0;
    pthread_mutex_unlock(&lock);
    return 0;
}

/* --- tests --- */

static void routes_are_found(void **state)
{
    (void)state;
    kit_expect(server, "GET /things/1 HTTP/1.1\r\n" H "\r\n", 200, "\"id\":\"1\",\"limit\":50");
    kit_expect(server, "GET /things/1/parts/2 HTTP/1.1\r\n" H "\r\n", 200, "\"id\":\"1\"");
    kit_expect(server, "GET /things/fixed HTTP/1.1\r\n" H "\r\n", 200, "fixed");
    kit_expect(server, "GET /things/fixe HTTP/1.1\r\n" H "\r\n", 200, "fixe");
    kit_expect(server, "GET /things/fixedx HTTP/1.1\r\n" H "\r\n", 200, "fixedx");
    kit_expect(server, "DELETE /things/fixed HTTP/1.1\r\n" H "\r\n", 204, NULL); /* by way of the parameter */
    kit_expect(server, "GET /files/a/b/c HTTP/1.1\r\n" H "\r\n", 200, "a/b/c");
    kit_expect(server, "GET /files/ HTTP/1.1\r\n" H "\r\n", 404, NULL);
    kit_expect(server, "GET /things/ HTTP/1.1\r\n" H "\r\n", 404, NULL);
    kit_expect(server, "GET /things/1/ HTTP/1.1\r\n" H "\r\n", 404, NULL);
    kit_expect(server, "GET /nothing HTTP/1.1\r\n" H "\r\n", 404, "\"type\":\"/problems/not-found\"");
    struct answer a = kit_ask(server, "PATCH /things/fixed HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(a.status, 405);
    assert_string_equal(kit_header(&a, "Allow"), "GET, HEAD, DELETE, OPTIONS");
    kit_answer_done(&a);
    a = kit_ask(server, "OPTIONS /things HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(a.status, 204);
    assert_string_equal(kit_header(&a, "Allow"), "POST, PUT, OPTIONS");
    assert_null(kit_header(&a, "Content-Length"));
    kit_answer_done(&a);
    a = kit_ask(server, "HEAD /things/fixed HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(a.status, 200);
    assert_string_equal(kit_header(&a, "Content-Length"), "8");
    kit_answer_done(&a);
    kit_expect(server, "PROPFIND /things HTTP/1.1\r\n" H "\r\n", 405, NULL);
}

static void bad_route_tables_are_refused_at_start(void **state)
{
    (void)state;
    static const struct http_route twice[] = {{"GET", "/a/{x}", NULL, "public", fixed, 0, 0}, {"GET", "/a/{y}", NULL, "public", fixed, 0, 0}, {0}};
    static const struct http_route broken[] = {{"GET", "/a/{x", NULL, "public", fixed, 0, 0}, {0}};
    static const struct http_route method[] = {{"BREW", "/a", NULL, "public", fixed, 0, 0}, {0}};
    static const struct http_route middle[] = {{"GET", "/a/{x*}/b", NULL, "public", fixed, 0, 0}, {0}};
    const struct http_route *const bad[] = {twice, broken, method, middle};
    for (int i = 0; i < 4; i++) {
        struct http_options o = {.listen = "127.0.0.1:0", .threads = 1};
        struct http_server *s = NULL;
        struct err e = ERR_INIT;
        assert_int_equal(http_server_new(&o, &s, &e), 0);
        http_server_add(s, bad[i]);
        assert_int_equal(http_server_start(s, &e), ERR_INTERNAL);
        assert_non_null(strstr(e.msg, "/a"));
        http_server_free(s);
    }
}

static void a_port_that_is_taken_is_said(void **state)
{
    (void)state;
    char listen[32];
    snprintf(listen, sizeof listen, "127.0.0.1:%d", http_server_port(server));
    struct http_options o = {.listen = listen, .threads = 1};
    struct http_server *s = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(http_server_new(&o, &s, &e), 0);
    assert_int_equal(http_server_start(s, &e), ERR_IO);
    assert_non_null(strstr(e.msg, listen));
    assert_non_null(strstr(e.msg, "in use"));
    http_server_free(s);
    o.certificate = "/nowhere.pem";
    assert_int_equal(http_server_new(&o, &s, &e), ERR_INVALID);
    o.private_key = "/nowhere.key";
    assert_int_equal(http_server_new(&o, &s, &e), 0);
    assert_int_equal(http_server_start(s, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "/nowhere.pem"));
    http_server_free(s);
}

static void ipv6_is_listened_on(void **state)
{
    (void)state;
    struct http_options o = {.listen = "[::1]:0", .threads = 2};
    struct http_server *s = NULL;
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct client c = {.fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (c.fd < 0 || bind(c.fd, (struct sockaddr *)&at, sizeof at)) { /* a machine without IPv6 */
        close(c.fd);
        skip();
    }
    s = kit_server(&o, routes);
    at.sin6_port = htons((uint16_t)http_server_port(s));
    close(c.fd);
    c.fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(c.fd, (struct sockaddr *)&at, sizeof at), 0);
    kit_say(&c, "GET /things/fixed HTTP/1.1\r\nHost: [::1]:80\r\n\r\n");
    struct answer a = kit_answer(&c, false);
    assert_int_equal(a.status, 200);
    kit_answer_done(&a);
    kit_close(&c);
    http_server_free(s);
}

static void hooks_are_called_in_order(void **state)
{
    forget(state);
    kit_expect(server, "POST /things HTTP/1.1\r\n" H J "Authorization: Bearer good\r\nIdempotency-Key: k1\r\nContent-Length: 12\r\n\r\n{\"name\":\"x\"}", 202,
               "{\"key\":\"k1\",\"name\":\"x\"}");
    trail_is("authenticate authorize check begin handler end done ");
    assert_string_equal(stored_headers, "Content-Type: application/json\r\nLocation: /things/7\r\n");
    assert_string_equal(stored_body, "{\"key\":\"k1\",\"name\":\"x\"}");
    struct answer a = kit_ask(server, "POST /things HTTP/1.1\r\n" H J "Authorization: Bearer good\r\nIdempotency-Key: \"again\"\r\nContent-Length: 12\r\n\r\n{\"name\":\"x\"}");
    assert_int_equal(a.status, 202);
    assert_string_equal(kit_header(&a, "Location"), "/things/7");
    assert_string_equal(kit_header(&a, "Content-Type"), "application/json");
    assert_string_equal(kit_header(&a, "Idempotency-Replayed"), "true");
    assert_string_equal(kit_header(&a, "RateLimit"), "\"default\";r=9;t=60");
    assert_string_equal(buf_cstr(&a.body), "{\"key\":\"k1\",\"name\":\"x\"}");
    kit_answer_done(&a);
    trail_is("authenticate authorize check begin done ");
    /* A wrong body spends no key. */
    kit_expect(server, "PUT /things HTTP/1.1\r\n" H J "Idempotency-Key: k2\r\nContent-Length: 11\r\n\r\n{\"wrong\":1}", 422, "\"errors\":[{\"pointer\":\"/wrong\"");
    trail_is("authenticate authorize check done ");
    kit_expect(server, "PUT /things HTTP/1.1\r\n" H J "Content-Length: 2\r\n\r\n{}", 202, "\"key\":null");
    trail_is("authenticate authorize check handler done ");
    kit_expect(server, "POST /things HTTP/1.1\r\n" H J "Idempotency-Key: k\r\nContent-Length: 2\r\n\r\n{}", 401, "Sign in first");
    trail_is("authenticate authorize done ");
    kit_expect(server, "POST /things HTTP/1.1\r\n" H J "Authorization: Bearer bad\r\nContent-Length: 2\r\n\r\n{}", 401, "not known");
    trail_is("authenticate done ");
}

static void idempotency_keys_are_looked_at(void **state)
{
    (void)state;
#define POST "POST /things HTTP/1.1\r\n" H J "Authorization: Bearer good\r\nContent-Length: 2\r\n"
    kit_expect(server, POST "\r\n{}", 400, "/problems/idempotency-key-missing");
    kit_expect(server, POST "Idempotency-Key: \r\n\r\n{}", 400, "/problems/idempotency-key-invalid");
    kit_expect(server, POST "Idempotency-Key: a b\r\n\r\n{}", 400, "/problems/idempotency-key-invalid");
    kit_expect(server, POST "Idempotency-Key: running\r\n\r\n{}", 409, "still runs");
    kit_expect(server, POST "Idempotency-Key: other\r\n\r\n{}", 422, "/problems/idempotency-key-reused");
}

static void bodies_that_are_no_json_are_refused(void **state)
{
    (void)state;
#define PUT "PUT /things HTTP/1.1\r\n" H
    static const struct { const char *text; int status; const char *part; } cases[] = {
        {PUT J "Content-Length: 12\r\n\r\n{\"a\":\n 1,,}\n", 400, "line 2"},
        {PUT J "Content-Length: 13\r\n\r\n{\"a\":1,\"a\":2}", 400, "/problems/json"},
        {PUT J "Content-Length: 9\r\n\r\n{\"a\":\"\xff\"}", 400, "/problems/json"},
        {PUT J "Content-Length: 14\r\n\r\n{\"a\":\"\\u0000\"}", 400, "/problems/json"},
        {PUT J "Content-Length: 1\r\n\r\n1", 422, "\"pointer\":\"\""},
        {PUT J "Content-Length: 3\r\n\r\n{}x", 400, "/problems/json"},
        {PUT "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415, "text/plain"},
        {PUT "Content-Length: 2\r\n\r\n{}", 415, "Content-Type: application/json"},
        {PUT "Content-Type: application/json; charset=latin1\r\nContent-Length: 2\r\n\r\n{}", 415, NULL},
        {PUT "Content-Type: Application/JSON;charset=\"UTF-8\"\r\nContent-Length: 2\r\n\r\n{}", 202, NULL},
        {PUT "Content-Type: application/merge-patch+json\r\nContent-Length: 2\r\n\r\n{}", 202, NULL},
        {PUT J "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 415, "gzip"},
        {PUT "\r\n", 202, NULL},
        {PUT J "Content-Length: 3\r\n\r\n{}\0", 400, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (i + 1 < sizeof cases / sizeof *cases) {
            kit_expect(server, cases[i].text, cases[i].status, cases[i].part);
            continue;
        }
        struct client c = kit_connect(server); /* with its NUL */
        kit_send(&c, cases[i].text, strlen(cases[i].text) + 1);
        struct answer a = kit_answer(&c, false);
        assert_int_equal(a.status, 400);
        kit_answer_done(&a);
        kit_close(&c);
    }
    BUF_AUTO deep = BUF_INIT;
    buf_str(&deep, PUT J "Content-Length: 4000\r\n\r\n");
    for (int i = 0; i < 2000; i++)
        buf_char(&deep, '[');
    for (int i = 0; i < 2000; i++)
        buf_char(&deep, ']');
    kit_expect(server, deep.data, 400, "/problems/json");
}

static void problems_say_what_is_needed(void **state)
{
    (void)state;
    struct answer a = kit_ask(server, "GET /things/taken HTTP/1.1\r\n" H "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n");
    assert_int_equal(a.status, 409);
    assert_string_equal(kit_header(&a, "Content-Type"), "application/problem+json");
    assert_string_equal(kit_header(&a, "X-Request-Id"), "0af7651916cd43dd8448eb211c80319c");
    assert_string_equal(kit_header(&a, "Link"), "</things/1>; rel=\"related\"");
    assert_null(kit_header(&a, "X-Lost"));
    assert_string_equal(buf_cstr(&a.body), "{\"type\":\"/problems/name-taken\",\"title\":\"The name is taken\",\"status\":409,\"detail\":\"The name \\\"taken\\\" is taken.\","
                                           "\"instance\":\"/things/taken\",\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"link\":\"/things/1\"}");
    kit_answer_done(&a);
    a = kit_ask(server, "GET /things/broken HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(a.status, 500);
    assert_null(strstr(a.body.data, "inner"));
    kit_answer_done(&a);
    kit_expect(server, "GET /things/silent HTTP/1.1\r\n" H "\r\n", 500, "/problems/internal");
    a = kit_ask(server, "GET /things/away HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(a.status, 503);
    assert_string_equal(kit_header(&a, "Retry-After"), "1");
    kit_answer_done(&a);
    a = kit_ask(server, "GET /limited HTTP/1.1\r\n" H "Authorization: Bearer good\r\n\r\n");
    assert_int_equal(a.status, 429);
    assert_string_equal(kit_header(&a, "Retry-After"), "7");
    assert_string_equal(kit_header(&a, "RateLimit"), "\"default\";r=9;t=60");
    kit_answer_done(&a);
    a = kit_ask(server, "GET /limited HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(a.status, 401);
    assert_string_equal(kit_header(&a, "WWW-Authenticate"), "Bearer realm=\"soma\"");
    kit_answer_done(&a);
    kit_expect(server, "GET /things/1?limit=0 HTTP/1.1\r\n" H "\r\n", 400, "?limit");
    kit_expect(server, "GET /things/1?limit=x HTTP/1.1\r\n" H "\r\n", 400, "whole number");
    kit_expect(server, "GET /things/1?limit=7 HTTP/1.1\r\n" H "\r\n", 200, "\"limit\":7");
    a = kit_ask(server, "HEAD /things/taken HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(a.status, 409);
    kit_answer_done(&a);
}

static void request_ids_are_taken_or_made(void **state)
{
    (void)state;
    static const struct { const char *line, *id; } cases[] = {
        {"X-Request-Id: abc-1\r\n", "abc-1"},
        {"X-Request-Id: a\"b\r\n", NULL},
        {"traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\n", NULL},
        {"traceparent: 00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n", NULL},
        {"traceparent: ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n", NULL},
        {"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331\r\n", NULL},
        {"traceparent: 01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more\r\n", "0af7651916cd43dd8448eb211c80319c"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "GET /things/1 HTTP/1.1\r\n" H "%s\r\n", cases[i].line);
        struct answer a = kit_ask(server, text);
        const char *id = kit_header(&a, "X-Request-Id");
        if (cases[i].id)
            assert_string_equal(id, cases[i].id);
        else
            assert_true(strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32);
        kit_answer_done(&a);
    }
}

static void unchanged_answers_are_304(void **state)
{
    (void)state;
    static const struct { const char *tag; int status; } cases[] = {{"\"v1\"", 304}, {"W/\"v1\"", 304}, {"\"v0\", \"v1\"", 304}, {"*", 304}, {"\"v2\"", 200}, {"v1", 200}, {"\"v1", 200}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "GET /things/1 HTTP/1.1\r\n" H "If-None-Match: %s\r\n\r\n", cases[i].tag);
        struct answer a = kit_ask(server, text);
        assert_int_equal(a.status, cases[i].status);
        assert_string_equal(kit_header(&a, "ETag"), "\"v1\"");
        assert_string_equal(kit_header(&a, "Cache-Control"), "private, no-cache");
        if (a.status == 304)
            assert_null(kit_header(&a, "Content-Length"));
        kit_answer_done(&a);
    }
}

static void changes_are_guarded(void **state)
{
    (void)state;
#define DELETE "DELETE /things/1 HTTP/1.1\r\n" H
    kit_expect(server, DELETE "\r\n", 204, NULL);
    kit_expect(server, "DELETE /things/1?strict=1 HTTP/1.1\r\n" H "\r\n", 428, "If-Match");
    kit_expect(server, DELETE "If-Match: \"v1\"\r\n\r\n", 204, NULL);
    kit_expect(server, DELETE "If-Match: \"v0\", \"v1\"\r\n\r\n", 204, NULL);
    kit_expect(server, DELETE "If-Match: *\r\n\r\n", 204, NULL);
    kit_expect(server, DELETE "If-Match: W/\"v1\"\r\n\r\n", 412, "changed");
    kit_expect(server, DELETE "If-Match: \"v11\"\r\n\r\n", 412, NULL);
}

static void assets_come_zipped_when_taken(void **state)
{
    (void)state;
    static const struct { const char *line, *body, *tag; } cases[] = {
        {"", "plain text", "\"abc\""}, {"Accept-Encoding: gzip\r\n", "zipped", "\"abc-gz\""}, {"Accept-Encoding: br, gzip;q=0.5\r\n", "zipped", "\"abc-gz\""},
        {"Accept-Encoding: gzip;q=0\r\n", "plain text", "\"abc\""}, {"Accept-Encoding: *\r\n", "zipped", "\"abc-gz\""}, {"Accept-Encoding: xgzip\r\n", "plain text", "\"abc\""},
        {"Accept-Encoding: gzip;q=0.000, br\r\n", "plain text", "\"abc\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "GET /asset HTTP/1.1\r\n" H "%s\r\n", cases[i].line);
        struct answer a = kit_ask(server, text);
        assert_string_equal(buf_cstr(&a.body), cases[i].body);
        assert_string_equal(kit_header(&a, "ETag"), cases[i].tag);
        assert_string_equal(kit_header(&a, "Vary"), "Accept-Encoding");
        assert_string_equal(kit_header(&a, "Cache-Control"), "public, no-cache");
        kit_answer_done(&a);
    }
    struct answer a = kit_ask(server, "GET /asset?v=1 HTTP/1.1\r\n" H "If-None-Match: \"abc\"\r\n\r\n");
    assert_int_equal(a.status, 304);
    assert_string_equal(kit_header(&a, "Cache-Control"), "public, max-age=31536000, immutable");
    kit_answer_done(&a);
}

/* What the gzip holds. */
static void unzip(const struct answer *a, struct buf *out)
{
    z_stream z = {.next_in = (unsigned char *)a->body.data, .avail_in = (unsigned)a->body.len};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    buf_reserve(out, 65536);
    z.next_out = (unsigned char *)out->data;
    z.avail_out = 65536;
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    out->len = z.total_out;
    out->data[out->len] = 0;
    inflateEnd(&z);
}

static void long_texts_come_zipped_when_taken(void **state)
{
    (void)state;
    struct answer plain = kit_ask(server, "GET /long HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(plain.body.len, LONG_TEXT);
    assert_null(kit_header(&plain, "Content-Encoding"));
    assert_string_equal(kit_header(&plain, "Vary"), "Accept-Encoding");
    assert_string_equal(kit_header(&plain, "ETag"), "\"v7\"");
    struct answer a = kit_ask(server, "GET /long HTTP/1.1\r\n" H "Accept-Encoding: deflate, gzip\r\n\r\n");
    BUF_AUTO text = BUF_INIT;
    assert_string_equal(kit_header(&a, "Content-Encoding"), "gzip");
    assert_string_equal(kit_header(&a, "Vary"), "Accept-Encoding");
    assert_string_equal(kit_header(&a, "ETag"), "\"v7-gz\"");
    assert_true(a.body.len < LONG_TEXT / 4);
    unzip(&a, &text);
    assert_int_equal(text.len, LONG_TEXT);
    assert_memory_equal(text.data, plain.body.data, LONG_TEXT);
    struct answer head = kit_ask(server, "HEAD /long HTTP/1.1\r\n" H "Accept-Encoding: gzip\r\n\r\n");
    assert_int_equal(strtoul(kit_header(&head, "Content-Length"), NULL, 10), a.body.len);
    assert_string_equal(kit_header(&head, "ETag"), "\"v7-gz\"");
    kit_answer_done(&head);
    kit_answer_done(&a);
    kit_answer_done(&plain);
    /* Both forms of the tag are known again, and a 304 names the one that the client has. */
    static const struct { const char *given, *told; } known[] = {{"\"v7\"", "\"v7\""}, {"\"v7-gz\"", "\"v7-gz\""}, {"\"x\", W/\"v7-gz\"", "\"v7-gz\""}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char request[200];
        snprintf(request, sizeof request, "GET /long HTTP/1.1\r\n" H "Accept-Encoding: gzip\r\nIf-None-Match: %s\r\n\r\n", known[i].given);
        a = kit_ask(server, request);
        assert_int_equal(a.status, 304);
        assert_string_equal(kit_header(&a, "ETag"), known[i].told);
        kit_answer_done(&a);
    }
    kit_expect(server, "GET /long HTTP/1.1\r\n" H "If-None-Match: \"v7-gzz\"\r\n\r\n", 200, NULL);
    kit_expect(server, "PUT /long HTTP/1.1\r\n" H "If-Match: \"v7-gz\"\r\nContent-Length: 0\r\n\r\n", 200, NULL);
    kit_expect(server, "PUT /long HTTP/1.1\r\n" H "If-Match: \"v8-gz\"\r\nContent-Length: 0\r\n\r\n", 412, NULL);
}

/* Short ones, what is no text, what a write answers, and what may hold a secret. */
static void the_rest_is_never_zipped(void **state)
{
    (void)state;
    static const char *const lines[] = {"GET /things/fixed", "PUT /long", "GET /long?binary", "GET /longsecret"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char request[200];
        snprintf(request, sizeof request, "%s HTTP/1.1\r\n" H "Accept-Encoding: gzip\r\nIf-Match: \"v7\"\r\nContent-Length: 0\r\n\r\n", lines[i]);
        struct answer a = kit_ask(server, request);
        assert_int_equal(a.status, 200);
        assert_null(kit_header(&a, "Content-Encoding"));
        assert_null(kit_header(&a, "Vary"));
        kit_answer_done(&a);
    }
}

static void headers_are_safe(void **state)
{
    (void)state;
    struct answer a = kit_ask(server, "GET /inject HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(a.status, 204);
    assert_null(kit_header(&a, "X-Evil"));
    assert_string_equal(kit_header(&a, "X-Value"), "a  X-Evil: b");
    assert_string_equal(kit_header(&a, "Cache-Control"), "max-age=5");
    assert_string_equal(kit_header(&a, "X-Content-Type-Options"), "nosniff");
    assert_non_null(kit_header(&a, "Date"));
    kit_answer_done(&a);
    a = kit_ask(server, "GET /things/fixed HTTP/1.1\r\n" H "\r\n");
    assert_non_null(strstr(kit_header(&a, "Content-Security-Policy"), "default-src 'self'"));
    assert_string_equal(kit_header(&a, "Cache-Control"), "no-store");
    assert_string_equal(kit_header(&a, "X-Frame-Options"), "DENY");
    assert_string_equal(kit_header(&a, "Referrer-Policy"), "no-referrer");
    kit_answer_done(&a);
    kit_expect(server, "GET /things/1 HTTP/1.1\r\n" H "Cookie: a=1; c=\"two\"; cc=3\r\n\r\n", 200, "\"cookie\":\"two\"");
    kit_expect(server, "GET /things/1 HTTP/1.1\r\n" H "Cookie: cc=3;c=4\r\n\r\n", 200, "\"cookie\":\"4\"");
}

static void a_slow_reader_does_not_hold_a_worker(void **state)
{
    (void)state;
    struct client c = kit_connect(server);
    int small = 4096;
    setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    kit_say(&c, "GET /big HTTP/1.1\r\n" H "\r\n");
    struct http_stats st;
    int64_t start_ms = clock_mono_ms();
    do { /* nothing is read: the worker is free again within the time that the rate gives */
        clock_sleep_ms(50);
        http_server_stats(server, &st);
    } while ((st.in_flight || clock_mono_ms() - start_ms < 200) && clock_mono_ms() - start_ms < 8000);
    assert_int_equal(st.in_flight, 0);
    kit_close(&c);
    /* A quick one gets it all. */
    struct answer a = kit_ask(server, "GET /big HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(a.body.len, 30 * 1024 * 1024);
    kit_answer_done(&a);
}

/* --- many at once, and the end --- */

static void *ask_wait(void *arg)
{
    struct http_server *s = arg;
    struct answer a = kit_ask(s, "GET /wait HTTP/1.1\r\n" H "\r\n");
    intptr_t status = a.status;
    kit_answer_done(&a);
    return (void *)status;
}

static void busy_nodes_say_so(void **state)
{
    (void)state;
    struct http_options o = {.threads = 20};
    struct http_server *s = kit_server(&o, routes);
    struct client idle = kit_connect(s);
    kit_say(&idle, "GET /asset HTTP/1.1\r\n" H "\r\n");
    struct answer a = kit_answer(&idle, false);
    assert_false(a.closed);
    kit_answer_done(&a);
    pthread_t t[18];
    for (int i = 0; i < 18; i++) {
        pthread_create(&t[i], NULL, ask_wait, s);
        sem_wait(&inside);
    }
    /* 18 busy, one idle: above 80 % keep-alive ends; above 95 % only who always is answered. */
    kit_say(&idle, "GET /asset HTTP/1.1\r\n" H "\r\n");
    a = kit_answer(&idle, false);
    assert_int_equal(a.status, 200);
    assert_true(a.closed);
    kit_answer_done(&a);
    kit_close(&idle);
    struct client hold = kit_connect(s); /* says nothing */
    clock_sleep_ms(50);
    a = kit_ask(s, "GET /asset HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(a.status, 503);
    assert_string_equal(kit_header(&a, "Retry-After"), "1");
    assert_true(a.closed);
    kit_answer_done(&a);
    struct http_stats st;
    http_server_stats(s, &st);
    assert_int_equal(st.rejected_busy, 1);
    assert_int_equal(st.threads, 20);
    for (int i = 0; i < 18; i++)
        sem_post(&go_on);
    for (int i = 0; i < 18; i++) {
        void *status;
        pthread_join(t[i], &status);
        assert_int_equal((intptr_t)status, 200);
    }
    kit_close(&hold);
    http_server_free(s);
}

static void idle_connections_give_way(void **state)
{
    (void)state;
    struct http_options o = {.threads = 5, .keep_alive_ms = 60000};
    struct http_server *s = kit_server(&o, routes);
    struct client idle[4];
    for (int i = 0; i < 4; i++) {
        idle[i] = kit_connect(s);
        kit_say(&idle[i], "GET /asset HTTP/1.1\r\n" H "\r\n");
        struct answer a = kit_answer(&idle[i], false);
        assert_false(a.closed);
        kit_answer_done(&a);
        clock_sleep_ms(5);
    }
    clock_sleep_ms(1100);
    for (int i = 0; i < 4; i++)
        kit_expect(s, "GET /asset HTTP/1.1\r\n" H "\r\n", 200, NULL);
    assert_true(kit_ended(&idle[0])); /* the one that was idle longest */
    for (int i = 0; i < 4; i++)
        kit_close(&idle[i]);
    http_server_free(s);
}

static void drain_lets_answers_finish(void **state)
{
    (void)state;
    struct http_options o = {.threads = 4, .keep_alive_ms = 60000};
    struct http_server *s = kit_server(&o, routes);
    struct client idle = kit_connect(s);
    kit_say(&idle, "GET /asset HTTP/1.1\r\n" H "\r\n");
    struct answer a = kit_answer(&idle, false);
    kit_answer_done(&a);
    pthread_t t;
    pthread_create(&t, NULL, ask_wait, s);
    sem_wait(&inside);
    pthread_t late;
    pthread_create(&late, NULL, ask_wait, s); /* comes while the first is inside */
    sem_wait(&inside);
    int64_t start_ms = clock_mono_ms();
    sem_post(&go_on);
    sem_post(&go_on);
    http_server_drain(s, 5000);
    assert_true(clock_mono_ms() - start_ms < 3000);
    void *status;
    pthread_join(t, &status);
    assert_int_equal((intptr_t)status, 200);
    pthread_join(late, &status);
    assert_int_equal((intptr_t)status, 200);
    assert_true(kit_ended(&idle));
    kit_close(&idle);
    http_server_free(s);
}

static void *release_later(void *arg)
{
    (void)arg;
    clock_sleep_ms(300);
    sem_post(&go_on);
    return NULL;
}

static void drain_waits_for_what_is_in_flight(void **state)
{
    (void)state;
    struct http_options o = {.threads = 4};
    struct http_server *s = kit_server(&o, routes);
    pthread_t t, r;
    pthread_create(&t, NULL, ask_wait, s);
    sem_wait(&inside);
    pthread_create(&r, NULL, release_later, NULL);
    int64_t start_ms = clock_mono_ms();
    http_server_drain(s, 5000);
    assert_true(clock_mono_ms() - start_ms >= 250 && clock_mono_ms() - start_ms < 3000);
    void *status;
    pthread_join(t, &status);
    assert_int_equal((intptr_t)status, 200);
    pthread_join(r, NULL);
    http_server_free(s);
}

static void *hammer(void *arg)
{
    struct http_server *s = arg;
    intptr_t ok = 0;
    for (int i = 0; i < 200; i++) {
        struct answer a = kit_ask(s, i % 3 ? "GET /things/1?limit=3 HTTP/1.1\r\n" H "\r\n" : "PUT /things HTTP/1.1\r\n" H J "Content-Length: 12\r\n\r\n{\"name\":\"x\"}");
        ok += a.status == (i % 3 ? 200 : 202);
        kit_answer_done(&a);
    }
    return (void *)ok;
}

static void many_clients_at_once(void **state)
{
    (void)state;
    struct http_options o = {.threads = 16};
    struct http_server *s = kit_server(&o, routes);
    pthread_t t[6];
    for (int i = 0; i < 6; i++)
        pthread_create(&t[i], NULL, hammer, s);
    for (int i = 0; i < 6; i++) {
        void *ok;
        pthread_join(t[i], &ok);
        assert_int_equal((intptr_t)ok, 200);
    }
    struct http_stats st;
    http_server_stats(s, &st);
    assert_int_equal(st.requests, 1200);
    assert_int_equal(st.status_2xx, 1200);
    http_server_free(s);
}

/* --- what every node answers --- */

static int ready_now;
static int ready(void *user, struct err *e)
{
    (void)user;
    return ready_now ? 0 : err_set(e, ERR_TIMEOUT, "The store does not answer.");
}

static void builtin_routes(void **state)
{
    (void)state;
    static char doc[20000];
    memset(doc, ' ', sizeof doc);
    memcpy(doc, "{}", 2);
    static const struct http_route none[] = {{0}};
    struct http_options o = {.listen = "127.0.0.1:0", .threads = 4};
    struct http_builtin b = {.openapi = doc, .openapi_len = sizeof doc, .docs = "<!doctype html>", .docs_len = 15, .docs_csp = "default-src 'none'",
                             .version = "1.2", .ready = ready, .root = true};
    struct http_server *s = NULL;
    assert_int_equal(http_server_new(&o, &s, NULL), 0);
    http_server_add(s, none);
    http_add_builtin(s, &b);
    assert_int_equal(http_server_start(s, NULL), 0);
    kit_expect(s, "GET /health HTTP/1.1\r\n" H "\r\n", 200, "{\"status\":\"ok\",\"version\":\"1.2\"}");
    kit_expect(s, "GET /ready HTTP/1.1\r\n" H "\r\n", 503, "The store does not answer.");
    ready_now = 1;
    kit_expect(s, "GET /ready HTTP/1.1\r\n" H "\r\n", 200, "ok");
    struct answer a = kit_ask(s, "GET /api/openapi.json HTTP/1.1\r\n" H "Accept-Encoding: gzip\r\n\r\n");
    assert_int_equal(a.status, 200);
    assert_true(a.body.len < 500 && !memcmp(a.body.data, "\x1f\x8b", 2));
    assert_string_equal(kit_header(&a, "Content-Encoding"), "gzip");
    char tag[64];
    snprintf(tag, sizeof tag, "%.60s", kit_header(&a, "ETag"));
    kit_answer_done(&a);
    char text[256];
    snprintf(text, sizeof text, "GET /api/openapi.json HTTP/1.1\r\n" H "Accept-Encoding: gzip\r\nIf-None-Match: %s\r\n\r\n", tag);
    kit_expect(s, text, 304, NULL);
    a = kit_ask(s, "GET /api/docs HTTP/1.1\r\n" H "\r\n");
    assert_string_equal(buf_cstr(&a.body), "<!doctype html>");
    assert_string_equal(kit_header(&a, "Content-Security-Policy"), "default-src 'none'");
    kit_answer_done(&a);
    a = kit_ask(s, "GET / HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(a.status, 302);
    assert_string_equal(kit_header(&a, "Location"), "/api/docs");
    kit_answer_done(&a);
    a = kit_ask(s, "GET /problems/x HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(a.status, 302);
    kit_answer_done(&a);
    http_server_free(s);
}

static void errors_have_their_status(void **state)
{
    (void)state;
    static const struct { int code, status; } cases[] = {
        {ERR_INVALID, 400}, {ERR_UNAUTHENTICATED, 401}, {ERR_DENIED, 403}, {ERR_NOT_FOUND, 404}, {ERR_CONFLICT, 409}, {ERR_FENCED, 409}, {ERR_PRECONDITION, 412},
        {ERR_TOO_LARGE, 413}, {ERR_REQUIRED, 428}, {ERR_RATE, 429}, {ERR_INTERNAL, 500}, {ERR_IO, 500}, {ERR_NOMEM, 500}, {ERR_UNAVAILABLE, 503}, {ERR_TIMEOUT, 504},
    };
    struct err e = ERR_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_set(&e, cases[i].code, "x");
        assert_int_equal(http_status_of(&e), cases[i].status);
    }
    e = (struct err)ERR_INIT;
    err_field(&e, "?limit", "is no number");
    assert_int_equal(http_status_of(&e), 400);
    err_field(&e, "/name", "is missing");
    assert_int_equal(http_status_of(&e), 422);
    BUF_AUTO out = BUF_INIT;
    http_problem_json(&e, "id", "/x", &out);
    assert_string_equal(out.data, "{\"type\":\"/problems/invalid\",\"title\":\"The input does not fit\",\"status\":422,\"detail\":\"?limit: is no number\",\"instance\":\"/x\","
                                  "\"trace_id\":\"id\",\"errors\":[{\"pointer\":\"?limit\",\"detail\":\"is no number\"},{\"pointer\":\"/name\",\"detail\":\"is missing\"}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_are_found),
        cmocka_unit_test(bad_route_tables_are_refused_at_start),
        cmocka_unit_test(a_port_that_is_taken_is_said),
        cmocka_unit_test(ipv6_is_listened_on),
        cmocka_unit_test(hooks_are_called_in_order),
        cmocka_unit_test(idempotency_keys_are_looked_at),
        cmocka_unit_test(bodies_that_are_no_json_are_refused),
        cmocka_unit_test(problems_say_what_is_needed),
        cmocka_unit_test(request_ids_are_taken_or_made),
        cmocka_unit_test(unchanged_answers_are_304),
        cmocka_unit_test(changes_are_guarded),
        cmocka_unit_test(assets_come_zipped_when_taken),
        cmocka_unit_test(long_texts_come_zipped_when_taken),
        cmocka_unit_test(the_rest_is_never_zipped),
        cmocka_unit_test(headers_are_safe),
        cmocka_unit_test(a_slow_reader_does_not_hold_a_worker),
        cmocka_unit_test(busy_nodes_say_so),
        cmocka_unit_test(idle_connections_give_way),
        cmocka_unit_test(drain_lets_answers_finish),
        cmocka_unit_test(drain_waits_for_what_is_in_flight),
        cmocka_unit_test(many_clients_at_once),
        cmocka_unit_test(builtin_routes),
        cmocka_unit_test(errors_have_their_status),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
