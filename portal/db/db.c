/* The one complication here: a statement is prepared at most once per connection, and a connection that died is replaced silently
 * only outside a transaction. */
#include "portal/db/db.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "portal/core/buf.h"
#include "portal/core/clock.h"
#include "portal/core/log.h"
#include "portal/db/db_private.h"

struct db_result {
    PGresult *pg;
};

struct db {
    char *conninfo, *application;
    int size, wait_ms, statement_timeout_ms;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct db_conn *idle;
    int open, waiting;
    int64_t taken, failed;
};

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

int db_open(const struct db_options *o, struct db **ret, struct err *e)
{
    char *words = NULL;
    PQconninfoOption *parsed = PQconninfoParse(o->conninfo, &words);
    if (!parsed) {
        int r = err_set(e, ERR_INVALID, "the database connection string is wrong: %s", words ? words : "no memory");
        PQfreemem(words);
        return r;
    }
    PQconninfoFree(parsed);
    struct db *d = must(calloc(1, sizeof *d));
    d->conninfo = must(strdup(o->conninfo));
    d->application = must(strdup(o->application ? o->application : "soma"));
    d->size = o->size > 0 ? o->size : 8;
    d->wait_ms = o->wait_ms > 0 ? o->wait_ms : 2000;
    d->statement_timeout_ms = o->statement_timeout_ms;
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&d->freed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *ret = d;
    return 0;
}

static void conn_free(struct db_conn *c)
{
    PQfinish(c->pg);
    free(c->prepared);
    free(c);
}

void db_close(struct db *d)
{
    if (!d)
        return;
    while (d->idle) {
        struct db_conn *c = d->idle;
        d->idle = c->next;
        conn_free(c);
    }
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->freed);
    explicit_bzero(d->conninfo, strlen(d->conninfo));
    free(d->conninfo);
    free(d->application);
    free(d);
}

/* libpq ends its messages with a newline and may repeat itself for several hosts; the first line says enough. */
static void first_line(const char *text, char *out, size_t size)
{
    snprintf(out, size, "%.*s", (int)strcspn(text, "\n"), text);
}

static void drop_notice(void *arg, const PGresult *r)
{
    (void)arg;
    (void)r;
}

static int unavailable(struct err *e, const char *what, const char *why)
{
    char line[400];
    first_line(why, line, sizeof line);
    err_set(e, ERR_UNAVAILABLE, "%s: %s. Nothing was lost; try again in a moment", what, line);
    if (e)
        e->retry_after = 2;
    return ERR_UNAVAILABLE;
}

int db_connect(const char *conninfo, const char *application, struct db_conn **ret, struct err *e)
{
    /* Defaults first, so that the given string may override them. */
    static const char *const keys[] = {"connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
                                       "client_encoding", "application_name", "options", "dbname", NULL};
    const char *values[] = {"5", "10", "5", "3", "20000", "UTF8", application, "-c search_path=soma,public -c timezone=UTC -c idle_in_transaction_session_timeout=60s", conninfo, NULL};
    PGconn *pg = PQconnectdbParams(keys, values, 1);
    if (!pg || PQstatus(pg) != CONNECTION_OK) {
        int r = unavailable(e, "cannot reach the database", pg ? PQerrorMessage(pg) : "no memory");
        PQfinish(pg);
        return r;
    }
    PQsetNoticeReceiver(pg, drop_notice, NULL);
    struct db_conn *c = must(calloc(1, sizeof *c));
    c->pg = pg;
    *ret = c;
    return 0;
}

static int pool_connect(struct db *d, struct db_conn **ret, struct err *e)
{
    int r = db_connect(d->conninfo, d->application, ret, e);
    if (r)
        return r;
    (*ret)->pool = d;
    if (d->statement_timeout_ms) {
        char sql[64];
        snprintf(sql, sizeof sql, "set statement_timeout = %d", d->statement_timeout_ms);
        return db_script(*ret, sql, e);
    }
    return 0;
}

/* With the lock held: waits until a connection is idle or may be opened. False when the time is up. */
static bool wait_for_place(struct db *d)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += d->wait_ms / 1000;
    until.tv_nsec += (d->wait_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    d->waiting++;
    int r = 0;
    while (!d->idle && d->open >= d->size && r == 0)
        r = pthread_cond_timedwait(&d->freed, &d->lock, &until);
    d->waiting--;
    return d->idle || d->open < d->size;
}

