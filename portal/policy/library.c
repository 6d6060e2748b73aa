/* The functions that scripts have. Each does work that its arguments bound, charges for it, keeps to raw access, and answers the same in every process:
 * no addresses, no clocks, no order of a hash table. What a policy has no use for is missing, and its name is answered with what to use instead. */
#include "portal/policy/sandbox.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/json/json.h"
#include "portal/policy/library.h"

/* ---- names that are not there ---- */

static const char *instead(const char *name)
{
    static const struct { const char *name, *hint; } hints[] = {
        {"print", "a policy has no output but its decisions"},
        {"next", "use pairs, which goes in the order of the keys, or count"},
        {"os", "the time is input.now"},
        {"load", "a policy is the text that was published, and no other"},
        {"setmetatable", "there are no metatables"},
        {"find", "patterns are left out; use contains, starts_with, ends_with, glob, split"},
        {"match", "patterns are left out; use contains, starts_with, ends_with, glob, split"},
        {"gmatch", "patterns are left out; use contains, starts_with, ends_with, glob, split"},
        {"gsub", "patterns are left out; use replace, split and table.concat"},
        {"random", "the same input must give the same decision"},
    };
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (!strcmp(hints[i].name, name))
            return hints[i].hint;
    return "docs/policies.md lists what there is";
}

/* upvalue 1: "" or "string." and the like */
static int no_such_name(lua_State *L)
{
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
    const char *library = lua_tostring(L, lua_upvalueindex(1));
    if (!*library && !strcmp(name, "data"))
        return luaL_error(L, "there is no `data` while a policy is being read; look things up inside the rule");
    return luaL_error(L, "there is no `%s%s`: %s", library, name, instead(name));
}

static int no_writing(lua_State *L)
{
    return luaL_error(L, "`%s` cannot be set: nothing outlives a decision; declare it `local`", lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?");
}

/* ---- base ---- */

static bool is_table(lua_State *L, int i)
{
    return lua_type(L, i) == LUA_TTABLE;
}

void library_need_table(lua_State *L, int i)
{
    luaL_checktype(L, i, LUA_TTABLE);
    if (lua_getmetatable(L, i))
        luaL_error(L, "the libraries are read-only");
}

static const char *type_name(lua_State *L, int i)
{
    return lua_islightuserdata(L, i) ? "table" : luaL_typename(L, i);
}

static int base_type(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushstring(L, type_name(L, 1));
    return 1;
}

void library_tostring(lua_State *L, int i)
{
    switch (lua_type(L, i)) {
    case LUA_TNUMBER:
    case LUA_TSTRING:
        lua_pushvalue(L, i);
        lua_tostring(L, -1);
        break;
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, i) ? "true" : "false");
        break;
    default:
        lua_pushstring(L, type_name(L, i)); /* never where it lies */
    }
}

static int base_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    library_tostring(L, 1);
    return 1;
}

static int base_tonumber(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_type(L, 1) == LUA_TNUMBER) {
        lua_settop(L, 1);
        return 1;
    }
    size_t n = 0;
    const char *text = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &n) : NULL;
    if (!text || n > 200 || lua_stringtonumber(L, text) != n + 1)
        lua_pushnil(L);
    return 1;
}

static int base_error(lua_State *L)
{
    int level = (int)luaL_optinteger(L, 2, 1);
    lua_settop(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING && level > 0 && level < 100) {
        luaL_where(L, level);
        lua_pushvalue(L, 1);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int base_assert(lua_State *L)
{
    if (lua_toboolean(L, 1))
        return lua_gettop(L);
    luaL_checkany(L, 1);
    return luaL_error(L, "%s", lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "assertion failed");
}

/* Calls, and catches nothing: a policy that hides an error would go on with half an answer. */
static int base_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    lua_pushboolean(L, true);
    lua_insert(L, 1);
    return lua_gettop(L);
}

static int base_xpcall(lua_State *L)
{
    luaL_checkany(L, 2);
    lua_remove(L, 2);
    return base_pcall(L);
}

static int base_select(lua_State *L)
{
    int n = lua_gettop(L);
    if (lua_type(L, 1) == LUA_TSTRING && !strcmp(lua_tostring(L, 1), "#")) {
        lua_pushinteger(L, n - 1);
        return 1;
    }
    lua_Integer i = luaL_checkinteger(L, 1);
    luaL_argcheck(L, i >= 1, 1, "counts from 1");
    return i >= n ? 0 : n - (int)i;
}

/* The element of a list, table or record; whether there is one. Pushes nil when not. */
static bool push_element(lua_State *L, int i, lua_Integer k)
{
    const json_t *v = value_record(L, i);
    if (!v)
        return lua_rawgeti(L, i, k) != LUA_TNIL;
    bool there = k >= 1 && (size_t)k <= json_array_size(v);
    if (there)
        value_push(L, json_array_get(v, (size_t)k - 1));
    else
        lua_pushnil(L);
    return there;
}

static int step_ipairs(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, 2) + 1;
    if (!is_table(L, 1) && !value_record(L, 1))
        return luaL_error(L, "ipairs goes through lists");
    lua_pushinteger(L, i);
    return push_element(L, 1, i) ? 2 : (lua_pushnil(L), 1);
}

