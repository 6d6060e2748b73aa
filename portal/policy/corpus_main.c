/* One script in the sandbox, as the tests of hostile scripts want it: policy-corpus FILE.lua INPUT.json [CALLS [THEN.lua]]
 *
 * Prints one line of JSON: how FILE ended, its answer or why there is none, the time; the same of THEN, which runs next in the same process; and whether a plain
 * policy is answered rightly after both. */
#include "portal/core/fs.h"
#include "portal/json/json.h"
#include "portal/policy/policy.h"
#include "portal/policy/sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *read_input(const char *path)
{
    struct err e = ERR_INIT;
    BUF_AUTO text = BUF_INIT;
    json_t *v = NULL;
    if (fs_read(path, (size_t)16 << 20, &text, &e) || json_read(text.data, text.len, 0, &v, &e)) {
        fprintf(stderr, "policy-corpus: %s: %s\n", path, e.msg);
        exit(2);
    }
    return v;
}

static enum policy_end run_text(const char *path, const char *text, size_t len, const json_t *input, int calls, struct arena *a, json_t **ret, const char **ret_why)
{
    struct err e = ERR_INIT;
    struct policy_code *code = NULL;
    if (policy_compile(path, text, len, &code, &e)) {
        *ret_why = arena_strdup(a, e.msg);
        return POLICY_LOAD_ERROR;
    }
    json_t *data = json_object();
    enum policy_end end = policy_run(code, NULL, input, data, calls, a, ret, ret_why);
    json_decref(data);
    policy_code_free(code);
    return end;
}

static void run_file(const char *path, const json_t *input, int calls, struct buf *out)
{
    ARENA_AUTO a = arena_new();
    BUF_AUTO text = BUF_INIT;
    struct err e = ERR_INIT;
    json_t *value = NULL;
    const char *why = NULL;
    if (fs_read(path, (size_t)16 << 20, &text, &e)) {
        fprintf(stderr, "policy-corpus: %s\n", e.msg);
        exit(2);
    }
    int64_t began = sandbox_now_us();
    enum policy_end end = run_text(path, text.data, text.len, input, calls, a, &value, &why);
    int64_t us = sandbox_now_us() - began;
    BUF_AUTO answer = BUF_INIT;
    if (value)
        json_write(value, &answer);
    buf_char(out, '{');
    buf_json_kv(out, "outcome", policy_end_name(end));
    buf_json_kraw(out, "value", answer.data);
    buf_json_kv(out, "why", why);
    buf_json_kint(out, "us", us);
    buf_char(out, '}');
    json_decref(value);
}

static bool plain_policy_holds(void)
{
    static const char text[] = "return function(i) if i.user.role == 'dev' and includes(i.envs, 'prod') then return 'no' end end";
    ARENA_AUTO a = arena_new();
    const char *why = NULL;
    json_t *value = NULL, *input = json_pack("{s:{s:s}, s:[s, s]}", "user", "role", "dev", "envs", "test", "prod");
    enum policy_end end = run_text("plain.lua", text, sizeof text - 1, input, 1, a, &value, &why);
    bool holds = end == POLICY_DECIDED && json_is_string(value) && !strcmp(json_string_value(value), "no");
    json_decref(value);
    json_decref(input);
    return holds;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "policy-corpus FILE.lua INPUT.json [CALLS [THEN.lua]]\n");
        return 2;
    }
    json_t *input = read_input(argv[2]);
    BUF_AUTO out = BUF_INIT;
    buf_char(&out, '{');
    buf_json_key(&out, "run");
    run_file(argv[1], input, argc > 3 ? atoi(argv[3]) : 1, &out);
    if (argc > 4) {
        buf_json_key(&out, "then");
        run_file(argv[4], input, 1, &out);
    }
    buf_json_kbool(&out, "sound", plain_policy_holds());
    buf_char(&out, '}');
    puts(buf_cstr(&out));
    json_decref(input);
    return 0;
}
