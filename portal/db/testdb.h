/* A database of one's own for a store test: made in the server that SOMA_TEST_DATABASE names (a superuser's connection string), migrated, dropped. */
#pragma once
#include "portal/db/db.h"

struct testdb {
    char *admin;    /* superuser, in the new database */
    char *app;      /* as soma_app, what a node would use */
    char name[64];
};

/* NULL when SOMA_TEST_DATABASE is unset: the test skips. Any other failure ends the program with words. */
struct testdb *testdb_new(void);
void testdb_free(struct testdb *t);
/* A pool as soma_app. */
struct db *testdb_pool(const struct testdb *t, int size);