int db_take(struct db *d, struct db_conn **ret, struct err *e)
{
    pthread_mutex_lock(&d->lock);
    bool place = wait_for_place(d);
    struct db_conn *c = place ? d->idle : NULL;
    if (c)
        d->idle = c->next;
    else if (place)
        d->open++;
    d->taken++;
    pthread_mutex_unlock(&d->lock);
    if (!place) {
        err_set(e, ERR_UNAVAILABLE, "all %d database connections are busy; try again in a moment", d->size);
        if (e)
            e->retry_after = 1;
        return ERR_UNAVAILABLE;
    }
    if (c) {
        c->next = NULL;
        c->used = false;
        *ret = c;
        return 0;
    }
    int r = pool_connect(d, ret, e);
    if (r) {
        pthread_mutex_lock(&d->lock);
        d->open--;
        d->failed++;
        pthread_cond_signal(&d->freed);
        pthread_mutex_unlock(&d->lock);
    }
    return r;
}

/* After a failover every idle connection is suspect: when one is found dead, all idle ones go. */
static void pool_return(struct db *d, struct db_conn *c, bool alive)
{
    struct db_conn *dead = NULL;
    pthread_mutex_lock(&d->lock);
    if (alive) {
        c->next = d->idle;
        d->idle = c;
    } else {
        c->next = d->idle;
        d->idle = NULL;
        for (dead = c; c; c = c->next)
            d->open--;
        d->failed++;
    }
    pthread_cond_signal(&d->freed);
    pthread_mutex_unlock(&d->lock);
    while (dead) {
        struct db_conn *next = dead->next;
        conn_free(dead);
        dead = next;
    }
}

void db_give(struct db_conn *c)
{
    if (!c)
        return;
    if (PQtransactionStatus(c->pg) != PQTRANS_IDLE && PQstatus(c->pg) == CONNECTION_OK)
        db_rollback(c);
    if (!c->pool)
        conn_free(c);
    else
        pool_return(c->pool, c, PQstatus(c->pg) == CONNECTION_OK && PQtransactionStatus(c->pg) == PQTRANS_IDLE);
}

void db_givep(struct db_conn **c)
{
    db_give(*c);
    *c = NULL;
}

void db_get_stats(struct db *d, struct db_stats *ret)
{
    pthread_mutex_lock(&d->lock);
    *ret = (struct db_stats){.open = d->open, .waiting = d->waiting, .taken = d->taken, .failed = d->failed};
    for (struct db_conn *c = d->idle; c; c = c->next)
        ret->idle++;
    pthread_mutex_unlock(&d->lock);
}

struct db_param db_textn(const char *s, size_t n)
{
    return (struct db_param){.value = s ? s : NULL, .len = (int)n, .format = 1};
}

struct db_param db_text(const char *s)
{
    return (struct db_param){.value = s};
}

struct db_param db_int(int64_t v)
{
    struct db_param p = {.len = -1};
    snprintf(p.num, sizeof p.num, "%" PRId64, v);
    return p;
}

struct db_param db_float(double v)
{
    struct db_param p = {.len = -1};
    snprintf(p.num, sizeof p.num, "%.17g", v);
    return p;
}

struct db_param db_flag(bool v)
{
    return (struct db_param){.value = v ? "t" : "f"};
}

struct db_param db_bytes(const void *p, size_t n)
{
    return (struct db_param){.value = p ? p : "", .len = (int)n, .format = 1};
}

struct db_param db_null(void)
{
    return (struct db_param){0};
}

