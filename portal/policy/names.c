/* Words of the enums. */
#include <string.h>

#include "portal/policy/policy.h"

static const char *const points[] = {"request", "plan", "destroy", "reveal", "route"};

const char *policy_point_name(enum policy_point p)
{
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        if ((unsigned)p == 1u << i)
            return points[i];
    return "";
}

unsigned policy_point_parse(const char *name)
{
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        if (!strcmp(points[i], name))
            return 1u << i;
    return 0;
}

const char *policy_severity_name(enum policy_severity s)
{
    static const char *const names[] = {"allow", "advisory", "warn", "approve", "deny"};
    return names[s];
}
