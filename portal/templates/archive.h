/* The files of one version as one string of bytes: a head line, then for each file "<length> <path>\n" and its bytes, sorted by path. Equal files give
 * equal bytes, so that the digest names the content. */
#pragma once
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include <stddef.h>

struct archive_file { const char *path; const char *data; size_t len; };

/* Paths must be sorted and good (path_problem). */
void archive_begin(struct buf *out);
void archive_add(struct buf *out, const char *path, const void *data, size_t len);
/* Calls fn for each file, in order, until it returns other than 0. ERR_INVALID when it is none of ours or holds a path that leads elsewhere. The path is
 * only good during the call. */
int archive_each(const void *archive, size_t len, int (*fn)(const struct archive_file *f, void *arg, struct err *e), void *arg, struct err *e);
/* Writes the files below `dir`, folder by folder through descriptors: files 0600, folders 0700. ERR_CONFLICT when one is there already. */
int archive_export(const void *archive, size_t len, const char *dir, struct err *e);
