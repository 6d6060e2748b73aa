/* Soma's plugin ABI, version 1. This header is all that a plugin includes.
 *
 * A plugin is a shared object that exports one symbol, the constant `soma_plugin_v1`: who it is, the tables of what it brings, and its functions.
 *
 *     static int hello(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret)
 *     {
 *         ret->body = soma_format(c, "{\"hello\":\"%s\"}", q->person);
 *         return 0;
 *     }
 *     static const struct soma_route routes[] = {{.method = "GET", .pattern = "/api/v1/greeter/hello", .operation = "greeterHello", .need = "viewer", .fn = hello}};
 *     SOMA_PLUGIN = {SOMA_PLUGIN_HEAD, .name = "greeter", .version = "1.0.0", .routes = routes, .n_routes = SOMA_COUNT(routes)};
 *
 * Versions. The host refuses another major version, and a minor version above its own. Within a major version structs grow at their end only, and what was
 * there keeps its meaning. SOMA_PLUGIN_HEAD carries the sizes of all structs as this plugin was compiled; the host compares them before its first call.
 *
 * Where code runs. The same object runs inside the node (fast; a crash ends that role's process, which is started anew) or, with `isolate: true` in plugin.yaml, in a
 * child process (a crash or a hang fails the call alone). So all that crosses is values and text, and pointers given to a call end with that call.
 * A node has two processes: `serve` answers routes, `work` asks gates and runs jobs and events. A plugin is loaded in both; they share PostgreSQL and nothing else.
 *
 * Threads. Every function but start, stop, init and done is called by several threads at once. Statics that change need a lock.
 *
 * Memory. What a call gets belongs to the host and lives until the call returns. What it returns comes from the call's arena (soma_alloc, soma_format), from a constant,
 * or from the call's own input. Nothing is freed. What shall outlive the call is the plugin's own (malloc), freed by its done().
 *
 * Errors. Functions return 0 or a negative enum soma_error. `return soma_fail(c, SOMA_INVALID, "...", ...)` says why: what happened, why, what to do next.
 * Host functions that fail have set the call's words already, so `return r;` is right. A failed call's words go to the caller (routes: a problem document; gates: the
 * decision "deny"; jobs: the next try) and to the node's log. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SOMA_ABI_MAGIC 0x534f4d41u
#define SOMA_ABI_MAJOR 1
#define SOMA_ABI_MINOR 0
#define SOMA_COUNT(table) (sizeof(table) / sizeof *(table))

/* The words are the node's own: each becomes the HTTP status behind it. */
enum soma_error {
    SOMA_INVALID = -1,          /* the input is wrong: 400; 422 once soma_fail_field named a field */
    SOMA_UNAUTHENTICATED = -2,  /* 401 */
    SOMA_DENIED = -3,           /* 403 */
    SOMA_NOT_FOUND = -4,        /* 404 */
    SOMA_CONFLICT = -5,         /* 409: taken, or in the wrong state; also a unique constraint */
    SOMA_PRECONDITION = -6,     /* 412 */
    SOMA_TOO_LARGE = -7,        /* 413 */
    SOMA_RATE = -8,             /* 429 */
    SOMA_UNAVAILABLE = -9,      /* 503: something is away for now */
    SOMA_TIMEOUT = -10,         /* 504 */
    SOMA_FENCED = -11,          /* of a job: another worker has it; end at once, nothing more may be written */
    SOMA_IO = -12,
    SOMA_NOMEM = -13,
    SOMA_CANCELED = -14,
    SOMA_INTERNAL = -15,        /* 500: a defect of the plugin */
    SOMA_REQUIRED = -16,        /* 428 */
};

enum soma_level { SOMA_DEBUG, SOMA_INFO, SOMA_WARN, SOMA_ERROR };

/* In which of a node's processes something lives. */
enum soma_where { SOMA_SERVE = 1, SOMA_WORK = 2, SOMA_BOTH = 3 };

struct soma_host;
struct soma_rows; /* the host's: rows of a query; live until the call returns */

/* One call of a plugin's function. The host makes it; a plugin reads these fields and hands the pointer on. */
struct soma_call {
    uint32_t size;
    uint32_t where;             /* SOMA_SERVE or SOMA_WORK: the process this runs in */
    const struct soma_host *host;
    void *self;                 /* what init() left; NULL before */
    const char *plugin;         /* its name */
    const char *version;
    int64_t deadline_ms;        /* by host->mono_ms; beyond it an isolated call is killed. Host functions refuse with SOMA_TIMEOUT then */
};

