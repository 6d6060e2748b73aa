/* First commits pushed to real repositories: local ones, and over git's own HTTP backend. */
#include "portal/core/fs.h"
#include "portal/git/git.h"
#include "portal/git/testgit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char *base;
static char scratch[300];

static int setup(void **state)
{
    (void)state;
    base = testgit_folder();
    snprintf(scratch, sizeof scratch, "%s/scratch/one", base);
    testgit_run(base, "mkdir remotes");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    testgit_remove(base);
    return 0;
}

static const struct git_new_file files[] = {
    {"README.md", "hello\n", 6, false}, {"bin/start", "#!/bin/sh\n", 10, true}, {"data/blob.bin", "a\0b\xff", 4, false},
};

static const char *at(const char *name)
{
    static char url[600];
    snprintf(url, sizeof url, "file://%s/remotes/%s", base, name);
    return url;
}

static struct git_publish request(const char *url)
{
    static char folder[600];
    snprintf(folder, sizeof folder, "file://%s/remotes", base);
    return (struct git_publish){.url = url, .base = folder, .branch = "main", .files = files, .n_files = 3, .author = "Soma", .email = "soma@localhost",
                                .message = "Start shop\n", .time = 1750000000, .scratch = scratch, .limits.ms = 20000};
}

static int publish(const struct git_publish *p, char commit[41], bool *before, struct err *e)
{
    struct stat st;
    *before = false;
    int rc = git_publish(p, commit, before, e);
    assert_int_equal(stat(scratch, &st), -1); /* nothing is left to lie about */
    return rc;
}

static void a_missing_local_repository_is_made(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    char commit[41], again[41];
    bool before;
    struct git_publish p = request(at("shop.git"));
    if (publish(&p, commit, &before, &e))
        fail_msg("%s", e.msg);
    assert_false(before);
    testgit_run(base, "git clone -q remotes/shop.git clone && test -x clone/bin/start && test ! -x clone/README.md && printf 'a\\0b\\377' | cmp - clone/data/blob.bin");
    assert_string_equal(testgit_line(base, "cd clone; git rev-parse HEAD"), commit);
    assert_string_equal(testgit_line(base, "cd clone; git log --format='%%an %%ae %%at %%s'"), "Soma soma@localhost 1750000000 Start shop");
    assert_string_equal(testgit_line(base, "cd remotes/shop.git; git symbolic-ref HEAD"), "refs/heads/main");
    /* The same again, as after a crash: seen, not pushed twice. */
    assert_int_equal(publish(&p, again, &before, &e), 0);
    assert_true(before);
    assert_string_equal(again, commit);
    assert_string_equal(testgit_line(base, "cd remotes/shop.git; git rev-list --all | wc -l"), "1");
}

static void work_that_went_on_from_ours_is_ours(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    char commit[41];
    bool before;
    struct git_publish p = request(at("grown.git"));
    assert_int_equal(publish(&p, commit, &before, &e), 0);
    testgit_run(base, "git clone -q remotes/grown.git grown && cd grown && echo more >>README.md && git commit -qam more && git push -q origin main");
    assert_int_equal(publish(&p, commit, &before, &e), 0);
    assert_true(before);
    assert_string_equal(testgit_line(base, "cd remotes/grown.git; git rev-list main | wc -l"), "2");
}

static void an_empty_repository_is_filled(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    char commit[41];
    bool before;
    testgit_run(base, "git init -q --bare -b trunk remotes/empty.git");
    struct git_publish p = request(at("empty.git"));
    p.look_only = true;
    assert_int_equal(publish(&p, commit, &before, &e), 0);
    assert_string_equal(testgit_line(base, "cd remotes/empty.git; git for-each-ref | wc -l"), "0");
    p.look_only = false;
    assert_int_equal(publish(&p, commit, &before, &e), 0);
    assert_string_equal(testgit_line(base, "cd remotes/empty.git; git symbolic-ref HEAD"), "refs/heads/main");
}

static void refused(const char *name, const char *make, int code, const char *words)
{
    char commit[41];
    bool before;
    if (make)
        testgit_run(base, "%s", make);
    for (int look = 0; look < 2; look++) {
        struct err e = ERR_INIT;
        struct git_publish p = request(at(name));
        p.look_only = look;
        int rc = publish(&p, commit, &before, &e);
        if (rc != code || !strstr(e.msg, words))
            fail_msg("%s, look %d: %d %s", name, look, rc, e.msg);
    }
}