static void need_list(lua_State *L, int i)
{
    const json_t *v = value_record(L, i);
    if (v && !json_is_array(v) && json_object_size(v)) /* an empty one may have been meant as a list */
        luaL_error(L, "this is a record with named fields; a list is needed (pairs goes through fields)");
    if (!v)
        luaL_checktype(L, i, LUA_TTABLE);
}

static int base_ipairs(lua_State *L)
{
    need_list(L, 1);
    lua_pushcfunction(L, step_ipairs);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

struct key { const char *text; size_t len; lua_Number number; lua_Integer integer; bool whole; };

static int compare_keys(const void *x, const void *y)
{
    const struct key *a = x, *b = y;
    if (!a->text != !b->text)
        return a->text ? 1 : -1; /* numbers first */
    if (!a->text)
        return a->whole && b->whole ? (a->integer > b->integer) - (a->integer < b->integer) : (a->number > b->number) - (a->number < b->number);
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static size_t count_of(lua_State *L, int i)
{
    const json_t *v = value_record(L, i);
    size_t n = 0;
    if (v)
        return json_is_array(v) ? json_array_size(v) : json_object_size(v);
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1))
        n++;
    return n;
}

static void collect_table_keys(lua_State *L, int i, struct key *keys)
{
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1), keys++) {
        if (lua_type(L, -2) == LUA_TSTRING)
            keys->text = lua_tolstring(L, -2, &keys->len);
        else if (lua_type(L, -2) == LUA_TNUMBER) {
            keys->whole = lua_isinteger(L, -2);
            keys->integer = lua_tointeger(L, -2);
            keys->number = lua_tonumber(L, -2);
        } else
            luaL_error(L, "a key is a %s: only texts and numbers have an order to go through", type_name(L, -2));
    }
}

static void collect_record_keys(const json_t *v, struct key *keys)
{
    const char *name;
    json_t *member;
    size_t i = 0;
    json_object_foreach((json_t *)(uintptr_t)v, name, member) {
        keys[i].text = name;
        keys[i++].len = strlen(name);
    }
    for (i = 0; i < json_array_size(v); i++)
        keys[i] = (struct key){.whole = true, .integer = (lua_Integer)i + 1, .number = (lua_Number)(i + 1)};
}

/* Pushes a list of the keys of what is at i, in order. */
void library_push_keys(lua_State *L, int i)
{
    size_t n = count_of(L, i);
    sandbox_charge(L, n * 4);
    luaL_checkstack(L, 8, NULL);
    struct key *keys = lua_newuserdatauv(L, (n + 1) * sizeof *keys, 0);
    memset(keys, 0, (n + 1) * sizeof *keys);
    if (value_record(L, i))
        collect_record_keys(value_record(L, i), keys);
    else
        collect_table_keys(L, i, keys);
    qsort(keys, n, sizeof *keys, compare_keys);
    lua_createtable(L, (int)n, 0);
    for (size_t k = 0; k < n; k++) {
        if (keys[k].text)
            lua_pushlstring(L, keys[k].text, keys[k].len);
        else if (keys[k].whole)
            lua_pushinteger(L, keys[k].integer);
        else
            lua_pushnumber(L, keys[k].number);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    lua_remove(L, -2);
}

/* What is there under the key on top, which it takes; nil when nothing is. */
static bool push_raw(lua_State *L, int i)
{
    const json_t *v = value_record(L, i), *member = NULL;
    if (!v) {
        bool there = lua_rawget(L, i) != LUA_TNIL;
        return there;
    }
    if (json_is_object(v) && lua_type(L, -1) == LUA_TSTRING)
        member = json_object_get(v, lua_tostring(L, -1));
    else if (json_is_array(v) && lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1)
        member = json_array_get(v, (size_t)lua_tointeger(L, -1) - 1);
    lua_pop(L, 1);
    if (member)
        value_push(L, member);
    else
        lua_pushnil(L);
    return member != NULL;
}

/* upvalues: the thing, its keys, how far */
static int step_pairs(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(3)) + 1;
    lua_settop(L, 0);
    lua_pushinteger(L, i);
    lua_copy(L, 1, lua_upvalueindex(3));
    if (lua_rawgeti(L, lua_upvalueindex(2), i) == LUA_TNIL)
        return 1;
    lua_pushvalue(L, -1);
    push_raw(L, lua_upvalueindex(1));
    return 2;
}

