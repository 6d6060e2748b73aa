/* Sealed values at rest: AES-256-GCM, associated data is table, row and version, so that a sealed value moved elsewhere does not open.
 * Keys come from the key file (portal/crypto); rotation re-seals. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include <stdint.h>

struct keyring; /* portal/crypto/keyring.h */
void secrets_set_keyring(struct keyring *k); /* main.c, once at start; kept */
/* Seals n bytes for (table, row, version); appends key id, nonce, ciphertext, tag to `out`. */
int secrets_seal(const char *table, const char *row, int64_t version, const void *plain, size_t n, struct buf *out, struct err *e);
/* Opens into `out` (wipe it after use). ERR_INVALID: tampered, moved, or of another version; ERR_NOT_FOUND: its key is not in the key file. */
int secrets_open(const char *table, const char *row, int64_t version, const void *sealed, size_t n, struct buf *out, struct err *e);
