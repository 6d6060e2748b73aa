// EC2, EBS, EKS, ECS on Fargate and Lambda. Prices: aws.amazon.com/ec2/pricing, /ebs/pricing, /eks/pricing, /fargate/pricing, /lambda/pricing.
#include "plugins/finops/rules_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ROOT_GB 8 // what EC2 gives a root volume when neither the plan nor the launch template tells; the image decides
#define NODE_GB 20 // the same for the nodes of EKS
#define MONITORED_METRICS 7 // that detailed monitoring sends for an instance

// --- what one machine, or `count` of them, is made of

struct machine {
    const char *type, *os, *tenancy, *credits;
    bool on_host, optimized, monitored, spot;
    struct dec count, hours;
    const struct plan_resource *template;
    const json_t *template_values;
};

struct volume {
    const char *label, *type, *io_usage;
    struct dec size, iops, throughput, count;
};

struct dec rule_vcpus(const char *instance_type)
{
    const char *size = strrchr(instance_type, '.');
    if (!size)
        return dec_none();
    size++;
    if (!strcmp(size, "medium") || !strcmp(size, "small") || !strcmp(size, "micro") || !strcmp(size, "nano")) {
        bool one = strstr(instance_type, "t2.") ? strcmp(size, "medium") != 0 : !strstr(instance_type, "t3.") && !strstr(instance_type, "t3a.") && !strstr(instance_type, "t4g.");
        return dec_int(one ? 1 : 2);
    }
    if (!strcmp(size, "large"))
        return dec_int(2);
    if (!strcmp(size, "xlarge"))
        return dec_int(4);
    char *end;
    long n = strtol(size, &end, 10);
    return n > 0 && n < 1000 && !strcmp(end, "xlarge") ? dec_int(n * 4) : dec_none();
}

const char *rule_reserved_term(const struct rule_context *c, bool with_type)
{
    const char *term = rule_usage_text(c, "reserved_instance_term"), *option = rule_usage_text(c, "reserved_instance_payment_option");
    const char *type = rule_usage_text(c, "reserved_instance_type");
    if (!term || !option)
        return NULL;
    return with_type ? rule_format(c, "reserved/%s/%s/%s", type ? type : "standard", term, option) : rule_format(c, "reserved/%s/%s", term, option);
}

static const char *template_text(const struct machine *m, const char *path)
{
    const char *text = json_string_value(doc_at(m->template_values, path));
    return text && *text ? text : NULL;
}

static bool template_true(const struct machine *m, const char *path)
{
    const json_t *value = doc_at(m->template_values, path);
    return json_is_true(value) || (json_is_string(value) && !strcmp(json_string_value(value), "true"));
}

static void find_template(struct rule_context *c, struct machine *m)
{
    m->template = rule_reference(c, "launch_template.0.id", "aws_launch_template", "id");
    if (!m->template)
        m->template = rule_reference(c, "launch_template.0.name", "aws_launch_template", "name");
    m->template_values = rule_values_of(c, m->template);
}

static bool bursts_without_limit(const struct machine *m)
{
    if (m->credits)
        return !strcmp(m->credits, "unlimited");
    return !strncmp(m->type, "t3.", 3) || !strncmp(m->type, "t3a.", 4) || !strncmp(m->type, "t4g.", 4); // t2 starts out as standard
}

static const char *machine_term(const struct rule_context *c, const struct machine *m) { return m->spot ? "spot" : rule_reserved_term(c, true); }

static void add_machine_hours(struct rule_context *c, const struct machine *m)
{
    const char *term = machine_term(c, m);
    bool upfront = term && strstr(term, "all_upfront");
    rule_add(c, &(struct rule_line){ .component = rule_format(c, "Instance usage (%s, %s, %s%s)", m->os, term ? term : "on-demand", m->type, upfront ? ", paid upfront" : ""),
        .service = "ec2", .sku = rule_format(c, "instance/%s/%s/%s", m->type, m->os, m->tenancy), .term = term, .quantity = dec_mul(m->count, m->hours) });
}

