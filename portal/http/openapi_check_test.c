/* The document as the judge of requests, over a real listener. */
#include "portal/http/testkit.h"

#include "portal/core/fs.h"
#include "portal/http/openapi_check.h"

#define H "Host: localhost\r\n"
#define J "Content-Type: application/json\r\n"

static const char document[] =
    "{\"openapi\":\"3.1.0\",\"paths\":{"
    "\"/api/v1/things\":{"
    "  \"get\":{\"operationId\":\"listThings\",\"x-need\":\"public\",\"parameters\":[{\"$ref\":\"#/components/parameters/limit\"},{\"$ref\":\"#/components/parameters/alias\"},"
    "    {\"name\":\"state\",\"in\":\"query\",\"schema\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/State\"}}},"
    "    {\"name\":\"all\",\"in\":\"query\",\"schema\":{\"type\":\"boolean\"}},"
    "    {\"name\":\"ratio\",\"in\":\"query\",\"schema\":{\"anyOf\":[{\"type\":\"number\",\"minimum\":0.5},{\"const\":\"any\"}]}}]},"
    "  \"post\":{\"operationId\":\"createThing\",\"x-need\":\"public\",\"requestBody\":{\"required\":true,\"content\":{\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/Thing\"}}}}}},"
    "\"/api/v1/things/{id}\":{\"parameters\":[{\"name\":\"id\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\",\"format\":\"uuid\"}}],"
    "  \"get\":{\"operationId\":\"getThing\",\"x-need\":\"public\",\"parameters\":[{\"name\":\"must\",\"in\":\"query\",\"required\":true,\"schema\":{\"type\":\"string\"}},"
    "    {\"name\":\"X-Short\",\"in\":\"header\",\"schema\":{\"type\":\"string\",\"maxLength\":3}}]},"
    "  \"delete\":{\"operationId\":\"deleteThing\",\"x-need\":\"public\"}}},"
    "\"components\":{\"parameters\":{\"limit\":{\"name\":\"limit\",\"in\":\"query\",\"schema\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":500}},"
    "  \"alias\":{\"$ref\":\"#/components/parameters/other\"},\"other\":{\"name\":\"other\",\"in\":\"query\",\"schema\":{\"type\":\"string\",\"pattern\":\"^[a-z]+$\"}}},"
    "\"schemas\":{\"State\":{\"enum\":[\"ready\",\"failed\"]},"
    "  \"Thing\":{\"type\":\"object\",\"required\":[\"name\"],\"additionalProperties\":false,\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":5},"
    "    \"parts\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Thing\"}}}}}}}";

static int ok(struct http_req *r, struct err *e)
{
    (void)e;
    return http_reply(r, 200, "text/plain", "ok", 2);
}

static const struct http_route routes[] = {
    {"GET", "/api/v1/things", "listThings", "public", ok, 0, 0},
    {"POST", "/api/v1/things", "createThing", "public", ok, 0, 0},
    {"GET", "/api/v1/things/{id}", "getThing", "public", ok, 0, 0},
    {"DELETE", "/api/v1/things/{id}", "deleteThing", "public", ok, 0, 0},
    {"GET", "/static", NULL, "public", ok, 0, 0},
    {0},
};

static struct http_server *server;

static int start(void **state)
{
    (void)state;
    static const struct http_hooks hooks = {.check_body = http_openapi_check};
    struct err e = ERR_INIT;
    if (http_openapi_load(document, sizeof document - 1, &e))
        fail_msg("%s", e.msg);
    struct http_options o = {.threads = 2, .hooks = &hooks};
    server = kit_server(&o, routes);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    http_server_free(server);
    http_openapi_free();
    return 0;
}

static void ask(const char *query, int status, const char *part)
{
    char text[512];
    snprintf(text, sizeof text, "GET /api/v1/things%s HTTP/1.1\r\n" H "\r\n", query);
    kit_expect(server, text, status, part);
}

static void query_parameters_are_checked(void **state)
{
    (void)state;
    ask("", 200, NULL);
    ask("?limit=50&other=abc&all=true&ratio=0.75", 200, NULL);
    ask("?ratio=any", 200, NULL);
    ask("?ratio=1", 200, NULL);
    ask("?ratio=0.25", 400, "\"pointer\":\"?ratio\"");
    ask("?limit=0", 400, "\"pointer\":\"?limit\"");
    ask("?limit=501", 400, "?limit");
    ask("?limit=abc", 400, "?limit");
    ask("?limit=1.5", 400, "?limit");
    ask("?limit=", 400, "?limit");
    ask("?limit=+1", 400, "?limit");
    ask("?limit=010", 400, "?limit");
    ask("?limit=99999999999999999999999", 400, "?limit");
    ask("?limit=1&limit=2", 400, "2 times");
    ask("?other=ABC", 400, "?other");
    ask("?all=yes", 400, "?all");
    ask("?state=ready&state=failed", 200, NULL);
    ask("?state=ready&state=gone", 400, "?state/1");
    ask("?limt=5", 400, "is \\\"limit\\\" meant?");
    ask("?nonsense=5", 400, "\"pointer\":\"?nonsense\",\"detail\":\"is not known here\"");
    ask("?limit=0&nonsense=5", 400, "?nonsense");
    kit_expect(server, "GET /static?nonsense=5 HTTP/1.1\r\n" H "\r\n", 200, NULL);
}

