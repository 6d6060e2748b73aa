/* Version constraints as Terraform writes them: a comma-separated list of an operator and a version. A version with a pre-release part satisfies only
 * constraints that name that very version. */
#include "portal/templates/check.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct version { long part[3]; int given; const char *pre; size_t pre_len; };
enum operation { OP_EQUAL, OP_NOT, OP_MORE, OP_MORE_EQUAL, OP_LESS, OP_LESS_EQUAL, OP_ABOUT };

/* Reads a version at *p (blanks in front), moves *p behind it. */
static bool read_version(const char **p, struct version *ret)
{
    *ret = (struct version){0};
    while (isspace((unsigned char)**p))
        ++*p;
    if (**p == 'v')
        ++*p;
    for (;;) {
        if (!isdigit((unsigned char)**p) || ret->given == 3)
            return false;
        char *end;
        ret->part[ret->given] = strtol(*p, &end, 10);
        if (end - *p > 8)
            return false;
        ret->given++;
        *p = end;
        if (**p != '.')
            break;
        ++*p;
    }
    if (**p == '-') {
        ret->pre = ++*p;
        ret->pre_len = strspn(*p, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-");
        *p += ret->pre_len;
        if (!ret->pre_len)
            return false;
    }
    if (**p == '+')
        *p += 1 + strspn(*p + 1, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-");
    while (isspace((unsigned char)**p))
        ++*p;
    return true;
}

static bool read_operation(const char **p, enum operation *ret)
{
    static const struct { const char *text; enum operation op; } all[] = {
        {"~>", OP_ABOUT}, {">=", OP_MORE_EQUAL}, {"<=", OP_LESS_EQUAL}, {"!=", OP_NOT}, {"=", OP_EQUAL}, {">", OP_MORE}, {"<", OP_LESS}};
    while (isspace((unsigned char)**p))
        ++*p;
    *ret = OP_EQUAL;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (strncmp(*p, all[i].text, strlen(all[i].text)) == 0) {
            *p += strlen(all[i].text);
            *ret = all[i].op;
            return true;
        }
    return isdigit((unsigned char)**p) || **p == 'v';
}

static bool same_pre(const struct version *a, const struct version *b)
{
    return a->pre_len == b->pre_len && (a->pre_len == 0 || memcmp(a->pre, b->pre, a->pre_len) == 0);
}

static int compare(const struct version *a, const struct version *b)
{
    for (int i = 0; i < 3; i++)
        if (a->part[i] != b->part[i])
            return a->part[i] < b->part[i] ? -1 : 1;
    return 0;
}

static bool holds(const struct version *v, enum operation op, const struct version *bound)
{
    int order = compare(v, bound);
    if (v->pre || bound->pre) {
        bool same = order == 0 && same_pre(v, bound);
        return op == OP_NOT ? !same : same && op != OP_MORE && op != OP_LESS;
    }
    switch (op) {
    case OP_EQUAL: return order == 0;
    case OP_NOT: return order != 0;
    case OP_MORE: return order > 0;
    case OP_MORE_EQUAL: return order >= 0;
    case OP_LESS: return order < 0;
    case OP_LESS_EQUAL: return order <= 0;
    case OP_ABOUT: break;
    }
    /* All parts but the last one given stay: ~> 1.5 is 1.*, ~> 1.5.2 is 1.5.*. */
    for (int i = 0; i + 1 < bound->given; i++)
        if (v->part[i] != bound->part[i])
            return false;
    return order >= 0;
}

/* Walks the parts; false at the first that cannot be read (its text in *ret_bad) or does not hold. */
static bool each_part(const char *text, const struct version *v, const char **ret_bad)
{
    const char *p = text;
    for (;;) {
        enum operation op;
        struct version bound;
        *ret_bad = p;
        if (!read_operation(&p, &op) || !read_version(&p, &bound) || (*p && *p != ','))
            return false;
        *ret_bad = NULL;
        if (v && !holds(v, op, &bound))
            return false;
        if (!*p)
            return true;
        p++;
    }
}

const char *constraint_problem(const char *text, struct arena *a)
{
    const char *bad;
    if (each_part(text, NULL, &bad))
        return NULL;
    return arena_printf(a, "\"%.60s\" is no version constraint; write \">= 1.5, < 2.0\" or \"~> 1.5\"", bad);
}

bool constraint_allows(const char *text, const char *version)
{
    struct version v;
    const char *p = version, *bad;
    return read_version(&p, &v) && !*p && each_part(text, &v, &bad);
}
