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

enum policy_severity { POLICY_ALLOW, POLICY_ADVISORY, POLICY_WARN, POLICY_APPROVE, POLICY_DENY }; /* the worst counts */
const char *policy_severity_name(enum policy_severity s); /* "allow", "advisory", "warn", "approve", "deny" */

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

/* ---- a policy: what a file's chunk returns ---- */

struct policy_approval { const char *role, *team; int count; int64_t hours; }; /* team NULL: the order's; count and hours 0: the platform's default */

struct policy_rule {
    const char *name, *title;
    enum policy_severity severity;
    unsigned points;                   /* mask of enum policy_point */
    struct policy_approval approval;   /* of POLICY_APPROVE */
};

struct policy {
    const char *name, *title, *path;
    unsigned points;                   /* of all its rules */
    struct policy_rule *rules;
    size_t n_rules;
    bool bare;                         /* the chunk returns the rule's function itself */
    uint8_t digest[32];                /* SHA-256 of the text */
    const char *broken;                /* "path:line: why" of a file that cannot be read as a policy; then it has no code, and denies */
    struct policy_code *code;
    struct arena *arena;
};

/* Reads a policy's text. ERR_INVALID with "path:line: ..."; then *ret is a policy all the same, one that is `broken`, named after its file. */
int policy_read(const char *path, const void *text, size_t len, struct policy **ret, struct err *e);
void policy_free(struct policy *p); /* takes NULL */

struct policy_decision {
    const char *rule, *message, *path; /* path: of what it is about, e.g. a resource's address; or NULL */
    enum policy_severity severity;
    struct policy_approval approval;
};

struct policy_trace {                  /* what one rule did */
    const char *rule, *outcome;        /* "passed", "fired", "failed", "not run" */
    int64_t instructions, us;          /* instructions in steps of a hundred */
};

struct policy_result {                 /* names are the policy's, everything else lies in the arena of the call */
    const char *policy;
    enum policy_severity outcome;      /* the worst of its decisions; POLICY_DENY when it failed */
    enum policy_end end;               /* anything but POLICY_DECIDED: it failed */
    const char *why;                   /* then "path:line: what" */
    struct policy_decision *decisions;
    size_t n_decisions;
    struct policy_trace *traces;
    size_t n_traces;
    int64_t instructions, us;
};

/* Asks the rules of `p` that have this point. Never fails: a policy that does is a result that denies. One call at a time for each sandbox. */
struct sandbox;
void policy_decide(struct sandbox *s, const struct policy *p, enum policy_point point, const json_t *input, const json_t *data, struct arena *a, struct policy_result *ret);
/* The same in a sandbox of its own, for tools. */
int policy_decide_once(const struct policy *p, enum policy_point point, const json_t *input, const json_t *data, struct arena *a, struct policy_result *ret, struct err *e);
/* As JSON: {"policy","outcome","error","decisions":[],"rules":[],"instructions","us"}, and back (from a child process; ERR_INVALID). */
void policy_result_write(const struct policy_result *r, struct buf *out);
int policy_result_parse(const json_t *v, struct arena *a, struct policy_result *ret, struct err *e);

/* ---- offline: a folder of policies with their tests ---- */

/* The input that every policy is given at `point`, complete, with plain values: a new object. `over` (may be NULL) is laid over it, objects member by member. */
json_t *policy_sample_input(enum policy_point point, const json_t *over);

struct policy_report {
    struct arena *arena;                               /* owned by the report */
    struct policy_line { const char *where, *what; bool bad; } *lines; /* one for each test, and for what is missing or wrong */
    size_t n_lines;
    size_t policies, rules, passed, failed, untested;  /* untested: rules that no test made fire, or that none saw pass */
    int64_t instructions;
};

/* Tests every policy below `dir`: NAME.lua by NAME_test.lua beside it, with the data of data.json there. 0 whatever was found: look at `failed`.
 * ERR_NOT_FOUND: no such folder, or no policy in it; ERR_IO; ERR_INVALID: data.json cannot be read. */
int policy_test_dir(const char *dir, struct policy_report *ret, struct err *e);
void policy_report_done(struct policy_report *r);
