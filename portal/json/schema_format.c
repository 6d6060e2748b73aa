/* The values of `format` that can be asserted. Sources: RFC 3339 (dates, times), RFC 5321 (mail), RFC 1123 (host names), RFC 2673 and RFC 4291
 * (addresses), RFC 3986 (URIs), RFC 4122 (UUID), RFC 6901 (JSON pointers), ISO 8601 as in RFC 3339 appendix A (durations). */
#include "portal/json/schema_private.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool digits(const char *s, int n)
{
    for (int i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9')
            return false;
    return true;
}

static int number(const char *s, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++)
        v = v * 10 + (s[i] - '0');
    return v;
}

static bool is_date(const char *s, size_t len)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (len != 10 || !digits(s, 4) || s[4] != '-' || !digits(s + 5, 2) || s[7] != '-' || !digits(s + 8, 2))
        return false;
    int year = number(s, 4), month = number(s + 5, 2), day = number(s + 8, 2);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

/* Minutes east of UTC of "Z" or "+hh:mm", which must end the text. */
static bool read_offset(const char *s, size_t len, int *ret)
{
    if (len == 1 && (s[0] == 'Z' || s[0] == 'z')) {
        *ret = 0;
        return true;
    }
    if (len != 6 || (s[0] != '+' && s[0] != '-') || !digits(s + 1, 2) || s[3] != ':' || !digits(s + 4, 2))
        return false;
    int hours = number(s + 1, 2), minutes = number(s + 4, 2);
    *ret = (s[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
    return hours <= 23 && minutes <= 59;
}

static bool is_time(const char *s, size_t len)
{
    if (len < 9 || !digits(s, 2) || s[2] != ':' || !digits(s + 3, 2) || s[5] != ':' || !digits(s + 6, 2))
        return false;
    int hour = number(s, 2), minute = number(s + 3, 2), second = number(s + 6, 2), east;
    size_t i = 8;
    if (s[i] == '.') {
        size_t start = ++i;
        while (i < len && isdigit((unsigned char)s[i]))
            i++;
        if (i == start)
            return false;
    }
    if (hour > 23 || minute > 59 || second > 60 || !read_offset(s + i, len - i, &east))
        return false;
    int utc = ((hour * 60 + minute - east) % 1440 + 1440) % 1440;
    return second < 60 || utc == 1439; /* a leap second is at 23:59:60 UTC */
}

static bool is_date_time(const char *s, size_t len)
{
    return len > 11 && (s[10] == 'T' || s[10] == 't') && is_date(s, 10) && is_time(s + 11, len - 11);
}

/* Takes "<digits><unit>" for each unit of `units` in order; returns how many characters.. */
static size_t duration_part(const char *s, size_t len, const char *units, bool *ret_good)
{
    size_t i = 0;
    const char *left = units;
    *ret_good = true;
    while (i < len && s[i] != 'T') {
        size_t start = i;
        while (i < len && isdigit((unsigned char)s[i]))
            i++;
        const char *unit = i < len && i > start ? strchr(left, s[i]) : NULL;
        /* Units follow each other without a gap: hours and seconds need minutes between them. */
        if (!unit || !s[i] || (left != units && unit != left)) {
            *ret_good = false;
            return i;
        }
        left = unit + 1;
        i++;
    }
    return i;
}

static bool is_duration(const char *s, size_t len)
{
    bool good;
    if (len < 3 || s[0] != 'P')
        return false;
    if (s[len - 1] == 'W')
        return duration_part(s + 1, len - 1, "W", &good) == len - 1 && good;
    size_t date = duration_part(s + 1, len - 1, "YMD", &good);
    if (!good)
        return false;
    if (date + 1 == len)
        return true;
    size_t left = len - date - 2; /* behind the T */
    return left > 0 && duration_part(s + date + 2, left, "HMS", &good) == left && good;
}

static bool is_label(const char *s, size_t len)
{
    if (len == 0 || len > 63 || s[0] == '-' || s[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && s[i] != '-')
            return false;
    /* "??--" belongs to encoded names, of which only A-labels exist. */
    return len < 4 || s[2] != '-' || s[3] != '-' || (strncasecmp(s, "xn", 2) == 0 && len > 4);
}

static bool is_hostname(const char *s, size_t len)
{
    if (len == 0 || len > 253)
        return false;
    for (size_t start = 0, i = 0; i <= len; i++) {
        if (i < len && s[i] != '.')
            continue;
        if (!is_label(s + start, i - start))
            return false;
        start = i + 1;
    }
    return true;
}

static bool is_address(int family, const char *s, size_t len)
{
    char text[64];
    unsigned char out[16];
    if (len == 0 || len >= sizeof text)
        return false;
    memcpy(text, s, len);
    text[len] = 0;
    return strlen(text) == len && inet_pton(family, text, out) == 1;
}

static bool is_quoted_local(const char *s, size_t len)
{
    if (len < 2 || s[0] != '"' || s[len - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < len; i++) {
        if (s[i] == '\\')
            i++;
        else if (s[i] == '"')
            return false;
        if (i + 1 >= len || s[i] < 32 || s[i] > 126)
            return false;
    }
    return true;
}

static bool is_local_part(const char *s, size_t len)
{
    if (len == 0 || len > 64)
        return false;
    if (s[0] == '"')
        return is_quoted_local(s, len);
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '.') {
            if (i == 0 || i + 1 == len || s[i - 1] == '.')
                return false;
        } else if (!isalnum((unsigned char)s[i]) && (!s[i] || !strchr("!#$%&'*+-/=?^_`{|}~", s[i]))) {
            return false;
        }
    }
    return true;
}

static bool is_email(const char *s, size_t len)
{
    const char *at = memrchr(s, '@', len);
    if (!at || !is_local_part(s, (size_t)(at - s)))
        return false;
    const char *host = at + 1;
    size_t n = len - (size_t)(host - s);
    if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
        if (n > 7 && strncasecmp(host + 1, "IPv6:", 5) == 0)
            return is_address(AF_INET6, host + 6, n - 7);
        return is_address(AF_INET, host + 1, n - 2);
    }
    return is_hostname(host, n);
}

static bool is_uuid(const char *s, size_t len)
{
    if (len != 36)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
            return false;
    }
    return true;
}

