/* Event streams (SSE) on the loop: a stream holds a socket, a bounded queue and a cursor, never a thread.
 * 64 KiB may be pending; then the stream is dropped and the client resumes by Last-Event-ID. A comment goes out every 15 s.
 *
 * Life of a stream: the loop owns it. It starts to live (and so may end) with stream_set_owner, or else with the first stream_send or
 * stream_close; until then the pointer is good. From then on it is good until `closed` was called; a thread other than the loop that keeps
 * it takes a reference of its own first (stream_ref) and may then send to it for ever: what is sent to an ended stream is forgotten. */
#pragma once
#include "portal/loop/loop.h"
#include <stddef.h>

#define STREAM_PENDING_MAX 65536

struct stream;
struct streams; /* all streams of a process */

struct streams *streams_new(struct loop *l);
void streams_free(struct streams *s); /* ends all that are left; before loop_free; takes NULL. Not on the loop. */
struct stream_owner {
    /* On the loop: the stream ended (client away, dropped, closed); after this the pointer is gone. */
    void (*closed)(struct stream *s, void *arg);
    void *arg;
};
/* (any) Adopts a connected socket, and its SSL when not NULL (an OpenSSL `SSL *`): both are closed and freed at the stream's end. */
struct stream *stream_new(struct streams *ss, int fd, void *ssl);
void stream_set_owner(struct stream *s, const struct stream_owner *o);   /* (any), before the first send */
void stream_ref(struct stream *s);                                        /* (any) */
void stream_unref(struct stream *s);                                      /* (any) */
/* (any) Queues bytes that are a whole event; encoded once, shared by many streams: `bytes` is copied once into a counted block. */
struct stream_block;
struct stream_block *stream_block_new(const void *bytes, size_t n);
void stream_block_unref(struct stream_block *b);
void stream_send(struct stream *s, struct stream_block *b);               /* takes a reference of its own to b */
size_t stream_pending(struct stream *s);                                  /* (any) bytes not yet given to the kernel: who replays a long log waits while this is high */
void stream_close(struct stream *s);                                      /* (any) sends what is queued (for at most 5 s), then closes */
/* (any) Tells all clients to come back after `retry_ms` (SSE retry:), then closes: for drain. Streams that come later are treated the same. */
void streams_drain(struct streams *ss, int retry_ms);
size_t streams_count(const struct streams *ss);                           /* (any) */
struct streams_stats { size_t open; uint64_t opened, dropped, sent_bytes; }; /* dropped: slow readers */
void streams_get_stats(const struct streams *ss, struct streams_stats *ret); /* (any) */
void streams_set_comment(struct streams *ss, int64_t every_ms);           /* before the first stream: instead of 15,000 */
