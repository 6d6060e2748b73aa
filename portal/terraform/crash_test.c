// label: threads
/* Death in the middle of an apply: of the worker, of the leash, of both, of a provider; of the lease. The apply makes a role and then hangs on a schema,
 * because somebody holds a lock on the scratch database's catalogue. */
#include "portal/terraform/testrun.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>

static const char slow_tf[] =
    "terraform {\n  required_providers {\n    postgresql = {\n      source = \"cyrilgdn/postgresql\"\n    }\n  }\n}\n"
    "provider \"postgresql\" {\n  sslmode = \"disable\"\n}\nvariable \"name\" {}\n"
    "resource \"postgresql_role\" \"quick\" {\n  name = var.name\n}\n"
    "resource \"postgresql_schema\" \"slow\" {\n  name = var.name\n  depends_on = [postgresql_role.quick]\n}\n";

struct scene {
    struct testrun *t;
    const char *name;      /* of role and schema */
    const char *run;       /* of the apply */
    struct tf_result plan;
    pid_t locker;
    size_t engine;
};

static pid_t start_psql(struct testrun *t, const char *sql)
{
    const char *psql = tf_program_find(t->a, "psql");
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        setenv("PGOPTIONS", "-c client_connection_check_interval=100", 1);
        execl(psql, "psql", "-Xqc", sql, t->conninfo, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static const char *locks(struct testrun *t, const char *which)
{
    return arena_printf(t->a, "select count(*) from pg_locks where database = (select oid from pg_database where datname = current_database())"
                        " and relation = 'pg_namespace'::regclass and %s", which);
}

static bool scene_set(struct scene *c, const char *run, size_t engine)
{
    struct testrun *t = testrun_new();
    struct err e;
    *c = (struct scene){.t = t, .engine = engine, .run = arena_printf(t->a, "%s-%d", run, (int)getpid()), .name = arena_printf(t->a, "%s_%s", t->prefix, run)};
    if (t->n_engines <= engine || !t->has_postgresql) {
        testrun_free(t);
        return false;
    }
    const char *database = arena_printf(t->a, "%s_%s_db", t->prefix, run);
    testrun_query(t, arena_printf(t->a, "create database %s", database));
    t->conninfo = arena_printf(t->a, "%s dbname=%s", t->conninfo, database);
    const char **env = arena_alloc(t->a, 8 * sizeof *env);
    memcpy(env, t->postgresql.env, 5 * sizeof *env);
    env[5] = arena_printf(t->a, "PGDATABASE=%s", database);
    t->postgresql.env = env;
    struct tf_spec s = testrun_spec(t, engine, TF_PLAN, arena_printf(t->a, "{\"name\":\"%s\"}", c->name));
    int rc = testrun_phase(t, arena_printf(t->a, "plan-%s", c->run), slow_tf, &s, &c->plan, &e);
    TESTRUN_OK(rc, &c->plan, &e);
    c->locker = start_psql(t, "begin; lock table pg_namespace in exclusive mode; select pg_sleep(60)");
    for (int i = 0; i < 200 && strcmp(testrun_query(t, locks(t, "mode = 'ExclusiveLock' and granted")), "1"); i++)
        clock_sleep_ms(50);
    return true;
}

static void scene_clear(struct scene *c)
{
    struct testrun *t = c->t;
    const char *database = strstr(strstr(t->conninfo, "dbname=") + 1, "dbname=") + 7;
    if (c->locker > 0) {
        kill(c->locker, SIGKILL);
        waitpid(c->locker, NULL, 0);
    }
    const char *drop = arena_printf(t->a, "drop database if exists %s with (force)", database), *role = arena_printf(t->a, "drop role if exists %s", c->name);
    t->conninfo = getenv("SOMA_TEST_DATABASE");
    testrun_query(t, drop);
    testrun_query(t, role);
    testrun_free(t);
}

#define SCENE(c, run) SCENE_BY(c, run, 0)
#define SCENE_BY(c, run, engine)                                                                    \
    struct scene c;                                                                                 \
    do {                                                                                            \
        if (!scene_set(&(c), (run), (engine))) {                                                            \
            print_message("skipped: set SOMA_TEST_DATABASE, and SOMA_TEST_PROVIDERS to a mirror with cyrilgdn/postgresql\n"); \
            skip();                                                                                 \
        }                                                                                           \
    } while (0)

static struct tf_spec apply_spec(struct scene *c)
{
    struct tf_spec s = testrun_spec(c->t, c->engine, TF_APPLY, NULL);
    s.plan = c->plan.plan;
    s.plan_len = c->plan.plan_len;
    return s;
}

/* A worker of its own process, which never says goodbye. */
static pid_t start_worker(struct scene *c)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    struct tf_result r;
    struct err e;
    struct tf_spec s = apply_spec(c);
    struct tf_dir *d = testrun_dir(c->t, c->run, slow_tf);
    tf_run(d, &s, c->t->a, &r, &e);
    testrun_say(&r, &e);
    _exit(1);
}

static void wait_until_it_hangs(struct scene *c)
{
    for (int i = 0; i < 600; i++) {
        struct stat st;
        bool late = c->t->engine[c->engine].kind == TF_KIND_TOFU; /* writes no state this early */
        if (!strcmp(testrun_query(c->t, locks(c->t, "not granted")), "1") && (late || !stat(arena_printf(c->t->a, "%s/%s/" TF_STATE_COPY, c->t->runs, c->run), &st)))
            return;
        clock_sleep_ms(50);
    }
    fail_msg("the apply did not get as far as the schema");
}

/* Processes (boxes and the leash) that carry the run's id. */
static int tree(const struct scene *c)
{
    return testrun_processes(c->run);
}

static void tree_is_gone_within(const struct scene *c, int ms)
{
    int64_t until = clock_mono_ms() + ms;
    while (tree(c) && clock_mono_ms() < until)
        clock_sleep_ms(20);
    assert_int_equal(tree(c), 0);
}

static pid_t find_process(const struct scene *c, const char *program)
{
    pid_t found = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(d));) {
        BUF_AUTO b = BUF_INIT;
        char path[300];
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        if (!isdigit((unsigned char)*entry->d_name) || fs_read(path, 65536, &b, NULL) || !b.len)
            continue;
        if (strstr(b.data, program) && memmem(b.data, b.len, c->run, strlen(c->run)))
            found = (pid_t)atoi(entry->d_name);
    }
    closedir(d);
    return found;
}

