/* Where the files of a check come from: a folder, or a commit's tree. The list is complete and sorted by path as bytes; nothing is followed. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum source_kind { SOURCE_FILE, SOURCE_LINK, SOURCE_SUBMODULE, SOURCE_OTHER };

struct source_entry {
    const char *path;      /* "a/b.tf" */
    enum source_kind kind;
    int64_t size;          /* -1: not known, the content is missing */
};

struct template_source {
    const struct source_entry *entries;
    size_t n;
    /* Appends a file's bytes, or a link's target. ERR_TOO_LARGE beyond `max`. */
    int (*read)(struct template_source *s, size_t index, size_t max, struct buf *out, struct err *e);
    void *arg;
    bool committed;        /* a commit's tree: everything in it was meant, unlike a folder with what building left there */
};

/* A folder, without `.git` and `.terraform`; beside `below` also without hidden folders and node_modules, which no module lies in. The list lives in the arena; source_done_dir() closes. ERR_NOT_FOUND, ERR_TOO_LARGE, ERR_IO. */
int source_open_dir(const char *path, const char *below, struct arena *a, struct template_source *ret, struct err *e);
void source_done_dir(struct template_source *s);
/* Index of the first entry that is not below `path` in order, e.g. of `path` itself. */
size_t source_find(const struct template_source *s, const char *path);
