// Usage assumptions, in the format of infracost-usage.yml: what a plan cannot tell, such as requests a month.
//
//   version: 0.1
//   resource_usage:
//     aws_lambda_function.api: { monthly_requests: 100000 }
//     aws_sqs_queue.work[*]: { monthly_requests: 1000000 }      # each instance of a count or for_each
//   resource_type_default_usage:
//     aws_nat_gateway: { monthly_data_processed_gb: 100 }
//
// For each key the exact address is asked first, then addresses with [*], then the default of the type.
#ifndef FINOPS_USAGE_H
#define FINOPS_USAGE_H
#include "plugins/finops/doc.h"

struct usage {
    const json_t *root; // borrowed; NULL: no assumptions
};

// False, and words in `why`, when the tree is not a usage file.
bool usage_read(const json_t *root, struct usage *ret_usage, char why[DOC_WHY]);

// The value of `key` (`standard.storage_gb`) for a resource; NULL when nothing is assumed.
const json_t *usage_value(const struct usage *usage, const char *address, const char *type, const char *key);
// False when there is none. Text that is no number counts as none: usage_read() has refused it where it stands.
bool usage_number(const struct usage *usage, const char *address, const char *type, const char *key, struct dec *ret_number);
const char *usage_text(const struct usage *usage, const char *address, const char *type, const char *key);

#endif
