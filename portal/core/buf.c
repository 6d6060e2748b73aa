#include "portal/core/buf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/core/log.h"

void buf_done(struct buf *b)
{
    free(b->data);
    *b = (struct buf)BUF_INIT;
}

void buf_wipe(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    buf_done(b);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    if (b->data)
        b->data[0] = 0;
}

void buf_reserve(struct buf *b, size_t more)
{
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap *= 2;
    char *data = need < more ? NULL : realloc(b->data, cap);
    if (!data) {
        log_error("out of memory: this process ends and is started anew", LOG_I("bytes", (int64_t)cap));
        abort();
    }
    b->data = data;
    b->data[b->len] = 0;
    b->cap = cap;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    buf_reserve(b, n);
    if (n)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = 0;
}

void buf_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n <= 0)
        return;
    buf_reserve(b, (size_t)n);
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    b->len += (size_t)n;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

const char *buf_cstr(const struct buf *b)
{
    return b->data ? b->data : "";
}

char *buf_take(struct buf *b, size_t *ret_len)
{
    buf_reserve(b, 0);
    char *data = b->data;
    data[b->len] = 0;
    if (ret_len)
        *ret_len = b->len;
    *b = (struct buf)BUF_INIT;
    return data;
}

/* Length of the well-formed UTF-8 sequence at s (at most n bytes), 0 if it is none. */
static size_t utf8_sequence(const unsigned char *s, size_t n)
{
    size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xC2 && s[0] < 0xE0 ? 2 : (s[0] & 0xF0) == 0xE0 ? 3 : s[0] >= 0xF0 && s[0] < 0xF5 ? 4 : 0;
    if (!len || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return len;
}

static void json_escape(struct buf *b, unsigned char c)
{
    static const char *const named[0x20] = {['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};
    if (c == '"' || c == '\\')
        buf_printf(b, "\\%c", c);
    else if (named[c])
        buf_str(b, named[c]);
    else
        buf_printf(b, "\\u%04x", c);
}

void buf_json_strn(struct buf *b, const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    buf_char(b, '"');
    size_t plain = 0, i = 0;
    while (i < n) {
        size_t len = utf8_sequence(s + i, n - i);
        if (len && s[i] >= 0x20 && s[i] != '"' && s[i] != '\\') {
            i += len;
            continue;
        }
        buf_add(b, s + plain, i - plain);
        if (len)
            json_escape(b, s[i]);
        else
            buf_str(b, "\xEF\xBF\xBD");
        plain = ++i;
    }
    buf_add(b, s + plain, n - plain);
    buf_char(b, '"');
}

void buf_json_str(struct buf *b, const char *s)
{
    if (s)
        buf_json_strn(b, s, strlen(s));
    else
        buf_str(b, "null");
}

void buf_json_key(struct buf *b, const char *key)
{
    if (b->len && b->data[b->len - 1] != '{' && b->data[b->len - 1] != '[')
        buf_char(b, ',');
    buf_json_str(b, key);
    buf_char(b, ':');
}

void buf_json_kv(struct buf *b, const char *key, const char *val)
{
    buf_json_key(b, key);
    buf_json_str(b, val);
}

void buf_json_kraw(struct buf *b, const char *key, const char *raw)
{
    buf_json_key(b, key);
    buf_str(b, raw ? raw : "null");
}

void buf_json_kint(struct buf *b, const char *key, int64_t val)
{
    buf_json_key(b, key);
    buf_printf(b, "%" PRId64, val);
}

void buf_json_kbool(struct buf *b, const char *key, bool val)
{
    buf_json_key(b, key);
    buf_str(b, val ? "true" : "false");
}
