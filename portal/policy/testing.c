/* `soma policy test`: tests are data. NAME_test.lua returns a list of cases:
 *     { name = "...", point = "plan", input = {...}, data = {...}, expect = { { rule = "...", severity = "deny", message = "part of it" } } }
 * The input is laid over a complete one, the data over data.json. `expect = {}`: nothing fires. `fails = "part of the words"`: the policy itself fails. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/core/fs.h"
#include "portal/json/json.h"
#include "portal/policy/code.h"
#include "portal/policy/sandbox.h"

#define LINES_MAX 4096

struct testing { const char *dir; struct policy_report *r; const json_t *data; struct policy *p; struct sandbox *s; bool fired[POLICY_RULES_MAX], passed[POLICY_RULES_MAX]; };

static void tell(struct policy_report *r, bool bad, const char *where, const char *what)
{
    if (r->n_lines < LINES_MAX)
        r->lines[r->n_lines++] = (struct policy_line){arena_strdup(r->arena, where), arena_strdup(r->arena, what), bad};
    if (bad)
        r->failed++;
    else
        r->passed++;
}

static void note_rules(struct testing *t, const struct policy_result *result)
{
    for (size_t i = 0; i < result->n_traces; i++)
        for (size_t k = 0; k < t->p->n_rules; k++)
            if (!strcmp(t->p->rules[k].name, result->traces[i].rule)) {
                t->fired[k] |= !strcmp(result->traces[i].outcome, "fired");
                t->passed[k] |= !strcmp(result->traces[i].outcome, "passed");
            }
}

static bool fits(const json_t *expected, const struct policy_decision *d)
{
    const char *rule = json_string_value(json_object_get(expected, "rule")), *severity = json_string_value(json_object_get(expected, "severity"));
    const char *message = json_string_value(json_object_get(expected, "message")), *path = json_string_value(json_object_get(expected, "path"));
    const char *role = json_string_value(json_object_get(json_object_get(expected, "approve"), "role"));
    return (!rule || !strcmp(rule, d->rule)) && (!severity || !strcmp(severity, policy_severity_name(d->severity))) && (!message || strstr(d->message, message)) &&
           (!path || (d->path && !strcmp(path, d->path))) && (!role || (d->approval.role && !strcmp(role, d->approval.role)));
}

static const char *decided(const struct policy_result *r, struct arena *a)
{
    BUF_AUTO b = BUF_INIT;
    for (size_t i = 0; i < r->n_decisions; i++)
        buf_printf(&b, "%s%s %s: %s", i ? "; " : "", policy_severity_name(r->decisions[i].severity), r->decisions[i].rule, r->decisions[i].message);
    return arena_strdup(a, b.len ? b.data : "nothing");
}

/* Each expected decision takes one of those made; all must be taken. NULL: it is as expected. */
static const char *compare(const json_t *expect, const struct policy_result *r, struct arena *a)
{
    bool taken[256] = {false};
    size_t i;
    const json_t *one;
    json_array_foreach(expect, i, one) {
        size_t k = 0;
        while (k < r->n_decisions && (taken[k] || !fits(one, &r->decisions[k])))
            k++;
        BUF_AUTO wanted = BUF_INIT;
        if (k < r->n_decisions) {
            taken[k] = true;
            continue;
        }
        json_write(one, &wanted);
        return arena_printf(a, "it should have decided %s; it decided %s", wanted.data, decided(r, a));
    }
    return json_array_size(expect) == r->n_decisions ? NULL : arena_printf(a, "it should have decided no more; it decided %s", decided(r, a));
}

static const char *check_case(struct testing *t, const json_t *c, const struct policy_result *r)
{
    struct arena *a = t->r->arena;
    const char *fails = json_string_value(json_object_get(c, "fails"));
    const json_t *expect = json_object_get(c, "expect");
    if (fails && r->end == POLICY_DECIDED)
        return arena_printf(a, "it should have failed with \"%s\"; it decided %s", fails, decided(r, a));
    if (fails)
        return strstr(r->why, fails) ? NULL : arena_printf(a, "it failed otherwise: %s", r->why);
    if (r->end != POLICY_DECIDED)
        return arena_printf(a, "it failed: %s", r->why);
    if (json_is_object(expect) && json_object_size(expect) == 0) /* {} is Lua's empty list */
        return compare(NULL, r, a);
    if (!json_is_array(expect))
        return "the case needs `expect`, a list of decisions ({}: none), or `fails`";
    return compare(expect, r, a);
}