static void add_machine_credits(struct rule_context *c, const struct machine *m)
{
    if (m->type[0] != 't' || !strchr("234", m->type[1]) || !bursts_without_limit(m))
        return;
    struct dec vcpus = rule_usage(c, "vcpu_count"), hours = rule_usage(c, "monthly_cpu_credit_hrs");
    if (dec_is_none(vcpus))
        vcpus = rule_vcpus(m->type);
    const char *family = rule_format(c, "cpu-credits/%.*s", (int)strcspn(m->type, "."), m->type);
    rule_add(c, &(struct rule_line){ .component = "CPU credits", .service = "ec2", .sku = family, .quantity = dec_mul(m->count, dec_mul(hours, vcpus)),
        .needs = "monthly_cpu_credit_hrs" });
}

static void add_machine(struct rule_context *c, const struct machine *m)
{
    if (!m->on_host) {
        add_machine_hours(c, m);
        add_machine_credits(c, m);
        if (m->optimized)
            rule_add(c, &(struct rule_line){ .component = "EBS-optimized usage", .service = "ec2", .sku = rule_format(c, "ebs-optimized/%s", m->type),
                .quantity = dec_mul(m->count, m->hours), .optional = true });
    }
    if (m->monitored)
        rule_add(c, &(struct rule_line){ .component = "EC2 detailed monitoring", .service = "cloudwatch", .sku = "metric",
            .quantity = dec_mul(dec_mul(m->count, dec_int(MONITORED_METRICS)), dec_div(m->hours, dec_int(730))) });
}

// --- volumes

static const char *volume_name(const char *type)
{
    static const char *const names[][2] = { { "gp2", "general purpose SSD, gp2" }, { "gp3", "general purpose SSD, gp3" }, { "io1", "provisioned IOPS SSD, io1" },
        { "io2", "provisioned IOPS SSD, io2" }, { "st1", "throughput optimized HDD, st1" }, { "sc1", "cold HDD, sc1" }, { "standard", "magnetic" } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(type, names[i][0]))
            return names[i][1];
    return type;
}

static void add_volume_extras(struct rule_context *c, const struct volume *v, const char *suffix)
{
    struct dec zero = dec_int(0);
    if (!strcmp(v->type, "io1") || !strcmp(v->type, "io2"))
        rule_add(c, &(struct rule_line){ .component = rule_format(c, "Provisioned IOPS%s", suffix), .service = "ec2", .sku = rule_format(c, "iops/%s", v->type),
            .quantity = dec_mul(v->count, v->iops), .needs = "iops" });
    if (!strcmp(v->type, "gp3")) {
        struct dec iops = dec_sub(v->iops, dec_int(3000)), throughput = dec_sub(v->throughput, dec_int(125)); // both are included up to there
        if (dec_cmp(iops, zero) > 0)
            rule_add(c, &(struct rule_line){ .component = rule_format(c, "Provisioned IOPS%s", suffix), .service = "ec2", .sku = "iops/gp3", .quantity = dec_mul(v->count, iops) });
        if (dec_cmp(throughput, zero) > 0)
            rule_add(c, &(struct rule_line){ .component = rule_format(c, "Provisioned throughput%s", suffix), .service = "ec2", .sku = "throughput/gp3",
                .quantity = dec_mul(v->count, throughput) });
    }
    if (!strcmp(v->type, "standard"))
        rule_add(c, &(struct rule_line){ .component = rule_format(c, "I/O requests%s", suffix), .service = "ec2", .sku = "io-requests/standard",
            .quantity = dec_mul(v->count, rule_usage(c, v->io_usage)), .needs = v->io_usage });
}

static void add_volume(struct rule_context *c, const struct volume *v)
{
    const char *suffix = v->label ? rule_format(c, ", %s", v->label) : "";
    rule_add(c, &(struct rule_line){ .component = rule_format(c, "Storage (%s)%s", volume_name(v->type), suffix), .service = "ec2",
        .sku = rule_format(c, "storage/%s", v->type), .quantity = dec_mul(v->count, v->size), .needs = "the size of the volume" });
    add_volume_extras(c, v, suffix);
}

