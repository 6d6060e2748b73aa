// RDS and Aurora, DynamoDB, ElastiCache. Prices: aws.amazon.com/rds/pricing, /rds/aurora/pricing, /dynamodb/pricing, /elasticache/pricing.
#include "plugins/finops/rules_private.h"

#include <stdlib.h>
#include <string.h>

static void add(struct rule_context *c, const char *service, const char *component, const char *sku, struct dec quantity, const char *needs)
{
    rule_add(c, &(struct rule_line){ .component = component, .service = service, .sku = sku, .quantity = quantity, .needs = needs });
}

static void add_rds(struct rule_context *c, const char *component, const char *sku, struct dec quantity, const char *needs) { add(c, "rds", component, sku, quantity, needs); }

static struct dec at_least(struct dec value, long long least) { return dec_is_none(value) ? dec_int(least) : dec_max(value, dec_int(least)); }

static bool starts(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }

// --- what RDS and Aurora share

// How the price lists name an engine: editions of Oracle under one's own licence cost the same.
static const char *priced_engine(const struct rule_context *c, const char *engine)
{
    const char *licence = rule_text_or(c, "license_model", "");
    if (!strcmp(engine, "aurora"))
        return "aurora-mysql";
    if (!starts(engine, "oracle"))
        return engine;
    bool own = !strcmp(licence, "bring-your-own-license"), included = starts(engine, "oracle-se1") || starts(engine, "oracle-se2");
    return own || !included ? "oracle-byol" : starts(engine, "oracle-se1") ? "oracle-se1" : "oracle-se2";
}

// 5.7.44 -> 5.7, 11.22 -> 11, 8.0.mysql_aurora.3.04 -> 8.0: what the calendar of extended support is kept by.
static const char *major_version(const struct rule_context *c, const char *engine, const char *version)
{
    size_t len = strcspn(version, ".");
    bool one_part = strstr(engine, "postgres") && atoi(version) >= 10;
    if (!one_part && version[len] == '.')
        len += 1 + strcspn(version + len + 1, ".");
    return rule_format(c, "%.*s", (int)(len < 40 ? len : 40), version);
}

static void add_extended_support(struct rule_context *c, const char *engine, const char *class, long long machines)
{
    const char *version = rule_text(c, "engine_version");
    if (!version)
        return; // the newest version then
    const char *sku = rule_format(c, "extended-support/%s/%s", engine, major_version(c, engine, version));
    if (rule_has_price(c, "rds", sku, NULL, "us-east-1")) // the calendar is the same everywhere, the price is not
        add_rds(c, "Extended support", sku, rule_hours(dec_mul(rule_vcpus(class), dec_int(machines))), "the number of vCPUs of the instance class");
}

// db.r5.large -> r5
static const char *family_of(const struct rule_context *c, const char *class)
{
    const char *from = starts(class, "db.") ? class + 3 : class;
    return rule_format(c, "%.*s", (int)strcspn(from, "."), from);
}

static void add_insights(struct rule_context *c, const char *family, struct dec units)
{
    struct dec days = rule_number_or(c, "performance_insights_retention_period", 7);
    if (!rule_true(c, "performance_insights_enabled"))
        return;
    if (dec_cmp(days, dec_int(7)) > 0) { // seven days are included
        char months[DEC_TEXT];
        dec_text(dec_cmp(days, dec_int(731)) == 0 ? dec_int(24) : dec_round(dec_div(days, dec_int(31)), 0), 0, months);
        add_rds(c, rule_format(c, "Performance Insights retention (%s)", family), rule_format(c, "insights-retention/%s/%s", family, months), units,
            "the number of vCPUs or capacity units");
    }
    add_rds(c, "Performance Insights API requests", "insights-requests", rule_usage(c, "monthly_additional_performance_insights_requests"),
        "monthly_additional_performance_insights_requests");
}

static void add_credits(struct rule_context *c, const char *class, const char *sku)
{
    if (!starts(class, "db.t3.") && !starts(class, "db.t4g."))
        return;
    struct dec vcpus = rule_usage(c, "vcpu_count");
    add_rds(c, "CPU credits", sku, dec_mul(rule_usage(c, "monthly_cpu_credit_hrs"), dec_is_none(vcpus) ? rule_vcpus(class) : vcpus), "monthly_cpu_credit_hrs");
}

