/* Errors as RFC 9457 problem documents. `type` is /problems/<slug>, where the slug is the error's own or its code's. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
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

const char *problem_title(int status)
{
    switch (status) {
    case 400: return "The request is not valid";
    case 401: return "Sign-in is needed";
    case 403: return "Not allowed";
    case 404: return "Not found";
    case 405: return "The path does not have this method";
    case 408: return "The request came too slowly";
    case 409: return "It is taken, or in another state";
    case 412: return "It has changed meanwhile";
    case 413: return "Too large";
    case 415: return "The body is of a type that is not taken";
    case 417: return "The expectation cannot be met";
    case 422: return "The input does not fit";
    case 428: return "A precondition is missing";
    case 429: return "Too many requests";
    case 431: return "The head of the request is too large";
    case 500: return "An error of ours";
    case 501: return "Not implemented";
    case 503: return "Not available now";
    case 504: return "It took too long";
    case 505: return "The HTTP version is not taken";
    default: return status >= 500 ? "An error of ours" : "The request cannot be answered";
    }
}

/* "name-taken" is "Name taken": a title that is the same for every problem of its type. */
static void title_of_slug(const char *slug, char *out, size_t cap)
{
    snprintf(out, cap, "%s", slug);
    for (char *p = out; *p; p++)
        if (*p == '-')
            *p = ' ';
    out[0] = (char)toupper((unsigned char)out[0]);
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
    char type[80], title[64];
    snprintf(type, sizeof type, "/problems/%s", slug);
    title_of_slug(slug, title, sizeof title);
    buf_char(out, '{');
    buf_json_kv(out, "type", type);
    buf_json_kv(out, "title", e->type[0] ? title : problem_title(status));
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