static int code_of_sqlstate(const char *state)
{
    static const struct { const char *prefix; int code; } map[] = {
        {"SF001", ERR_FENCED}, {"SN404", ERR_NOT_FOUND}, {"SC409", ERR_CONFLICT}, {"SI422", ERR_INVALID}, {"SD403", ERR_DENIED},
        {"23505", ERR_CONFLICT}, {"23P01", ERR_CONFLICT}, {"23503", ERR_NOT_FOUND}, {"23", ERR_INVALID}, {"22", ERR_INVALID},
        {"57014", ERR_TIMEOUT}, {"57P", ERR_UNAVAILABLE}, {"08", ERR_UNAVAILABLE}, {"53", ERR_UNAVAILABLE}, {"25006", ERR_UNAVAILABLE},
        {"40", ERR_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof map / sizeof *map; i++)
        if (!strncmp(state, map[i].prefix, strlen(map[i].prefix)))
            return map[i].code;
    return ERR_INTERNAL;
}

static int fail(struct db_conn *c, const PGresult *r, const char *what, struct err *e)
{
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    if (PQstatus(c->pg) != CONNECTION_OK || !state) {
        c->sqlstate[0] = 0;
        return unavailable(e, "the database connection was lost", PQerrorMessage(c->pg));
    }
    snprintf(c->sqlstate, sizeof c->sqlstate, "%s", state);
    const char *constraint = PQresultErrorField(r, PG_DIAG_CONSTRAINT_NAME);
    snprintf(c->constraint, sizeof c->constraint, "%s", constraint ? constraint : "");
    const char *primary = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    int code = code_of_sqlstate(state);
    if (state[0] == 'S') /* raised by our own SQL: the message is for people */
        return err_set(e, code, "%s", primary ? primary : "refused by the database");
    err_set(e, code, "query %s: %s (SQLSTATE %s)", what, primary ? primary : "failed", state);
    if (e && code == ERR_UNAVAILABLE)
        e->retry_after = 2;
    return code;
}

static bool is_prepared(const struct db_conn *c, const struct db_query *q)
{
    for (size_t i = 0; i < c->n_prepared; i++)
        if (c->prepared[i] == q->sql)
            return true;
    return false;
}

/* The name carries the text's address: two domains may name a query alike. */
static void statement_name(const struct db_query *q, char out[96])
{
    size_t n = strnlen(q->name, 60);
    memcpy(out, q->name, n);
    out[n++] = '_';
    for (uintptr_t v = (uintptr_t)q->sql; v; v >>= 4)
        out[n++] = "0123456789abcdef"[v & 15];
    out[n] = 0;
}

static int prepare(struct db_conn *c, const struct db_query *q, const char *name, struct err *e)
{
    PGresult *r = PQprepare(c->pg, name, q->sql, 0, NULL);
    int code = PQresultStatus(r) == PGRES_COMMAND_OK ? 0 : fail(c, r, q->name, e);
    PQclear(r);
    if (code)
        return code;
    if (c->n_prepared == c->prepared_cap) {
        c->prepared_cap = c->prepared_cap ? c->prepared_cap * 2 : 32;
        c->prepared = must(realloc(c->prepared, c->prepared_cap * sizeof *c->prepared));
    }
    c->prepared[c->n_prepared++] = q->sql;
    return 0;
}

/* A pooled connection may have died while idle: outside a transaction it is opened anew, once. */
static bool revive(struct db_conn *c)
{
    if (!c->pool || c->in_tx || PQstatus(c->pg) == CONNECTION_OK)
        return false;
    PQreset(c->pg);
    c->n_prepared = 0;
    if (PQstatus(c->pg) != CONNECTION_OK)
        return false;
    if (c->pool->statement_timeout_ms) {
        char sql[64];
        snprintf(sql, sizeof sql, "set statement_timeout = %d", c->pool->statement_timeout_ms);
        return db_script(c, sql, NULL) == 0;
    }
    return true;
}

static int run_once(struct db_conn *c, const struct db_query *q, const struct db_param *p, int n, PGresult **ret, struct err *e)
{
    const char *values[64];
    int lengths[64], formats[64];
    char name[96];
    statement_name(q, name);
    if (!is_prepared(c, q)) {
        int r = prepare(c, q, name, e);
        if (r)
            return r;
    }
    for (int i = 0; i < n; i++) {
        values[i] = p[i].len == -1 && !p[i].value ? p[i].num : p[i].value;
        lengths[i] = p[i].len;
        formats[i] = p[i].format;
    }
    PGresult *r = PQexecPrepared(c->pg, name, n, values, lengths, formats, 0);
    ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        int code = fail(c, r, q->name, e);
        PQclear(r);
        return code;
    }
    *ret = r;
    return 0;
}

int db_run_params(struct db_conn *c, const struct db_query *q, const struct db_param *p, int n, struct db_result **ret, struct err *e)
{
    c->sqlstate[0] = c->constraint[0] = 0;
    if (n > 64)
        return err_set(e, ERR_INTERNAL, "query %s: too many parameters", q->name);
    bool was_idle = !c->in_tx && !c->used;
    PGresult *pg = NULL;
    int r = run_once(c, q, p, n, &pg, e);
    /* Only the first statement after the pool's rest is repeated: then nothing of ours was under way. */
    if (r == ERR_UNAVAILABLE && was_idle && revive(c))
        r = run_once(c, q, p, n, &pg, e);
    if (r)
        return r;
    c->used = true;
    if (!ret) {
        PQclear(pg);
        return 0;
    }
    *ret = must(malloc(sizeof **ret));
    (*ret)->pg = pg;
    return 0;
}

int db_one_params(struct db_conn *c, const struct db_query *q, const struct db_param *p, int n, struct db_result **ret, struct err *e)
{
    struct db_result *result = NULL;
    int r = db_run_params(c, q, p, n, &result, e);
    if (r)
        return r;
    if (db_rows(result) == 0) {
        db_result_free(result);
        return err_set(e, ERR_NOT_FOUND, "not found");
    }
    if (ret)
        *ret = result;
    else
        db_result_free(result);
    return 0;
}

int db_script(struct db_conn *c, const char *sql, struct err *e)
{
    PGresult *r = PQexec(c->pg, sql);
    ExecStatusType status = PQresultStatus(r);
    int code = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY ? 0 : fail(c, r, "script", e);
    PQclear(r);
    return code;
}

