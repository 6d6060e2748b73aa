/* One look at a repository: fetch, check, publish. Runs on a job thread; what takes long (the fetch) holds no connection and no lock.
 *
 * Whatever is wrong with the repository is written down as its problem and the job is done: trying again is the schedule's, with growing pauses. Only the
 * database being away makes the job itself fail and be retried. */
#include "portal/core/thread.h"
#include "portal/crypto/crypto.h"
#include "portal/git/git.h"
#include "portal/json/json.h"
#include "portal/templates/store.h"
#include "templates_queries.h"
#include <dirent.h>
#include <string.h>

/* ---- a commit's tree as a source ---- */

static int read_snapshot(struct template_source *s, size_t index, size_t max, struct buf *out, struct err *e)
{
    return git_snapshot_read(s->arg, index, max, out, e);
}

static struct template_source snapshot_source(struct git_snapshot *snapshot, struct arena *a)
{
    size_t n;
    const struct git_entry *entries = git_snapshot_entries(snapshot, &n);
    struct source_entry *list = arena_alloc(a, (n + 1) * sizeof(*list));
    for (size_t i = 0; i < n; i++)
        list[i] = (struct source_entry){entries[i].path,
                                        entries[i].kind == GIT_FILE ? SOURCE_FILE : entries[i].kind == GIT_LINK ? SOURCE_LINK : SOURCE_SUBMODULE, entries[i].size};
    return (struct template_source){list, n, read_snapshot, snapshot, true};
}

/* ---- the repository's row ---- */

struct look {
    struct db *db;
    struct arena *arena;
    const char *name;
    const char *url, *ref, *known, *started;
    json_t *sealed;                     /* {credentials, webhook_secret} */
    bool (*canceled)(void *arg);
    void *canceled_arg;
    struct refreshed out;
};

/* 1: there is no such repository any more. Not being able to open the credentials is the repository's problem, told in *ret_problem. */
static int load(struct look *l, const char **ret_problem, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO r = NULL;
    int rc = db_take(l->db, &c, e);
    if (rc == 0)
        rc = db_run(c, Q_REPOSITORY_LOAD, &r, e, db_text(l->name));
    if (rc != 0)
        return rc;
    if (db_rows(r) == 0)
        return 1;
    l->url = arena_strdup(l->arena, db_str(r, 0, 0));
    l->ref = arena_strdup(l->arena, db_str(r, 0, 1));
    l->started = arena_strdup(l->arena, db_str(r, 0, 6));
    const char *commit = db_str(r, 0, 4);
    if (strcmp(db_str(r, 0, 5), arena_printf(l->arena, "%s %s", commit, SOMA_VERSION)) == 0)
        l->known = arena_strdup(l->arena, commit);
    size_t len;
    const void *sealed = db_blob(r, 0, 2, l->arena, &len);
    struct err why = ERR_INIT;
    if (repository_open_sealed(l->name, db_i64(r, 0, 3), sealed, len, &l->sealed, &why) != 0)
        *ret_problem = arena_strdup(l->arena, why.msg);
    return 0;
}

/* ---- fetching and checking ---- */

static const char *part(const json_t *credentials, const char *key)
{
    return json_string_value(json_object_get(credentials, key));
}

/* By the URL's digest: another repository under a name that was used before never meets its predecessor's objects. */
static const char *mirror_path(struct arena *a, const char *url)
{
    char hex[65];
    crypto_sha256_hex(url, strlen(url), hex);
    return arena_printf(a, "%s/git/%.32s", templates_settings()->data_dir, hex);
}

static int open_snapshot(struct look *l, struct git_snapshot **ret, struct err *e)
{
    const struct templates_options *o = templates_settings();
    const json_t *given = json_object_get(l->sealed, "credentials");
    const char *token = part(given, "token");
    /* A token goes as the password; git hosts that look at the user name at all take this one. */
    const struct git_credentials credentials = {.username = token && !part(given, "username") ? "oauth2" : part(given, "username"),
                                                .password = token ? token : part(given, "password"), .ssh_key = part(given, "ssh_key"),
                                                .passphrase = part(given, "passphrase"), .host_key = part(given, "host_key")};
    if (!o->data_dir)
        return err_set(e, ERR_INTERNAL, "this process was given no folder for mirrors");
    const struct git_request request = {.url = l->url, .ref = l->ref, .known = l->known, .mirror = mirror_path(l->arena, l->url),
                                        .credentials = given ? &credentials : NULL, .limits = {.ms = o->fetch_ms, .bytes = o->fetch_bytes},
                                        .canceled = l->canceled, .arg = l->canceled_arg};
    return git_snapshot_open(&request, ret, e);
}

static int look_at(struct look *l, struct check *check, struct err *e)
{
    struct git_snapshot *snapshot = NULL;
    int rc = open_snapshot(l, &snapshot, e);
    if (rc != 0)
        return rc;
    l->out.commit = arena_strdup(l->arena, git_snapshot_commit(snapshot));
    if (!git_snapshot_unchanged(snapshot)) {
        struct template_source source = snapshot_source(snapshot, l->arena);
        rc = check_source(&source, "", l->arena, check, e);
        if (rc == 0)
            l->out.check = check;
    }
    git_snapshot_close(snapshot);
    return rc;
}

