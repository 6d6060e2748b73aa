/* Snapshots of real repositories, made with git and served by git's own HTTP backend. */
#include "portal/git/git.h"
#include "portal/core/clock.h"
#include "portal/core/fs.h"
#include "portal/git/testgit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char *base;      /* repo "base": two files in folders, a tag, two branches */
static char url[512];

static int open_url(const char *address, const char *ref, struct git_snapshot **ret, struct err *e)
{
    struct git_request r = {.url = address, .ref = ref, .limits.ms = 20000};
    return git_snapshot_open(&r, ret, e);
}

static int setup(void **state)
{
    (void)state;
    base = testgit_folder();
    testgit_write(base, "base/a.txt", "first\n");
    testgit_write(base, "base/dir/b.txt", "second\n");
    testgit_run(base, "cd base; git init -q -b main; git add .; git commit -qm one; git tag -a v1 -m v1; git branch old; echo more >>a.txt; git commit -qam two");
    snprintf(url, sizeof(url), "file://%s/base", base);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    testgit_remove(base);
    return 0;
}

static const struct git_entry *find(const struct git_snapshot *s, const char *path, size_t *ret_index)
{
    size_t n;
    const struct git_entry *entries = git_snapshot_entries(s, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(entries[i].path, path) == 0) {
            *ret_index = i;
            return &entries[i];
        }
    return NULL;
}

static void local_repository_is_listed_and_read(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct git_snapshot *s = NULL;
    BUF_AUTO b = BUF_INIT;
    size_t n, i = 0;
    assert_int_equal(open_url(url, "", &s, &e), 0);
    assert_string_equal(git_snapshot_commit(s), testgit_line(base, "cd base; git rev-parse HEAD"));
    const struct git_entry *entries = git_snapshot_entries(s, &n);
    assert_int_equal(n, 2);
    assert_string_equal(entries[0].path, "a.txt");
    assert_non_null(find(s, "dir/b.txt", &i));
    assert_int_equal(git_snapshot_read(s, i, 100, &b, &e), 0);
    assert_string_equal(b.data, "second\n");
    assert_int_equal(git_snapshot_read(s, i, 3, &b, &e), ERR_TOO_LARGE);
    buf_clear(&b);
    assert_int_equal(git_snapshot_read(s, 0, 100, &b, &e), 0); /* goes on after an error */
    assert_string_equal(b.data, "first\nmore\n");
    git_snapshot_close(s);
}

static void check_ref(const char *address, const char *ref, const char *expected)
{
    struct err e = ERR_INIT;
    struct git_snapshot *s = NULL;
    if (open_url(address, ref, &s, &e) != 0)
        fail_msg("%s: %s", ref, e.msg);
    assert_string_equal(git_snapshot_commit(s), expected);
    git_snapshot_close(s);
}

static void refs_are_resolved(void **state)
{
    (void)state;
    char one[64], two[64];
    snprintf(one, sizeof(one), "%s", testgit_line(base, "cd base; git rev-parse old"));
    snprintf(two, sizeof(two), "%s", testgit_line(base, "cd base; git rev-parse main"));
    check_ref(url, "main", two);
    check_ref(url, "old", one);
    check_ref(url, "v1", one);
    check_ref(url, "refs/tags/v1", one);
    check_ref(url, one, one);
    struct err e = ERR_INIT;
    struct git_snapshot *s = NULL;
    assert_int_equal(open_url(url, "nowhere", &s, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "nowhere"));
    assert_int_equal(open_url(url, "0123456789012345678901234567890123456789", &s, &e), ERR_NOT_FOUND);
}

static void gone_and_empty_repositories_are_told(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct git_snapshot *s = NULL;
    char other[600];
    snprintf(other, sizeof(other), "file://%s/missing", base);
    assert_int_equal(open_url(other, "", &s, &e), ERR_NOT_FOUND);
    testgit_run(base, "mkdir plain; git init -q empty");
    snprintf(other, sizeof(other), "file://%s/plain", base);
    assert_int_equal(open_url(other, "", &s, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "no git repository"));
    snprintf(other, sizeof(other), "file://%s/empty", base);
    assert_int_equal(open_url(other, "", &s, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "empty"));
}

static void known_commit_is_unchanged(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct git_snapshot *s = NULL;
    struct git_request r = {.url = url, .ref = "main", .known = testgit_line(base, "cd base; git rev-parse main")};
    assert_int_equal(git_snapshot_open(&r, &s, &e), 0);
    size_t n;
    git_snapshot_entries(s, &n);
    assert_true(git_snapshot_unchanged(s));
    assert_int_equal(n, 0);
    git_snapshot_close(s);
}

