/* Naming an order: by its id, or by its service's name, which means that service's newest order. Thread: main. */
#pragma once
#include "portal/cli/cli.h"

/* The order's document; owned by the caller. ERR_NOT_FOUND. */
int orders_find(struct cli *c, const char *word, json_t **ret, struct err *e);
/* What happens to an order that was just accepted: with --watch it is followed, else the person is told where it goes on. Takes no reference. */
int orders_accepted(struct cli *c, const json_t *order, struct err *e);
