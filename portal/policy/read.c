/* What a policy's chunk returns, read into a struct policy: once when a file is published, so that whoever decides knows names and points without running it.
 * Everything is read raw, and a field that is not known is an error: a rule whose `severty` is misspelt must not become another one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/core/id.h"
#include "portal/crypto/crypto.h"
#include "portal/policy/code.h"
#include "portal/policy/rules.h"
#include "portal/policy/sandbox.h"

struct reading { struct sandbox *s; struct policy *p; enum policy_end end; const char *why; };

static bool known(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(*names, name))
            return true;
    return false;
}

/* Fields of the table on top are all of `names`. */
static void check_fields(lua_State *L, const char *what, const char *const *names)
{
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "%s has named fields only, no elements", what);
        if (!known(lua_tostring(L, -2), names))
            luaL_error(L, "%s has no field `%s`", what, lua_tostring(L, -2));
    }
}

static void push_field(lua_State *L, int i, const char *name)
{
    i = lua_absindex(L, i);
    lua_pushstring(L, name);
    lua_rawget(L, i);
}

/* A text of the table on top, in the policy's arena; NULL when it is absent. */
static const char *text_field(lua_State *L, struct arena *a, const char *what, const char *name, bool needed)
{
    push_field(L, -1, name);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (!text && (needed || !lua_isnil(L, -1)))
        luaL_error(L, "%s: `%s` must be a text", what, name);
    if (text && strlen(text) > 300)
        luaL_error(L, "%s: `%s` has more than 300 characters", what, name);
    char *copy = arena_strdup(a, text);
    for (char *p = copy; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    lua_pop(L, 1);
    return copy;
}

static int64_t number_field(lua_State *L, const char *what, const char *name, int64_t max)
{
    push_field(L, -1, name);
    int64_t n = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    if (!lua_isnil(L, -1) && (n < 1 || n > max))
        luaL_error(L, "%s: `%s` must be a whole number from 1 to %d", what, name, (int)max);
    lua_pop(L, 1);
    return n;
}

static unsigned read_points(lua_State *L, const char *what)
{
    unsigned points = 0;
    push_field(L, -1, "points");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return 0;
    }
    if (lua_type(L, -1) != LUA_TTABLE)
        luaL_error(L, "%s: `points` must be a list", what);
    size_t n = lua_rawlen(L, -1);
    for (size_t i = 1; i <= n && i <= 16; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i);
        unsigned p = lua_type(L, -1) == LUA_TSTRING ? policy_point_parse(lua_tostring(L, -1)) : 0;
        if (!p)
            luaL_error(L, "%s: points are request, plan, destroy, reveal and route", what);
        points |= p;
        lua_pop(L, 1);
    }
    if (!points)
        luaL_error(L, "%s: `points` is empty, so it would never be asked", what);
    lua_pop(L, 1);
    return points;
}

static const char *const roles[] = {"approver", "platform-admin", "developer", "viewer", NULL};

static struct policy_approval read_approval(lua_State *L, struct arena *a, const char *what)
{
    static const char *const fields[] = {"role", "team", "count", "hours", "four_eyes", NULL};
    struct policy_approval approval = {.role = "approver"};
    push_field(L, -1, "approve");
    if (!lua_isnil(L, -1)) {
        if (lua_type(L, -1) != LUA_TTABLE)
            luaL_error(L, "%s: `approve` must be a table: { role = , team = , count = , hours = }", what);
        check_fields(L, "approve", fields);
        const char *role = text_field(L, a, "approve", "role", false);
        approval.role = role ? role : "approver";
        approval.team = text_field(L, a, "approve", "team", false);
        approval.count = (int)number_field(L, "approve", "count", 20);
        approval.hours = number_field(L, "approve", "hours", 2160);
        push_field(L, -1, "four_eyes");
        if (!lua_isnil(L, -1) && !(lua_isboolean(L, -1) && lua_toboolean(L, -1)))
            luaL_error(L, "approve: `four_eyes` is always so: nobody approves their own order. Leave it out or set it to true");
        lua_pop(L, 1);
        if (!known(approval.role, roles))
            luaL_error(L, "approve: there is no role `%s`; there are approver, platform-admin, developer and viewer", approval.role);
    }
    lua_pop(L, 1);
    return approval;
}

enum policy_severity rules_severity(const char *name)
{
    for (int s = POLICY_ADVISORY; s <= POLICY_DENY; s++)
        if (!strcmp(policy_severity_name((enum policy_severity)s), name))
            return (enum policy_severity)s;
    return POLICY_ALLOW;
}