/* A value for the database: text in PostgreSQL's own form; NULL is SQL null. Cast in the statement: `$1::numeric`. */
typedef const char *soma_value;

struct soma_field { const char *key, *value; };

/* ---- routes: SOMA_SERVE ---- */

struct soma_pair { const char *name, *value; };
struct soma_team_roles { const char *team; const char *roles; /* "viewer developer": words with a blank between */ };

struct soma_request {
    uint32_t size;
    const char *method, *pattern, *path;
    const struct soma_pair *params; size_t n_params;    /* of the pattern, decoded */
    const struct soma_pair *query; size_t n_query;      /* decoded, in their order */
    const struct soma_pair *headers; size_t n_headers;  /* those that the route's `headers` names and the request has */
    const char *body; size_t body_len;                  /* NUL-terminated behind body_len; JSON was checked against the plugin's openapi.yaml */
    const char *request_id;
    const char *actor;          /* id of the account that asks; NULL: nobody is signed in */
    const char *actor_name;     /* its login name */
    const char *person_id;      /* the person behind it */
    const char *person;         /* that person's login name */
    const char *roles;          /* held everywhere: "viewer platform-admin"; "" */
    const struct soma_team_roles *teams; size_t n_teams;
    bool service_account;
};

struct soma_reply {
    uint32_t size;
    int status;                 /* 200 */
    const char *content_type;   /* NULL: application/json */
    const char *body; size_t body_len; /* body_len 0 with a body: strlen(body) */
    const struct soma_pair *headers; size_t n_headers;
};

enum soma_route_flags {
    SOMA_IDEMPOTENT = 1,        /* the Idempotency-Key is honoured: for writes */
    SOMA_KEY_REQUIRED = 2,      /* ... and must be there */
    SOMA_RAW_BODY = 4,          /* the body is not JSON */
    SOMA_NO_CSRF = 8,           /* for webhooks */
    SOMA_SECRET_BODY = 16,      /* wiped after the request; the stored answer is sealed */
};

struct soma_route {
    const char *method;         /* GET, POST, PUT, PATCH, DELETE */
    const char *pattern;        /* "/api/v1/<plugin>/budgets/{id}"; a last "{name*}" takes the rest */
    const char *operation;      /* operationId in the plugin's openapi.yaml, which must describe every route, and no more */
    const char *need;           /* "public", "signed-in", "viewer", "developer", "approver", "platform-admin" (held somewhere: ask soma_may() for the team), "scope:<name>" */
    int (*fn)(struct soma_call *c, const struct soma_request *q, struct soma_reply *ret);
    uint32_t flags;             /* enum soma_route_flags */
    uint32_t body_max;          /* bytes; 0: 1 MiB; at most 64 MiB */
    uint32_t deadline_ms;       /* 0: 10,000 */
    const char *headers;        /* names of the headers it wants, with commas; NULL: none. Authorization and Cookie are never given */
};

/* ---- gates: SOMA_WORK (a reveal: SOMA_SERVE) ---- */

enum soma_point { SOMA_AT_REQUEST = 1, SOMA_AT_PLAN = 2, SOMA_AT_DESTROY = 4, SOMA_AT_REVEAL = 8 };
enum soma_outcome { SOMA_ALLOW, SOMA_WARNING, SOMA_APPROVE, SOMA_DENY }; /* the worst of a point counts */

/* `input` is one JSON object:
 *   {"point": "request"|"plan"|"destroy"|"reveal", "order": id|null, "kind": "create"|"change"|"destroy"|"reveal",
 *    "service": {"id": id|null, "name": text}, "template": text, "environment": text, "team": text, "person": text, "cost_centre": text,
 *    "parameters": {...}, "plan": {...}|null (at plan: `show -json`, everything sensitive masked), "resources_after": n,
 *    "decisions": [{"gate", "outcome", "message", "detail"}]}   those of the gates before this one at this point, e.g. the estimate
 * A later minor version may add members. */
struct soma_gate_input { uint32_t size; uint32_t point; const char *input; size_t input_len; };

struct soma_verdict {
    uint32_t size;
    int outcome;                /* enum soma_outcome; set to SOMA_ALLOW by the host */
    const char *message;        /* for the orderer: why, and what to do next. Needed unless it allows */
    const char *detail;         /* JSON object, kept with the decision and shown to later gates; NULL */
    /* With SOMA_APPROVE: who may approve. The orderer never may. */
    const char *approver_role;  /* NULL: "approver" */
    const char *approver_team;  /* NULL: the order's team */
    int approvals;              /* how many persons; 0: one */
    bool four_eyes;             /* each approver differs from all who touched the order */
    int64_t expires_in_s;       /* 0: the installation's own */
};

