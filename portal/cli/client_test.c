/* Words and paths of the client. What it does on a wire is tested against the server itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "portal/cli/client.h"
#include "portal/cli/profile.h"
#include "portal/core/fs.h"

static void paths_are_encoded(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    assert_string_equal(client_path(a, "/api/v1/services/{}/outputs", "orders-db"), "/api/v1/services/orders-db/outputs");
    assert_string_equal(client_path(a, "/x/{}", "a/../b?c#d e\xc3\xa4"), "/x/a%2F..%2Fb%3Fc%23d%20e%C3%A4");
    assert_string_equal(client_path(a, "/x/{}/y", ".."), "/x/%2E%2E/y");
    assert_string_equal(client_query(a, "/x", "state", NULL, "team", "a&b", "service", "c d", NULL), "/x?team=a%26b&service=c%20d");
    assert_string_equal(client_query(a, "/x?limit=1", "team", "t", NULL), "/x?limit=1&team=t");
}

static int problem(long status, const char *text, struct err *e)
{
    json_t *doc = text ? json_loads(text, 0, NULL) : NULL;
    int code = client_problem(status, doc, "7", e);
    json_decref(doc);
    return code;
}

static void problems_become_errors(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    assert_int_equal(problem(422, "{\"type\":\"/problems/invalid\",\"title\":\"Invalid\",\"status\":422,\"detail\":\"the order is wrong\",\"trace_id\":\"t1\","
                                  "\"errors\":[{\"pointer\":\"/parameters/size\",\"detail\":\"must be one of small, medium, large\"},{\"pointer\":7}]}", &e),
                     ERR_INVALID);
    assert_string_equal(e.msg, "the order is wrong");
    assert_string_equal(e.type, "invalid");
    assert_int_equal(e.n_fields, 2);
    assert_string_equal(e.fields[0].pointer, "/parameters/size");
    assert_string_equal(e.fields[1].pointer, "");
    assert_int_equal(problem(409, "{\"detail\":\"taken\",\"link\":\"/api/v1/services/x\"}", &e), ERR_CONFLICT);
    assert_string_equal(e.msg, "taken (/api/v1/services/x)");
    assert_int_equal(problem(503, "{\"title\":\"Busy\",\"trace_id\":\"t2\"}", &e), ERR_UNAVAILABLE);
    assert_int_equal(e.retry_after, 7);
    assert_non_null(strstr(e.msg, "Busy"));
    assert_non_null(strstr(e.msg, "request t2"));
    assert_int_equal(problem(401, "{\"detail\":\"nobody is signed in\"}", &e), ERR_UNAUTHENTICATED);
    assert_non_null(strstr(e.msg, "soma login"));
    assert_int_equal(problem(403, NULL, &e), ERR_DENIED);
    assert_non_null(strstr(e.msg, "403"));
    assert_int_equal(problem(500, NULL, &e), ERR_INTERNAL);
    assert_int_equal(problem(502, NULL, &e), ERR_UNAVAILABLE);
}

static void a_long_problem_is_cut_not_spilt(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    char detail[5000];
    memset(detail, 'x', sizeof detail);
    detail[sizeof detail - 1] = 0;
    json_t *doc = json_pack("{s:s, s:s, s:s}", "detail", detail, "link", detail, "trace_id", detail);
    assert_int_equal(client_problem(500, doc, NULL, &e), ERR_INTERNAL);
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
    json_decref(doc);
}

static void addresses_are_checked(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct client *c = NULL;
    static const char *const wrong[] = {"", "file:///etc/passwd", "localhost", "ftp://x", "http://", "127.0.0.1:8080"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(client_new(&(struct client_options){.url = wrong[i]}, &c, &e), ERR_INVALID);
    assert_int_equal(client_new(&(struct client_options){.url = "https://x.example/prefix//"}, &c, &e), 0);
    assert_string_equal(client_url(c), "https://x.example/prefix");
    client_free(c);
}

static void nobody_there_is_unavailable(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct client *c = NULL;
    assert_int_equal(client_new(&(struct client_options){.url = "http://127.0.0.1:1", .patience_ms = 1}, &c, &e), 0);
    assert_int_equal(client_call(c, &(struct request){.method = "GET", .path = "/"}, NULL, &e), ERR_UNAVAILABLE);
    assert_non_null(strstr(e.msg, "http://127.0.0.1:1 cannot be reached"));
    client_free(c);
}

static void a_token_stays_with_its_server(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    char home[] = "/tmp/soma-profile-XXXXXX";
    struct stat st;
    assert_non_null(mkdtemp(home));
    setenv("XDG_CONFIG_HOME", home, 1);
    unsetenv("SOMA_URL");
    unsetenv("SOMA_TOKEN");
    unsetenv("SOMA_TOKEN_FILE");
    unsetenv("SOMA_CA");
    ARENA_AUTO a = arena_new();
    struct profile p = {0};
    assert_int_equal(profile_load(a, NULL, NULL, &p, &e), 0);
    assert_string_equal(p.url, PROFILE_DEFAULT_URL);
    assert_null(p.token);
    profile_done(&p);
    assert_int_equal(profile_load(a, "https://one.example/", "ca.pem", &p, &e), 0);
    assert_int_equal(profile_store(&p, "secret-1", "id-1", "ada", &e), 0);
    profile_done(&p);
    assert_int_equal(stat(p.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(profile_load(a, NULL, NULL, &p, &e), 0);
    assert_string_equal(p.url, "https://one.example");
    assert_string_equal(p.token, "secret-1");
    assert_string_equal(p.ca, "ca.pem");
    profile_done(&p);
    assert_int_equal(profile_load(a, "https://two.example", NULL, &p, &e), 0);
    assert_null(p.token);
    assert_null(p.ca);
    profile_done(&p);
    assert_int_equal(profile_load(a, "https://two.example", NULL, &p, &e), 0);
    assert_int_equal(profile_store(&p, "secret-2", "id-2", "ada", &e), 0);
    profile_done(&p);
    assert_int_equal(profile_load(a, NULL, NULL, &p, &e), 0);
    assert_string_equal(p.url, "https://two.example");
    assert_string_equal(p.token, "secret-2");
    assert_int_equal(profile_forget(&p, &e), 0);
    profile_done(&p);
    assert_int_equal(profile_load(a, "https://one.example", NULL, &p, &e), 0);
    assert_string_equal(p.token, "secret-1"); /* still there */
    assert_string_equal(p.ca, "ca.pem");
    assert_int_equal(profile_store(&p, "secret-3", "id-3", "ada", &e), 0);
    profile_done(&p);
    setenv("SOMA_TOKEN", "from-env", 1);
    assert_int_equal(profile_load(a, NULL, NULL, &p, &e), 0);
    assert_string_equal(p.token, "from-env");
    assert_null(p.token_id); /* logout must not revoke a token that is not ours */
    profile_done(&p);
    unsetenv("SOMA_TOKEN");
    assert_int_equal(profile_load(a, NULL, NULL, &p, &e), 0);
    assert_int_equal(profile_forget(&p, &e), 0);
    profile_done(&p);
    assert_int_equal(profile_load(a, "https://one.example", NULL, &p, &e), 0);
    assert_null(p.token);
    profile_done(&p);
    assert_int_equal(fs_write_atomic(p.path, "{", 1, 0600, &e), 0);
    assert_int_equal(profile_load(a, NULL, NULL, &p, &e), ERR_INVALID);
    assert_int_equal(fs_remove_tree(home, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_encoded),     cmocka_unit_test(problems_become_errors),      cmocka_unit_test(a_long_problem_is_cut_not_spilt),
        cmocka_unit_test(addresses_are_checked), cmocka_unit_test(nobody_there_is_unavailable), cmocka_unit_test(a_token_stays_with_its_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
