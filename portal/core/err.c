#include "portal/core/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int fill(struct err *e, int code, const char *fmt, va_list ap)
{
    if (e) {
        memset(e, 0, sizeof *e);
        e->code = code;
        vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    }
    return code;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(e, code, fmt, ap);
    va_end(ap);
    return code;
}

int err_errno(struct err *e, int code, int errnum, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(e, code, fmt, ap);
    va_end(ap);
    if (e) {
        size_t len = strlen(e->msg);
        char words[128];
        snprintf(e->msg + len, sizeof e->msg - len, ": %s", strerror_r(errnum, words, sizeof words));
    }
    return code;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
    if (!e)
        return ERR_INTERNAL;
    char text[sizeof e->msg];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof text - 3) {
        snprintf(text + n, sizeof text - (size_t)n, ": %.*s", (int)(sizeof text - (size_t)n - 3), e->msg);
        memcpy(e->msg, text, sizeof e->msg);
    }
    return e->code ? e->code : ERR_INTERNAL;
}

int err_field(struct err *e, const char *pointer, const char *fmt, ...)
{
    if (!e)
        return ERR_INVALID;
    if (!e->n_fields) {
        memset(e, 0, sizeof *e);
        e->code = ERR_INVALID;
    }
    if (e->n_fields < ERR_FIELDS_MAX) {
        struct err_field *f = &e->fields[e->n_fields];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(f->detail, sizeof f->detail, fmt, ap);
        va_end(ap);
        snprintf(f->pointer, sizeof f->pointer, "%s", pointer);
        if (e->n_fields == 0)
            snprintf(e->msg, sizeof e->msg, "%s%s%s", pointer[0] == '/' ? pointer + 1 : pointer, *pointer ? ": " : "", f->detail);
        e->n_fields++;
    } else if (!strstr(e->msg, " (more fields are wrong")) {
        size_t len = strlen(e->msg);
        snprintf(e->msg + len, sizeof e->msg - len, " (more fields are wrong than the %d listed)", ERR_FIELDS_MAX);
    }
    return ERR_INVALID;
}

int err_type(struct err *e, const char *slug)
{
    if (!e)
        return ERR_INTERNAL;
    snprintf(e->type, sizeof e->type, "%s", slug);
    return e->code;
}

const char *err_slug(int code)
{
    switch (code) {
    case ERR_INVALID: return "invalid";
    case ERR_UNAUTHENTICATED: return "not-signed-in";
    case ERR_DENIED: return "not-allowed";
    case ERR_NOT_FOUND: return "not-found";
    case ERR_CONFLICT: return "conflict";
    case ERR_PRECONDITION: return "precondition-failed";
    case ERR_TOO_LARGE: return "too-large";
    case ERR_RATE: return "too-many-requests";
    case ERR_UNAVAILABLE: return "unavailable";
    case ERR_TIMEOUT: return "timeout";
    case ERR_FENCED: return "fenced";
    case ERR_CANCELED: return "canceled";
    case ERR_REQUIRED: return "precondition-required";
    default: return "internal";
    }
}