/* All gates of a point are asked, in the order of their number. One that returns an error, or that is not there though its plugin is enabled, denies. */
struct soma_gate {
    const char *name, *title;   /* "budget" */
    uint32_t points;            /* mask of enum soma_point */
    int32_t number;             /* its place: 0..999. Built-in: quotas 100 and 200, protected environments 900; an estimate belongs at 300, a budget at 400 */
    int (*decide)(struct soma_call *c, const struct soma_gate_input *in, struct soma_verdict *ret);
    uint32_t deadline_ms;       /* 0: 10,000 */
};

/* ---- jobs, schedules, events: SOMA_WORK ---- */

/* A job runs at least once, on whatever node; after an error it is tried again with growing pauses, after max_attempts it is a dead letter with the words. */
struct soma_job { uint32_t size; uint32_t attempt; /* 1 at first */ const char *kind, *subject; const char *args; /* JSON */ };

struct soma_job_kind {
    const char *kind;           /* "import-bill" */
    int (*run)(struct soma_call *c, const struct soma_job *job);
    uint32_t max_attempts;      /* 0: 10 */
    uint32_t deadline_ms;       /* 0: 600,000 */
};

/* Every `every_s` one job of `kind` with subject "schedule" is enqueued, in the whole installation; while one is queued or running the next is left out. */
struct soma_schedule { const char *name; const char *kind; uint32_t every_s; const char *args; /* JSON; NULL: {} */ };

/* The event log, from the moment the plugin was first enabled: each event whose type begins with `prefix`, at least once, in the order of the log; a cursor for
 * each subscription. An error stops it there, and the same event comes again. */
struct soma_event { uint32_t size; const char *cursor, *entity, *team, *type, *at, *data; /* data: JSON */ };
struct soma_subscription {
    const char *name;
    const char *prefix;         /* "order." or "service.ready"; "": all */
    int (*on_event)(struct soma_call *c, const struct soma_event *ev);
    uint32_t deadline_ms;       /* 0: 10,000 */
};

/* ---- catalog processors: SOMA_WORK ---- */

/* Sees each entity before it is stored. `ret_entity`: the entity as it shall be (JSON); left NULL: as it is. Kind, namespace and name may not change. An error is logged,
 * and the entity is stored without this processor. */
struct soma_processor {
    const char *name;
    int (*process)(struct soma_call *c, const char *entity, const char **ret_entity);
    uint32_t deadline_ms;       /* 0: 2,000 */
};

/* ---- metrics ---- */

enum soma_metric_kind { SOMA_COUNTER, SOMA_GAUGE, SOMA_HISTOGRAM };

struct soma_metric {
    const char *name;           /* "cloud_cost_usd", "greeter_hellos_total"; nothing that begins with "soma_" but "soma_<plugin>_" */
    const char *help;
    uint32_t kind;              /* enum soma_metric_kind */
    const char *labels;         /* "team,environment"; NULL: none; at most 8 */
    const double *buckets; size_t n_buckets; /* upper bounds of a histogram, rising; at most 32 */
};

/* ---- configuration keys ---- */

/* Values are set with `soma plugins set <plugin> KEY=VALUE`, kept in PostgreSQL, the same on every node. */
struct soma_config_key {
    const char *name;           /* "currency" */
    const char *type;           /* "text", "int", "bool", "choice" */
    const char *choices;        /* "a|b|c" of a choice */
    const char *fallback;       /* NULL: none */
    const char *help;           /* one line */
};

/* ---- command line verbs: `soma <plugin> <verb>` ---- */

/* `soma` loads no plugin: the node hands these descriptions to it. Positional words fill the route's path parameters, by name. */
enum soma_flag_kind {
    SOMA_FLAG_BOOL, SOMA_FLAG_TEXT, SOMA_FLAG_INT,
    SOMA_FLAG_LIST,             /* text, may be given many times: a JSON array, or the query parameter many times */
    SOMA_FLAG_FILE,             /* a file's content; "-" is standard input */
};
enum soma_file_as {
    SOMA_FILE_TEXT,             /* a JSON string: UTF-8 */
    SOMA_FILE_JSON,             /* the JSON value in it */
    SOMA_FILE_BASE64,           /* a JSON string of base64: any bytes */
    SOMA_FILE_BODY,             /* the request's whole body, as application/octet-stream */
};

