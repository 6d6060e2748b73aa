#include "portal/terraform/testrun.h"

static struct arena *a;
static char root[64];

static void put(const char *version, const char *platform, const char *host, const char *content)
{
    const char *folder = arena_printf(a, "%s/%s/acme/thing/%s/%s", root, host, version, platform);
    const char *name = arena_printf(a, "terraform-provider-thing_v%s_x5", version);
    assert_int_equal(fs_mkdirs(folder, 0700, NULL), 0);
    testrun_write(folder, name, content);
    assert_int_equal(chmod(arena_printf(a, "%s/%s", folder, name), 0700), 0);
}

#if defined(__x86_64__)
#define HERE "linux_amd64"
#else
#define HERE "linux_arm64"
#endif

static int set_up(void **state)
{
    (void)state;
    a = arena_new();
    strcpy(root, "/tmp/soma-tfp-XXXXXX");
    assert_non_null(mkdtemp(root));
    put("1.2.0", HERE, "registry.terraform.io", "one");
    put("1.10.0", HERE, "registry.opentofu.org", "ten");
    put("1.11.0-beta1", HERE, "registry.terraform.io", "beta");
    put("2.0.0", "plan9_mips", "registry.terraform.io", "elsewhere");
    put("3.0.0", HERE, "example.org", "private");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fs_remove_tree(root, NULL);
    arena_free(a);
    return 0;
}

static const char *find(const char *address, const char *constraint, const char *lock, int want)
{
    struct tf_provider p;
    struct err e = ERR_INIT;
    int rc = tf_provider_find(a, arena_printf(a, "/nonexistent::%s", root), address, constraint, lock, &p, &e);
    if (rc != want)
        fail_msg("%s %s: %d, %s", address, constraint ? constraint : "", rc, e.msg);
    return rc ? arena_strdup(a, e.msg) : p.version;
}

static void highest_that_fits(void **state)
{
    (void)state;
    assert_string_equal(find("acme/thing", NULL, NULL, 0), "1.10.0");
    assert_string_equal(find("registry.opentofu.org/acme/thing", "", NULL, 0), "1.10.0");
    assert_string_equal(find("registry.terraform.io/Acme/Thing", "~> 1.2.0", NULL, 0), "1.2.0");
    assert_string_equal(find("acme/thing", "1.11.0-beta1", NULL, 0), "1.11.0-beta1");
    assert_string_equal(find("example.org/acme/thing", ">= 1", NULL, 0), "3.0.0");
}

static void words_when_there_is_none(void **state)
{
    (void)state;
    const char *words = find("acme/thing", "~> 2.0", NULL, ERR_NOT_FOUND);
    assert_non_null(strstr(words, "registry.terraform.io/acme/thing/VERSION/" HERE "/terraform-provider-thing_vVERSION"));
    assert_non_null(strstr(words, "1.10.0"));
    find("example.net/acme/thing", NULL, NULL, ERR_NOT_FOUND);
    find("acme/other", NULL, NULL, ERR_NOT_FOUND);
    find("acme/thing", "newest", NULL, ERR_INVALID);
    find("a/b/c/d", NULL, NULL, ERR_INVALID);
    struct tf_provider p;
    assert_int_equal(tf_provider_find(a, NULL, "acme/thing", NULL, NULL, &p, NULL), ERR_NOT_FOUND);
}

/* The same digest as `sha256sum * | sha256sum`, the definition of h1, by the system's own tool. */
static const char *h1_by_hand(const char *folder)
{
    char line[256] = "", command[512];
    snprintf(command, sizeof command, "cd %s && sha256sum * | sha256sum | cut -c1-64 | python3 -c 'import base64,sys; print(base64.b64encode(bytes.fromhex(sys.stdin.read().strip())).decode())'", folder);
    FILE *f = popen(command, "r");
    assert_true(f && fgets(line, sizeof line, f));
    pclose(f);
    return arena_printf(a, "h1:%.*s", (int)strcspn(line, "\n"), line);
}