/* The plan may lie in a file beside the tests: input = { plan_file = "testdata/plan.json" }. */
static const char *load_plan(struct testing *t, json_t *over)
{
    const char *file = json_string_value(json_object_get(over, "plan_file"));
    struct err e = ERR_INIT;
    BUF_AUTO text = BUF_INIT;
    json_t *plan = NULL;
    if (!file)
        return NULL;
    if (fs_read(arena_printf(t->r->arena, "%s/%s", t->dir, file), (size_t)64 << 20, &text, &e) || json_read(text.data, text.len, 200, &plan, &e))
        return arena_strdup(t->r->arena, e.msg);
    json_object_del(over, "plan_file");
    json_object_set_new(over, "plan", plan);
    return NULL;
}

static const char *run_case(struct testing *t, const json_t *c)
{
    static const char *const fields[] = {"name", "point", "input", "data", "expect", "fails", NULL};
    const char *key, *point = json_string_value(json_object_get(c, "point"));
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)c, key, v) {
        size_t i = 0;
        while (fields[i] && strcmp(fields[i], key))
            i++;
        if (!fields[i])
            return arena_printf(t->r->arena, "a case has no field `%.60s`", key);
    }
    unsigned p = point ? policy_point_parse(point) : 0;
    if (!p)
        return "the case needs a `point`: request, plan, destroy, reveal or route";
    if (!(t->p->points & p))
        return arena_printf(t->r->arena, "the policy is not asked at %s", point);
    json_t *over = json_is_object(json_object_get(c, "input")) ? json_copy(json_object_get(c, "input")) : json_object();
    const char *why = load_plan(t, over);
    if (!why) {
        ARENA_AUTO a = arena_new();
        json_t *input = policy_sample_input((enum policy_point)p, over), *data = json_copy((json_t *)(uintptr_t)t->data);
        if (json_is_object(json_object_get(c, "data")))
            json_object_update(data, json_object_get(c, "data"));
        struct policy_result result;
        policy_decide(t->s, t->p, (enum policy_point)p, input, data, a, &result);
        note_rules(t, &result);
        t->r->instructions += result.instructions;
        why = check_case(t, c, &result);
        json_decref(input);
        json_decref(data);
    }
    json_decref(over);
    return why;
}

struct cases { const struct policy_code *code; struct sandbox *s; struct arena *arena; enum policy_end end; const char *why; json_t *value; };

static int read_cases_body(lua_State *L)
{
    struct cases *c = lua_touserdata(L, 1);
    sandbox_push_chunk(c->s, c->code);
    c->end = sandbox_call(c->s, 0, c->arena, &c->why);
    if (c->end == POLICY_DECIDED && !(c->value = value_take(c->s, L, -1))) {
        c->end = POLICY_REFUSED;
        c->why = arena_printf(c->arena, "%s:1: %s", c->code->path, c->s->refusal);
    }
    return 0;
}

static int read_cases(struct testing *t, const char *path, json_t **ret, struct err *e)
{
    struct policy_limits limits = {.instructions = 20000000, .wall_ms = 5000, .heap = (size_t)64 << 20};
    struct cases c = {.arena = t->r->arena};
    struct policy_code *code = NULL;
    struct sandbox *s = NULL;
    BUF_AUTO text = BUF_INIT;
    int r = fs_read(arena_printf(t->r->arena, "%s/%s", t->dir, path), POLICY_SOURCE_MAX + 1, &text, e);
    if (!r)
        r = policy_compile(path, text.data, text.len, &code, e);
    if (!r)
        r = sandbox_new(&limits, &s, e);
    if (!r)
        r = sandbox_load(s, code, e);
    if (!r) {
        c.s = s;
        c.code = code;
        s->bounds = VALUE_BOUNDS_TESTS;
        sandbox_begin(s, NULL);
        enum policy_end end = sandbox_protect(s, read_cases_body, &c, t->r->arena, &c.why);
        if (end != POLICY_DECIDED || c.end != POLICY_DECIDED)
            r = err_set(e, ERR_INVALID, "%s", c.why);
        else if (!json_is_array(c.value))
            r = err_set(e, ERR_INVALID, "%s:1: tests are a list of cases", path);
    }
    sandbox_free(s);
    policy_code_free(code);
    if (r)
        json_decref(c.value);
    else
        *ret = c.value;
    return r;
}

static void report_untested(struct testing *t)
{
    for (size_t i = 0; i < t->p->n_rules; i++) {
        t->r->rules++;
        if (t->fired[i] && t->passed[i])
            continue;
        t->r->untested++;
        tell(t->r, true, t->p->path, arena_printf(t->r->arena, "no test %s the rule %s", !t->fired[i] ? "makes anything of" : "passes", t->p->rules[i].name));
    }
}

