/* The head of a request: what civetweb reads leniently and head_check lets pass must be, byte for byte, what a strict reader sees. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "portal/http/http_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The line that starts at *at, without its CR LF; NULL when a strict reader would not take it. */
static char *strict_line(struct arena *a, const char *raw, size_t n, size_t *at)
{
    for (size_t i = *at; i < n; i++) {
        if (raw[i] == '\n' || (raw[i] == '\r' && (i + 1 == n || raw[i + 1] != '\n')))
            return NULL;
        if (raw[i] != '\r')
            continue;
        char *line = arena_strndup(a, raw + *at, i - *at);
        *at = i + 2;
        return line;
    }
    return NULL;
}

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Compares an accepted head with its lines. */
static void compare(struct arena *a, const char *raw, size_t n, const struct mg_request_info *ri)
{
    size_t at = n > 2 && !memcmp(raw, "\r\n", 2) ? 2 : 0;
    int lengths = 0, encodings = 0, hosts = 0;
    char *line = strict_line(a, raw, n, &at);
    must(line && !strncmp(line, ri->request_method, strlen(ri->request_method)));
    char *version = strrchr(line, ' ');
    must(version && !strncmp(version, " HTTP/", 6) && !strcmp(version + 6, ri->http_version) && strchr(line, ' ') + 1 + strcspn(strchr(line, ' ') + 1, " ") == version);
    for (int i = 0; i < ri->num_headers; i++) {
        line = strict_line(a, raw, n, &at);
        char *colon = line ? strchr(line, ':') : NULL;
        must(colon && colon > line && !strpbrk(arena_strndup(a, line, (size_t)(colon - line)), " \t"));
        *colon = 0;
        must(!strcmp(line, ri->http_headers[i].name) && !strcmp(colon + 1 + strspn(colon + 1, " \t"), ri->http_headers[i].value));
        lengths += !strcasecmp(line, "Content-Length");
        encodings += !strcasecmp(line, "Transfer-Encoding");
        hosts += !strcasecmp(line, "Host");
    }
    line = strict_line(a, raw, n, &at);
    must(line && !*line && at == n);
    must(lengths + encodings <= 1 && hosts <= 1 && (hosts || strcmp(ri->http_version, "1.1")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_server server;
    if (!size || size > 16000)
        return 0;
    ARENA_AUTO a = arena_new();
    /* As in a worker: the buffer is larger than what came, and holds what came before. */
    size_t room = size + 64;
    char *buf = malloc(room);
    if (!buf)
        return 0;
    memset(buf, 'z', room);
    memcpy(buf, data, size);
    struct mg_request_info ri = {0};
    int n = civet_parse(buf, (int)size, &ri);
    struct http_conn c = {.s = &server, .ri = &ri, .v = {.buf = buf, .head_len = n > 0 ? (size_t)n : 0, .data_len = size, .size = room}, .content_length = -1};
    const char *path = NULL;
    if (n > 0 && !head_check(&c)) {
        compare(a, (const char *)data, (size_t)n, &ri);
        if (!head_path(&c, a, &path))
            must(utf8_valid(path, strlen(path)) && !strstr(path, "/../") && !strstr(path, "/./"));
        head_query(&c, a);
    }
    free(buf);
    return 0;
}
