/* What commands print: tables and records for people, JSON or YAML for programs. Results go to standard output, everything else (progress, notes,
 * questions, errors) to standard error. Colour only on a terminal, and not with NO_COLOR or TERM=dumb.
 * Whatever a server said is cleaned (text_clean) before it reaches a terminal. Thread: main. */
#pragma once
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_YAML };

struct output {
    enum output_format format;
    FILE *to;
    bool colour;        /* of `to` */
    bool notes_colour;  /* of standard error */
    unsigned width;     /* columns of the terminal `to`; 0: it is none, and nothing is shortened */
};

enum column_kind {
    COLUMN_TEXT,
    COLUMN_NUMBER,  /* to the right */
    COLUMN_STATE,   /* coloured by its word */
    COLUMN_TIME,    /* RFC 3339, shown in local time */
    COLUMN_SECONDS, /* shown as a duration */
    COLUMN_LIST,    /* joined with commas; of objects their `name` */
    COLUMN_ROLES,   /* [{"role", "team"}]: "developer in payments, viewer everywhere" */
    COLUMN_JSON,    /* compact JSON */
};

/* Where a value is in an item, and how it looks. Tables end with a NULL title. `path` has dots, and `|` between places to look: "team.name|team". */
struct column {
    const char *title;
    const char *path;
    enum column_kind kind;
};

enum style { STYLE_PLAIN, STYLE_GOOD, STYLE_BAD, STYLE_BUSY, STYLE_DIM, STYLE_BOLD };

void output_init(struct output *o, FILE *to);
/* The value at `path`, or NULL. */
const json_t *output_at(const json_t *item, const char *path);
/* Appends one value as a person reads it; nothing for NULL and null. Cleaned. */
void output_cell(struct buf *out, const json_t *value, enum column_kind kind);
/* Lays out a table: a head in capitals, columns two blanks apart, widths in terminal columns. width 0: as wide as it needs. */
void output_table(struct buf *out, const struct column *columns, const json_t *items, unsigned width, bool colour);
/* Lays out one document as "Title  value" lines; lines without a value are left out. */
void output_record(struct buf *out, const struct column *fields, const json_t *item, bool colour);

/* The whole document in the chosen format; `items` of it as a table for people. `none` is said on standard error when there are no items. */
void output_list(struct output *o, const struct column *columns, const json_t *doc, const char *none);
void output_document(struct output *o, const struct column *fields, const json_t *doc);
/* The document as JSON or YAML, whatever it is; for people JSON. */
void output_raw(struct output *o, const json_t *doc);
/* "-o" in words to a format; -1. */
int output_format_parse(const char *s);

enum style output_style_of(const char *state);
/* Appends `text` in a style. */
void output_styled(struct buf *out, enum style style, bool colour, const char *text);
/* One line on standard error, cleaned. */
void output_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Whether `fd` is a terminal that wants colour. */
bool output_wants_colour(int fd);
/* Whether the terminal can move its cursor (TERM is set and not "dumb"). */
bool output_wants_live(void);
/* An error for people: what happened, then each wrong field on a line of its own. */
void output_error(struct buf *out, const struct err *e, bool colour);
