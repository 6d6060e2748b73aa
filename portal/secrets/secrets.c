/* The one complication here: the layout. A sealed value is version (1), key id (4), nonce (12), ciphertext, tag (16); the associated data carry
 * lengths, so that no two places have the same bytes. */
#include "portal/secrets/secrets.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "portal/crypto/crypto.h"
#include "portal/crypto/keyring.h"

#define FORMAT 1
#define HEAD (1 + 4 + CRYPTO_NONCE)

void secrets_set_keyring(struct keyring *k)
{
    keyring_set_instance(k);
}

static void add_part(struct buf *b, const void *p, size_t n)
{
    uint32_t len = htobe32((uint32_t)n);
    buf_add(b, &len, sizeof len);
    buf_add(b, p, n);
}

static void place_of(const char *table, const char *row, int64_t version, struct buf *out)
{
    uint64_t number = htobe64((uint64_t)version);
    add_part(out, table, strlen(table));
    add_part(out, row, strlen(row));
    add_part(out, &number, sizeof number);
}

/* One key a table: bounds how many random nonces meet under a key. */
static int key_for(const char *table, uint32_t id, uint8_t key[CRYPTO_KEY], uint32_t *ret_id, struct err *e)
{
    char purpose[96];
    struct keyring *k = keyring_instance();
    if (!k)
        return err_set(e, ERR_INTERNAL, "no key file is loaded: nothing can be sealed or opened");
    snprintf(purpose, sizeof purpose, "seal/%s", table);
    return keyring_derive(k, id, purpose, key, ret_id, e);
}

int secrets_seal(const char *table, const char *row, int64_t version, const void *plain, size_t n, struct buf *out, struct err *e)
{
    uint8_t key[CRYPTO_KEY], head[HEAD] = {FORMAT};
    uint32_t id = 0;
    int r = key_for(table, 0, key, &id, e);
    if (r)
        return r;
    uint32_t wire = htobe32(id);
    memcpy(head + 1, &wire, sizeof wire);
    crypto_random(head + 5, CRYPTO_NONCE);
    BUF_AUTO place = BUF_INIT;
    place_of(table, row, version, &place);
    size_t start = out->len;
    buf_add(out, head, sizeof head);
    r = crypto_gcm_seal(key, head + 5, place.data, place.len, plain, n, out, e);
    crypto_wipe(key, sizeof key);
    if (r)
        out->len = start;
    return r;
}

int secrets_open(const char *table, const char *row, int64_t version, const void *sealed, size_t n, struct buf *out, struct err *e)
{
    const uint8_t *head = sealed;
    if (n < HEAD + CRYPTO_TAG || head[0] != FORMAT)
        return err_set(e, ERR_INVALID, "%s %s: this is not a sealed value", table, row);
    uint8_t key[CRYPTO_KEY];
    uint32_t wire;
    memcpy(&wire, head + 1, sizeof wire);
    int r = be32toh(wire) ? key_for(table, be32toh(wire), key, NULL, e) : err_set(e, ERR_INVALID, "this is not a sealed value");
    if (r) {
        err_prefix(e, "%s %s", table, row);
        return r;
    }
    BUF_AUTO place = BUF_INIT;
    place_of(table, row, version, &place);
    r = crypto_gcm_open(key, head + 5, place.data, place.len, head + HEAD, n - HEAD, out, e);
    crypto_wipe(key, sizeof key);
    if (r)
        err_prefix(e, "%s %s, version %lld", table, row, (long long)version);
    return r;
}