/* The rule's table is on top. */
static void read_rule(lua_State *L, struct policy *p, struct policy_rule *rule, unsigned points)
{
    static const char *const fields[] = {"name", "title", "description", "severity", "points", "check", "approve", NULL};
    if (lua_type(L, -1) != LUA_TTABLE)
        luaL_error(L, "`rules` is a list of tables");
    check_fields(L, "a rule", fields);
    rule->name = text_field(L, p->arena, "a rule", "name", true);
    rule->title = text_field(L, p->arena, "a rule", "title", false);
    if (!id_name_valid(rule->name))
        luaL_error(L, "the rule's name `%s` must be lower-case letters, digits and dashes, at most 40", rule->name);
    for (const struct policy_rule *other = p->rules; other < rule; other++)
        if (!strcmp(other->name, rule->name))
            luaL_error(L, "there are two rules `%s`", rule->name);
    const char *severity = text_field(L, p->arena, "a rule", "severity", true);
    rule->severity = rules_severity(severity);
    if (rule->severity == POLICY_ALLOW)
        luaL_error(L, "the rule `%s`: severity is advisory, warn, approve or deny, not `%s`", rule->name, severity);
    rule->points = read_points(L, "a rule");
    if (!rule->points)
        rule->points = points;
    if (!rule->points)
        luaL_error(L, "the rule `%s` has no points, and the policy has none either", rule->name);
    rule->approval = read_approval(L, p->arena, rule->name);
    p->points |= rule->points;
    push_field(L, -1, "check");
    if (lua_type(L, -1) != LUA_TFUNCTION)
        luaL_error(L, "the rule `%s`: `check` must be a function", rule->name);
    lua_pop(L, 1);
}

/* The policy's table is on top. */
static void read_table(lua_State *L, struct policy *p)
{
    static const char *const fields[] = {"name", "title", "description", "points", "rules", NULL};
    check_fields(L, "a policy", fields);
    p->name = text_field(L, p->arena, "a policy", "name", true);
    p->title = text_field(L, p->arena, "a policy", "title", false);
    if (!id_name_valid(p->name))
        luaL_error(L, "the policy's name `%s` must be lower-case letters, digits and dashes, at most 40", p->name);
    unsigned points = read_points(L, "the policy");
    push_field(L, -1, "rules");
    size_t n = lua_type(L, -1) == LUA_TTABLE ? lua_rawlen(L, -1) : 0;
    if (n < 1 || n > POLICY_RULES_MAX)
        luaL_error(L, "`rules` must be a list of 1 to %d rules", POLICY_RULES_MAX);
    p->rules = arena_alloc(p->arena, n * sizeof *p->rules);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        read_rule(L, p, &p->rules[i], points);
        p->n_rules++;
        lua_pop(L, 1);
    }
}

/* `lua/required-tags.lua` is the policy required-tags when its chunk does not say. */
const char *rules_name_of(const char *path, struct arena *a)
{
    const char *slash = strrchr(path, '/'), *stem = slash ? slash + 1 : path, *dot = strrchr(stem, '.');
    char *name = arena_strndup(a, stem, dot && dot > stem ? (size_t)(dot - stem) : strlen(stem));
    for (char *p = name; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ? *p : '-';
    if (strlen(name) > 40)
        name[40] = 0;
    return id_name_valid(name) ? name : "policy";
}

static void read_bare(struct policy *p)
{
    p->bare = true;
    p->name = rules_name_of(p->path, p->arena);
    p->rules = arena_alloc(p->arena, sizeof *p->rules);
    p->points = POLICY_REQUEST | POLICY_PLAN | POLICY_DESTROY;
    p->rules[0] = (struct policy_rule){.name = p->name, .severity = POLICY_DENY, .points = p->points, .approval = {.role = "approver"}};
    p->n_rules = 1;
}

static int read_body(lua_State *L)
{
    struct reading *r = lua_touserdata(L, 1);
    luaL_checkstack(L, 30, NULL);
    sandbox_push_chunk(r->s, r->p->code);
    r->end = sandbox_call(r->s, 0, r->p->arena, &r->why);
    if (r->end != POLICY_DECIDED)
        return 0;
    if (lua_type(L, -1) == LUA_TFUNCTION)
        read_bare(r->p);
    else if (lua_type(L, -1) == LUA_TTABLE)
        read_table(L, r->p);
    else
        luaL_error(L, "a policy returns a table with name, points and rules, or a function; this one returns a %s", lua_typename(L, lua_type(L, -1)));
    return 0;
}

static int describe(struct policy *p, struct err *e)
{
    struct sandbox *s = NULL;
    int r = sandbox_new(NULL, &s, e);
    if (!r)
        r = sandbox_load(s, p->code, e);
    if (!r) {
        struct reading reading = {.s = s, .p = p};
        const char *why = "";
        sandbox_begin(s, NULL);
        enum policy_end end = sandbox_protect(s, read_body, &reading, p->arena, &why);
        if (end != POLICY_DECIDED)
            r = err_set(e, ERR_INVALID, "%s", why);
        else if (reading.end != POLICY_DECIDED)
            r = err_set(e, ERR_INVALID, "%s", reading.why);
    }
    sandbox_free(s);
    return r;
}

int policy_read(const char *path, const void *text, size_t len, struct policy **ret, struct err *e)
{
    struct arena *a = arena_new();
    struct policy *p = arena_alloc(a, sizeof *p);
    struct err own = ERR_INIT;
    p->arena = a;
    p->path = arena_strdup(a, path);
    crypto_sha256(text ? text : "", len, p->digest);
    int r = policy_compile(path, text, len, &p->code, &own);
    if (!r)
        r = describe(p, &own);
    if (r) {
        policy_code_free(p->code);
        p->code = NULL;
        p->n_rules = 0;
        p->points = POLICY_REQUEST | POLICY_PLAN | POLICY_DESTROY | POLICY_REVEAL;
        p->name = rules_name_of(path, a);
        p->broken = arena_strdup(a, own.msg);
        if (e)
            *e = own;
    }
    *ret = p;
    return r;
}

void policy_free(struct policy *p)
{
    if (!p)
        return;
    policy_code_free(p->code);
    arena_free(p->arena);
}
