/* Errors as RFC 9457 problem documents. `type` is /problems/<slug>, where the slug is the error's own or its code's. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/http/http_private.h"

static bool names_body(const struct err *e)
{
    for (unsigned i = 0; i < e->n_fields && i < ERR_FIELDS_MAX; i++)
        if (e->fields[i].pointer[0] == '/' || !e->fields[i].pointer[0])
            return true;
    return false;
}

int http_status_of(const struct err *e)
{
    switch (e->code) {
    case ERR_INVALID: return names_body(e) ? 422 : 400;
    case ERR_UNAUTHENTICATED: return 401;
    case ERR_DENIED: return 403;
    case ERR_NOT_FOUND: return 404;
    case ERR_CONFLICT:
    case ERR_FENCED: return 409;
    case ERR_PRECONDITION: return 412;
    case ERR_TOO_LARGE: return 413;
    case ERR_REQUIRED: return 428;
    case ERR_RATE: return 429;
    case ERR_UNAVAILABLE:
    case ERR_CANCELED: return 503;
    case ERR_TIMEOUT: return 504;
    default: return 500;
    }
}

/* By slug, sorted: also of the domains above, so that one place has them all. docs/api.md lists them; a test holds both against the source. */
static const struct { const char *slug, *title; } titles[] = {
    {"address", "The address is not taken"},
    {"approval-expired", "The time to approve has ended"},
    {"audit-broken", "The audit log is broken"},
    {"bad-cursor", "The cursor is not one of this list"},
    {"body-missing", "A body is needed"},
    {"busy", "The node is busy"},
    {"canceled", "It was broken off"},
    {"conflict", "It is in another state"},
    {"csrf", "The CSRF token is missing or wrong"},
    {"cut-off", "The body is incomplete"},
    {"decided", "It was decided already"},
    {"expectation", "The expectation cannot be met"},
    {"fenced", "Somebody else has it now"},
    {"framing", "The request is malformed"},
    {"head-too-large", "The head of the request is too large"},
    {"http-version", "The HTTP version is not taken"},
    {"idempotency-key-invalid", "The Idempotency-Key is not valid"},
    {"idempotency-key-missing", "An Idempotency-Key is needed"},
    {"idempotency-key-reused", "The Idempotency-Key was used for something else"},
    {"idempotency-running", "The request with this Idempotency-Key is still running"},
    {"internal", "An error of ours"},
    {"invalid", "The input does not fit"},
    {"json", "The body is not JSON"},
    {"method-not-allowed", "The path does not have this method"},
    {"name-taken", "The name is taken"},
    {"not-a-session", "A token is not a session"},
    {"not-allowed", "Not allowed"},
    {"not-found", "Not found"},
    {"not-ready", "The node is not ready"},
    {"not-signed-in", "Sign-in is needed"},
    {"other-origin", "The request came from another site"},
    {"own-order", "Nobody decides about their own order"},
    {"plan-changed", "The plan was made anew"},
    {"precondition-failed", "It has changed meanwhile"},
    {"precondition-required", "A precondition is missing"},
    {"role-held", "The role is held already"},
    {"role-missing", "A role is missing"},
    {"scope-missing", "A scope is missing"},
    {"service-busy", "Another order is at work on the service"},
    {"timeout", "It took too long"},
    {"too-large", "Too large"},
    {"too-late", "It is too late for that"},
    {"too-many-requests", "Too many requests"},
    {"too-slow", "The request came too slowly"},
    {"unavailable", "Not available now"},
    {"unsupported-type", "The body is of a type that is not taken"},
};

static int by_slug(const void *slug, const void *row)
{
    return strcmp(slug, *(const char *const *)row);
}

static const char *problem_title(const char *slug, int status)
{
    const char *const *row = bsearch(slug, titles, sizeof titles / sizeof *titles, sizeof *titles, by_slug);
    return row ? row[1] : status >= 500 ? "An error of ours" : "The request cannot be answered";
}

static void write_fields(const struct err *e, struct buf *out)
{
    buf_json_key(out, "errors");
    buf_char(out, '[');
    for (unsigned i = 0; i < e->n_fields && i < ERR_FIELDS_MAX; i++) {
        buf_str(out, i ? ",{" : "{");
        buf_json_kv(out, "pointer", e->fields[i].pointer);
        buf_json_kv(out, "detail", e->fields[i].detail);
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

/* The path is decoded by now; as a reference it is encoded again. */
static void add_instance(struct buf *out, const char *path)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/!$&'()*+,;=:@";
    BUF_AUTO encoded = BUF_INIT;
    for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
        if (strchr(plain, *p))
            buf_char(&encoded, (char)*p);
        else
            buf_printf(&encoded, "%%%02X", *p);
    }
    buf_json_kv(out, "instance", buf_cstr(&encoded));
}

void problem_write(int status, const char *slug, const struct err *e, const char *request_id, const char *instance, struct buf *out)
{
    char type[80];
    snprintf(type, sizeof type, "/problems/%s", slug);
    buf_char(out, '{');
    buf_json_kv(out, "type", type);
    buf_json_kv(out, "title", problem_title(slug, status));
    buf_json_kint(out, "status", status);
    /* What went wrong inside is for the log; the trace id leads there. */
    buf_json_kv(out, "detail", status == 500 ? "Something failed on our side. The trace id names it in the node's log." : e->msg);
    if (instance)
        add_instance(out, instance);
    if (request_id)
        buf_json_kv(out, "trace_id", request_id);
    if (e->link[0])
        buf_json_kv(out, "link", e->link);
    if (e->n_fields && status != 500)
        write_fields(e, out);
    buf_char(out, '}');
}

void http_problem_json(const struct err *e, const char *request_id, const char *instance, struct buf *out)
{
    problem_write(http_status_of(e), e->type[0] ? e->type : err_slug(e->code), e, request_id, instance, out);
}
