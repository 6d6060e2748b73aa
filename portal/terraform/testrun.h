/* Real runs for tests: engines, provider mirrors and a PostgreSQL server from the environment, a scratch folder, a worker's callbacks that remember.
 * SOMA_TEST_ENGINES: colon list of engine binaries (unset: terraform and tofu on PATH).  SOMA_TEST_PROVIDERS: colon list of unpacked mirrors.
 * SOMA_TEST_DATABASE: "host=... port=... user=..." of a superuser.  Header-only: it is compiled into test programs alone. */
#pragma once
#include "portal/core/clock.h"
#include "portal/core/fs.h"
#include "portal/terraform/terraform_private.h"

#include <ctype.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TESTRUN_SECRET "Zeppelin-4711-geheim"

struct testrun {
    struct arena *a;
    char root[64];             /* scratch folder */
    const char *runs;          /* its runs folder */
    struct tf_engine engine[4];
    size_t n_engines;
    const char *mirrors, *conninfo, *prefix; /* prefix: of names in the server, unique for this process */
    struct tf_provider postgresql;
    bool has_postgresql;
    /* what the callbacks saw */
    struct buf events;         /* one JSON object a line */
    struct buf state;          /* last stored */
    int64_t serial;
    int states;
    _Atomic int64_t lease;
    int state_error;           /* on_state answers with this code when not 0 */
    void (*on_event)(struct testrun *t, const struct tf_event *ev);
};

static inline char *testrun_setting(struct testrun *t, const char *key, const char *fallback)
{
    const char *needle = arena_printf(t->a, "%s=", key), *hit = strstr(t->conninfo, needle);
    return hit ? arena_strndup(t->a, hit + strlen(needle), strcspn(hit + strlen(needle), " ")) : arena_strdup(t->a, fallback);
}

static inline void testrun_engines(struct testrun *t)
{
    const char *list = getenv("SOMA_TEST_ENGINES");
    for (const char *at = list ? list : "terraform:tofu"; *at && t->n_engines < 4;) {
        size_t n = strcspn(at, ":");
        if (n && !tf_engine_detect(t->a, arena_strndup(t->a, at, n), &t->engine[t->n_engines], NULL))
            t->n_engines++;
        at += n;
        at += *at == ':';
    }
}

static inline struct testrun *testrun_new(void)
{
    struct arena *a = arena_new();
    struct testrun *t = arena_alloc(a, sizeof *t);
    t->a = a;
    strcpy(t->root, "/tmp/soma-tf-XXXXXX");
    assert_non_null(mkdtemp(t->root));
    t->runs = arena_printf(a, "%s/runs", t->root);
    t->prefix = arena_printf(a, "tft_%d", (int)getpid());
    t->mirrors = getenv("SOMA_TEST_PROVIDERS");
    t->conninfo = getenv("SOMA_TEST_DATABASE");
    t->serial = -1;
    t->lease = INT64_MAX - 1;
    testrun_engines(t);
    if (t->conninfo && t->mirrors && !tf_provider_find(a, t->mirrors, "cyrilgdn/postgresql", NULL, NULL, &t->postgresql, NULL)) {
        const char **env = arena_alloc(a, 8 * sizeof *env);
        env[0] = arena_printf(a, "PGHOST=%s", testrun_setting(t, "host", "127.0.0.1"));
        env[1] = arena_printf(a, "PGPORT=%s", testrun_setting(t, "port", "5432"));
        env[2] = arena_printf(a, "PGUSER=%s", testrun_setting(t, "user", "postgres"));
        env[3] = arena_printf(a, "PGPASSWORD=%s", testrun_setting(t, "password", TESTRUN_SECRET));
        env[4] = "PGSSLMODE=disable";
        t->postgresql.env = env;
        t->has_postgresql = true;
    }
    return t;
}

static inline void testrun_free(struct testrun *t)
{
    fs_remove_tree(t->root, NULL);
    buf_wipe(&t->events);
    buf_wipe(&t->state);
    arena_free(t->a);
}

/* Skips, with words, when there is nothing to run with. */
#define TESTRUN_NEED(t, what, words)                        \
    do {                                                    \
        if (!(what)) {                                      \
            print_message("skipped: %s\n", (words));        \
            testrun_free(t);                                \
            skip();                                         \
        }                                                   \
    } while (0)
#define TESTRUN_NEED_ENGINE(t) TESTRUN_NEED(t, (t)->n_engines, "no engine: put terraform or tofu on PATH or set SOMA_TEST_ENGINES")
#define TESTRUN_NEED_POSTGRESQL(t) \
    TESTRUN_NEED(t, (t)->n_engines && (t)->has_postgresql, "set SOMA_TEST_DATABASE, and SOMA_TEST_PROVIDERS to a mirror with cyrilgdn/postgresql")

