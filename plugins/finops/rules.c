// The table from resource type to rule, and the types that cost nothing themselves.
#include "plugins/finops/rules_private.h"

#include <stdlib.h>
#include <string.h>

// In the order of strcmp(), for bsearch().
static const struct {
    const char *type;
    rule_fn *rule;
} rules[] = {
    { "aws_alb", rule_aws_lb },
    { "aws_autoscaling_group", rule_aws_autoscaling_group },
    { "aws_cloudwatch_dashboard", rule_aws_cloudwatch_dashboard },
    { "aws_cloudwatch_log_group", rule_aws_cloudwatch_log_group },
    { "aws_cloudwatch_metric_alarm", rule_aws_cloudwatch_metric_alarm },
    { "aws_db_instance", rule_aws_db_instance },
    { "aws_dynamodb_table", rule_aws_dynamodb_table },
    { "aws_ebs_snapshot", rule_aws_ebs_snapshot },
    { "aws_ebs_volume", rule_aws_ebs_volume },
    { "aws_ecr_repository", rule_aws_ecr_repository },
    { "aws_ecs_service", rule_aws_ecs_service },
    { "aws_efs_file_system", rule_aws_efs_file_system },
    { "aws_eip", rule_aws_eip },
    { "aws_eks_cluster", rule_aws_eks_cluster },
    { "aws_eks_node_group", rule_aws_eks_node_group },
    { "aws_elasticache_cluster", rule_aws_elasticache_cluster },
    { "aws_elasticache_replication_group", rule_aws_elasticache_replication_group },
    { "aws_elb", rule_aws_elb },
    { "aws_instance", rule_aws_instance },
    { "aws_kms_key", rule_aws_kms_key },
    { "aws_lambda_function", rule_aws_lambda_function },
    { "aws_lb", rule_aws_lb },
    { "aws_mq_broker", rule_aws_mq_broker },
    { "aws_nat_gateway", rule_aws_nat_gateway },
    { "aws_rds_cluster", rule_aws_rds_cluster },
    { "aws_rds_cluster_instance", rule_aws_rds_cluster_instance },
    { "aws_route53_record", rule_aws_route53_record },
    { "aws_route53_zone", rule_aws_route53_zone },
    { "aws_s3_bucket", rule_aws_s3_bucket },
    { "aws_secretsmanager_secret", rule_aws_secretsmanager_secret },
    { "aws_sns_topic", rule_aws_sns_topic },
    { "aws_sns_topic_subscription", rule_aws_sns_topic_subscription },
    { "aws_sqs_queue", rule_aws_sqs_queue },
    { "azurerm_linux_virtual_machine", rule_azure_vm },
    { "azurerm_virtual_machine", rule_azure_vm },
    { "azurerm_windows_virtual_machine", rule_azure_vm },
    { "google_compute_instance", rule_google_vm },
};

// What configures, permits or connects. A trailing * stands for any end.
static const char *const free_types[] = { "aws_ami*", "aws_appautoscaling_*", "aws_autoscaling_attachment", "aws_autoscaling_policy", "aws_autoscaling_schedule", "aws_alb_listener*",
    "aws_alb_target_group*", "aws_cloudwatch_event_rule", "aws_cloudwatch_event_target", "aws_cloudwatch_log_stream", "aws_cloudwatch_log_metric_filter",
    "aws_cloudwatch_log_resource_policy", "aws_cloudwatch_log_subscription_filter", "aws_customer_gateway", "aws_db_parameter_group", "aws_db_option_group", "aws_db_subnet_group",
    "aws_default_*", "aws_dynamodb_table_item", "aws_ecr_lifecycle_policy", "aws_ecr_repository_policy", "aws_ecs_cluster*", "aws_ecs_task_definition", "aws_ecs_task_set",
    "aws_efs_access_point", "aws_efs_mount_target", "aws_efs_backup_policy", "aws_efs_file_system_policy", "aws_egress_only_internet_gateway", "aws_eip_association",
    "aws_eks_access_*", "aws_eks_addon", "aws_eks_pod_identity_association", "aws_elasticache_parameter_group", "aws_elasticache_subnet_group", "aws_elasticache_user*", "aws_elb_attachment",
    "aws_iam_*", "aws_internet_gateway*", "aws_key_pair", "aws_kms_alias", "aws_kms_grant", "aws_kms_key_policy", "aws_lambda_alias", "aws_lambda_event_source_mapping",
    "aws_lambda_function_event_invoke_config", "aws_lambda_function_url", "aws_lambda_invocation", "aws_lambda_layer_version*", "aws_lambda_permission", "aws_launch_configuration",
    "aws_launch_template", "aws_lb_listener*", "aws_lb_target_group*", "aws_lb_trust_store*", "aws_load_balancer_*", "aws_main_route_table_association", "aws_mq_configuration",
    "aws_mq_user", "aws_network_acl*", "aws_network_interface*", "aws_placement_group", "aws_rds_cluster_parameter_group", "aws_rds_cluster_endpoint", "aws_resourcegroups_group",
    "aws_route", "aws_route_table*", "aws_route53_delegation_set", "aws_route53_zone_association", "aws_s3_bucket_accelerate_configuration", "aws_s3_bucket_acl",
    "aws_s3_bucket_cors_configuration", "aws_s3_bucket_lifecycle_configuration", "aws_s3_bucket_logging", "aws_s3_bucket_notification", "aws_s3_bucket_object_lock_configuration",
    "aws_s3_bucket_ownership_controls", "aws_s3_bucket_policy", "aws_s3_bucket_public_access_block", "aws_s3_bucket_request_payment_configuration",
    "aws_s3_bucket_server_side_encryption_configuration", "aws_s3_bucket_versioning", "aws_s3_bucket_website_configuration", "aws_s3_bucket_intelligent_tiering_configuration",
    "aws_s3_object", "aws_secretsmanager_secret_policy", "aws_secretsmanager_secret_rotation", "aws_secretsmanager_secret_version", "aws_security_group*", "aws_service_discovery_*",
    "aws_snapshot_create_volume_permission", "aws_sns_topic_policy", "aws_sqs_queue_policy", "aws_sqs_queue_redrive_*", "aws_subnet", "aws_volume_attachment",
    "aws_vpc", "aws_vpc_dhcp_options*", "aws_vpc_ipv4_cidr_block_association", "aws_vpc_security_group_*", "terraform_data" };

static bool is_free(const char *type)
{
    for (size_t i = 0; i < sizeof free_types / sizeof *free_types; i++) {
        size_t len = strlen(free_types[i]);
        bool open = free_types[i][len - 1] == '*';
        if (open ? !strncmp(type, free_types[i], len - 1) : !strcmp(type, free_types[i]))
            return true;
    }
    return false;
}

static int compare(const void *type, const void *entry) { return strcmp(type, ((const __typeof__(rules[0]) *)entry)->type); }

rule_fn *rule_find(const char *type, bool *ret_free)
{
    const __typeof__(rules[0]) *entry = bsearch(type, rules, sizeof rules / sizeof *rules, sizeof *rules, compare);
    *ret_free = !entry && is_free(type);
    return entry ? entry->rule : NULL;
}
