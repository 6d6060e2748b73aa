/* What the files of this domain share about the loop: its libuv handles and its end. */
#pragma once
#include "portal/loop/loop.h"
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

/* A libuv handle with its owner: first member of every timer, watch, child and stream. */
struct loop_handle {
    union { uv_handle_t any; uv_timer_t timer; uv_poll_t poll; } uv;
    struct loop *loop;
    void (*gone)(struct loop_handle *h); /* on the loop, after the handle closed: the memory may go */
    struct loop_handle *prev, *next;     /* all that loop_free has to free; under loop->lock */
    bool listed;
    bool open;                           /* loop only: libuv knows it */
    bool closing;                        /* loop only */
};

/* Loop only. */
int loop_handle_poll(struct loop_handle *h, struct loop *l, int fd);
void loop_handle_close(struct loop_handle *h);
uv_loop_t *loop_uv(struct loop *l);
bool loop_is_here(const struct loop *l);
bool loop_is_started(struct loop *l); /* (any) its thread runs or has run */
/* (any) fn runs on the loop when it stops, before what is open is closed. */
struct loop_end { void (*fn)(void *arg); void *arg; struct loop_end *next; };
void loop_at_end(struct loop *l, struct loop_end *end);
void loop_forget_end(struct loop *l, struct loop_end *end);
/* calloc that never returns NULL. */
void *loop_alloc(size_t n);
