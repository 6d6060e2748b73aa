/* JSON Schema 2020-12: compile once, check many times, from any thread.
 *
 * Known: the core, applicator, unevaluated, validation, format and meta-data vocabularies, `$ref` to JSON pointers, `$anchor`s and `$id`s
 * inside the documents that are given (nothing is ever fetched), `$dynamicRef`. Patterns are matched by PCRE2 with limits. A schema that refers to
 * itself without end is refused when compiled; a check that would take too many steps ends with ERR_TOO_LARGE.
 * Messages are sentences for people that never repeat the value, which may be a secret. */
#pragma once
#include "portal/core/err.h"
#include <jansson.h>
#include <stdbool.h>

struct schema;

struct schema_document { const char *uri; const json_t *root; };

struct schema_options {
    const json_t *root;   /* the document in which `doc` stands, from which "#/components/..." is resolved; NULL: `doc` is the whole document */
    const char *at;       /* JSON pointer of `doc` in its document: put in front of pointers in errors (and, with `root`, where `doc` is); NULL: "" */
    bool strict;          /* for what people publish: unknown keywords (but `ui:*` and `x-*`) and defaults that do not fit are refused */
    bool assert_formats;  /* `format` must hold: date-time, date, time, duration, email, hostname, ipv4, ipv6, uri, uri-reference, uuid, json-pointer, regex */
    const struct schema_document *documents; /* further documents by absolute URI, ends with uri NULL; kept alive by the schema */
};

/* ERR_INVALID with fields (pointers into the schema, `at` in front) when it is no schema we can hold to. `o` may be NULL. */
int schema_compile(const json_t *doc, const struct schema_options *o, struct schema **ret, struct err *e);
void schema_free(struct schema *s); /* takes NULL */
void schema_freep(struct schema **s);
#define SCHEMA_AUTO __attribute__((cleanup(schema_freep))) struct schema *

/* 0 when `value` fits. ERR_INVALID with one field per failure; `at` (NULL: "") is put in front of the instance's pointers.
 * ERR_TOO_LARGE: more steps or deeper nesting than a check may take. */
int schema_validate(const struct schema *s, const json_t *value, const char *at, struct err *e);

/* A copy of `value` in which missing members have their schema's `default`: through properties, items, allOf and $ref (not through
 * conditions and choices). The result is not validated. ERR_TOO_LARGE when the defaults unfold without measure. */
int schema_fill_defaults(const struct schema *s, const json_t *value, json_t **ret, struct err *e);

/* Whether `text` is of `format`; true for a format that is not known. */
bool schema_format_ok(const char *format, const char *text, size_t len);
