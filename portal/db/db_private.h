/* Shared by the files of portal/db alone. */
#pragma once
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

struct db;

struct db_conn {
    PGconn *pg;
    struct db *pool;      /* NULL: of its own */
    struct db_conn *next; /* in the pool's idle list */
    const char **prepared; /* texts of the statements prepared here, by address */
    size_t n_prepared, prepared_cap;
    bool in_tx;
    bool used;            /* a statement ran since it was taken */
    char sqlstate[6], constraint[64];
};