static void path_and_headers_are_checked(void **state)
{
    (void)state;
#define ID "0198c1f2-7c1e-7b1a-9d7e-3f6f0b7f2a11"
    kit_expect(server, "GET /api/v1/things/" ID "?must=1 HTTP/1.1\r\n" H "X-Short: abc\r\n\r\n", 200, NULL);
    kit_expect(server, "GET /api/v1/things/" ID " HTTP/1.1\r\n" H "\r\n", 400, "\"pointer\":\"?must\",\"detail\":\"is missing\"");
    kit_expect(server, "GET /api/v1/things/" ID "?must=1 HTTP/1.1\r\n" H "X-Short: abcd\r\n\r\n", 400, "X-Short");
    kit_expect(server, "GET /api/v1/things/7?must=1 HTTP/1.1\r\n" H "\r\n", 404, "nothing at this path");
    kit_expect(server, "DELETE /api/v1/things/7 HTTP/1.1\r\n" H "\r\n", 404, NULL);
    kit_expect(server, "DELETE /api/v1/things/" ID " HTTP/1.1\r\n" H "\r\n", 200, NULL);
    kit_expect(server, "DELETE /api/v1/things/" ID "?limit=1 HTTP/1.1\r\n" H "\r\n", 400, "?limit");
}

static void post(const char *body, int status, const char *part)
{
    BUF_AUTO b = BUF_INIT;
    buf_printf(&b, "POST /api/v1/things HTTP/1.1\r\n" H J "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    kit_expect(server, b.data, status, part);
}

static void bodies_are_checked(void **state)
{
    (void)state;
    post("{\"name\":\"a\",\"parts\":[{\"name\":\"b\"}]}", 200, NULL);
    post("{}", 422, "\"pointer\":\"/name\"");
    post("{\"name\":5}", 422, "\"pointer\":\"/name\"");
    post("{\"name\":\"a\",\"parts\":[{\"name\":\"toolong\"}]}", 422, "\"pointer\":\"/parts/0/name\"");
    post("{\"name\":\"a\",\"extra\":1}", 422, "/extra");
    post("[]", 422, "\"pointer\":\"\"");
    post("", 400, "/problems/body-missing");
    post("{\"name\":", 400, "/problems/json");
}

static void differences_are_listed(void **state)
{
    (void)state;
    static const struct http_route other[] = {
        {"GET", "/api/v1/things", "listThings", "public", ok, 0, 0},
        {"PUT", "/api/v1/things", "createThing", "public", ok, 0, 0},
        {"GET", "/api/v1/things/{id}", "getThing", "viewer", ok, 0, 0},
        {"GET", "/api/v1/more", NULL, "public", ok, 0, 0},
        {"GET", "/api/v1/most", "getMost", "public", ok, 0, 0},
        {"GET", "/page", NULL, "public", ok, 0, 0},
        {0},
    };
    BUF_AUTO out = BUF_INIT;
    const struct http_server *good[] = {server};
    assert_int_equal(http_openapi_compare(good, 1, &out), 0);
    assert_int_equal(out.len, 0);
    struct http_options o = {.listen = "127.0.0.1:0", .threads = 1};
    struct http_server *s = NULL;
    assert_int_equal(http_server_new(&o, &s, NULL), 0);
    http_server_add(s, other);
    const struct http_server *bad[] = {s};
    assert_int_equal(http_openapi_compare(bad, 1, &out), 5);
    assert_string_equal(out.data, "the route PUT /api/v1/things names the operation createThing, which is POST /api/v1/things in the document\n"
                                  "the route GET /api/v1/things/{id} needs viewer, its operation getThing public by x-need\n"
                                  "the route GET /api/v1/more names no operation\n"
                                  "the route GET /api/v1/most names the operation getMost, which the document does not have\n"
                                  "the operation deleteThing, DELETE /api/v1/things/{id}, has no route\n");
    http_server_free(s);
}

static void broken_documents_are_refused(void **state)
{
    (void)state;
    static const struct { const char *text, *words; } bad[] = {
        {"{", "line 1"},
        {"{\"paths\":{\"/a\":{\"get\":{}}}}", "GET /a has no operationId"},
        {"{\"paths\":{\"/a\":{\"get\":{\"operationId\":\"x\"},\"put\":{\"operationId\":\"x\"}}}}", "x is there twice"},
        {"{\"paths\":{\"/a\":{\"get\":{\"operationId\":\"x\",\"parameters\":[{\"$ref\":\"#/nowhere\"}]}}}}", "operation x"},
        {"{\"paths\":{\"/a\":{\"get\":{\"operationId\":\"x\",\"parameters\":[{\"name\":\"q\",\"in\":\"query\",\"schema\":{\"type\":\"numbr\"}}]}}}}", "operation x"},
        {"{\"paths\":{\"/a\":{\"put\":{\"operationId\":\"x\",\"requestBody\":{\"content\":{\"application/json\":{\"schema\":{\"$ref\":\"#/gone\"}}}}}}}}", "operation x"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = ERR_INIT;
        assert_int_equal(http_openapi_load(bad[i].text, strlen(bad[i].text), &e), ERR_INVALID);
        if (!strstr(e.msg, bad[i].words) || strncmp(e.msg, "the API document: ", 18))
            fail_msg("%s", e.msg);
    }
    ask("?limit=0", 400, "?limit"); /* the good one is still there */
}

/* The document that this build merged, when the tests run in its folder. */
static void the_merged_document_loads(void **state)
{
    (void)state;
    BUF_AUTO text = BUF_INIT;
    struct err e = ERR_INIT;
    if (fs_read("openapi.json", 8 * 1024 * 1024, &text, &e))
        skip();
    if (http_openapi_load(text.data, text.len, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(http_openapi_load(document, sizeof document - 1, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(query_parameters_are_checked),
        cmocka_unit_test(path_and_headers_are_checked),
        cmocka_unit_test(bodies_are_checked),
        cmocka_unit_test(differences_are_listed),
        cmocka_unit_test(broken_documents_are_refused),
        cmocka_unit_test(the_merged_document_loads),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
