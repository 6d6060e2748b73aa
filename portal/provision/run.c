/* Plan and apply of an order: what goes into the engine's box and what is kept of what comes out.
 *
 * The complication: an apply may have been cut off. Then the last state and the journal say what is left; it is planned anew with imports for what was in flight, and
 * applied only where it does no more than the plan that was approved. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "portal/core/clock.h"
#include "portal/core/fs.h"
#include "portal/core/log.h"
#include "portal/json/json.h"
#include "portal/provision/provision_private.h"
#include "portal/provision/run_private.h"
#include "portal/secrets/secrets.h"
#include "provision_queries.h"

#define RUN_ROOM_MIB 16

/* ---- what the run needs, read at once ---- */

int run_open_sealed(const struct db_result *row, int col, const char *table, const char *id, int64_t version, struct arena *a, const void **ret, size_t *ret_len,
                    struct err *e)
{
    size_t len;
    const void *sealed = db_blob(row, 0, col, a, &len);
    BUF_AUTO plain = BUF_INIT;
    int r = secrets_open(table, id, version, sealed, len, &plain, e);
    if (!r) {
        char *copy = arena_alloc(a, plain.len + 1);
        if (plain.len)
            memcpy(copy, plain.data, plain.len);
        *ret = copy;
        *ret_len = plain.len;
    }
    buf_wipe(&plain);
    return r;
}

static int load_state(struct db_conn *c, struct run_setup *s, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    s->serial = -1;
    if (!s->order->service_id || (s->order->plan_only && !s->order->destroy))
        return 0;
    int r = db_run(c, Q_STATE_LAST, &row, e, db_text(s->order->service_id));
    if (r || db_rows(row) == 0)
        return r;
    s->serial = db_i64(row, 0, 0);
    return run_open_sealed(row, 2, "terraform_state", s->order->service_id, s->serial, s->arena, &s->state, &s->state_len, e);
}

static int load_values(struct db_conn *c, struct run_setup *s, struct err *e)
{
    struct order *o = s->order;
    const void *plain = NULL;
    size_t len = 0;
    int r = 0;
    if (o->sealed_values) {
        BUF_AUTO b = BUF_INIT;
        r = secrets_open("orders", o->id, 0, o->sealed_values, o->sealed_values_len, &b, e);
        plain = r ? NULL : arena_memdup(s->arena, b.data, b.len);
        len = b.len;
        buf_wipe(&b);
    } else if (o->service_id) {
        DB_RESULT_AUTO row = NULL;
        r = db_one(c, Q_SERVICE_LOAD, &row, e, db_text(o->service_id));
        if (!r && !db_is_null(row, 0, 3))
            r = run_open_sealed(row, 3, "service", o->service_id, 0, s->arena, &plain, &len, e);
    }
    if (r || !plain)
        return r;
    return json_read(plain, len, 0, &s->values, e);
}

static json_t *soma_variable(const struct run_setup *s)
{
    const struct order *o = s->order;
    const json_t *region = json_object_get(s->env.settings, "region");
    const char *owner = s->owner ? s->owner : o->person_name;
    json_t *tags = json_pack("{s:s,s:s,s:s,s:s}", "Owner", owner, "CostCenter", o->cost_centre, "ManagedBy", "soma", "Environment", o->environment);
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:O}", "name", o->name, "team", o->team, "owner", owner, "cost_centre", o->cost_centre, "environment",
                     o->environment, "region", region ? json_string_value(region) : "us-east-1", "tags", tags, "endpoints", s->env.settings);
}

/* Parameters, generated values and `soma`, as one typed document. */
static int make_tfvars(struct run_setup *s, struct err *e)
{
    json_t *vars = json_copy(s->order->parameters);
    json_object_update(vars, s->values);
    json_t *soma = soma_variable(s);
    if (!soma) {
        json_decref(vars);
        return err_set(e, ERR_INTERNAL, "the order's values are no valid text");
    }
    json_object_set_new(vars, "soma", soma);
    BUF_AUTO b = BUF_INIT;
    json_write(vars, &b);
    s->tfvars = arena_strdup(s->arena, b.data);
    buf_wipe(&b);
    json_decref(vars);
    return 0;
}