static struct dec number_of(const json_t *object, const char *key, struct dec otherwise)
{
    doc_number(json_object_get(object, key), &otherwise);
    return otherwise;
}

// A block device of an instance or a template as a volume. `least` is the size where none is told; dec_none(): the volume must tell.
static struct volume volume_of(const json_t *block, const char *label, struct dec count, struct dec least)
{
    const char *type = json_string_value(json_object_get(block, "volume_type"));
    return (struct volume){ .label = label, .type = type && *type ? type : "gp2", .size = number_of(block, "volume_size", least),
        .iops = number_of(block, "iops", dec_none()), .throughput = number_of(block, "throughput", dec_none()), .count = count };
}

static const json_t *block_of(const json_t *own, const char *device)
{
    size_t i;
    json_t *block;
    json_array_foreach(own, i, block) {
        const char *name = json_string_value(json_object_get(block, "device_name"));
        if (name && device && !strcmp(name, device))
            return block;
    }
    return NULL;
}

// The template's block device of the same name fills in what the instance's own one leaves open.
static struct volume merged_volume(const struct rule_context *c, const struct machine *m, const json_t *own, const char *label)
{
    const char *device = json_string_value(json_object_get(own, "device_name")), *type = json_string_value(json_object_get(own, "volume_type"));
    const json_t *mapping = block_of(doc_at(m->template_values, "block_device_mappings"), device);
    struct volume base = volume_of(doc_at(mapping, "ebs.0"), label, m->count, dec_int(ROOT_GB)), v = volume_of(own, label, m->count, base.size);
    v.type = type && *type ? type : base.type;
    v.iops = dec_is_none(v.iops) ? base.iops : v.iops;
    v.throughput = dec_is_none(v.throughput) ? base.throughput : v.throughput;
    v.io_usage = rule_format(c, "%s.monthly_standard_io_requests", label);
    return v;
}

// The block devices of a launch template that are not among the instance's own. Returns how many the template has.
static size_t add_template_volumes(struct rule_context *c, const struct machine *m, const json_t *own)
{
    const json_t *mappings = doc_at(m->template_values, "block_device_mappings");
    size_t i;
    json_t *mapping;
    json_array_foreach(mappings, i, mapping) {
        const json_t *block = doc_at(mapping, "ebs.0");
        if (!block || block_of(own, json_string_value(json_object_get(mapping, "device_name"))))
            continue;
        const char *label = rule_format(c, "block_device_mappings[%zu]", i);
        struct volume v = volume_of(block, label, m->count, dec_int(ROOT_GB));
        v.io_usage = rule_format(c, "%s.monthly_standard_io_requests", label);
        add_volume(c, &v);
    }
    return json_array_size(mappings);
}

static void add_instance_volumes(struct rule_context *c, const struct machine *m)
{
    const json_t *own = doc_at(c->values, "ebs_block_device"), *root = doc_at(c->values, "root_block_device.0");
    struct volume v = volume_of(root, "root_block_device", m->count, dec_int(ROOT_GB));
    v.io_usage = "root_block_device.monthly_standard_io_requests";
    add_volume(c, &v);
    size_t i;
    json_t *block;
    json_array_foreach(own, i, block) {
        struct volume more = merged_volume(c, m, block, rule_format(c, "ebs_block_device[%zu]", i));
        add_volume(c, &more);
    }
    add_template_volumes(c, m, own);
}

// --- EC2

static void read_tenancy(const struct rule_context *c, struct machine *m)
{
    const char *tenancy = rule_text(c, "tenancy");
    if (!tenancy)
        tenancy = template_text(m, "placement.0.tenancy");
    m->on_host = (tenancy && !strcmp(tenancy, "host")) || rule_text(c, "host_id") || (rule_unknown(c, "host_id") && plan_reference(&c->estimate->plan, c->r, "host_id", "aws_ec2_host"));
    m->tenancy = tenancy && !strcmp(tenancy, "dedicated") ? "dedicated" : "shared";
}

