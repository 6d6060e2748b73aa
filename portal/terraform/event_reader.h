/* One line of `-json` output -> struct, and back to a normalised, masked JSON object. Tolerant: unknown types, fields and shapes are
 * TF_EVENT_OTHER or left out, never an error. Thread: any. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tf_event_type {
    TF_EVENT_OTHER, TF_EVENT_VERSION, TF_EVENT_PLANNED_CHANGE, TF_EVENT_RESOURCE_DRIFT, TF_EVENT_CHANGE_SUMMARY, TF_EVENT_OUTPUTS, TF_EVENT_DIAGNOSTIC,
    TF_EVENT_APPLY_START, TF_EVENT_APPLY_PROGRESS, TF_EVENT_APPLY_COMPLETE, TF_EVENT_APPLY_ERRORED, TF_EVENT_REFRESH_START, TF_EVENT_REFRESH_COMPLETE,
    TF_EVENT_PROVISION_START, TF_EVENT_PROVISION_PROGRESS, TF_EVENT_PROVISION_COMPLETE, TF_EVENT_PROVISION_ERRORED,
};

struct tf_diagnostic {
    const char *severity;  /* "error" | "warning" */
    const char *summary, *detail, *address; /* "" when none */
    const char *file;      /* relative to the root module, "" when none */
    int64_t line, column;  /* 0 when none */
    const char *code;      /* the line of code it speaks of, or "" */
};

struct tf_event {
    enum tf_event_type type;
    const char *type_name;     /* as the engine wrote it */
    const char *level, *message, *timestamp;
    const char *address, *resource_type, *resource_name, *module, *provider; /* "" when none */
    const char *action, *reason; /* "create", ... */
    const char *id_key, *id_value; /* apply_complete, refresh_complete */
    int64_t elapsed_s;
    int64_t add, change, remove, import; /* change_summary */
    const char *operation;     /* change_summary: plan | apply | destroy */
    const char *outputs_json;  /* outputs: {"name": {"sensitive": bool, "action"|"type"|"value": ...}}; no value when sensitive */
    struct tf_diagnostic diagnostic;
};

/* "apply_start", ... for the enum; "other". */
const char *tf_event_type_name(enum tf_event_type t);
/* 1 read (or TF_EVENT_OTHER), 0 not a JSON object. Text is masked with `secrets` (NULL-terminated list, or NULL). */
int tf_event_read(struct arena *a, const char *line, size_t n, const char *const *secrets, struct tf_event *ret);
/* {"type","message","address",...}: only the fields that are there; a diagnostic as {"severity","summary","detail","file","line","column","address","code"}. */
void tf_event_write(const struct tf_event *ev, struct buf *out);
void tf_diagnostic_write(const struct tf_diagnostic *d, struct buf *out);

/* The text with every secret (and its JSON-escaped, URL-encoded and base64 forms) replaced by "(sensitive)". Secrets shorter than 4 bytes are
 * not looked for, and plain words of less than 16 letters only where they stand alone: the text would be ruined. Returns `text` itself when nothing was found. */
const char *tf_mask(struct arena *a, const char *text, const char *const *secrets);
