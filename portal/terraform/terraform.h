/* Terraform, well kept: one phase of one run in its box, on its leash.
 *
 *     tf_dir_new()            the run's folder <runs_dir>/<run>, 0700, locked; the caller exports the template into tf_dir_modules()
 *     tf_run()                blocks for the phase; state, events and results come back while it runs and at its end
 *     store them, then        jobs_leash_ended() in the same transaction as the last state
 *     tf_dir_free(dir, true)  wipes the folder
 *
 * Engines (`tofu`, `terraform`) are both served through this header; nothing else in the project knows which one runs.
 * What runs where, and what this does not protect against: docs/adr/0005-box.md.  State and recovery: docs/adr/0004-state.md.
 * Thread: job threads (THREAD_JOB) or a test's; a run belongs to the thread that calls tf_run().  Nothing here logs. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/err.h"
#include "portal/terraform/event_reader.h"
#include "portal/terraform/plan_reader.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- engines ---- */
enum tf_kind { TF_KIND_TOFU, TF_KIND_TERRAFORM };
struct tf_engine {
    const char *path;      /* absolute */
    enum tf_kind kind;
    const char *name;      /* "tofu" | "terraform" */
    const char *version;   /* "1.11.4" */
};
/* Asks the binary at `path` (or a name to look up on PATH). ERR_NOT_FOUND: no such program; ERR_INVALID: it is neither engine;
 * ERR_TIMEOUT: it said nothing for 20 s. */
int tf_engine_detect(struct arena *a, const char *path, struct tf_engine *ret, struct err *e);

/* ---- versions ---- */
/* 1 when `version` ("5.100.0") fits `constraint` ("~> 5.0, != 5.3.1"; NULL or "" is any), 0 when not, ERR_INVALID for a text that is neither.
 * A pre-release fits only when it is named exactly. */
int tf_version_fits(const char *version, const char *constraint, struct err *e);
/* As strcmp, by semantic version. Texts that are no version come first. */
int tf_version_compare(const char *x, const char *y);

/* ---- providers ---- */
struct tf_provider {
    const char *address;    /* "registry.terraform.io/hashicorp/aws", as tf_provider_find() was asked, host filled in */
    const char *version;
    const char *binary;     /* absolute path of the executable */
    const char *sha256;     /* of the binary, 64 hex digits */
    const char *const *env; /* "KEY=value" ..., NULL-terminated: the credentials; may be NULL. Set by the caller; borrowed for the run */
};
/* Looks in `roots` (colon-separated unpacked mirrors: <host>/<namespace>/<type>/<version>/<os_arch>/terraform-provider-<type>_v<version>*)
 * for "type", "namespace/type" or "host/namespace/type" and takes the highest version that fits. Both public registry hosts are the same
 * provider. ERR_NOT_FOUND says what to put where. ERR_INVALID: address or constraint cannot be read.
 * `lock_hcl` is the text of the template's .terraform.lock.hcl, or NULL: when it names the provider, its version is taken and its `h1:`
 * hashes must hold the folder's (ERR_DENIED otherwise). `zh:` hashes are of the packed archive and cannot be checked against an unpacked
 * binary: a lock with these alone is refused with words.
 * The SHA-256 is computed once per process and file (device, inode, time, size). */
int tf_provider_find(struct arena *a, const char *roots, const char *address, const char *constraint, const char *lock_hcl,
                     struct tf_provider *ret, struct err *e);

/* ---- the run's folder ---- */
struct tf_dir;
/* Makes <runs_dir>/<run> (runs_dir is made when missing). `run` is [A-Za-z0-9._-], not starting with a dot. ERR_CONFLICT: it is there already
 * (a left-over: tf_sweep() first). The folder's lock is held by us, later by the leash too, and falls when both have ended. */
int tf_dir_new(const char *runs_dir, const char *run, struct tf_dir **ret, struct err *e);
const char *tf_dir_run(const struct tf_dir *d);     /* the run's id */
const char *tf_dir_path(const struct tf_dir *d);    /* host path of the folder */
const char *tf_dir_modules(const struct tf_dir *d); /* host path, <folder>/m: export the template's repository here */
/* Frees; with `wipe` the folder goes. Without, tf_sweep() will find it. Takes NULL. */
void tf_dir_free(struct tf_dir *d, bool wipe);

