/* The one complication here: the id of the row is the claim. Whoever takes a key over gives the row a new id, and then nothing that the one before does fits any more. */
#include "portal/auth/idempotency.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth_queries.h"
#include "portal/auth/auth.h"
#include "portal/core/id.h"
#include "portal/core/log.h"
#include "portal/core/thread.h"
#include "portal/crypto/crypto.h"
#include "portal/crypto/keyring.h"

#define STALE_S 60
#define DIGEST (4 + CRYPTO_DIGEST) /* key id, HMAC */

struct idempotency_claim {
    char id[ID_LEN + 1];
    bool recorded; /* in a transaction of the handler; whether that committed, the row tells */
};

const struct secrets_column idempotency_secrets[] = {{"idempotency_key", "id", NULL, "body_sealed"}, {0}};

/* Keyed, because a request may hold a password. key_id 0: the active key. */
static int digest_of(const struct http_req *r, uint32_t key_id, uint8_t out[DIGEST], struct err *e)
{
    uint8_t key[CRYPTO_KEY];
    uint32_t used = 0;
    struct keyring *k = keyring_instance();
    if (!k)
        return err_set(e, ERR_INTERNAL, "no key file is loaded");
    int x = keyring_derive(k, key_id, "idempotency", key, &used, e);
    if (x)
        return x;
    uint32_t wire = htobe32(used);
    memcpy(out, &wire, 4);
    crypto_hmac(key, sizeof key, r->body ? r->body : "", r->body_len, out + 4);
    crypto_wipe(key, sizeof key);
    return 0;
}

/* Whether the stored digest is that of this request, under the key that made it. When that key was dropped from the key file within the day nobody can tell;
 * the caller named the same write, and is believed. */
static bool same_payload(const struct http_req *r, const uint8_t *stored, size_t n)
{
    uint8_t now[DIGEST];
    uint32_t wire;
    if (n != DIGEST)
        return false;
    memcpy(&wire, stored, 4);
    int x = digest_of(r, be32toh(wire), now, NULL);
    return x == ERR_NOT_FOUND || (x == 0 && crypto_equal(now, stored, DIGEST));
}

static int running(struct err *e)
{
    err_set(e, ERR_CONFLICT, "the first request with this Idempotency-Key is still running; send it again in a second to get its answer");
    e->retry_after = 1;
    return err_type(e, "idempotency-running");
}

static int another_payload(struct err *e)
{
    err_field(e, "", "this Idempotency-Key was used with another body; a new write needs a new key");
    return err_type(e, "idempotency-key-reused");
}

static int replay(const struct http_req *r, const struct db_result *row, int *ret_status, struct buf *headers, struct buf *body, struct err *e)
{
    size_t n = 0;
    const void *bytes = NULL;
    *ret_status = (int)db_i64(row, 0, 3);
    if (!db_is_null(row, 0, 7)) {
        bytes = db_blob(row, 0, 7, r->arena, &n);
        int x = secrets_open("idempotency_key", db_str(row, 0, 0), 0, bytes, n, body, e);
        if (x)
            return x;
    } else if (!db_is_null(row, 0, 6)) {
        bytes = db_blob(row, 0, 6, r->arena, &n);
        buf_add(body, bytes, n);
    }
    if (body->len)
        buf_str(headers, "Content-Type: application/json\r\n");
    if (!db_is_null(row, 0, 4))
        buf_printf(headers, "Location: %s\r\n", db_str(row, 0, 4));
    if (!db_is_null(row, 0, 5))
        buf_printf(headers, "ETag: %s\r\n", db_str(row, 0, 5));
    if (r->route->flags & HTTP_SECRET_BODY)
        buf_str(headers, "Cache-Control: no-store\r\n");
    return 1;
}

struct attempt {
    struct http_req *r;
    struct db_conn *c;
    uint8_t digest[DIGEST];
    char id[ID_LEN + 1]; /* of the claim, should it succeed */
};

static int find(struct attempt *t, struct db_result **ret, struct err *e)
{
    const struct http_req *r = t->r;
    return db_run(t->c, Q_IDEMPOTENCY_FIND, ret, e, db_text(r->who->actor), db_text(r->method), db_text(r->path), db_text(r->idempotency_key));
}

/* One round: 1 replayed, 0 claimed, ERR_FENCED when somebody was faster and the row must be looked at again. */
static int try_once(struct attempt *t, int *ret_status, struct buf *headers, struct buf *body, struct err *e)
{
    const struct http_req *r = t->r;
    DB_RESULT_AUTO row = NULL;
    DB_RESULT_AUTO done = NULL;
    int x = find(t, &row, e);
    if (x)
        return x;
    if (db_rows(row) == 0) {
        x = db_run(t->c, Q_IDEMPOTENCY_CLAIM, &done, e, db_text(t->id), db_text(r->who->actor), db_text(r->method), db_text(r->path), db_text(r->idempotency_key),
                   db_bytes(t->digest, DIGEST));
        return x ? x : db_affected(done) ? 0 : ERR_FENCED;
    }
    size_t n = 0;
    const uint8_t *stored = db_blob(row, 0, 1, r->arena, &n);
    bool expired = db_bool(row, 0, 9), is_done = !strcmp(db_str(row, 0, 2), "done");
    if (!expired && !same_payload(r, stored, n))
        return another_payload(e);
    if (!expired && is_done)
        return replay(r, row, ret_status, headers, body, e);
    if (!expired && db_i64(row, 0, 8) < STALE_S)
        return running(e);
    x = db_run(t->c, Q_IDEMPOTENCY_RETAKE, &done, e, db_text(db_str(row, 0, 0)), db_text(t->id), db_bytes(t->digest, DIGEST));
    return x ? x : db_affected(done) ? 0 : ERR_FENCED;
}

