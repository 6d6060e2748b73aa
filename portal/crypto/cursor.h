/* Opaque signed cursors of lists: a client can neither read meaning into one nor make one up. Bound to the list's name, so that one list's cursor
 * does not open another's. They use the process's keyring (keyring_set_instance) and outlive its rotation. Thread: any. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/err.h"

/* `plain` says where the page ended, e.g. the last item's id. NULL plain gives NULL. In the arena. ERR_INTERNAL without a keyring. */
int cursor_sign(const char *list, const char *plain, struct arena *a, const char **ret, struct err *e);
/* `text` comes first: the cursor as the client sent it. ERR_INVALID (type "bad-cursor") for one that we did not sign for this list. NULL text gives NULL. */
int cursor_open(const char *text, const char *list, struct arena *a, const char **ret_plain, struct err *e);
