/* The sandbox, reading and asking policies, the shipped policies' tests. Hostile scripts have a test of their own (tests/integration/test_policy_corpus.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "portal/json/json.h"
#include "portal/policy/policy.h"
#include "portal/policy/sandbox.h"

static struct policy *read_policy(const char *text)
{
    struct policy *p = NULL;
    struct err e = ERR_INIT;
    int r = policy_read("rules/p.lua", text, strlen(text), &p, &e);
    if (r)
        fail_msg("%s", e.msg);
    return p;
}

static void decide(const struct policy *p, const char *input, const char *data, struct arena *a, struct policy_result *ret)
{
    json_t *in = NULL, *d = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(json_read(input, strlen(input), 0, &in, &e), 0);
    assert_int_equal(json_read(data, strlen(data), 0, &d, &e), 0);
    assert_int_equal(policy_decide_once(p, POLICY_PLAN, in, d, a, ret, &e), 0);
    json_decref(in);
    json_decref(d);
}

#define POLICY(check) "return { name = 'p', points = { 'plan' }, rules = { { name = 'r', severity = 'warn', check = function(input) " check " end } } }"

static struct policy *kept[400]; /* results borrow their names */
static size_t n_kept;

static int free_kept(void **state)
{
    (void)state;
    while (n_kept)
        policy_free(kept[--n_kept]);
    return 0;
}

/* What this policy decides on the input. */
static struct policy_result ask(const char *text, const char *input, struct arena *a)
{
    struct policy_result result;
    kept[n_kept++] = read_policy(text);
    decide(kept[n_kept - 1], input, "{\"limit\":3,\"list\":[\"a\",\"b\"]}", a, &result);
    return result;
}

static void reads_what_a_policy_is(void **state)
{
    (void)state;
    struct policy *p = read_policy("return { name = 'tags', title = 'Tags', points = { 'plan', 'request' }, rules = {\n"
                                   " { name = 'one', severity = 'advisory', check = function() end },\n"
                                   " { name = 'two', severity = 'approve', points = { 'destroy' }, approve = { role = 'platform-admin', count = 2, hours = 4 }, check = function() end } } }");
    assert_string_equal(p->name, "tags");
    assert_int_equal(p->points, POLICY_PLAN | POLICY_REQUEST | POLICY_DESTROY);
    assert_int_equal(p->n_rules, 2);
    assert_int_equal(p->rules[0].severity, POLICY_ADVISORY);
    assert_string_equal(p->rules[1].approval.role, "platform-admin");
    assert_int_equal(p->rules[1].approval.count, 2);
    assert_int_equal(p->rules[1].approval.hours, 4);
    policy_free(p);
}

