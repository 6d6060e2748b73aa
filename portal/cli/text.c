/* The one complication is width: it is asked of the C library's tables in a UTF-8 locale of our own, whatever the user's locale is. */
#include "portal/cli/text.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#define REPLACEMENT 0xFFFDu

/* Decodes one code point; returns the bytes it took (at least 1). */
static size_t decode(const unsigned char *s, uint32_t *ret)
{
    *ret = REPLACEMENT;
    if (s[0] < 0x80) {
        *ret = s[0];
        return 1;
    }
    size_t len = s[0] >= 0xC2 && s[0] < 0xE0 ? 2 : (s[0] & 0xF0) == 0xE0 ? 3 : s[0] >= 0xF0 && s[0] < 0xF5 ? 4 : 0;
    if (!len)
        return 1;
    uint32_t c = s[0] & (0xFFu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 1;
        c = c << 6 | (s[i] & 0x3F);
    }
    if ((len == 3 && c < 0x800) || (len == 4 && c < 0x10000) || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
        return 1;
    *ret = c;
    return len;
}

static void encode(struct buf *out, uint32_t c)
{
    if (c < 0x80)
        buf_char(out, (char)c);
    else if (c < 0x800)
        buf_add(out, (char[]){(char)(0xC0 | c >> 6), (char)(0x80 | (c & 0x3F))}, 2);
    else if (c < 0x10000)
        buf_add(out, (char[]){(char)(0xE0 | c >> 12), (char)(0x80 | (c >> 6 & 0x3F)), (char)(0x80 | (c & 0x3F))}, 3);
    else
        buf_add(out, (char[]){(char)(0xF0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3F)), (char)(0x80 | (c >> 6 & 0x3F)), (char)(0x80 | (c & 0x3F))}, 4);
}

static size_t columns_of(uint32_t c)
{
    static locale_t utf8;
    if (c < 0x300)
        return c >= 0x20 && c != 0x7F && !(c >= 0x80 && c < 0xA0) && c != 0xAD;
    if (!utf8)
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!utf8)
        return 1;
    locale_t before = uselocale(utf8);
    int width = wcwidth((wchar_t)c);
    uselocale(before);
    return width < 0 ? 1 : (size_t)width;
}

size_t text_width(const char *s)
{
    size_t width = 0;
    for (const unsigned char *p = (const unsigned char *)s; *p;) {
        uint32_t c;
        p += decode(p, &c);
        width += columns_of(c);
    }
    return width;
}

void text_fit(struct buf *out, const char *s, size_t columns)
{
    if (text_width(s) <= columns) {
        buf_str(out, s);
        return;
    }
    size_t used = 0;
    for (const unsigned char *p = (const unsigned char *)s; *p && columns;) {
        uint32_t c;
        size_t n = decode(p, &c), width = columns_of(c);
        if (used + width + 1 > columns)
            break;
        encode(out, c);
        used += width;
        p += n;
    }
    if (columns)
        buf_str(out, "\u2026");
}

/* What could move the cursor, change colours or turn the direction of what follows. */
static bool steers(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x200E || c == 0x200F || c == 0x61C || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

void text_clean(struct buf *out, const char *s, bool lines)
{
    for (const unsigned char *p = (const unsigned char *)s; *p;) {
        uint32_t c;
        p += decode(p, &c);
        if (c == '\n')
            buf_char(out, lines ? '\n' : ' ');
        else if (c == '\t')
            buf_char(out, ' ');
        else if (c != '\r')
            encode(out, steers(c) ? REPLACEMENT : c);
    }
}

/* Seconds of "+02:00" or "-0730"; 0 for "Z" and for none. */
static int64_t zone_seconds(const char *s)
{
    int hours = 0, minutes = 0;
    if ((*s != '+' && *s != '-') || sscanf(s + 1, "%2d:%2d", &hours, &minutes) < 1)
        return 0;
    int64_t seconds = hours * 3600 + minutes * 60;
    return *s == '-' ? -seconds : seconds;
}

int64_t text_time_ms(const char *rfc3339)
{
    struct tm tm = {0};
    const char *rest = strptime(rfc3339, "%Y-%m-%d", &tm);
    if (!rest || (*rest != 'T' && *rest != 't' && *rest != ' '))
        return -1;
    rest = strptime(rest + 1, "%H:%M:%S", &tm);
    if (!rest)
        return -1;
    int64_t ms = 0;
    if (*rest == '.') {
        int scale = 100;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
            ms += (*rest - '0') * scale;
    }
    return ((int64_t)timegm(&tm) - zone_seconds(rest)) * 1000 + ms;
}

void text_time(struct buf *out, const char *rfc3339)
{
    int64_t ms = text_time_ms(rfc3339);
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[32];
    if (ms < 0 || !localtime_r(&seconds, &tm) || !strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm))
        text_clean(out, rfc3339, false);
    else
        buf_str(out, text);
}

void text_duration(struct buf *out, double seconds)
{
    if (!(seconds >= 0) || seconds > 1e9) { /* also what is not a number */
        buf_str(out, "-");
        return;
    }
    unsigned whole = (unsigned)(seconds + 0.5);
    if (seconds < 9.95)
        buf_printf(out, "%.1f s", seconds);
    else if (whole < 60)
        buf_printf(out, "%u s", whole);
    else if (whole < 3600)
        buf_printf(out, "%u min %02u s", whole / 60, whole % 60);
    else
        buf_printf(out, "%u h %02u min", whole / 3600, whole / 60 % 60);
}
