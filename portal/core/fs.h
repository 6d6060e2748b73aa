/* Files: small helpers over the libc. All paths are UTF-8 byte strings. Thread: any. */
#pragma once
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include <sys/types.h>

/* Reads at most `max` bytes; ERR_NOT_FOUND, ERR_TOO_LARGE, ERR_IO. Appends to `b`. */
int fs_read(const char *path, size_t max, struct buf *b, struct err *e);
/* Writes a temporary beside it, fsyncs, renames: a reader sees all or nothing. */
int fs_write_atomic(const char *path, const void *p, size_t n, mode_t mode, struct err *e);
int fs_mkdirs(const char *path, mode_t mode, struct err *e);
/* Removes a tree without following symbolic links; a missing one is success. */
int fs_remove_tree(const char *path, struct err *e);
void fs_closep(int *fd); /* closes when >= 0 */
#define FD_AUTO __attribute__((cleanup(fs_closep))) int
void fs_freep(void *p);  /* frees *(void **)p */
#define FREE_AUTO __attribute__((cleanup(fs_freep)))