int db_begin(struct db_conn *c, struct err *e)
{
    int r = db_script(c, "begin", e);
    if (r == ERR_UNAVAILABLE && revive(c))
        r = db_script(c, "begin", e);
    c->in_tx = r == 0;
    return r;
}

int db_commit(struct db_conn *c, struct err *e)
{
    c->in_tx = false;
    PGresult *r = PQexec(c->pg, "commit");
    int code = PQresultStatus(r) == PGRES_COMMAND_OK ? 0 : fail(c, r, "commit", e);
    /* COMMIT of a failed transaction answers ROLLBACK without an error. */
    if (!code && strcmp(PQcmdStatus(r), "COMMIT"))
        code = err_set(e, ERR_INTERNAL, "the transaction had failed and was rolled back");
    PQclear(r);
    return code;
}

void db_rollback(struct db_conn *c)
{
    c->in_tx = false;
    if (PQstatus(c->pg) == CONNECTION_OK)
        PQclear(PQexec(c->pg, "rollback"));
}

int db_tx(struct db *d, int (*fn)(struct db_conn *c, void *arg, struct err *e), void *arg, struct err *e)
{
    for (int attempt = 1;; attempt++) {
        DB_CONN_AUTO c = NULL;
        int r = db_take(d, &c, e);
        if (r)
            return r;
        r = db_begin(c, e);
        if (!r)
            r = fn(c, arg, e);
        bool lost = r && !db_alive(c);
        bool again = r && (lost || !strcmp(c->sqlstate, "40001") || !strcmp(c->sqlstate, "40P01"));
        if (!r)
            return db_commit(c, e);
        db_rollback(c);
        if (!again || attempt == 5)
            return r;
        clock_sleep_ms(10 << attempt);
    }
}

const char *db_sqlstate(const struct db_conn *c)
{
    return c->sqlstate;
}

const char *db_constraint(const struct db_conn *c)
{
    return c->constraint;
}

bool db_alive(const struct db_conn *c)
{
    return PQstatus(c->pg) == CONNECTION_OK;
}

int db_rows(const struct db_result *r)
{
    return PQntuples(r->pg);
}

int db_affected(const struct db_result *r)
{
    return atoi(PQcmdTuples(r->pg));
}

bool db_is_null(const struct db_result *r, int row, int col)
{
    return PQgetisnull(r->pg, row, col);
}

const char *db_str(const struct db_result *r, int row, int col)
{
    return PQgetvalue(r->pg, row, col);
}

const char *db_str_or_null(const struct db_result *r, int row, int col)
{
    return db_is_null(r, row, col) ? NULL : db_str(r, row, col);
}

int64_t db_i64(const struct db_result *r, int row, int col)
{
    return strtoll(db_str(r, row, col), NULL, 10);
}

bool db_bool(const struct db_result *r, int row, int col)
{
    return db_str(r, row, col)[0] == 't';
}

void *db_blob(const struct db_result *r, int row, int col, struct arena *a, size_t *ret_len)
{
    size_t len = 0;
    unsigned char *bytes = PQunescapeBytea((const unsigned char *)db_str(r, row, col), &len);
    void *copy = arena_memdup(a, must(bytes), len);
    explicit_bzero(bytes, len);
    PQfreemem(bytes);
    *ret_len = len;
    return copy;
}

void db_result_free(struct db_result *r)
{
    if (!r)
        return;
    PQclear(r->pg);
    free(r);
}

void db_result_freep(struct db_result **r)
{
    db_result_free(*r);
    *r = NULL;
}

int db_listen(struct db_conn *c, const char *channel, struct err *e)
{
    char *quoted = PQescapeIdentifier(c->pg, channel, strlen(channel));
    if (!quoted)
        return err_set(e, ERR_INVALID, "the channel's name is wrong");
    BUF_AUTO sql = BUF_INIT;
    buf_printf(&sql, "listen %s", quoted);
    PQfreemem(quoted);
    return db_script(c, sql.data, e);
}

static bool consume_notifies(struct db_conn *c)
{
    bool any = false;
    for (PGnotify *n; (n = PQnotifies(c->pg)); any = true)
        PQfreemem(n);
    return any;
}

int db_wait_notify(struct db_conn *c, int timeout_ms, int wake_fd, struct err *e)
{
    if (consume_notifies(c))
        return 1;
    struct pollfd fds[2] = {{.fd = PQsocket(c->pg), .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
    int n = poll(fds, 2, timeout_ms);
    if (n < 0 && errno != EINTR)
        return err_errno(e, ERR_IO, errno, "waiting for the database failed");
    if (n > 0 && fds[0].revents && !PQconsumeInput(c->pg))
        return unavailable(e, "the database connection was lost", PQerrorMessage(c->pg));
    return consume_notifies(c);
}
