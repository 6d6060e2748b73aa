/* Text for a terminal: width in columns, cleaning of what servers and engines say, times and durations in words.
 * Input is UTF-8; a byte that is not stands for U+FFFD. Thread: any. */
#pragma once
#include "portal/core/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Columns that the text takes: 0 for combining marks, 2 for wide letters. */
size_t text_width(const char *s);
/* Appends as much as fits into `columns`, with an ellipsis for what does not. */
void text_fit(struct buf *out, const char *s, size_t columns);
/* Appends `s` without anything that could steer a terminal: control characters, escape sequences, changes of direction become U+FFFD; tabs and,
 * unless `lines`, line ends become blanks. */
void text_clean(struct buf *out, const char *s, bool lines);
/* Appends "2026-01-31 10:20:30" in local time for an RFC 3339 time; what is none is appended as it stands. */
void text_time(struct buf *out, const char *rfc3339);
/* Milliseconds since 1970, or -1. */
int64_t text_time_ms(const char *rfc3339);
/* Appends "0.4 s", "12 s", "3 min 05 s", "2 h 10 min". */
void text_duration(struct buf *out, double seconds);
