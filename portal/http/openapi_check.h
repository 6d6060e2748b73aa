/* The API document as the judge of requests: parameters and bodies of routes that name an operation are checked against its schemas.
 * Loaded once at start, read by all HTTP workers. Domain http, above portal/json/schema.h. */
#pragma once
#include "portal/http/http.h"

/* Parses the merged OpenAPI 3.1 document and compiles the schemas of all operations. ERR_INVALID names operation and place.
 * The bytes are not kept. Thread: main, before the first request. */
int http_openapi_load(const char *json, size_t len, struct err *e);
void http_openapi_free(void); /* after the last request */
/* For http_hooks.check_body. Without a loaded document, and for routes without an operation, everything fits.
 *  - path parameter that its schema does not allow: ERR_NOT_FOUND (there is no such thing);
 *  - query parameter that is unknown, given twice, missing or does not fit, header that is missing or does not fit: ERR_INVALID with a field
 *    "?name" or the header's name (400);
 *  - body missing though required: ERR_INVALID (400); body that does not fit: ERR_INVALID with fields by JSON pointer (422). */
int http_openapi_check(struct http_req *r, struct err *e);
/* What differs between the routes of these servers and the document, a line each into `out`: a route that names no operation of the document or
 * another method or path, a route under /api/ without an operation, an operation without a route. Returns the number of lines; 0 is as it should be. */
int http_openapi_compare(const struct http_server *const servers[], size_t n, struct buf *out);