static inline int64_t testrun_lease(void *user)
{
    struct testrun *t = user;
    return atomic_load(&t->lease);
}

static inline void testrun_event(void *user, const struct tf_event *ev, const char *json)
{
    struct testrun *t = user;
    buf_printf(&t->events, "%s\n", json);
    if (t->on_event)
        t->on_event(t, ev);
}

static inline int testrun_state(void *user, int64_t serial, const char *lineage, const void *bytes, size_t n, struct err *e)
{
    struct testrun *t = user;
    assert_true(serial > t->serial);
    assert_true(*lineage);
    t->serial = serial;
    t->states++;
    buf_clear(&t->state);
    buf_add(&t->state, bytes, n);
    return t->state_error ? err_set(e, t->state_error, "the store said no") : 0;
}

static inline void testrun_write(const char *folder, const char *name, const char *text)
{
    ARENA_AUTO a = arena_new();
    struct err e = ERR_INIT;
    if (fs_write_atomic(arena_printf(a, "%s/%s", folder, name), text, strlen(text), 0600, &e))
        fail_msg("%s", e.msg);
}

static inline struct tf_dir *testrun_dir(struct testrun *t, const char *run, const char *main_tf)
{
    struct tf_dir *d;
    struct err e = ERR_INIT;
    if (tf_dir_new(t->runs, run, &d, &e))
        fail_msg("%s", e.msg);
    testrun_write(tf_dir_modules(d), "main.tf", main_tf);
    return d;
}

static inline struct tf_spec testrun_spec(struct testrun *t, size_t engine, enum tf_phase phase, const char *tfvars)
{
    static const char *const secrets[] = {TESTRUN_SECRET, NULL};
    return (struct tf_spec){
        .phase = phase, .engine = t->engine[engine], .tfvars_json = tfvars, .state = t->state.len ? t->state.data : NULL, .state_len = t->state.len, .secrets = secrets,
        .providers = t->has_postgresql ? &t->postgresql : NULL, .n_providers = t->has_postgresql, .wall_ms = 100000,
        .cb = {t, testrun_lease, NULL, testrun_event, testrun_state},
    };
}

/* Runs a phase in a folder of its own and wipes it. Prints the diagnostics when it was to succeed and did not. */
static inline int testrun_phase(struct testrun *t, const char *run, const char *main_tf, const struct tf_spec *s, struct tf_result *r, struct err *e)
{
    struct tf_dir *d = testrun_dir(t, run, main_tf);
    memset(e, 0, sizeof *e);
    int rc = tf_run(d, s, t->a, r, e);
    tf_dir_free(d, true);
    return rc;
}

static inline void testrun_say(const struct tf_result *r, const struct err *e)
{
    print_message("rc %d %s; exit %d, stopped %d\n", e->code, e->msg, r->exit_status, (int)r->stopped);
    for (size_t i = 0; i < r->n_diagnostics; i++)
        print_message("  %s: %s | %s (%s:%d)\n", r->diagnostics[i].severity, r->diagnostics[i].summary, r->diagnostics[i].detail, r->diagnostics[i].file,
                      (int)r->diagnostics[i].line);
}

#define TESTRUN_OK(rc, r, e)             \
    do {                                 \
        if ((rc) || !(r)->ok) {          \
            testrun_say((r), (e));       \
            fail();                      \
        }                                \
    } while (0)

/* One value of a query, by psql. */
static inline const char *testrun_query(struct testrun *t, const char *sql)
{
    BUF_AUTO out = BUF_INIT;
    int status;
    struct err e = ERR_INIT;
    const char *psql = tf_program_find(t->a, "psql");
    assert_non_null(psql);
    char *argv[] = {(char *)(uintptr_t)psql, (char *)(uintptr_t) "-XAtqc", (char *)(uintptr_t)sql, arena_strdup(t->a, t->conninfo), NULL};
    char *env[] = {(char *)(uintptr_t) "PATH=/usr/bin:/bin", NULL};
    if (tf_spawn_read(psql, argv, env, 60000, 65536, &out, &status, &e))
        fail_msg("%s", e.msg);
    return arena_strndup(t->a, buf_cstr(&out), strcspn(buf_cstr(&out), "\n"));
}

/* How many processes carry the text in their command line. */
static inline int testrun_processes(const char *text)
{
    int n = 0;
    DIR *d = opendir("/proc");
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));) {
        BUF_AUTO b = BUF_INIT;
        char path[300];
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        if (isdigit((unsigned char)*entry->d_name) && !fs_read(path, 1 << 20, &b, NULL) && b.len && memmem(b.data, b.len, text, strlen(text)))
            n++;
    }
    closedir(d);
    return n;
}
