#include "portal/crypto/cursor.h"

#include <stdio.h>
#include <string.h>

#include "portal/crypto/crypto.h"
#include "portal/crypto/keyring.h"

#define MAC 16
#define HEAD (4 + MAC) /* key id, then the MAC */

static int sign(uint32_t key_id, const char *list, const char *plain, size_t n, uint8_t out[HEAD], struct err *e)
{
    uint8_t key[CRYPTO_KEY], mac[CRYPTO_DIGEST];
    uint32_t used = 0;
    char purpose[96];
    struct keyring *k = keyring_instance();
    if (!k)
        return err_set(e, ERR_INTERNAL, "no key file is loaded");
    snprintf(purpose, sizeof purpose, "cursor/%s", list);
    int r = keyring_derive(k, key_id, purpose, key, &used, e);
    if (r)
        return r;
    crypto_hmac(key, sizeof key, plain, n, mac);
    crypto_wipe(key, sizeof key);
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(used >> (24 - 8 * i));
    memcpy(out + 4, mac, MAC);
    return 0;
}

int cursor_sign(const char *list, const char *plain, struct arena *a, const char **ret, struct err *e)
{
    uint8_t head[HEAD];
    if (!plain) {
        *ret = NULL;
        return 0;
    }
    int r = sign(0, list, plain, strlen(plain), head, e);
    if (r)
        return r;
    BUF_AUTO raw = BUF_INIT, text = BUF_INIT;
    buf_add(&raw, head, sizeof head);
    buf_str(&raw, plain);
    crypto_base64url(raw.data, raw.len, &text);
    *ret = arena_strndup(a, text.data, text.len);
    return 0;
}

static int refuse(struct err *e)
{
    err_set(e, ERR_INVALID, "the cursor is not one that this list gave out: start again without it");
    return err_type(e, "bad-cursor");
}

int cursor_open(const char *text, const char *list, struct arena *a, const char **ret_plain, struct err *e)
{
    BUF_AUTO raw = BUF_INIT;
    uint8_t head[HEAD];
    if (!text) {
        *ret_plain = NULL;
        return 0;
    }
    if (crypto_unbase64url(text, strlen(text), &raw, NULL) || raw.len < HEAD)
        return refuse(e);
    const uint8_t *p = (const uint8_t *)raw.data;
    uint32_t id = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    int r = id ? sign(id, list, raw.data + HEAD, raw.len - HEAD, head, e) : ERR_NOT_FOUND;
    if (r == ERR_INTERNAL)
        return r;
    if (r || !crypto_equal(head, raw.data, HEAD) || memchr(raw.data + HEAD, 0, raw.len - HEAD))
        return refuse(e);
    *ret_plain = arena_strndup(a, raw.data + HEAD, raw.len - HEAD);
    return 0;
}