int idempotency_begin(struct http_req *r, int *ret_status, struct buf *ret_headers, struct buf *ret_body, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    if (!r->idempotency_key || !r->who)
        return 0;
    DB_CONN_AUTO c = NULL;
    struct attempt t = {.r = r};
    int x = digest_of(r, 0, t.digest, e);
    if (!x)
        x = db_take(auth_db(), &c, e);
    if (x)
        return x;
    t.c = c;
    id_new(t.id);
    x = ERR_FENCED;
    for (int i = 0; i < 5 && x == ERR_FENCED; i++)
        x = try_once(&t, ret_status, ret_headers, ret_body, e);
    if (x == ERR_FENCED)
        return running(e);
    if (x == 0) {
        r->who->claim = arena_alloc(r->arena, sizeof *r->who->claim);
        snprintf(r->who->claim->id, sizeof r->who->claim->id, "%s", t.id);
    }
    return x;
}

static int keep(struct db_conn *c, struct http_req *r, int status, const char *location, const char *etag, const char *body, size_t len, struct err *e)
{
    const char *id = r->who->claim->id;
    BUF_AUTO sealed = BUF_INIT;
    DB_RESULT_AUTO done = NULL;
    bool secret = len && r->route->flags & HTTP_SECRET_BODY;
    int x = secret ? secrets_seal("idempotency_key", id, 0, body, len, &sealed, e) : 0;
    if (!x)
        x = db_run(c, Q_IDEMPOTENCY_DONE, &done, e, db_text(id), db_int(status), db_text(location), db_text(etag),
                   len && !secret ? db_bytes(body, len) : db_null(), secret ? db_bytes(sealed.data, sealed.len) : db_null());
    if (!x && db_affected(done) == 0)
        x = err_set(e, ERR_CONFLICT, "this request took so long that a repetition of it went ahead; nothing was done here");
    return x;
}

int idempotency_record(struct db_conn *c, struct http_req *r, int status, const char *location, const char *body, size_t len, struct err *e)
{
    if (!r->who || !r->who->claim)
        return 0;
    r->who->claim->recorded = true;
    return keep(c, r, status, location, NULL, body, body ? len : 0, e);
}

/* The value of a header in lines "Name: value\r\n", or NULL. */
static const char *header_of(const char *headers, const char *name, struct arena *a)
{
    size_t n = strlen(name);
    for (const char *line = headers; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (!strncasecmp(line, name, n) && line[n] == ':') {
            const char *value = line + n + 1 + strspn(line + n + 1, " ");
            return arena_strndup(a, value, strcspn(value, "\r\n"));
        }
    return NULL;
}

/* An answer that its handler recorded may have got an ETag when it was sent. */
static void add_etag(const struct idempotency_claim *claim, const char *etag)
{
    DB_CONN_AUTO c = NULL;
    if (etag && db_take(auth_db(), &c, NULL) == 0)
        db_run(c, Q_IDEMPOTENCY_ETAG, NULL, NULL, db_text(claim->id), db_text(etag));
}

void idempotency_end(struct http_req *r, int status, const char *headers, const char *body, size_t len)
{
    THREAD_ASSERT(THREAD_HTTP);
    struct idempotency_claim *claim = r->who ? r->who->claim : NULL;
    if (!claim)
        return;
    if (claim->recorded && status < 400) {
        add_etag(claim, header_of(headers, "ETag", r->arena));
        return;
    }
    struct err e = ERR_INIT;
    DB_CONN_AUTO c = NULL;
    int x = db_take(auth_db(), &c, &e);
    if (!x && status < 400)
        x = keep(c, r, status, header_of(headers, "Location", r->arena), header_of(headers, "ETag", r->arena), body, len, &e);
    else if (!x) /* one that was recorded is `done` and stays: its transaction committed although the handler could not know */
        x = db_run(c, Q_IDEMPOTENCY_FORGET, NULL, &e, db_text(claim->id));
    if (x)
        log_warn("the answer to an Idempotency-Key was not kept; a repetition waits a minute", LOG_S("error", e.msg));
}

int idempotency_collect(struct db_conn *c, int *ret_deleted, struct err *e)
{
    DB_RESULT_AUTO done = NULL;
    int x = db_run(c, Q_IDEMPOTENCY_COLLECT, &done, e);
    if (!x)
        *ret_deleted = db_affected(done);
    return x;
}