static void what_is_there_is_never_overwritten(void **state)
{
    (void)state;
    refused("foreign.git", "git init -q -b main w1; cd w1; echo x >x; git add x; git commit -qm x; git clone -q --bare . ../remotes/foreign.git", ERR_CONFLICT, "something else");
    assert_string_equal(testgit_line(base, "cd remotes/foreign.git; git log --format=%%s"), "x");
    refused("other-branch.git", "cd w1; git branch -m other; git clone -q --bare . ../remotes/other-branch.git", ERR_CONFLICT, "something else");
    refused("tag.git", "cd w1; git clone -q --bare . ../remotes/tag.git; cd ../remotes/tag.git; git tag t; git update-ref -d refs/heads/other", ERR_CONFLICT, "something else");
    refused("work", "git init -q -b main remotes/work", ERR_INVALID, "bare");
    refused("plain", "mkdir remotes/plain; echo x >remotes/plain/x", ERR_CONFLICT, "no git repository");
}

static void a_missing_base_is_told(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    char commit[41];
    bool before;
    struct git_publish p = request("file:///nonexistent/base/x.git");
    p.base = "file:///nonexistent/base";
    assert_int_equal(publish(&p, commit, &before, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "/nonexistent/base"));
}

static void bad_paths_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "/etc/passwd", "../up", "a/../../up", "a//b", "a/", ".git/config", "x/.GIT/hooks/post-checkout", ".git./x", "GIT~1/x", "a\\b", "a\nb", "./x", "C:x"};
    char commit[41];
    bool before;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = ERR_INIT;
        struct git_new_file one[] = {{bad[i], "x", 1, false}};
        struct git_publish p = request(at("bad.git"));
        p.files = one;
        p.n_files = 1;
        int rc = git_publish(&p, commit, &before, &e);
        if (rc != ERR_INVALID)
            fail_msg("%s: %d %s", bad[i], rc, e.msg);
    }
    static const char *const pairs[][2] = {{"a", "a"}, {"a", "a/b"}, {"a/b", "a/b/c/d"}};
    for (size_t i = 0; i < 3; i++) {
        struct err e = ERR_INIT;
        struct git_new_file two[] = {{pairs[i][0], "x", 1, false}, {pairs[i][1], "y", 1, false}};
        struct git_publish p = request(at("bad.git"));
        p.files = two;
        p.n_files = 2;
        assert_int_equal(git_publish(&p, commit, &before, &e), ERR_INVALID);
    }
    testgit_run(base, "test ! -e remotes/bad.git");
}

static void it_goes_over_http(void **state)
{
    (void)state;
    char url[200], commit[41];
    bool before;
    testgit_run(base, "git init -q --bare remotes/web.git; git -C remotes/web.git config http.receivepack true");
    struct testgit_server server = testgit_serve(base, "auth");
    const struct git_credentials right = {.username = "soma", .password = "pa55 wörd"}, wrong = {.username = "soma", .password = "another"};
    snprintf(url, sizeof url, "http://127.0.0.1:%d/remotes/web.git", server.port);
    struct git_publish p = request(url);
    p.base = NULL;
    p.credentials = &wrong;
    struct err e = ERR_INIT;
    assert_int_equal(publish(&p, commit, &before, &e), ERR_DENIED);
    assert_null(strstr(e.msg, "another"));
    p.credentials = &right;
    if (publish(&p, commit, &before, &e))
        fail_msg("%s", e.msg);
    assert_false(before);
    assert_string_equal(testgit_line(base, "git -C remotes/web.git rev-parse main"), commit);
    assert_int_equal(publish(&p, commit, &before, &e), 0);
    assert_true(before);
    p.message = "Start something else\n";
    assert_int_equal(publish(&p, commit, &before, &e), ERR_CONFLICT);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/remotes/nowhere.git", server.port);
    int rc = publish(&p, commit, &before, &e);
    if (rc != ERR_NOT_FOUND)
        fail_msg("%d %s", rc, e.msg);
    testgit_stop(&server);
}

static void a_silent_host_ends_at_the_deadline(void **state)
{
    (void)state;
    struct testgit_server server = testgit_serve(base, "silent");
    char url[200], commit[41];
    bool before;
    struct err e = ERR_INIT;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/x.git", server.port);
    struct git_publish p = request(url);
    p.base = NULL;
    p.limits.ms = 1500;
    assert_int_equal(publish(&p, commit, &before, &e), ERR_TIMEOUT);
    testgit_stop(&server);
}

int main(int argc, char **argv)
{
    if (git_helper_wanted(argc, argv))
        return git_helper_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_local_repository_is_made), cmocka_unit_test(work_that_went_on_from_ours_is_ours), cmocka_unit_test(an_empty_repository_is_filled),
        cmocka_unit_test(what_is_there_is_never_overwritten), cmocka_unit_test(a_missing_base_is_told), cmocka_unit_test(bad_paths_are_refused),
        cmocka_unit_test(it_goes_over_http), cmocka_unit_test(a_silent_host_ends_at_the_deadline),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