struct soma_flag {
    const char *name;           /* "plan" for --plan */
    uint32_t kind;              /* enum soma_flag_kind */
    const char *value;          /* what help calls it: "FILE"; "a|b|c" are choices */
    bool required;
    const char *help;
    const char *query;          /* sent as this query parameter; NULL: as a member of the body */
    const char *member;         /* the body's member; NULL: the flag's name with '-' as '_'. "a.b" is a member of a member */
    uint32_t as;                /* enum soma_file_as of a SOMA_FLAG_FILE */
};

struct soma_column { const char *title, *path; /* "team.name" in an item */ };

struct soma_verb {
    const char *name;           /* "estimate"; may be two words: "budgets list" */
    const char *usage;          /* positional words: "NAME"; "" */
    const char *words;          /* the path parameters they fill: "name"; "" */
    const char *help;           /* one line */
    const char *method, *path;  /* the route: "/api/v1/finops/budgets/{name}" */
    const struct soma_flag *flags; size_t n_flags;
    const struct soma_column *columns; size_t n_columns; /* of a table for people; none: one line a member. -o json prints the document as it came */
    const char *items;          /* member that holds the list; NULL: "items" when there are columns */
};

/* ---- audit ---- */

struct soma_audit_kind { const char *action; /* "<plugin>.budget.set" */ const char *title; };

/* ---- the plugin ---- */

/* Sizes as compiled; the host compares each with what that minor version has. */
struct soma_sizes {
    uint32_t plugin, call, request, reply, route, gate_input, verdict, gate, job, job_kind, schedule, event, subscription, processor, metric, config_key, flag, column,
        verb, audit_kind, host, reserved;
};

struct soma_plugin {
    uint32_t magic;             /* SOMA_PLUGIN_HEAD fills all up to `sizes` */
    uint16_t abi_major, abi_minor;
    struct soma_sizes sizes;
    const char *name;           /* as in plugin.yaml: a-z, 0-9, '-', at most 30; begins with a letter */
    const char *version;        /* as in plugin.yaml: "1.2.3" */
    /* All may be NULL. init: memory and checks, no database yet; *ret_self becomes c->self. start: after the migrations ran, before anything else is called.
     * stop: nothing new is called; what runs has ended. done: free what init made. Once a process each, on one thread. An error of init or start refuses the plugin. */
    int (*init)(struct soma_call *c, void **ret_self);
    int (*start)(struct soma_call *c);
    void (*stop)(struct soma_call *c);
    void (*done)(void *self);
    const struct soma_route *routes; size_t n_routes;
    const struct soma_gate *gates; size_t n_gates;
    const struct soma_job_kind *jobs; size_t n_jobs;
    const struct soma_schedule *schedules; size_t n_schedules;
    const struct soma_subscription *subscriptions; size_t n_subscriptions;
    const struct soma_processor *processors; size_t n_processors;
    const struct soma_metric *metrics; size_t n_metrics;
    const struct soma_config_key *config; size_t n_config;
    const struct soma_verb *verbs; size_t n_verbs;
    const struct soma_audit_kind *audits; size_t n_audits;
};

/* ---- what the host gives ---- */

struct soma_http_request {
    uint32_t size;
    const char *method, *url;   /* https:// or http://; the host must be granted in plugin.yaml (`egress`) */
    const struct soma_pair *headers; size_t n_headers;
    const void *body; size_t body_len;
    uint32_t timeout_ms;        /* 0: 10,000; at most the rest of the call */
    size_t max_bytes;           /* of the answer's body; 0: 8 MiB; at most 64 MiB */
    bool follow;                /* redirections, at most 5, to granted hosts */
};
struct soma_http_response { uint32_t size; int status; const struct soma_pair *headers; size_t n_headers; const char *body; size_t body_len; };

struct soma_audit {
    uint32_t size;
    const char *action;         /* one of the plugin's kinds */
    const char *subject;        /* "budget:payments" */
    const char *team;           /* or NULL */
    const char *actor, *actor_name, *person; /* of the request; NULL: the plugin itself */
    const char *before, *after; /* JSON of the state; only digests are kept. NULL */
    const char *detail;         /* JSON for people, never a secret. NULL */
    const char *request_id;
};

/* Grown at its end only. Functions may be called during a call alone, by the thread that was called. */
struct soma_host {
    uint32_t size;
    uint16_t abi_major, abi_minor;