struct swept {
    const struct scene *c;
    struct arena *a;
    int calls, answer;
    bool spoke;
    struct tf_recovery *recovery;
    size_t n_recovery;
};

static int on_leftover(void *user, const struct tf_leftover *l, struct err *e)
{
    struct swept *w = user;
    w->calls++;
    w->spoke = l->leash_spoke;
    assert_string_equal(l->run, w->c->run);
    assert_int_equal(tree(w->c), 0);
    TF_JSON_AUTO state = tf_json_load(l->state, l->state_len, NULL);
    if (!tf_state_has(state, "postgresql_role.quick"))
        fail_msg("the role is not in the state: %.*s; %.*s", (int)l->state_len, (const char *)l->state, (int)l->journal_len, l->journal);
    assert_false(tf_state_has(state, "postgresql_schema.slow"));
    assert_true(l->serial >= 1);
    assert_non_null(l->lineage);
    assert_int_equal(tf_recovery_imports(w->a, l->journal, l->journal_len, l->state, l->state_len, w->c->plan.plan_json, w->c->plan.plan_json_len, &w->recovery,
                                         &w->n_recovery, e), 0);
    return w->answer ? err_set(e, w->answer, "not now") : 0;
}

static void sweep_recovers(struct scene *c, bool spoke)
{
    struct swept w = {.c = c, .a = c->t->a, .answer = ERR_UNAVAILABLE};
    struct err e = ERR_INIT;
    struct stat st;
    int held = -1;
    const char *folder = arena_printf(c->t->a, "%s/%s", c->t->runs, c->run);
    assert_int_equal(tf_sweep(c->t->runs, 10000, on_leftover, &w, &held, &e), ERR_UNAVAILABLE);
    assert_int_equal(stat(folder, &st), 0); /* the caller could not store it: it stays */
    w.answer = 0;
    assert_int_equal(tf_sweep(c->t->runs, 10000, on_leftover, &w, &held, &e), 0);
    assert_int_not_equal(stat(folder, &st), 0);
    assert_int_equal(held, 0);
    assert_int_equal(w.calls, 2);
    assert_int_equal(w.spoke, spoke);
    assert_int_equal(w.n_recovery, 1);
    assert_string_equal(w.recovery[0].address, "postgresql_schema.slow");
    assert_int_equal(tf_sweep(c->t->runs, 0, on_leftover, &w, &held, &e), 0);
    assert_int_equal(w.calls, 2);
}

