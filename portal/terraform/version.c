/* Versions and constraints as HashiCorp's go-version reads them: "1.2", "1.2.3-beta1+meta"; "=", "!=", ">", ">=", "<", "<=", "~>", joined by commas. */
#include "portal/terraform/terraform_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct version {
    int64_t part[3];
    int parts;      /* how many were written */
    char pre[64];   /* "" for a release */
};

static bool read_version(const char *s, const char *end, struct version *v)
{
    memset(v, 0, sizeof *v);
    if (s < end && *s == 'v')
        s++;
    for (v->parts = 0; v->parts < 3; s++) {
        size_t digits = 0;
        int64_t x = 0;
        for (; s < end && isdigit((unsigned char)*s) && digits < 12; s++, digits++)
            x = x * 10 + (*s - '0');
        if (!digits)
            return false;
        v->part[v->parts++] = x;
        if (s >= end || *s != '.')
            break;
    }
    if (s < end && *s == '-') {
        size_t n = 0;
        for (s++; s < end && (isalnum((unsigned char)*s) || *s == '.' || *s == '-') && n + 1 < sizeof v->pre; s++)
            v->pre[n++] = *s;
        if (!n)
            return false;
    }
    if (s < end && *s == '+') /* build metadata says nothing about order */
        for (s++; s < end && (isalnum((unsigned char)*s) || *s == '.' || *s == '-'); s++)
            ;
    return s == end;
}

/* Semantic versioning, rule 11: dot-separated identifiers, numbers before words. */
static int compare_pre(const char *x, const char *y)
{
    while (*x && *y) {
        size_t n = strcspn(x, "."), m = strcspn(y, ".");
        bool xn = strspn(x, "0123456789") == n, yn = strspn(y, "0123456789") == m;
        int c;
        if (xn && yn) {
            int64_t p = strtoll(x, NULL, 10), q = strtoll(y, NULL, 10);
            c = p < q ? -1 : p > q;
        } else if (xn != yn) {
            c = xn ? -1 : 1;
        } else {
            c = strncmp(x, y, n < m ? n : m);
            c = c ? c : n < m ? -1 : n > m;
        }
        if (c)
            return c < 0 ? -1 : 1;
        x += n + (x[n] == '.');
        y += m + (y[m] == '.');
    }
    return *x ? 1 : *y ? -1 : 0;
}

static int compare(const struct version *x, const struct version *y)
{
    for (int i = 0; i < 3; i++)
        if (x->part[i] != y->part[i])
            return x->part[i] < y->part[i] ? -1 : 1;
    if (!*x->pre || !*y->pre)
        return !*x->pre && *y->pre ? 1 : *x->pre && !*y->pre ? -1 : 0;
    return compare_pre(x->pre, y->pre);
}

int tf_version_compare(const char *x, const char *y)
{
    struct version a, b;
    bool is_a = read_version(x, x + strlen(x), &a), is_b = read_version(y, y + strlen(y), &b);
    if (!is_a || !is_b)
        return is_a ? 1 : is_b ? -1 : strcmp(x, y);
    return compare(&a, &b);
}

/* "~> 1.2" lets the last written part grow: >= 1.2, < 2.0. */
static bool fits_pessimistic(const struct version *v, const struct version *c)
{
    if (compare(v, c) < 0)
        return false;
    for (int i = 0; i < c->parts - 1; i++)
        if (v->part[i] != c->part[i])
            return false;
    return true;
}

static const char *const operators[] = {"~>", ">=", "<=", "!=", ">", "<", "="};

static bool fits_one(const struct version *v, const char *op, const struct version *c)
{
    int order = compare(v, c);
    if (!strcmp(op, "!="))
        return order != 0;
    if (*v->pre && order != 0) /* a pre-release is meant only by its own name */
        return false;
    if (!strcmp(op, "~>"))
        return fits_pessimistic(v, c);
    if (!strcmp(op, "="))
        return order == 0;
    return (order > 0 && *op == '>') || (order < 0 && *op == '<') || (order == 0 && op[1] == '=');
}

static int fits_term(const struct version *v, const char *s, const char *end)
{
    const char *op = "=";
    struct version c;
    while (s < end && isspace((unsigned char)*s))
        s++;
    while (end > s && isspace((unsigned char)end[-1]))
        end--;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        size_t n = strlen(operators[i]);
        if ((size_t)(end - s) >= n && !strncmp(s, operators[i], n)) {
            op = operators[i];
            s += n;
            break;
        }
    }
    while (s < end && isspace((unsigned char)*s))
        s++;
    if (!read_version(s, end, &c))
        return -1;
    return fits_one(v, op, &c);
}

int tf_version_fits(const char *version, const char *constraint, struct err *e)
{
    struct version v;
    if (!read_version(version, version + strlen(version), &v))
        return err_set(e, ERR_INVALID, "\"%.80s\" is no version: write it as 1.2.3", version);
    if (!constraint || !constraint[strspn(constraint, " \t\n")])
        return !*v.pre;
    int all = 1;
    for (const char *s = constraint;; s++) {
        const char *end = s + strcspn(s, ",");
        int one = fits_term(&v, s, end);
        if (one < 0)
            return err_set(e, ERR_INVALID, "the version constraint \"%.120s\" cannot be read: write it as \"~> 5.0, != 5.3.1\"", constraint);
        all &= one;
        s = end;
        if (!*s)
            return all;
    }
}
