/* Reader of server-sent events (text/event-stream, WHATWG): bytes in any pieces, whole events out.
 * A line or an event of more than SSE_EVENT_MAX bytes is an error. Thread: one at a time. */
#pragma once
#include "portal/core/buf.h"
#include <stdbool.h>
#include <stddef.h>

#define SSE_EVENT_MAX ((size_t)4 << 20)

struct sse_event {
    const char *type; /* "message" when the stream names none */
    const char *data; /* lines joined with \n */
    const char *id;   /* the last id seen, also from earlier events; "" none */
};

struct sse {
    /* Called for each event; what it is given lives until it returns. Other than 0 stops the reader, and sse_feed() returns it. */
    int (*event)(const struct sse_event *ev, void *arg);
    void *arg;
    struct buf line, data;
    char type[128];
    char id[256];     /* of the last whole event; kept across connections: Last-Event-ID */
    char next_id[256];/* of the event that is being read */
    int retry_ms;     /* what the server asks for; 0: nothing */
    bool after_cr, begun, has_data;
    unsigned bom;     /* bytes of a byte-order mark seen at the start */
};

void sse_init(struct sse *s, int (*event)(const struct sse_event *ev, void *arg), void *arg);
/* A new connection: forgets half a line and half an event, keeps id and retry. */
void sse_restart(struct sse *s);
/* 0, what `event` returned, or -1 when a line or an event is too long. */
int sse_feed(struct sse *s, const char *bytes, size_t n);
void sse_done(struct sse *s);
