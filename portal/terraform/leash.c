/* The worker's end of the leash: starts it, sends it packets, reads its reports. */
#include "portal/terraform/leash_proto.h"
#include "portal/core/fs.h"
#include "portal/terraform/terraform_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUARD_MS 5000

struct tf_leash {
    int ctl;
    pid_t pid;
    const char *run; /* borrowed from the folder */
    bool ended;      /* it said its last word */
    int reason;
};

static const char *find_leash(struct arena *a, const struct tf_spec *s)
{
    char self[4000];
    if (s->leash)
        return tf_program_find(a, s->leash);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return NULL;
    self[n] = 0;
    *strrchr(self, '/') = 0;
    return tf_program_find(a, arena_printf(a, "%s/soma-leash", self));
}

/* ctl and lock are numbers above those that the leash expects them at, so that no copy runs over another. */
static int spawn(char *const argv[], int ctl, int lock, pid_t *ret)
{
    static char *empty[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ctl, LEASH_CTL_FD);
    posix_spawn_file_actions_adddup2(&actions, lock, LEASH_LOCK_FD);
    posix_spawn_file_actions_addclosefrom_np(&actions, LEASH_LOCK_FD + 1);
    posix_spawn_file_actions_addchdir_np(&actions, "/");
    int cause = posix_spawn(ret, argv[0], &actions, &attr, argv, empty);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return cause;
}

static char *text(struct arena *a, const char *s)
{
    return arena_strdup(a, s);
}

int tf_leash_start(const struct tf_dir *d, const struct tf_spec *s, struct tf_leash **ret, struct err *e)
{
    ARENA_AUTO a = arena_new();
    const char *program = find_leash(a, s);
    if (!program)
        return err_set(e, ERR_UNAVAILABLE, "soma-leash is not beside this program: install it there, no run is started without it");
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return err_errno(e, ERR_IO, errno, "cannot make the leash's socket");
    FD_AUTO ours = pair[0];
    FD_AUTO theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, 10);
    FD_AUTO lock = fcntl(tf_dir_lock_fd(d), F_DUPFD_CLOEXEC, 10);
    close(pair[1]);
    int64_t guard = s->guard_ms < 0 ? 0 : s->guard_ms ? s->guard_ms : GUARD_MS;
    int64_t cpu = (s->wall_ms / 1000 + 60) * sysconf(_SC_NPROCESSORS_ONLN);
    char *argv[] = {text(a, program), text(a, tf_dir_path(d)), arena_printf(a, "%" PRId64, guard), arena_printf(a, "%" PRId64, cpu), NULL};
    pid_t pid;
    int cause = theirs < 0 || lock < 0 ? errno : spawn(argv, theirs, lock, &pid);
    if (cause)
        return err_errno(e, ERR_UNAVAILABLE, cause, "cannot start %s", program);
    struct tf_leash *l = calloc(1, sizeof *l);
    if (!l)
        abort();
    *l = (struct tf_leash){.ctl = ours, .pid = pid, .run = tf_dir_run(d), .reason = -1};
    ours = -1;
    *ret = l;
    return 0;
}

int tf_leash_fd(const struct tf_leash *l)
{
    return l->ctl;
}

static int send_message(struct tf_leash *l, const struct leash_message *m, const void *payload, const int *fds, size_t n_fds)
{
    union { char bytes[CMSG_SPACE(3 * sizeof(int))]; struct cmsghdr align; } control;
    struct iovec parts[] = {{(void *)(uintptr_t)m, sizeof *m}, {(void *)(uintptr_t)payload, m->n}};
    struct msghdr h = {.msg_iov = parts, .msg_iovlen = 2};
    memset(&control, 0, sizeof control);
    if (n_fds) {
        h.msg_control = &control;
        h.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    for (;;)
        if (sendmsg(l->ctl, &h, MSG_NOSIGNAL) >= 0)
            return 0;
        else if (errno != EINTR)
            return -1;
}

int tf_leash_spawn(struct tf_leash *l, int index, char *const argv[], int args_fd, int out_fd, int err_fd, struct err *e)
{
    BUF_AUTO payload = BUF_INIT;
    for (; *argv; argv++)
        buf_add(&payload, *argv, strlen(*argv) + 1);
    if (payload.len > LEASH_PAYLOAD_MAX)
        return err_set(e, ERR_TOO_LARGE, "the command line of the box is too long");
    const struct leash_message m = {.kind = LEASH_SPAWN, .index = index, .n = (uint32_t)payload.len};
    if (send_message(l, &m, payload.data, (const int[]){args_fd, out_fd, err_fd}, 3))
        return err_errno(e, ERR_UNAVAILABLE, errno, "the run's supervisor is gone");
    return 0;
}

int tf_leash_lease(struct tf_leash *l, int64_t until_boot_ms)
{
    const struct leash_message m = {.kind = LEASH_LEASE, .value = until_boot_ms};
    return send_message(l, &m, "", NULL, 0);
}

void tf_leash_kill(struct tf_leash *l, int index)
{
    const struct leash_message m = {.kind = LEASH_KILL, .index = index};
    send_message(l, &m, "", NULL, 0);
}

static int receive(struct tf_leash *l, struct tf_leash_event *ret, int flags)
{
    struct leash_message m = {0};
    memset(ret, 0, sizeof *ret);
    struct iovec parts[] = {{&m, sizeof m}, {ret->text, sizeof ret->text - 1}};
    struct msghdr h = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n;
    do
        n = recvmsg(l->ctl, &h, flags);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n < (ssize_t)sizeof m)
        return -1;
    ret->kind = (int)m.kind;
    ret->index = m.index;
    ret->value = m.value;
    if (m.kind == LEASH_ENDED) {
        l->ended = true;
        l->reason = (int)m.value;
    }
    return 1;
}

int tf_leash_next(struct tf_leash *l, struct tf_leash_event *ret)
{
    return receive(l, ret, MSG_DONTWAIT);
}

int tf_leash_end(struct tf_leash *l)
{
    const struct leash_message m = {.kind = LEASH_END};
    struct tf_leash_event event;
    send_message(l, &m, "", NULL, 0);
    while (!l->ended && receive(l, &event, 0) > 0)
        ;
    while (waitpid(l->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (!l->ended)
        tf_dir_reap(l->run);
    return l->reason;
}

void tf_leash_free(struct tf_leash *l)
{
    if (!l)
        return;
    close(l->ctl);
    free(l);
}
