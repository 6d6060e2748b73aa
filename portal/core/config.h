/* Configuration: each domain describes its keys in one table; file, environment and flags are read by it, and the help text,
 * `somad config check` and the reference page come from it. Later sources win: default, file, SOMA_<KEY>, --key.
 * The file is lines `key = value` with # comments; an unknown key is an error that names file and line. Thread: main, at start. */
#pragma once
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include <stdbool.h>
#include <stdint.h>

enum config_type { CONFIG_STRING, CONFIG_INT, CONFIG_BOOL, CONFIG_ENUM };

struct config_key {
    const char *name;         /* lower_case; the flag is --lower-case, the variable SOMA_LOWER_CASE */
    enum config_type type;
    const char *fallback;     /* default in text; NULL: none */
    int64_t min, max;         /* of CONFIG_INT (both 0: any) */
    const char *choices;      /* of CONFIG_ENUM: "a|b|c" */
    bool secret;              /* never printed */
    bool required;
    bool reloadable;          /* taken over on SIGHUP without a restart */
    const char *help;         /* one line */
};

struct config;

/* Tables end with a key whose name is NULL; they are kept by pointer. */
struct config *config_new(void);
void config_free(struct config *c);
void config_add(struct config *c, const char *domain, const struct config_key *table);
int config_load_file(struct config *c, const char *path, struct err *e);
int config_load_env(struct config *c, struct err *e);
/* Takes --key VALUE and --key=VALUE out of argv (from index 1); what is not an option stays, *argc shrinks. */
int config_load_flags(struct config *c, int *argc, char **argv, struct err *e);
int config_set(struct config *c, const char *key, const char *value, const char *source, struct err *e);
int config_check(const struct config *c, struct err *e); /* required keys */
const char *config_str(const struct config *c, const char *key); /* NULL when unset; asserts that the key exists */
int64_t config_int(const struct config *c, const char *key);
bool config_bool(const struct config *c, const char *key);
void config_help(const struct config *c, struct buf *out);      /* for --help */
void config_markdown(const struct config *c, struct buf *out);  /* for docs/configuration.md */
void config_show(const struct config *c, struct buf *out);      /* values and sources; secrets masked */