/* ---- a run ---- */
/* TF_IMPORT takes what is there into the state, one address after the other, and makes, changes and removes nothing outside. */
enum tf_phase { TF_VALIDATE, TF_PLAN, TF_PLAN_DESTROY, TF_APPLY, TF_IMPORT };
struct tf_import { const char *address, *id; };
enum tf_import_end {
    TF_IMPORT_NOT_TRIED,
    TF_IMPORT_DONE,
    TF_IMPORT_ABSENT,       /* there is no such object */
    TF_IMPORT_IMPOSSIBLE,   /* its provider cannot import it, or not by that id: whether it is there is not known */
    TF_IMPORT_FAILED,       /* the diagnostics say why; nothing was tried after it */
};
struct tf_imported { enum tf_import_end end; const char *why; };

/* What a run tells while it goes on. All are called on the thread of tf_run() but lease_until, which is called on a small thread of the
 * run's own as well and must not block. They may be NULL. A blocking one delays the run's reading, not the run, and not the lease. */
struct tf_callbacks {
    void *user;
    /* The lease's end, boot-clock ms; moves with the heartbeats; 0 once lost. NULL: no lease. The leash ends the tree guard_ms before. */
    int64_t (*lease_until)(void *user);
    /* Before anything is spawned: record that a tree of this (node, run) will hang on the leash. An error ends the run before it began. */
    int (*on_begin)(void *user, const char *run, struct err *e);
    /* One line of the engine's, read and masked; `json` is its normalised form (one object, see event_reader.h). */
    void (*on_event)(void *user, const struct tf_event *ev, const char *json);
    /* A newer complete state; store it before returning. An error (ERR_FENCED, say) ends the tree and the run with it; whatever can be
     * tried again should be tried again inside. Never called twice with the same serial. */
    int (*on_state)(void *user, int64_t serial, const char *lineage, const void *bytes, size_t n, struct err *e);
};

struct tf_spec {
    enum tf_phase phase;
    struct tf_engine engine;
    const char *workdir;         /* the root module below tf_dir_modules(), "" or NULL for itself; no "..", not absolute */
    const char *tfvars_json;     /* typed values of declared variables, or NULL. At apply: those of ephemeral variables alone, or NULL */
    const void *state; size_t state_len; /* prior state, or NULL */
    const void *plan; size_t plan_len;   /* TF_APPLY: the saved plan */
    const struct tf_provider *providers; /* one per address */
    size_t n_providers;
    const char *const *secrets;  /* NULL-terminated strings to mask in everything that comes back as text; may be NULL */
    const struct tf_import *imports; size_t n_imports; /* TF_IMPORT */
    const atomic_bool *cancel;   /* asked to stop: ends validate and plan at once; an apply is never stopped by it. May be NULL */
    int64_t wall_ms;             /* limit of the whole phase; 0: 2 h at apply, 15 min otherwise */
    int64_t provider_ms;         /* limit for a provider to come up; 0: 60 s */
    int64_t guard_ms;            /* the tree is ended that long before the lease; 0: 5000; -1: none */
    const char *leash;           /* path of soma-leash; NULL: beside this program */
    const char *bwrap;           /* NULL: from PATH */
    struct tf_callbacks cb;
};

enum tf_stopped { TF_STOPPED_NOT, TF_STOPPED_CANCEL, TF_STOPPED_LEASE, TF_STOPPED_TIMEOUT, TF_STOPPED_STATE /* on_state said no */, TF_STOPPED_LEASH /* it died */,
                  TF_STOPPED_OUTPUT /* more output than allowed */, TF_STOPPED_PROVIDER /* one died in mid-apply */ };

struct tf_output { const char *name; bool sensitive; const char *type_json, *value_json; }; /* value in clear: seal it when sensitive */