// A switch that the instance sets itself, or leaves to its template.
static bool read_switch(const struct rule_context *c, const struct machine *m, const char *own, const char *in_template)
{
    return rule_has(c, own) ? rule_true(c, own) : template_true(m, in_template);
}

static const char *machine_os(const struct rule_context *c)
{
    const char *os = rule_usage_text(c, "operating_system");
    return os ? os : "linux"; // the image tells, which a plan does not read
}

void rule_aws_instance(struct rule_context *c)
{
    struct machine m = { .count = dec_int(1), .hours = rule_usage_or(c, "monthly_hrs", 730), .os = machine_os(c) };
    find_template(c, &m);
    m.type = rule_text(c, "instance_type");
    if (!m.type)
        m.type = template_text(&m, "instance_type");
    read_tenancy(c, &m);
    m.credits = rule_text(c, "credit_specification.0.cpu_credits");
    if (!m.credits)
        m.credits = template_text(&m, "credit_specification.0.cpu_credits");
    m.optimized = read_switch(c, &m, "ebs_optimized", "ebs_optimized");
    m.monitored = read_switch(c, &m, "monitoring", "monitoring.0.enabled");
    const char *market = rule_text(c, "instance_market_options.0.market_type");
    m.spot = market && !strcmp(market, "spot");
    if (m.type || m.on_host)
        add_machine(c, &m);
    else
        rule_need(c, "instance_type");
    add_instance_volumes(c, &m);
}

void rule_aws_autoscaling_group(struct rule_context *c)
{
    struct dec count = rule_usage(c, "instances");
    if (dec_is_none(count))
        count = rule_number(c, "desired_capacity");
    if (dec_is_none(count))
        count = rule_number(c, "min_size");
    struct machine m = { .count = count, .hours = dec_int(730), .os = machine_os(c), .tenancy = "shared" };
    find_template(c, &m);
    m.type = template_text(&m, "instance_type");
    if (!m.type) {
        rule_unpriced(c, "the launch template or launch configuration does not tell an instance_type");
        return;
    }
    m.credits = template_text(&m, "credit_specification.0.cpu_credits");
    m.optimized = template_true(&m, "ebs_optimized");
    m.monitored = template_true(&m, "monitoring.0.enabled");
    add_machine(c, &m);
    add_template_volumes(c, &m, NULL);
}

void rule_aws_ebs_volume(struct rule_context *c)
{
    const struct plan_resource *snapshot = rule_reference(c, "snapshot_id", "aws_ebs_snapshot", "id");
    struct dec size = rule_number(c, "size");
    if (dec_is_none(size) && snapshot)
        size = number_of(rule_values_of(c, snapshot), "volume_size", dec_none());
    struct volume v = { .type = rule_text_or(c, "type", "gp2"), .size = size, .iops = rule_number(c, "iops"), .throughput = rule_number(c, "throughput"),
        .count = dec_int(1), .io_usage = "monthly_standard_io_requests" };
    add_volume(c, &v);
}

static void add_snapshot_line(struct rule_context *c, const char *component, const char *sku, struct dec quantity, const char *needs)
{
    rule_add(c, &(struct rule_line){ .component = component, .service = "ec2", .sku = sku, .quantity = quantity, .needs = needs });
}

void rule_aws_ebs_snapshot(struct rule_context *c)
{
    const struct plan_resource *volume = rule_reference(c, "volume_id", "aws_ebs_volume", "id");
    struct dec size = number_of(rule_values_of(c, volume), "size", rule_number(c, "volume_size"));
    const char *component = dec_is_none(size) ? rule_format(c, "EBS snapshot storage (%d GB assumed)", ROOT_GB) : "EBS snapshot storage";
    add_snapshot_line(c, component, "snapshot/storage", dec_is_none(size) ? dec_int(ROOT_GB) : size, NULL);
    add_snapshot_line(c, "Fast snapshot restore", "snapshot/fast-restore", rule_usage(c, "fast_snapshot_restore_hours"), "fast_snapshot_restore_hours");
    add_snapshot_line(c, "ListChangedBlocks and ListSnapshotBlocks requests", "snapshot/list", rule_usage(c, "monthly_list_block_requests"), "monthly_list_block_requests");
    add_snapshot_line(c, "GetSnapshotBlock requests", "snapshot/get", rule_usage(c, "monthly_get_block_requests"), "monthly_get_block_requests");
    add_snapshot_line(c, "PutSnapshotBlock requests", "snapshot/put", rule_usage(c, "monthly_put_block_requests"), "monthly_put_block_requests");
}

