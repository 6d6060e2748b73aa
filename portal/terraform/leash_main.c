/* soma-leash RUN_FOLDER GUARD_MS CPU_SECONDS: the supervisor of one run's process tree, outside of somad.
 *
 * It is the parent of every bubblewrap of the run, single-threaded, so that PDEATHSIG (which follows the *thread* that spawned) means what it says,
 * and a subreaper, so that nothing can slip away by forking twice. It ends the tree when its socket closes (the worker died), when the lease
 * minus the guard is over by CLOCK_BOOTTIME, or when told; then it loops until it has no child left, writes its last word into the run's folder and
 * ends, by which the folder's lock falls. libc only: it must outlive anything that goes wrong above it. */
#include "portal/terraform/leash_proto.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHILDREN_MAX 64
#define ARGV_MAX 256
#define FIRST_ALONE_TRIES 50 /* of 20 ms */
#define FILE_BYTES_MAX ((rlim_t)1 << 30)

static struct {
    const char *folder;
    int64_t guard_ms;
    int timer, signals;
    pid_t child[CHILDREN_MAX]; /* 0: none */
    bool ending;
    enum leash_reason reason;
    bool peer; /* the worker is there */
} leash = {.peer = true};

static void tell(enum leash_kind kind, int index, int64_t value, const char *words)
{
    struct leash_message m = {.kind = kind, .index = index, .value = value, .n = (uint32_t)strlen(words)};
    struct iovec parts[] = {{&m, sizeof m}, {(void *)(uintptr_t)words, m.n}};
    struct msghdr h = {.msg_iov = parts, .msg_iovlen = 2};
    if (leash.peer && sendmsg(LEASH_CTL_FD, &h, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EPIPE)
        leash.peer = false;
}

static int64_t boot_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void end_tree(enum leash_reason reason)
{
    if (!leash.ending)
        leash.reason = reason;
    leash.ending = true;
}

/* ---- spawning ---- */

static int spawn_child(char **argv, const int fds[3], pid_t *ret)
{
    static char *empty[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    posix_spawn_file_actions_adddup2(&actions, fds[2], 2);
    posix_spawn_file_actions_adddup2(&actions, fds[0], LEASH_ARGS_FD);
    posix_spawn_file_actions_addclosefrom_np(&actions, LEASH_ARGS_FD + 1);
    int cause = posix_spawn(ret, argv[0], &actions, &attr, argv, empty);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return cause;
}

static void spawn_asked(const struct leash_message *m, char *payload, const int fds[3])
{
    char *argv[ARGV_MAX];
    int argc = 0;
    for (uint32_t at = 0; at < m->n && argc < ARGV_MAX - 1; at += (uint32_t)strlen(payload + at) + 1)
        argv[argc++] = payload + at;
    argv[argc] = NULL;
    if (!argc || m->index < 0 || m->index >= CHILDREN_MAX || leash.child[m->index] || fds[2] < 0) {
        tell(LEASH_FAILED, m->index, EINVAL, "the leash was asked for something it cannot spawn");
        return;
    }
    if (leash.ending)
        return;
    pid_t pid;
    int cause = spawn_child(argv, fds, &pid);
    if (cause) {
        tell(LEASH_FAILED, m->index, cause, argv[0]);
        return;
    }
    leash.child[m->index] = pid;
    tell(LEASH_STARTED, m->index, pid, "");
}

/* ---- what the worker says ---- */

static void set_lease(int64_t until)
{
    struct itimerspec t = {0};
    if (until == LEASH_NO_LEASE) {
        timerfd_settime(leash.timer, 0, &t, NULL);
        return;
    }
    int64_t at = until - leash.guard_ms;
    if (until <= 0 || at <= boot_ms()) {
        end_tree(LEASH_REASON_LEASE);
        return;
    }
    t.it_value = (struct timespec){at / 1000, at % 1000 * 1000000};
    timerfd_settime(leash.timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static int take_descriptors(struct msghdr *h, int fds[3])
{
    int n = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        int got = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int)), one[8];
        memcpy(one, CMSG_DATA(c), (size_t)(got < 8 ? got : 8) * sizeof(int));
        for (int i = 0; i < got && i < 8; i++) {
            if (n < 3)
                fds[n++] = one[i];
            else
                close(one[i]);
        }
    }
    return n;
}

static void read_message(void)
{
    static char payload[LEASH_PAYLOAD_MAX + 1];
    struct leash_message m = {0};
    union { char bytes[CMSG_SPACE(8 * sizeof(int))]; struct cmsghdr align; } control;
    struct iovec parts[] = {{&m, sizeof m}, {payload, LEASH_PAYLOAD_MAX}};
    struct msghdr h = {.msg_iov = parts, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control};
    int fds[3] = {-1, -1, -1};
    ssize_t n = recvmsg(LEASH_CTL_FD, &h, MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n < (ssize_t)sizeof m) {
        leash.peer = false;
        end_tree(LEASH_REASON_CLOSED);
        return;
    }
    take_descriptors(&h, fds);
    m.n = (uint32_t)((size_t)n - sizeof m);
    payload[m.n] = 0;
    if (m.kind == LEASH_LEASE)
        set_lease(m.value);
    else if (m.kind == LEASH_SPAWN)
        spawn_asked(&m, payload, fds);
    else if (m.kind == LEASH_KILL && m.index >= 0 && m.index < CHILDREN_MAX && leash.child[m.index])
        kill(leash.child[m.index], SIGKILL);
    else if (m.kind == LEASH_END)
        end_tree(LEASH_REASON_DONE);
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* ---- children ---- */

/* Reaps what has ended; false when no child is left. */
static bool reap(void)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid <= 0)
            return pid == 0;
        for (int i = 0; i < CHILDREN_MAX; i++)
            if (leash.child[i] == pid) {
                leash.child[i] = 0;
                tell(LEASH_EXITED, i, status, "");
            }
    }
}

