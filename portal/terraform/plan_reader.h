/* `show -json` of a saved plan -> counts and changes, and a copy without anything sensitive. Tolerant of unknown fields. Thread: any. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tf_action { TF_ACTION_NOOP, TF_ACTION_CREATE, TF_ACTION_UPDATE, TF_ACTION_DELETE, TF_ACTION_REPLACE, TF_ACTION_READ, TF_ACTION_FORGET, TF_ACTION_OTHER };

struct tf_change {
    const char *address, *previous_address, *module, *mode /* managed | data */, *type, *name, *provider; /* "" when none */
    enum tf_action action;
    const char *reason;          /* action_reason, "" when none */
    bool create_before_destroy;  /* of a replace */
    const char *import_id;       /* "" unless imported */
    const char **replace_paths;  /* "tags.Name", ...: what forces the replacement */
    size_t n_replace_paths;
    const char *before_json, *after_json; /* masked; "null" when none */
};

struct tf_plan {
    const char *engine_version, *format_version;
    bool errored, complete, applyable; /* as the plan says; complete and applyable are true where an older engine does not say */
    int64_t add, change, destroy, replace, import, forget, read; /* replace is counted in replace alone; read: data sources at apply */
    struct tf_change *changes; size_t n_changes; /* no-ops left out */
    struct tf_change *drift; size_t n_drift;     /* resource_drift */
    const char *masked; size_t masked_len;       /* the whole document, masked */
};

const char *tf_action_name(enum tf_action a); /* "create", "replace", ...; "no-op" */
/* Reads; everything sensitive (by the plan's own masks, and `secrets`) becomes "(sensitive)" in ret. ERR_INVALID: not a plan's JSON, with position. */
int tf_plan_read(struct arena *a, const char *json, size_t n, const char *const *secrets, struct tf_plan *ret, struct err *e);
