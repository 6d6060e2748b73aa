/* Policies: rules in Lua that say what is allowed, at five points of the house. docs/policies.md is the guide for those who write them.
 *
 * A policy is one file: name, points, rules; each rule a pure function from a read-only input to decisions. It runs in a sandbox with budgets; one that fails,
 * in whatever way, denies and says where. Policies come from git repositories; a *version* is one file of one commit, kept in PostgreSQL. What is in force at one
 * moment is a *bundle*, swapped whole, whose digest stands in every decision. `lua/` of this project is the repository `built-in`, embedded at build time.
 *
 * Compiling and deciding need neither database nor git: the offline half serves the command line and the tests. Built-in policies run in this process, those of
 * other repositories in child processes (child.c). Threads: any that may block, unless said otherwise. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "portal/core/arena.h"
#include "portal/core/buf.h"
#include "portal/core/err.h"

/* ---- one file ---- */

struct policy_limits {
    int64_t instructions;   /* of one decision of one policy, in the virtual machine and for what the host does for it; 0: 2,000,000 */
    int64_t wall_ms;        /* 0: 200 */
    size_t heap;            /* bytes; 0: 8 MiB */
};

enum policy_end {           /* how a run of a script ended */
    POLICY_DECIDED,
    POLICY_STOPPED,         /* by the limit of instructions or time */
    POLICY_MEMORY,          /* by the limit of its heap */
    POLICY_ERROR,           /* by an error of its own */
    POLICY_REFUSED,         /* it answered with what the host does not take */
    POLICY_LOAD_ERROR,      /* it did not come to run */
};
const char *policy_end_name(enum policy_end end); /* "decided", "stopped", "memory", "error", "refused", "load_error" */

enum policy_point { POLICY_REQUEST = 1, POLICY_PLAN = 2, POLICY_DESTROY = 4, POLICY_REVEAL = 8, POLICY_ROUTE = 16, POLICY_ALL_POINTS = 31 };
const char *policy_point_name(enum policy_point p);
unsigned policy_point_parse(const char *name);    /* 0: there is none of that name */

enum policy_severity { POLICY_ADVISORY, POLICY_WARN, POLICY_APPROVE, POLICY_DENY }; /* the worst counts */
const char *policy_severity_name(enum policy_severity s);

#define POLICY_SOURCE_MAX ((size_t)128 * 1024)
#define POLICY_RULES_MAX 64

struct policy_code;
/* Text to bytecode, in a state that is thrown away. ERR_INVALID whose words begin with "path:line: ". The path is copied. */
int policy_compile(const char *path, const void *text, size_t len, struct policy_code **ret, struct err *e);
void policy_code_free(struct policy_code *c); /* takes NULL */

/* Runs a chunk as it is, for tools and tests: if it returns a function, that is called `calls` times with `input`. *ret_value is the last answer (owned), NULL
 * unless it ended POLICY_DECIDED; *ret_why (arena) says why not. */
enum policy_end policy_run(const struct policy_code *code, const struct policy_limits *limits, const json_t *input, const json_t *data, int calls, struct arena *a,
                           json_t **ret_value, const char **ret_why);
