/* Text to bytecode. The parser has had its bugs, so it works in a state of its own that is thrown away, with a limit on source and heap. */
#include "portal/policy/code.h"
#include "portal/policy/sandbox.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

struct parse { const char *text; size_t len; struct policy_code *code; const char *what; int line; char message[400]; };

static int write_bytes(lua_State *L, const void *p, size_t n, void *arg)
{
    (void)L;
    buf_add(arg, p, n);
    return 0;
}

/* "policy:12: unexpected symbol near 'x'", as the parser says it. */
static void keep_message(struct parse *p, const char *text)
{
    const char *rest = text && !strncmp(text, "policy:", 7) ? text + 7 : NULL;
    char *end = NULL;
    p->line = rest ? (int)strtol(rest, &end, 10) : 1;
    snprintf(p->message, sizeof p->message, "%s", end && !strncmp(end, ": ", 2) ? end + 2 : text ? text : "it cannot be read");
}

static int parse_body(lua_State *L)
{
    struct parse *p = lua_touserdata(L, 1);
    if (luaL_loadbufferx(L, p->text, p->len, "=policy", "t")) {
        keep_message(p, lua_tostring(L, -1));
        return 0;
    }
    lua_dump(L, write_bytes, &p->code->bytes, 0);
    return 0;
}

static int parse(struct parse *p, struct err *e)
{
    struct sandbox *s = NULL;
    ARENA_AUTO a = arena_new();
    const char *why = "";
    int r = sandbox_new(NULL, &s, e);
    if (r)
        return r;
    sandbox_begin(s, NULL);
    enum policy_end end = sandbox_protect(s, parse_body, p, a, &why);
    sandbox_free(s);
    if (end != POLICY_DECIDED)
        return err_set(e, ERR_INVALID, "%s:1: it takes more memory to read than a policy may use", p->code->path);
    return p->line ? err_set(e, ERR_INVALID, "%s:%d: %s", p->code->path, p->line, p->message) : 0;
}

int policy_compile(const char *path, const void *text, size_t len, struct policy_code **ret, struct err *e)
{
    if (len > POLICY_SOURCE_MAX)
        return err_set(e, ERR_INVALID, "%s:1: a policy has at most %zu KiB; this file has %zu", path, POLICY_SOURCE_MAX / 1024, len / 1024);
    if (len && *(const char *)text == '\x1b')
        return err_set(e, ERR_INVALID, "%s:1: this is bytecode; a policy is text", path);
    struct policy_code *c = calloc(1, sizeof *c);
    c->path = strdup(path);
    struct parse p = {.text = text, .len = len, .code = c};
    int r = parse(&p, e);
    if (r)
        policy_code_free(c);
    else
        *ret = c;
    return r;
}

void policy_code_free(struct policy_code *c)
{
    if (!c)
        return;
    free(c->path);
    buf_done(&c->bytes);
    free(c);
}
