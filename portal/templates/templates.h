/* Golden paths: git repositories -> checked manifests -> published versions that no longer need the git host.
 *
 * A golden path is a folder with `template.yaml` beside its Terraform files; docs/golden-paths.md is its format. A *version* is what was
 * published from one commit: its manifest and an archive of the files that a run needs, both in PostgreSQL. A version never changes and is never
 * removed while something points at it; a repository that is gone, huge or hostile leaves a problem entry and changes nothing else.
 *
 * The check (templates_check_dir, and the same code on refresh) needs neither database nor git. Strings of results live in the given arena.
 * Threads: refresh runs on job threads; the rest anywhere. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/buf.h"
#include "portal/core/config.h"
#include "portal/core/err.h"
#include "portal/db/db.h"
#include "portal/http/http.h"
#include "portal/jobs/jobs.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Checking (offline) ---- */

struct template_finding {
    const char *path;   /* of the file, relative to the repository (refresh) or to the checked folder */
    int line;           /* from 1; 0 when no line is to blame */
    const char *reason;
};

struct template_report {
    struct arena *arena;                 /* owned by the report */
    struct template_finding *findings;   /* sorted by path and line */
    size_t n_findings;
    const char **names;                  /* golden paths that are in order */
    size_t n_names;
    size_t n_manifests;                  /* template.yaml files seen */
};

/* Checks a golden path's folder, or every golden path below `dir`; the enclosing git work tree, if any, bounds what `../modules/x` may reach.
 * 0 whatever was found: look at n_findings. ERR_NOT_FOUND: no such folder, or no template.yaml in it. ERR_IO. */
int templates_check_dir(const char *dir, struct template_report *ret, struct err *e);
void templates_report_done(struct template_report *r);

/* ---- Published versions (for provision and monitoring) ---- */

struct template_version {
    const char *id;            /* UUID of the version */
    const char *name;          /* of the golden path */
    int64_t number;            /* 1, 2, ... within the golden path */
    const char *repository;    /* name; "" when it was removed since */
    const char *commit;        /* 40 hex digits */
    const char *path;          /* folder in the repository; "" is its root */
    const char *published_at;  /* RFC 3339 */
    const char *title, *description, *owner, *type;
    json_t *manifest;          /* the whole entity; owned: templates_version_done() */
};

/* The current version of a golden path: ERR_NOT_FOUND with words (also for a withdrawn one: it left its repository, or the repository was removed). */
int templates_get(struct db_conn *c, const char *name, struct arena *a, struct template_version *ret, struct err *e);
/* Any version, current or not. ERR_NOT_FOUND. */
int templates_get_version(struct db_conn *c, const char *id, struct arena *a, struct template_version *ret, struct err *e);
void templates_version_done(struct template_version *v); /* takes a zeroed one */
#define TEMPLATE_VERSION_AUTO __attribute__((cleanup(templates_version_done))) struct template_version

/* Parts of the manifest, borrowed; NULL where the manifest leaves them out. */
const json_t *templates_parameters(const struct template_version *v);  /* JSON Schema, object; never NULL ({"type": "object"} is filled in at publishing) */
const json_t *templates_generate(const struct template_version *v);    /* {variable: {type: "password", length, special}} */
const json_t *templates_outputs(const struct template_version *v);     /* {output: {title, description, sensitive}} */
const json_t *templates_monitoring(const struct template_version *v);  /* {exporter, rules, dashboard, labels} */
const json_t *templates_catalog(const struct template_version *v);     /* never NULL; kind and type are filled in: {kind, type, title, description, lifecycle, system, tags, links, relations, endpoints} */
const json_t *templates_destroy(const struct template_version *v);     /* {endSessions: "postgresql"} */
const json_t *templates_environments(const struct template_version *v);/* array of names; NULL: all */
const json_t *templates_repository(const struct template_version *v);  /* {skeleton, name, branch, values}; NULL: none is made */
#define TEMPLATES_REPOSITORY_URL "repository_url" /* the output that a repository brings */
int64_t templates_typical_seconds(const struct template_version *v);   /* 0: not given */

/* Whether the manifest allows this environment: ERR_INVALID naming those that it allows. */
int templates_check_environment(const struct template_version *v, const char *environment, struct err *e);
/* Whether `spec.engine` allows this engine ("tofu" or "terraform") of this version ("1.12.6"): ERR_INVALID with words. */
int templates_check_engine(const struct template_version *v, const char *engine, const char *version, struct err *e);
/* Whether a service made from it may have this name (spec.name): ERR_INVALID with the field "/name" (422). */
int templates_check_name(const struct template_version *v, const char *name, struct err *e);
/* Parameters against the schema: ERR_INVALID with fields "/parameters/size" (422); else *ret_complete is a new object with the defaults filled in
 * (owned by the caller). `parameters` NULL stands for {}. */