static void links_and_submodules_have_their_kind(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct git_snapshot *s = NULL;
    char other[600];
    size_t i;
    testgit_run(base, "git init -q kinds; cd kinds; ln -s . loop; git update-index --add --cacheinfo 160000,%s,sub; git add loop; git commit -qm x",
                "1234567890123456789012345678901234567890");
    snprintf(other, sizeof(other), "%s/kinds", base);
    assert_int_equal(open_url(other, "", &s, &e), 0);
    assert_int_equal(find(s, "loop", &i)->kind, GIT_LINK);
    BUF_AUTO b = BUF_INIT;
    assert_int_equal(git_snapshot_read(s, i, 100, &b, &e), 0);
    assert_string_equal(b.data, ".");
    assert_int_equal(find(s, "sub", &i)->kind, GIT_SUBMODULE);
    assert_int_equal(git_snapshot_read(s, i, 100, &b, &e), ERR_NOT_FOUND);
    git_snapshot_close(s);
}

/* A tree written by hand, since git itself refuses to make it. */
static void commit_tree_with_name(const char *repo, const char *name)
{
    testgit_run(base,
                "git init -q %s; cd %s; blob=$(echo x | git hash-object -w --stdin); "
                "tree=$(/usr/bin/python3 -c \"import sys; sys.stdout.buffer.write(b'100644 %s\\\\0' + bytes.fromhex('$blob'))\" | git hash-object -t tree -w --literally --stdin); "
                "git update-ref HEAD $(git commit-tree $tree -m x)",
                repo, repo, name);
}

static void hostile_names_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"..", ".git", ".GIT", "../up", "a/b", "."};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct err e = ERR_INIT;
        struct git_snapshot *s = NULL;
        char repo[32], other[600];
        snprintf(repo, sizeof(repo), "hostile%zu", i);
        commit_tree_with_name(repo, names[i]);
        snprintf(other, sizeof(other), "file://%s/%s", base, repo);
        assert_int_equal(open_url(other, "", &s, &e), ERR_INVALID);
        if (!strstr(e.msg, "hostile"))
            fail_msg("%s: %s", names[i], e.msg);
    }
}

static void tree_that_unfolds_without_end_is_refused(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct git_snapshot *s = NULL;
    char other[600];
    /* ten names a level, ten levels: 10^10 paths in eleven objects */
    testgit_run(base, "git init -q bomb; cd bomb; t=$(printf '100644 blob %%s\\tf\\n' $(echo x | git hash-object -w --stdin) | git mktree); "
                      "for level in 1 2 3 4 5 6 7 8 9 10; do t=$(for n in 0 1 2 3 4 5 6 7 8 9; do printf '040000 tree %%s\\td%%s\\n' $t $n; done | git mktree); done; "
                      "git update-ref HEAD $(git commit-tree $t -m x)");
    snprintf(other, sizeof(other), "file://%s/bomb", base);
    assert_int_equal(open_url(other, "", &s, &e), ERR_TOO_LARGE);
}

static void file_of_a_gigabyte_is_not_loaded(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct git_snapshot *s = NULL;
    char other[600];
    size_t i;
    testgit_run(base, "git init -q big; cd big; truncate -s 1G huge.bin; echo x >small; git -c core.bigFileThreshold=1m -c core.compression=1 add .; git commit -qm big; rm huge.bin");
    snprintf(other, sizeof(other), "file://%s/big", base);
    int64_t before = clock_mono_ms();
    assert_int_equal(open_url(other, "", &s, &e), 0);
    const struct git_entry *entry = find(s, "huge.bin", &i);
    assert_true(entry->size == 1 << 30);
    BUF_AUTO b = BUF_INIT;
    assert_int_equal(git_snapshot_read(s, i, 1 << 20, &b, &e), ERR_TOO_LARGE);
    assert_true(clock_mono_ms() - before < 15000);
    git_snapshot_close(s);
}

/* ---- over HTTP ---- */

static int open_http(const struct testgit_server *server, const char *scheme, const char *repo, const struct git_credentials *c, struct git_limits limits,
                     struct git_snapshot **ret, struct err *e)
{
    char address[600], mirror[600];
    snprintf(address, sizeof(address), "%s://127.0.0.1:%d/%s", scheme, server->port, repo);
    snprintf(mirror, sizeof(mirror), "%s/mirrors/%s-%s", base, scheme, repo);
    struct git_request r = {.url = address, .ref = "main", .mirror = mirror, .credentials = c, .limits = limits};
    return git_snapshot_open(&r, ret, e);
}