static void add_database_hours(struct rule_context *c, const char *class, const char *engine, const char *placement, long long count)
{
    const char *term = rule_reserved_term(c, false);
    rule_add(c, &(struct rule_line){ .component = rule_format(c, "Database instance (%s, %s, %s)", term ? term : "on-demand", placement, class), .service = "rds",
        .sku = rule_format(c, "instance/%s/%s/%s", class, engine, placement), .term = term, .quantity = rule_hours(dec_int(count)) });
}

// --- RDS instance

static const char *instance_engine(struct rule_context *c)
{
    const char *engine = rule_text(c, "engine");
    if (engine)
        return engine;
    const struct plan_resource *source = rule_reference(c, "replicate_source_db", "aws_db_instance", "identifier");
    if (!source)
        return rule_has(c, "replicate_source_db") || rule_unknown(c, "engine") ? NULL : "mysql";
    engine = json_string_value(json_object_get(rule_values_of(c, source), "engine"));
    return engine ? engine : "mysql";
}

struct database {
    const char *class, *engine, *placement, *storage;
    bool multi_az;
    struct dec size, iops;
};

// The least that RDS gives: 20 GB of SSD, 5 GB of magnetic disk, 100 GB and 1,000 IOPS of provisioned IOPS.
static void read_storage(const struct rule_context *c, struct database *d)
{
    d->iops = rule_number(c, "iops");
    d->storage = rule_text(c, "storage_type");
    if (!d->storage)
        d->storage = dec_cmp(d->iops, dec_int(0)) > 0 ? "io1" : "gp2";
    bool provisioned = starts(d->storage, "io"), small = starts(d->engine, "sqlserver");
    d->size = at_least(rule_number(c, "allocated_storage"), provisioned && !small ? 100 : !strcmp(d->storage, "standard") ? 5 : 20);
    if (provisioned)
        d->iops = at_least(d->iops, 1000);
}

// gp3 includes 3,000 IOPS, and 12,000 once the size makes RDS stripe over four volumes.
static struct dec included_iops(const struct database *d)
{
    long long striped_from = starts(d->engine, "oracle") ? 200 : 400;
    bool striped = !starts(d->engine, "sqlserver") && dec_cmp(d->size, dec_int(striped_from)) >= 0;
    return dec_int(striped ? 12000 : 3000);
}

static void add_database_storage(struct rule_context *c, const struct database *d)
{
    add_rds(c, rule_format(c, "Storage (%s)", d->storage), rule_format(c, "storage/%s/%s", d->storage, d->placement), d->size, "allocated_storage");
    if (starts(d->storage, "io"))
        add_rds(c, "Provisioned IOPS", rule_format(c, "iops/%s/%s", d->storage, d->placement), d->iops, "iops");
    struct dec extra = dec_sub(d->iops, included_iops(d));
    if (!strcmp(d->storage, "gp3") && dec_cmp(extra, dec_int(0)) > 0)
        add_rds(c, "Provisioned IOPS above the included ones", rule_format(c, "iops/gp3/%s", d->placement), extra, "iops");
    if (!strcmp(d->storage, "standard"))
        add_rds(c, "I/O requests", "io-requests/standard", rule_usage(c, "monthly_standard_io_requests"), "monthly_standard_io_requests");
}

static void add_database_backup(struct rule_context *c, const struct database *d)
{
    struct dec extra = rule_usage(c, "additional_backup_storage_gb"), days = rule_number_or(c, "backup_retention_period", 0);
    if (!dec_is_none(extra) || dec_cmp(days, dec_int(0)) > 0)
        add_rds(c, "Additional backup storage", starts(d->engine, "aurora") ? "backup/aurora" : "backup", extra, "additional_backup_storage_gb");
}

