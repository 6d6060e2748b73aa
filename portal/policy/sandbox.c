/* The complication: Lua unwinds by longjmp. So all work on a state happens inside sandbox_protect(), and what must survive an error lies in struct sandbox. */
#include "portal/policy/sandbox.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "portal/core/log.h"
#include "portal/policy/code.h"

static const char environment_key, globals_key; /* their addresses name places in the registry */

struct sandbox *sandbox_of(lua_State *L)
{
    return *(struct sandbox **)lua_getextraspace(L);
}

int64_t sandbox_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The script's own line nearest to where it stands: host functions have none. Allocates nothing, so it may be asked in the middle of an allocation. */
static int current_line(lua_State *L)
{
    lua_Debug at;
    for (int level = 0; level < 250 && lua_getstack(L, level, &at); level++)
        if (lua_getinfo(L, "l", &at) && at.currentline > 0)
            return at.currentline;
    return 0;
}

static void *allocate(void *arg, void *p, size_t old, size_t size)
{
    struct sandbox *s = arg;
    if (!p)
        old = 0; /* then it tells the kind of object */
    if (!size) {
        s->used -= old;
        free(p);
        return NULL;
    }
    if (size > old && s->used + (size - old) > s->limits.heap) {
        if (s->running && s->L)
            s->line = current_line(s->L); /* no handler is called for want of memory */
        return NULL;
    }
    void *grown = realloc(p, size);
    if (grown)
        s->used += size - old;
    return grown;
}

static _Noreturn void stop(lua_State *L, struct sandbox *s)
{
    lua_Hook hook = lua_gethook(L);
    s->stop = POLICY_STOPPED;
    lua_sethook(L, hook, LUA_MASKCOUNT, 1); /* should it live on somehow, it is stopped again at its next instruction */
    lua_pushliteral(L, "stopped");
    lua_error(L);
    abort();
}

static void check_budget(lua_State *L, struct sandbox *s)
{
    if (s->stop == POLICY_STOPPED || s->spent > s->limits.instructions)
        stop(L, s);
    if (++s->hooks >= 10) {
        s->hooks = 0;
        if (sandbox_now_us() > s->deadline_us) {
            s->late = true;
            stop(L, s);
        }
    }
}

static void count_hook(lua_State *L, lua_Debug *at)
{
    (void)at;
    struct sandbox *s = sandbox_of(L);
    s->spent += SANDBOX_STEP;
    check_budget(L, s);
}

void sandbox_charge(lua_State *L, size_t n)
{
    struct sandbox *s = sandbox_of(L);
    s->spent += (int64_t)n;
    check_budget(L, s);
}

static int panic(lua_State *L)
{
    (void)L;
    log_error("an error left the sandbox of policies; the process ends");
    abort();
}

/* ---- making one ---- */

static int open_body(lua_State *L)
{
    value_open(L);
    library_open(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &environment_key);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &globals_key);
    return 0;
}

static struct policy_limits with_defaults(const struct policy_limits *given)
{
    struct policy_limits l = given ? *given : (struct policy_limits){0};
    if (!l.instructions)
        l.instructions = 2000000;
    if (!l.wall_ms)
        l.wall_ms = 200;
    if (!l.heap)
        l.heap = (size_t)8 << 20;
    return l;
}

int sandbox_new(const struct policy_limits *limits, struct sandbox **ret, struct err *e)
{
    struct sandbox *s = calloc(1, sizeof *s);
    s->limits = with_defaults(limits);
    s->bounds = VALUE_BOUNDS_DECISION;
    s->L = lua_newstate(allocate, s);
    if (!s->L) {
        free(s);
        return err_set(e, ERR_NOMEM, "a sandbox of %zu bytes is too small for the language itself", with_defaults(limits).heap);
    }
    lua_atpanic(s->L, panic);
    *(struct sandbox **)lua_getextraspace(s->L) = s;
    lua_pushcfunction(s->L, open_body);
    if (lua_pcall(s->L, 0, 0, 0)) {
        sandbox_free(s);
        return err_set(e, ERR_NOMEM, "a sandbox of %zu bytes is too small for the language itself", with_defaults(limits).heap);
    }
    *ret = s;
    return 0;
}

void sandbox_free(struct sandbox *s)
{
    if (!s)
        return;
    json_decref(s->value);
    lua_close(s->L);
    free(s);
}

