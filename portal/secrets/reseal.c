/* Rotation: walks the registered columns and seals anew what another key than the active one sealed. The one complication here: nodes go on writing meanwhile,
 * so a value is replaced only as it was read, and the walk starts over until a whole one finds nothing more to do. */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "portal/crypto/keyring.h"
#include "portal/secrets/secrets.h"
#include "secrets_queries.h"

#define TABLES_MAX 16
#define PAGE 100

static const struct secrets_column *registered[TABLES_MAX];
static int n_registered;

void secrets_register(const struct secrets_column *columns)
{
    for (int i = 0; i < n_registered; i++)
        if (registered[i] == columns)
            return;
    if (n_registered == TABLES_MAX)
        abort();
    registered[n_registered++] = columns;
}

struct walk {
    uint32_t active; /* big endian, as in a sealed value */
    int64_t resealed, broken;
    struct err first; /* why the first one did not open */
};

static int reseal_row(struct db_conn *c, const struct secrets_column *column, const char *row, int64_t version, const void *old, size_t old_len, struct walk *walk, struct err *e)
{
    __attribute__((cleanup(buf_wipe))) struct buf plain = BUF_INIT;
    BUF_AUTO sealed = BUF_INIT;
    DB_RESULT_AUTO replaced = NULL;
    struct err why = ERR_INIT;
    if (secrets_open(column->table, row, version, old, old_len, &plain, &why)) {
        if (walk->broken++ == 0)
            walk->first = why;
        return 0;
    }
    int r = secrets_seal(column->table, row, version, plain.data, plain.len, &sealed, e);
    if (!r)
        r = db_one(c, Q_SECRETS_REPLACE, &replaced, e, db_text(column->table), db_text(column->id), db_text(column->version), db_text(column->sealed),
                   db_text(row), db_int(version), db_bytes(old, old_len), db_bytes(sealed.data, sealed.len));
    if (!r)
        walk->resealed += db_bool(replaced, 0, 0);
    return r;
}

static int reseal_column(struct db_conn *c, const struct secrets_column *column, struct walk *walk, struct err *e)
{
    ARENA_AUTO last = arena_new();
    const char *after = NULL;
    int64_t after_version = 0;
    for (int rows = PAGE; rows == PAGE;) {
        ARENA_AUTO a = arena_new();
        DB_RESULT_AUTO page = NULL;
        int r = db_run(c, Q_SECRETS_STALE, &page, e, db_text(column->table), db_text(column->id), db_text(column->version), db_text(column->sealed),
                       db_bytes(&walk->active, 4), db_text(after), db_int(after_version), db_int(PAGE));
        rows = r ? 0 : db_rows(page);
        for (int i = 0; i < rows && !r; i++) {
            size_t n = 0;
            const void *old = db_blob(page, i, 2, a, &n);
            r = reseal_row(c, column, db_str(page, i, 0), db_i64(page, i, 1), old, n, walk, e);
        }
        if (r) {
            err_prefix(e, "re-sealing %s.%s", column->table, column->sealed);
            return r;
        }
        if (rows) {
            arena_reset(last);
            after = arena_strdup(last, db_str(page, rows - 1, 0));
            after_version = db_i64(page, rows - 1, 1);
        }
    }
    return 0;
}

static int walk_all(struct db_conn *c, struct walk *walk, struct err *e)
{
    for (int i = 0; i < n_registered; i++)
        for (const struct secrets_column *column = registered[i]; column->table; column++) {
            int r = reseal_column(c, column, walk, e);
            if (r)
                return r;
        }
    return 0;
}

int secrets_reseal(struct db *d, int64_t *ret_resealed, struct err *e)
{
    struct keyring *k = keyring_instance();
    DB_CONN_AUTO c = NULL;
    if (!k)
        return err_set(e, ERR_INTERNAL, "no key file is loaded: nothing can be re-sealed");
    int r = db_take(d, &c, e);
    if (!r)
        r = keyring_reload(k, e);
    if (r)
        return r;
    int64_t resealed = 0;
    for (struct walk walk = {.resealed = 1}; walk.resealed;) {
        walk = (struct walk){.active = htobe32(keyring_active(k))};
        if ((r = walk_all(c, &walk, e)))
            return r;
        resealed += walk.resealed;
        if (!walk.resealed && walk.broken)
            return err_set(e, ERR_CONFLICT, "%" PRId64 " sealed values do not open and were left as they are, %" PRId64 " were re-sealed; the first: %s",
                           walk.broken, resealed, walk.first.msg);
    }
    *ret_resealed = resealed;
    return 0;
}

int secrets_count(struct db *d, uint32_t key_id, int64_t *ret, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    int r = db_take(d, &c, e);
    int64_t n = 0;
    uint32_t wire = htobe32(key_id);
    for (int i = 0; i < n_registered && !r; i++)
        for (const struct secrets_column *column = registered[i]; column->table && !r; column++) {
            DB_RESULT_AUTO row = NULL;
            r = db_one(c, Q_SECRETS_COUNT, &row, e, db_text(column->table), db_text(column->sealed), db_bytes(&wire, 4));
            if (!r)
                n += db_i64(row, 0, 0);
        }
    if (!r)
        *ret = n;
    return r;
}
