/* JSON as scripts see it: a container is a light userdata whose value is the jansson value itself, so nothing is copied, two looks at one thing are equal, and
 * there is nothing to write to. One metatable serves them all. */
#include "portal/policy/sandbox.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "portal/json/json.h"

void value_push(lua_State *L, const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        lua_pushlightuserdata(L, (void *)(uintptr_t)v);
        break;
    case JSON_STRING:
        sandbox_charge(L, json_string_length(v) / 64);
        lua_pushlstring(L, json_string_value(v), json_string_length(v));
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(v));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(v));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(v));
        break;
    default:
        lua_pushnil(L);
    }
}

const json_t *value_record(lua_State *L, int i)
{
    return lua_islightuserdata(L, i) ? lua_touserdata(L, i) : NULL;
}

/* ---- what the language asks of a record ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names what is there, so that the author sees the word that was meant. */
static _Noreturn void no_such_field(lua_State *L, const json_t *object, const char *key)
{
    enum { SHOWN = 12 };
    const char *shown[SHOWN], *name;
    size_t n = 0;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)object, name, member) {
        if (n < SHOWN)
            shown[n++] = name;
    }
    qsort(shown, n, sizeof *shown, by_text);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (size_t i = 0; i < n; i++) {
        luaL_addstring(&b, i ? ", " : "");
        luaL_addlstring(&b, shown[i], strnlen(shown[i], 40));
    }
    if (json_object_size(object) > SHOWN)
        luaL_addstring(&b, ", ...");
    luaL_pushresult(&b);
    const char *there = n ? lua_tostring(L, -1) : "nothing";
    lua_pushlstring(L, key, strnlen(key, 60));
    luaL_error(L, "there is no field `%s` here; there is: %s. What may be absent is asked for with get() or has()", lua_tostring(L, -1), there);
    abort();
}

static int index_object(lua_State *L, const json_t *object)
{
    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "a field's name is a text, this is a %s", lua_typename(L, lua_type(L, 2)));
    const char *key = lua_tostring(L, 2);
    const json_t *v = json_object_get(object, key);
    if (!v)
        no_such_field(L, object, key);
    value_push(L, v);
    return 1;
}

static int index_record(lua_State *L)
{
    const json_t *v = lua_touserdata(L, 1);
    if (json_is_object(v))
        return index_object(L, v);
    if (!lua_isinteger(L, 2))
        return luaL_error(L, "this is a list: its elements have numbers, there is no `%s`", lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : lua_typename(L, lua_type(L, 2)));
    lua_Integer i = lua_tointeger(L, 2);
    if (i < 1 || (size_t)i > json_array_size(v))
        return luaL_error(L, "there is no element %I: the list has %I", (LUAI_UACINT)i, (LUAI_UACINT)json_array_size(v));
    value_push(L, json_array_get(v, (size_t)i - 1));
    return 1;
}

static int write_record(lua_State *L)
{
    return luaL_error(L, "input and data are read-only");
}

static int length_of_record(lua_State *L)
{
    const json_t *v = lua_touserdata(L, 1);
    if (!json_is_array(v) && json_object_size(v))
        return luaL_error(L, "# is for texts and lists; count() counts the fields of a record");
    lua_pushinteger(L, (lua_Integer)json_array_size(v));
    return 1;
}

void value_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"__index", index_record}, {"__newindex", write_record}, {"__len", length_of_record}, {0}};
    lua_pushlightuserdata(L, NULL);
    luaL_newlib(L, functions);
    lua_setmetatable(L, -2); /* of all light userdata */
    lua_pop(L, 1);
}

/* ---- what scripts answer ---- */

static bool refuse(struct sandbox *s, const char *why)
{
    s->refusal = why;
    return false;
}

static bool add(struct sandbox *s, json_t *parent, const char *key, json_t *v)
{
    if (++s->value_nodes > s->bounds.nodes) {
        json_decref(v);
        return refuse(s, "its answer is refused: it has too many values (at most 4096)");
    }
    if (!parent)
        s->value = v;
    else if (key ? json_object_set_new(parent, key, v) : json_array_append_new(parent, v))
        return refuse(s, "its answer is refused: the name of a field is no UTF-8");
    return true;
}

static bool take(struct sandbox *s, lua_State *L, int i, int depth, json_t *parent, const char *key);