static const char *lock_of(const char *version, const char *hashes)
{
    return arena_printf(a, "# This file is maintained automatically.\n\nprovider \"registry.terraform.io/hashicorp/aws\" {\n  version = \"9.9.9\"\n  hashes = [\n    \"h1:x\",\n  ]\n}\n\n"
                        "provider \"registry.terraform.io/acme/thing\" {\n  version     = \"%s\"\n  constraints = \"~> 1.2\"\n  hashes = [\n%s  ]\n}\n", version, hashes);
}

static void lock_file_decides(void **state)
{
    (void)state;
    const char *folder = arena_printf(a, "%s/registry.terraform.io/acme/thing/1.2.0/" HERE, root);
    testrun_write(folder, "LICENSE.txt", "free\n");
    const char *h1 = h1_by_hand(folder);
    assert_int_equal(strlen(h1), 47);
    assert_string_equal(find("acme/thing", "~> 1.2", lock_of("1.2.0", arena_printf(a, "    \"h1:AAAA\",\n    \"%s\",\n    \"zh:00\",\n", h1)), 0), "1.2.0");
    assert_non_null(strstr(find("acme/thing", "~> 1.2", lock_of("1.2.0", "    \"h1:AAAA\",\n"), ERR_DENIED), h1));
    assert_non_null(strstr(find("acme/thing", "~> 1.2", lock_of("1.2.0", "    \"zh:00\",\n"), ERR_DENIED), "providers lock"));
    assert_string_equal(find("acme/thing", "~> 1.2", lock_of("1.2.0", ""), 0), "1.2.0");
    find("acme/thing", "~> 1.2", lock_of("1.3.0", ""), ERR_NOT_FOUND);
    assert_string_equal(find("acme/thing", NULL, "provider \"registry.terraform.io/other/thing\" {\n  version = \"1.2.0\"\n}\n", 0), "1.10.0");
    assert_string_equal(find("acme/thing", NULL, "garbage provider \" { ", 0), "1.10.0");
}

static void digest_follows_the_file(void **state)
{
    (void)state;
    struct tf_provider p, q;
    assert_int_equal(tf_provider_find(a, root, "acme/thing", "1.2.0", NULL, &p, NULL), 0);
    assert_string_equal(p.sha256, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"); /* of "one" */
    put("1.2.0", HERE, "registry.terraform.io", "two");
    assert_int_equal(tf_provider_find(a, root, "acme/thing", "1.2.0", NULL, &q, NULL), 0);
    assert_string_not_equal(p.sha256, q.sha256);
}

static void engines_are_told_apart(void **state)
{
    (void)state;
    struct tf_engine engine;
    struct err e = ERR_INIT;
    testrun_write(root, "tofu", "#!/bin/sh\necho 'OpenTofu v1.12.6'\necho 'on linux_amd64'\n");
    testrun_write(root, "odd", "#!/bin/sh\necho 'Terragrunt v1'\n");
    testrun_write(root, "bad", "#!/bin/sh\necho 'Terraform v1.0.0'\nexit 3\n");
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(chmod(arena_printf(a, "%s/%s", root, (const char *const[]){"tofu", "odd", "bad"}[i]), 0700), 0);
    assert_int_equal(tf_engine_detect(a, arena_printf(a, "%s/tofu", root), &engine, &e), 0);
    assert_int_equal(engine.kind, TF_KIND_TOFU);
    assert_string_equal(engine.version, "1.12.6");
    assert_int_equal(tf_engine_detect(a, arena_printf(a, "%s/odd", root), &engine, &e), ERR_INVALID);
    assert_int_equal(tf_engine_detect(a, arena_printf(a, "%s/bad", root), &engine, &e), ERR_INVALID);
    assert_int_equal(tf_engine_detect(a, "no-such-engine-anywhere", &engine, &e), ERR_NOT_FOUND);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(highest_that_fits), TEST(words_when_there_is_none), TEST(lock_file_decides), TEST(digest_follows_the_file), TEST(engines_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
