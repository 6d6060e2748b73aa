/* The same answer through portal/http: router, request id, checks of the head, hooks that do nothing. Usage: router-hello PORT. */
#include <signal.h>
#include <stdio.h>

#include "portal/http/http.h"

static int hello(struct http_req *r, struct err *e)
{
    (void)e;
    return http_reply(r, 200, "application/json", "{\"hello\":\"world\"}", 17);
}

static int let(struct http_req *r, struct err *e)
{
    (void)r, (void)e;
    return 0;
}

static const struct http_route routes[] = {
    {"GET", "/", "hello", "public", hello, 0, 0},
    {"GET", "/api/v1/things/{id}", "thing", "public", hello, 0, 0},
    {0},
};

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    char listen[64];
    snprintf(listen, sizeof listen, "127.0.0.1:%s", argv[1]);
    const struct http_hooks hooks = {.authenticate = let, .authorize = let, .check_body = let};
    struct http_options o = {.listen = listen, .threads = 32, .hooks = &hooks};
    struct http_server *s = NULL;
    struct err e = ERR_INIT;
    sigset_t end;
    int signal = 0;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigaddset(&end, SIGINT);
    sigprocmask(SIG_BLOCK, &end, NULL);
    if (http_server_new(&o, &s, &e)) {
        fprintf(stderr, "%s\n", e.msg);
        return 1;
    }
    http_server_add(s, routes);
    if (http_server_start(s, &e)) {
        fprintf(stderr, "%s\n", e.msg);
        http_server_free(s);
        return 1;
    }
    sigwait(&end, &signal);
    http_server_free(s);
    return 0;
}