// --- EKS

void rule_aws_eks_cluster(struct rule_context *c)
{
    const char *version = rule_text(c, "version");
    const char *extended = version ? rule_format(c, "cluster/extended/%s", version) : NULL;
    bool is_extended = extended && rule_has_price(c, "eks", extended, NULL, NULL);
    rule_add(c, &(struct rule_line){ .component = is_extended ? "EKS cluster (extended support)" : "EKS cluster", .service = "eks", .sku = is_extended ? extended : "cluster",
        .quantity = dec_int(730) });
}

void rule_aws_eks_node_group(struct rule_context *c)
{
    struct dec count = rule_usage(c, "instances");
    if (dec_is_none(count))
        count = rule_number(c, "scaling_config.0.desired_size");
    struct machine m = { .count = count, .hours = dec_int(730), .os = machine_os(c), .tenancy = "shared" };
    find_template(c, &m);
    m.type = rule_text(c, "instance_types.0");
    if (!m.type)
        m.type = template_text(&m, "instance_type");
    if (!m.type)
        m.type = "t3.medium"; // what EKS takes
    m.spot = !strcmp(rule_text_or(c, "capacity_type", "ON_DEMAND"), "SPOT");
    m.credits = template_text(&m, "credit_specification.0.cpu_credits");
    m.optimized = template_true(&m, "ebs_optimized");
    m.monitored = template_true(&m, "monitoring.0.enabled");
    add_machine(c, &m);
    if (add_template_volumes(c, &m, NULL) == 0)
        add_volume(c, &(struct volume){ .type = "gp2", .size = rule_number_or(c, "disk_size", NODE_GB), .count = count });
}

// --- ECS on Fargate

static bool names_fargate(const json_t *list, const char *key)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry) {
        const char *name = json_string_value(key ? json_object_get(entry, key) : entry);
        if (name && !strncmp(name, "FARGATE", 7))
            return true;
    }
    return false;
}

// Whether the cluster of the service offers Fargate, by its own list or by aws_ecs_cluster_capacity_providers.
static bool cluster_has_fargate(const struct rule_context *c)
{
    const struct plan *plan = &c->estimate->plan;
    const struct plan_resource *cluster = rule_reference(c, "cluster", "aws_ecs_cluster", "name");
    if (!cluster)
        return false;
    const json_t *values = rule_values_of(c, cluster);
    if (names_fargate(doc_at(values, "capacity_providers"), NULL) || names_fargate(doc_at(values, "default_capacity_provider_strategy"), "capacity_provider"))
        return true;
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_resource *r = &plan->resources[i];
        if (!strcmp(r->type, "aws_ecs_cluster_capacity_providers") && names_fargate(doc_at(rule_values_of(c, r), "capacity_providers"), NULL) &&
            plan_refers(plan, r, "cluster_name", cluster))
            return true;
    }
    return false;
}

static bool runs_on_fargate(const struct rule_context *c)
{
    const char *launch = rule_text(c, "launch_type");
    if (launch)
        return !strcmp(launch, "FARGATE");
    if (rule_length(c, "capacity_provider_strategy"))
        return names_fargate(doc_at(c->values, "capacity_provider_strategy"), "capacity_provider");
    return cluster_has_fargate(c);
}

static const json_t *task_of(const struct rule_context *c)
{
    const struct plan *plan = &c->estimate->plan;
    const struct plan_resource *task = rule_reference(c, "task_definition", "aws_ecs_task_definition", "family");
    for (size_t i = 0; i < plan->count && !task; i++) { // a service whose deployments are task sets has none of its own
        const struct plan_resource *r = &plan->resources[i];
        if (!strcmp(r->type, "aws_ecs_task_set") && plan_refers(plan, r, "service", c->r))
            task = plan_reference(plan, r, "task_definition", "aws_ecs_task_definition");
    }
    return rule_values_of(c, task);
}

