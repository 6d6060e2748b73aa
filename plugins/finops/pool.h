// Memory of one estimate: everything taken from a pool lives until pool_free(). One thread at a time.
#ifndef FINOPS_POOL_H
#define FINOPS_POOL_H
#include <stddef.h>

struct pool;

// Ends the process when there is no memory, as everything that takes from a pool does.
struct pool *pool_new(void);
void pool_free(struct pool *pool);

void *pool_take(struct pool *pool, size_t size); // zeroed, aligned for any object
char *pool_copy(struct pool *pool, const char *text);
char *pool_copy_len(struct pool *pool, const char *text, size_t len);
char *pool_format(struct pool *pool, const char *format, ...) __attribute__((format(printf, 2, 3), nonnull(1, 2)));

#endif
