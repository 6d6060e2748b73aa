terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

locals {
  # Set in environments that are no AWS: a mock or a compatible service.
  endpoint = lookup(var.soma.endpoints, "aws_endpoint", null)
  other    = local.endpoint != null

  production = can(regex("^prod", var.soma.environment))

  # At most 40 characters, no hyphens doubled or at the end: what every service of AWS takes. The digest keeps names apart that this makes
  # alike, and those of other installations in the same account.
  digest = substr(sha256(join("/", [var.soma.team, var.soma.environment, var.soma.name])), 0, 8)
  name   = "${trimsuffix(substr(replace(var.soma.name, "/-+/", "-"), 0, 31), "-")}-${local.digest}"

  sizes = {
    small  = "cache.t4g.small"
    medium = "cache.m6g.large"
    large  = "cache.m6g.xlarge"
  }
}

# Keys come from the environment's credentials, which only the provider sees.
provider "aws" {
  region                      = var.soma.region
  max_retries                 = local.other ? 3 : null
  skip_credentials_validation = local.other
  skip_metadata_api_check     = local.other
  skip_region_validation      = local.other

  default_tags {
    tags = var.soma.tags
  }

  endpoints {
    elasticache = local.endpoint
    ec2         = local.endpoint
    kms         = local.endpoint
    sts         = local.endpoint
    iam         = local.endpoint
  }
}

module "network" {
  source      = "../modules/network"
  settings    = var.soma.endpoints
  name        = local.name
  description = "Clients of the cache ${var.soma.name}"
  ports       = [6379]
}

resource "aws_elasticache_subnet_group" "this" {
  name        = local.name
  description = "Subnets of the cache ${var.soma.name}"
  subnet_ids  = module.network.subnet_ids
}

resource "aws_elasticache_parameter_group" "this" {
  name        = local.name
  description = "Parameters of the cache ${var.soma.name}"
  family      = "redis7"

  parameter {
    name  = "maxmemory-policy"
    value = var.eviction
  }
}

# One primary and its replicas. A single node is a group of one: only groups are encrypted and ask for a password.
resource "aws_elasticache_replication_group" "this" {
  replication_group_id = local.name
  description          = "Cache ${var.soma.name} of team ${var.soma.team}"
  engine               = "redis"
  engine_version       = "7.1"
  node_type            = local.sizes[var.size]
  port                 = 6379

  num_cache_clusters         = 1 + coalesce(var.replicas, local.production ? 1 : 0)
  automatic_failover_enabled = coalesce(var.replicas, local.production ? 1 : 0) > 0
  multi_az_enabled           = coalesce(var.replicas, local.production ? 1 : 0) > 0

  at_rest_encryption_enabled = true
  kms_key_id                 = lookup(var.soma.endpoints, "aws_kms_key_arn", null)
  transit_encryption_enabled = true
  auth_token                 = var.password

  parameter_group_name = aws_elasticache_parameter_group.this.name
  subnet_group_name    = aws_elasticache_subnet_group.this.name
  security_group_ids   = [module.network.security_group_id]

  snapshot_retention_limit   = var.backup_days
  snapshot_window            = "01:00-02:00"
  maintenance_window         = "sun:02:30-sun:03:30"
  auto_minor_version_upgrade = true
  apply_immediately          = true

  # Before a destroy in production AWS keeps a copy; ElastiCache has no other protection against deletion.
  final_snapshot_identifier = coalesce(var.final_snapshot, local.production) ? "${local.name}-final" : null

  lifecycle {
    ignore_changes = [engine_version] # AWS takes newer minor versions by itself
  }
}
