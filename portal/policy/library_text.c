/* Texts and tables of scripts. No patterns: a matcher that backtracks runs where no limit reaches it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/policy/library.h"
#include "portal/policy/sandbox.h"

#define REPEAT_MAX 65536   /* bytes that string.rep makes at most */
#define UNPACK_MAX 200

static const char *text_arg(lua_State *L, int i, size_t *ret_len)
{
    if (lua_type(L, i) != LUA_TSTRING)
        luaL_error(L, "argument %d must be a text, it is a %s", i, lua_islightuserdata(L, i) ? "table" : luaL_typename(L, i));
    const char *s = lua_tolstring(L, i, ret_len);
    sandbox_charge(L, *ret_len / 64);
    return s;
}

static int string_len(lua_State *L)
{
    size_t n;
    text_arg(L, 1, &n);
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
}

/* A position as the language counts: from 1, from the end when negative. */
static size_t position(lua_Integer i, size_t len)
{
    if (i >= 0)
        return (size_t)i;
    return (lua_Unsigned)-(i + 1) >= len ? 0 : len - (size_t)(-(i + 1));
}

static int string_sub(lua_State *L)
{
    size_t n;
    const char *s = text_arg(L, 1, &n);
    size_t from = position(luaL_checkinteger(L, 2), n), to = position(luaL_optinteger(L, 3, -1), n);
    if (from < 1)
        from = 1;
    if (to > n)
        to = n;
    if (from > to)
        lua_pushliteral(L, "");
    else
        lua_pushlstring(L, s + from - 1, to - from + 1);
    return 1;
}

static int mapped(lua_State *L, char first, char last, int by)
{
    size_t n;
    const char *s = text_arg(L, 1, &n);
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, n);
    for (size_t i = 0; i < n; i++)
        out[i] = s[i] >= first && s[i] <= last ? (char)(s[i] + by) : s[i];
    luaL_pushresultsize(&b, n);
    return 1;
}

static int string_upper(lua_State *L) { return mapped(L, 'a', 'z', 'A' - 'a'); }
static int string_lower(lua_State *L) { return mapped(L, 'A', 'Z', 'a' - 'A'); }

