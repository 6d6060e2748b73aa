/* Hostile templates, really run: what the engine's box and the provider's box deny. */
#include "portal/terraform/testrun.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>

static bool told(const struct tf_result *r, const char *words)
{
    for (size_t i = 0; i < r->n_diagnostics; i++)
        if (strstr(r->diagnostics[i].summary, words) || strstr(r->diagnostics[i].detail, words))
            return true;
    return false;
}

static void engine_reads_no_file_of_the_host(void **state)
{
    (void)state;
    static const char *const reads[] = {
        "file(\"/etc/shadow\")", "file(\"/etc/passwd\")", "file(\"/etc/hostname\")", "filebase64(\"/proc/1/environ\")", "filebase64(\"/proc/self/environ\")",
        "filebase64(\"/proc/1/cmdline\")", "file(\"/proc/self/cmdline\")", "templatefile(\"/root/.bashrc\", {})", "filesha256(\"/usr/bin/env\")",
        "file(\"../../../../../../etc/shadow\")", "file(\"${path.module}/link\")",
    };
    struct testrun *t = testrun_new();
    TESTRUN_NEED_ENGINE(t);
    t->has_postgresql = false;
    for (size_t k = 0; k < t->n_engines; k++) {
        BUF_AUTO tf = BUF_INIT;
        for (size_t i = 0; i < sizeof reads / sizeof *reads; i++)
            buf_printf(&tf, "output \"o%zu\" {\n  value = %s\n}\n", i, reads[i]);
        struct tf_result r;
        struct err e = ERR_INIT;
        struct tf_spec s = testrun_spec(t, k, TF_PLAN, NULL);
        struct tf_dir *d = testrun_dir(t, "reads", buf_cstr(&tf));
        assert_int_equal(symlink("/etc/shadow", arena_printf(t->a, "%s/link", tf_dir_modules(d))), 0);
        assert_int_equal(tf_run(d, &s, t->a, &r, &e), 0);
        tf_dir_free(d, true);
        assert_false(r.ok);
        size_t denied = 0;
        for (size_t i = 0; i < r.n_diagnostics; i++)
            denied += strstr(r.diagnostics[i].detail, "no file exists") || strstr(r.diagnostics[i].detail, "o such file");
        if (denied < sizeof reads / sizeof *reads) {
            testrun_say(&r, &e);
            fail();
        }
    }
    testrun_free(t);
}

static void engine_sees_only_its_box(void **state)
{
    (void)state;
    struct testrun *t = testrun_new();
    TESTRUN_NEED_ENGINE(t);
    t->has_postgresql = false;
    for (size_t k = 0; k < t->n_engines; k++) {
        struct tf_result r;
        struct err e = ERR_INIT;
        struct tf_spec s = testrun_spec(t, k, TF_PLAN, NULL);
        int rc = testrun_phase(t, "sees", "output \"roots\" {\n  value = fileset(\"/\", \"*\")\n}\noutput \"deep\" {\n  value = fileset(\"/\", \"{etc,proc,sys,root,home,var,usr,bin}/**\")\n}\n"
                               "output \"homes\" {\n  value = [fileexists(\"/etc/passwd\"), fileexists(\"~/.bashrc\")]\n}\n", &s, &r, &e);
        TESTRUN_OK(rc, &r, &e);
        assert_non_null(strstr(r.plan_read.masked, "\"roots\":{\"actions\":[\"create\"],\"before\":null,\"after\":[\"engine\"]"));
        assert_non_null(strstr(r.plan_read.masked, "\"deep\":{\"actions\":[\"create\"],\"before\":null,\"after\":[]"));
        assert_non_null(strstr(r.plan_read.masked, "\"homes\":{\"actions\":[\"create\"],\"before\":null,\"after\":[false,false]"));
    }
    testrun_free(t);
}