static void test_policy(struct testing *t)
{
    struct err e = ERR_INIT;
    json_t *cases = NULL;
    struct policy_report *r = t->r;
    const char *path = arena_printf(r->arena, "%.*s_test.lua", (int)(strlen(t->p->path) - 4), t->p->path);
    size_t i;
    const json_t *c;
    if (sandbox_new(NULL, &t->s, &e) || sandbox_load(t->s, t->p->code, &e) || read_cases(t, path, &cases, &e))
        tell(r, true, path, e.msg);
    json_array_foreach(cases, i, c) {
        const char *name = json_string_value(json_object_get(c, "name")), *why = name ? run_case(t, c) : "the case needs a `name`";
        tell(r, why != NULL, arena_printf(r->arena, "%s: %s", path, name ? name : arena_printf(r->arena, "case %zu", i + 1)), why ? why : "as expected");
    }
    if (cases)
        report_untested(t);
    json_decref(cases);
    sandbox_free(t->s);
    t->s = NULL;
}

static int test_file(struct policy_report *r, const char *dir, const char *path, const json_t *data, struct err *e)
{
    BUF_AUTO text = BUF_INIT;
    struct policy *p = NULL;
    struct err why = ERR_INIT;
    int x = fs_read(arena_printf(r->arena, "%s/%s", dir, path), POLICY_SOURCE_MAX + 1, &text, e);
    if (x)
        return x;
    r->policies++;
    if (policy_read(path, text.data, text.len, &p, &why))
        tell(r, true, path, why.msg);
    else
        test_policy(&(struct testing){.dir = dir, .r = r, .data = data, .p = p});
    policy_free(p);
    return 0;
}

/* ---- the folder ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && !strcmp(name + n - m, end);
}

/* Names of files and folders of dir/below, sorted; hidden ones are left out. */
static size_t list(struct arena *a, const char *path, const char ***ret)
{
    enum { MAX = 1000 };
    const char **names = arena_alloc(a, MAX * sizeof *names);
    size_t n = 0;
    DIR *d = opendir(path);
    for (struct dirent *f; d && n < MAX && (f = readdir(d));)
        if (f->d_name[0] != '.')
            names[n++] = arena_strdup(a, f->d_name);
    if (d)
        closedir(d);
    qsort(names, n, sizeof *names, by_name);
    *ret = names;
    return n;
}

static int walk(struct policy_report *r, const char *dir, const char *below, const json_t *data, int depth, struct err *e)
{
    const char **names;
    size_t n = list(r->arena, arena_printf(r->arena, "%s/%s", dir, below), &names);
    int x = 0;
    for (size_t i = 0; i < n && !x; i++) {
        const char *path = *below ? arena_printf(r->arena, "%s/%s", below, names[i]) : names[i];
        if (ends_with(names[i], ".lua") && !ends_with(names[i], "_test.lua"))
            x = test_file(r, dir, path, data, e);
        else if (depth < 8 && !strchr(names[i], '.'))
            x = walk(r, dir, path, data, depth + 1, e);
    }
    return x;
}

static int read_data(const char *dir, struct arena *a, json_t **ret, struct err *e)
{
    BUF_AUTO text = BUF_INIT;
    *ret = NULL;
    int x = fs_read(arena_printf(a, "%s/data.json", dir), (size_t)1 << 20, &text, e);
    if (x == ERR_NOT_FOUND) {
        *ret = json_object();
        return 0;
    }
    if (!x)
        x = json_read(text.data, text.len, 0, ret, e);
    if (!x && !json_is_object(*ret))
        x = err_set(e, ERR_INVALID, "it must be one object: a name for each piece of data");
    return x ? err_prefix(e, "%s/data.json", dir) : 0;
}

int policy_test_dir(const char *dir, struct policy_report *ret, struct err *e)
{
    *ret = (struct policy_report){.arena = arena_new()};
    ret->lines = arena_alloc(ret->arena, LINES_MAX * sizeof *ret->lines);
    json_t *data = NULL;
    DIR *there = opendir(dir);
    int x = there ? 0 : err_set(e, ERR_NOT_FOUND, "there is no folder %s", dir);
    if (there)
        closedir(there);
    if (!x)
        x = read_data(dir, ret->arena, &data, e);
    if (!x)
        x = walk(ret, dir, "", data, 0, e);
    if (!x && !ret->policies)
        x = err_set(e, ERR_NOT_FOUND, "there is no policy (a .lua file) in %s", dir);
    json_decref(data);
    if (x)
        policy_report_done(ret);
    return x;
}

void policy_report_done(struct policy_report *r)
{
    arena_free(r->arena);
    *r = (struct policy_report){0};
}
