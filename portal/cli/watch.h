/* Following an order to its end over its event stream: through restarts of the server, without losing or repeating an event.
 * Thread: main. */
#pragma once
#include "portal/cli/cli.h"

struct watch_options {
    bool plain;          /* lines, even on a terminal */
    bool past_approval;  /* goes on while an approval is awaited */
};

/* Follows until the order ends or waits for an approval: an enum exit_status (EXIT_DONE, EXIT_FAILED, EXIT_WAITING, EXIT_ORDER_CANCELED, EXIT_INTERRUPTED),
 * or an error. `order` is its document, as the server gave it last. *ret_order (may be NULL) is how it ended; owned by the caller. */
int watch_order(struct cli *c, const json_t *order, const struct watch_options *o, json_t **ret_order, struct err *e);
/* What became of an order, in a line or two, on standard error. */
void watch_tell(const json_t *order);
/* Exit status for a state: EXIT_DONE for ready, ...; -1 while it goes on. */
int watch_exit_of(const char *state);
