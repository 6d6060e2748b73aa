/* YAML 1.2 (core schema) to JSON values and back, over libyaml.
 *
 * Refused with line and column: duplicate keys, merge keys, unknown tags, several documents, .inf and .nan, whole numbers beyond 64 bits, keys that
 * are lists or mappings, nesting or aliases that unfold beyond the limits.  `yes`, `no`, `on`, `off` are text, as YAML 1.2 says.
 * Thread: any. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct yaml_limits {
    size_t bytes; /* of text; 0: 1 MiB */
    size_t nodes; /* after aliases are unfolded; 0: 50,000 */
    int depth;    /* 0: 64 */
};

struct yaml_marks; /* where each value began; lives in the arena given to yaml_read */

/* Reads one document; empty text gives null. `file` is put in front of errors ("template.yaml:3:5: ..."); NULL: "line 3, column 5: ...".
 * `limits`, `ret_marks` may be NULL; with ret_marks the arena must be given. ERR_INVALID, ERR_TOO_LARGE. */
int yaml_read(const char *text, size_t len, const char *file, const struct yaml_limits *limits, struct arena *a, json_t **ret,
              struct yaml_marks **ret_marks, struct err *e);
/* Line and column (from 1) of the value at `pointer`; a member's is that of its key. When there is no such value: that of the nearest one around it.
 * Returns whether the place is exact. */
bool yaml_marks_find(const struct yaml_marks *m, const char *pointer, int *ret_line, int *ret_column);

/* Writes block-style YAML that reads back as the same value, with a line feed at the end. */
void yaml_write(const json_t *v, struct buf *out);