static int refresh(struct look *l, struct err *e)
{
    struct check check = {0};
    struct err why = ERR_INIT;
    const char *problem = NULL;
    int rc = load(l, &problem, e);
    if (rc != 0)
        return rc > 0 ? 0 : rc;
    if (!problem && (rc = look_at(l, &check, &why)) != 0) {
        if (rc == ERR_CANCELED) {
            *e = why;
            return rc;
        }
        l->out.commit = NULL;
        problem = arena_strdup(l->arena, why.msg);
    }
    l->out.name = l->name;
    l->out.started = l->started;
    l->out.problem = problem;
    rc = publish_refreshed(l->db, &l->out, e);
    check_done(&check);
    return rc;
}

static int run(struct look *l, struct err *e)
{
    l->arena = arena_new();
    int rc = refresh(l, e);
    json_decref(l->sealed);
    arena_free(l->arena);
    return rc;
}

int templates_refresh(struct db *d, const char *name, int (*guard)(struct db_conn *c, void *arg, struct err *e), void *arg, struct err *e)
{
    struct look l = {.db = d, .name = name, .out = {.guard = guard, .arg = arg}};
    return run(&l, e);
}

/* ---- jobs ---- */

static int job_guard(struct db_conn *c, void *arg, struct err *e)
{
    return jobs_guard(c, arg, e);
}

static bool job_canceled(void *arg)
{
    const struct job *j = arg;
    return jobs_draining(j->jobs) || jobs_lease_until(j) == 0;
}

static int refresh_job(struct job *j, struct err *e)
{
    THREAD_ASSERT(THREAD_JOB);
    struct look l = {.db = j->db, .name = j->subject, .canceled = job_canceled, .canceled_arg = j, .out = {.guard = job_guard, .arg = j}};
    int rc = run(&l, e);
    return rc == 0 ? JOBS_DONE : JOBS_RETRY;
}

/* The queue gave up: the repository says so, and the schedule tries again later. */
static int refresh_dead(struct db_conn *c, const char *subject, json_t *args, const char *reason, struct err *e)
{
    (void)args;
    return db_run(c, Q_REPOSITORY_DONE, NULL, e, db_text(subject), db_text("infinity"), db_text(reason), db_null(), db_null(), db_float(60));
}

/* Asks for those that are due. Their next time is moved at once, so that one which takes long is not asked for again and again meanwhile. */
static int schedule_due(struct db_conn *c, void *arg, struct err *e)
{
    const struct job *j = arg;
    DB_RESULT_AUTO due = NULL;
    const struct templates_options *o = templates_settings();
    double pause = (double)(o->refresh_ms + 2 * o->fetch_ms) / 1000;
    int rc = jobs_guard(c, j, e);
    if (rc == 0)
        rc = db_run(c, Q_REPOSITORIES_DUE, &due, e);
    for (int i = 0; rc == 0 && i < db_rows(due); i++) {
        rc = db_run(c, Q_REPOSITORY_POSTPONE, NULL, e, db_text(db_str(due, i, 0)), db_float(pause));
        if (rc == 0)
            rc = jobs_enqueue(c, &(struct jobs_spec){.kind = "templates.refresh", .subject = db_str(due, i, 0), .priority = -10}, NULL, e);
    }
    return rc;
}

/* Mirrors of repositories that were removed. */
static int sweep_mirrors(struct job *j, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO urls = NULL;
    const char *data_dir = templates_settings()->data_dir;
    int rc = db_take(j->db, &c, e);
    if (rc == 0)
        rc = db_run(c, Q_REPOSITORY_URLS, &urls, e);
    if (rc != 0 || !data_dir)
        return rc;
    const char *folder = arena_printf(j->arena, "%s/git", data_dir);
    DIR *dir = opendir(folder);
    for (struct dirent *d; dir && rc == 0 && (d = readdir(dir));) {
        bool wanted = strlen(d->d_name) != 32;
        for (int i = 0; i < db_rows(urls) && !wanted; i++)
            wanted = strcmp(strrchr(mirror_path(j->arena, db_str(urls, i, 0)), '/') + 1, d->d_name) == 0;
        if (!wanted)
            rc = git_mirror_remove(arena_printf(j->arena, "%s/%s", folder, d->d_name), e);
    }
    if (dir)
        closedir(dir);
    return rc;
}

static int schedule_job(struct job *j, struct err *e)
{
    THREAD_ASSERT(THREAD_JOB);
    return db_tx(j->db, schedule_due, j, e) == 0 && sweep_mirrors(j, e) == 0 ? JOBS_DONE : JOBS_RETRY;
}

struct jobs_kind templates_jobs[] = {
    {.kind = "templates.refresh", .fn = refresh_job, .max_attempts = 20, .max_crashes = 5, .backoff_ms = 1000, .backoff_max_ms = 60000, .dead = refresh_dead},
    {.kind = "templates.schedule", .fn = schedule_job, .max_attempts = 3, .max_crashes = 5, .backoff_ms = 1000, .backoff_max_ms = 10000, .every_ms = 30000},
    {0},
};
