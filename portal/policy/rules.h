/* Between the files that read and ask policies. */
#pragma once
#include <lauxlib.h>

#include "portal/policy/policy.h"

enum policy_severity rules_severity(const char *name);            /* POLICY_ALLOW: there is none of that name */
const char *rules_name_of(const char *path, struct arena *a);     /* the policy's name by its file */
/* What a rule answered, as decisions added to `r`; 0, or -1 with *ret_why: it is not what a rule may answer. */
int rules_take(struct policy_result *r, const struct policy_rule *rule, const json_t *answer, struct arena *a, const char **ret_why);
