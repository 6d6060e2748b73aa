/* For plain HTML pages that routes outside the API answer with: bodies of their forms, and paths that hold a secret. Thread: any. */
#pragma once
#include "portal/core/arena.h"
#include "portal/http/http.h"
#include <stddef.h>

/* A further flag of struct http_route: the path holds a secret, so logs name the route's pattern instead. */
#define HTTP_SECRET_PATH 1024u

/* What a log says of the request's path. */
const char *http_log_path(const struct http_req *r);
/* The first member of that name of a body of application/x-www-form-urlencoded, decoded, in the arena; NULL: it is not there, or holds what is no text (a malformed
 * escape, a NUL, bad UTF-8). */
const char *http_form_member(struct arena *a, const char *body, size_t len, const char *name);
