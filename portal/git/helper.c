/* The child's main: takes the request from its socket (descriptor 0), limits itself, fetches, lists, then hands over files until the socket closes. */
#include "portal/core/clock.h"
#include "portal/git/git_private.h"
#include "portal/json/json.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

bool git_helper_wanted(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], GIT_HELPER_NAME) == 0;
}

int frame_write(int fd, enum frame_type type, const void *p, size_t n)
{
    uint32_t len = (uint32_t)n;
    char head[5];
    memcpy(head, &len, 4);
    head[4] = (char)type;
    const char *parts[] = {head, p};
    size_t sizes[] = {sizeof(head), n};
    for (int i = 0; i < 2; i++)
        for (size_t done = 0; done < sizes[i];) {
            ssize_t got = send(fd, parts[i] + done, sizes[i] - done, MSG_NOSIGNAL);
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                return -1;
            done += (size_t)got;
        }
    return 0;
}

/* 1: the socket closed. */
static int read_all(int fd, void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = read(fd, (char *)p + done, n - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return 1;
        done += (size_t)got;
    }
    return 0;
}

int frame_read(int fd, char *ret_type, struct buf *out)
{
    char head[5];
    uint32_t len;
    buf_clear(out);
    if (read_all(fd, head, sizeof(head)) != 0)
        return 1;
    memcpy(&len, head, 4);
    if (len > GIT_FRAME_MAX)
        return 1;
    buf_reserve(out, len + 1u);
    if (len && read_all(fd, out->data, len) != 0)
        return 1;
    out->len = len;
    out->data[len] = 0;
    *ret_type = head[4];
    return 0;
}

static int send_error(const struct err *e)
{
    BUF_AUTO b = BUF_INIT;
    int32_t code = e->code;
    buf_add(&b, &code, sizeof(code));
    buf_str(&b, e->msg);
    return frame_write(HELPER_SOCKET, FRAME_ERROR, b.data, b.len);
}

static char *take_text(const json_t *request, const char *key)
{
    const char *s = json_string_value(json_object_get(request, key));
    return s ? strdup(s) : NULL;
}

static int read_request(struct helper_request *r, struct err *e)
{
    struct buf text = BUF_INIT;
    char type;
    json_t *j = NULL;
    if (frame_read(HELPER_SOCKET, &type, &text) != 0 || type != FRAME_REQUEST) {
        buf_wipe(&text);
        return err_set(e, ERR_INTERNAL, "git-helper is not for people: it is started by the node");
    }
    int rc = json_read(text.data, text.len, 4, &j, e);
    buf_wipe(&text);
    if (rc != 0)
        return rc;
    *r = (struct helper_request){take_text(j, "url"), take_text(j, "ref"), take_text(j, "mirror"), take_text(j, "known"), take_text(j, "username"), take_text(j, "password"),
                                 take_text(j, "ssh_key"), take_text(j, "passphrase"), take_text(j, "host_key"), json_integer_value(json_object_get(j, "ms")),
                                 json_integer_value(json_object_get(j, "bytes")), json_integer_value(json_object_get(j, "memory")),
                                 (size_t)json_integer_value(json_object_get(j, "entries")), take_text(j, "scratch"), take_text(j, "base"), take_text(j, "branch"),
                                 take_text(j, "author"), take_text(j, "email"), take_text(j, "message"), json_integer_value(json_object_get(j, "time")),
                                 json_is_true(json_object_get(j, "look_only"))};
    json_decref(j);
    return r->url && (r->ref || (r->scratch && r->branch && r->author && r->email && r->message)) ? 0 : err_set(e, ERR_INTERNAL, "the request is incomplete");
}

static void free_request(struct helper_request *r)
{
    char *all[] = {r->url, r->ref, r->mirror, r->known, r->username, r->password, r->ssh_key, r->passphrase, r->host_key, r->scratch, r->base, r->branch, r->author, r->email, r->message};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        if (all[i])
            explicit_bzero(all[i], strlen(all[i]));
        free(all[i]);
    }
}

static void limit(int what, int64_t n)
{
    struct rlimit l = {(rlim_t)n, (rlim_t)n};
    setrlimit(what, &l);
}

static void limit_self(const struct helper_request *r)
{
    umask(077);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, r->bytes * 2 + (64 << 20)); /* a pack that is completed grows by the bases it lacked */
    limit(RLIMIT_CPU, r->ms / 1000 + 60);
#ifndef SANITIZED
    limit(RLIMIT_DATA, r->memory);
#endif
}