void rule_aws_db_instance(struct rule_context *c)
{
    const char *engine = instance_engine(c);
    struct database d = { .class = rule_need(c, "instance_class"), .multi_az = rule_true(c, "multi_az") };
    if (!engine)
        rule_unpriced(c, "the engine is not known before the apply");
    if (!engine || !d.class)
        return;
    d.engine = priced_engine(c, engine);
    d.placement = d.multi_az ? "multi-az" : "single-az";
    read_storage(c, &d);
    add_database_hours(c, d.class, d.engine, d.placement, 1);
    add_database_storage(c, &d);
    add_database_backup(c, &d);
    add_credits(c, d.class, "cpu-credits/rds");
    add_insights(c, family_of(c, d.class), rule_vcpus(d.class));
    add_extended_support(c, d.engine, d.class, d.multi_az ? 2 : 1);
}

// --- Aurora

static void add_backtrack(struct rule_context *c, const char *engine)
{
    struct dec statements = rule_usage(c, "average_statements_per_hr"), records = rule_usage(c, "change_records_per_statement"), window = rule_usage(c, "backtrack_window_hrs");
    if (strcmp(engine, "aurora-mysql"))
        return;
    // what the window keeps at any time, paid by the hour
    add_rds(c, "Backtrack", "aurora/backtrack", rule_hours(dec_mul(dec_mul(statements, records), window)),
        "average_statements_per_hr, change_records_per_statement and backtrack_window_hrs");
}

static void add_aurora_storage(struct rule_context *c, bool optimized)
{
    struct dec per_second = dec_add(rule_usage(c, "write_requests_per_sec"), rule_usage(c, "read_requests_per_sec"));
    struct dec days = rule_number_or(c, "backup_retention_period", 1), snapshot = rule_usage(c, "backup_snapshot_size_gb");
    add_rds(c, optimized ? "Storage (I/O-optimized)" : "Storage", optimized ? "aurora/storage/io-optimized" : "aurora/storage", rule_usage(c, "storage_gb"), "storage_gb");
    if (!optimized)
        add_rds(c, "I/O requests", "aurora/io-requests", rule_hours(dec_mul(per_second, dec_int(3600))), "write_requests_per_sec and read_requests_per_sec");
    if (dec_cmp(days, dec_int(1)) > 0) // the first day is included
        add_rds(c, "Backup storage", "backup/aurora", dec_mul(dec_sub(days, dec_int(1)), snapshot), "backup_snapshot_size_gb");
    add_rds(c, "Snapshot export", "snapshot-export", rule_usage(c, "snapshot_export_size_gb"), "snapshot_export_size_gb");
}

// A Multi-AZ cluster of RDS proper: three machines with storage of their own.
static void add_multi_az_cluster(struct rule_context *c, const char *engine)
{
    const char *class = rule_need(c, "db_cluster_instance_class"), *storage = rule_text_or(c, "storage_type", "io1");
    if (!class)
        return;
    add_database_hours(c, class, engine, "multi-az-cluster", 1);
    add_rds(c, rule_format(c, "Storage (%s)", storage), rule_format(c, "storage/%s/multi-az-cluster", storage), rule_number(c, "allocated_storage"), "allocated_storage");
    if (starts(storage, "io"))
        add_rds(c, "Provisioned IOPS", rule_format(c, "iops/%s/multi-az-cluster", storage), rule_number(c, "iops"), "iops");
}

void rule_aws_rds_cluster(struct rule_context *c)
{
    const char *given = rule_text_or(c, "engine", "aurora-mysql"), *engine = !strcmp(given, "aurora") ? "aurora-mysql" : given;
    bool serverless = !strcmp(rule_text_or(c, "engine_mode", "provisioned"), "serverless"), optimized = !strcmp(rule_text_or(c, "storage_type", ""), "aurora-iopt1");
    if (!starts(engine, "aurora")) {
        add_multi_az_cluster(c, engine);
        return;
    }
    if (serverless)
        add_rds(c, "Aurora serverless", "aurora/serverless-v1", rule_hours(rule_usage(c, "capacity_units_per_hr")), "capacity_units_per_hr");
    add_aurora_storage(c, optimized);
    if (!serverless)
        add_backtrack(c, engine);
}

static const json_t *cluster_values(const struct rule_context *c)
{
    return rule_values_of(c, rule_reference(c, "cluster_identifier", "aws_rds_cluster", "cluster_identifier"));
}

