// Exact decimals for money and quantities: a 128-bit integer count of 10^-12. Never a double.
//
// Range: about +-1.7e26, 12 decimals. What does not fit, and what follows from it, is `dec_none`: arithmetic with dec_none gives dec_none, so a rule needs to look
// once, at the end. Multiplication and division round half away from zero at the 12th decimal.
// Pure functions: any thread.
#ifndef FINOPS_DEC_H
#define FINOPS_DEC_H
#include <stdbool.h>
#include <stddef.h>

#define DEC_PLACES 12
#define DEC_TEXT 64 // room that dec_text() needs

struct dec {
    __int128 units; // of 10^-12
};

// "No number": unknown, out of range, or a division by zero.
struct dec dec_none(void);
bool dec_is_none(struct dec a);

struct dec dec_int(long long n);
struct dec dec_ratio(long long n, long long d);

// Text like `0.0416`, `-3`, `1.25e-07`. False when it is not a number, has leftovers, or does not fit; digits beyond the 12th decimal are rounded.
bool dec_parse(const char *text, struct dec *ret_value);
// The decimal a JSON reader saw as a double: exact for what was written with up to 15 digits.
struct dec dec_from_real(double value);

struct dec dec_add(struct dec a, struct dec b);
struct dec dec_sub(struct dec a, struct dec b);
struct dec dec_mul(struct dec a, struct dec b);
struct dec dec_div(struct dec a, struct dec b);
struct dec dec_min(struct dec a, struct dec b);
struct dec dec_max(struct dec a, struct dec b);
struct dec dec_ceil(struct dec a);
// -1, 0, 1; dec_none is below everything.
int dec_cmp(struct dec a, struct dec b);
bool dec_is_zero(struct dec a);

// Rounded half away from zero to `places` (0..12) decimals.
struct dec dec_round(struct dec a, int places);
// Plain decimal text with at least `least` decimals and no needless zeros behind them; "" for dec_none. Returns `room`.
const char *dec_text(struct dec a, int least, char room[DEC_TEXT]);

#endif