// "1 vCPU" or 1024 units -> vCPUs; "2 GB" or 2048 MiB -> GB.
static struct dec task_size(const json_t *value, const char *unit)
{
    char text[64], *space;
    struct dec number = dec_none();
    const char *raw = json_string_value(value);
    if (!raw || strlen(raw) >= sizeof text)
        return doc_number(value, &number) ? dec_div(number, dec_int(1024)) : number;
    strcpy(text, raw);
    space = text + strcspn(text, " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    bool named = strcasestr(raw, unit) != NULL;
    *space = 0;
    if (!dec_parse(text, &number))
        return dec_none();
    return named ? number : dec_div(number, dec_int(1024));
}

void rule_aws_ecs_service(struct rule_context *c)
{
    if (!runs_on_fargate(c))
        return; // the instances of the cluster cost, not the service
    const json_t *task = task_of(c);
    if (!task) {
        rule_unpriced(c, "the task definition is not in the plan, so CPU and memory are not known");
        return;
    }
    struct dec count = rule_number_or(c, "desired_count", 0);
    const char *platform = json_string_value(doc_at(task, "runtime_platform.0.cpu_architecture"));
    const char *kind = platform && !strcmp(platform, "ARM64") ? "fargate/arm" : "fargate/x86";
    rule_add(c, &(struct rule_line){ .component = "Fargate memory", .service = "ecs", .sku = rule_format(c, "%s/gb", kind),
        .quantity = rule_hours(dec_mul(count, task_size(json_object_get(task, "memory"), "gb"))), .needs = "memory of the task definition" });
    rule_add(c, &(struct rule_line){ .component = "Fargate vCPU", .service = "ecs", .sku = rule_format(c, "%s/vcpu", kind),
        .quantity = rule_hours(dec_mul(count, task_size(json_object_get(task, "cpu"), "vcpu"))), .needs = "cpu of the task definition" });
    struct dec storage = dec_none();
    if (doc_number(doc_at(task, "ephemeral_storage.0.size_in_gib"), &storage) && dec_cmp(storage, dec_int(20)) > 0)
        rule_add(c, &(struct rule_line){ .component = "Fargate ephemeral storage", .service = "ecs", .sku = "fargate/ephemeral",
            .quantity = rule_hours(dec_mul(count, dec_sub(storage, dec_int(20)))) });
}

// --- Lambda

void rule_aws_lambda_function(struct rule_context *c)
{
    struct dec requests = rule_usage(c, "monthly_requests"), duration = rule_usage(c, "request_duration_ms");
    struct dec seconds = dec_div(dec_mul(requests, dec_ceil(duration)), dec_int(1000)); // billed by the millisecond begun
    struct dec memory = dec_div(rule_number_or(c, "memory_size", 128), dec_int(1024));
    struct dec spare = dec_sub(rule_number_or(c, "ephemeral_storage.0.size", 512), dec_int(512)); // the first 512 MB are included
    const char *arch = rule_text_or(c, "architectures.0", "x86_64");
    rule_add(c, &(struct rule_line){ .component = "Requests", .service = "lambda", .sku = "requests", .quantity = requests, .needs = "monthly_requests" });
    rule_add(c, &(struct rule_line){ .component = "Duration", .service = "lambda", .sku = rule_format(c, "duration/%s", !strcmp(arch, "arm64") ? "arm" : "x86"),
        .quantity = dec_mul(seconds, memory), .needs = "monthly_requests and request_duration_ms" });
    if (dec_cmp(spare, dec_int(0)) > 0)
        rule_add(c, &(struct rule_line){ .component = "Ephemeral storage", .service = "lambda", .sku = "ephemeral-storage",
            .quantity = dec_mul(seconds, dec_div(spare, dec_int(1024))), .needs = "monthly_requests and request_duration_ms" });
}