static const struct git_limits short_limits = {.ms = 20000};

static void remote_repository_is_mirrored(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct git_snapshot *s = NULL;
    BUF_AUTO b = BUF_INIT;
    size_t n;
    struct testgit_server server = testgit_serve(base, "plain");
    testgit_run(base, "git init -q -b main web; cd web; echo 1 >f; git add f; git commit -qm 1");
    if (open_http(&server, "http", "web/.git", NULL, short_limits, &s, &e) != 0)
        fail_msg("%s", e.msg);
    git_snapshot_entries(s, &n);
    assert_int_equal(n, 1);
    git_snapshot_close(s);
    testgit_run(base, "cd web; echo 22 >f; git commit -qam 2");
    assert_int_equal(open_http(&server, "http", "web/.git", NULL, short_limits, &s, &e), 0);
    assert_int_equal(git_snapshot_read(s, 0, 100, &b, &e), 0);
    assert_string_equal(b.data, "22\n");
    assert_string_equal(git_snapshot_commit(s), testgit_line(base, "cd web; git rev-parse HEAD"));
    git_snapshot_close(s);
    if (open_http(&server, "http", "nothing", NULL, short_limits, &s, &e) != ERR_UNAVAILABLE || !strstr(e.msg, "404"))
        fail_msg("%d %s", e.code, e.msg);
    testgit_stop(&server);
    assert_int_equal(open_http(&server, "http", "web/.git", NULL, short_limits, &s, &e), ERR_UNAVAILABLE);
}

static void commit_id_is_found_remotely(void **state)
{
    (void)state;
    struct testgit_server server = testgit_serve(base, "plain");
    char address[600], mirror[600], one[64];
    snprintf(one, sizeof(one), "%s", testgit_line(base, "cd base; git rev-parse old"));
    snprintf(address, sizeof(address), "http://127.0.0.1:%d/base/.git", server.port);
    snprintf(mirror, sizeof(mirror), "%s/mirrors/pinned", base);
    const char *refs[] = {one, "v1", "refs/tags/v1"};
    for (size_t i = 0; i < 3; i++) {
        struct err e = ERR_INIT;
        struct git_snapshot *s = NULL;
        struct git_request r = {.url = address, .ref = refs[i], .mirror = mirror, .limits = short_limits};
        if (git_snapshot_open(&r, &s, &e) != 0)
            fail_msg("%s: %s", refs[i], e.msg);
        assert_string_equal(git_snapshot_commit(s), one);
        git_snapshot_close(s);
    }
    testgit_stop(&server);
}

static void credentials_are_used_and_their_refusal_told(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct git_snapshot *s = NULL;
    struct testgit_server server = testgit_serve(base, "auth");
    struct git_credentials good = {.username = "soma", .password = "pa55 wörd"}, bad = {.username = "soma", .password = "s3cr3t-guess"};
    assert_int_equal(open_http(&server, "http", "base/.git", &good, short_limits, &s, &e), 0);
    git_snapshot_close(s);
    assert_int_equal(open_http(&server, "http", "base/.git", &bad, short_limits, &s, &e), ERR_DENIED);
    assert_null(strstr(e.msg, "s3cr3t"));
    assert_int_equal(open_http(&server, "http", "base/.git", NULL, short_limits, &s, &e), ERR_DENIED);
    testgit_stop(&server);
}

static void certificates_are_checked(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct git_snapshot *s = NULL;
    testgit_run(base, "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1,DNS:localhost 2>/dev/null");
    struct testgit_server server = testgit_serve(base, "tls");
    assert_int_equal(open_http(&server, "https", "base/.git", NULL, short_limits, &s, &e), ERR_DENIED);
    assert_non_null(strstr(e.msg, "certificate"));
    char path[600], address[600], mirror[600];
    snprintf(path, sizeof(path), "%s/certificate.pem", base);
    setenv("SSL_CERT_FILE", path, 1);
    snprintf(address, sizeof(address), "https://localhost:%d/base/.git", server.port);
    snprintf(mirror, sizeof(mirror), "%s/mirrors/tls", base);
    struct git_request r = {.url = address, .ref = "main", .mirror = mirror, .limits = short_limits};
    if (git_snapshot_open(&r, &s, &e) != 0)
        fail_msg("%s", e.msg);
    git_snapshot_close(s);
    unsetenv("SSL_CERT_FILE");
    testgit_stop(&server);
}