static void setup_library(void)
{
    git_libgit2_init();
    /* Nothing of this machine's users or administrators configures us. */
    for (int level = GIT_CONFIG_LEVEL_PROGRAMDATA; level <= GIT_CONFIG_LEVEL_GLOBAL; level++)
        git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
    git_libgit2_opts(GIT_OPT_SET_TEMPLATE_PATH, "");
    /* Ownership matters where hooks, filters or configured programs might run. Here none can, and an administrator named the repository. */
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)(16 << 20));
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)(32 << 20));
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)(256 << 20));
    git_libgit2_opts(GIT_OPT_SET_USER_AGENT, "soma/" SOMA_VERSION);
    const char *certificates = getenv("SSL_CERT_FILE"), *folder = getenv("SSL_CERT_DIR");
    if (certificates || folder)
        git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, certificates, folder);
}

static int send_list(const struct tree_list *l)
{
    BUF_AUTO b = BUF_INIT;
    for (size_t i = 0; i < l->n; i++) {
        uint32_t len = (uint32_t)strlen(l->items[i].path);
        char kind = (char)l->items[i].kind;
        buf_add(&b, &kind, 1);
        buf_add(&b, &l->items[i].size, 8);
        buf_add(&b, &len, 4);
        buf_add(&b, l->items[i].path, len);
        if (b.len > 256 * 1024 || i + 1 == l->n) {
            if (frame_write(HELPER_SOCKET, FRAME_ENTRIES, b.data, b.len) != 0)
                return -1;
            buf_clear(&b);
        }
    }
    return frame_write(HELPER_SOCKET, FRAME_END, NULL, 0);
}

/* Answers reads until the parent closes. */
static void serve_files(git_repository *repo, const struct tree_list *l, int64_t ms)
{
    struct buf request = BUF_INIT, data = BUF_INIT;
    char type;
    for (;;) {
        alarm(0);
        if (frame_read(HELPER_SOCKET, &type, &request) != 0 || type != FRAME_READ || request.len != 12)
            break;
        alarm((unsigned)(ms / 1000) + 10);
        uint32_t index;
        int64_t max;
        struct err e = ERR_INIT;
        memcpy(&index, request.data, 4);
        memcpy(&max, request.data + 4, 8);
        buf_clear(&data);
        int rc = index < l->n ? tree_read(repo, &l->items[index], max, &data, &e) : err_set(&e, ERR_INTERNAL, "no such file");
        if ((rc == 0 ? frame_write(HELPER_SOCKET, FRAME_DATA, data.data, data.len) : send_error(&e)) != 0)
            break;
    }
    buf_done(&request);
    buf_done(&data);
}

static int answer(const struct helper_request *r, struct err *e)
{
    git_repository *repo = NULL;
    git_oid commit;
    struct tree_list list = {.limit = r->entries};
    char text[GIT_OID_HEXSZ + 2];
    int rc = fetch_open(r, &repo, &commit, e);
    if (rc == 0) {
        git_oid_tostr(text, GIT_OID_HEXSZ + 1, &commit);
        bool unchanged = r->known && strcmp(r->known, text) == 0;
        text[GIT_OID_HEXSZ] = unchanged ? '1' : '0';
        if (!unchanged)
            rc = tree_list_commit(repo, &commit, &list, e);
        if (rc == 0 && frame_write(HELPER_SOCKET, FRAME_COMMIT, text, GIT_OID_HEXSZ + 1) == 0 && send_list(&list) == 0)
            serve_files(repo, &list, r->ms);
    }
    tree_list_done(&list);
    git_repository_free(repo);
    return rc;
}

static int answer_push(const struct helper_request *r, struct err *e)
{
    char text[GIT_OID_HEXSZ + 2];
    bool before = false;
    int rc = push_publish(r, text, &before, e);
    text[GIT_OID_HEXSZ] = before ? '1' : '0';
    if (rc == 0)
        frame_write(HELPER_SOCKET, FRAME_COMMIT, text, GIT_OID_HEXSZ + 1);
    return rc;
}

int git_helper_main(void)
{
    struct helper_request r = {0};
    struct err e = ERR_INIT;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_IGN); /* of a terminal's group: the parent decides */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(30);
    int rc = read_request(&r, &e);
    if (rc == 0) {
        alarm((unsigned)(r.ms / 1000) + 10); /* should the parent hang */
        limit_self(&r);
        setup_library();
        rc = r.scratch ? answer_push(&r, &e) : answer(&r, &e);
        git_libgit2_shutdown();
    }
    if (rc != 0)
        send_error(&e);
    free_request(&r);
    return rc == 0 ? 0 : 1;
}
