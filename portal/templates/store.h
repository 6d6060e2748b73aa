/* Between the files that keep golden paths in the database. */
#pragma once
#include "portal/templates/check.h"
#include "portal/templates/templates.h"

const struct templates_options *templates_settings(void);

/* What came out of one look at a repository. */
struct refreshed {
    const char *name;        /* of the repository */
    const char *started;     /* database's time when it was loaded */
    const char *commit;      /* NULL: it could not be read */
    const char *problem;     /* of the repository as a whole, or NULL */
    struct check *check;     /* NULL: unchanged, or a problem */
    int (*guard)(struct db_conn *c, void *arg, struct err *e);
    void *arg;
};
/* publish.c: writes all of it in one transaction. */
int publish_refreshed(struct db *d, const struct refreshed *r, struct err *e);

/* repositories.c: opens the sealed part of a repository: {"credentials": {...} or null, "webhook_secret": "..."}. Owned by the caller. */
int repository_open_sealed(const char *name, int64_t version, const void *sealed, size_t len, json_t **ret, struct err *e);
void repositories_register(void); /* tells portal/secrets which column holds sealed values */