static void silent_host_ends_at_the_deadline(void **state)
{
    (void)state;
    static const char *const modes[] = {"silent", "endless"};
    for (int i = 0; i < 2; i++) {
        struct err e = ERR_INIT;
        struct git_snapshot *s = NULL;
        struct testgit_server server = testgit_serve(base, modes[i]);
        int64_t before = clock_mono_ms();
        int rc = open_http(&server, "http", "base/.git", NULL, (struct git_limits){.ms = 1500}, &s, &e);
        assert_true(rc == ERR_TIMEOUT || rc == ERR_TOO_LARGE);
        assert_true(clock_mono_ms() - before < 12000);
        testgit_stop(&server);
    }
}

static bool stop_now(void *arg)
{
    return ++*(int *)arg > 1;
}

static void caller_may_stop_it(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct git_snapshot *s = NULL;
    char address[64], mirror[600];
    int asked = 0;
    struct testgit_server server = testgit_serve(base, "silent");
    snprintf(address, sizeof(address), "http://127.0.0.1:%d/x", server.port);
    snprintf(mirror, sizeof(mirror), "%s/mirrors/stop", base);
    struct git_request r = {.url = address, .mirror = mirror, .canceled = stop_now, .arg = &asked};
    assert_int_equal(git_snapshot_open(&r, &s, &e), ERR_CANCELED);
    testgit_stop(&server);
}

static void too_much_to_receive_is_refused(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct git_snapshot *s = NULL;
    testgit_run(base, "git init -q -b main fat; cd fat; head -c 6000000 /dev/urandom >noise; git add .; git commit -qm fat");
    struct testgit_server server = testgit_serve(base, "plain");
    assert_int_equal(open_http(&server, "http", "fat/.git", NULL, (struct git_limits){.ms = 20000, .bytes = 1 << 20}, &s, &e), ERR_TOO_LARGE);
    assert_non_null(strstr(e.msg, "too large"));
    /* nothing of it stays in the mirror, and with room enough it is fetched */
    assert_string_equal(testgit_line(base, "find mirrors/http-fat -size +100k | wc -l"), "0");
    assert_int_equal(open_http(&server, "http", "fat/.git", NULL, short_limits, &s, &e), 0);
    git_snapshot_close(s);
    testgit_stop(&server);
}

static void gigabyte_over_http_is_survived(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct git_snapshot *s = NULL;
    struct testgit_server server = testgit_serve(base, "plain");
    testgit_run(base, "cd big; git branch -f main");
    int rc = open_http(&server, "http", "big/.git", NULL, (struct git_limits){.ms = 60000}, &s, &e);
    if (rc == 0) {
        size_t i;
        BUF_AUTO b = BUF_INIT;
        assert_true(find(s, "huge.bin", &i)->size == 1 << 30);
        assert_int_equal(git_snapshot_read(s, i, 1 << 20, &b, &e), ERR_TOO_LARGE);
        git_snapshot_close(s);
    } else {
        assert_int_equal(rc, ERR_TOO_LARGE);
    }
    testgit_stop(&server);
}

/* ---- over ssh ---- */

static int open_ssh(const struct testgit_server *server, const struct git_credentials *c, struct git_snapshot **ret, struct err *e)
{
    char address[600], mirror[600];
    snprintf(address, sizeof(address), "ssh://git@127.0.0.1:%d/base", server->port);
    snprintf(mirror, sizeof(mirror), "%s/mirrors/ssh", base);
    struct git_request r = {.url = address, .ref = "main", .mirror = mirror, .credentials = c, .limits = short_limits};
    return git_snapshot_open(&r, ret, e);
}

static char *file_text(const char *name)
{
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT;
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", base, name);
    if (fs_read(path, 100000, &b, &e) != 0)
        fail_msg("%s", e.msg);
    return buf_take(&b, NULL);
}