static int listen_somewhere(int *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at) | listen(fd, 5) | getsockname(fd, (struct sockaddr *)&at, &n), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static void engine_has_no_network_and_no_shell(void **state)
{
    (void)state;
    struct testrun *t = testrun_new();
    TESTRUN_NEED_ENGINE(t);
    t->has_postgresql = false;
    for (size_t k = 0; k < t->n_engines; k++) {
        int port;
        FD_AUTO fd = listen_somewhere(&port);
        struct tf_result r;
        struct err e = ERR_INIT;
        struct tf_spec s = testrun_spec(t, k, TF_PLAN, NULL);
        s.wall_ms = 60000;
        int rc = testrun_phase(t, "net", arena_printf(t->a, "data \"terraform_remote_state\" \"x\" {\n  backend = \"http\"\n  config = {\n    address = \"http://127.0.0.1:%d/\"\n    retry_max = 0\n  }\n}\n", port), &s, &r, &e);
        assert_int_equal(rc, 0);
        assert_false(r.ok);
        assert_int_equal(accept(fd, NULL, NULL), -1);
        rc = testrun_phase(t, "exec", "resource \"terraform_data\" \"x\" {\n  provisioner \"local-exec\" {\n    command = \"echo out\"\n  }\n}\n", &s, &r, &e);
        TESTRUN_OK(rc, &r, &e);
        struct tf_spec apply = testrun_spec(t, k, TF_APPLY, NULL);
        apply.plan = r.plan;
        apply.plan_len = r.plan_len;
        buf_clear(&t->state);
        t->serial = -1;
        rc = testrun_phase(t, "exec-apply", "resource \"terraform_data\" \"x\" {\n  provisioner \"local-exec\" {\n    command = \"echo out\"\n  }\n}\n", &apply, &r, &e);
        assert_int_equal(rc, 0);
        assert_false(r.ok);
        assert_true(told(&r, "no such file") || told(&r, "not found"));
        buf_clear(&t->state);
    }
    testrun_free(t);
}

static void shipped_engine_files_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"terraform.tfstate", "errored.tfstate", TF_GENERATED, ".terraform", "soma_generated.tofu", "soma_generated_override.tf", "main.tofu"};
    struct testrun *t = testrun_new();
    TESTRUN_NEED_ENGINE(t);
    t->has_postgresql = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct tf_result r;
        struct err e = ERR_INIT;
        struct tf_dir *d = testrun_dir(t, "ships", "");
        struct tf_spec s = testrun_spec(t, 0, TF_PLAN, NULL);
        testrun_write(tf_dir_modules(d), names[i], "{}");
        assert_int_equal(tf_run(d, &s, t->a, &r, &e), ERR_INVALID);
        assert_non_null(strstr(e.msg, names[i]));
        tf_dir_free(d, true);
    }
    testrun_free(t);
}

/* Values are data: what looks like a template in them is text. */
static void values_are_never_code(void **state)
{
    (void)state;
    struct testrun *t = testrun_new();
    TESTRUN_NEED_ENGINE(t);
    t->has_postgresql = false;
    for (size_t k = 0; k < t->n_engines; k++) {
        struct tf_result r;
        struct err e = ERR_INIT;
        struct tf_spec s = testrun_spec(t, k, TF_PLAN, "{\"v\":\"${file(\\\"/etc/shadow\\\")}%{ for x in [1] }\\\"\\n\"}");
        int rc = testrun_phase(t, "values", "variable \"v\" {\n  type = string\n}\noutput \"v\" {\n  value = var.v\n}\n", &s, &r, &e);
        TESTRUN_OK(rc, &r, &e);
        assert_non_null(strstr(r.plan_json, "\"after\":\"${file(\\\"/etc/shadow\\\")}%{ for x in [1] }\\\"\\n\""));
    }
    testrun_free(t);
}

/* ---- the AWS provider against moto ---- */

static pid_t moto; /* ended by the group's teardown, whatever happens */

static int stop_moto(void **state)
{
    (void)state;
    if (moto > 0) {
        kill(moto, SIGKILL);
        waitpid(moto, NULL, 0);
    }
    return 0;
}

static pid_t start_moto(struct testrun *t, int *ret_port)
{
    const char *program = tf_program_find(t->a, "moto_server");
    if (!program)
        return 0;
    int port;
    int fd = listen_somewhere(&port);
    close(fd);
    char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t) "-H", (char *)(uintptr_t) "127.0.0.1", (char *)(uintptr_t) "-p", arena_printf(t->a, "%d", port), NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    extern char **environ;
    assert_int_equal(posix_spawn(&pid, program, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    for (int i = 0; i < 300; i++) {
        FD_AUTO probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(probe, (struct sockaddr *)&at, sizeof at) == 0)
            break;
        clock_sleep_ms(100);
    }
    *ret_port = port;
    return pid;
}

static char *fetch(struct testrun *t, int port, const char *path)
{
    char command[256], text[4096];
    snprintf(command, sizeof command, "curl -s --noproxy '*' -H 'Authorization: AWS4-HMAC-SHA256 Credential=x/20200101/eu-central-1/s3/aws4_request' http://127.0.0.1:%d/%s", port, path);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    pclose(f);
    return arena_strdup(t->a, text);
}

