// SQS, SNS, MQ, KMS, Secrets Manager, CloudWatch. Prices: aws.amazon.com/sqs/pricing, /sns/pricing, /amazon-mq/pricing, /kms/pricing, /secrets-manager/pricing,
// /cloudwatch/pricing.
#include "plugins/finops/rules_private.h"

#include <string.h>
#include <strings.h>

static void add(struct rule_context *c, const char *service, const char *component, const char *sku, struct dec quantity, const char *needs)
{
    rule_add(c, &(struct rule_line){ .component = component, .service = service, .sku = sku, .quantity = quantity, .needs = needs });
}

// A request counts once for each 64 KB begun.
static struct dec chunks(const struct rule_context *c) { return dec_max(dec_ceil(dec_div(rule_usage_or(c, "request_size_kb", 1), dec_int(64))), dec_int(1)); }

void rule_aws_sqs_queue(struct rule_context *c)
{
    add(c, "sqs", "Requests", rule_true(c, "fifo_queue") ? "requests/fifo" : "requests/standard", dec_mul(rule_usage(c, "monthly_requests"), chunks(c)), "monthly_requests");
}

// --- SNS

// Deliveries beyond the number that each month includes.
static struct dec beyond(struct dec deliveries, long long included) { return dec_is_none(deliveries) ? deliveries : dec_max(dec_sub(deliveries, dec_int(included)), dec_int(0)); }

static void add_sms(struct rule_context *c, struct dec requests)
{
    struct dec sent = beyond(dec_mul(requests, rule_usage(c, "sms_subscriptions")), 100), price = rule_usage(c, "sms_notification_price");
    if (!dec_is_none(sent) && dec_is_zero(sent))
        return;
    if (dec_is_none(sent) || dec_is_none(price)) {
        if (!dec_is_none(rule_usage(c, "sms_subscriptions")))
            rule_unpriced(c, "SMS notifications: the price depends on the country; give sms_notification_price");
        return;
    }
    rule_add_assumed(c, "SMS notifications", "notifications", sent, price);
}

static void add_standard_topic(struct rule_context *c)
{
    static const struct {
        const char *usage, *component, *sku;
        long long included;
    } kinds[] = { { "http_subscriptions", "HTTP and HTTPS notifications", "notifications/http", 100000 }, { "email_subscriptions", "Email notifications", "notifications/email", 1000 },
        { "kinesis_subscriptions", "Kinesis Firehose notifications", "notifications/firehose", 0 }, { "mobile_push_subscriptions", "Mobile push notifications", "notifications/mobile", 0 },
        { "macos_subscriptions", "macOS notifications", "notifications/macos", 0 } };
    struct dec requests = rule_usage(c, "monthly_requests");
    add(c, "sns", "API requests", "requests", beyond(dec_mul(requests, chunks(c)), 1000000), "monthly_requests");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct dec deliveries = beyond(dec_mul(requests, rule_usage(c, kinds[i].usage)), kinds[i].included);
        if (!dec_is_none(deliveries))
            add(c, "sns", kinds[i].component, kinds[i].sku, deliveries, NULL);
    }
    add_sms(c, requests);
}

static long long subscriptions_of(const struct rule_context *c)
{
    const struct plan *plan = &c->estimate->plan;
    long long count = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_resource *r = &plan->resources[i];
        if (!strcmp(r->type, "aws_sns_topic_subscription") && rule_values_of(c, r) && plan_refers(plan, r, "topic_arn", c->r))
            count++;
    }
    return count;
}

static void add_fifo_topic(struct rule_context *c)
{
    struct dec requests = rule_usage(c, "monthly_requests"), size = rule_usage(c, "request_size_kb");
    struct dec payload = dec_div(dec_mul(requests, size), dec_int(1000000)); // GB
    struct dec subscriptions = dec_int(subscriptions_of(c));
    add(c, "sns", "FIFO publish requests", "fifo/requests", requests, "monthly_requests");
    add(c, "sns", "FIFO publish payload", "fifo/payload", payload, "monthly_requests and request_size_kb");
    if (dec_is_zero(subscriptions))
        return;
    add(c, "sns", "FIFO notifications", "fifo/notifications", dec_mul(requests, subscriptions), "monthly_requests");
    add(c, "sns", "FIFO notification payload", "fifo/notification-payload", dec_mul(payload, subscriptions), "monthly_requests and request_size_kb");
}

void rule_aws_sns_topic(struct rule_context *c)
{
    if (rule_true(c, "fifo_topic"))
        add_fifo_topic(c);
    else
        add_standard_topic(c);
}

