/* Event streams (SSE) on the loop: a stream holds a socket, a bounded queue and a cursor, never a thread.
 * 64 KiB may be pending; then the stream is dropped and the client resumes by Last-Event-ID. A comment goes out every 15 s. */
#pragma once
#include "portal/loop/loop.h"
#include <stddef.h>

struct stream;
struct streams; /* all streams of a process */

struct streams *streams_new(struct loop *l);
void streams_free(struct streams *s);
struct stream_owner {
    /* On the loop: the stream ended (client away, dropped, closed); after this the pointer is gone. */
    void (*closed)(struct stream *s, void *arg);
    void *arg;
};
/* (any) Adopts a connected socket, and its SSL when not NULL (an OpenSSL `SSL *`). */
struct stream *stream_new(struct streams *ss, int fd, void *ssl);
void stream_set_owner(struct stream *s, const struct stream_owner *o);   /* (any), before the first send */
void stream_ref(struct stream *s);                                        /* (any) */
void stream_unref(struct stream *s);                                      /* (any) */
/* (any) Queues bytes that are a whole event; encoded once, shared by many streams: `bytes` is copied once into a counted block. */
struct stream_block;
struct stream_block *stream_block_new(const void *bytes, size_t n);
void stream_block_unref(struct stream_block *b);
void stream_send(struct stream *s, struct stream_block *b);
void stream_close(struct stream *s);                                      /* (any) sends what is queued, then closes */
/* (any) Tells all clients to come back after `retry_ms` (SSE retry:), then closes: for drain. */
void streams_drain(struct streams *ss, int retry_ms);
size_t streams_count(const struct streams *ss);                           /* (any) */
