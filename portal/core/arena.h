/* Arena: memory of one request, job or plugin call, handed down and freed at once.
 * Allocation never returns NULL: without memory the process ends with a log line (a node is restarted by its
 * parent, and what it held is taken over).  Thread: one at a time; the owner is whoever called arena_new(). */
#pragma once
#include <stdarg.h>
#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a);            /* takes NULL */
void arena_reset(struct arena *a);           /* frees all but the first block */
size_t arena_used(const struct arena *a);    /* bytes handed out */
void *arena_alloc(struct arena *a, size_t n);/* zeroed, aligned to 16 */
char *arena_strdup(struct arena *a, const char *s);              /* NULL stays NULL */
char *arena_strndup(struct arena *a, const char *s, size_t n);
void *arena_memdup(struct arena *a, const void *p, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap);

void arena_freep(struct arena **a);
#define ARENA_AUTO __attribute__((cleanup(arena_freep))) struct arena *
