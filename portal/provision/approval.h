/* Approval as the processes of a node set it up; portal/provision/README.md tells how it works. */
#pragma once
#include "portal/core/config.h"
#include "portal/db/db.h"

extern const struct config_key approval_config[];
/* Once at start, before server or jobs. Thread: main. */
void approval_configure(const struct config *c);
/* What people are told, and the buttons that they may press. As above. */
void provision_register_messages(void);
/* Rounds of approval that wait, and for how many seconds the oldest has. For /metrics. */
int approval_count(struct db_conn *c, int64_t *ret_waiting, int64_t *ret_oldest_s, struct err *e);
