/* What the readers of HCL share. */
#pragma once
#include "portal/core/buf.h"
#include "portal/templates/hcl.h"

enum { HCL_DEPTH_MAX = 64, HCL_NODES_MAX = 50000, HCL_TEXT_MAX = 200 };

/* Why a file was not read. */
struct hcl_trouble { int line; const char *reason; }; /* reason NULL: none */

struct hcl_text {
    struct arena *a;
    const char *s;
    size_t len, i;          /* i: next byte */
    int line;               /* of byte i */
    size_t line_start;
    int depth;
    size_t *n_nodes;
    struct hcl_trouble *trouble;
};

/* Returns false, noting the first trouble. */
bool hcl_fail(struct hcl_text *t, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
struct hcl_node *hcl_node_new(struct hcl_text *t, enum hcl_kind kind, const char *name, int line, int column);
void hcl_append(struct hcl_node *parent, struct hcl_node **tail, struct hcl_node *n);

/* Both syntaxes: the file's body, or NULL with trouble. */
struct hcl_node *hcl_read_native(struct hcl_text *t);
struct hcl_node *hcl_read_json(struct hcl_text *t);
/* By the name's end; trouble->reason NULL when it was read. */
struct hcl_node *hcl_read_file(const char *name, const char *text, size_t len, struct arena *a, struct hcl_trouble *trouble);
