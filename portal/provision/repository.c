/* The repository that a golden path makes beside what Terraform makes: looked for before anything is planned, filled once all is applied, left where it is by a destroy.
 *
 * The complication: git hosts know nothing of our transactions. Each try makes the same commit, so a try that was cut off is seen at the other side; the row that
 * says "pushed" comes after, together with output, event and audit entry. */
#include <stdio.h>
#include <string.h>

#include "portal/audit/audit.h"
#include "portal/core/clock.h"
#include "portal/core/fs.h"
#include "portal/git/git.h"
#include "portal/json/json.h"
#include "portal/provision/provision_private.h"
#include "portal/provision/run_private.h"
#include "provision_queries.h"

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* The base of an environment's repositories, without a slash at its end; NULL when it has none. */
static const char *base_of(const json_t *settings, struct arena *a)
{
    const char *base = text_of(settings, "git_remote_base");
    size_t n = base ? strlen(base) : 0;
    while (n > 1 && base[n - 1] == '/')
        n--;
    return n ? arena_strndup(a, base, n) : NULL;
}

static int make_url(const struct template_version *v, const char *base, const json_t *values, struct arena *a, const char **ret, struct err *e)
{
    const char *name = NULL;
    int r = templates_repository_name(v, values, a, &name, e);
    if (r)
        return r;
    size_t n = strlen(name);
    *ret = arena_printf(a, "%s/%s%s", base, name, n > 4 && !strcmp(name + n - 4, ".git") ? "" : ".git");
    return git_url_check(*ret, false, e);
}

/* ---- when it is ordered ---- */

int repository_accept(struct db_conn *c, const struct template_version *v, const char *environment, const json_t *values, struct arena *a, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    json_t *settings = NULL, *named = NULL;
    struct err why = ERR_INIT;
    const char *url = NULL;
    int r = db_one(c, Q_ENVIRONMENT_FOR_ORDER, &row, e, db_text(environment));
    if (!r)
        r = json_read(db_str(row, 0, 0), strlen(db_str(row, 0, 0)), 0, &settings, e);
    if (r)
        return r;
    const char *base = base_of(settings, a);
    if (!base)
        r = err_field(e, "/environment", "%s makes a git repository, and %s has no place for any; a platform-admin names one: soma environments update %s --setting "
                                         "git_remote_base=https://git.example.com/group",
                      v->name, environment, environment);
    else if (make_url(v, base, values, a, &url, &why))
        r = err_field(e, "/name", "%s", why.msg);
    else if (templates_repository_values(v, values, a, &named, &why))
        r = err_field(e, "/parameters", "%s", why.msg);
    json_decref(named);
    json_decref(settings);
    return r;
}

/* ---- what a push needs ---- */

struct work {
    struct order *o;
    struct environment_run env;
    json_t *values, *named;
    const char *url;
    struct git_credentials credentials;
    struct git_publish publish;
};

static void work_done(struct work *w)
{
    environment_run_done(&w->env);
    json_decref(w->values);
    json_decref(w->named);
}

static const char *credential(const struct work *w, const char *name)
{
    size_t n = strlen(name);
    for (const char **p = w->env.credentials; p && *p; p++)
        if (!strncmp(*p, name, n) && (*p)[n] == '=')
            return *p + n + 1;
    return NULL;
}

static void take_credentials(struct work *w)
{
    const char *token = credential(w, "GIT_TOKEN"), *user = credential(w, "GIT_USERNAME");
    /* A token goes as the password; git hosts that look at the user name at all take this one. */
    w->credentials = (struct git_credentials){.username = token && !user ? "oauth2" : user, .password = token ? token : credential(w, "GIT_PASSWORD"),
                                              .ssh_key = credential(w, "GIT_SSH_KEY"), .passphrase = credential(w, "GIT_SSH_PASSPHRASE"),
                                              .host_key = credential(w, "GIT_SSH_HOST_KEY")};
    if (w->credentials.password || w->credentials.ssh_key)
        w->publish.credentials = &w->credentials;
}

static bool lease_lost(void *arg)
{
    const struct order *o = arg;
    return jobs_lease_until(o->job) <= clock_boot_ms();
}

