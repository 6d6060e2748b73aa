/* What each process of a run may see: the engine its run folder and the providers' sockets, no network, no environment, no user; a provider the network,
 * the CA bundle, the module's files and its credentials, none of the host's files, no state, no values. docs/adr/0005-box.md tells why.
 * All arguments go to bubblewrap on a descriptor: nothing of them stands in a command line, and its own environment is empty. */
#include "portal/core/fs.h"
#include "portal/terraform/terraform_private.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TMP_BYTES "268435456"
/* A constant of go-plugin for Terraform's providers; it tells them that they were not started by hand. */
#define MAGIC_COOKIE "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"

bool tf_path_inside(const char *path)
{
    if (*path == '/')
        return false;
    for (const char *s = path; *s;) {
        size_t n = strcspn(s, "/");
        if (n == 2 && !strncmp(s, "..", 2))
            return false;
        s += n;
        s += *s == '/';
    }
    return true;
}

static void arg(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s) + 1);
}

#define ARGS(b, ...) args(b, (const char *const[]){__VA_ARGS__, NULL})
static void args(struct buf *b, const char *const *list)
{
    for (; *list; list++)
        arg(b, *list);
}

static void numbered(struct buf *b, const char *format, size_t i)
{
    BUF_AUTO text = BUF_INIT;
    buf_printf(&text, format, i);
    arg(b, buf_cstr(&text));
}

static void inside(struct buf *b, const struct tf_dir *d, const char *below)
{
    BUF_AUTO text = BUF_INIT;
    buf_printf(&text, "%s/%s", tf_dir_path(d), below);
    arg(b, buf_cstr(&text));
}

bool tf_program_is_dynamic(const char *path)
{
    unsigned char head[4096];
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof head, 0);
    Elf64_Ehdr h;
    if (n < (ssize_t)sizeof h || memcmp(head, ELFMAG, SELFMAG) != 0)
        return true; /* a script, or unreadable: it would need more than itself */
    if (head[EI_CLASS] != ELFCLASS64)
        return true;
    memcpy(&h, head, sizeof h);
    for (size_t i = 0; i < h.e_phnum; i++) {
        Elf64_Phdr p;
        size_t at = h.e_phoff + i * h.e_phentsize;
        if (at > (size_t)n - sizeof p)
            return true;
        memcpy(&p, head + at, sizeof p);
        if (p.p_type == PT_INTERP)
            return true;
    }
    return false;
}

static void common(struct buf *b, const char *program, const char *at)
{
    ARGS(b, "--unshare-user", "--uid", "65534", "--gid", "65534", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname",
         "soma", "--cap-drop", "ALL", "--die-with-parent", "--new-session", "--ro-bind", program, at);
    if (tf_program_is_dynamic(program))
        ARGS(b, "--ro-bind-try", "/usr/lib", "/usr/lib", "--ro-bind-try", "/usr/lib64", "/usr/lib64", "--ro-bind-try", "/lib", "/lib", "--ro-bind-try",
             "/lib64", "/lib64");
    for (size_t i = 0; i < 4; i++) {
        const char *device = (const char *const[]){"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"}[i];
        ARGS(b, "--dev-bind", device, device);
    }
    ARGS(b, "--size", TMP_BYTES, "--tmpfs", "/tmp");
}

static void set(struct buf *b, const char *key, const char *value)
{
    ARGS(b, "--setenv", key, value);
}

static void work_in(struct buf *b, const struct tf_spec *s)
{
    BUF_AUTO at = BUF_INIT;
    buf_printf(&at, "/m/%s", s->workdir ? s->workdir : "");
    ARGS(b, "--remount-ro", "/", "--chdir", buf_cstr(&at));
}

void tf_box_engine(struct buf *out, const struct tf_dir *d, const struct tf_spec *s, const char *reattach)
{
    common(out, s->engine.path, "/engine");
    /* It is process 1 of its box: then the signal that ends the box ends it at once, and before the providers, who have one more process above them. An engine that
     * sees its providers die would call what is in flight failed. */
    ARGS(out, "--unshare-net", "--as-pid-1");
    for (size_t i = 0; i < 2; i++) {
        arg(out, "--bind");
        inside(out, d, i ? "w" : "m");
        arg(out, i ? "/w" : "/m");
    }
    for (size_t i = 0; i < s->n_providers; i++) {
        BUF_AUTO folder = BUF_INIT;
        buf_printf(&folder, "p%zu", i);
        arg(out, "--ro-bind");
        inside(out, d, buf_cstr(&folder));
        numbered(out, "/p%zu", i);
    }
    set(out, "TF_REATTACH_PROVIDERS", reattach);
    set(out, "TF_CLI_CONFIG_FILE", "/w/cli.rc");
    set(out, "TF_DATA_DIR", "/w/.terraform");
    if (s->phase == TF_APPLY) {
        set(out, "TF_LOG", "ERROR");
        set(out, "TF_LOG_PATH", "/" TF_ENGINE_LOG);
    }
    set(out, "TF_IN_AUTOMATION", "1");
    set(out, "TF_INPUT", "0");
    set(out, "CHECKPOINT_DISABLE", "1");
    set(out, "HOME", "/w");
    set(out, "TMPDIR", "/tmp");
    set(out, "GOGC", "400");
    work_in(out, s);
}