    /* Zeroed, aligned to 16, until the call returns; never NULL. A call may have 256 MiB. */
    void *(*alloc)(struct soma_call *c, size_t n);
    /* Sets the call's words and returns `code`. */
    int (*fail)(struct soma_call *c, int code, const char *words);
    /* Names a field of the body by JSON pointer ("/amount"), or "?name" of the query; may be called several times; returns SOMA_INVALID. */
    int (*fail_field)(struct soma_call *c, const char *pointer, const char *words);
    const char *(*words)(struct soma_call *c);  /* of the last failure; "" */
    void (*log)(struct soma_call *c, int level, const char *message, const struct soma_field *fields, size_t n);
    int64_t (*now_ms)(struct soma_call *c);     /* since 1970, UTC */
    int64_t (*mono_ms)(struct soma_call *c);    /* never goes back */

    /* Value of a configuration key, or its fallback; NULL: none. SOMA_NOT_FOUND words never: an unknown key is NULL. */
    const char *(*config)(struct soma_call *c, const char *key);
    /* A secret that plugin.yaml asks for (`grants.secrets`) and an administrator set. SOMA_DENIED: not granted; SOMA_NOT_FOUND: not set. Never log it. */
    int (*secret)(struct soma_call *c, const char *name, const char **ret);

    /* The database, signed in as the plugin's own role, which owns the schema plugin_<name> (with '_' for '-') and nothing else; the search path is that schema,
     * then soma_api with what plugins may read (see docs/plugins.md). Without begin() each query is a transaction. What is open when the call returns is rolled back.
     * Errors: SOMA_CONFLICT (unique), SOMA_INVALID (check, bad text), SOMA_NOT_FOUND (foreign key), SOMA_DENIED (not its own), SOMA_UNAVAILABLE (try again), SOMA_INTERNAL. */
    int (*begin)(struct soma_call *c);
    int (*commit)(struct soma_call *c);
    void (*rollback)(struct soma_call *c);
    /* One statement with $1.. ; ret may be NULL. */
    int (*query)(struct soma_call *c, const char *sql, const soma_value *params, size_t n, struct soma_rows **ret);
    size_t (*rows)(const struct soma_rows *r);
    size_t (*columns)(const struct soma_rows *r);
    const char *(*column)(const struct soma_rows *r, size_t col);           /* its name */
    const char *(*value)(const struct soma_rows *r, size_t row, size_t col); /* text; NULL is SQL null */
    int64_t (*affected)(const struct soma_rows *r);
    /* COPY ... FROM STDIN: begin with the statement, hand over the data in pieces, end (`ret_rows` may be NULL). Within begin()/commit(). */
    int (*copy_begin)(struct soma_call *c, const char *sql);
    int (*copy_data)(struct soma_call *c, const void *data, size_t n);
    int (*copy_end)(struct soma_call *c, int64_t *ret_rows);

    /* These three write in the plugin's transaction, if one is open: they happen exactly if it commits. */
    /* entity "budget:payments"; team decides who may see it ("": all who are signed in); the type begins with "<plugin>."; data is JSON. */
    int (*event)(struct soma_call *c, const char *entity, const char *team, const char *type, const char *data);
    /* kind is one of the plugin's. A queued job of the same kind and subject is kept (the newest args win); a running one is run once more. */
    int (*job)(struct soma_call *c, const char *kind, const char *subject, const char *args, int64_t delay_ms);
    int (*audit)(struct soma_call *c, const struct soma_audit *a);

    /* Adds to a counter (v >= 0), sets a gauge, observes in a histogram. `labels`: values in the order of the metric's labels. An unknown metric is logged once. */
    void (*metric)(struct soma_call *c, const char *name, double v, const char *const *labels, size_t n_labels);
    /* Forgets all series of a gauge: before writing a fresh set. */
    void (*metric_reset)(struct soma_call *c, const char *name);

    int (*http)(struct soma_call *c, const struct soma_http_request *q, struct soma_http_response *ret);

    /* Path of the plugin's folder on this node, for files that came with it (price lists, page files). Read only. */
    const char *(*folder)(struct soma_call *c);
};

/* ---- helpers, compiled into the plugin ---- */

static inline void *soma_alloc(struct soma_call *c, size_t n) { return c->host->alloc(c, n); }

__attribute__((format(printf, 2, 0))) static inline char *soma_vformat(struct soma_call *c, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *s = (char *)c->host->alloc(c, n < 0 ? 1 : (size_t)n + 1);
    if (n > 0)
        vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    return s;
}

