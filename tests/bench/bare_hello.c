/* civetweb alone, as fast as it goes: one handler, head and body in one write. Usage: bare-hello PORT. What the node's HTTP is measured against. */
#include <civetweb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int hello(struct mg_connection *c, void *arg)
{
    (void)arg;
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"hello\":\"world\"}";
    mg_write(c, answer, sizeof answer - 1);
    return 200;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    char listen[64];
    snprintf(listen, sizeof listen, "127.0.0.1:%s", argv[1]);
    const char *options[] = {"listening_ports", listen, "num_threads", "32", "tcp_nodelay", "1", "enable_keep_alive", "yes", "keep_alive_timeout_ms", "10000", NULL};
    sigset_t end;
    int signal = 0;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigaddset(&end, SIGINT);
    sigprocmask(SIG_BLOCK, &end, NULL);
    mg_init_library(0);
    struct mg_context *ctx = mg_start(NULL, NULL, options);
    if (!ctx) {
        fprintf(stderr, "cannot listen on %s\n", listen);
        return 1;
    }
    mg_set_request_handler(ctx, "/", hello, NULL);
    sigwait(&end, &signal);
    mg_stop(ctx);
    return 0;
}
