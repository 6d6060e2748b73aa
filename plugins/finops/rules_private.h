// What the rule files share. The rules by type are listed in rules.c.
#ifndef FINOPS_RULES_PRIVATE_H
#define FINOPS_RULES_PRIVATE_H
#include "plugins/finops/rules.h"

rule_fn rule_aws_instance, rule_aws_ebs_volume, rule_aws_ebs_snapshot, rule_aws_eks_cluster, rule_aws_eks_node_group, rule_aws_ecs_service, rule_aws_lambda_function,
    rule_aws_autoscaling_group;
rule_fn rule_aws_db_instance, rule_aws_rds_cluster, rule_aws_rds_cluster_instance, rule_aws_dynamodb_table, rule_aws_elasticache_cluster,
    rule_aws_elasticache_replication_group;
rule_fn rule_aws_nat_gateway, rule_aws_elb, rule_aws_lb, rule_aws_route53_zone, rule_aws_route53_record, rule_aws_eip;
rule_fn rule_aws_s3_bucket, rule_aws_efs_file_system, rule_aws_ecr_repository;
rule_fn rule_aws_sqs_queue, rule_aws_sns_topic, rule_aws_sns_topic_subscription, rule_aws_mq_broker, rule_aws_kms_key, rule_aws_secretsmanager_secret, rule_aws_cloudwatch_log_group,
    rule_aws_cloudwatch_metric_alarm, rule_aws_cloudwatch_dashboard;
rule_fn rule_azure_vm, rule_google_vm;

// The term that the usage keys reserved_instance_* ask for, NULL for on demand. Services without standard and convertible leave the type out.
const char *rule_reserved_term(const struct rule_context *c, bool with_type);
// Capacity that an aws_appautoscaling_target sets for this resource in `dimension` (`dynamodb:table:ReadCapacityUnits`): assumed use, or the least it may have.
// `literal` is how resource_id names it (`table/orders`), `attribute` what an expression refers to.
bool rule_scaled_capacity(const struct rule_context *c, const char *dimension, const char *literal, struct dec *ret_capacity);
// vCPUs of an instance type or class: `db.r5.large`, `t3.medium`. dec_none() when the size is not known.
struct dec rule_vcpus(const char *instance_type);

#endif