/* Text in the call's arena. For JSON use soma_json() around each text that is not yours. */
__attribute__((format(printf, 2, 3))) static inline char *soma_format(struct soma_call *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = soma_vformat(c, fmt, ap);
    va_end(ap);
    return s;
}

__attribute__((format(printf, 3, 4))) static inline int soma_fail(struct soma_call *c, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = soma_vformat(c, fmt, ap);
    va_end(ap);
    return c->host->fail(c, code, s);
}

__attribute__((format(printf, 3, 4))) static inline int soma_fail_field(struct soma_call *c, const char *pointer, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = soma_vformat(c, fmt, ap);
    va_end(ap);
    return c->host->fail_field(c, pointer, s);
}

/* `text` as a JSON string with its quotes; NULL gives null. */
static inline const char *soma_json(struct soma_call *c, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 3;
    if (!text)
        return "null";
    for (const char *p = text; *p; p++)
        n += (unsigned char)*p < 0x20 ? 6 : 2;
    char *out = (char *)c->host->alloc(c, n), *w = out;
    *w++ = '"';
    for (const char *p = text; *p; p++) {
        unsigned char ch = (unsigned char)*p;
        if (ch < 0x20) {
            *w++ = '\\', *w++ = 'u', *w++ = '0', *w++ = '0', *w++ = digits[ch >> 4], *w++ = digits[ch & 15];
            continue;
        }
        if (ch == '"' || ch == '\\')
            *w++ = '\\';
        *w++ = (char)ch;
    }
    *w++ = '"';
    *w = 0;
    return out;
}

static inline bool soma_same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

/* Value of a pair, or NULL. */
static inline const char *soma_find(const struct soma_pair *pairs, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (soma_same(pairs[i].name, name))
            return pairs[i].value;
    return NULL;
}
static inline const char *soma_param(const struct soma_request *q, const char *name) { return soma_find(q->params, q->n_params, name); }
static inline const char *soma_query(const struct soma_request *q, const char *name) { return soma_find(q->query, q->n_query, name); }

/* Whether `role` is one of the words. */
static inline bool soma_has_word(const char *words, const char *role)
{
    for (const char *p = words; p && *p;) {
        const char *r = role;
        while (*r && *p == *r)
            p++, r++;
        if (!*r && (!*p || *p == ' '))
            return true;
        while (*p && *p != ' ')
            p++;
        while (*p == ' ')
            p++;
    }
    return false;
}

/* Whether who asks has the role in the team, or everywhere. */
static inline bool soma_may(const struct soma_request *q, const char *role, const char *team)
{
    if (soma_has_word(q->roles, role) || soma_has_word(q->roles, "platform-admin"))
        return true;
    for (size_t i = 0; team && i < q->n_teams; i++)
        if (soma_same(q->teams[i].team, team) && soma_has_word(q->teams[i].roles, role))
            return true;
    return false;
}

/* soma_run(c, &rows, "select ... where id = $1", id): with parameters as text. */
#define soma_run(c, ret, sql, ...) \
    ((c)->host->query((c), (sql), (const soma_value[]){__VA_ARGS__ __VA_OPT__(,) 0}, sizeof((const soma_value[]){__VA_ARGS__ __VA_OPT__(,) 0}) / sizeof(soma_value) - 1, (ret)))

#define SOMA_SIZES \
    {sizeof(struct soma_plugin), sizeof(struct soma_call), sizeof(struct soma_request), sizeof(struct soma_reply), sizeof(struct soma_route), \
     sizeof(struct soma_gate_input), sizeof(struct soma_verdict), sizeof(struct soma_gate), sizeof(struct soma_job), sizeof(struct soma_job_kind), \
     sizeof(struct soma_schedule), sizeof(struct soma_event), sizeof(struct soma_subscription), sizeof(struct soma_processor), sizeof(struct soma_metric), \
     sizeof(struct soma_config_key), sizeof(struct soma_flag), sizeof(struct soma_column), sizeof(struct soma_verb), sizeof(struct soma_audit_kind), \
     sizeof(struct soma_host), 0}
#define SOMA_PLUGIN_HEAD .magic = SOMA_ABI_MAGIC, .abi_major = SOMA_ABI_MAJOR, .abi_minor = SOMA_ABI_MINOR, .sizes = SOMA_SIZES
#define SOMA_SYMBOL "soma_plugin_v1"
extern __attribute__((visibility("default"))) const struct soma_plugin soma_plugin_v1;
#define SOMA_PLUGIN __attribute__((visibility("default"))) const struct soma_plugin soma_plugin_v1

#ifdef __cplusplus
}
#endif
