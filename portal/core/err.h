/* Errors: one enum for the whole project, one struct that carries the words.
 *
 * A function that can fail returns 0 or a negative `enum err_code` and, on failure, has filled `*e`.
 * The message is made once, where the cause is known; callers put context in front with err_prefix().
 * A function logs an error or returns it, never both. `e` may be NULL where the caller wants the code alone.
 * Thread: any. */
#pragma once
#include <stddef.h>

enum err_code {
    ERR_INVALID = -1,         /* the input is wrong: 400, or 422 when `fields` are named */
    ERR_UNAUTHENTICATED = -2, /* nobody is signed in: 401 */
    ERR_DENIED = -3,          /* signed in, but not allowed: 403 */
    ERR_NOT_FOUND = -4,       /* 404 */
    ERR_CONFLICT = -5,        /* taken, or in the wrong state: 409 */
    ERR_PRECONDITION = -6,    /* If-Match did not hold: 412 */
    ERR_TOO_LARGE = -7,       /* 413 */
    ERR_RATE = -8,            /* too many: 429 with Retry-After */
    ERR_UNAVAILABLE = -9,     /* a part we need is away for now; trying again may help: 503 with Retry-After */
    ERR_TIMEOUT = -10,        /* it took too long: 504 */
    ERR_FENCED = -11,         /* the lease under which this was written is no longer ours */
    ERR_IO = -12,             /* the operating system said no */
    ERR_NOMEM = -13,
    ERR_CANCELED = -14,       /* asked to stop */
    ERR_INTERNAL = -15,       /* a defect of ours: 500 */
    ERR_REQUIRED = -16,       /* a precondition header is missing: 428 */
};

#define ERR_FIELDS_MAX 8

/* One thing that is wrong with one field of the input. */
struct err_field {
    char pointer[160]; /* JSON pointer into the input, e.g. "/parameters/size" */
    char detail[240];
};

struct err {
    int code;         /* enum err_code; 0 while nothing failed */
    char type[48];    /* stable slug of the problem type, e.g. "name-taken"; "" takes the code's own */
    char msg[1024];   /* what happened, why, and what to do next */
    char link[200];   /* path of what the error speaks of (a 409's rival, say), or "" */
    int retry_after;  /* seconds; 0 when trying again will not help */
    unsigned n_fields;
    struct err_field fields[ERR_FIELDS_MAX];
};

#define ERR_INIT {0}

/* Fills `e` (all of it is overwritten) and returns `code`. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* As err_set, with the errno value `errnum` in words behind the message. */
int err_errno(struct err *e, int code, int errnum, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Puts "<text>: " in front of the message; returns e->code (ERR_INTERNAL when e is NULL). */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds a field to an error of code ERR_INVALID; sets code and a summary message when it is the first.
 * Beyond ERR_FIELDS_MAX the message says that there are more. Returns ERR_INVALID. */
int err_field(struct err *e, const char *pointer, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Sets the problem type; returns e->code, so that `return err_type(e, "name-taken");` reads well. */
int err_type(struct err *e, const char *slug);
/* The code's own slug: "invalid", "not-found", ... Never NULL. */
const char *err_slug(int code);