static bool is_pointer(const char *s, size_t len)
{
    if (len > 0 && s[0] != '/')
        return false;
    for (size_t i = 0; i < len; i++)
        if (s[i] == '~' && (i + 1 >= len || (s[i + 1] != '0' && s[i + 1] != '1')))
            return false;
    return true;
}

/* Whether all characters are of RFC 3986's `extra`, unreserved, sub-delims or percent-encoded. */
static bool uri_chars(const char *s, size_t len, const char *extra)
{
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '%') {
            if (i + 2 >= len || !isxdigit((unsigned char)s[i + 1]) || !isxdigit((unsigned char)s[i + 2]))
                return false;
            i += 2;
        } else if (!isalnum((unsigned char)s[i]) && (!s[i] || (!strchr("-._~!$&'()*+,;=", s[i]) && !strchr(extra, s[i])))) {
            return false;
        }
    }
    return true;
}

static bool is_authority(const char *s, size_t len)
{
    const char *at = memrchr(s, '@', len);
    if (at) {
        if (!uri_chars(s, (size_t)(at - s), ":"))
            return false;
        len -= (size_t)(at + 1 - s);
        s = at + 1;
    }
    size_t host = len;
    if (len > 0 && s[0] == '[') {
        const char *end = memchr(s, ']', len);
        if (!end || (!is_address(AF_INET6, s + 1, (size_t)(end - s) - 1) && s[1] != 'v'))
            return false;
        host = (size_t)(end - s) + 1;
    } else {
        const char *colon = memchr(s, ':', len);
        host = colon ? (size_t)(colon - s) : len;
        if (!uri_chars(s, host, ""))
            return false;
    }
    if (host < len && s[host] != ':')
        return false;
    for (size_t i = host + 1; i < len; i++)
        if (!isdigit((unsigned char)s[i]))
            return false;
    return true;
}

