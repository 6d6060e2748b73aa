/* Jansson with manners: parsing with a place in every error, typed getters, one canonical text.
 *
 * Numbers: integers are int64 and never pass through a double; amounts of money are decimal text (json_need_decimal).
 * A `const json_t *` argument is borrowed; a `json_t **ret` is a new reference that the caller drops (json_decref, json_auto_t).
 * Thread: any; one value belongs to one thread at a time unless nobody writes it. */
#pragma once
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_DEFAULT 64

/* Parses one JSON value of any kind. Duplicate keys, bad UTF-8, U+0000, nesting beyond `depth_max` (0: JSON_DEPTH_DEFAULT) and text
 * behind the value are refused: ERR_INVALID whose words name line, column and byte offset ("line 2, column 5, byte 17: ..."). */
int json_read(const void *text, size_t len, int depth_max, json_t **ret, struct err *e);
/* As json_read, but lets U+0000 stand in strings: for test data, never for what goes to the database. */
int json_read_nul(const void *text, size_t len, int depth_max, json_t **ret, struct err *e);

/* Canonical text: keys sorted by bytes, no blanks, shortest digits that read back as the same number. Equal values give equal text. */
void json_write(const json_t *v, struct buf *out);
/* The same for people: two blanks of indentation, keys in their own order, a line feed at the end. */
void json_write_pretty(const json_t *v, struct buf *out);
/* One real number: shortest digits that read back, always with a point or exponent. */
void json_write_real(double v, struct buf *out);

/* Strings from anywhere: bad UTF-8 becomes U+FFFD, so that the result is never NULL. NULL gives null. */
json_t *json_text(const char *s);
json_t *json_textn(const char *s, size_t n);

/* JSON pointers (RFC 6901). */
void json_pointer_add(struct buf *pointer, const char *key);       /* appends "/key", escaped */
void json_pointer_add_index(struct buf *pointer, size_t index);
const json_t *json_pointer_get(const json_t *root, const char *pointer); /* borrowed; NULL: nothing there */
/* Decodes the token that starts behind a '/' into `out`; returns the rest ("" or "/..."), or NULL when it does not fit or is malformed. */
const char *json_pointer_token(const char *rest, char *out, size_t cap);

/* Whether two values are equal as JSON Schema sees it: 1 equals 1.0, objects in any order. */
bool json_same(const json_t *a, const json_t *b);
/* -1, 0, 1 without losing digits; both must be numbers. */
int json_compare_numbers(const json_t *a, const json_t *b);
const char *json_type_word(const json_t *v); /* "text", "a whole number", "a list", ...: for sentences */

/* Getters: `object` is the value to look into, `at` its own JSON pointer ("" for the whole input). What is missing or of another type is
 * added to `e` by err_field() with the member's pointer, and ERR_INVALID is returned; so several may be called before looking.
 * json_need_*: must be there. json_opt_*: absent or null leaves *ret at `fallback` (NULL for values). Strings are borrowed from `object`. */
int json_need_str(const json_t *object, const char *at, const char *key, const char **ret, struct err *e);
int json_opt_str(const json_t *object, const char *at, const char *key, const char *fallback, const char **ret, struct err *e);
int json_need_int(const json_t *object, const char *at, const char *key, int64_t min, int64_t max, int64_t *ret, struct err *e);
int json_opt_int(const json_t *object, const char *at, const char *key, int64_t fallback, int64_t min, int64_t max, int64_t *ret, struct err *e);
int json_need_bool(const json_t *object, const char *at, const char *key, bool *ret, struct err *e);
int json_opt_bool(const json_t *object, const char *at, const char *key, bool fallback, bool *ret, struct err *e);
/* Money: text such as "12.50" (sign, digits, at most one point with digits on both sides). */
int json_need_decimal(const json_t *object, const char *at, const char *key, const char **ret, struct err *e);
int json_need_object(const json_t *object, const char *at, const char *key, const json_t **ret, struct err *e);
int json_opt_object(const json_t *object, const char *at, const char *key, const json_t **ret, struct err *e);
int json_need_array(const json_t *object, const char *at, const char *key, const json_t **ret, struct err *e);
int json_opt_array(const json_t *object, const char *at, const char *key, const json_t **ret, struct err *e);

/* The name among `names` (ends with NULL) that a person most likely meant by `word`, or NULL when none is near. */
const char *json_near_word(const char *word, const char *const *names);
