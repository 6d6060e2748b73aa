/* The libpq seam: a pool of connections, prepared statements, transactions, migrations.
 *
 * Queries live in portal/<domain>/queries/<domain>.sql, each under a line `-- name: lower_case_name`; the build makes
 * "<domain>_queries.h" with one `static const struct db_query Q_LOWER_CASE_NAME` each. Every one is prepared once per connection.
 *
 * A transaction that failed is rolled back by db_give() or db_rollback(), never by a caller's forgetting.
 * After SQL that failed, db_sqlstate() tells which way.  Codes a caller must expect of all functions:
 * ERR_UNAVAILABLE (no server, or the connection died; try again), ERR_CONFLICT (unique or exclusion), ERR_INVALID (check, bad text),
 * ERR_NOT_FOUND (foreign key), ERR_FENCED (SQLSTATE SF001, raised by job_guard()), ERR_TIMEOUT, ERR_INTERNAL.
 * SQLSTATEs our own SQL raises: SF001 fenced, SN404 not found, SC409 conflict, SI422 invalid, SD403 denied: their message is for people. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;        /* the pool; any thread */
struct db_conn;   /* one connection; one thread at a time */
struct db_result; /* rows; owned by the caller */

struct db_query { const char *name, *sql; };

struct db_param { const char *value; int len, format; char num[24]; };
struct db_param db_text(const char *s);                 /* borrowed; NULL is SQL null */
struct db_param db_textn(const char *s, size_t n);      /* borrowed, need not be NUL-terminated: copied by libpq as binary text */
struct db_param db_int(int64_t v);
struct db_param db_float(double v);
struct db_param db_flag(bool v);
struct db_param db_bytes(const void *p, size_t n);      /* bytea; borrowed */
struct db_param db_null(void);

struct db_options {
    const char *conninfo;      /* libpq's, may name several hosts */
    const char *application;   /* shown by pg_stat_activity */
    int size;                  /* connections at most */
    int wait_ms;               /* how long db_take waits for a free one: then ERR_UNAVAILABLE */
    int statement_timeout_ms;  /* 0: none */
};

/* Opens the pool; connects lazily, so it succeeds while the server is away. */
int db_open(const struct db_options *o, struct db **ret, struct err *e);
void db_close(struct db *d);
int db_take(struct db *d, struct db_conn **ret, struct err *e);
void db_give(struct db_conn *c);                         /* takes NULL; rolls back an open transaction */
void db_givep(struct db_conn **c);
#define DB_CONN_AUTO __attribute__((cleanup(db_givep))) struct db_conn *
/* A connection of its own outside any pool (migrations, LISTEN, tests); ended by db_give. */
int db_connect(const char *conninfo, const char *application, struct db_conn **ret, struct err *e);
struct db_stats { int open, idle, waiting; int64_t taken, failed; };
void db_get_stats(struct db *d, struct db_stats *ret);

/* Runs a query; ret may be NULL when the rows do not matter. */
int db_run_params(struct db_conn *c, const struct db_query *q, const struct db_param *p, int n, struct db_result **ret, struct err *e);
#define db_run(c, q, ret, e, ...) \
    db_run_params((c), &(q), (struct db_param[]){__VA_ARGS__ __VA_OPT__(,) {0}}, \
                  (int)(sizeof((struct db_param[]){__VA_ARGS__ __VA_OPT__(,) {0}}) / sizeof(struct db_param)) - 1, (ret), (e))
/* As db_run, and ERR_NOT_FOUND unless there is a row. */
int db_one_params(struct db_conn *c, const struct db_query *q, const struct db_param *p, int n, struct db_result **ret, struct err *e);
#define db_one(c, q, ret, e, ...) \
    db_one_params((c), &(q), (struct db_param[]){__VA_ARGS__ __VA_OPT__(,) {0}}, \
                  (int)(sizeof((struct db_param[]){__VA_ARGS__ __VA_OPT__(,) {0}}) / sizeof(struct db_param)) - 1, (ret), (e))
/* Several statements of plain text without parameters (migrations, tests). */
int db_script(struct db_conn *c, const char *sql, struct err *e);

int db_begin(struct db_conn *c, struct err *e);          /* read committed */
int db_commit(struct db_conn *c, struct err *e);         /* ERR_UNAVAILABLE: whether it committed is not known; look it up */
void db_rollback(struct db_conn *c);
/* Takes a connection, runs `fn` in a transaction and commits; runs it anew (at most 5 times) after 40001, 40P01 or a connection
 * lost before COMMIT was sent. `fn` must have no effect outside the database. */
int db_tx(struct db *d, int (*fn)(struct db_conn *c, void *arg, struct err *e), void *arg, struct err *e);

const char *db_sqlstate(const struct db_conn *c);        /* of the last failure: five characters, "" when none or the connection died */
const char *db_constraint(const struct db_conn *c);      /* name of the violated constraint, or "" */
bool db_alive(const struct db_conn *c);

int db_rows(const struct db_result *r);
int db_affected(const struct db_result *r);              /* rows touched by insert, update, delete */
bool db_is_null(const struct db_result *r, int row, int col);
const char *db_str(const struct db_result *r, int row, int col); /* "" when null; valid while r lives */
const char *db_str_or_null(const struct db_result *r, int row, int col);
int64_t db_i64(const struct db_result *r, int row, int col);
bool db_bool(const struct db_result *r, int row, int col);
/* bytea, decoded into the arena. */
void *db_blob(const struct db_result *r, int row, int col, struct arena *a, size_t *ret_len);
void db_result_free(struct db_result *r);
void db_result_freep(struct db_result **r);
#define DB_RESULT_AUTO __attribute__((cleanup(db_result_freep))) struct db_result *

/* LISTEN on a connection of one's own, for a thread that may block. */
int db_listen(struct db_conn *c, const char *channel, struct err *e);
/* Waits until a notification came or the time passed: 1 came (all pending ones are consumed), 0 not; ERR_UNAVAILABLE.
 * wake_fd (or -1) ends the wait early when readable (it is not read). */
int db_wait_notify(struct db_conn *c, int timeout_ms, int wake_fd, struct err *e);

/* Runs what is missing of the embedded migrations, each in a transaction, under an advisory lock; then re-runs views and
 * functions that changed. Refuses when a once-only migration that ran has another digest today. *ret_applied counts. */
int db_migrate(struct db_conn *c, int *ret_applied, struct err *e);
/* ERR_INVALID with words when the database is older or newer than this binary, or when the role of `c` owns the schema. */
int db_check_schema(struct db_conn *c, struct err *e);