/* The values that texts are filled from; a service's outputs are among them once there is one. */
static int load_values(struct db_conn *c, struct work *w, bool with_outputs, struct err *e)
{
    struct order *o = w->o;
    if (with_outputs)
        w->values = road_service_values(c, o, e);
    else
        w->values = json_pack("{s:s,s:s,s:s,s:s,s:s,s:O}", "name", o->name, "team", o->team, "owner", o->person_name, "environment", o->environment, "cost_centre",
                              o->cost_centre, "parameters", o->parameters);
    if (!w->values)
        return with_outputs ? e->code : err_set(e, ERR_INTERNAL, "the order's values are no valid text");
    const char *region = text_of(w->env.settings, "region");
    json_object_set_new(w->values, "region", json_string(region ? region : ""));
    return 0;
}

static int work_begin(struct db_conn *c, struct work *w, bool with_outputs, struct err *e)
{
    struct order *o = w->o;
    struct arena *a = o->job->arena;
    int r = environment_open(c, o->environment, a, &w->env, e);
    if (!r)
        r = load_values(c, w, with_outputs, e);
    if (r)
        return r;
    const char *base = base_of(w->env.settings, a);
    if (!base)
        return err_set(e, ERR_INVALID, "the environment %s has no setting git_remote_base any more", o->environment);
    r = make_url(&o->version, base, w->values, a, &w->url, e);
    if (!r)
        r = templates_repository_values(&o->version, w->values, a, &w->named, e);
    w->publish = (struct git_publish){.url = w->url, .base = base, .branch = text_of(templates_repository(&o->version), "branch"), .author = "Soma", .email = "soma@localhost",
                                      .message = arena_printf(a, "Start %s\n\nMade from the golden path %s for %s of team %s.\n", o->name, o->template, o->person_name, o->team),
                                      .scratch = arena_printf(a, "%s/pushes/%s", provision_get()->data_dir, o->id), .canceled = lease_lost, .arg = o};
    take_credentials(w);
    return r;
}

/* Whether the error ends the order; the others are tried again. */
static bool is_final(int code)
{
    return !run_error_is_ours(code) && code != ERR_TIMEOUT;
}

static int fill_outcome(const struct work *w, const struct err *why, const char *next, struct run_outcome *ret)
{
    struct arena *a = w->o->job->arena;
    BUF_AUTO problem = BUF_INIT;
    ret->end = RUN_FAILED;
    ret->reason = w->url ? arena_printf(a, "the repository %s cannot be made: %s", w->url, why->msg) : arena_printf(a, "the repository cannot be made: %s", why->msg);
    buf_char(&problem, '{');
    buf_json_kv(&problem, "type", "repository");
    if (w->url)
        buf_json_kv(&problem, "repository", w->url);
    buf_json_kv(&problem, "detail", ret->reason);
    buf_json_kv(&problem, "next", next);
    buf_char(&problem, '}');
    ret->problem = arena_strdup(a, problem.data);
    return 0;
}

/* ---- before anything is planned ---- */

int repository_look(struct order *o, struct run_outcome *ret, struct err *e)
{
    struct work w = {.o = o};
    char commit[41];
    bool before;
    struct err why = ERR_INIT;
    DB_CONN_AUTO c = NULL;
    int r = db_take(o->job->db, &c, &why);
    if (!r)
        r = work_begin(c, &w, false, &why);
    db_givep(&c);
    if (!r) {
        w.publish.look_only = true;
        r = git_publish(&w.publish, commit, &before, &why);
    }
    if (r && is_final(r))
        r = fill_outcome(&w, &why, "nothing was made; order under another name, or have the repository moved away or the environment's settings mended", ret);
    else if (r)
        *e = why;
    work_done(&w);
    return r;
}

/* ---- once all is applied ---- */

struct pushed { struct work *w; const char *commit; bool before; };

static int audit_push(struct db_conn *c, const struct order *o, const char *detail, struct err *e)
{
    char subject[64];
    snprintf(subject, sizeof subject, "service:%s", o->name);
    struct audit_entry a = {.actor = "system", .actor_name = "system", .person_name = o->person_name, .action = "repository.push", .subject = subject, .team = o->team,
                            .detail = detail};
    return audit_append(c, &a, e);
}

