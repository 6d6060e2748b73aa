/* The list of what is wrong: text that may go anywhere (valid UTF-8, one line), nothing twice. */
#include "portal/json/json.h"
#include "portal/templates/check.h"
#include <stdlib.h>
#include <string.h>

#define REASON_MAX 600

static const char *clean(struct arena *a, const char *text)
{
    json_t *j = json_textn(text, strnlen(text, REASON_MAX));
    char *out = arena_strdup(a, json_string_value(j));
    json_decref(j);
    for (char *p = out; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    return out;
}

void finding_add(struct findings *f, const char *path, int line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *reason = clean(f->arena, arena_vprintf(f->arena, fmt, ap));
    va_end(ap);
    path = clean(f->arena, path);
    for (size_t i = 0; i < f->n; i++)
        if (f->items[i].line == line && strcmp(f->items[i].path, path) == 0 && strcmp(f->items[i].reason, reason) == 0)
            return;
    if (f->n == CHECK_FINDINGS_MAX) {
        f->dropped++;
        return;
    }
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 16;
        struct template_finding *grown = arena_alloc(f->arena, cap * sizeof(*grown));
        if (f->n)
            memcpy(grown, f->items, f->n * sizeof(*grown));
        f->items = grown;
        f->cap = cap;
    }
    f->items[f->n++] = (struct template_finding){path, line, reason};
}

static int by_place(const void *a, const void *b)
{
    const struct template_finding *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    if (order == 0)
        order = (x->line > y->line) - (x->line < y->line);
    return order ? order : strcmp(x->reason, y->reason);
}

void findings_sort(struct findings *f)
{
    if (f->n)
        qsort(f->items, f->n, sizeof(*f->items), by_place);
    if (f->dropped)
        f->items[f->n - 1].reason = arena_printf(f->arena, "%s (and %zu findings more)", f->items[f->n - 1].reason, f->dropped);
}
