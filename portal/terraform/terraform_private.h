/* Inside of portal/terraform: masking, state, boxes, the worker's end of the leash. */
#pragma once
#include "portal/core/buf.h"
#include "portal/terraform/terraform.h"
#include <jansson.h>
#include <sys/types.h>

/* ---- mask.c ---- */
struct tf_masker; /* the forms of all secrets, longest first; in an arena, read-only after it was made */
struct tf_masker *tf_masker_new(struct arena *a, const char *const *secrets);
/* The masked text in the arena, or `text` itself when nothing was found. NULL stays NULL. */
const char *tf_masker_text(const struct tf_masker *m, struct arena *a, const char *text);
/* As tf_event_read, with secrets prepared. */
int tf_event_read_masked(struct arena *a, const char *line, size_t n, const struct tf_masker *m, struct tf_event *ret);
/* Reads {"severity","summary",...} as events and `validate -json` have it. */
void tf_diagnostic_read(struct arena *a, const json_t *object, const struct tf_masker *m, struct tf_diagnostic *ret);

/* ---- state.c ---- */
/* JSON with manners for the engines' documents: deep nesting, NUL in strings and integers beyond 64 bits are let through. NULL when it is none. */
json_t *tf_json_load(const char *text, size_t n, json_error_t *ret_error);
const char *tf_json_str(const json_t *object, const char *key); /* "" when it is not there or no text */
static inline void tf_json_freep(json_t **j) { json_decref(*j); }
#define TF_JSON_AUTO __attribute__((cleanup(tf_json_freep))) json_t *
/* The newest of terraform.tfstate, the worker's copy and errored.tfstate in a run's folder, with its serial raised above `floor_serial` when errored.tfstate holds other
 * content under an old serial. 1 found, 0 none that is complete (or of another lineage than `lineage`, when that is not NULL). */
int tf_state_collect(struct arena *a, const char *folder, const char *workdir, const char *lineage, int64_t floor_serial, const void **ret, size_t *ret_n,
                     int64_t *ret_serial, const char **ret_lineage);
/* 1 when the state has an instance of that address ("module.m.aws_x.y[0]"). */
bool tf_state_has(const json_t *state, const char *address);
/* Whether the journal tells of something created that is not in the state. */
bool tf_recovery_behind(const char *journal, size_t journal_len, const void *state, size_t state_len);

/* ---- words.c: what the words of engines and providers mean ---- */
/* The provider did not answer a call: it died, or was killed. What the call was to do may be done. */
bool tf_words_provider_lost(const char *summary, const char *detail);
bool tf_words_absent(const char *words);      /* an import's: there is no such object */
bool tf_words_unimportable(const char *words); /* an import's: not this type, or not by this id */

/* ---- dir.c ---- */
/* The journal in a run's folder, with what the engine's log adds to it: lines of type TF_CALL_LOST, and a diagnostic for each failed resource. false: there is none. */
bool tf_journal_read(struct arena *a, const char *folder, const char **ret, size_t *ret_n);
int tf_dir_lock_fd(const struct tf_dir *d);
/* Kills what bubblewrap processes of that run are left (their leash was killed itself) and waits for their end. */
void tf_dir_reap(const char *run);
#define TF_STATE_MAX ((size_t)256 << 20)
#define TF_JOURNAL_MAX ((size_t)64 << 20)
#define TF_LINE_MAX ((size_t)1 << 20)
#define TF_JOURNAL "journal.jsonl"
#define TF_ENGINE_LOG "w/engine.log" /* the engine's own log of an apply, errors alone: it says of a call that was never answered before anything else does */
#define TF_CALL_LOST "call_lost"     /* type of the journal's line for such a call */
#define TF_ENDED "leash.ended"
#define TF_LOCK "leash.lock"
#define TF_JOURNAL_ROOM (1 << 20) /* kept free for the journal: it is what tells when a full disk takes the state */
#define TF_STATE_COPY "state.copy" /* the last complete state that the worker saw: the engine may be cut off while it rewrites its own */
#define TF_GENERATED "soma_generated.tf"

/* ---- box.c: what each process may see ---- */
/* Arguments for bubblewrap, NUL-terminated one after the other, to be handed over on a descriptor. They hold credentials: buf_wipe() them. */
void tf_box_engine(struct buf *out, const struct tf_dir *d, const struct tf_spec *s, const char *reattach);
int tf_box_provider(struct buf *out, const struct tf_dir *d, const struct tf_spec *s, size_t index, struct err *e);
/* A go-plugin handshake line "1|5|unix|/p0/plugin1|grpc|" -> protocol version and socket. ERR_INVALID with words. */
int tf_handshake_read(struct arena *a, const char *line, int *ret_protocol, const char **ret_socket, struct err *e);
struct tf_attached { const char *address; int protocol; const char *socket; };
/* TF_REATTACH_PROVIDERS, each provider under both public registry hosts. */
const char *tf_reattach_json(struct arena *a, const struct tf_attached *p, size_t n);
/* host, namespace and type of a provider's address; the host is filled in when left out. ERR_INVALID. */
struct tf_address { const char *host, *space, *type; bool public_host; };
int tf_address_read(struct arena *a, const char *text, struct tf_address *ret, struct err *e);
/* Whether an ELF program wants an interpreter: then its box needs the system's libraries. */
bool tf_program_is_dynamic(const char *path);

/* ---- files.c: what a run puts into its folder ---- */
int tf_files_write(const struct tf_dir *d, const struct tf_spec *s, struct err *e);
void tf_files_forget(const struct tf_dir *d, const struct tf_spec *s); /* removes what holds values: variables, plan */
bool tf_path_inside(const char *path); /* relative and without ".." */

/* ---- leash.c: the worker's end ---- */
struct tf_leash;
struct tf_leash_event { int kind; int index; int64_t value; char text[256]; };
int tf_leash_start(const struct tf_dir *d, const struct tf_spec *s, struct tf_leash **ret, struct err *e);
int tf_leash_fd(const struct tf_leash *l); /* readable: call tf_leash_next() */
/* 1 an event, 0 nothing now, -1 the leash is gone. */
int tf_leash_next(struct tf_leash *l, struct tf_leash_event *ret);
int tf_leash_spawn(struct tf_leash *l, int index, char *const argv[], int args_fd, int out_fd, int err_fd, struct err *e);
int tf_leash_lease(struct tf_leash *l, int64_t until_boot_ms); /* any thread */
void tf_leash_kill(struct tf_leash *l, int index);
/* Asks for the end, waits for the leash's word. Returns the reason (enum leash_reason), or -1 when it was killed itself. */
int tf_leash_end(struct tf_leash *l);
void tf_leash_free(struct tf_leash *l);

/* ---- spawn.c ---- */
/* Runs a program with an empty environment but `env`, waits, gives what it wrote on stdout (at most max bytes). Kills it after timeout_ms. */
int tf_spawn_read(const char *path, char *const argv[], char *const env[], int64_t timeout_ms, size_t max, struct buf *out, int *ret_status, struct err *e);
/* A program by path or by name on PATH; NULL when there is none. */
const char *tf_program_find(struct arena *a, const char *name);