int templates_check_parameters(const struct template_version *v, const json_t *parameters, json_t **ret_complete, struct err *e);
/* Makes a fresh value for each entry of `spec.generate`: a new object {variable: value}, owned by the caller, secret: pass on, seal, forget. */
int templates_make_values(const struct template_version *v, json_t **ret, struct err *e);

/* Fills `${...}` in a text of `spec.catalog` or `spec.monitoring.labels` from `values`: {name, team, owner, environment, region, cost_centre,
 * parameters: {...}, outputs: {...}}. What is missing becomes "". Only sensitive outputs are refused at publishing, so leave them out of values.
 * In the arena. `$${` is a plain `${`. */
const char *templates_expand(const char *text, const json_t *values, struct arena *a);

/* The repository's name, `spec.repository.name` filled in: parts of letters, digits, dots, dashes and underscores, joined by slashes. ERR_INVALID with words. In the arena. */
int templates_repository_name(const struct template_version *v, const json_t *values, struct arena *a, const char **ret, struct err *e);
/* The named values for the skeleton, filled in: a new object, owned by the caller. ERR_INVALID when one holds a control character or is longer than 4,000 bytes. */
int templates_repository_values(const struct template_version *v, const json_t *values, struct arena *a, json_t **ret, struct err *e);
/* The skeleton's files with those values in place, in their names and, where they are text, in what they hold; paths relative to the skeleton. A file that begins with
 * "#!" is executable. ERR_INVALID: a value makes a name of a file that leads elsewhere. In the arena. */
struct templates_file { const char *path; const char *data; size_t len; bool executable; };
int templates_skeleton(struct db_conn *c, const struct template_version *v, const json_t *named, struct arena *a, struct templates_file **ret, size_t *ret_n, struct err *e);

/* Writes the version's files below `dir` (which exists, 0700, and is empty): files 0600, folders 0700, no links. *ret_module is the module's folder
 * relative to `dir` ("." or "a/b"): run the engine there, since its local modules (`../modules/x`) lie beside it at their places. */
int templates_export(struct db_conn *c, const char *version_id, const char *dir, struct arena *a, const char **ret_module, struct err *e);
/* A provider that the version's module (and the local modules it calls) needs: source as written ("hashicorp/aws"), all constraints joined by ", "
 * ("" when none), and the text of the module's .terraform.lock.hcl or NULL. In the arena. */
struct tf_requirement { const char *source, *constraint, *lock; };
int templates_providers(struct db_conn *c, const char *version_id, struct arena *a, struct tf_requirement **ret, size_t *ret_n, struct err *e);
/* One file of the version by its path relative to the golden path's folder (as in `monitoring.rules`): ERR_NOT_FOUND. In the arena, NUL behind it. */
int templates_file(struct db_conn *c, const char *version_id, const char *path, struct arena *a, const char **ret, size_t *ret_len, struct err *e);

/* ---- Repositories, refresh, API ---- */

extern const struct config_key templates_config[]; /* templates_refresh_seconds, templates_fetch_seconds, templates_fetch_mib, ... */

struct templates_options {
    struct db *db;          /* of this process */
    const char *data_dir;   /* <data_dir>/git holds the mirrors; NULL in serve, which never fetches. Copied */
    int64_t refresh_ms;     /* how often each repository is looked at; 0: on demand only */
    int64_t fetch_ms;       /* how long one refresh may talk to the git host */
    int64_t fetch_bytes;    /* how much it may receive */
};
/* Once at start of a process, before the server or the jobs start. Zero limits take the defaults (60 s, 120 s, 256 MiB). */
void templates_configure(const struct templates_options *o);
void templates_set_db(struct db *d); /* templates_configure() with the database alone: for serve */

extern const struct http_route templates_routes[];
extern struct jobs_kind templates_jobs[];   /* "templates.refresh" (subject: repository name) and the schedule "templates.schedule" */

/* Registers a repository or returns ERR_CONFLICT; enqueues its first refresh, in the caller's transaction. `credentials` is NULL or one of
 * {"username", "password"}, {"token"}, {"ssh_key", "passphrase"?, "username"?, "host_key"?}; it is sealed. ret_secret: 65 bytes, gets the webhook's secret (may be NULL). */
int templates_add_repository(struct db_conn *c, const char *name, const char *url, const char *ref, const json_t *credentials, const char *by, char *ret_secret,
                             struct err *e);
/* Forgets it: its golden paths are withdrawn, their versions stay. The other repositories are looked at anew, since names became free. ERR_NOT_FOUND. */
int templates_remove_repository(struct db_conn *c, const char *name, struct err *e);
/* Asks for a refresh (enqueues the job). ERR_NOT_FOUND. */
int templates_request_refresh(struct db_conn *c, const char *name, struct err *e);
/* What the job does, for tests and tools: fetch, check, publish, record problems. 0 also when the repository is in trouble (its state tells); errors are
 * those of the database. `guard` is NULL or called first in each transaction (jobs_guard). */
int templates_refresh(struct db *d, const char *name, int (*guard)(struct db_conn *c, void *arg, struct err *e), void *arg, struct err *e);