/* A file of the host that may be a symbolic link to somewhere the box does not have. */
static void bind_file(struct buf *b, const char *path)
{
    FREE_AUTO char *real = realpath(path, NULL);
    ARGS(b, "--ro-bind-try", real ? real : path, path);
}

static int set_credentials(struct buf *out, const struct tf_provider *p, struct err *e)
{
    for (const char *const *env = p->env; env && *env; env++) {
        const char *equals = strchr(*env, '=');
        if (!equals || equals == *env)
            return err_set(e, ERR_INVALID, "a setting of provider %s is not of the form NAME=value", p->address);
        BUF_AUTO key = BUF_INIT;
        buf_add(&key, *env, (size_t)(equals - *env));
        set(out, buf_cstr(&key), equals + 1);
    }
    return 0;
}

int tf_box_provider(struct buf *out, const struct tf_dir *d, const struct tf_spec *s, size_t index, struct err *e)
{
    static const char *const trees[] = {"/etc/ssl/certs", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/pki/ca-trust/extracted",
                                        "/etc/pki/tls/certs"};
    static const char *const names[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/services", "/etc/protocols"};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    BUF_AUTO folder = BUF_INIT;
    BUF_AUTO at = BUF_INIT;
    common(out, s->providers[index].binary, "/provider");
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++)
        ARGS(out, "--ro-bind-try", trees[i], trees[i]);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        bind_file(out, names[i]);
    arg(out, "--ro-bind");
    inside(out, d, "m");
    arg(out, "/m");
    buf_printf(&folder, "p%zu", index);
    buf_printf(&at, "/p%zu", index);
    arg(out, "--bind");
    inside(out, d, buf_cstr(&folder));
    arg(out, buf_cstr(&at));
    set(out, "HOME", "/tmp");
    set(out, "GOGC", "400");
    set(out, "GOMAXPROCS", cores > 4 ? "4" : cores > 2 ? "3" : "2");
    int rc = set_credentials(out, &s->providers[index], e);
    set(out, "TMPDIR", buf_cstr(&at));
    set(out, "PLUGIN_UNIX_SOCKET_DIR", buf_cstr(&at));
    set(out, "TF_PLUGIN_MAGIC_COOKIE", MAGIC_COOKIE);
    set(out, "PLUGIN_PROTOCOL_VERSIONS", "5,6");
    work_in(out, s);
    return rc;
}

/* ---- how the engine finds the providers ---- */

int tf_handshake_read(struct arena *a, const char *line, int *ret_protocol, const char **ret_socket, struct err *e)
{
    char *copy = arena_strndup(a, line, strcspn(line, "\r\n")), *rest = copy, *field[5] = {0};
    for (int i = 0; i < 5 && rest; i++)
        field[i] = strsep(&rest, "|");
    if (!field[4] || strcmp(field[0], "1") != 0)
        return err_set(e, ERR_INVALID, "it did not answer as a provider does (\"1|5|unix|...|grpc\") but with \"%.60s\"", copy);
    int protocol = atoi(field[1]);
    if ((protocol != 5 && protocol != 6) || strcmp(field[4], "grpc") != 0)
        return err_set(e, ERR_INVALID, "it speaks protocol %.10s over %.20s; versions 5 and 6 over grpc are supported: take a newer release", field[1], field[4]);
    if (strcmp(field[2], "unix") != 0 || field[3][0] != '/' || strlen(field[3]) > 100)
        return err_set(e, ERR_INVALID, "it listens on %.20s %.80s, not on a unix socket in its folder", field[2], field[3]);
    *ret_protocol = protocol;
    *ret_socket = field[3];
    return 0;
}

static void attach(struct buf *b, const char *host, const struct tf_address *address, const struct tf_attached *p)
{
    BUF_AUTO key = BUF_INIT;
    buf_printf(&key, "%s/%s/%s", host, address->space, address->type);
    buf_json_key(b, buf_cstr(&key));
    buf_char(b, '{');
    buf_json_kv(b, "Protocol", "grpc");
    buf_json_kint(b, "ProtocolVersion", p->protocol);
    buf_json_kint(b, "Pid", 1); /* must exist inside of the engine's box */
    buf_json_kbool(b, "Test", true);
    buf_json_key(b, "Addr");
    buf_char(b, '{');
    buf_json_kv(b, "Network", "unix");
    buf_json_kv(b, "String", p->socket);
    buf_str(b, "}}");
}

const char *tf_reattach_json(struct arena *a, const struct tf_attached *p, size_t n)
{
    BUF_AUTO b = BUF_INIT;
    buf_char(&b, '{');
    for (size_t i = 0; i < n; i++) {
        struct tf_address address;
        if (tf_address_read(a, p[i].address, &address, NULL))
            continue;
        attach(&b, address.public_host ? "registry.terraform.io" : address.host, &address, &p[i]);
        if (address.public_host)
            attach(&b, "registry.opentofu.org", &address, &p[i]);
    }
    buf_char(&b, '}');
    return arena_strdup(a, buf_cstr(&b));
}
