/* The router: a tree of path segments. A fixed segment wins over a parameter, a parameter over a tail; where that way has no route for the method,
 * the next is tried, and the methods seen are kept for 405. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/core/log.h"
#include "portal/http/http_private.h"

static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
enum { M_GET, M_HEAD, M_POST, M_PUT, M_PATCH, M_DELETE, M_OPTIONS, M_COUNT };

struct leaf {
    const struct http_route *route;
    size_t n;
    char *names[HTTP_PARAMS_MAX];
};

struct node {
    char *segment;              /* of a fixed one */
    size_t n_children, cap;
    struct node **children;     /* fixed, sorted */
    struct node *param;
    struct leaf *here[M_COUNT]; /* routes that end here */
    struct leaf *tail[M_COUNT]; /* routes whose {name*} takes what follows */
};

struct router { struct node *root; };

static void *alloc(size_t n)
{
    void *p = calloc(1, n);
    if (!p) {
        log_error("out of memory: this process ends and is started anew", LOG_I("bytes", (int64_t)n));
        abort();
    }
    return p;
}

static int method_of(const char *name)
{
    for (int i = 0; i < M_COUNT; i++)
        if (!strcmp(name, methods[i]))
            return i;
    return -1;
}

static void node_free(struct node *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->n_children; i++)
        node_free(n->children[i]);
    node_free(n->param);
    for (int m = 0; m < M_COUNT; m++)
        for (int k = 0; k < 2; k++) {
            struct leaf *l = k ? n->tail[m] : n->here[m];
            for (size_t i = 0; l && i < l->n; i++)
                free(l->names[i]);
            free(l);
        }
    free(n->children);
    free(n->segment);
    free(n);
}

/* Index of the segment, or where it would stand (as -1 - index). */
static ptrdiff_t child_find(const struct node *n, const char *s, size_t len)
{
    ptrdiff_t low = 0, high = (ptrdiff_t)n->n_children - 1;
    while (low <= high) {
        ptrdiff_t mid = (low + high) / 2;
        int c = strncmp(n->children[mid]->segment, s, len);
        if (!c && n->children[mid]->segment[len])
            c = 1;
        if (!c)
            return mid;
        if (c < 0)
            low = mid + 1;
        else
            high = mid - 1;
    }
    return -1 - low;
}

static struct node *child_get(struct node *n, const char *s, size_t len)
{
    ptrdiff_t at = child_find(n, s, len);
    if (at >= 0)
        return n->children[at];
    at = -1 - at;
    if (n->n_children == n->cap) {
        n->cap = n->cap ? n->cap * 2 : 4;
        struct node **more = realloc(n->children, n->cap * sizeof *more);
        if (!more)
            abort();
        n->children = more;
    }
    memmove(n->children + at + 1, n->children + at, (n->n_children - (size_t)at) * sizeof *n->children);
    n->children[at] = alloc(sizeof(struct node));
    n->children[at]->segment = strndup(s, len);
    n->n_children++;
    return n->children[at];
}