static int string_rep(lua_State *L)
{
    size_t n, m = 0;
    const char *s = text_arg(L, 1, &n), *between = lua_isnoneornil(L, 3) ? "" : text_arg(L, 3, &m);
    lua_Integer times = luaL_checkinteger(L, 2);
    if (times <= 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if (times > REPEAT_MAX || (n + m) * (size_t)times > REPEAT_MAX)
        return luaL_error(L, "string.rep makes at most %d bytes", REPEAT_MAX);
    sandbox_charge(L, (n + m) * (size_t)times / 16);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (lua_Integer i = 0; i < times; i++) {
        if (i)
            luaL_addlstring(&b, between, m);
        luaL_addlstring(&b, s, n);
    }
    luaL_pushresult(&b);
    return 1;
}

static int string_byte(lua_State *L)
{
    size_t n;
    const char *s = text_arg(L, 1, &n);
    size_t at = position(luaL_optinteger(L, 2, 1), n);
    if (at < 1 || at > n)
        return 0;
    lua_pushinteger(L, (unsigned char)s[at - 1]);
    return 1;
}

static int string_starts_with(lua_State *L)
{
    size_t n, m;
    const char *s = text_arg(L, 1, &n), *part = text_arg(L, 2, &m);
    lua_pushboolean(L, m <= n && !memcmp(s, part, m));
    return 1;
}

static int string_ends_with(lua_State *L)
{
    size_t n, m;
    const char *s = text_arg(L, 1, &n), *part = text_arg(L, 2, &m);
    lua_pushboolean(L, m <= n && !memcmp(s + n - m, part, m));
    return 1;
}

static int string_contains(lua_State *L)
{
    size_t n, m;
    const char *s = text_arg(L, 1, &n), *part = text_arg(L, 2, &m);
    sandbox_charge(L, n / 16);
    lua_pushboolean(L, memmem(s, n, part, m) != NULL);
    return 1;
}

/* `*` any run of bytes, `?` one, `\` takes the next as it is. Each star is tried again only until the next one matches, so the work is n times m at most; it is
 * charged as it is done. */
static bool glob(lua_State *L, const char *s, size_t n, const char *p, size_t m)
{
    size_t i = 0, j = 0, star = SIZE_MAX, mark = 0, steps = 0;
    while (i < n) {
        if (++steps % 1024 == 0)
            sandbox_charge(L, 1024);
        bool literal = j + 1 < m && p[j] == '\\';
        if (j < m && p[j] == '*') {
            star = j++;
            mark = i;
        } else if (j < m && (literal ? p[j + 1] == s[i] : p[j] == '?' || p[j] == s[i])) {
            j += literal ? 2 : 1;
            i++;
        } else if (star != SIZE_MAX) {
            j = star + 1;
            i = ++mark;
        } else
            return false;
    }
    while (j < m && p[j] == '*')
        j++;
    return j == m;
}

static int string_glob(lua_State *L)
{
    size_t n, m;
    const char *s = text_arg(L, 1, &n), *p = text_arg(L, 2, &m);
    lua_pushboolean(L, glob(L, s, n, p, m));
    return 1;
}

static int string_split(lua_State *L)
{
    size_t n, m;
    const char *s = text_arg(L, 1, &n), *by = text_arg(L, 2, &m), *end = s + n, *at;
    luaL_argcheck(L, m > 0, 2, "must not be empty");
    lua_newtable(L);
    lua_Integer i = 1;
    for (; (at = memmem(s, (size_t)(end - s), by, m)); s = at + m) {
        sandbox_charge(L, 4);
        lua_pushlstring(L, s, (size_t)(at - s));
        lua_rawseti(L, -2, i++);
    }
    lua_pushlstring(L, s, (size_t)(end - s));
    lua_rawseti(L, -2, i);
    return 1;
}

static int string_replace(lua_State *L)
{
    size_t n, m, k;
    const char *s = text_arg(L, 1, &n), *what = text_arg(L, 2, &m), *with = text_arg(L, 3, &k), *end = s + n, *at;
    luaL_argcheck(L, m > 0, 2, "must not be empty");
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (; (at = memmem(s, (size_t)(end - s), what, m)); s = at + m) {
        sandbox_charge(L, 4 + k / 16);
        luaL_addlstring(&b, s, (size_t)(at - s));
        luaL_addlstring(&b, with, k);
    }
    luaL_addlstring(&b, s, (size_t)(end - s));
    luaL_pushresult(&b);
    return 1;
}

static int string_trim(lua_State *L)
{
    size_t n;
    const char *s = text_arg(L, 1, &n);
    while (n && strchr(" \t\r\n", s[n - 1]) && s[n - 1])
        n--;
    while (n && *s && strchr(" \t\r\n", *s)) {
        s++;
        n--;
    }
    lua_pushlstring(L, s, n);
    return 1;
}

/* ---- format ---- */

/* "%-8.2f": flags, at most two digits of width, at most two of precision. Returns behind the letter. */
static const char *read_spec(lua_State *L, const char *p, const char *end, char spec[16])
{
    size_t n = 0;
    spec[n++] = '%';
    for (int i = 0; i < 3 && p < end && *p && strchr("-+ 0", *p); i++)
        spec[n++] = *p++;
    for (int i = 0; i < 2 && p < end && *p >= '0' && *p <= '9'; i++)
        spec[n++] = *p++;
    if (p < end && *p == '.') {
        spec[n++] = *p++;
        for (int i = 0; i < 2 && p < end && *p >= '0' && *p <= '9'; i++)
            spec[n++] = *p++;
    }
    if (p >= end || !*p || !strchr("sdifgx", *p))
        luaL_error(L, "string.format knows %%s %%d %%f %%g %%x and %%%%, with at most two digits of width and precision");
    spec[n] = 0;
    return p;
}

static void format_one(lua_State *L, luaL_Buffer *b, const char *spec, char letter, int arg)
{
    char out[512], whole[24];
    if (letter == 's') {
        luaL_checkany(L, arg);
        library_tostring(L, arg);
        if (spec[1])
            luaL_error(L, "string.format takes no width for %%s");
        luaL_addvalue(b);
        return;
    }
    if (letter == 'f' || letter == 'g') {
        snprintf(whole, sizeof whole, "%s%c", spec, letter);
        snprintf(out, sizeof out, whole, luaL_checknumber(L, arg));
    } else {
        snprintf(whole, sizeof whole, "%sll%c", spec, letter);
        snprintf(out, sizeof out, whole, (long long)luaL_checkinteger(L, arg));
    }
    luaL_addstring(b, out);
}

static int string_format(lua_State *L)
{
    size_t n;
    const char *p = text_arg(L, 1, &n), *end = p + n;
    int arg = 1, given = lua_gettop(L);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    while (p < end) {
        char spec[16];
        if (*p != '%') {
            luaL_addchar(&b, *p++);
            continue;
        }
        if (p + 1 < end && p[1] == '%') {
            luaL_addchar(&b, '%');
            p += 2;
            continue;
        }
        sandbox_charge(L, 4);
        p = read_spec(L, p + 1, end, spec);
        if (++arg > given)
            return luaL_error(L, "string.format was given too few values");
        format_one(L, &b, spec, *p++, arg);
    }
    luaL_pushresult(&b);
    return 1;
}

const luaL_Reg library_string[] = {
    {"byte", string_byte}, {"contains", string_contains}, {"ends_with", string_ends_with}, {"format", string_format}, {"glob", string_glob}, {"len", string_len},
    {"lower", string_lower}, {"rep", string_rep}, {"replace", string_replace}, {"split", string_split}, {"starts_with", string_starts_with}, {"sub", string_sub},
    {"trim", string_trim}, {"upper", string_upper}, {0},
};

/* ---- tables ---- */

static int table_insert(lua_State *L)
{
    library_need_table(L, 1);
    lua_Integer n = (lua_Integer)lua_rawlen(L, 1), at = n + 1;
    int top = lua_gettop(L);
    if (top != 2 && top != 3)
        return luaL_error(L, "table.insert takes a list, perhaps a position, and a value");
    if (top == 3) {
        at = luaL_checkinteger(L, 2);
        luaL_argcheck(L, at >= 1 && at <= n + 1, 2, "is out of the list");
        sandbox_charge(L, (size_t)(n + 1 - at));
        for (lua_Integer i = n + 1; i > at; i--) {
            lua_rawgeti(L, 1, i - 1);
            lua_rawseti(L, 1, i);
        }
    }
    lua_pushvalue(L, top);
    lua_rawseti(L, 1, at);
    return 0;
}

static int table_remove(lua_State *L)
{
    library_need_table(L, 1);
    lua_Integer n = (lua_Integer)lua_rawlen(L, 1), at = luaL_optinteger(L, 2, n);
    if (n == 0)
        return 0;
    luaL_argcheck(L, at >= 1 && at <= n, 2, "is out of the list");
    sandbox_charge(L, (size_t)(n - at));
    lua_rawgeti(L, 1, at);
    for (lua_Integer i = at; i < n; i++) {
        lua_rawgeti(L, 1, i + 1);
        lua_rawseti(L, 1, i);
    }
    lua_pushnil(L);
    lua_rawseti(L, 1, n);
    return 1;
}

static int table_concat(lua_State *L)
{
    const json_t *record = value_record(L, 1);
    size_t m = 0;
    if (!record)
        library_need_table(L, 1);
    const char *between = lua_isnoneornil(L, 2) ? "" : text_arg(L, 2, &m);
    lua_Integer n = record ? (lua_Integer)json_array_size(record) : (lua_Integer)lua_rawlen(L, 1);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (lua_Integer i = 1; i <= n; i++) {
        if (record)
            value_push(L, json_array_get(record, (size_t)i - 1));
        else
            lua_rawgeti(L, 1, i);
        if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
            return luaL_error(L, "element %d of the list is a %s and no text", (int)i, luaL_typename(L, -1));
        sandbox_charge(L, 1 + lua_rawlen(L, -1) / 64);
        luaL_addvalue(&b);
        if (i < n)
            luaL_addlstring(&b, between, m);
    }
    luaL_pushresult(&b);
    return 1;
}

static int table_unpack(lua_State *L)
{
    const json_t *record = value_record(L, 1);
    if (!record)
        library_need_table(L, 1);
    size_t n = record ? json_array_size(record) : lua_rawlen(L, 1);
    if (n > UNPACK_MAX)
        return luaL_error(L, "table.unpack gives at most %d values", UNPACK_MAX);
    luaL_checkstack(L, (int)n + 2, NULL);
    for (size_t i = 1; i <= n; i++) {
        if (record)
            value_push(L, json_array_get(record, i - 1));
        else
            lua_rawgeti(L, 1, (lua_Integer)i);
    }
    return (int)n;
}

/* Whether the value at a comes strictly before the one at b; index 2 is the script's comparison or nil. */
static bool before(lua_State *L, int a, int b)
{
    sandbox_charge(L, 1);
    if (lua_isnil(L, 2))
        return lua_compare(L, a, b, LUA_OPLT);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, a < 0 ? a - 1 : a);
    lua_pushvalue(L, b < 0 ? b - 2 : b);
    lua_call(L, 2, 1);
    bool yes = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return yes;
}