static bool take_fields(struct sandbox *s, lua_State *L, int i, int depth, json_t *object)
{
    lua_pushnil(L);
    while (lua_next(L, i)) {
        size_t n;
        if (lua_type(L, -2) != LUA_TSTRING)
            return refuse(s, "its answer is refused: a table with other keys than 1, 2, 3, ... must have names for keys");
        const char *name = lua_tolstring(L, -2, &n);
        s->value_bytes += n;
        if (strlen(name) != n)
            return refuse(s, "its answer is refused: the name of a field holds a zero byte");
        if (!take(s, L, lua_gettop(L), depth, object, name))
            return false;
        lua_pop(L, 1);
    }
    return true;
}

static size_t count_fields(lua_State *L, int i)
{
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1))
        n++;
    return n;
}

static bool take_table(struct sandbox *s, lua_State *L, int i, int depth, json_t *parent, const char *key)
{
    size_t n = lua_rawlen(L, i);
    if (depth >= s->bounds.depth)
        return refuse(s, "its answer is refused: it is nested too deep (at most 8), or contains itself");
    if (!lua_checkstack(L, 8))
        return refuse(s, "its answer is refused: it is nested too deep");
    if (n > s->bounds.nodes)
        return refuse(s, "its answer is refused: it has too many values (at most 4096)");
    bool list = n > 0 && count_fields(L, i) == n;
    json_t *made = list ? json_array() : json_object();
    if (!add(s, parent, key, made))
        return false;
    if (!list)
        return take_fields(s, L, i, depth + 1, made);
    for (size_t k = 1; k <= n; k++) {
        lua_rawgeti(L, i, (lua_Integer)k);
        if (!take(s, L, lua_gettop(L), depth + 1, made, NULL))
            return false;
        lua_pop(L, 1);
    }
    return true;
}

static bool take_record(struct sandbox *s, const json_t *v, int depth, json_t *parent, const char *key)
{
    const char *name;
    size_t i;
    json_t *member;
    if (!json_is_object(v) && !json_is_array(v)) {
        s->value_bytes += json_string_length(v);
        if (s->value_bytes > s->bounds.bytes)
            return refuse(s, "its answer is refused: it is longer than 64 KiB");
        return add(s, parent, key, json_deep_copy(v));
    }
    if (depth >= s->bounds.depth)
        return refuse(s, "its answer is refused: it is nested too deep (at most 8), or contains itself");
    json_t *made = json_is_object(v) ? json_object() : json_array();
    if (!add(s, parent, key, made))
        return false;
    json_object_foreach((json_t *)(uintptr_t)v, name, member) {
        s->value_bytes += strlen(name);
        if (!take_record(s, member, depth + 1, made, name))
            return false;
    }
    json_array_foreach((json_t *)(uintptr_t)v, i, member)
        if (!take_record(s, member, depth + 1, made, NULL))
            return false;
    return true;
}

static bool take_number(struct sandbox *s, lua_State *L, int i, json_t *parent, const char *key)
{
    if (lua_isinteger(L, i))
        return add(s, parent, key, json_integer(lua_tointeger(L, i)));
    json_t *real = json_real(lua_tonumber(L, i));
    return real ? add(s, parent, key, real) : refuse(s, "its answer is refused: it holds a number that is none, or infinite");
}

static bool take(struct sandbox *s, lua_State *L, int i, int depth, json_t *parent, const char *key)
{
    size_t n;
    const char *text;
    switch (lua_type(L, i)) {
    case LUA_TNIL:
        return add(s, parent, key, json_null());
    case LUA_TBOOLEAN:
        return add(s, parent, key, json_boolean(lua_toboolean(L, i)));
    case LUA_TNUMBER:
        return take_number(s, L, i, parent, key);
    case LUA_TSTRING:
        text = lua_tolstring(L, i, &n);
        s->value_bytes += n;
        if (s->value_bytes > s->bounds.bytes)
            return refuse(s, "its answer is refused: it is longer than 64 KiB");
        return add(s, parent, key, json_textn(text, n));
    case LUA_TTABLE:
        return take_table(s, L, i, depth, parent, key);
    case LUA_TLIGHTUSERDATA:
        return take_record(s, lua_touserdata(L, i), depth, parent, key);
    default:
        return refuse(s, "its answer is refused: it holds a function");
    }
}

json_t *value_take(struct sandbox *s, lua_State *L, int i)
{
    json_decref(s->value); /* left by an error in the middle of an earlier one */
    s->value = NULL;
    s->value_bytes = s->value_nodes = 0;
    bool taken = take(s, L, lua_absindex(L, i), 0, NULL, NULL);
    json_t *v = s->value;
    s->value = NULL;
    if (taken)
        return v;
    json_decref(v);
    return NULL;
}
