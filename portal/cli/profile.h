/* Where the server is and who asks.
 *
 * Address: --url, SOMA_URL, the file's `url`, http://127.0.0.1:8080. Token: SOMA_TOKEN, the file that SOMA_TOKEN_FILE names, the file's entry
 * for that very address: a token made for one server is never sent to another. Authorities: --ca, SOMA_CA, the file's entry.
 * The file is $XDG_CONFIG_HOME/soma/config.json (~/.config/...), 0600 in a folder of 0700, written by `soma login`:
 *   {"url": ..., "token": ..., "token_id": ..., "name": ..., "ca": ..., "others": {URL: {the same of a server signed in to before}}}
 * Thread: main. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/err.h"
#include <jansson.h>
#include <stdbool.h>

#define PROFILE_DEFAULT_URL "http://127.0.0.1:8080"

struct profile {
    struct arena *arena;   /* borrowed */
    const char *path;      /* of the file */
    json_t *file;          /* its content, {} when there is none; owned */
    const char *url;       /* without '/' at its end */
    const char *token;     /* NULL: none */
    const char *token_from;/* in words, for messages: "SOMA_TOKEN", "the file ..." */
    const char *token_id;  /* of a token in the file; NULL otherwise */
    const char *ca;        /* NULL: the system's authorities */
};

/* `url` and `ca` are those of the flags, or NULL. ERR_INVALID: the file is no JSON, or SOMA_TOKEN_FILE cannot be read. */
int profile_load(struct arena *a, const char *url, const char *ca, struct profile *ret, struct err *e);
void profile_done(struct profile *p);
/* Stores a token for p->url and makes that address the current one. */
int profile_store(struct profile *p, const char *token, const char *token_id, const char *name, struct err *e);
/* Forgets the entry of p->url. */
int profile_forget(struct profile *p, struct err *e);
