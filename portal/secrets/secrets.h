/* Sealed values at rest: AES-256-GCM, associated data is table, row and version, so that a sealed value moved elsewhere does not open.
 * Keys come from the key file (portal/crypto); rotation re-seals. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include "portal/db/db.h"
#include <stdint.h>

struct keyring; /* portal/crypto/keyring.h */
void secrets_set_keyring(struct keyring *k); /* main.c, once at start; kept. The same keyring then signs cursors (keyring_set_instance) */
/* Seals n bytes for (table, row, version); appends key id, nonce, ciphertext, tag to `out`. */
int secrets_seal(const char *table, const char *row, int64_t version, const void *plain, size_t n, struct buf *out, struct err *e);
/* Opens into `out` (wipe it after use). ERR_INVALID: tampered, moved, or of another version; ERR_NOT_FOUND: its key is not in the key file. */
int secrets_open(const char *table, const char *row, int64_t version, const void *sealed, size_t n, struct buf *out, struct err *e);

/* Rotation. A domain registers its columns that hold sealed values, by a table that ends with `table` NULL and is kept by pointer (at most 16 tables). `table` is the
 * name given to secrets_seal (and the database's, in schema soma); `id` and `version` are the columns whose values were given as row and version; version NULL: always 0.
 * The node's role needs SELECT on all three and UPDATE on `sealed`. NULL values are skipped. */
struct secrets_column { const char *table, *id, *version, *sealed; };
void secrets_register(const struct secrets_column *columns);
/* Opens what was sealed with another key than the active one and seals it anew, row by row: safe while nodes run, and to run again. *ret_resealed counts.
 * What does not open is left as it is; after the walk that is ERR_CONFLICT with the number and the first one's place. */
int secrets_reseal(struct db *d, int64_t *ret_resealed, struct err *e);
/* How many registered values are sealed with the key `id`: 0 means that keyring_drop_file may take it away. */
int secrets_count(struct db *d, uint32_t key_id, int64_t *ret, struct err *e);
