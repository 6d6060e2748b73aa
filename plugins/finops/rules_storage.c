// S3, EFS, ECR. Prices: aws.amazon.com/s3/pricing, /efs/pricing, /ecr/pricing.
#include "plugins/finops/rules_private.h"

#include <string.h>

// --- S3: a table of classes and what each is charged for. Key in the usage file, words, sku.

struct s3_line {
    const char *usage, *component, *sku;
};

struct s3_class {
    const char *usage, *name;
    const struct s3_line *lines;
};

static const struct s3_line standard[] = { { "storage_gb", "Storage", "standard/storage" }, { "monthly_tier_1_requests", "PUT, COPY, POST, LIST requests", "standard/put" },
    { "monthly_tier_2_requests", "GET, SELECT and all other requests", "standard/get" }, { "monthly_select_data_scanned_gb", "Select data scanned", "standard/select-scanned" },
    { "monthly_select_data_returned_gb", "Select data returned", "standard/select-returned" }, { 0 } };

static const struct s3_line intelligent[] = { { "frequent_access_storage_gb", "Storage (frequent access)", "intelligent/frequent" },
    { "infrequent_access_storage_gb", "Storage (infrequent access)", "intelligent/infrequent" }, { "archive_access_storage_gb", "Storage (archive access)", "intelligent/archive" },
    { "deep_archive_access_storage_gb", "Storage (deep archive access)", "intelligent/deep-archive" }, { "monitored_objects", "Monitoring and automation", "intelligent/monitoring" },
    { "monthly_tier_1_requests", "PUT, COPY, POST, LIST requests", "intelligent/put" }, { "monthly_tier_2_requests", "GET, SELECT and all other requests", "intelligent/get" },
    { "monthly_lifecycle_transition_requests", "Lifecycle transition", "intelligent/transition" },
    { "monthly_select_data_scanned_gb", "Select data scanned", "intelligent/select-scanned" }, { "monthly_select_data_returned_gb", "Select data returned", "intelligent/select-returned" },
    { "early_delete_gb", "Early delete (within 30 days)", "intelligent/frequent" }, { 0 } };

static const struct s3_line infrequent[] = { { "storage_gb", "Storage", "infrequent/storage" }, { "monthly_tier_1_requests", "PUT, COPY, POST, LIST requests", "infrequent/put" },
    { "monthly_tier_2_requests", "GET, SELECT and all other requests", "infrequent/get" }, { "monthly_lifecycle_transition_requests", "Lifecycle transition", "infrequent/transition" },
    { "monthly_data_retrieval_gb", "Retrievals", "infrequent/retrieval" }, { "monthly_select_data_scanned_gb", "Select data scanned", "infrequent/select-scanned" },
    { "monthly_select_data_returned_gb", "Select data returned", "infrequent/select-returned" }, { 0 } };

static const struct s3_line one_zone[] = { { "storage_gb", "Storage", "one-zone/storage" }, { "monthly_tier_1_requests", "PUT, COPY, POST, LIST requests", "one-zone/put" },
    { "monthly_tier_2_requests", "GET, SELECT and all other requests", "one-zone/get" }, { "monthly_lifecycle_transition_requests", "Lifecycle transition", "one-zone/transition" },
    { "monthly_data_retrieval_gb", "Retrievals", "one-zone/retrieval" }, { "monthly_select_data_scanned_gb", "Select data scanned", "one-zone/select-scanned" },
    { "monthly_select_data_returned_gb", "Select data returned", "one-zone/select-returned" }, { 0 } };

static const struct s3_line glacier_instant[] = { { "storage_gb", "Storage", "glacier-instant/storage" }, { "monthly_tier_1_requests", "PUT, COPY, POST, LIST requests", "glacier-instant/put" },
    { "monthly_tier_2_requests", "GET, SELECT and all other requests", "glacier-instant/get" }, { "monthly_lifecycle_transition_requests", "Lifecycle transition", "glacier-instant/transition" },
    { "monthly_data_retrieval_gb", "Retrievals", "glacier-instant/retrieval" }, { 0 } };

static const struct s3_line glacier[] = { { "storage_gb", "Storage", "glacier/storage" }, { "monthly_tier_1_requests", "PUT, COPY, POST, LIST requests", "glacier/put" },
    { "monthly_tier_2_requests", "GET, SELECT and all other requests", "glacier/get" }, { "monthly_lifecycle_transition_requests", "Lifecycle transition", "glacier/transition" },
    { "monthly_standard_data_retrieval_requests", "Retrieval requests (standard)", "glacier/retrieval-requests/standard" },
    { "monthly_expedited_data_retrieval_requests", "Retrieval requests (expedited)", "glacier/retrieval-requests/expedited" },
    { "monthly_bulk_data_retrieval_requests", "Retrieval requests (bulk)", "glacier/retrieval-requests/bulk" },
    { "monthly_standard_data_retrieval_gb", "Retrievals (standard)", "glacier/retrieval/standard" },
    { "monthly_expedited_data_retrieval_gb", "Retrievals (expedited)", "glacier/retrieval/expedited" }, { "monthly_bulk_data_retrieval_gb", "Retrievals (bulk)", "glacier/retrieval/bulk" },
    { "monthly_standard_select_data_scanned_gb", "Select data scanned (standard)", "glacier/select-scanned/standard" },
    { "monthly_standard_select_data_returned_gb", "Select data returned (standard)", "glacier/select-returned/standard" },
    { "monthly_expedited_select_data_scanned_gb", "Select data scanned (expedited)", "glacier/select-scanned/expedited" },
    { "monthly_expedited_select_data_returned_gb", "Select data returned (expedited)", "glacier/select-returned/expedited" },
    { "monthly_bulk_select_data_scanned_gb", "Select data scanned (bulk)", "glacier/select-scanned/bulk" },
    { "monthly_bulk_select_data_returned_gb", "Select data returned (bulk)", "glacier/select-returned/bulk" },
    { "early_delete_gb", "Early delete (within 90 days)", "glacier/storage" }, { 0 } };

