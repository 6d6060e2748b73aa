/* The key file: master keys outside the database, each with an id, one of them active; keys for a purpose are derived from them.
 *
 * The file is text, mode 0600, lines `key ID CREATED BASE64` and one line `active ID`. It is replaced as a whole, never edited in place.
 * Thread: any; a keyring may be reloaded while others use it. Messages never hold key material. */
#pragma once
#include "portal/core/err.h"
#include "portal/crypto/crypto.h"
#include <stdbool.h>
#include <stdint.h>

struct keyring;

/* Makes a key file with one key; ERR_CONFLICT when there is one (it is never overwritten: what it sealed would be lost). */
int keyring_init_file(const char *path, struct err *e);
/* Adds a key and makes it the active one; old keys stay, to open what they sealed. ret_id (may be NULL) gets its id. */
int keyring_rotate_file(const char *path, uint32_t *ret_id, struct err *e);
/* Removes a key that is not the active one: after everything was re-sealed. ERR_NOT_FOUND, ERR_CONFLICT (active). */
int keyring_drop_file(const char *path, uint32_t id, struct err *e);

/* ERR_NOT_FOUND: no such file; ERR_DENIED: others may read it, or it is another user's; ERR_INVALID: not a key file (names the line). */
int keyring_open(const char *path, struct keyring **ret, struct err *e);
void keyring_free(struct keyring *k); /* wipes; takes NULL */
/* Reads the file again; on an error the keys in memory stay. */
int keyring_reload(struct keyring *k, struct err *e);

uint32_t keyring_active(const struct keyring *k);
/* Ids of all keys, at most `max`; returns their number. */
int keyring_ids(const struct keyring *k, uint32_t *ret_ids, int max);
/* The key of `purpose` ("seal/order", "cursor", "webhook") under the master key `id` (0: the active one). Another node may have rotated the file: an
 * unknown id reads it again first. ret_id (may be NULL) gets the id used. ERR_NOT_FOUND. The caller wipes `out`. */
int keyring_derive(struct keyring *k, uint32_t id, const char *purpose, uint8_t out[CRYPTO_KEY], uint32_t *ret_id, struct err *e);

/* The process's keyring, which sealing and cursors use; main.c sets it once at start. Kept, not owned. */
void keyring_set_instance(struct keyring *k);
struct keyring *keyring_instance(void); /* NULL before */