struct tf_result {
    bool started;                /* on_begin was called and agreed: what it recorded has ended when tf_run() returns, whatever it returns */
    int exit_status;             /* of the last engine command; 128 + n for signal n; -1 when none ended. Plan: 2 is "changes" (and is success) */
    enum tf_stopped stopped;     /* by us, and why */
    bool ok;                     /* the phase did what it was to do */
    bool changes;                /* plan phases: there is something to apply */
    const void *plan; size_t plan_len;       /* saved plan: holds values in clear, seal it */
    const char *plan_json; size_t plan_json_len; /* `show -json`: in clear */
    struct tf_plan plan_read;    /* counts, changes, and plan_read.masked: the plan's JSON without anything sensitive */
    const void *state; size_t state_len;     /* of an apply: last complete state, also after a failure; NULL when there is none. In clear */
    int64_t serial;              /* of `state`; -1 when none */
    const char *lineage;
    struct tf_output *outputs; size_t n_outputs;   /* of `state` */
    bool unsaved;                /* the apply failed and made what its state does not tell of: the engine could not write it (a full disk, say) */
    const char *journal; size_t journal_len; /* of an apply that did not succeed: the engine's -json lines, for tf_recovery_imports(). In clear */
    struct tf_diagnostic *diagnostics; size_t n_diagnostics; /* masked; at most 100 */
    struct tf_imported *imports;             /* TF_IMPORT: how each of the spec's ended */
    int64_t took_ms;
};

/* Runs one phase. 0: it went to its end: r->ok tells how, r->diagnostics why not. Negative: it could not begin, or was stopped (ERR_CANCELED,
 * ERR_FENCED: lease lost, ERR_TIMEOUT, ERR_UNAVAILABLE: bubblewrap or a provider did not start, or a provider died in mid-apply, on_state's own code, ...); `r` holds what
 * there is in any case: an interrupted apply's last state counts. When it returns, no process of the run is left (the leash's word was awaited).
 * `r` and all it points to live in `a`. */
int tf_run(struct tf_dir *d, const struct tf_spec *s, struct arena *a, struct tf_result *r, struct err *e);

/* Whether the state (may be NULL) has an instance of that address. */
bool tf_state_holds(const void *state, size_t n, const char *address);
/* The outputs of a state file. */
int tf_state_outputs(struct arena *a, const void *state, size_t n, struct tf_output **ret, size_t *ret_n, struct err *e);
/* 1 complete state (serial, and lineage in the arena), 0 not one. */
int tf_state_read(struct arena *a, const void *state, size_t n, int64_t *ret_serial, const char **ret_lineage);

/* Whether a phase that went to its end without success failed for a reason that may pass by itself: network, overload, an expired credential, a provider that died.
 * Every error must be of that kind. */
bool tf_failure_may_pass(const struct tf_result *r);

/* ---- after a crash ---- */
struct tf_leftover {
    const char *run;
    const void *state; size_t state_len;     /* last complete state in the folder, or NULL: then what was stored before counts */
    int64_t serial; const char *lineage;
    const char *journal; size_t journal_len; /* the engine's -json lines of plan or apply, as they stood */
    bool leash_spoke;                        /* the leash wrote its last word (it was not killed itself) */
};
/* For each folder of a run that nobody holds: sees to it that its tree is gone, calls cb (0: handled, the folder goes; else it stays for the next sweep).
 * Folders whose lock is still held are waited for, up to wait_ms in all; what is still held then is counted in ret_held (may be NULL).
 * A run whose folder is not there any more has ended too. */
int tf_sweep(const char *runs_dir, int64_t wait_ms, int (*cb)(void *user, const struct tf_leftover *l, struct err *e), void *user, int *ret_held,
             struct err *e);

enum tf_recovery_kind {
    TF_RECOVERY_IMPORT,
    TF_RECOVERY_UNKNOWN, /* it may be there, and cannot be looked for */
    TF_RECOVERY_NOTHING, /* it is nowhere but in the state */
};
/* by_name: there is one of a name. Once it is in the state, nothing of it can be left beside. */
struct tf_recovery { enum tf_recovery_kind kind; const char *address, *type, *id, *why; bool by_name; };
/* What was being created when an apply died and is not in its last state: for each an import id where it can be known (from the journal's
 * apply_complete, or from the plan's values and the table in recovery.c), else the reason in words. A create that its provider refused is not named, and
 * never imported: what is there under its name is somebody else's. One whose provider died, or whose engine was cut off before it could tell, was in flight.
 * `journal`: those of all applies of the plan, one after the other; -json lines, the engine's own or normalised. `state` may be NULL.
 * `plan_json`: show -json of the plan that was applied. */
int tf_recovery_imports(struct arena *a, const char *journal, size_t journal_len, const void *state, size_t state_len, const char *plan_json,
                        size_t plan_json_len, struct tf_recovery **ret, size_t *ret_n, struct err *e);
