/* Text encodings, tokens and passwords. The one complication here: decoding is strict, so that a value has one text only. */
#include <stdio.h>
#include <string.h>

#include "portal/crypto/crypto.h"

static const char base64_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char base62_letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

void crypto_hex(const void *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *s = p;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[s[i] >> 4];
        out[2 * i + 1] = digits[s[i] & 15];
    }
    out[2 * n] = 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool crypto_unhex(const char *s, size_t n_chars, void *out)
{
    uint8_t *o = out;
    if (n_chars % 2)
        return false;
    for (size_t i = 0; i < n_chars; i += 2) {
        int high = hex_digit(s[i]), low = hex_digit(s[i + 1]);
        if (high < 0 || low < 0)
            return false;
        *o++ = (uint8_t)(high << 4 | low);
    }
    return true;
}

static void encode64(const char *letters, bool pad, const uint8_t *s, size_t n, struct buf *out)
{
    buf_reserve(out, (n + 2) / 3 * 4);
    out->data[out->len] = 0;
    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t v = (uint32_t)s[i] << 16 | (have > 1 ? (uint32_t)s[i + 1] << 8 : 0) | (have > 2 ? s[i + 2] : 0);
        for (size_t k = 0; k <= have; k++)
            buf_char(out, letters[v >> (18 - 6 * k) & 63]);
        for (size_t k = have; pad && k < 3; k++)
            buf_char(out, '=');
    }
}

void crypto_base64(const void *p, size_t n, struct buf *out)
{
    encode64(base64_letters, true, p, n, out);
}

void crypto_base64url(const void *p, size_t n, struct buf *out)
{
    encode64(base64url_letters, false, p, n, out);
}

static int refuse64(struct buf *out, size_t start, struct err *e)
{
    crypto_wipe(out->data + start, out->len - start);
    out->len = start;
    out->data[start] = 0;
    return err_set(e, ERR_INVALID, "this is not base64");
}

static int decode64(const char *letters, const char *s, size_t n, struct buf *out, struct err *e)
{
    size_t start = out->len, bits = 0;
    uint32_t v = 0;
    buf_reserve(out, n);
    out->data[out->len] = 0;
    for (size_t i = 0; i < n; i++) {
        const char *at = s[i] ? strchr(letters, s[i]) : NULL;
        if (!at)
            return refuse64(out, start, e);
        v = (v << 6 | (uint32_t)(at - letters)) & 0xFFFF;
        if ((bits += 6) >= 8)
            buf_char(out, (char)(v >> (bits -= 8)));
    }
    /* A lone letter holds no byte, and bits left over must be zero: otherwise two texts would mean one value. */
    if (n % 4 == 1 || (v & ((1u << bits) - 1)))
        return refuse64(out, start, e);
    return 0;
}

int crypto_unbase64(const char *s, size_t n, struct buf *out, struct err *e)
{
    if (n % 4)
        return err_set(e, ERR_INVALID, "this is not base64");
    for (int i = 0; i < 2 && n && s[n - 1] == '='; i++)
        n--;
    return decode64(base64_letters, s, n, out, e);
}

int crypto_unbase64url(const char *s, size_t n, struct buf *out, struct err *e)
{
    return decode64(base64url_letters, s, n, out, e);
}

void crypto_password_new(const char *alphabet, size_t length, char *out)
{
    if (!alphabet)
        alphabet = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    size_t size = strlen(alphabet), limit = 256 - 256 % size;
    uint8_t pool[64];
    size_t left = 0;
    for (size_t i = 0; i < length;) {
        if (!left)
            crypto_random(pool, left = sizeof pool);
        uint8_t drawn = pool[--left];
        /* Bytes above the last whole multiple would favour the first letters. */
        if (drawn < limit)
            out[i++] = alphabet[drawn % size];
    }
    out[length] = 0;
    crypto_wipe(pool, sizeof pool);
}

#define TOKEN_BODY 40
#define TOKEN_SUM 6

static void token_sum(const char *text, size_t n, char out[TOKEN_SUM + 1])
{
    uint8_t digest[CRYPTO_DIGEST];
    crypto_sha256(text, n, digest);
    uint32_t v = (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 | digest[3];
    for (int i = TOKEN_SUM - 1; i >= 0; i--, v /= 62)
        out[i] = base62_letters[v % 62];
    out[TOKEN_SUM] = 0;
}

void crypto_token_new(const char *prefix, char out[CRYPTO_TOKEN_MAX])
{
    size_t n = (size_t)snprintf(out, 17, "%s", prefix);
    if (n > 16)
        n = 16;
    crypto_password_new(base62_letters, TOKEN_BODY, out + n);
    token_sum(out, n + TOKEN_BODY, out + n + TOKEN_BODY);
}

bool crypto_token_valid(const char *prefix, const char *token)
{
    size_t n = strlen(prefix);
    if (strnlen(token, CRYPTO_TOKEN_MAX) != n + TOKEN_BODY + TOKEN_SUM || strncmp(token, prefix, n))
        return false;
    char sum[TOKEN_SUM + 1];
    token_sum(token, n + TOKEN_BODY, sum);
    return crypto_equal(sum, token + n + TOKEN_BODY, TOKEN_SUM);
}