static pid_t parent_of(const char *pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    char *end = strrchr(text, ')'); /* the name before it may hold anything */
    int ppid = 0;
    return end && sscanf(end + 1, " %*c %d", &ppid) == 1 ? ppid : 0;
}

/* All that is our child now: spawned by us, or left to us by a parent that died. */
static void kill_children(void)
{
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (leash.child[i])
            kill(leash.child[i], SIGKILL);
    DIR *d = opendir("/proc");
    for (struct dirent *entry; d && (entry = readdir(d));)
        if (isdigit((unsigned char)*entry->d_name) && parent_of(entry->d_name) == getpid())
            kill((pid_t)atoi(entry->d_name), SIGKILL);
    if (d)
        closedir(d);
}

static void wait_a_little(void)
{
    struct pollfd p = {leash.signals, POLLIN, 0};
    struct signalfd_siginfo info;
    if (poll(&p, 1, 20) > 0)
        while (read(leash.signals, &info, sizeof info) == (ssize_t)sizeof info)
            ;
}

/* Child 0 first, and alone for a moment: an engine that sees its providers die begins to rewrite its state, and would be cut off in that. */
static void end_all(void)
{
    for (int i = 0; i < FIRST_ALONE_TRIES && reap() && leash.child[0]; i++) {
        kill(leash.child[0], SIGKILL);
        wait_a_little();
    }
    while (reap()) {
        kill_children();
        wait_a_little();
    }
}

static void write_last_word(void)
{
    static const char *const words[] = {"done", "lease", "closed"};
    char path[4096], temporary[4200];
    if (snprintf(path, sizeof path, "%s/leash.ended", leash.folder) >= (int)sizeof path)
        return;
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *f = fopen(temporary, "we");
    if (!f)
        return;
    fprintf(f, "{\"reason\":\"%s\",\"boot_ms\":%" PRId64 "}\n", words[leash.reason], boot_ms());
    if (fclose(f) == 0 && rename(temporary, path) != 0)
        unlink(temporary);
}

/* ---- */

static void limit(int what, rlim_t most)
{
    struct rlimit r;
    if (getrlimit(what, &r))
        return;
    if (r.rlim_max == RLIM_INFINITY || r.rlim_max > most)
        r.rlim_max = most;
    if (r.rlim_cur == RLIM_INFINITY || r.rlim_cur > r.rlim_max)
        r.rlim_cur = r.rlim_max;
    setrlimit(what, &r);
}

static int prepare(int argc, char **argv)
{
    sigset_t set;
    if (argc != 4 || fcntl(LEASH_CTL_FD, F_GETFD) < 0 || fcntl(LEASH_LOCK_FD, F_GETFD) < 0) {
        fputs("soma-leash supervises the processes of one run; somad starts it, it is of no use by hand.\n", stderr);
        return -1;
    }
    leash.folder = argv[1];
    leash.guard_ms = strtoll(argv[2], NULL, 10);
    fcntl(LEASH_CTL_FD, F_SETFD, FD_CLOEXEC);
    fcntl(LEASH_LOCK_FD, F_SETFD, FD_CLOEXEC);
    /* A service manager or a terminal that stops the node signals everybody: an apply is finished, not cut. SIGKILL remains. */
    for (size_t i = 0; i < 5; i++)
        signal((const int[]){SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGPIPE}[i], SIG_IGN);
    umask(077);
    limit(RLIMIT_CORE, 0); /* a core would hold credentials and values */
    limit(RLIMIT_FSIZE, FILE_BYTES_MAX);
    limit(RLIMIT_CPU, (rlim_t)strtoull(argv[3], NULL, 10));
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    leash.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    leash.timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    return leash.signals < 0 || leash.timer < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) ? -1 : 0;
}

int main(int argc, char **argv)
{
    if (prepare(argc, argv))
        return 2;
    while (!leash.ending) {
        struct pollfd p[] = {{LEASH_CTL_FD, POLLIN, 0}, {leash.timer, POLLIN, 0}, {leash.signals, POLLIN, 0}};
        if (poll(p, 3, -1) < 0)
            continue;
        if (p[1].revents)
            end_tree(LEASH_REASON_LEASE);
        if (p[2].revents) {
            struct signalfd_siginfo info;
            while (read(leash.signals, &info, sizeof info) == (ssize_t)sizeof info)
                ;
            reap();
        }
        if (p[0].revents)
            read_message();
    }
    end_all();
    write_last_word();
    tell(LEASH_ENDED, 0, leash.reason, "");
    return 0;
}
