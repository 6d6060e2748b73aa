#include "plugins/finops/pool.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
    struct block *next;
    size_t used, size;
    alignas(max_align_t) char data[];
};

struct pool {
    struct block *blocks;
};

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

struct pool *pool_new(void) { return must(calloc(1, sizeof(struct pool))); }

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    for (struct block *b = pool->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(pool);
}

void *pool_take(struct pool *pool, size_t size)
{
    size = (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    struct block *b = pool->blocks;
    if (!b || b->size - b->used < size) {
        size_t room = size > 65536 ? size : 65536;
        b = must(calloc(1, sizeof *b + room));
        b->size = room;
        b->next = pool->blocks;
        pool->blocks = b;
    }
    void *memory = b->data + b->used;
    b->used += size;
    return memory;
}

char *pool_copy_len(struct pool *pool, const char *text, size_t len)
{
    char *copy = pool_take(pool, len + 1);
    memcpy(copy, text, len);
    return copy;
}

char *pool_copy(struct pool *pool, const char *text) { return text ? pool_copy_len(pool, text, strlen(text)) : NULL; }

char *pool_format(struct pool *pool, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    char *text = pool_take(pool, (size_t)(len < 0 ? 0 : len) + 1);
    if (len >= 0)
        vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}
