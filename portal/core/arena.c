#include "portal/core/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/core/log.h"

#define FIRST_BLOCK 4096
#define ALIGN(n) (((n) + 15) & ~(size_t)15)

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(16) unsigned char data[];
};

struct arena {
    struct block *top; /* newest; the list ends with the first */
    size_t handed;
};

static void out_of_memory(size_t n)
{
    log_error("out of memory: this process ends and is started anew", LOG_I("bytes", (int64_t)n));
    abort();
}

static struct block *block_new(size_t size, struct block *next)
{
    struct block *b = malloc(sizeof *b + size);
    if (!b)
        out_of_memory(size);
    b->next = next;
    b->size = size;
    b->used = 0;
    return b;
}

struct arena *arena_new(void)
{
    struct arena *a = calloc(1, sizeof *a);
    if (!a)
        out_of_memory(sizeof *a);
    a->top = block_new(FIRST_BLOCK, NULL);
    return a;
}

void arena_reset(struct arena *a)
{
    while (a->top->next) {
        struct block *b = a->top;
        a->top = b->next;
        free(b);
    }
    a->top->used = 0;
    a->handed = 0;
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    arena_reset(a);
    free(a->top);
    free(a);
}

void arena_freep(struct arena **a)
{
    arena_free(*a);
    *a = NULL;
}

size_t arena_used(const struct arena *a)
{
    return a->handed;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        out_of_memory(n);
    size_t need = ALIGN(n ? n : 1);
    if (a->top->size - a->top->used < need) {
        size_t size = a->top->size * 2 > 65536 ? 65536 : a->top->size * 2;
        a->top = block_new(need > size ? need : size, a->top);
    }
    void *p = a->top->data + a->top->used;
    a->top->used += need;
    a->handed += need;
    return memset(p, 0, need);
}

void *arena_memdup(struct arena *a, const void *p, size_t n)
{
    void *copy = arena_alloc(a, n);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    if (!s)
        return NULL;
    size_t len = strnlen(s, n);
    char *copy = arena_alloc(a, len + 1);
    memcpy(copy, s, len);
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *s = arena_alloc(a, n < 0 ? 1 : (size_t)n + 1);
    if (n > 0)
        vsnprintf(s, (size_t)n + 1, fmt, ap);
    return s;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}
