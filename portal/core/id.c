#include "portal/core/id.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "portal/core/clock.h"

void id_new(char out[ID_LEN + 1])
{
    uint8_t b[16];
    if (getrandom(b, sizeof b, 0) != sizeof b)
        abort(); /* cannot happen for 16 bytes once the pool is seeded */
    uint64_t ms = (uint64_t)clock_wall_ms();
    for (int i = 0; i < 6; i++)
        b[i] = (uint8_t)(ms >> (40 - 8 * i));
    b[6] = (uint8_t)((b[6] & 0x0F) | 0x70);
    b[8] = (uint8_t)((b[8] & 0x3F) | 0x80);
    snprintf(out, ID_LEN + 1, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5],
             b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

bool id_valid(const char *s)
{
    for (int i = 0; i < ID_LEN; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s[i] != '-' : !((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
            return false;
    }
    return s[ID_LEN] == 0;
}

static bool lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool lower_or_digit(char c)
{
    return lower(c) || (c >= '0' && c <= '9');
}

bool id_name_valid(const char *s)
{
    size_t n = strlen(s);
    if (n < 1 || n > 40 || !lower(s[0]) || !lower_or_digit(s[n - 1]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!lower_or_digit(s[i]) && s[i] != '-')
            return false;
    return true;
}