static void worker_killed(void **state)
{
    (void)state;
    SCENE(c, "worker");
    pid_t worker = start_worker(&c);
    wait_until_it_hangs(&c);
    assert_true(tree(&c) >= 4);
    struct swept w = {.c = &c};
    struct err e = ERR_INIT;
    int held = 0;
    assert_int_equal(tf_sweep(c.t->runs, 100, on_leftover, &w, &held, &e), 0); /* a living run is nobody's left-over */
    assert_int_equal(held, 1);
    assert_int_equal(w.calls, 0);
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    sweep_recovers(&c, true);
    assert_int_equal(tree(&c), 0);
    scene_clear(&c);
}

static void worker_and_leash_killed(void **state)
{
    (void)state;
    SCENE(c, "both");
    pid_t worker = start_worker(&c);
    wait_until_it_hangs(&c);
    pid_t leash = find_process(&c, "soma-leash");
    assert_true(leash > 0);
    kill(worker, SIGSTOP);
    kill(leash, SIGKILL);
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    sweep_recovers(&c, false);
    tree_is_gone_within(&c, 0);
    scene_clear(&c);
}

/* From another process, so that the test's own thread can sit in tf_run(). */
static pid_t kill_later(struct scene *c, const char *program)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    wait_until_it_hangs(c);
    pid_t victim = find_process(c, program);
    _exit(victim > 0 && kill(victim, SIGKILL) == 0 ? 0 : 1);
}