/* Credentials go to the provider that reads them: a PostgreSQL provider learns no cloud keys. */
static bool credential_is_for(const char *credential, const char *address)
{
    if (!strncmp(credential, "GIT_", 4)) /* for the repositories that golden paths make: repository.c */
        return false;
    static const struct { const char *prefix, *type; } known[] = {
        {"PG", "/postgresql"}, {"AWS_", "/aws"}, {"ARM_", "/azurerm"}, {"GOOGLE_", "/google"}, {"MYSQL_", "/mysql"}, {"RABBITMQ_", "/rabbitmq"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strncmp(credential, known[i].prefix, strlen(known[i].prefix))) {
            size_t n = strlen(address), m = strlen(known[i].type);
            return n >= m && !strcmp(address + n - m, known[i].type);
        }
    return true;
}

static void give_credentials(struct run_setup *s)
{
    size_t n = 0;
    while (s->env.credentials[n])
        n++;
    for (size_t i = 0; i < s->n_providers; i++) {
        const char **env = arena_alloc(s->arena, sizeof(char *) * (n + 1));
        size_t k = 0;
        for (size_t j = 0; j < n; j++)
            if (credential_is_for(s->env.credentials[j], s->providers[i].address))
                env[k++] = s->env.credentials[j];
        s->providers[i].env = env;
    }
}

/* What must never be read in an event: generated values and credentials. */
static void collect_secrets(struct run_setup *s)
{
    size_t n = json_object_size(s->values), i = 0;
    for (const char **p = s->env.credentials; *p; p++)
        n++;
    const char **secrets = arena_alloc(s->arena, sizeof(char *) * (n + 1));
    const char *key;
    json_t *value;
    json_object_foreach(s->values, key, value)
        if (json_is_string(value) && json_string_length(value) >= 6)
            secrets[i++] = arena_strdup(s->arena, json_string_value(value));
    for (const char **p = s->env.credentials; *p; p++) {
        const char *equals = strchr(*p, '=');
        if (equals && strlen(equals + 1) >= 6)
            secrets[i++] = equals + 1;
    }
    s->secrets = secrets;
}

int run_setup(struct run_setup *s, struct order *o, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    s->order = o;
    s->arena = o->job->arena;
    int r = db_take(o->job->db, &c, e);
    if (!r)
        r = environment_open(c, o->environment, s->arena, &s->env, e);
    if (!r)
        r = load_state(c, s, e);
    if (!r)
        r = load_values(c, s, e);
    if (!r && o->service_id) {
        DB_RESULT_AUTO row = NULL;
        r = db_one(c, Q_SERVICE_LOAD, &row, e, db_text(o->service_id));
        s->owner = r ? NULL : arena_strdup(s->arena, db_str(row, 0, 5));
    }
    if (!r)
        r = make_tfvars(s, e);
    if (!r)
        r = tf_engine_detect(s->arena, provision_get()->engine, &s->engine, e);
    if (!r)
        r = templates_check_engine(&o->version, s->engine.name, s->engine.version, e);
    if (!r) {
        struct tf_requirement *required = NULL;
        size_t n = 0;
        r = templates_providers(c, o->template_version, s->arena, &required, &n, e);
        s->providers = arena_alloc(s->arena, sizeof *s->providers * (n + 1));
        for (size_t i = 0; i < n && !r; i++, s->n_providers++)
            r = tf_provider_find(s->arena, provision_get()->providers ? provision_get()->providers : "", required[i].source, required[i].constraint, required[i].lock,
                                 &s->providers[i], e);
    }
    if (!r) {
        give_credentials(s);
        collect_secrets(s);
    }
    return r;
}

void run_setup_done(struct run_setup *s)
{
    environment_run_done(&s->env);
    json_decref(s->values);
    s->values = NULL;
}

/* ---- while the engine runs ---- */

struct running { struct run_setup *s; const char *run; const char *phase; };

static int64_t lease_until(void *user)
{
    struct running *u = user;
    return jobs_lease_until(u->s->order->job);
}

void run_providers_json(const struct run_setup *s, struct buf *b)
{
    buf_char(b, '[');
    for (size_t i = 0; i < s->n_providers; i++) {
        buf_str(b, i ? ",{" : "{");
        buf_json_kv(b, "address", s->providers[i].address);
        buf_json_kv(b, "version", s->providers[i].version);
        buf_json_kv(b, "sha256", s->providers[i].sha256);
        buf_char(b, '}');
    }
    buf_char(b, ']');
}

static int begin_body(struct db_conn *c, void *arg, struct err *e)
{
    struct running *u = arg;
    struct run_setup *s = u->s;
    const char *node = provision_get()->node_id;
    BUF_AUTO providers = BUF_INIT;
    run_providers_json(s, &providers);
    int r = jobs_leash_begin(c, s->order->job, node, u->run, e);
    return r ? r : db_run(c, Q_RUN_INSERT, NULL, e, db_text(u->run), db_text(s->order->id), db_text(u->phase), db_text(node), db_int(s->order->job->fence),
                          db_text(s->engine.name), db_text(s->engine.version), db_text(providers.data), db_int(s->serial));
}

static int on_begin(void *user, const char *run, struct err *e)
{
    struct running *u = user;
    (void)run;
    return road_tx(u->s->order, begin_body, u, e);
}

struct event_write { struct running *u; const char *type, *json; };

static int event_body(struct db_conn *c, void *arg, struct err *e)
{
    struct event_write *w = arg;
    struct order *o = w->u->s->order;
    return order_event(c, o->id, o->team, w->type, w->json, e);
}

static void on_event(void *user, const struct tf_event *ev, const char *json)
{
    struct running *u = user;
    if (!run_event_is_kept(u->phase, ev))
        return;
    struct event_write w = {.u = u, .type = arena_printf(u->s->arena, "terraform.%s", ev->type_name), .json = json};
    struct err e = ERR_INIT;
    /* A lost event is a gap in a progress display, never a reason to stop an apply. */
    if (road_tx(u->s->order, event_body, &w, &e))
        log_warn("an event of the engine could not be stored", LOG_S("type", ev->type_name), LOG_S("reason", e.msg));
}

int64_t run_count_resources(const void *state, size_t len)
{
    json_t *doc = NULL;
    if (!state || json_read(state, len, 200, &doc, NULL))
        return 0;
    int64_t n = 0;
    size_t i;
    const json_t *resource;
    json_array_foreach(json_object_get(doc, "resources"), i, resource) {
        const char *mode = json_string_value(json_object_get(resource, "mode"));
        if (mode && !strcmp(mode, "managed"))
            n += (int64_t)json_array_size(json_object_get(resource, "instances"));
    }
    json_decref(doc);
    return n;
}

int run_keep_resources(struct db_conn *c, const char *service, const char *name, const char *team, const void *state, size_t len, struct err *e)
{
    return service_set_resources(c, service, name, team, run_count_resources(state, len), e);
}

struct state_write { struct run_setup *s; const char *run, *lineage; int64_t serial; const void *bytes; size_t n; };

static int state_body(struct db_conn *c, void *arg, struct err *e)
{
    struct state_write *w = arg;
    BUF_AUTO sealed = BUF_INIT;
    int r = secrets_seal("terraform_state", w->s->order->service_id, w->serial, w->bytes, w->n, &sealed, e);
    const struct order *o = w->s->order;
    if (!r)
        r = db_run(c, Q_STATE_PUT, NULL, e, db_text(o->service_id), db_int(w->serial), db_text(w->lineage), db_bytes(sealed.data, sealed.len), db_text(w->run));
    return r ? r : run_keep_resources(c, o->service_id, o->name, o->team, w->bytes, w->n, e);
}

/* The database may be away for a while: as long as the lease stands, storing is tried again. */
static int on_state(void *user, int64_t serial, const char *lineage, const void *bytes, size_t n, struct err *e)
{
    struct running *u = user;
    struct state_write w = {u->s, u->run, lineage, serial, bytes, n};
    for (;;) {
        int r = road_tx(u->s->order, state_body, &w, e);
        if (r != ERR_UNAVAILABLE && r != ERR_TIMEOUT)
            return r;
        if (jobs_lease_until(u->s->order->job) - clock_boot_ms() < 1000)
            return r;
        clock_sleep_ms(500);
    }
}

struct end_write { struct run_setup *s; const char *run, *outcome; const struct tf_result *result; };

static int end_body(struct db_conn *c, void *arg, struct err *e)
{
    struct end_write *w = arg;
    BUF_AUTO journal = BUF_INIT;
    int r = jobs_leash_ended(c, provision_get()->node_id, w->run, e);
    if (!r && w->result->journal_len)
        r = secrets_seal("run", w->run, 0, w->result->journal, w->result->journal_len, &journal, e);
    return r ? r : db_run(c, Q_RUN_END, NULL, e, db_text(w->run), db_text(w->outcome), db_int(w->result->serial),
                          journal.len ? db_bytes(journal.data, journal.len) : db_null());
}

/* Records that no process of the run is left. Needs no lease: it is a fact. When it cannot be written now, the folder stays and the sweep writes it. */
static bool record_end(struct run_setup *s, const char *run, const struct tf_result *result)
{
    struct end_write w = {s, run, result->ok ? "ok" : result->stopped || result->unsaved || result->exit_status > 128 ? "stopped" : "failed", result};
    struct err e = ERR_INIT;
    for (int i = 0; i < 20; i++) {
        if (!db_tx(s->order->job->db, end_body, &w, &e))
            return true;
        clock_sleep_ms(500);
    }
    log_error("the end of a run could not be recorded; the sweep will", LOG_S("run", run), LOG_S("reason", e.msg));
    return false;
}

static int export_template(struct run_setup *s, struct tf_dir *d, const char **ret_workdir, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    int r = db_take(s->order->job->db, &c, e);
    return r ? r : templates_export(c, s->order->template_version, tf_dir_modules(d), s->arena, ret_workdir, e);
}

/* A run that begins on a full disk fails in its middle, where it hurts. */
static int check_room(const char *dir, struct err *e)
{
    struct statvfs fs;
    if (fs_mkdirs(dir, 0700, e) || statvfs(dir, &fs))
        return e && e->code ? e->code : err_errno(e, ERR_IO, errno, "cannot look at the folder of runs %s", dir);
    uint64_t mib = (uint64_t)fs.f_bavail * fs.f_frsize >> 20;
    return mib >= RUN_ROOM_MIB ? 0 : err_set(e, ERR_IO, "the disk of %s has %llu MiB left, and a run is not begun below %d: make room on the node", dir, (unsigned long long)mib, RUN_ROOM_MIB);
}

int run_engine(struct run_setup *s, enum tf_phase phase, const struct run_input *in, struct tf_result *result, struct err *e)
{
    const struct provision_options *p = provision_get();
    struct tf_dir *d = NULL;
    struct running u = {.s = s, .phase = phase == TF_APPLY ? "apply" : phase == TF_IMPORT ? "import" : phase == TF_PLAN ? "plan" : "plan-destroy"};
    u.run = arena_printf(s->arena, "%.12s-%lld-%d", s->order->id + 24, (long long)s->order->job->fence, ++s->order->runs);
    const char *workdir = NULL;
    int r = check_room(p->runs_dir, e);
    if (!r)
        r = tf_dir_new(p->runs_dir, u.run, &d, e);
    if (r)
        return r;
    if ((r = export_template(s, d, &workdir, e))) {
        tf_dir_free(d, true);
        return r;
    }
    struct tf_spec spec = {.phase = phase, .engine = s->engine, .workdir = strcmp(workdir, ".") ? workdir : NULL, .tfvars_json = phase == TF_APPLY ? NULL : s->tfvars,
                           .state = s->state, .state_len = s->state_len, .plan = in->plan, .plan_len = in->plan_len, .providers = s->providers,
                           .n_providers = s->n_providers, .secrets = s->secrets, .imports = in->imports, .n_imports = in->n_imports,
                           .wall_ms = phase == TF_APPLY ? p->apply_wall_ms : p->plan_wall_ms, .leash = p->leash,
                           .cb = {&u, lease_until, on_begin, on_event, phase == TF_APPLY || phase == TF_IMPORT ? on_state : NULL}};
    r = tf_run(d, &spec, s->arena, result, e);
    bool recorded = !result->started || record_end(s, u.run, result);
    tf_dir_free(d, recorded);
    if (!r && !result->ok && result->exit_status == 128 + SIGKILL) /* by the kernel that wanted memory, say; not by us */
        r = err_set(e, ERR_UNAVAILABLE, "the engine was killed in mid-%s", u.phase);
    if (!r && result->unsaved)
        r = err_set(e, ERR_UNAVAILABLE, "the engine could not write its state into %s (is the disk full?); its journal tells what it made, and the apply goes on from there", p->runs_dir);
    return r;
}

bool run_event_is_kept(const char *phase, const struct tf_event *ev)
{
    static const char *const dropped[] = {"version", "log", "provision_progress", "init_output", "refresh_start", "refresh_complete", NULL};
    (void)phase;
    for (int i = 0; dropped[i]; i++)
        if (!strcmp(ev->type_name, dropped[i]))
            return false;
    return true;
}

/* ---- why a run failed, in the engine's own words ---- */

void run_fail(struct run_setup *s, const char *what, const struct tf_result *result, const struct err *e, struct run_outcome *ret)
{
    const struct tf_diagnostic *first = NULL;
    BUF_AUTO list = BUF_INIT;
    buf_char(&list, '[');
    for (size_t i = 0; i < result->n_diagnostics; i++) {
        const struct tf_diagnostic *d = &result->diagnostics[i];
        if (!first && d->severity && !strcmp(d->severity, "error"))
            first = d;
        if (i)
            buf_char(&list, ',');
        tf_diagnostic_write(d, &list);
    }
    buf_char(&list, ']');
    if (first && first->file && *first->file)
        ret->reason = arena_printf(s->arena, "%s failed: %s (%s:%d)%s%s", what, first->summary, first->file, (int)first->line, first->detail && *first->detail ? ": " : "",
                                   first->detail ? first->detail : "");
    else if (first)
        ret->reason = arena_printf(s->arena, "%s failed: %s%s%s", what, first->summary, first->detail && *first->detail ? ": " : "", first->detail ? first->detail : "");
    else
        ret->reason = arena_printf(s->arena, "%s failed: %s", what, e && e->code ? e->msg : "the engine ended without saying why");
    if (s->hint)
        ret->reason = arena_printf(s->arena, "%s; %s", ret->reason, s->hint);
    BUF_AUTO problem = BUF_INIT;
    buf_char(&problem, '{');
    buf_json_kv(&problem, "type", "terraform");
    buf_json_kv(&problem, "phase", what);
    buf_json_kv(&problem, "detail", ret->reason);
    buf_json_kv(&problem, "next", "what was made so far is kept and known; mend the cause and order anew, or `soma destroy` takes it away");
    buf_json_kraw(&problem, "diagnostics", list.data);
    buf_char(&problem, '}');
    ret->problem = arena_strdup(s->arena, problem.data);
    ret->end = RUN_FAILED;
}

int run_again(const char *why, int attempt, int tries, struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "%.700s, for a reason that may pass (try %d of %d)", why, attempt, tries);
}

int run_fail_or_again(struct run_setup *s, const char *what, const struct tf_result *result, int tries, struct run_outcome *ret, struct err *e)
{
    int attempt = s->order->job->attempt;
    run_fail(s, what, result, e, ret);
    if (attempt >= tries || !tf_failure_may_pass(result))
        return 0;
    ret->end = RUN_OK;
    return run_again(ret->reason, attempt, tries, e);
}
