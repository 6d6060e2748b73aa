// label: threads
/* Real runs: both engines, the PostgreSQL provider, a real server. */
#include "portal/terraform/testrun.h"

#include <pthread.h>

#define POSTGRESQL                                                            \
    "terraform {\n  required_providers {\n    postgresql = {\n      source = \"cyrilgdn/postgresql\"\n    }\n  }\n}\n" \
    "provider \"postgresql\" {\n  sslmode = \"disable\"\n}\n"

static const char role_tf[] = POSTGRESQL
    "variable \"name\" {\n  type = string\n}\n"
    "variable \"password\" {\n  type = string\n  sensitive = true\n}\n"
    "variable \"limit\" {\n  type = number\n  default = 3\n}\n"
    "resource \"postgresql_role\" \"owner\" {\n  name = var.name\n  login = true\n  password = var.password\n  connection_limit = var.limit\n}\n"
    "output \"username\" {\n  value = postgresql_role.owner.name\n}\n"
    "output \"url\" {\n  value = \"postgres://${var.name}:${var.password}@h/\"\n  sensitive = true\n}\n";

static const char *vars(struct testrun *t, const char *name, int limit)
{
    return arena_printf(t->a, "{\"name\":\"%s\",\"password\":\"" TESTRUN_SECRET "\",\"limit\":%d}", name, limit);
}

/* While the role is made: no command line on this machine shows a credential. */
static int seen_in_cmdline;
static void look_at_cmdlines(struct testrun *t, const struct tf_event *ev)
{
    (void)t;
    if (ev->type == TF_EVENT_APPLY_START || ev->type == TF_EVENT_PLANNED_CHANGE)
        seen_in_cmdline += testrun_processes(TESTRUN_SECRET);
}

