/* The mbedtls seam: randomness, digests, HMAC, key derivation, AES-256-GCM, text encodings, tokens, random passwords.
 * Nothing here keeps state; functions that return void cannot fail (a kernel without randomness ends the process with a log line).
 * Thread: any. */
#pragma once
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRYPTO_DIGEST 32 /* bytes of SHA-256 and HMAC-SHA-256 */
#define CRYPTO_KEY 32    /* bytes of an AES-256 key */
#define CRYPTO_NONCE 12
#define CRYPTO_TAG 16

void crypto_random(void *out, size_t n);
void crypto_wipe(void *p, size_t n); /* overwrites; never optimised away */
/* Compares in a time that depends on n alone. */
bool crypto_equal(const void *a, const void *b, size_t n);

void crypto_sha256(const void *p, size_t n, uint8_t out[CRYPTO_DIGEST]);
/* SHA-256 in lower-case hex. */
void crypto_sha256_hex(const void *p, size_t n, char out[2 * CRYPTO_DIGEST + 1]);
/* SHA-256 of what comes in pieces (files): new, add..., finish, which frees. */
struct crypto_digest;
struct crypto_digest *crypto_digest_new(void);
void crypto_digest_add(struct crypto_digest *d, const void *p, size_t n);
void crypto_digest_finish(struct crypto_digest *d, uint8_t out[CRYPTO_DIGEST]); /* out may be NULL: given up */

void crypto_hmac(const void *key, size_t key_len, const void *p, size_t n, uint8_t out[CRYPTO_DIGEST]);
/* Whether `hex` (either case, an optional "sha256=" in front as git hosts send it) is the HMAC of p: constant time. */
bool crypto_hmac_matches(const void *key, size_t key_len, const void *p, size_t n, const char *hex);
/* HKDF-SHA-256 (RFC 5869); n at most 255 * 32. salt may be NULL. */
void crypto_hkdf(const void *key, size_t key_len, const void *salt, size_t salt_len, const char *info, void *out, size_t n);

/* AES-256-GCM. seal appends n bytes of ciphertext and CRYPTO_TAG bytes of tag to `out`; a nonce is used once per key.
 * open takes ciphertext and tag together, appends the plain text; ERR_INVALID when tag or associated data do not fit (out is as before). */
int crypto_gcm_seal(const uint8_t key[CRYPTO_KEY], const uint8_t nonce[CRYPTO_NONCE], const void *aad, size_t aad_len,
                    const void *plain, size_t n, struct buf *out, struct err *e);
int crypto_gcm_open(const uint8_t key[CRYPTO_KEY], const uint8_t nonce[CRYPTO_NONCE], const void *aad, size_t aad_len,
                    const void *sealed, size_t n, struct buf *out, struct err *e);

void crypto_hex(const void *p, size_t n, char *out);                         /* 2n + 1 bytes, lower case */
bool crypto_unhex(const char *s, size_t n_chars, void *out);                 /* n_chars / 2 bytes; false: not hex (out is undefined) */
void crypto_base64(const void *p, size_t n, struct buf *out);                /* RFC 4648 with padding; appends */
void crypto_base64url(const void *p, size_t n, struct buf *out);             /* without padding; appends */
/* Strict decoding: no blanks, no stray bits, padding exactly as the encoder writes it. ERR_INVALID leaves `out` as it was. */
int crypto_unbase64(const char *s, size_t n, struct buf *out, struct err *e);
int crypto_unbase64url(const char *s, size_t n, struct buf *out, struct err *e);

/* A token: prefix, 40 random base62 characters (238 bits), 6 of checksum, so that leaked ones are recognised and mistyped ones refused without
 * a look into the database. `out` takes CRYPTO_TOKEN_MAX bytes; the prefix has at most 16 characters ("soma_"). */
#define CRYPTO_TOKEN_MAX 64
void crypto_token_new(const char *prefix, char out[CRYPTO_TOKEN_MAX]);
bool crypto_token_valid(const char *prefix, const char *token);

/* `length` characters, each drawn without bias from `alphabet` (2 to 256 bytes, none twice; NULL: letters and digits without 0 O 1 l I). `out` takes length + 1. */
void crypto_password_new(const char *alphabet, size_t length, char *out);
