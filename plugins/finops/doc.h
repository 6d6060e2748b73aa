// Reading the documents of an estimate: plan JSON, usage YAML or JSON.
//
// YAML becomes the same tree as JSON; every plain scalar stays text, so a number is read as a decimal where it is used and never goes through a double.
// Aliases, tags, more than one document, a key twice, deep nesting: refused in words.
#ifndef FINOPS_DOC_H
#define FINOPS_DOC_H
#include "plugins/finops/dec.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define DOC_WHY 256 // room for an error in words

// NULL and words in `why` when it is not JSON. The caller owns the result (json_decref).
json_t *doc_read_json(const char *text, size_t len, char why[DOC_WHY]);
// YAML, or JSON, which is YAML. An empty document is an empty object.
json_t *doc_read_yaml(const char *text, size_t len, char why[DOC_WHY]);

// The value at a path like `scaling_config.0.desired_size`; NULL when it is not there. A JSON null is not there either.
const json_t *doc_at(const json_t *root, const char *path);
// A number, or text that is one.
bool doc_number(const json_t *value, struct dec *ret_number);

#endif
