/* What a client sends behind the head: query string, chunks, JSON, and the check against a document.
 * Input: one byte of flags (1: chunked), the query string up to a line feed, the body. */
#include <stdlib.h>
#include <string.h>

#include "portal/http/http_private.h"
#include "portal/http/openapi_check.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char document[] =
    "{\"paths\":{\"/orders\":{\"post\":{\"operationId\":\"createOrder\",\"parameters\":["
    "{\"name\":\"limit\",\"in\":\"query\",\"schema\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":500}},"
    "{\"name\":\"state\",\"in\":\"query\",\"schema\":{\"type\":\"array\",\"items\":{\"enum\":[\"ready\",\"failed\"]}}},"
    "{\"name\":\"q\",\"in\":\"query\",\"schema\":{\"type\":\"string\",\"pattern\":\"^[a-z ]*$\",\"maxLength\":20}}],"
    "\"requestBody\":{\"required\":true,\"content\":{\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/Order\"}}}}}}},"
    "\"components\":{\"schemas\":{\"Order\":{\"type\":\"object\",\"required\":[\"kind\",\"name\"],\"additionalProperties\":false,\"properties\":{"
    "\"kind\":{\"enum\":[\"create\",\"destroy\"]},\"name\":{\"type\":\"string\",\"pattern\":\"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$\"},"
    "\"count\":{\"type\":\"integer\",\"multipleOf\":3},\"at\":{\"type\":\"string\",\"format\":\"date-time\"},"
    "\"parameters\":{\"type\":\"object\",\"additionalProperties\":{\"type\":[\"string\",\"number\",\"boolean\",\"null\"]}},"
    "\"parts\":{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"$ref\":\"#/components/schemas/Order\"}}}}}}}";

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    struct err e = ERR_INIT;
    if (http_openapi_load(document, sizeof document - 1, &e))
        abort();
    return 0;
}

static int parse(struct http_req *r, bool chunked, struct buf *out)
{
    struct err e = ERR_INIT;
    if (head_query(r->conn, r->arena))
        return -1;
    if (chunked) {
        if (body_unchunk(r->conn, 65536, out) < 0)
            return -1;
        r->body = buf_cstr(out);
        r->body_len = out->len;
    } else {
        r->body = r->conn->v.buf;
        r->body_len = r->conn->v.data_len;
    }
    if (r->body_len && body_json(r, &e)) {
        if (!e.msg[0])
            abort();
        return -1;
    }
    if (http_openapi_check(r, &e)) {
        BUF_AUTO problem = BUF_INIT;
        http_problem_json(&e, "id", "/orders", &problem);
        json_t *again = json_loadb(problem.data, problem.len, 0, NULL);
        if (!again) /* whatever came in, the problem must be JSON */
            abort();
        json_decref(again);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_route route = {"POST", "/orders", "createOrder", "public", NULL, 0, 0};
    static struct http_server server;
    if (!size)
        return 0;
    ARENA_AUTO a = arena_new();
    const char *text = arena_strndup(a, "", 0);
    char *copy = arena_memdup(a, data + 1, size - 1), *end = size > 1 ? memchr(copy, '\n', size - 1) : NULL;
    size_t query_len = end ? (size_t)(end - copy) : 0;
    struct mg_request_info ri = {.query_string = end ? arena_strndup(a, copy, query_len) : text};
    struct http_conn c = {.s = &server, .ri = &ri, .v = {.fd = -1}};
    /* Exactly as long as it is, so that a byte too far is seen. */
    size_t body_len = size - 1 - (end ? query_len + 1 : 0);
    c.v.buf = malloc(body_len ? body_len : 1);
    if (!c.v.buf)
        return 0;
    memcpy(c.v.buf, copy + (end ? query_len + 1 : 0), body_len);
    c.v.data_len = body_len;
    struct http_req r = {.arena = a, .method = "POST", .path = "/orders", .route = &route, .conn = &c, .body = ""};
    BUF_AUTO out = BUF_INIT;
    parse(&r, data[0] & 1, &out);
    json_decref(r.json);
    free(c.v.buf);
    return 0;
}
