/* `soma policy test` and `soma policy eval`: they need no server. */
#include "portal/cli/policies.h"

#include <string.h>

#include "portal/cli/input.h"
#include "portal/cli/text.h"
#include "portal/json/json.h"
#include "portal/policy/policy.h"

#define FILE_MAX ((size_t)64 << 20)

/* ---- test ---- */

static void print_line(struct cli *c, const struct policy_line *l)
{
    BUF_AUTO out = BUF_INIT;
    BUF_AUTO line = BUF_INIT;
    buf_printf(&line, "%s: %s", l->where, l->what);
    text_clean(&out, buf_cstr(&line), false);
    fprintf(c->out.to, "%s\n", buf_cstr(&out));
}

static void print_report_json(struct cli *c, const struct policy_report *r)
{
    JSON_AUTO doc = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:[]}", "policies", (json_int_t)r->policies, "rules", (json_int_t)r->rules, "passed", (json_int_t)r->passed, "failed",
                              (json_int_t)r->failed, "untested", (json_int_t)r->untested, "instructions", (json_int_t)r->instructions, "results");
    for (size_t i = 0; i < r->n_lines; i++) {
        json_t *line = json_pack("{s:b}", "ok", !r->lines[i].bad);
        json_object_set_new(line, "where", json_text(r->lines[i].where));
        json_object_set_new(line, "what", json_text(r->lines[i].what));
        json_array_append_new(json_object_get(doc, "results"), line);
    }
    output_raw(&c->out, doc);
}

int policy_run_test(struct cli *c, struct err *e)
{
    struct policy_report r;
    int code = policy_test_dir(c->args.n_words ? args_word(&c->args, 0) : "lua", &r, e);
    if (code)
        return code;
    if (c->out.format != OUTPUT_TABLE)
        print_report_json(c, &r);
    for (size_t i = 0; c->out.format == OUTPUT_TABLE && i < r.n_lines; i++)
        if (r.lines[i].bad || args_has(&c->args, "all"))
            print_line(c, &r.lines[i]);
    if (c->out.format == OUTPUT_TABLE)
        fprintf(c->out.to, "%zu policies with %zu rules: %zu tests as expected, %zu not; %lld instructions\n", r.policies, r.rules, r.passed, r.failed, (long long)r.instructions);
    code = r.failed ? EXIT_FAILED : EXIT_DONE;
    policy_report_done(&r);
    return code;
}

/* ---- eval ---- */

static int read_json(const char *path, json_t **ret, struct err *e)
{
    BUF_AUTO text = BUF_INIT;
    int code = input_read(path, FILE_MAX, &text, e);
    if (!code)
        code = json_read(text.data, text.len, 200, ret, e);
    return code ? err_prefix(e, "%s", path) : 0;
}

/* What --input, --plan and --point make of it; *ret_point may come from the input. */
static int make_input(struct cli *c, unsigned of_policy, enum policy_point *ret_point, json_t **ret, struct err *e)
{
    const char *named = args_text(&c->args, "point"), *file = args_text(&c->args, "input"), *plan = args_text(&c->args, "plan");
    JSON_AUTO given = NULL;
    JSON_AUTO over = NULL;
    int code = file ? read_json(file, &given, e) : 0;
    if (!code && plan)
        code = read_json(plan, &over, e);
    if (code)
        return code;
    if (!named)
        named = json_string_value(json_object_get(given, "point"));
    if (!named)
        named = plan || !(of_policy & (of_policy - 1)) || (of_policy & POLICY_PLAN) ? (plan || (of_policy & POLICY_PLAN) ? "plan" : policy_point_name((enum policy_point)of_policy)) : "request";
    *ret_point = (enum policy_point)policy_point_parse(named);
    if (!*ret_point)
        return err_set(e, ERR_INVALID, "there is no point `%s`; there are request, plan, destroy, reveal and route", named);
    if (given && !plan) {
        *ret = json_incref(given);
        return 0;
    }
    if (!given)
        given = json_object();
    if (plan)
        json_object_set(given, "plan", over);
    *ret = policy_sample_input(*ret_point, given);
    return 0;
}

static int read_data(struct cli *c, json_t **ret, struct err *e)
{
    const char *file = args_text(&c->args, "data");
    if (!file) {
        *ret = json_object();
        return 0;
    }
    int code = read_json(file, ret, e);
    if (!code && !json_is_object(*ret))
        code = err_set(e, ERR_INVALID, "%s: data is one object: a name for each piece", file);
    return code;
}

static int print_result(struct cli *c, const struct policy_result *r, enum policy_point point, struct err *e)
{
    BUF_AUTO text = BUF_INIT;
    JSON_AUTO doc = NULL;
    policy_result_write(r, &text);
    int code = json_read(text.data, text.len, 0, &doc, e);
    if (code)
        return code;
    json_object_set_new(doc, "point", json_string(policy_point_name(point)));
    if (c->out.format == OUTPUT_TABLE)
        policy_print_result(c, doc);
    else
        output_raw(&c->out, doc);
    return r->outcome == POLICY_DENY ? EXIT_FAILED : r->outcome == POLICY_APPROVE ? EXIT_WAITING : EXIT_DONE;
}

static int eval_policy(struct cli *c, const struct policy *p, const json_t *data, struct err *e)
{
    JSON_AUTO input = NULL;
    enum policy_point point;
    struct policy_result result;
    int code = make_input(c, p->points, &point, &input, e);
    if (!code && !(p->points & (unsigned)point))
        code = err_set(e, ERR_INVALID, "the policy %s has no rule at the point %s", p->name, policy_point_name(point));
    if (!code)
        code = policy_decide_once(p, point, input, data, c->arena, &result, e);
    return code ? code : print_result(c, &result, point, e);
}

/* A chunk that need not be a policy: how it ended, and what it answered. */
static int eval_script(struct cli *c, const char *path, const struct buf *text, const json_t *data, struct err *e)
{
    struct policy_code *script = NULL;
    struct err why = ERR_INIT;
    const char *words = NULL;
    json_t *value = NULL;
    JSON_AUTO input = NULL;
    int code = args_has(&c->args, "input") ? read_json(args_text(&c->args, "input"), &input, e) : 0;
    if (code)
        return code;
    enum policy_end end = POLICY_LOAD_ERROR;
    if (policy_compile(path, text->data, text->len, &script, &why))
        words = why.msg;
    else
        end = policy_run(script, NULL, input, data, 1, c->arena, &value, &words);
    policy_code_free(script);
    JSON_AUTO doc = json_pack("{s:s, s:o}", "outcome", policy_end_name(end), "value", value ? value : json_null());
    json_object_set_new(doc, "error", words ? json_text(words) : json_null());
    output_raw(&c->out, doc);
    return end == POLICY_DECIDED ? EXIT_DONE : EXIT_FAILED;
}

int policy_run_eval(struct cli *c, struct err *e)
{
    const char *path = args_word(&c->args, 0);
    BUF_AUTO text = BUF_INIT;
    JSON_AUTO data = NULL;
    struct policy *p = NULL;
    int code = input_read(path, POLICY_SOURCE_MAX + 1, &text, e);
    if (!code)
        code = read_data(c, &data, e);
    if (code)
        return code;
    if (args_has(&c->args, "script"))
        return eval_script(c, path, &text, data, e);
    code = policy_read(path, text.data, text.len, &p, e);
    if (!code)
        code = eval_policy(c, p, data, e);
    policy_free(p);
    return code;
}