static const struct s3_line deep_archive[] = { { "storage_gb", "Storage", "deep-archive/storage" }, { "monthly_tier_1_requests", "PUT, COPY, POST, LIST requests", "deep-archive/put" },
    { "monthly_tier_2_requests", "GET, SELECT and all other requests", "deep-archive/get" }, { "monthly_lifecycle_transition_requests", "Lifecycle transition", "deep-archive/transition" },
    { "monthly_standard_data_retrieval_requests", "Retrieval requests (standard)", "deep-archive/retrieval-requests/standard" },
    { "monthly_bulk_data_retrieval_requests", "Retrieval requests (bulk)", "deep-archive/retrieval-requests/bulk" },
    { "monthly_standard_data_retrieval_gb", "Retrievals (standard)", "deep-archive/retrieval/standard" },
    { "monthly_bulk_data_retrieval_gb", "Retrievals (bulk)", "deep-archive/retrieval/bulk" }, { "early_delete_gb", "Early delete (within 180 days)", "deep-archive/storage" }, { 0 } };

static const struct s3_class classes[] = { { "standard", "Standard", standard }, { "intelligent_tiering", "Intelligent tiering", intelligent },
    { "standard_infrequent_access", "Standard, infrequent access", infrequent }, { "one_zone_infrequent_access", "One zone, infrequent access", one_zone },
    { "glacier_instant_retrieval", "Glacier instant retrieval", glacier_instant }, { "glacier_flexible_retrieval", "Glacier flexible retrieval", glacier },
    { "glacier_deep_archive", "Glacier deep archive", deep_archive } };

static void add_s3_class(struct rule_context *c, const struct s3_class *class, bool all)
{
    for (const struct s3_line *line = class->lines; line->usage; line++) {
        const char *key = rule_format(c, "%s.%s", class->usage, line->usage);
        struct dec quantity = rule_usage(c, key);
        if (all || !dec_is_none(quantity))
            rule_add(c, &(struct rule_line){ .component = rule_format(c, "%s: %s", class->name, line->component), .service = "s3", .sku = line->sku, .quantity = quantity,
                .needs = key });
    }
}

static void add_s3_tags(struct rule_context *c)
{
    struct dec tags = rule_usage(c, "object_tags");
    if (!dec_is_none(tags))
        rule_add(c, &(struct rule_line){ .component = "Object tagging", .service = "s3", .sku = "object-tags", .quantity = tags });
}

// A bucket may hold every class; without assumptions it is named with its own class, standard.
void rule_aws_s3_bucket(struct rule_context *c)
{
    add_s3_tags(c);
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        add_s3_class(c, &classes[i], i == 0);
}

// --- EFS

static void add_efs(struct rule_context *c, const char *component, const char *sku, struct dec quantity, const char *needs)
{
    rule_add(c, &(struct rule_line){ .component = component, .service = "efs", .sku = sku, .quantity = quantity, .needs = needs });
}

static bool moves_to(const struct rule_context *c, const char *key)
{
    for (size_t i = 0; i < rule_length(c, "lifecycle_policy"); i++)
        if (rule_has(c, rule_format(c, "lifecycle_policy.%zu.%s", i, key)))
            return true;
    return false;
}

// Provisioned throughput is paid beyond what the stored data earns: 50 MB/s for each TB, 1 MB/s for each 20 GB.
static void add_efs_throughput(struct rule_context *c)
{
    struct dec provisioned = rule_number(c, "provisioned_throughput_in_mibps"), stored = rule_usage_or(c, "storage_gb", 0);
    struct dec extra = dec_max(dec_sub(provisioned, dec_div(stored, dec_int(20))), dec_int(0));
    add_efs(c, "Provisioned throughput", "throughput", extra, "provisioned_throughput_in_mibps");
}

void rule_aws_efs_file_system(struct rule_context *c)
{
    bool one = rule_text(c, "availability_zone_name") != NULL;
    const char *zone = one ? "one-zone" : "standard";
    add_efs(c, rule_format(c, "Storage (%s)", zone), rule_format(c, "storage/%s", zone), rule_usage(c, "storage_gb"), "storage_gb");
    if (!strcmp(rule_text_or(c, "throughput_mode", "bursting"), "provisioned"))
        add_efs_throughput(c);
    if (moves_to(c, "transition_to_ia")) {
        add_efs(c, rule_format(c, "Storage (%s, infrequent access)", zone), rule_format(c, "storage/%s/infrequent", zone), rule_usage(c, "infrequent_access_storage_gb"),
            "infrequent_access_storage_gb");
        add_efs(c, "Read requests (infrequent access)", "infrequent/read", rule_usage(c, "monthly_infrequent_access_read_gb"), "monthly_infrequent_access_read_gb");
        add_efs(c, "Write requests (infrequent access)", "infrequent/write", rule_usage(c, "monthly_infrequent_access_write_gb"), "monthly_infrequent_access_write_gb");
    }
}

void rule_aws_ecr_repository(struct rule_context *c)
{
    rule_add(c, &(struct rule_line){ .component = "Storage", .service = "ecr", .sku = "storage", .quantity = rule_usage(c, "storage_gb"), .needs = "storage_gb" });
}
