/* Typed getters and the guess at what a person meant. */
#include "portal/json/json.h"
#include <string.h>
#include <strings.h>

/* What the getters have in common: finds the member; null counts as absent. */
static const json_t *member(const json_t *object, const char *key)
{
    const json_t *v = json_is_object(object) ? json_object_get(object, key) : NULL;
    return json_is_null(v) ? NULL : v;
}

static int wrong(const char *at, const char *key, const json_t *found, const char *wanted, struct err *e)
{
    BUF_AUTO pointer = BUF_INIT;
    buf_str(&pointer, at);
    json_pointer_add(&pointer, key);
    if (!found)
        return err_field(e, buf_cstr(&pointer), "is missing; it must be %s", wanted);
    return err_field(e, buf_cstr(&pointer), "must be %s, not %s", wanted, json_type_word(found));
}

int json_opt_str(const json_t *object, const char *at, const char *key, const char *fallback, const char **ret, struct err *e)
{
    const json_t *v = member(object, key);
    if (v && !json_is_string(v))
        return wrong(at, key, v, "text", e);
    *ret = v ? json_string_value(v) : fallback;
    return 0;
}

int json_need_str(const json_t *object, const char *at, const char *key, const char **ret, struct err *e)
{
    if (!member(object, key))
        return wrong(at, key, NULL, "text", e);
    return json_opt_str(object, at, key, NULL, ret, e);
}

int json_opt_int(const json_t *object, const char *at, const char *key, int64_t fallback, int64_t min, int64_t max, int64_t *ret, struct err *e)
{
    const json_t *v = member(object, key);
    if (!v) {
        *ret = fallback;
        return 0;
    }
    if (!json_is_integer(v))
        return wrong(at, key, v, "a whole number", e);
    int64_t n = json_integer_value(v);
    if (n < min || n > max) {
        BUF_AUTO pointer = BUF_INIT;
        buf_str(&pointer, at);
        json_pointer_add(&pointer, key);
        return err_field(e, buf_cstr(&pointer), "must be from %lld to %lld", (long long)min, (long long)max);
    }
    *ret = n;
    return 0;
}

int json_need_int(const json_t *object, const char *at, const char *key, int64_t min, int64_t max, int64_t *ret, struct err *e)
{
    if (!member(object, key))
        return wrong(at, key, NULL, "a whole number", e);
    return json_opt_int(object, at, key, 0, min, max, ret, e);
}

int json_opt_bool(const json_t *object, const char *at, const char *key, bool fallback, bool *ret, struct err *e)
{
    const json_t *v = member(object, key);
    if (v && !json_is_boolean(v))
        return wrong(at, key, v, "true or false", e);
    *ret = v ? json_is_true(v) : fallback;
    return 0;
}

int json_need_bool(const json_t *object, const char *at, const char *key, bool *ret, struct err *e)
{
    if (!member(object, key))
        return wrong(at, key, NULL, "true or false", e);
    return json_opt_bool(object, at, key, false, ret, e);
}

static bool is_decimal(const char *s)
{
    if (*s == '-')
        s++;
    size_t whole = strspn(s, "0123456789");
    if (whole == 0)
        return false;
    s += whole;
    if (*s == '.') {
        size_t fraction = strspn(++s, "0123456789");
        if (fraction == 0)
            return false;
        s += fraction;
    }
    return *s == 0;
}

int json_need_decimal(const json_t *object, const char *at, const char *key, const char **ret, struct err *e)
{
    const json_t *v = member(object, key);
    if (!json_is_string(v) || !is_decimal(json_string_value(v)))
        return wrong(at, key, v, "an amount as text, such as \"12.50\"", e);
    *ret = json_string_value(v);
    return 0;
}

int json_opt_object(const json_t *object, const char *at, const char *key, const json_t **ret, struct err *e)
{
    const json_t *v = member(object, key);
    if (v && !json_is_object(v))
        return wrong(at, key, v, "an object", e);
    *ret = v;
    return 0;
}

int json_need_object(const json_t *object, const char *at, const char *key, const json_t **ret, struct err *e)
{
    if (!member(object, key))
        return wrong(at, key, NULL, "an object", e);
    return json_opt_object(object, at, key, ret, e);
}

int json_opt_array(const json_t *object, const char *at, const char *key, const json_t **ret, struct err *e)
{
    const json_t *v = member(object, key);
    if (v && !json_is_array(v))
        return wrong(at, key, v, "a list", e);
    *ret = v;
    return 0;
}

int json_need_array(const json_t *object, const char *at, const char *key, const json_t **ret, struct err *e)
{
    if (!member(object, key))
        return wrong(at, key, NULL, "a list", e);
    return json_opt_array(object, at, key, ret, e);
}

enum { NEAR_MAX = 40 };

/* Damerau-Levenshtein distance (neighbours swapped count once), letters' case ignored; both at most NEAR_MAX bytes. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t row[3][NEAR_MAX + 1];
    for (size_t j = 0; j <= m; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t cost = strncasecmp(a + i - 1, b + j - 1, 1) != 0;
            size_t best = last[j - 1] + cost;
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[n % 3][m];
}

const char *json_near_word(const char *word, const char *const *names)
{
    size_t n = strlen(word), best = SIZE_MAX;
    const char *found = NULL;
    if (n == 0 || n > NEAR_MAX)
        return NULL;
    for (; *names; names++) {
        size_t m = strlen(*names);
        if (m == 0 || m > NEAR_MAX)
            continue;
        size_t d = distance(word, n, *names, m), shorter = n < m ? n : m;
        if (d < best && d <= (shorter < 3 ? 1 : shorter < 6 ? 2 : 3) && d < shorter) {
            best = d;
            found = *names;
        }
    }
    return found;
}