static void one_life(struct testrun *t, size_t engine)
{
    struct tf_result r;
    struct err e;
    const char *name = arena_printf(t->a, "%s_life%zu", t->prefix, engine), *there = arena_printf(t->a, "select count(*) from pg_roles where rolname = '%s'", name);
    struct tf_spec s = testrun_spec(t, engine, TF_VALIDATE, NULL);
    int rc = testrun_phase(t, "validate", role_tf, &s, &r, &e);
    TESTRUN_OK(rc, &r, &e);

    s = testrun_spec(t, engine, TF_PLAN, vars(t, name, 3));
    rc = testrun_phase(t, "plan", role_tf, &s, &r, &e);
    TESTRUN_OK(rc, &r, &e);
    assert_true(r.changes);
    assert_int_equal(r.exit_status, 2);
    assert_int_equal(r.plan_read.add, 1);
    assert_string_equal(r.plan_read.changes[0].address, "postgresql_role.owner");
    assert_non_null(memmem(r.plan_json, r.plan_json_len, TESTRUN_SECRET, strlen(TESTRUN_SECRET)));
    assert_null(strstr(r.plan_read.masked, TESTRUN_SECRET));
    assert_string_equal(testrun_query(t, there), "0");

    s = testrun_spec(t, engine, TF_APPLY, NULL);
    s.plan = r.plan;
    s.plan_len = r.plan_len;
    buf_clear(&t->events);
    t->on_event = look_at_cmdlines;
    rc = testrun_phase(t, "apply", role_tf, &s, &r, &e);
    t->on_event = NULL;
    TESTRUN_OK(rc, &r, &e);
    assert_int_equal(seen_in_cmdline, 0);
    assert_string_equal(testrun_query(t, there), "1");
    assert_true(t->states >= 1);
    assert_int_equal(r.serial, t->serial);
    assert_int_equal(r.state_len, t->state.len);
    assert_memory_equal(r.state, t->state.data, r.state_len);
    assert_int_equal(r.n_outputs, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(r.outputs[i].sensitive, !strcmp(r.outputs[i].name, "url"));
    assert_non_null(strstr(buf_cstr(&t->events), "\"type\":\"apply_start\""));
    assert_non_null(strstr(buf_cstr(&t->events), "\"type\":\"apply_complete\""));
    assert_null(strstr(buf_cstr(&t->events), "planned_change"));
    assert_null(strstr(buf_cstr(&t->events), TESTRUN_SECRET));

    s = testrun_spec(t, engine, TF_PLAN, vars(t, name, 3));
    rc = testrun_phase(t, "plan-again", role_tf, &s, &r, &e);
    TESTRUN_OK(rc, &r, &e);
    assert_false(r.changes);
    assert_int_equal(r.plan_read.n_changes, 0);

    s = testrun_spec(t, engine, TF_PLAN, vars(t, name, 5));
    rc = testrun_phase(t, "change", role_tf, &s, &r, &e);
    TESTRUN_OK(rc, &r, &e);
    assert_int_equal(r.plan_read.change, 1);

    s = testrun_spec(t, engine, TF_PLAN_DESTROY, vars(t, name, 3));
    rc = testrun_phase(t, "destroy", role_tf, &s, &r, &e);
    TESTRUN_OK(rc, &r, &e);
    assert_int_equal(r.plan_read.destroy, 1);
    s = testrun_spec(t, engine, TF_APPLY, NULL);
    s.plan = r.plan;
    s.plan_len = r.plan_len;
    rc = testrun_phase(t, "apply-destroy", role_tf, &s, &r, &e);
    TESTRUN_OK(rc, &r, &e);
    assert_int_equal(r.n_outputs, 0);
    assert_string_equal(testrun_query(t, there), "0");
}

static void life_of_a_role(void **state)
{
    (void)state;
    struct testrun *t = testrun_new();
    TESTRUN_NEED_POSTGRESQL(t);
    for (size_t i = 0; i < t->n_engines; i++) {
        print_message("%s %s\n", t->engine[i].name, t->engine[i].version);
        buf_clear(&t->state);
        t->serial = -1;
        one_life(t, i);
    }
    testrun_free(t);
}

/* The second engine's plan of a state written by the first is not our business; a plan applied to another state is. */
static void stale_plan_is_refused(void **state)
{
    (void)state;
    struct testrun *t = testrun_new();
    TESTRUN_NEED_POSTGRESQL(t);
    struct tf_result first, r;
    struct err e;
    const char *name = arena_printf(t->a, "%s_stale", t->prefix);
    struct tf_spec s = testrun_spec(t, 0, TF_PLAN, vars(t, name, 3));
    int rc = testrun_phase(t, "plan", role_tf, &s, &first, &e);
    TESTRUN_OK(rc, &first, &e);
    s = testrun_spec(t, 0, TF_APPLY, NULL);
    s.plan = first.plan;
    s.plan_len = first.plan_len;
    rc = testrun_phase(t, "apply", role_tf, &s, &r, &e);
    TESTRUN_OK(rc, &r, &e);
    s = testrun_spec(t, 0, TF_APPLY, NULL);
    s.plan = first.plan;
    s.plan_len = first.plan_len;
    rc = testrun_phase(t, "again", role_tf, &s, &r, &e);
    assert_int_equal(rc, 0);
    assert_false(r.ok);
    assert_true(r.n_diagnostics > 0);
    testrun_query(t, arena_printf(t->a, "drop role %s", name));
    testrun_free(t);
}

static void errors_have_a_place(void **state)
{
    (void)state;
    struct testrun *t = testrun_new();
    TESTRUN_NEED_ENGINE(t);
    t->has_postgresql = false;
    for (size_t i = 0; i < t->n_engines; i++) {
        struct tf_result r;
        struct err e;
        struct tf_spec s = testrun_spec(t, i, TF_VALIDATE, NULL);
        assert_int_equal(testrun_phase(t, "a", "output \"o\" {\n  value = var.missing\n}\n", &s, &r, &e), 0);
        assert_false(r.ok);
        assert_true(r.n_diagnostics > 0);
        assert_string_equal(r.diagnostics[0].file, "main.tf");
        assert_int_equal(r.diagnostics[0].line, 2);
        s = testrun_spec(t, i, TF_PLAN, NULL);
        assert_int_equal(testrun_phase(t, "b", "resource \"x\" {\n", &s, &r, &e), 0);
        assert_false(r.ok);
        assert_string_equal(r.diagnostics[0].file, "main.tf");
        /* a provider nobody offers is refused at once, without asking a registry */
        int64_t begun = clock_mono_ms();
        assert_int_equal(testrun_phase(t, "c", "resource \"random_id\" \"x\" {\n  byte_length = 4\n}\n", &s, &r, &e), 0);
        assert_false(r.ok);
        assert_true(clock_mono_ms() - begun < 15000);
        assert_non_null(strstr(r.diagnostics[0].detail, "hashicorp/random"));
    }
    testrun_free(t);
}

/* The root module lies deep in its repository and calls a module beside it; a file and an error of that module are found where they are. */
static void modules_beside_the_root(void **state)
{
    (void)state;
    struct testrun *t = testrun_new();
    TESTRUN_NEED_ENGINE(t);
    for (size_t i = 0; i < t->n_engines; i++) {
        struct tf_result r;
        struct err e = ERR_INIT;
        for (int broken = 0; broken < 2; broken++) {
            struct tf_dir *d;
            assert_int_equal(tf_dir_new(t->runs, "deep", &d, &e), 0);
            const char *m = tf_dir_modules(d), *root = arena_printf(t->a, "%s/paths/db", m), *beside = arena_printf(t->a, "%s/modules/name", m);
            assert_int_equal(fs_mkdirs(root, 0700, &e) | fs_mkdirs(beside, 0700, &e), 0);
            testrun_write(root, "main.tf", "module \"name\" {\n  source = \"../../modules/name\"\n  from = \"x\"\n}\noutput \"name\" {\n  value = \"${module.name.full}${file(\"${path.module}/tail\")}\"\n}\n");
            testrun_write(root, "tail", "-tail");
            testrun_write(beside, "main.tf", arena_printf(t->a, "variable \"from\" {}\noutput \"full\" {\n  value = \"<${var.%s}>\"\n}\n", broken ? "missing" : "from"));
            struct tf_spec s = testrun_spec(t, i, TF_PLAN, NULL);
            s.providers = NULL;
            s.n_providers = 0;
            s.workdir = "paths/db";
            int rc = tf_run(d, &s, t->a, &r, &e);
            tf_dir_free(d, true);
            assert_int_equal(rc, 0);
            assert_int_equal(r.ok, !broken);
            if (broken)
                assert_non_null(strstr(r.diagnostics[0].file, "modules/name/main.tf"));
            else
                assert_non_null(strstr(r.plan_read.masked, "<x>-tail"));
        }
    }
    testrun_free(t);
}

/* A failing CREATE ROLE whose message carries the password, and the state so far is kept. */
static void failed_apply_keeps_its_state(void **state)
{
    (void)state;
    static const char two_tf[] = POSTGRESQL
        "variable \"name\" {}\nvariable \"password\" {\n  sensitive = true\n}\nvariable \"limit\" {\n  default = 1\n}\n"
        "resource \"postgresql_role\" \"good\" {\n  name = var.name\n}\n"
        "resource \"postgresql_role\" \"bad\" {\n  name = \"postgres_reserved_pg\"\n  roles = [\"no_such_role_${nonsensitive(var.password)}\"]\n  depends_on = [postgresql_role.good]\n}\n";
    struct testrun *t = testrun_new();
    TESTRUN_NEED_POSTGRESQL(t);
    struct tf_result r;
    struct err e;
    const char *name = arena_printf(t->a, "%s_two", t->prefix);
    struct tf_spec s = testrun_spec(t, 0, TF_PLAN, vars(t, name, 1));
    int rc = testrun_phase(t, "plan", two_tf, &s, &r, &e);
    TESTRUN_OK(rc, &r, &e);
    s = testrun_spec(t, 0, TF_APPLY, NULL);
    s.plan = r.plan;
    s.plan_len = r.plan_len;
    buf_clear(&t->events);
    assert_int_equal(testrun_phase(t, "apply", two_tf, &s, &r, &e), 0);
    assert_false(r.ok);
    assert_int_equal(r.exit_status, 1);
    assert_true(r.n_diagnostics > 0);
    assert_string_equal(r.diagnostics[0].address, "postgresql_role.bad");
    assert_non_null(strstr(r.diagnostics[0].detail, "(sensitive)") ? r.diagnostics[0].detail : strstr(r.diagnostics[0].summary, "(sensitive)"));
    assert_null(strstr(r.diagnostics[0].detail, TESTRUN_SECRET));
    assert_null(strstr(buf_cstr(&t->events), TESTRUN_SECRET));
    TF_JSON_AUTO last = tf_json_load(r.state, r.state_len, NULL);
    assert_true(tf_state_has(last, "postgresql_role.good"));
    s = testrun_spec(t, 0, TF_PLAN_DESTROY, vars(t, name, 1));
    rc = testrun_phase(t, "destroy", two_tf, &s, &r, &e);
    TESTRUN_OK(rc, &r, &e);
    s = testrun_spec(t, 0, TF_APPLY, NULL);
    s.plan = r.plan;
    s.plan_len = r.plan_len;
    rc = testrun_phase(t, "apply-destroy", two_tf, &s, &r, &e);
    TESTRUN_OK(rc, &r, &e);
    assert_string_equal(testrun_query(t, arena_printf(t->a, "select count(*) from pg_roles where rolname = '%s'", name)), "0");
    testrun_free(t);
}

static void forget_state(struct testrun *t)
{
    buf_clear(&t->state);
    t->serial = -1;
}

static void import_finds_what_is_there_and_names_what_is_not(void **state)
{
    (void)state;
    static const char import_tf[] = POSTGRESQL "variable \"name\" {}\nvariable \"password\" {\n  sensitive = true\n}\nvariable \"limit\" {}\n"
        "resource \"postgresql_role\" \"r\" {\n  for_each = toset([\"a\", \"b\"])\n  name = \"${var.name}_${each.key}\"\n}\n";
    struct testrun *t = testrun_new();
    TESTRUN_NEED_POSTGRESQL(t);
    for (size_t i = 0; i < t->n_engines; i++) {
        struct tf_result r;
        struct err e;
        const char *name = arena_printf(t->a, "%s_imp%zu", t->prefix, i);
        testrun_query(t, arena_printf(t->a, "create role %s_a", name));
        struct tf_import both[] = {{"postgresql_role.r[\"b\"]", arena_printf(t->a, "%s_b", name)}, {"postgresql_role.r[\"a\"]", arena_printf(t->a, "%s_a", name)}};
        struct tf_spec s = testrun_spec(t, i, TF_IMPORT, vars(t, name, 1));
        s.imports = both;
        s.n_imports = 2;
        int rc = testrun_phase(t, "import", import_tf, &s, &r, &e);
        TESTRUN_OK(rc, &r, &e);
        assert_int_equal(r.imports[0].end, TF_IMPORT_ABSENT);
        assert_int_equal(r.imports[1].end, TF_IMPORT_DONE);
        TF_JSON_AUTO last = tf_json_load(r.state, r.state_len, NULL);
        assert_true(tf_state_has(last, both[1].address));
        assert_false(tf_state_has(last, both[0].address));
        assert_int_equal(r.n_outputs, 0);
        assert_string_equal(testrun_query(t, arena_printf(t->a, "select count(*) from pg_roles where rolname like '%s_%%'", name)), "1"); /* nothing was made */
        assert_int_equal(t->serial, r.serial);
        s = testrun_spec(t, i, TF_PLAN, vars(t, name, 1));
        rc = testrun_phase(t, "plan-after", import_tf, &s, &r, &e);
        TESTRUN_OK(rc, &r, &e);
        assert_int_equal(r.plan_read.add, 1);
        testrun_query(t, arena_printf(t->a, "drop role %s_a", name));
        forget_state(t);
    }
    testrun_free(t);
}

static void import_that_fails_says_why_and_whether_it_may_pass(void **state)
{
    (void)state;
    static const char import_tf[] = POSTGRESQL "variable \"name\" {}\nvariable \"password\" {\n  sensitive = true\n}\nvariable \"limit\" {}\n"
        "resource \"postgresql_role\" \"r\" {\n  name = var.name\n}\nresource \"postgresql_role\" \"later\" {\n  name = var.name\n}\n";
    struct testrun *t = testrun_new();
    TESTRUN_NEED_POSTGRESQL(t);
    for (size_t i = 0; i < t->n_engines; i++) {
        struct tf_result r;
        struct err e;
        struct tf_import two[] = {{"postgresql_role.r", "x"}, {"postgresql_role.later", "x"}};
        struct tf_spec s = testrun_spec(t, i, TF_IMPORT, vars(t, "x", 1));
        struct tf_provider closed = t->postgresql;
        closed.env = (const char *const[]){"PGHOST=127.0.0.1", "PGPORT=1", "PGUSER=x", "PGPASSWORD=" TESTRUN_SECRET, "PGSSLMODE=disable", NULL};
        s.providers = &closed;
        s.imports = two;
        s.n_imports = 2;
        assert_int_equal(testrun_phase(t, "closed", import_tf, &s, &r, &e), 0);
        assert_false(r.ok);
        assert_int_equal(r.imports[0].end, TF_IMPORT_FAILED);
        assert_int_equal(r.imports[1].end, TF_IMPORT_NOT_TRIED);
        assert_true(tf_failure_may_pass(&r));
        struct tf_import evil = {"postgresql_role.r[\"${file(\\\"/etc/passwd\\\")}\"]", "x"};
        s.imports = &evil;
        s.n_imports = 1;
        assert_int_equal(testrun_phase(t, "evil", import_tf, &s, &r, &e), 0);
        assert_int_equal(r.imports[0].end, TF_IMPORT_FAILED);
        assert_false(tf_failure_may_pass(&r));
    }
    testrun_free(t);
}

/* ---- what stops a run ---- */

static void cancel_ends_a_plan_but_no_apply(void **state)
{
    (void)state;
    struct testrun *t = testrun_new();
    TESTRUN_NEED_POSTGRESQL(t);
    struct tf_result r;
    struct err e;
    atomic_bool canceled = true;
    const char *name = arena_printf(t->a, "%s_cancel", t->prefix);
    struct tf_spec s = testrun_spec(t, 0, TF_PLAN, vars(t, name, 1));
    s.cancel = &canceled;
    assert_int_equal(testrun_phase(t, "plan", role_tf, &s, &r, &e), ERR_CANCELED);
    assert_int_equal(r.stopped, TF_STOPPED_CANCEL);
    canceled = false;
    int rc = testrun_phase(t, "plan", role_tf, &s, &r, &e);
    TESTRUN_OK(rc, &r, &e);
    canceled = true;
    s.phase = TF_APPLY;
    s.tfvars_json = NULL;
    s.plan = r.plan;
    s.plan_len = r.plan_len;
    rc = testrun_phase(t, "apply", role_tf, &s, &r, &e);
    TESTRUN_OK(rc, &r, &e);
    testrun_query(t, arena_printf(t->a, "drop role %s", name));
    testrun_free(t);
}

static int refuse_to_begin(void *user, const char *run, struct err *e)
{
    (void)user;
    assert_string_equal(run, "begin");
    return err_set(e, ERR_FENCED, "another has it");
}

static void run_does_not_begin_without_its_record_or_its_tools(void **state)
{
    (void)state;
    struct testrun *t = testrun_new();
    TESTRUN_NEED_ENGINE(t);
    struct tf_result r;
    struct err e;
    t->has_postgresql = false;
    struct tf_spec s = testrun_spec(t, 0, TF_PLAN, NULL);
    s.cb.on_begin = refuse_to_begin;
    assert_int_equal(testrun_phase(t, "begin", "", &s, &r, &e), ERR_FENCED);
    assert_false(r.started);
    s.cb.on_begin = NULL;
    s.bwrap = "no-such-bubblewrap";
    assert_int_equal(testrun_phase(t, "bwrap", "", &s, &r, &e), ERR_UNAVAILABLE);
    assert_non_null(strstr(e.msg, "bubblewrap"));
    assert_false(r.started);
    s.bwrap = NULL;
    s.leash = "/nonexistent/soma-leash";
    assert_int_equal(testrun_phase(t, "leash", "", &s, &r, &e), ERR_UNAVAILABLE);
    assert_non_null(strstr(e.msg, "soma-leash"));
    s.leash = NULL;
    atomic_store(&t->lease, 0);
    assert_int_equal(testrun_phase(t, "lease", "", &s, &r, &e), ERR_FENCED);
    assert_false(r.started);
    atomic_store(&t->lease, clock_boot_ms() + 4000); /* less than the guard is left */
    assert_int_equal(testrun_phase(t, "guard", "", &s, &r, &e), ERR_FENCED);
    assert_int_equal(r.stopped, TF_STOPPED_LEASE);
    atomic_store(&t->lease, INT64_MAX - 1);
    s.workdir = "../..";
    assert_int_equal(testrun_phase(t, "out", "", &s, &r, &e), ERR_INVALID);
    s.workdir = "not/there";
    assert_int_equal(testrun_phase(t, "dir", "", &s, &r, &e), ERR_INVALID);
    s.workdir = ".";
    s.phase = TF_APPLY;
    assert_int_equal(testrun_phase(t, "no-plan", "", &s, &r, &e), ERR_INVALID);
    s.phase = TF_PLAN;
    s.state = "{\"version\":4";
    s.state_len = 12;
    assert_int_equal(testrun_phase(t, "state", "", &s, &r, &e), ERR_INVALID);
    s.state = NULL;
    struct tf_provider broken = {.address = "registry.terraform.io/a/b", .binary = "/bin/true"};
    s.providers = &broken;
    s.n_providers = 1;
    assert_int_equal(testrun_phase(t, "provider", "", &s, &r, &e), ERR_UNAVAILABLE);
    assert_non_null(strstr(e.msg, "a/b"));
    testrun_free(t);
}

static void store_that_says_no_ends_the_run(void **state)
{
    (void)state;
    struct testrun *t = testrun_new();
    TESTRUN_NEED_POSTGRESQL(t);
    struct tf_result r;
    struct err e;
    const char *name = arena_printf(t->a, "%s_store", t->prefix);
    struct tf_spec s = testrun_spec(t, 0, TF_PLAN, vars(t, name, 1));
    int rc = testrun_phase(t, "plan", role_tf, &s, &r, &e);
    TESTRUN_OK(rc, &r, &e);
    s = testrun_spec(t, 0, TF_APPLY, NULL);
    s.plan = r.plan;
    s.plan_len = r.plan_len;
    t->state_error = ERR_FENCED;
    assert_int_equal(testrun_phase(t, "apply", role_tf, &s, &r, &e), ERR_FENCED);
    assert_int_equal(r.stopped, TF_STOPPED_STATE);
    assert_string_equal(e.msg, "the store said no");
    assert_int_equal(t->states, 1);
    assert_non_null(r.state);
    testrun_query(t, arena_printf(t->a, "drop role if exists %s", name));
    testrun_free(t);
}

/* Nothing of a value stays in the folder once tf_run has returned, and nothing at all once it is freed. */
static void folder_forgets(void **state)
{
    (void)state;
    struct testrun *t = testrun_new();
    TESTRUN_NEED_POSTGRESQL(t);
    struct tf_result r;
    struct err e = ERR_INIT;
    struct stat st;
    struct tf_dir *d = testrun_dir(t, "forget", role_tf);
    struct tf_spec s = testrun_spec(t, 0, TF_PLAN, vars(t, "x", 1));
    const char *path = arena_strdup(t->a, tf_dir_path(d));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    int rc = tf_run(d, &s, t->a, &r, &e);
    TESTRUN_OK(rc, &r, &e);
    char command[256];
    snprintf(command, sizeof command, "! grep -rqF -- '" TESTRUN_SECRET "' %s", path);
    assert_int_equal(system(command), 0);
    struct tf_dir *second;
    assert_int_equal(tf_dir_new(t->runs, "forget", &second, &e), ERR_CONFLICT);
    assert_int_equal(tf_dir_new(t->runs, "../x", &second, &e), ERR_INVALID);
    tf_dir_free(d, true);
    assert_int_not_equal(stat(path, &st), 0);
    testrun_free(t);
}

/* ---- side by side ---- */

struct side {
    struct testrun *t;
    pthread_t thread;
    size_t engine;
    int rc;
    bool ok;
    int64_t add;
};

static void *plan_beside(void *arg)
{
    struct side *side = arg;
    ARENA_AUTO a = arena_new();
    struct tf_result r;
    struct err e = ERR_INIT;
    struct tf_dir *d;
    struct tf_provider p;
    side->rc = tf_dir_new(side->t->runs, arena_printf(a, "side-%p", arg), &d, &e);
    if (!side->rc)
        side->rc = tf_provider_find(a, side->t->mirrors, "cyrilgdn/postgresql", NULL, NULL, &p, &e);
    if (side->rc)
        return NULL;
    testrun_write(tf_dir_modules(d), "main.tf", role_tf);
    p.env = side->t->postgresql.env;
    struct tf_spec s = testrun_spec(side->t, side->engine, TF_PLAN, "{\"name\":\"side\",\"password\":\"" TESTRUN_SECRET "\"}");
    s.cb = (struct tf_callbacks){.user = side->t, .lease_until = testrun_lease};
    s.providers = &p;
    side->rc = tf_run(d, &s, a, &r, &e);
    side->ok = r.ok;
    side->add = r.plan_read.add;
    tf_dir_free(d, true);
    return NULL;
}

static void runs_side_by_side(void **state)
{
    (void)state;
    struct testrun *t = testrun_new();
    TESTRUN_NEED_POSTGRESQL(t);
    struct side sides[4] = {0};
    for (size_t i = 0; i < 4; i++) {
        sides[i] = (struct side){.t = t, .engine = i % t->n_engines, .rc = 1};
        assert_int_equal(pthread_create(&sides[i].thread, NULL, plan_beside, &sides[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(sides[i].thread, NULL);
        assert_int_equal(sides[i].rc, 0);
        assert_true(sides[i].ok);
        assert_int_equal(sides[i].add, 1);
    }
    testrun_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(life_of_a_role), cmocka_unit_test(stale_plan_is_refused), cmocka_unit_test(errors_have_a_place), cmocka_unit_test(modules_beside_the_root),
        cmocka_unit_test(failed_apply_keeps_its_state), cmocka_unit_test(import_finds_what_is_there_and_names_what_is_not),
        cmocka_unit_test(import_that_fails_says_why_and_whether_it_may_pass),
        cmocka_unit_test(cancel_ends_a_plan_but_no_apply), cmocka_unit_test(run_does_not_begin_without_its_record_or_its_tools),
        cmocka_unit_test(store_that_says_no_ends_the_run), cmocka_unit_test(folder_forgets), cmocka_unit_test(runs_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
