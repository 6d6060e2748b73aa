/* One Lua state in which nothing but arithmetic on its input can happen.
 *
 * What a script reaches is built from nothing: the functions of library.c, its input and data as read-only records, and no way to change any of it. An
 * unknown name is an error, be it a global, a library function or a field of the input. Each evaluation runs the chunk anew, so nothing a script did before
 * is left. Limits: instructions (a hook that, once they are used up, comes back at the next instruction), wall time, heap. The host never calls back into
 * a script to read what it left: errors and decisions are read raw.
 *
 * Only bytecode that policy_compile() made of text in this process is loaded. Thread: one at a time for each sandbox; the JSON values given are borrowed and
 * only read. */
#pragma once
#include <jansson.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "portal/core/arena.h"
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include "portal/policy/policy.h"

#define SANDBOX_STEP 100            /* instructions are counted in steps of so many */

struct value_bounds { size_t bytes, nodes; int depth; }; /* of what a script may answer with: bytes of text, values, nesting */
#define VALUE_BOUNDS_DECISION ((struct value_bounds){65536, 4096, 8})
#define VALUE_BOUNDS_TESTS ((struct value_bounds){1 << 20, 65536, 40})

struct sandbox {
    lua_State *L;
    struct policy_limits limits;
    size_t used;                     /* bytes of the heap */
    int64_t spent, deadline_us;
    int hooks;                       /* since the clock was looked at */
    enum policy_end stop;            /* POLICY_STOPPED once the budget or the time is gone */
    bool running, sorting, late;
    int line;                        /* of the script, where it failed last; 0: nowhere in it */
    const struct policy_code *code;  /* whose chunk runs */
    json_t *value;                   /* an answer while it is read */
    size_t value_bytes, value_nodes;
    struct value_bounds bounds;      /* VALUE_BOUNDS_DECISION unless the maker says otherwise */
    const char *refusal;             /* why the host does not take it */
};

int sandbox_new(const struct policy_limits *limits, struct sandbox **ret, struct err *e);
void sandbox_free(struct sandbox *s); /* takes NULL */
/* Makes a compiled policy callable in this sandbox; the code must live as long. */
int sandbox_load(struct sandbox *s, const struct policy_code *code, struct err *e);
/* Takes it out again. */
void sandbox_unload(struct sandbox *s, const struct policy_code *code);

/* A fresh budget, and the data that scripts see (NULL: none yet). */
void sandbox_begin(struct sandbox *s, const json_t *data);
/* Runs `body` protected, with `arg` as its light userdata argument, from an empty stack. How it ended; *ret_why (arena) is then "file:line: what". */
enum policy_end sandbox_protect(struct sandbox *s, lua_CFunction body, void *arg, struct arena *a, const char **ret_why);
/* (inside a body) As sandbox_protect for the function and its `n_args` arguments on the stack: one result is left there when it ends well, none otherwise. */
enum policy_end sandbox_call(struct sandbox *s, int n_args, struct arena *a, const char **ret_why);
/* (inside a body) Pushes the chunk's function with its environment as it was on the first day. */
void sandbox_push_chunk(struct sandbox *s, const struct policy_code *code);

struct sandbox *sandbox_of(lua_State *L);
/* Work of the host on a script's behalf, in instructions; raises when the budget is gone. */
void sandbox_charge(lua_State *L, size_t n);
int64_t sandbox_now_us(void);

/* value.c: the input as scripts see it, and what they answer with. */
void value_open(lua_State *L);                    /* the metatable of records; inside a body */
void value_push(lua_State *L, const json_t *v);   /* containers as read-only records, null as nil */
const json_t *value_record(lua_State *L, int i);  /* the record at i, or NULL when it is none */
/* The value at i as JSON, read raw and within s->bounds: owned by the caller. NULL: the host refuses it, s->refusal says why. */
json_t *value_take(struct sandbox *s, lua_State *L, int i);

/* library.c: the functions scripts have. inside a body */
void library_open(lua_State *L);                  /* leaves the environment on the stack, and below it the table that holds the globals */