static size_t span_until(const char *s, size_t len, const char *stops)
{
    size_t i = 0;
    while (i < len && s[i] && !strchr(stops, s[i]))
        i++;
    return i;
}

static bool is_scheme(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && (i == 0 || (s[i] != '+' && s[i] != '-' && s[i] != '.')))
            return false;
    return len > 0 && isalpha((unsigned char)s[0]);
}

static bool is_uri_reference(const char *s, size_t len, bool need_scheme)
{
    size_t n = span_until(s, len, ":/?#");
    bool scheme = n < len && s[n] == ':';
    if (scheme && !is_scheme(s, n))
        return false;
    if (need_scheme && !scheme)
        return false;
    size_t i = scheme ? n + 1 : 0;
    if (len - i >= 2 && s[i] == '/' && s[i + 1] == '/') {
        size_t authority = span_until(s + i + 2, len - i - 2, "/?#");
        if (!is_authority(s + i + 2, authority))
            return false;
        i += 2 + authority;
    }
    size_t path = span_until(s + i, len - i, "?#");
    if (!uri_chars(s + i, path, ":@/"))
        return false;
    i += path;
    if (i < len && s[i] == '?') {
        size_t query = span_until(s + i + 1, len - i - 1, "#");
        if (!uri_chars(s + i + 1, query, ":@/?"))
            return false;
        i += 1 + query;
    }
    return i >= len || (s[i] == '#' && uri_chars(s + i + 1, len - i - 1, ":@/?"));
}

static bool is_regex(const char *s, size_t len)
{
    int error;
    PCRE2_SIZE offset;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context)
        return false;
    pcre2_set_max_pattern_length(context, 4096);
    pcre2_set_parens_nest_limit(context, 50);
    pcre2_set_compile_extra_options(context, PCRE2_EXTRA_ALT_BSUX);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)s, len, PCRE2_UTF | PCRE2_ALLOW_EMPTY_CLASS, &error, &offset, context);
    pcre2_compile_context_free(context);
    pcre2_code_free(code);
    /* \a, \Z and others are PCRE's own, not ECMA-262's. */
    for (size_t i = 0; code && i + 1 < len; i++)
        if (s[i] == '\\' && strchr("aAeEGhHKlLNQRXzZ", s[++i]))
            return false;
    return code != NULL;
}

bool schema_format_ok(const char *format, const char *text, size_t len)
{
    if (strcmp(format, "date") == 0)
        return is_date(text, len);
    if (strcmp(format, "time") == 0)
        return is_time(text, len);
    if (strcmp(format, "date-time") == 0)
        return is_date_time(text, len);
    if (strcmp(format, "duration") == 0)
        return is_duration(text, len);
    if (strcmp(format, "email") == 0)
        return is_email(text, len);
    if (strcmp(format, "hostname") == 0)
        return is_hostname(text, len);
    if (strcmp(format, "ipv4") == 0)
        return is_address(AF_INET, text, len);
    if (strcmp(format, "ipv6") == 0)
        return is_address(AF_INET6, text, len);
    if (strcmp(format, "uri") == 0)
        return is_uri_reference(text, len, true);
    if (strcmp(format, "uri-reference") == 0)
        return is_uri_reference(text, len, false);
    if (strcmp(format, "uuid") == 0)
        return is_uuid(text, len);
    if (strcmp(format, "json-pointer") == 0)
        return is_pointer(text, len);
    if (strcmp(format, "regex") == 0)
        return is_regex(text, len);
    return true;
}