static void killed_under_it(const char *program, struct tf_result *r, struct err *e, int *rc, struct scene *c)
{
    pid_t killer = kill_later(c, program);
    struct tf_spec s = apply_spec(c);
    int status = -1;
    *rc = testrun_phase(c->t, c->run, slow_tf, &s, r, e);
    waitpid(killer, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(tree(c), 0);
}

static void leash_killed(void **state)
{
    (void)state;
    SCENE(c, "leash");
    struct tf_result r;
    struct err e;
    int rc;
    killed_under_it("soma-leash", &r, &e, &rc, &c);
    assert_int_equal(rc, ERR_UNAVAILABLE);
    assert_int_equal(r.stopped, TF_STOPPED_LEASH);
    TF_JSON_AUTO last = tf_json_load(r.state, r.state_len, NULL);
    assert_true(tf_state_has(last, "postgresql_role.quick"));
    scene_clear(&c);
}

/* The provider's own command line is "/provider": its parent is the box that carries the run. */
static pid_t kill_provider_later(struct scene *c)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    wait_until_it_hangs(c);
    char command[400];
    snprintf(command, sizeof command, "for p in $(pgrep -f -- '%s -- /provider'); do pkill -KILL -P $p -x provider; done", c->run);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

static void told_of_a_dead_provider(const struct tf_result *r, const struct err *e)
{
    for (size_t i = 0; i < r->n_diagnostics; i++)
        if (strstr(r->diagnostics[i].summary, "cyrilgdn/postgresql ended") || strstr(r->diagnostics[i].summary, "Plugin did not respond"))
            return;
    testrun_say(r, e);
    fail();
}

/* What it was making is in flight, as if the engine had been killed: it is no failure of the apply. */
static void provider_killed_by(size_t engine, const char *run)
{
    SCENE_BY(c, run, engine);
    pid_t killer = kill_provider_later(&c);
    struct tf_spec s = apply_spec(&c);
    struct tf_result r;
    struct err e;
    int rc = testrun_phase(c.t, c.run, slow_tf, &s, &r, &e);
    waitpid(killer, NULL, 0);
    assert_int_equal(rc, ERR_UNAVAILABLE);
    assert_int_equal(r.stopped, TF_STOPPED_PROVIDER);
    told_of_a_dead_provider(&r, &e);
    assert_true(tf_failure_may_pass(&r));
    struct tf_recovery *recovery;
    size_t n;
    assert_int_equal(tf_recovery_imports(c.t->a, r.journal, r.journal_len, r.state, r.state_len, c.plan.plan_json, c.plan.plan_json_len, &recovery, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_string_equal(recovery[0].address, "postgresql_schema.slow");
    /* The engine's log says it before the engine does: that counts where it is cut off in between. */
    assert_non_null(strstr(r.journal, "{\"type\":\"" TF_CALL_LOST "\"}"));
    assert_non_null(strstr(strstr(r.journal, TF_CALL_LOST), "\"summary\":\"Plugin did not respond\""));
    scene_clear(&c);
}

static void provider_killed(void **state)
{
    (void)state;
    provider_killed_by(0, "provider");
}

static void provider_killed_under_the_other_engine(void **state)
{
    (void)state;
    provider_killed_by(1, "provider2");
}

static void lease_runs_out(void **state)
{
    (void)state;
    SCENE(c, "lease");
    struct tf_result r;
    struct err e;
    struct tf_spec s = apply_spec(&c);
    s.guard_ms = 1000;
    atomic_store(&c.t->lease, clock_boot_ms() + 4000);
    int64_t begun = clock_boot_ms();
    int rc = testrun_phase(c.t, c.run, slow_tf, &s, &r, &e);
    int64_t took = clock_boot_ms() - begun;
    assert_int_equal(rc, ERR_FENCED);
    assert_int_equal(r.stopped, TF_STOPPED_LEASE);
    assert_true(took >= 2900 && took < 4000); /* the guard before the end, and surely before the end */
    assert_int_equal(tree(&c), 0);
    TF_JSON_AUTO last = tf_json_load(r.state, r.state_len, NULL);
    assert_true(tf_state_has(last, "postgresql_role.quick"));
    scene_clear(&c);
}

static void wall_is_reached(void **state)
{
    (void)state;
    SCENE(c, "wall");
    struct tf_result r;
    struct err e;
    struct tf_spec s = apply_spec(&c);
    s.wall_ms = 3000;
    int rc = testrun_phase(c.t, c.run, slow_tf, &s, &r, &e);
    assert_int_equal(rc, ERR_TIMEOUT);
    assert_int_equal(r.stopped, TF_STOPPED_TIMEOUT);
    assert_true(r.took_ms < 5000);
    assert_int_equal(tree(&c), 0);
    scene_clear(&c);
}

/* The store tells it on another connection than the heartbeat: all at once there is no lease. */
static void lose_lease(struct testrun *t, const struct tf_event *ev)
{
    if (ev->type == TF_EVENT_APPLY_START && !strcmp(ev->resource_type, "postgresql_schema"))
        atomic_store(&t->lease, 0);
}

static void lease_is_lost(void **state)
{
    (void)state;
    SCENE(c, "lost");
    struct tf_result r;
    struct err e;
    struct tf_spec s = apply_spec(&c);
    c.t->on_event = lose_lease;
    int rc = testrun_phase(c.t, c.run, slow_tf, &s, &r, &e);
    assert_int_equal(rc, ERR_FENCED);
    assert_int_equal(r.stopped, TF_STOPPED_LEASE);
    assert_true(r.took_ms < 10000);
    assert_int_equal(tree(&c), 0);
    scene_clear(&c);
}

/* The worker is stopped, not dead: its socket stays open, its heartbeats too are over. */
static void worker_stopped(void **state)
{
    (void)state;
    SCENE(c, "stopped");
    atomic_store(&c.t->lease, clock_boot_ms() + 5000 + 15000);
    pid_t worker = start_worker(&c);
    wait_until_it_hangs(&c);
    kill(worker, SIGSTOP);
    assert_true(tree(&c) >= 4);
    tree_is_gone_within(&c, 17000);
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    sweep_recovers(&c, true);
    scene_clear(&c);
}

/* ---- sweeping what is no run of a known kind ---- */

static int count_leftover(void *user, const struct tf_leftover *l, struct err *e)
{
    (void)e;
    assert_null(l->state);
    assert_int_equal(l->journal_len, 0);
    ++*(int *)user;
    return 0;
}

static void sweep_of_odd_folders(void **state)
{
    (void)state;
    struct testrun *t = testrun_new();
    struct err e = ERR_INIT;
    struct tf_dir *d;
    int calls = 0, held = -1;
    assert_int_equal(tf_sweep(t->runs, 0, count_leftover, &calls, &held, &e), 0); /* no folder of runs yet */
    assert_int_equal(tf_dir_new(t->runs, "alive", &d, &e), 0);
    assert_int_equal(fs_mkdirs(arena_printf(t->a, "%s/empty/w", t->runs), 0700, &e), 0);
    testrun_write(arena_printf(t->a, "%s/empty/w", t->runs), "terraform.tfstate", "{\"version\":4,\"serial\":3,"); /* cut off: no state */
    testrun_write(t->runs, "a-file", "x");
    assert_int_equal(symlink("/etc", arena_printf(t->a, "%s/link", t->runs)), 0);
    assert_int_equal(tf_sweep(t->runs, 0, count_leftover, &calls, &held, &e), 0);
    assert_int_equal(calls, 1);
    assert_int_equal(held, 1);
    tf_dir_free(d, false);
    assert_int_equal(tf_sweep(t->runs, 0, count_leftover, &calls, &held, &e), 0);
    assert_int_equal(calls, 2);
    assert_int_equal(held, 0);
    testrun_free(t);
}

static void errored_state_counts(void **state)
{
    (void)state;
    struct testrun *t = testrun_new();
    const char *folder = arena_printf(t->a, "%s/f", t->root), *lineage;
    const void *bytes;
    size_t n;
    int64_t serial;
    assert_int_equal(fs_mkdirs(arena_printf(t->a, "%s/w", folder), 0700, NULL) | fs_mkdirs(arena_printf(t->a, "%s/m/sub", folder), 0700, NULL), 0);
    assert_int_equal(tf_state_collect(t->a, folder, "sub", NULL, -1, &bytes, &n, &serial, &lineage), 0);
    testrun_write(folder, "w/terraform.tfstate", "{\"version\":4,\"serial\":3,\"lineage\":\"l\"}");
    assert_int_equal(tf_state_collect(t->a, folder, "sub", NULL, -1, &bytes, &n, &serial, &lineage), 1);
    assert_int_equal(serial, 3);
    testrun_write(folder, "m/sub/errored.tfstate", "{\"version\":4,\"serial\":3,\"lineage\":\"l\",\"outputs\":{\"new\":{\"value\":1}}}");
    assert_int_equal(tf_state_collect(t->a, folder, "sub", NULL, 3, &bytes, &n, &serial, &lineage), 1);
    assert_int_equal(serial, 4); /* newer content under an old serial gets a new one */
    assert_non_null(strstr(bytes, "\"new\""));
    assert_non_null(strstr(bytes, "\"serial\":4"));
    testrun_write(folder, "m/sub/errored.tfstate", "{\"version\":4,\"serial\":9,\"lineage\":\"other\"}");
    assert_int_equal(tf_state_collect(t->a, folder, "sub", NULL, 3, &bytes, &n, &serial, &lineage), 1);
    assert_int_equal(serial, 3);
    testrun_write(folder, TF_STATE_COPY, "{\"version\":4,\"serial\":7,\"lineage\":\"l\"}");
    assert_int_equal(tf_state_collect(t->a, folder, "sub", NULL, 3, &bytes, &n, &serial, &lineage), 1);
    assert_int_equal(serial, 7);
    testrun_write(folder, "w/terraform.tfstate", "{\"version\":4,\"serial\":8,\"lin");
    assert_int_equal(tf_state_collect(t->a, folder, "sub", NULL, 3, &bytes, &n, &serial, &lineage), 1);
    assert_int_equal(serial, 7);
    assert_int_equal(tf_state_collect(t->a, folder, "sub", "third", -1, &bytes, &n, &serial, &lineage), 0);
    testrun_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worker_killed), cmocka_unit_test(worker_and_leash_killed), cmocka_unit_test(leash_killed), cmocka_unit_test(provider_killed),
        cmocka_unit_test(provider_killed_under_the_other_engine),
        cmocka_unit_test(lease_runs_out), cmocka_unit_test(lease_is_lost), cmocka_unit_test(wall_is_reached), cmocka_unit_test(worker_stopped), cmocka_unit_test(sweep_of_odd_folders),
        cmocka_unit_test(errored_state_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
