/* Files that the person names. Thread: any. */
#pragma once
#include "portal/core/buf.h"
#include "portal/core/err.h"
#include <stddef.h>

/* Reads a file, or standard input for "-", of at most `max` bytes. */
int input_read(const char *path, size_t max, struct buf *ret, struct err *e);