static void need_table_or_record(lua_State *L, int i)
{
    if (!value_record(L, i))
        luaL_checktype(L, i, LUA_TTABLE);
}

static int base_pairs(lua_State *L)
{
    need_table_or_record(L, 1);
    lua_settop(L, 1);
    library_push_keys(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, step_pairs, 3);
    return 1;
}

static int base_keys(lua_State *L)
{
    need_table_or_record(L, 1);
    lua_settop(L, 1);
    library_push_keys(L, 1);
    return 1;
}

static int base_count(lua_State *L)
{
    need_table_or_record(L, 1);
    size_t n = count_of(L, 1);
    sandbox_charge(L, n / 8);
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
}

static int base_has(lua_State *L)
{
    need_table_or_record(L, 1);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    push_raw(L, 1);
    lua_pushboolean(L, !lua_isnil(L, -1));
    return 1;
}

static int base_get(lua_State *L)
{
    need_table_or_record(L, 1);
    luaL_checkany(L, 2);
    lua_settop(L, 3);
    lua_pushvalue(L, 2);
    push_raw(L, 1);
    if (lua_isnil(L, -1))
        lua_pushvalue(L, 3);
    return 1;
}

static int base_dig(lua_State *L)
{
    int n = lua_gettop(L);
    luaL_checkany(L, 2);
    lua_pushvalue(L, 1);
    for (int i = 2; i <= n; i++) {
        if (!is_table(L, -1) && !value_record(L, -1)) {
            lua_pushnil(L);
            return 1;
        }
        lua_pushvalue(L, i);
        push_raw(L, lua_absindex(L, -2));
        lua_remove(L, -2);
    }
    return 1;
}

static int base_includes(lua_State *L)
{
    need_list(L, 1);
    luaL_checkany(L, 2);
    for (lua_Integer i = 1; push_element(L, 1, i); i++, lua_settop(L, 2)) {
        sandbox_charge(L, 1);
        if (lua_rawequal(L, -1, 2)) {
            lua_pushboolean(L, true);
            return 1;
        }
    }
    lua_pushboolean(L, false);
    return 1;
}

/* ---- documents in a text, such as a bucket's policy ---- */

#define DOCUMENT_MAX 262144