static void refuses_what_is_none(void **state)
{
    (void)state;
    static const struct { const char *text, *words; } cases[] = {
        {"return 3", "rules/p.lua:1: a policy returns a table"},
        {"local x =\n\nreturn", "rules/p.lua:3: unexpected symbol"},
        {"return { name = 'p', points = {'plan'}, rules = {}, severty = 'deny' }", "a policy has no field `severty`"},
        {"return { name = 'p', points = {'plan'}, rules = {} }", "`rules` must be a list of 1 to"},
        {"return { name = 'p', rules = { { name = 'r', severity = 'deny', check = function() end } } }", "has no points"},
        {"return { name = 'p', points = {'plans'}, rules = {} }", "points are request, plan"},
        {"return { name = 'P p', rules = {} }", "must be lower-case letters"},
        {"return { name = 'p', points = {'plan'}, rules = { { name = 'r', severity = 'fatal', check = function() end } } }", "severity is advisory"},
        {"return { name = 'p', points = {'plan'}, rules = { { name = 'r', severity = 'deny', check = 'x' } } }", "`check` must be a function"},
        {"return { name = 'p', points = {'plan'}, rules = { { name = 'r', severity = 'approve', approve = { role = 'king' }, check = function() end } } }", "no role `king`"},
        {"return { name = 'p', points = {'plan'}, rules = { { name = 'r', severity = 'deny', check = print } } }", "there is no `print`"},
        {"local limit = data.limit\nreturn {}", "rules/p.lua:1: "},
        {"while true do end", "it was stopped after"},
        {"error('no')", "rules/p.lua:1: no"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct policy *p = NULL;
        struct err e = ERR_INIT;
        assert_int_equal(policy_read("rules/p.lua", cases[i].text, strlen(cases[i].text), &p, &e), ERR_INVALID);
        assert_non_null(strstr(e.msg, cases[i].words));
        assert_non_null(p->broken);
        assert_string_equal(p->name, "p");
        ARENA_AUTO a = arena_new();
        struct policy_result result;
        decide(p, "{}", "{}", a, &result);
        assert_int_equal(result.outcome, POLICY_DENY);
        assert_int_equal(result.end, POLICY_LOAD_ERROR);
        assert_string_equal(result.why, e.msg);
        policy_free(p);
    }
}

static void refuses_a_source_that_is_too_large(void **state)
{
    (void)state;
    struct policy_code *code = NULL;
    struct err e = ERR_INIT;
    char *text = malloc(POLICY_SOURCE_MAX + 1);
    memset(text, '\n', POLICY_SOURCE_MAX + 1);
    assert_int_equal(policy_compile("x.lua", text, POLICY_SOURCE_MAX + 1, &code, &e), ERR_INVALID);
    assert_int_equal(policy_compile("x.lua", text, POLICY_SOURCE_MAX, &code, &e), 0);
    policy_code_free(code);
    free(text);
}

static void takes_answers_of_every_shape(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    struct policy_result r = ask(POLICY("return nil"), "{}", a);
    assert_int_equal(r.outcome, POLICY_ALLOW);
    assert_string_equal(r.traces[0].outcome, "passed");
    r = ask(POLICY("return {}"), "{}", a);
    assert_int_equal(r.outcome, POLICY_ALLOW);
    r = ask(POLICY("return 'a\\nb'"), "{}", a);
    assert_int_equal(r.outcome, POLICY_WARN);
    assert_string_equal(r.decisions[0].message, "a b");
    assert_string_equal(r.traces[0].outcome, "fired");
    r = ask(POLICY("return { message = 'm', severity = 'deny', path = 'aws_x.y' }"), "{}", a);
    assert_int_equal(r.outcome, POLICY_DENY);
    assert_string_equal(r.decisions[0].path, "aws_x.y");
    r = ask(POLICY("return { 'one', { message = 'two', severity = 'approve', approve = { role = 'approver', count = 2, team = 'security' } } }"), "{}", a);
    assert_int_equal(r.n_decisions, 2);
    assert_int_equal(r.outcome, POLICY_APPROVE);
    assert_string_equal(r.decisions[1].approval.team, "security");
}

static void an_answer_that_is_none_denies(void **state)
{
    (void)state;
    static const struct { const char *text, *words; } cases[] = {
        {POLICY("return true"), "not with true or false"},
        {POLICY("return 3"), "not with a whole number"},
        {POLICY("return { mesage = 'x' }"), "no field `mesage`"},
        {POLICY("return { severity = 'deny' }"), "needs a message"},
        {POLICY("return { message = 3 }"), "`message` is a whole number"},
        {POLICY("return { message = 'm', severity = 'none' }"), "not `none`"},
        {POLICY("return { { { 'deep' } } }"), "holds texts and tables"},
        {POLICY("return { message = 'm', approve = { count = 0 } }"), "approve.count"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ARENA_AUTO a = arena_new();
        struct policy_result r = ask(cases[i].text, "{}", a);
        assert_int_equal(r.outcome, POLICY_DENY);
        assert_int_equal(r.end, POLICY_REFUSED);
        assert_non_null(strstr(r.why, "rules/p.lua:1: rule r: "));
        assert_non_null(strstr(r.why, cases[i].words));
    }
}

static void keeps_a_hundred_decisions_and_the_gravest(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    struct policy_result r = ask(POLICY("local t = {} for i = 1, 300 do t[i] = 'n' .. i end t[300] = { message = 'grave', severity = 'deny' } return t"), "{}", a);
    assert_int_equal(r.n_decisions, 101);
    assert_int_equal(r.outcome, POLICY_DENY);
    assert_int_equal(r.decisions[100].severity, POLICY_DENY);
}

static void one_rule_that_fails_leaves_the_others_their_say(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    struct policy_result r = ask("return { name = 'p', points = { 'plan' }, rules = {\n"
                                 " { name = 'bad', severity = 'warn', check = function(input)\n   return input.servce end },\n"
                                 " { name = 'good', severity = 'warn', check = function() return 'said' end } } }",
                                 "{\"service\":1}", a);
    assert_int_equal(r.outcome, POLICY_DENY);
    assert_int_equal(r.end, POLICY_ERROR);
    assert_string_equal(r.why, "rules/p.lua:3: there is no field `servce` here; there is: service. What may be absent is asked for with get() or has()");
    assert_string_equal(r.traces[0].outcome, "failed");
    assert_string_equal(r.traces[1].outcome, "fired");
}

static void nothing_is_left_of_the_budget(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    struct policy_result r = ask("return { name = 'p', points = { 'plan' }, rules = {\n"
                                 " { name = 'loop', severity = 'warn', check = function() while true do end end },\n"
                                 " { name = 'after', severity = 'warn', check = function() return 'said' end } } }",
                                 "{}", a);
    assert_int_equal(r.end, POLICY_STOPPED);
    assert_non_null(strstr(r.why, "rules/p.lua:2: it was stopped after 2000000 instructions"));
    assert_string_equal(r.traces[1].outcome, "not run");
}

static void the_same_input_takes_the_same_instructions(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    static const char text[] = POLICY("local n = 0 for i = 1, 5000 do n = n + i end for k in pairs(input) do n = n + #k end return 'n ' .. n");
    struct policy_result first = ask(text, "{\"b\":1,\"a\":2}", a), second = ask(text, "{\"a\":2,\"b\":1}", a);
    assert_true(first.instructions >= 5000);
    assert_int_equal(first.instructions, second.instructions);
    assert_string_equal(first.decisions[0].message, second.decisions[0].message);
}

static void functions_for_rules(void **state)
{
    (void)state;
    static const char *const holds[] = {
        "('abc'):starts_with('ab') and not ('abc'):starts_with('b')", "('abc'):ends_with('bc') and ('abc'):contains('b')", "('db.t4g.micro'):glob('db.t4g.*')",
        "('a*c'):glob('a\\\\*c') and not ('abc'):glob('a\\\\*c')", "('abc'):glob('a?c') and not ('abc'):glob('a?') and (''):glob('*')", "#('a,b,,c'):split(',') == 4",
        "('a-b-c'):replace('-', '+') == 'a+b+c'", "(' x '):trim() == 'x' and (''):trim() == ''", "('Straße'):upper() == 'STRAßE'", "('abc'):sub(2) == 'bc' and ('abc'):sub(-2, -2) == 'b'",
        "('abc'):sub(0) == 'abc' and ('abc'):sub(4) == '' and ('abc'):sub(math.mininteger, math.maxinteger) == 'abc'", "string.format('%d %s %5.2f %%', 3, true, 1.5) == '3 true  1.50 %'",
        "has(input, 'a') and not has(input, 'z') and get(input, 'z', 7) == 7 and get(input, 'n', 1) == 1", "dig(input, 'o', 'deep', 'x') == nil and dig(input, 'o', 'k') == 'v'",
        "includes(input.l, 2) and not includes(input.l, '2') and count(input.o) == 1 and #input.l == 3", "table.concat(keys(input), ',') == 'a,b,l,n,o'", "type(input) == 'table' and type(input.l) == 'table'",
        "input.o == input.o and input.l[3] == 3 and input.n == nil", "from_json('{\"a\":[1,{\"b\":null}]}').a[1] == 1 and from_json('{') == nil", "tonumber('0x10') == 16 and tonumber('1e2') == 100 and tonumber('x') == nil",
        "math.floor(-1.5) == -2 and math.ceil(1.2) == 2 and math.max(1, 3, 2) == 3 and math.abs(math.mininteger) == math.mininteger", "select('#', 1, 2) == 2 and select(2, 'a', 'b') == 'b'",
        "data.limit == 3 and data.list[2] == 'b'", "tostring(nil) == 'nil' and tostring(1.5) == '1.5' and tostring({}) == 'table' and tostring(tostring) == 'function'",
    };
    for (size_t i = 0; i < sizeof holds / sizeof *holds; i++) {
        ARENA_AUTO a = arena_new();
        struct policy_result r = ask(arena_printf(a, POLICY("if %s then return 'yes' end"), holds[i]), "{\"b\":1,\"a\":true,\"l\":[1,2,3],\"o\":{\"k\":\"v\"},\"n\":null}", a);
        if (r.n_decisions != 1)
            fail_msg("%s: %s", holds[i], r.why ? r.why : "does not hold");
    }
}

static void sorting_keeps_order_and_bounds(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    struct policy_result r = ask(POLICY("local t = { 5, 3, 1, 4, 2 } table.sort(t) local u = { 'b', 'a', 'c' } table.sort(u, function(x, y) return x > y end)"
                                        " table.insert(t, 1, 0) table.insert(t, 6) table.remove(t, 2) return table.concat(t, ' ') .. ' ' .. table.concat(u)"),
                                 "{}", a);
    assert_string_equal(r.decisions[0].message, "0 2 3 4 5 6 cba");
}

static void results_go_over_a_wire_and_back(void **state)
{
    (void)state;
    ARENA_AUTO a = arena_new();
    struct policy_result there, r = ask(POLICY("return { 'one', { message = 'two', severity = 'approve', path = 'x', approve = { role = 'viewer', hours = 3 } } }"), "{}", a);
    BUF_AUTO text = BUF_INIT;
    BUF_AUTO again = BUF_INIT;
    json_t *v = NULL;
    struct err e = ERR_INIT;
    policy_result_write(&r, &text);
    assert_int_equal(json_read(text.data, text.len, 0, &v, &e), 0);
    assert_int_equal(policy_result_parse(v, a, &there, &e), 0);
    json_decref(v);
    policy_result_write(&there, &again);
    assert_string_equal(text.data, again.data);
}

static void the_shipped_policies_hold_their_tests(void **state)
{
    (void)state;
    struct policy_report r;
    struct err e = ERR_INIT;
    assert_int_equal(policy_test_dir(SOMA_LUA, &r, &e), 0);
    for (size_t i = 0; i < r.n_lines; i++)
        if (r.lines[i].bad)
            fail_msg("%s: %s", r.lines[i].where, r.lines[i].what);
    assert_true(r.policies >= 9 && r.passed >= 60);
    assert_int_equal(r.untested, 0);
    policy_report_done(&r);
}

static void a_folder_without_policies_is_told(void **state)
{
    (void)state;
    struct policy_report r;
    struct err e = ERR_INIT;
    assert_int_equal(policy_test_dir("/nonexistent/policies", &r, &e), ERR_NOT_FOUND);
    assert_int_equal(policy_test_dir("/etc/ssl/certs/../private-that-is-not", &r, &e), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_a_policy_is),
        cmocka_unit_test(refuses_what_is_none),
        cmocka_unit_test(refuses_a_source_that_is_too_large),
        cmocka_unit_test(takes_answers_of_every_shape),
        cmocka_unit_test(an_answer_that_is_none_denies),
        cmocka_unit_test(keeps_a_hundred_decisions_and_the_gravest),
        cmocka_unit_test(one_rule_that_fails_leaves_the_others_their_say),
        cmocka_unit_test(nothing_is_left_of_the_budget),
        cmocka_unit_test(the_same_input_takes_the_same_instructions),
        cmocka_unit_test(functions_for_rules),
        cmocka_unit_test(sorting_keeps_order_and_bounds),
        cmocka_unit_test(results_go_over_a_wire_and_back),
        cmocka_unit_test(the_shipped_policies_hold_their_tests),
        cmocka_unit_test(a_folder_without_policies_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, free_kept);
}
