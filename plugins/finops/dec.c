// The one complication: a product of two scaled numbers can need more than 128 bits, so factors are split into whole and fraction before they meet.
#include "plugins/finops/dec.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

typedef __int128 i128;
typedef unsigned __int128 u128;

static const i128 one = 1000000000000LL;

#define NONE ((i128)((u128)1 << 127))

static struct dec make(i128 units) { return (struct dec){ units }; }

struct dec dec_none(void) { return make(NONE); }

bool dec_is_none(struct dec a) { return a.units == NONE; }

struct dec dec_int(long long n) { return make(n * one); }

struct dec dec_ratio(long long n, long long d) { return dec_div(dec_int(n), dec_int(d)); }

bool dec_is_zero(struct dec a) { return a.units == 0; }

struct dec dec_add(struct dec a, struct dec b)
{
    i128 sum;
    if (dec_is_none(a) || dec_is_none(b) || __builtin_add_overflow(a.units, b.units, &sum))
        return dec_none();
    return make(sum);
}

struct dec dec_sub(struct dec a, struct dec b)
{
    i128 difference;
    if (dec_is_none(a) || dec_is_none(b) || __builtin_sub_overflow(a.units, b.units, &difference))
        return dec_none();
    return make(difference);
}

// a * b / one for non-negative numbers; false on overflow.
static bool scale_product(u128 a, u128 b, u128 *ret_units)
{
    u128 scale = (u128)one, aw = a / scale, af = a % scale, bw = b / scale, bf = b % scale;
    u128 whole, cross, other;
    if (__builtin_mul_overflow(aw, bw, &whole) || __builtin_mul_overflow(whole, scale, &whole) || __builtin_mul_overflow(aw, bf, &cross) ||
        __builtin_mul_overflow(af, bw, &other) || __builtin_add_overflow(whole, cross, &whole) || __builtin_add_overflow(whole, other, &whole))
        return false;
    return !__builtin_add_overflow(whole, (af * bf + scale / 2) / scale, ret_units);
}

static u128 magnitude(i128 n) { return n < 0 ? (u128)0 - (u128)n : (u128)n; }

static struct dec with_sign(u128 units, bool negative)
{
    if (units >= (u128)1 << 127) // the sign bit, and NONE
        return dec_none();
    return make(negative ? -(i128)units : (i128)units);
}

struct dec dec_mul(struct dec a, struct dec b)
{
    u128 units;
    if (dec_is_none(a) || dec_is_none(b) || !scale_product(magnitude(a.units), magnitude(b.units), &units))
        return dec_none();
    return with_sign(units, (a.units < 0) != (b.units < 0));
}

struct dec dec_div(struct dec a, struct dec b)
{
    if (dec_is_none(a) || dec_is_none(b) || b.units == 0)
        return dec_none();
    u128 n = magnitude(a.units), d = magnitude(b.units), whole = n / d, rest = n % d, units;
    if (__builtin_mul_overflow(whole, (u128)one, &units))
        return dec_none();
    for (u128 digit = (u128)one / 10; digit; digit /= 10) { // one decimal a turn: rest * 10 always fits, rest < d < 2^127
        if (__builtin_mul_overflow(rest, (u128)10, &rest))
            return dec_none();
        units += rest / d * digit;
        rest %= d;
    }
    return with_sign(units + (rest >= d - rest), (a.units < 0) != (b.units < 0));
}

int dec_cmp(struct dec a, struct dec b) { return a.units < b.units ? -1 : a.units > b.units; }

struct dec dec_min(struct dec a, struct dec b) { return dec_is_none(a) || dec_is_none(b) ? dec_none() : dec_cmp(a, b) <= 0 ? a : b; }

struct dec dec_max(struct dec a, struct dec b) { return dec_is_none(a) || dec_is_none(b) ? dec_none() : dec_cmp(a, b) >= 0 ? a : b; }