// Deliveries of one subscription, when they are assumed for it and not for the topic.
void rule_aws_sns_topic_subscription(struct rule_context *c)
{
    struct dec deliveries = dec_mul(rule_usage(c, "monthly_requests"), chunks(c));
    const char *protocol = rule_text_or(c, "protocol", "");
    if (!strncmp(protocol, "http", 4) && !dec_is_none(deliveries))
        add(c, "sns", "HTTP and HTTPS notifications", "notifications/http", deliveries, NULL);
}

// --- MQ

void rule_aws_mq_broker(struct rule_context *c)
{
    const char *type = rule_need(c, "host_instance_type"), *engine = rule_text_or(c, "engine_type", "ActiveMQ");
    if (!type)
        return;
    const char *mode = rule_text_or(c, "deployment_mode", "SINGLE_INSTANCE");
    bool rabbit = !strcasecmp(engine, "RabbitMQ");
    const char *placement = !strcasecmp(mode, "CLUSTER_MULTI_AZ") ? "cluster" : !strcasecmp(mode, "ACTIVE_STANDBY_MULTI_AZ") ? "multi-az" : "single-az";
    const char *name = rabbit ? "rabbitmq" : "activemq", *storage = rule_text_or(c, "storage_type", rabbit ? "ebs" : "efs");
    add(c, "mq", rule_format(c, "Broker (%s, %s, %s)", name, type, placement), rule_format(c, "instance/%s/%s/%s", type, name, placement), dec_int(730), NULL);
    add(c, "mq", rule_format(c, "Storage (%s)", storage), rule_format(c, "storage/%s/%s", name, storage),
        dec_mul(rule_usage(c, "storage_size_gb"), dec_int(!strcmp(placement, "cluster") ? 3 : 1)), "storage_size_gb"); // a cluster keeps a copy on each of its three nodes
}

// --- keys and secrets

void rule_aws_kms_key(struct rule_context *c)
{
    add(c, "kms", "Customer managed key", "key", dec_int(1), NULL);
    bool symmetric = !strcmp(rule_text_or(c, "customer_master_key_spec", "SYMMETRIC_DEFAULT"), "SYMMETRIC_DEFAULT");
    bool rsa2048 = !strcmp(rule_text_or(c, "customer_master_key_spec", ""), "RSA_2048");
    add(c, "kms", "Requests", symmetric ? "requests/symmetric" : rsa2048 ? "requests/rsa-2048" : "requests/asymmetric", rule_usage(c, "monthly_requests"), "monthly_requests");
}

void rule_aws_secretsmanager_secret(struct rule_context *c)
{
    add(c, "secretsmanager", "Secret", "secret", dec_int(1), NULL);
    add(c, "secretsmanager", "API requests", "requests", rule_usage(c, "monthly_requests"), "monthly_requests");
}

// --- CloudWatch

void rule_aws_cloudwatch_log_group(struct rule_context *c)
{
    add(c, "cloudwatch", "Data ingested", "logs/ingested", rule_usage(c, "monthly_data_ingested_gb"), "monthly_data_ingested_gb");
    add(c, "cloudwatch", "Archival storage", "logs/storage", rule_usage(c, "storage_gb"), "storage_gb");
    add(c, "cloudwatch", "Insights queries, data scanned", "logs/scanned", rule_usage(c, "monthly_data_scanned_gb"), "monthly_data_scanned_gb");
}

// The metrics an alarm looks at, and the shortest of their periods.
static long long alarm_metrics(const struct rule_context *c, struct dec *ret_period)
{
    long long metrics = 0;
    *ret_period = rule_number_or(c, "period", 300);
    for (size_t i = 0; i < rule_length(c, "metric_query"); i++) {
        struct dec period = rule_number(c, rule_format(c, "metric_query.%zu.metric.0.period", i));
        if (!rule_has(c, rule_format(c, "metric_query.%zu.metric.0", i)))
            continue;
        metrics++;
        *ret_period = dec_is_none(period) ? *ret_period : metrics == 1 ? period : dec_min(period, *ret_period);
    }
    return metrics ? metrics : 1;
}

void rule_aws_cloudwatch_metric_alarm(struct rule_context *c)
{
    struct dec period;
    long long metrics = alarm_metrics(c, &period);
    bool high = dec_cmp(period, dec_int(60)) < 0, anomaly = rule_text(c, "threshold_metric_id") != NULL;
    if (anomaly)
        metrics *= 3; // the metric and both edges of its band
    add(c, "cloudwatch", rule_format(c, "%s resolution%s", high ? "High" : "Standard", anomaly ? ", anomaly detection" : ""), high ? "alarm/high" : "alarm/standard",
        dec_int(metrics), NULL);
}

void rule_aws_cloudwatch_dashboard(struct rule_context *c) { add(c, "cloudwatch", "Dashboard", "dashboard", dec_int(1), NULL); }
