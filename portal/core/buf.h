/* Buf: a growing byte string, always NUL-terminated behind `len`. Owner: whoever initialised it (BUF_INIT) frees it
 * with buf_done(). Thread: one at a time. Growth beyond memory ends the process, as in arena.h. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; /* NULL until the first byte */
    size_t len, cap;
};
#define BUF_INIT {0}
#define BUF_AUTO __attribute__((cleanup(buf_done))) struct buf

void buf_done(struct buf *b);            /* frees; the buf may be used again */
void buf_wipe(struct buf *b);            /* overwrites, then frees: for secrets */
void buf_clear(struct buf *b);           /* len = 0, keeps the memory */
void buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap);
const char *buf_cstr(const struct buf *b); /* "" when empty; valid until the next change */
char *buf_take(struct buf *b, size_t *ret_len); /* hands the malloc'ed string over; ret_len may be NULL */

/* JSON writer: text with correct escaping. The caller writes commas and braces through these. */
void buf_json_str(struct buf *b, const char *s);                    /* quoted and escaped; NULL writes null */
void buf_json_strn(struct buf *b, const char *s, size_t n);         /* bad UTF-8 becomes U+FFFD */
void buf_json_key(struct buf *b, const char *key);                  /* writes a comma if the last byte is not { or [ or empty, then "key": */
void buf_json_kv(struct buf *b, const char *key, const char *val);  /* key and string (or null) */
void buf_json_kraw(struct buf *b, const char *key, const char *raw);/* key and raw JSON text (NULL writes null) */
void buf_json_kint(struct buf *b, const char *key, int64_t val);
void buf_json_kbool(struct buf *b, const char *key, bool val);