/* ---- code ---- */

static int load_body(lua_State *L)
{
    const struct policy_code *code = lua_touserdata(L, 1);
    if (luaL_loadbufferx(L, code->bytes.data, code->bytes.len, "=policy", "b"))
        lua_error(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, code);
    return 0;
}

int sandbox_load(struct sandbox *s, const struct policy_code *code, struct err *e)
{
    ARENA_AUTO a = arena_new();
    const char *why = "";
    sandbox_begin(s, NULL);
    enum policy_end end = sandbox_protect(s, load_body, (void *)(uintptr_t)code, a, &why);
    return end == POLICY_DECIDED ? 0 : err_set(e, ERR_INVALID, "%s:1: it cannot be loaded: %s", code->path, why);
}

static int unload_body(lua_State *L)
{
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, lua_touserdata(L, 1));
    return 0;
}

void sandbox_unload(struct sandbox *s, const struct policy_code *code)
{
    ARENA_AUTO a = arena_new();
    const char *why = "";
    sandbox_begin(s, NULL);
    sandbox_protect(s, unload_body, (void *)(uintptr_t)code, a, &why);
}

void sandbox_push_chunk(struct sandbox *s, const struct policy_code *code)
{
    s->code = code;
    lua_rawgetp(s->L, LUA_REGISTRYINDEX, code);
    lua_rawgetp(s->L, LUA_REGISTRYINDEX, &environment_key);
    lua_setupvalue(s->L, -2, 1); /* a script may have put another one there in its last run */
}

/* ---- running ---- */

static int data_body(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &globals_key);
    const json_t *data = lua_touserdata(L, 1);
    if (data)
        value_push(L, data);
    else
        lua_pushnil(L);
    lua_setfield(L, -2, "data");
    return 0;
}

void sandbox_begin(struct sandbox *s, const json_t *data)
{
    s->spent = 0;
    s->hooks = 0;
    s->stop = POLICY_DECIDED;
    s->late = s->sorting = false;
    s->line = 0;
    s->refusal = NULL;
    s->deadline_us = sandbox_now_us() + s->limits.wall_ms * 1000;
    lua_sethook(s->L, count_hook, LUA_MASKCOUNT, SANDBOX_STEP);
    lua_settop(s->L, 0);
    lua_pushcfunction(s->L, data_body);
    lua_pushlightuserdata(s->L, (void *)(uintptr_t)data);
    if (lua_pcall(s->L, 1, 0, 0))
        lua_settop(s->L, 0);
}

static int note_line(lua_State *L)
{
    struct sandbox *s = sandbox_of(L);
    s->line = current_line(L);
    return 1;
}

/* Its own "policy:12: " in front is taken off and tells the line; nothing is called to make text of what is no text. */
static const char *read_error(struct sandbox *s, struct arena *a)
{
    lua_State *L = s->L;
    if (lua_type(L, -1) != LUA_TSTRING)
        return arena_printf(a, "it raised an error that is no text but a %s", lua_isnoneornil(L, -1) ? "nil" : lua_typename(L, lua_type(L, -1)));
    size_t n;
    const char *text = lua_tolstring(L, -1, &n);
    if (n > 7 && !memcmp(text, "policy:", 7)) {
        char *end = NULL;
        long line = strtol(text + 7, &end, 10);
        if (end > text + 7 && end[0] == ':' && end[1] == ' ') {
            s->line = (int)line;
            n -= (size_t)(end + 2 - text);
            text = end + 2;
        }
    }
    char *clean = arena_strndup(a, text, n < 500 ? n : 500);
    for (char *p = clean; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    return clean;
}

static enum policy_end how_ended(const struct sandbox *s, int status)
{
    return s->stop != POLICY_DECIDED ? s->stop : !status ? POLICY_DECIDED : status == LUA_ERRMEM ? POLICY_MEMORY : POLICY_ERROR;
}

static const char *words(struct sandbox *s, enum policy_end end, struct arena *a)
{
    const char *what = end == POLICY_STOPPED && s->late ? arena_printf(a, "it was stopped after %lld ms", (long long)s->limits.wall_ms)
                       : end == POLICY_STOPPED          ? arena_printf(a, "it was stopped after %lld instructions", (long long)s->limits.instructions)
                       : end == POLICY_MEMORY           ? arena_printf(a, "it needs more than %zu KiB of memory", s->limits.heap / 1024)
                       : end == POLICY_REFUSED          ? s->refusal
                                                        : read_error(s, a);
    if (!s->code)
        return what;
    return arena_printf(a, "%s:%d: %s", s->code->path, s->line > 0 ? s->line : 1, what);
}

enum policy_end sandbox_call(struct sandbox *s, int n_args, struct arena *a, const char **ret_why)
{
    lua_State *L = s->L;
    int base = lua_gettop(L) - n_args;
    lua_pushcfunction(L, note_line);
    lua_insert(L, base);
    bool was_running = s->running;
    s->running = true;
    s->line = 0;
    int status = lua_pcall(L, n_args, 1, base);
    s->running = was_running;
    s->sorting = false;
    lua_remove(L, base);
    enum policy_end end = how_ended(s, status);
    if (end == POLICY_DECIDED)
        return end;
    *ret_why = words(s, end, a);
    lua_settop(L, base - 1);
    return end;
}

enum policy_end sandbox_protect(struct sandbox *s, lua_CFunction body, void *arg, struct arena *a, const char **ret_why)
{
    lua_State *L = s->L;
    lua_settop(L, 0);
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, arg);
    int status = lua_pcall(L, 1, 0, 0);
    enum policy_end end = how_ended(s, status);
    if (end != POLICY_DECIDED)
        *ret_why = words(s, end, a);
    lua_settop(L, 0);
    json_decref(s->value);
    s->value = NULL;
    return end;
}