static int add_param(struct leaf *l, const char *name, size_t len)
{
    if (l->n == HTTP_PARAMS_MAX || !len || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") < len)
        return -1;
    l->names[l->n++] = strndup(name, len);
    return 0;
}

/* The place where the pattern ends; *ret_tail when its last segment takes the rest. NULL: a broken pattern. */
static struct node *pattern_node(struct node *n, const char *p, struct leaf *l, bool *ret_tail)
{
    *ret_tail = false;
    while (*p == '/') {
        p++;
        size_t len = strcspn(p, "/");
        if (p[0] != '{')
            n = child_get(n, p, len);
        else if (len > 3 && p[len - 1] == '}' && p[len - 2] == '*' && !p[len]) {
            *ret_tail = true;
            return add_param(l, p + 1, len - 3) ? NULL : n;
        } else {
            if (len < 3 || p[len - 1] != '}' || add_param(l, p + 1, len - 2))
                return NULL;
            if (!n->param)
                n->param = alloc(sizeof *n->param);
            n = n->param;
        }
        p += len;
    }
    return *p ? NULL : n;
}

static int add_route(struct router *r, const struct http_route *route, struct err *e)
{
    struct leaf *l = alloc(sizeof *l);
    l->route = route;
    bool tail = false;
    int m = method_of(route->method);
    struct node *n = m < 0 || m == M_HEAD || m == M_OPTIONS ? NULL : pattern_node(r->root, route->pattern, l, &tail);
    struct leaf **place = !n ? NULL : tail ? &n->tail[m] : &n->here[m];
    if (place && !*place) {
        *place = l;
        return 0;
    }
    for (size_t i = 0; i < l->n; i++)
        free(l->names[i]);
    free(l);
    return err_set(e, ERR_INTERNAL, place ? "the route %s %s is there twice" : "the route %s %s has a pattern or method that the router does not know",
                   route->method, route->pattern);
}

int router_new(const struct table *tables, struct router **ret, struct err *e)
{
    struct router *r = alloc(sizeof *r);
    r->root = alloc(sizeof *r->root);
    for (; tables; tables = tables->next)
        for (const struct http_route *route = tables->routes; route->method; route++)
            if (add_route(r, route, e)) {
                router_free(r);
                return ERR_INTERNAL;
            }
    *ret = r;
    return 0;
}

void router_free(struct router *r)
{
    if (!r)
        return;
    node_free(r->root);
    free(r);
}

struct search {
    int method;
    struct arena *a;
    const char *values[HTTP_PARAMS_MAX];
    unsigned allow;
    const struct leaf *found;
    size_t n;
};

static bool settle(struct search *s, struct leaf *const leaves[], size_t n)
{
    for (int m = 0; m < M_COUNT; m++)
        if (leaves[m])
            s->allow |= 1u << m;
    if (s->method < 0 || !leaves[s->method])
        return false;
    s->found = leaves[s->method];
    s->n = n;
    return true;
}

/* `p` stands on the slash in front of the next segment, or on the end. */
static bool walk(const struct node *n, const char *p, size_t n_values, struct search *s)
{
    if (!*p)
        return settle(s, n->here, n_values);
    p++;
    size_t len = strcspn(p, "/");
    ptrdiff_t at = child_find(n, p, len);
    if (at >= 0 && walk(n->children[at], p + len, n_values, s))
        return true;
    if (len && n->param && n_values < HTTP_PARAMS_MAX) {
        s->values[n_values] = arena_strndup(s->a, p, len);
        if (walk(n->param, p + len, n_values + 1, s))
            return true;
    }
    if (!*p || n_values == HTTP_PARAMS_MAX)
        return false;
    s->values[n_values] = p;
    return settle(s, n->tail, n_values + 1);
}

bool router_find(const struct router *r, const char *method, const char *path, struct arena *a, struct http_match *ret)
{
    struct search s = {.method = method_of(method), .a = a};
    bool head = s.method == M_HEAD;
    if (head)
        s.method = M_GET;
    *ret = (struct http_match){0};
    if (path[0] == '/' && walk(r->root, path, 0, &s)) {
        ret->route = s.found->route;
        ret->n = s.n;
        for (size_t i = 0; i < s.n; i++)
            ret->params[i] = (struct http_pair){s.found->names[i], s.values[i]};
        return true;
    }
    if (s.allow & (1u << M_GET))
        s.allow |= 1u << M_HEAD;
    ret->allow = s.allow ? s.allow | 1u << M_OPTIONS : 0;
    return false;
}

void router_allow(unsigned allow, char out[96])
{
    size_t n = 0;
    out[0] = 0;
    for (int m = 0; m < M_COUNT; m++)
        if (allow & (1u << m))
            n += (size_t)snprintf(out + n, 96 - n, "%s%s", n ? ", " : "", methods[m]);
}