void rule_aws_rds_cluster_instance(struct rule_context *c)
{
    const json_t *cluster = cluster_values(c);
    const char *type = json_string_value(json_object_get(cluster, "storage_type")), *class = rule_need(c, "instance_class");
    const char *of_cluster = json_string_value(json_object_get(cluster, "engine")), *given = rule_text_or(c, "engine", of_cluster ? of_cluster : "aurora-mysql");
    const char *engine = !strcmp(given, "aurora") ? "aurora-mysql" : given;
    bool optimized = type && !strcmp(type, "aurora-iopt1");
    if (!class)
        return;
    if (!strcmp(class, "db.serverless")) {
        struct dec units = rule_usage(c, "capacity_units_per_hr");
        add_rds(c, optimized ? "Aurora serverless v2 (I/O-optimized)" : "Aurora serverless v2", optimized ? "aurora/serverless-v2/io-optimized" : "aurora/serverless-v2",
            rule_hours(units), "capacity_units_per_hr");
        add_insights(c, "serverless", units);
        return;
    }
    add_database_hours(c, class, engine, optimized ? "io-optimized" : "single-az", 1);
    add_credits(c, class, "cpu-credits/aurora");
    add_insights(c, family_of(c, class), rule_vcpus(class));
    add_extended_support(c, engine, class, 1);
}

// --- scaling targets

bool rule_scaled_capacity(const struct rule_context *c, const char *dimension, const char *literal, struct dec *ret_capacity)
{
    const struct plan *plan = &c->estimate->plan;
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_resource *r = &plan->resources[i];
        const json_t *values = strcmp(r->type, "aws_appautoscaling_target") ? NULL : rule_values_of(c, r);
        const char *of = json_string_value(json_object_get(values, "scalable_dimension")), *id = json_string_value(json_object_get(values, "resource_id"));
        if (!of || strcmp(of, dimension))
            continue;
        const struct plan_resource *target = plan_reference(plan, r, "resource_id", c->r->type);
        if (target ? target != c->r : !id || !literal || strcmp(id, literal))
            continue;
        return usage_number(&c->estimate->usage, r->address, r->type, "capacity", ret_capacity) || doc_number(json_object_get(values, "min_capacity"), ret_capacity);
    }
    return false;
}

// --- DynamoDB

static struct dec index_capacity(const struct rule_context *c, const char *key)
{
    struct dec sum = dec_int(0);
    size_t i;
    json_t *index;
    json_array_foreach(doc_at(c->values, "global_secondary_index"), i, index) {
        struct dec one;
        if (doc_number(json_object_get(index, key), &one))
            sum = dec_add(sum, one);
    }
    return sum;
}

static struct dec table_capacity(const struct rule_context *c, const char *key, const char *dimension)
{
    const char *name = rule_text(c, "name");
    struct dec capacity;
    if (!rule_scaled_capacity(c, dimension, name ? rule_format(c, "table/%s", name) : NULL, &capacity))
        capacity = rule_number(c, key);
    return dec_add(capacity, index_capacity(c, key));
}

// Each replica is written as often as the table; its writes cost what they cost where it is.
static void add_replicas(struct rule_context *c, const char *sku, struct dec quantity, const char *needs)
{
    size_t i;
    json_t *replica;
    json_array_foreach(doc_at(c->values, "replica"), i, replica) {
        const char *region = json_string_value(json_object_get(replica, "region_name"));
        if (region)
            rule_add(c, &(struct rule_line){ .component = rule_format(c, "Replicated writes (%s)", region), .service = "dynamodb", .sku = sku, .region = region,
                .quantity = quantity, .needs = needs });
    }
}

static void add_table_throughput(struct rule_context *c, const char *class)
{
    if (!strcmp(rule_text_or(c, "billing_mode", "PROVISIONED"), "PAY_PER_REQUEST")) {
        struct dec writes = rule_usage(c, "monthly_write_request_units"), reads = rule_usage(c, "monthly_read_request_units");
        add(c, "dynamodb", "Write request units", rule_format(c, "write-requests%s", class), writes, "monthly_write_request_units");
        add(c, "dynamodb", "Read request units", rule_format(c, "read-requests%s", class), reads, "monthly_read_request_units");
        add_replicas(c, "replicated-write-requests", writes, "monthly_write_request_units");
        return;
    }
    struct dec writes = rule_hours(table_capacity(c, "write_capacity", "dynamodb:table:WriteCapacityUnits"));
    struct dec reads = rule_hours(table_capacity(c, "read_capacity", "dynamodb:table:ReadCapacityUnits"));
    add(c, "dynamodb", "Write capacity units", rule_format(c, "write-capacity%s", class), writes, "write_capacity");
    add(c, "dynamodb", "Read capacity units", rule_format(c, "read-capacity%s", class), reads, "read_capacity");
    add_replicas(c, "replicated-write-capacity", writes, "write_capacity");
}

