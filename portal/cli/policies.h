/* Between the two files of `soma policy`. */
#pragma once
#include "portal/cli/cli.h"

int policy_run_test(struct cli *c, struct err *e);
int policy_run_eval(struct cli *c, struct err *e);
/* One policy's result for people: what it decided, then what each rule did. */
void policy_print_result(struct cli *c, const json_t *result);