struct dec dec_ceil(struct dec a)
{
    if (dec_is_none(a))
        return a;
    i128 rest = a.units % one;
    return rest == 0 ? a : dec_add(make(a.units - rest), make(rest > 0 ? one : 0));
}

struct dec dec_round(struct dec a, int places)
{
    if (dec_is_none(a) || places >= DEC_PLACES)
        return a;
    i128 step = 1;
    for (int i = places; i < DEC_PLACES; i++)
        step *= 10;
    i128 rest = a.units % step, half = step / 2;
    return dec_add(make(a.units - rest), make(rest >= half ? step : rest <= -half ? -step : 0));
}

// The digits of a number without its point, how many stood behind the point, and the first digit that was dropped.
struct digits {
    u128 value;
    int behind, count, dropped;
    bool point;
};

static bool add_digit(struct digits *d, int digit)
{
    d->count++;
    if (d->point && d->behind >= 24) { // far below what is kept: only the first of them could have rounded
        return true;
    }
    if (__builtin_mul_overflow(d->value, (u128)10, &d->value) || __builtin_add_overflow(d->value, (u128)digit, &d->value))
        return false;
    d->behind += d->point;
    return true;
}

static const char *read_digits(const char *p, struct digits *d)
{
    for (; isdigit((unsigned char)*p) || (*p == '.' && !d->point); p++) {
        if (*p == '.')
            d->point = true;
        else if (!add_digit(d, *p - '0'))
            return NULL;
    }
    return d->count ? p : NULL;
}

static const char *read_exponent(const char *p, int *ret_exponent)
{
    bool negative = *p == '-';
    int n = 0;
    p += *p == '-' || *p == '+';
    if (!isdigit((unsigned char)*p))
        return NULL;
    for (; isdigit((unsigned char)*p); p++)
        n = n > 1000 ? n : n * 10 + (*p - '0');
    *ret_exponent = negative ? -n : n;
    return p;
}

bool dec_parse(const char *text, struct dec *ret_value)
{
    struct digits d = { 0 };
    bool negative = *text == '-';
    int exponent = 0;
    const char *p = read_digits(text + (*text == '-' || *text == '+'), &d);
    if (p && (*p == 'e' || *p == 'E'))
        p = read_exponent(p + 1, &exponent);
    if (!p || *p)
        return false;
    int shift = exponent - d.behind + DEC_PLACES;
    for (; shift > 0 && d.value; shift--)
        if (__builtin_mul_overflow(d.value, (u128)10, &d.value))
            return false;
    for (; shift < 0 && d.value; shift++) {
        d.dropped = (int)(d.value % 10);
        d.value /= 10;
    }
    struct dec value = with_sign(d.value + (shift == 0 && d.dropped >= 5), negative);
    if (dec_is_none(value))
        return false;
    *ret_value = value;
    return true;
}

struct dec dec_from_real(double value)
{
    char text[40];
    struct dec result;
    snprintf(text, sizeof text, "%.15g", value);
    return dec_parse(text, &result) ? result : dec_none();
}

const char *dec_text(struct dec a, int least, char room[DEC_TEXT])
{
    room[0] = 0;
    if (dec_is_none(a))
        return room;
    u128 units = magnitude(a.units);
    char fraction[DEC_PLACES + 1], whole[40];
    snprintf(fraction, sizeof fraction, "%012llu", (unsigned long long)(units % (u128)one));
    u128 above = units / (u128)one;
    unsigned long long high = (unsigned long long)(above / (u128)one), low = (unsigned long long)(above % (u128)one);
    if (high)
        snprintf(whole, sizeof whole, "%llu%012llu", high, low);
    else
        snprintf(whole, sizeof whole, "%llu", low);
    int places = DEC_PLACES;
    while (places > least && fraction[places - 1] == '0')
        places--;
    snprintf(room, DEC_TEXT, "%s%s%s%.*s", a.units < 0 ? "-" : "", whole, places ? "." : "", places, fraction);
    return room;
}