void rule_aws_dynamodb_table(struct rule_context *c)
{
    const char *class = !strcmp(rule_text_or(c, "table_class", "STANDARD"), "STANDARD_INFREQUENT_ACCESS") ? "/infrequent" : "";
    add_table_throughput(c, class);
    add(c, "dynamodb", "Data storage", rule_format(c, "storage%s", class), rule_usage(c, "storage_gb"), "storage_gb");
    if (rule_true(c, "point_in_time_recovery.0.enabled"))
        add(c, "dynamodb", "Point-in-time recovery", "pitr-storage", rule_usage(c, "pitr_backup_storage_gb"), "pitr_backup_storage_gb");
    add(c, "dynamodb", "On-demand backup", "backup-storage", rule_usage(c, "on_demand_backup_storage_gb"), "on_demand_backup_storage_gb");
    add(c, "dynamodb", "Table data restored", "restore", rule_usage(c, "monthly_data_restored_gb"), "monthly_data_restored_gb");
    add(c, "dynamodb", "Streams read requests", "stream-requests", rule_usage(c, "monthly_streams_read_request_units"), "monthly_streams_read_request_units");
}

// --- ElastiCache

static void add_cache(struct rule_context *c, const char *node, const char *engine, struct dec nodes)
{
    const char *term = rule_reserved_term(c, false);
    rule_add(c, &(struct rule_line){ .component = rule_format(c, "Cache nodes (%s, %s)", term ? term : "on-demand", node), .service = "elasticache",
        .sku = rule_format(c, "instance/%s/%s", node, engine), .term = term, .quantity = rule_hours(nodes), .needs = "the number of nodes" });
    struct dec kept = rule_number_or(c, "snapshot_retention_limit", 0); // the storage of one snapshot is included
    if (dec_cmp(kept, dec_int(1)) > 0 && strcmp(engine, "memcached"))
        add(c, "elasticache", "Backup storage", "backup", dec_mul(dec_sub(kept, dec_int(1)), rule_usage(c, "snapshot_storage_size_gb")), "snapshot_storage_size_gb");
}

void rule_aws_elasticache_cluster(struct rule_context *c)
{
    if (rule_text(c, "replication_group_id") || rule_reference(c, "replication_group_id", "aws_elasticache_replication_group", "replication_group_id"))
        return; // a member: the replication group is priced with all its nodes
    const char *node = rule_need(c, "node_type");
    if (node)
        add_cache(c, node, rule_text_or(c, "engine", "redis"), rule_number_or(c, "num_cache_nodes", 1));
}

static struct dec group_nodes(const struct rule_context *c)
{
    const char *id = rule_text(c, "replication_group_id"), *literal = id ? rule_format(c, "replication-group/%s", id) : NULL;
    struct dec groups = rule_number(c, "num_node_groups"), replicas = rule_number_or(c, "replicas_per_node_group", 0);
    bool scaled = rule_scaled_capacity(c, "elasticache:replication-group:NodeGroups", literal, &groups);
    scaled |= rule_scaled_capacity(c, "elasticache:replication-group:Replicas", literal, &replicas);
    if (!scaled && dec_is_none(groups))
        return rule_number_or(c, "num_cache_clusters", 1);
    return dec_mul(dec_is_none(groups) ? dec_int(1) : groups, dec_add(dec_int(1), replicas));
}

void rule_aws_elasticache_replication_group(struct rule_context *c)
{
    const char *node = rule_text(c, "node_type");
    if (!node && rule_has(c, "global_replication_group_id")) {
        rule_unpriced(c, "node_type comes from the global replication group");
        return;
    }
    node = node ? node : rule_need(c, "node_type");
    if (node)
        add_cache(c, node, rule_text_or(c, "engine", "redis"), group_nodes(c));
}
