/* The one complication here: mbedtls reports failures that cannot happen with the arguments we give (out of range, no hardware);
 * they end the process rather than let a caller go on without protection. */
#include "portal/crypto/crypto.h"

#include <errno.h>
#include <mbedtls/gcm.h>
#include <mbedtls/hkdf.h>
#include <mbedtls/md.h>
#include <mbedtls/sha256.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "portal/core/log.h"

static void must(int r, const char *what)
{
    if (r == 0)
        return;
    log_error("cryptography failed: this process ends, nothing goes on unprotected", LOG_S("what", what), LOG_I("code", r));
    abort();
}

void crypto_random(void *out, size_t n)
{
    uint8_t *p = out;
    while (n) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno != EINTR)
            must(errno, "getrandom");
        if (got > 0) {
            p += got;
            n -= (size_t)got;
        }
    }
}

void crypto_wipe(void *p, size_t n)
{
    if (n)
        explicit_bzero(p, n);
}

bool crypto_equal(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t differ = 0;
    for (size_t i = 0; i < n; i++)
        differ |= (uint8_t)(x[i] ^ y[i]);
    return differ == 0;
}

void crypto_sha256(const void *p, size_t n, uint8_t out[CRYPTO_DIGEST])
{
    must(mbedtls_sha256_ret(n ? p : "", n, out, 0), "sha256");
}

void crypto_sha256_hex(const void *p, size_t n, char out[2 * CRYPTO_DIGEST + 1])
{
    uint8_t digest[CRYPTO_DIGEST];
    crypto_sha256(p, n, digest);
    crypto_hex(digest, sizeof digest, out);
}

struct crypto_digest {
    mbedtls_sha256_context context;
};

struct crypto_digest *crypto_digest_new(void)
{
    struct crypto_digest *d = calloc(1, sizeof *d);
    must(d ? 0 : ENOMEM, "memory");
    mbedtls_sha256_init(&d->context);
    must(mbedtls_sha256_starts_ret(&d->context, 0), "sha256");
    return d;
}

void crypto_digest_add(struct crypto_digest *d, const void *p, size_t n)
{
    if (n)
        must(mbedtls_sha256_update_ret(&d->context, p, n), "sha256");
}

void crypto_digest_finish(struct crypto_digest *d, uint8_t out[CRYPTO_DIGEST])
{
    if (!d)
        return;
    if (out)
        must(mbedtls_sha256_finish_ret(&d->context, out), "sha256");
    mbedtls_sha256_free(&d->context);
    free(d);
}

void crypto_hmac(const void *key, size_t key_len, const void *p, size_t n, uint8_t out[CRYPTO_DIGEST])
{
    const mbedtls_md_info_t *sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    must(mbedtls_md_hmac(sha256, key_len ? key : (const void *)"", key_len, n ? p : (const void *)"", n, out), "hmac");
}

bool crypto_hmac_matches(const void *key, size_t key_len, const void *p, size_t n, const char *hex)
{
    uint8_t want[CRYPTO_DIGEST], given[CRYPTO_DIGEST];
    if (!strncmp(hex, "sha256=", 7))
        hex += 7;
    if (strlen(hex) != 2 * CRYPTO_DIGEST || !crypto_unhex(hex, 2 * CRYPTO_DIGEST, given))
        return false;
    crypto_hmac(key, key_len, p, n, want);
    return crypto_equal(want, given, sizeof want);
}

void crypto_hkdf(const void *key, size_t key_len, const void *salt, size_t salt_len, const char *info, void *out, size_t n)
{
    const mbedtls_md_info_t *sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    must(mbedtls_hkdf(sha256, salt, salt_len, key, key_len, (const uint8_t *)info, strlen(info), out, n), "hkdf");
}

int crypto_gcm_seal(const uint8_t key[CRYPTO_KEY], const uint8_t nonce[CRYPTO_NONCE], const void *aad, size_t aad_len,
                    const void *plain, size_t n, struct buf *out, struct err *e)
{
    if (n > UINT32_MAX)
        return err_set(e, ERR_TOO_LARGE, "%zu bytes are too many to be sealed as one value", n);
    buf_reserve(out, n + CRYPTO_TAG);
    uint8_t *text = (uint8_t *)out->data + out->len;
    mbedtls_gcm_context gcm;
    mbedtls_gcm_init(&gcm);
    must(mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 8 * CRYPTO_KEY), "gcm key");
    must(mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, n, nonce, CRYPTO_NONCE, aad, aad_len, plain, text, CRYPTO_TAG, text + n), "gcm");
    mbedtls_gcm_free(&gcm);
    out->len += n + CRYPTO_TAG;
    out->data[out->len] = 0;
    return 0;
}

int crypto_gcm_open(const uint8_t key[CRYPTO_KEY], const uint8_t nonce[CRYPTO_NONCE], const void *aad, size_t aad_len,
                    const void *sealed, size_t n, struct buf *out, struct err *e)
{
    if (n < CRYPTO_TAG)
        return err_set(e, ERR_INVALID, "the sealed value is too short");
    n -= CRYPTO_TAG;
    buf_reserve(out, n);
    uint8_t *text = (uint8_t *)out->data + out->len;
    mbedtls_gcm_context gcm;
    mbedtls_gcm_init(&gcm);
    must(mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 8 * CRYPTO_KEY), "gcm key");
    int r = mbedtls_gcm_auth_decrypt(&gcm, n, nonce, CRYPTO_NONCE, aad, aad_len, (const uint8_t *)sealed + n, CRYPTO_TAG, sealed, text);
    mbedtls_gcm_free(&gcm);
    if (r) {
        crypto_wipe(text, n);
        *text = 0;
        return err_set(e, ERR_INVALID, "the sealed value does not open: it was changed, or belongs elsewhere");
    }
    out->len += n;
    out->data[out->len] = 0;
    return 0;
}