/* Merges [low, middle) and [middle, high) of the table `from` into `to`. */
static void merge(lua_State *L, int from, int to, lua_Integer low, lua_Integer middle, lua_Integer high)
{
    lua_Integer a = low, b = middle;
    for (lua_Integer out = low; out < high; out++) {
        bool left;
        if (a >= middle || b >= high)
            left = a < middle;
        else {
            lua_rawgeti(L, from, a);
            lua_rawgeti(L, from, b);
            left = !before(L, -1, -2); /* equal ones keep their order */
            lua_pop(L, 2);
        }
        lua_rawgeti(L, from, left ? a++ : b++);
        lua_rawseti(L, to, out);
    }
}

/* A merge sort: bounded whatever the comparison says, and the same in every process. */
static int table_sort(lua_State *L)
{
    struct sandbox *s = sandbox_of(L);
    library_need_table(L, 1);
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TFUNCTION);
    if (s->sorting)
        return luaL_error(L, "table.sort cannot be called by a comparison of table.sort");
    lua_settop(L, 2);
    lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
    s->sorting = true;
    lua_createtable(L, n < 100000 ? (int)n : 100000, 0);
    int from = 1, to = 3;
    for (lua_Integer width = 1; width < n; width *= 2) {
        for (lua_Integer low = 1; low <= n; low += 2 * width) {
            lua_Integer middle = low + width > n + 1 ? n + 1 : low + width, high = low + 2 * width > n + 1 ? n + 1 : low + 2 * width;
            merge(L, from, to, low, middle, high);
        }
        from = from == 1 ? 3 : 1;
        to = to == 1 ? 3 : 1;
    }
    for (lua_Integer i = 1; from == 3 && i <= n; i++) {
        lua_rawgeti(L, 3, i);
        lua_rawseti(L, 1, i);
    }
    s->sorting = false;
    return 0;
}

const luaL_Reg library_table[] = {
    {"concat", table_concat}, {"insert", table_insert}, {"remove", table_remove}, {"sort", table_sort}, {"unpack", table_unpack}, {0},
};