static int pushed_body(struct db_conn *c, void *arg, struct err *e)
{
    struct pushed *p = arg;
    const struct order *o = p->w->o;
    BUF_AUTO data = BUF_INIT;
    buf_char(&data, '{');
    buf_json_kv(&data, "repository", p->w->url);
    buf_json_kv(&data, "branch", p->w->publish.branch);
    buf_json_kv(&data, "commit", p->commit);
    buf_char(&data, '}');
    int r = db_run(c, Q_REPOSITORY_INSERT, NULL, e, db_text(o->service_id), db_text(p->w->url), db_text(p->w->publish.branch), db_text(p->commit));
    if (!r)
        r = order_event(c, o->id, o->team, "repository.pushed", data.data, e);
    return r ? r : audit_push(c, o, data.data, e);
}

static int load_files(struct db_conn *c, struct work *w, struct err *e)
{
    struct order *o = w->o;
    struct templates_file *files = NULL;
    DB_RESULT_AUTO row = NULL;
    size_t n = 0;
    int r = db_one(c, Q_REPOSITORY_ORDERED_AT, &row, e, db_text(o->service_id));
    if (!r)
        r = templates_skeleton(c, &o->version, w->named, o->job->arena, &files, &n, e);
    if (r)
        return r;
    struct git_new_file *all = arena_alloc(o->job->arena, sizeof *all * (n + 1));
    for (size_t i = 0; i < n; i++)
        all[i] = (struct git_new_file){files[i].path, files[i].data, files[i].len, files[i].executable};
    w->publish.files = all;
    w->publish.n_files = n;
    w->publish.time = db_i64(row, 0, 0);
    return 0;
}

static int find_pushed(struct db_conn *c, const struct order *o, const char **ret_url, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_run(c, Q_REPOSITORY_GET, &row, e, db_text(o->service_id));
    *ret_url = !r && db_rows(row) ? arena_strdup(o->job->arena, db_str(row, 0, 0)) : NULL;
    return r;
}

static int push(struct work *w, struct err *e)
{
    char commit[41];
    struct pushed p = {.w = w, .commit = commit};
    const char *done = NULL;
    DB_CONN_AUTO c = NULL;
    int r = db_take(w->o->job->db, &c, e);
    if (!r)
        r = find_pushed(c, w->o, &done, e);
    if (r || done)
        return r;
    r = work_begin(c, w, true, e);
    if (!r)
        r = load_files(c, w, e);
    db_givep(&c);
    if (!r)
        r = git_publish(&w->publish, commit, &p.before, e);
    return r ? r : road_tx(w->o, pushed_body, &p, e);
}

int repository_push(struct order *o, struct run_outcome *ret, struct err *e)
{
    struct work w = {.o = o};
    struct err why = ERR_INIT;
    int r = push(&w, &why);
    if (r && is_final(r))
        r = fill_outcome(&w, &why, "all else was made and is kept; `soma destroy` takes it away", ret);
    else if (r)
        *e = why;
    work_done(&w);
    return r;
}

/* ---- in the transaction that registers ---- */

int repository_register(struct db_conn *c, const struct order *o, struct err *e)
{
    const char *url = NULL;
    int r = find_pushed(c, o, &url, e);
    if (!r && url)
        r = db_run(c, Q_REPOSITORY_OUTPUT, NULL, e, db_text(o->service_id), db_text(url));
    return !r && url ? service_changed(c, o->name, o->team, "outputs", e) : r;
}

int repository_keep(struct db_conn *c, const struct order *o, const char **ret_words, struct err *e)
{
    const char *url = NULL;
    int r = find_pushed(c, o, &url, e);
    if (r || !url)
        return r;
    *ret_words = arena_printf(o->job->arena, "the repository %s stays; whoever owns it may delete it there", url);
    BUF_AUTO data = BUF_INIT;
    buf_char(&data, '{');
    buf_json_kv(&data, "repository", url);
    buf_char(&data, '}');
    return order_event(c, o->id, o->team, "repository.kept", data.data, e);
}

void repository_sweep(void)
{
    struct err late = ERR_INIT;
    BUF_AUTO path = BUF_INIT;
    buf_printf(&path, "%s/pushes", provision_get()->data_dir);
    fs_remove_tree(path.data, &late); /* what stays is in nobody's way: each push makes its folder anew */
}