const char *policy_end_name(enum policy_end end)
{
    static const char *const names[] = {"decided", "stopped", "memory", "error", "refused", "load_error"};
    return names[end];
}

/* ---- a chunk as it is ---- */

struct raw_run { struct sandbox *s; const struct policy_code *code; const json_t *input, *data; int calls; struct arena *arena; enum policy_end end; const char *why; json_t *value; };

static int take_answer(struct raw_run *r, lua_State *L)
{
    json_decref(r->value);
    r->value = value_take(r->s, L, -1);
    if (r->value)
        return 0;
    r->end = POLICY_REFUSED;
    r->why = arena_printf(r->arena, "%s:1: %s", r->code->path, r->s->refusal);
    return 1;
}

static int raw_body(lua_State *L)
{
    struct raw_run *r = lua_touserdata(L, 1);
    sandbox_push_chunk(r->s, r->code);
    r->end = sandbox_call(r->s, 0, r->arena, &r->why);
    if (r->end != POLICY_DECIDED)
        return 0;
    if (lua_type(L, -1) != LUA_TFUNCTION)
        return take_answer(r, L), 0;
    for (int i = 0; i < r->calls; i++) {
        lua_settop(L, 1);
        if (i > 0) { /* a fresh run each time: what the last call left in upvalues is not there any more */
            sandbox_begin(r->s, r->data);
            lua_pushlightuserdata(L, r);
        }
        sandbox_push_chunk(r->s, r->code);
        r->end = sandbox_call(r->s, 0, r->arena, &r->why);
        if (r->end != POLICY_DECIDED)
            return 0;
        if (r->input)
            value_push(L, r->input);
        else
            lua_pushnil(L);
        r->end = sandbox_call(r->s, 1, r->arena, &r->why);
        if (r->end != POLICY_DECIDED || take_answer(r, L))
            return 0;
    }
    return 0;
}

enum policy_end policy_run(const struct policy_code *code, const struct policy_limits *limits, const json_t *input, const json_t *data, int calls, struct arena *a,
                           json_t **ret_value, const char **ret_why)
{
    struct sandbox *s = NULL;
    struct err e = ERR_INIT;
    if (sandbox_new(limits, &s, &e) || sandbox_load(s, code, &e)) {
        sandbox_free(s);
        *ret_why = arena_strdup(a, e.msg);
        return POLICY_LOAD_ERROR;
    }
    struct raw_run r = {.s = s, .code = code, .input = input, .data = data, .calls = calls, .arena = a};
    sandbox_begin(s, data);
    enum policy_end end = sandbox_protect(s, raw_body, &r, a, &r.why);
    if (end == POLICY_DECIDED)
        end = r.end;
    sandbox_free(s);
    if (end == POLICY_DECIDED)
        *ret_value = r.value;
    else
        json_decref(r.value);
    *ret_why = r.why;
    return end;
}
