/* Writes that may be sent again: the caller's account, method, path and Idempotency-Key name one effect for 24 hours.
 *
 * The first request claims the key; its answer is kept in the same transaction as its effect when the handler calls idempotency_record() there, else right after the
 * handler returned (then a crash in between lets a repetition do it once more). Only answers below 400 are kept: a refusal forgets the key. A claim whose process died is
 * taken over after 60 s; should its transaction still be alive, it can no longer record and rolls back.  Thread: HTTP workers. */
#pragma once
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include "portal/db/db.h"
#include "portal/http/http.h"
#include "portal/secrets/secrets.h"

/* The functions for struct http_hooks; the server checks that a key is there where it must be, and its form, and adds Idempotency-Replayed. begin: 1 with the stored answer
 * (ret_headers: whole lines "Name: value\r\n"); 0: go on; ERR_INVALID for another payload (422); ERR_CONFLICT while the first runs. */
int idempotency_begin(struct http_req *r, int *ret_status, struct buf *ret_headers, struct buf *ret_body, struct err *e);
void idempotency_end(struct http_req *r, int status, const char *headers, const char *body, size_t len);

/* In the handler's own transaction, with the answer that it will give: effect and answer commit together. Does nothing for a request without a key.
 * location and body may be NULL. ERR_CONFLICT: the claim was taken over; roll back. May be called again when the transaction is repeated. */
int idempotency_record(struct db_conn *c, struct http_req *r, int status, const char *location, const char *body, size_t len, struct err *e);

/* Removes keys past their day, a few thousand at most; *ret_deleted counts. auth_collect() calls it. */
int idempotency_collect(struct db_conn *c, int *ret_deleted, struct err *e);

extern const struct secrets_column idempotency_secrets[]; /* registered by auth_new() */