static void push_copy(lua_State *L, const json_t *v)
{
    const char *name;
    size_t i;
    json_t *member;
    luaL_checkstack(L, 4, NULL);
    sandbox_charge(L, 4);
    if (!json_is_object(v) && !json_is_array(v)) {
        value_push(L, v);
        return;
    }
    lua_createtable(L, (int)json_array_size(v), (int)json_object_size(v));
    json_object_foreach((json_t *)(uintptr_t)v, name, member) {
        push_copy(L, member);
        lua_setfield(L, -2, name);
    }
    json_array_foreach((json_t *)(uintptr_t)v, i, member) {
        push_copy(L, member);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static int base_from_json(lua_State *L)
{
    struct sandbox *s = sandbox_of(L);
    size_t n;
    luaL_checktype(L, 1, LUA_TSTRING);
    const char *text = lua_tolstring(L, 1, &n);
    sandbox_charge(L, n / 4);
    json_decref(s->value); /* held there, so that it goes whatever happens here */
    s->value = NULL;
    if (n > DOCUMENT_MAX)
        return luaL_error(L, "from_json reads at most %d bytes", DOCUMENT_MAX);
    if (json_read(text, n, 32, &s->value, NULL)) {
        s->value = NULL;
        lua_pushnil(L);
        return 1;
    }
    push_copy(L, s->value);
    json_decref(s->value);
    s->value = NULL;
    return 1;
}

/* ---- math ---- */

static int math_abs(lua_State *L)
{
    if (lua_isinteger(L, 1)) {
        lua_Integer i = lua_tointeger(L, 1);
        lua_pushinteger(L, i < 0 ? (lua_Integer)(0u - (lua_Unsigned)i) : i);
    } else
        lua_pushnumber(L, fabs(luaL_checknumber(L, 1)));
    return 1;
}

static int push_rounded(lua_State *L, lua_Number n)
{
    lua_Integer whole;
    if (lua_numbertointeger(n, &whole))
        lua_pushinteger(L, whole);
    else
        lua_pushnumber(L, n);
    return 1;
}

static int math_floor(lua_State *L)
{
    return lua_isinteger(L, 1) ? (lua_settop(L, 1), 1) : push_rounded(L, floor(luaL_checknumber(L, 1)));
}

static int math_ceil(lua_State *L)
{
    return lua_isinteger(L, 1) ? (lua_settop(L, 1), 1) : push_rounded(L, ceil(luaL_checknumber(L, 1)));
}

static int extreme(lua_State *L, bool greatest)
{
    int best = 1, n = lua_gettop(L);
    luaL_checknumber(L, 1);
    for (int i = 2; i <= n; i++) {
        luaL_checknumber(L, i);
        if (greatest ? lua_compare(L, best, i, LUA_OPLT) : lua_compare(L, i, best, LUA_OPLT))
            best = i;
    }
    lua_pushvalue(L, best);
    return 1;
}

static int math_max(lua_State *L) { return extreme(L, true); }
static int math_min(lua_State *L) { return extreme(L, false); }

static int math_tointeger(lua_State *L)
{
    int whole;
    lua_Integer i = lua_tointegerx(L, 1, &whole);
    if (whole && lua_type(L, 1) == LUA_TNUMBER)
        lua_pushinteger(L, i);
    else
        lua_pushnil(L);
    return 1;
}

static int math_type(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_type(L, 1) == LUA_TNUMBER)
        lua_pushstring(L, lua_isinteger(L, 1) ? "integer" : "float");
    else
        lua_pushnil(L);
    return 1;
}

/* ---- putting it together ---- */

static const luaL_Reg base_functions[] = {
    {"assert", base_assert}, {"error", base_error},   {"ipairs", base_ipairs}, {"pairs", base_pairs}, {"pcall", base_pcall}, {"xpcall", base_xpcall}, {"select", base_select}, {"tonumber", base_tonumber},
    {"tostring", base_tostring}, {"type", base_type}, {"count", base_count},   {"dig", base_dig}, {"from_json", base_from_json}, {"get", base_get},       {"has", base_has},
    {"includes", base_includes}, {"keys", base_keys}, {0},
};

static const luaL_Reg math_functions[] = {
    {"abs", math_abs}, {"ceil", math_ceil}, {"floor", math_floor}, {"max", math_max}, {"min", math_min}, {"tointeger", math_tointeger}, {"type", math_type}, {0},
};

/* The table on top answers unknown names with an error from now on. */
static void be_strict(lua_State *L, const char *library)
{
    lua_createtable(L, 0, 1);
    lua_pushstring(L, library);
    lua_pushcclosure(L, no_such_name, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

/* Replaces the table on top by an empty one in front of it, which cannot be written to. */
static void be_read_only(lua_State *L)
{
    lua_createtable(L, 0, 0);
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, no_writing);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}

/* Into the table on top. */
static void add_library(lua_State *L, const char *name, const char *prefix, const luaL_Reg *functions)
{
    lua_createtable(L, 0, 16);
    luaL_setfuncs(L, functions, 0);
    if (!strcmp(name, "math")) {
        lua_pushnumber(L, HUGE_VAL);
        lua_setfield(L, -2, "huge");
        lua_pushinteger(L, LUA_MAXINTEGER);
        lua_setfield(L, -2, "maxinteger");
        lua_pushinteger(L, LUA_MININTEGER);
        lua_setfield(L, -2, "mininteger");
    }
    be_strict(L, prefix);
    if (!strcmp(name, "string")) { /* what text:upper() finds */
        lua_pushliteral(L, "");
        lua_createtable(L, 0, 1);
        lua_pushvalue(L, -3);
        lua_setfield(L, -2, "__index");
        lua_setmetatable(L, -2);
        lua_pop(L, 1);
    }
    be_read_only(L);
    lua_setfield(L, -2, name);
}

void library_open(lua_State *L)
{
    lua_createtable(L, 0, 24); /* the globals */
    luaL_setfuncs(L, base_functions, 0);
    add_library(L, "string", "string.", library_string);
    add_library(L, "table", "table.", library_table);
    add_library(L, "math", "math.", math_functions);
    be_strict(L, "");
    lua_pushvalue(L, -1);
    be_read_only(L);
}