static void ssh_checks_host_and_uses_keys(void **state)
{
    (void)state;
    if (!testgit_has_ssh())
        skip();
    struct git_snapshot *s = NULL;
    testgit_run(base, "ssh-keygen -q -t ed25519 -N '' -f client; ssh-keygen -q -t ed25519 -N 'opens it' -m PEM -f locked; ssh-keygen -q -t rsa -N 'opens it' -m PEM -f rsa; "
                      "cat rsa.pub locked.pub >>client.pub; ssh-keygen -q -t ed25519 -N '' -f stranger");
    struct testgit_server server = testgit_serve(base, "ssh");
    char *client = file_text("client"), *locked = file_text("locked"), *rsa = file_text("rsa"), *stranger = file_text("stranger"), *host = file_text("host.pub");
    char print[200];
    snprintf(print, sizeof(print), "%s", testgit_line(base, "ssh-keygen -lf host.pub | cut -d' ' -f2"));
    const struct { struct git_credentials c; int code; const char *words; } cases[] = {
        {{.ssh_key = client, .host_key = host}, 0, NULL},
        {{.ssh_key = client, .host_key = print}, 0, NULL},
        {{.ssh_key = rsa, .passphrase = "opens it", .host_key = host}, 0, NULL},
        {{.ssh_key = locked, .passphrase = "opens it", .host_key = host}, 0, NULL},
        {{.username = "git", .password = "pa55", .host_key = host}, 0, NULL},
        {{.ssh_key = rsa, .passphrase = "does not", .host_key = host}, ERR_DENIED, "passphrase"},
        {{.ssh_key = stranger, .host_key = host}, ERR_DENIED, "refused the ssh key"},
        {{.ssh_key = client, .host_key = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, ERR_DENIED, "host_key"},
        {{.ssh_key = client}, ERR_DENIED, "host's key"},
        {{.ssh_key = "nonsense", .host_key = host}, ERR_DENIED, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct err e = ERR_INIT;
        int rc = open_ssh(&server, &cases[i].c, &s, &e);
        if (rc != cases[i].code || (rc && !strstr(e.msg, cases[i].words)))
            fail_msg("case %zu: %d %s", i, rc, e.msg);
        if (rc == 0)
            git_snapshot_close(s);
    }
    testgit_stop(&server);
    char *texts[] = {client, locked, rsa, stranger, host};
    for (size_t i = 0; i < 5; i++)
        free(texts[i]);
}

/* ---- URLs ---- */

static void urls_are_judged(void **state)
{
    (void)state;
    static const char *const good[] = {"file:///srv/x.git", "/srv/x.git", "https://git.example.com/a/b.git", "http://127.0.0.1:3000/a", "ssh://git@host/a/b", "ssh://host:22/a",
                                       "git@github.com:a/b.git"};
    static const char *const bad[] = {"", "x", "../x", "file://x", "file:///", "ftp://h/x", "https://u:p@h/x", "https://u@h/x", "https:///x", "https://h", "ssh://u:p@h/x", "https://h/x y",
                                      "https://h/x\n", "ext::sh -c x", "git://h/x", "-oProxyCommand=x@h:y", "ssh://-oProxyCommand=x/y", "https://h/x?token=1", "https://h/a\\b"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct err e = ERR_INIT;
        if (git_url_check(good[i], true, &e) != 0)
            fail_msg("%s: %s", good[i], e.msg);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct err e = ERR_INIT;
        if (git_url_check(bad[i], false, &e) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
    }
    struct err e = ERR_INIT;
    assert_int_equal(git_url_check("http://git.example.com/x", false, &e), 0);
    assert_int_equal(git_url_check("http://git.example.com/x", true, &e), ERR_INVALID);
    assert_int_equal(git_ref_check("feature/x-1", &e), 0);
    assert_int_equal(git_ref_check("a..b", &e), ERR_INVALID);
    assert_int_equal(git_ref_check("+x:y", &e), ERR_INVALID);
}

int main(int argc, char **argv)
{
    if (git_helper_wanted(argc, argv))
        return git_helper_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_repository_is_listed_and_read), cmocka_unit_test(refs_are_resolved), cmocka_unit_test(gone_and_empty_repositories_are_told),
        cmocka_unit_test(known_commit_is_unchanged), cmocka_unit_test(links_and_submodules_have_their_kind), cmocka_unit_test(hostile_names_are_refused),
        cmocka_unit_test(tree_that_unfolds_without_end_is_refused), cmocka_unit_test(file_of_a_gigabyte_is_not_loaded), cmocka_unit_test(remote_repository_is_mirrored),
        cmocka_unit_test(commit_id_is_found_remotely), cmocka_unit_test(credentials_are_used_and_their_refusal_told), cmocka_unit_test(certificates_are_checked),
        cmocka_unit_test(silent_host_ends_at_the_deadline), cmocka_unit_test(caller_may_stop_it), cmocka_unit_test(too_much_to_receive_is_refused),
        cmocka_unit_test(gigabyte_over_http_is_survived), cmocka_unit_test(ssh_checks_host_and_uses_keys), cmocka_unit_test(urls_are_judged),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
