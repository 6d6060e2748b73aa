/* Asking a policy's rules. The chunk runs anew for each decision; its rules are then asked one by one, so that one that fails leaves the others their say. */
#include "portal/policy/rules.h"
#include "portal/policy/sandbox.h"

#include <string.h>

#include "portal/policy/code.h"

struct asking { struct sandbox *s; const struct policy *p; enum policy_point point; const json_t *input; struct arena *arena; struct policy_result *r; int64_t began; };

static void fail(struct policy_result *r, enum policy_end end, const char *why)
{
    if (r->end == POLICY_DECIDED) {
        r->end = end;
        r->why = why;
    }
    r->outcome = POLICY_DENY;
}

static void take_answer(struct asking *k, lua_State *L, const struct policy_rule *rule, struct policy_trace *t)
{
    if (lua_isnil(L, -1))
        return;
    size_t before = k->r->n_decisions;
    const char *why = NULL;
    json_t *answer = value_take(k->s, L, -1);
    if (!answer)
        why = k->s->refusal;
    else if (rules_take(k->r, rule, answer, k->arena, &why) == 0)
        why = NULL;
    json_decref(answer);
    t->outcome = why ? "failed" : k->r->n_decisions > before ? "fired" : "passed";
    if (why)
        fail(k->r, POLICY_REFUSED, arena_printf(k->arena, "%s:%d: rule %s: %s", k->p->path, k->s->line > 0 ? k->s->line : 1, rule->name, why));
}

/* The function to ask is on top, and is taken. */
static void ask_rule(struct asking *k, lua_State *L, const struct policy_rule *rule, struct policy_trace *t)
{
    int64_t spent = k->s->spent;
    const char *why = NULL;
    lua_Debug at = {0};
    lua_pushvalue(L, -1);
    lua_getinfo(L, ">S", &at); /* where the rule stands: what its answer is blamed on */
    if (k->input)
        value_push(L, k->input);
    else
        lua_pushnil(L);
    enum policy_end end = sandbox_call(k->s, 1, k->arena, &why);
    t->outcome = end == POLICY_DECIDED ? "passed" : "failed";
    if (end == POLICY_DECIDED) {
        k->s->line = at.linedefined;
        take_answer(k, L, rule, t);
        lua_pop(L, 1);
    } else
        fail(k->r, end, why);
    int64_t now = sandbox_now_us();
    t->instructions = k->s->spent - spent;
    t->us = now - k->began;
    k->began = now;
}

/* Pushes what to call for the n-th rule; the chunk's answer is at `chunk`. */
static bool push_check(lua_State *L, const struct policy *p, int chunk, size_t n)
{
    if (p->bare) {
        lua_pushvalue(L, chunk);
        return lua_type(L, -1) == LUA_TFUNCTION;
    }
    if (lua_type(L, chunk) != LUA_TTABLE)
        return false;
    lua_pushliteral(L, "rules");
    if (lua_rawget(L, chunk) != LUA_TTABLE || lua_rawgeti(L, -1, (lua_Integer)n + 1) != LUA_TTABLE)
        return false;
    lua_pushliteral(L, "check");
    return lua_rawget(L, -2) == LUA_TFUNCTION;
}

static int ask_body(lua_State *L)
{
    struct asking *k = lua_touserdata(L, 1);
    struct policy_result *r = k->r;
    const char *why = NULL;
    luaL_checkstack(L, 30, NULL);
    sandbox_push_chunk(k->s, k->p->code);
    enum policy_end end = sandbox_call(k->s, 0, k->arena, &why);
    if (end != POLICY_DECIDED)
        return fail(r, end, why), 0;
    int chunk = lua_gettop(L);
    for (size_t i = 0; i < k->p->n_rules; i++) {
        const struct policy_rule *rule = &k->p->rules[i];
        if (!(rule->points & (unsigned)k->point))
            continue;
        struct policy_trace *t = &r->traces[r->n_traces++];
        *t = (struct policy_trace){.rule = rule->name, .outcome = "not run"};
        if (r->end == POLICY_STOPPED || r->end == POLICY_MEMORY)
            continue; /* nothing is left of the budget */
        lua_settop(L, chunk);
        if (push_check(L, k->p, chunk, i))
            ask_rule(k, L, rule, t);
        else
            fail(r, POLICY_REFUSED, arena_printf(k->arena, "%s:1: it returns another table than it did when it was published", k->p->path));
    }
    return 0;
}

void policy_decide(struct sandbox *s, const struct policy *p, enum policy_point point, const json_t *input, const json_t *data, struct arena *a, struct policy_result *ret)
{
    *ret = (struct policy_result){.policy = p->name};
    if (p->broken) {
        fail(ret, POLICY_LOAD_ERROR, arena_strdup(a, p->broken));
        return;
    }
    int64_t began = sandbox_now_us();
    const char *why = NULL;
    ret->traces = arena_alloc(a, (p->n_rules + 1) * sizeof *ret->traces);
    struct asking k = {.s = s, .p = p, .point = point, .input = input, .arena = a, .r = ret, .began = began};
    sandbox_begin(s, data);
    enum policy_end end = sandbox_protect(s, ask_body, &k, a, &why);
    if (end != POLICY_DECIDED)
        fail(ret, end, why);
    ret->instructions = s->spent;
    ret->us = sandbox_now_us() - began;
}

int policy_decide_once(const struct policy *p, enum policy_point point, const json_t *input, const json_t *data, struct arena *a, struct policy_result *ret, struct err *e)
{
    struct sandbox *s = NULL;
    int r = sandbox_new(NULL, &s, e);
    if (!r && p->code)
        r = sandbox_load(s, p->code, e);
    if (!r)
        policy_decide(s, p, point, input, data, a, ret);
    sandbox_free(s);
    return r;
}