#define AWS                                                                                                                                     \
    "provider \"aws\" {\n  region = \"eu-central-1\"\n  s3_use_path_style = true\n  skip_credentials_validation = true\n"                        \
    "  skip_metadata_api_check = true\n  skip_requesting_account_id = true\n  max_retries = 1\n  endpoints {\n    s3 = \"http://127.0.0.1:%d\"\n  }\n}\n" \
    "resource \"aws_s3_bucket\" \"b\" {\n  bucket = \"hostile\"\n}\n"

static void provider_reads_no_file_of_the_host(void **state)
{
    (void)state;
    static const char *const sources[] = {"/etc/shadow", "/etc/passwd", "/proc/self/environ", "/proc/1/environ", "/w/terraform.tfstate", "/w/tfvars.json", "../w/plan", "link"};
    struct testrun *t = testrun_new();
    TESTRUN_NEED_ENGINE(t);
    struct tf_provider aws;
    struct err e = ERR_INIT;
    TESTRUN_NEED(t, t->mirrors && !tf_provider_find(t->a, t->mirrors, "hashicorp/aws", "~> 5.0", NULL, &aws, &e), "no AWS provider: set SOMA_TEST_PROVIDERS to a mirror that has it");
    int port;
    moto = start_moto(t, &port);
    TESTRUN_NEED(t, moto, "moto_server is not installed");
    static const char *const env[] = {"AWS_ACCESS_KEY_ID=AKIATESTTESTTEST", "AWS_SECRET_ACCESS_KEY=" TESTRUN_SECRET, NULL};
    aws.env = env;
    BUF_AUTO tf = BUF_INIT;
    buf_printf(&tf, AWS "variable \"v\" {}\nresource \"aws_s3_object\" \"good\" {\n  bucket = aws_s3_bucket.b.id\n  key = \"good\"\n  source = \"good.txt\"\n}\n", port);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        buf_printf(&tf, "resource \"aws_s3_object\" \"evil%zu\" {\n  bucket = aws_s3_bucket.b.id\n  key = \"evil%zu\"\n  source = \"%s\"\n}\n", i, i, sources[i]);
    struct tf_result r;
    struct tf_spec s = testrun_spec(t, 0, TF_PLAN, "{\"v\":\"x\"}");
    s.providers = &aws;
    s.n_providers = 1;
    int rc = testrun_phase(t, "aws-plan", buf_cstr(&tf), &s, &r, &e);
    TESTRUN_OK(rc, &r, &e);
    s.phase = TF_APPLY;
    s.tfvars_json = NULL;
    s.plan = r.plan;
    s.plan_len = r.plan_len;
    struct tf_dir *d = testrun_dir(t, "aws-apply", buf_cstr(&tf));
    testrun_write(tf_dir_modules(d), "good.txt", "the module's own file\n");
    assert_int_equal(symlink("/etc/shadow", arena_printf(t->a, "%s/link", tf_dir_modules(d))), 0);
    rc = tf_run(d, &s, t->a, &r, &e);
    tf_dir_free(d, true);
    assert_int_equal(rc, 0);
    assert_false(r.ok);
    if (strcmp(fetch(t, port, "hostile/good"), "the module's own file\n") != 0) {
        testrun_say(&r, &e);
        fail_msg("the module's own file is not there: %s", fetch(t, port, "hostile/good"));
    }
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        bool denied = false;
        const char *address = arena_printf(t->a, "aws_s3_object.evil%zu", i);
        for (size_t k = 0; k < r.n_diagnostics; k++)
            denied |= !strcmp(r.diagnostics[k].address, address) && strstr(r.diagnostics[k].summary, "no such file");
        if (!denied || !strstr(fetch(t, port, arena_printf(t->a, "hostile/evil%zu", i)), "NoSuchKey")) {
            testrun_say(&r, &e);
            fail_msg("%s was not denied", sources[i]);
        }
    }
    testrun_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engine_reads_no_file_of_the_host), cmocka_unit_test(engine_sees_only_its_box), cmocka_unit_test(engine_has_no_network_and_no_shell),
        cmocka_unit_test(shipped_engine_files_are_refused), cmocka_unit_test(values_are_never_code), cmocka_unit_test(provider_reads_no_file_of_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, stop_moto);
}
