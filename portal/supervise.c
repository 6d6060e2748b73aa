/* The parent of a node's two roles; safe as process 1. It holds nothing that could be lost: no database, no threads.
 *
 * A role that dies is started anew at once, and with growing pauses when it keeps dying. SIGTERM is passed on; then the parent waits for both. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "portal/core/clock.h"
#include "portal/core/log.h"
#include "portal/node.h"

struct role { const char *name; pid_t pid; int64_t started, start_at; int deaths; };

static void start(struct role *role, const struct node *n, int argc, char **argv)
{
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) {
        log_error("cannot start a process; trying again", LOG_S("role", role->name), LOG_S("reason", strerror(errno)));
        role->start_at = clock_mono_ms() + 1000;
        return;
    }
    if (pid > 0) {
        role->pid = pid;
        role->started = clock_mono_ms();
        return;
    }
    /* The flags were taken out of argv; configuration goes on by file and environment, and flags by the copies kept there. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    char **child = calloc((size_t)argc + 5, sizeof *child);
    int k = 0;
    child[k++] = argv[0];
    child[k++] = (char *)role->name;
    for (int i = 1; i < argc; i++)
        child[k++] = argv[i];
    (void)n;
    execv("/proc/self/exe", child);
    _exit(127);
}

static void buried(struct role *role, int status)
{
    int64_t lived = clock_mono_ms() - role->started;
    role->deaths = lived > 60000 ? 0 : role->deaths + 1;
    int64_t pause = role->deaths <= 1 ? 0 : 100 << (role->deaths < 7 ? role->deaths - 2 : 5);
    role->start_at = clock_mono_ms() + pause;
    role->pid = 0;
    log_warn("a role ended and is started anew", LOG_S("ended", role->name), LOG_I("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
             LOG_I("exit", WIFEXITED(status) ? WEXITSTATUS(status) : -1), LOG_I("pause_ms", pause));
}

static void reap(struct role *roles, size_t n, bool stopping)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (size_t i = 0; i < n; i++)
            if (roles[i].pid == pid) {
                if (stopping)
                    roles[i].pid = 0;
                else
                    buried(&roles[i], status);
            }
}

static void tell_all(struct role *roles, size_t n, int sig)
{
    for (size_t i = 0; i < n; i++)
        if (roles[i].pid > 0)
            kill(roles[i].pid, sig);
}

int supervise_main(struct node *n, int argc, char **argv, struct err *e)
{
    struct role roles[] = {{.name = "serve"}, {.name = "work"}};
    int r = config_check(n->config, e);
    if (r)
        return r;
    log_set_role("parent");
    sigset_t set;
    sigemptyset(&set);
    int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
    for (size_t i = 0; i < 4; i++)
        sigaddset(&set, wanted[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    bool stopping = false;
    for (;;) {
        reap(roles, 2, stopping);
        for (size_t i = 0; i < 2 && !stopping; i++)
            if (!roles[i].pid && clock_mono_ms() >= roles[i].start_at)
                start(&roles[i], n, argc, argv);
        if (stopping && !roles[0].pid && !roles[1].pid)
            return 0;
        struct timespec t = {.tv_nsec = 100000000};
        bool all_run = roles[0].pid && roles[1].pid;
        int sig = all_run ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &t);
        if (sig == SIGTERM || sig == SIGINT) {
            stopping = true;
            tell_all(roles, 2, SIGTERM);
        } else if (sig == SIGHUP)
            tell_all(roles, 2, SIGHUP);
    }
}
