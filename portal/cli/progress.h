/* An order's way, as its events come: plain lines, or on a terminal a display that is drawn anew: steps with their times, the resources that the engine
 * works on. Goes to standard error. Thread: main. */
#pragma once
#include "portal/cli/text.h"
#include "portal/core/buf.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define PROGRESS_STEPS_MAX 64
#define PROGRESS_RESOURCES_MAX 2000

struct progress_step {
    char state[32];
    int64_t at;        /* ms since 1970 */
    char reason[200];
};

enum resource_state { RESOURCE_PLANNED, RESOURCE_RUNNING, RESOURCE_DONE, RESOURCE_FAILED };

struct progress_resource {
    char *address;
    char action[16];
    enum resource_state state;
    int64_t since, until; /* ms since 1970; of work on it */
};

struct progress {
    FILE *to;
    bool live, colour;
    unsigned width, height;
    char title[200];
    struct progress_step steps[PROGRESS_STEPS_MAX];
    size_t n_steps;
    struct progress_resource *resources;
    size_t n_resources, cap_resources;
    int64_t skew;         /* the server's clock minus ours, ms, from the newest event */
    unsigned drawn;       /* lines of the display that stand on the screen */
    int64_t last_drawn;   /* monotonic ms */
    unsigned spin;
    char waiting[160];    /* what is said while the server is away; "" */
};

/* live: a display drawn anew (the caller looked for a terminal); else plain lines. */
void progress_init(struct progress *p, FILE *to, bool live, bool colour, const char *title);
void progress_done(struct progress *p);
/* One event of the order's log. `at` is RFC 3339, or NULL: now. */
void progress_event(struct progress *p, const char *type, const char *at, const json_t *data);
/* Draws the display anew when it is time; nothing in plain mode. */
void progress_tick(struct progress *p);
/* One lasting line: above the display, or among the plain lines. */
void progress_say(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Says once why nothing moves ("" ends it). */
void progress_waiting(struct progress *p, const char *why);
/* The display's last state stays on the screen; what is printed next goes below it. */
void progress_end(struct progress *p);

/* Appends what a person should read of one event, without a line end; returns false when there is nothing to say. For `orders logs` and the plain lines. */
bool progress_line(struct buf *out, const char *type, const json_t *data, bool colour);
