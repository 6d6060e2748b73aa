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
    small  = "mq.t3.micro"
    medium = "mq.m5.large"
    large  = "mq.m5.xlarge"
  }

  kms_key = lookup(var.soma.endpoints, "aws_kms_key_arn", null)
  # "amqps://b-1234.mq.eu-central-1.on.aws:5671"
  host = regex("^(?:[a-z+]+://)?([^:/]+)", aws_mq_broker.this.instances[0].endpoints[0])[0]
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
    mq  = local.endpoint
    ec2 = local.endpoint
    kms = local.endpoint
    sts = local.endpoint
    iam = local.endpoint
  }
}

module "network" {
  source      = "../modules/network"
  settings    = var.soma.endpoints
  name        = local.name
  description = "Clients of the broker ${var.soma.name}"
  ports       = [5671, 443]
}

resource "aws_mq_broker" "this" {
  broker_name        = local.name
  engine_type        = "RabbitMQ"
  engine_version     = "3.13"
  host_instance_type = local.sizes[var.size]

  # Three machines in three zones, or one. The smallest machine comes alone only.
  deployment_mode     = var.cluster ? "CLUSTER_MULTI_AZ" : "SINGLE_INSTANCE"
  subnet_ids          = var.cluster ? slice(module.network.subnet_ids, 0, min(3, length(module.network.subnet_ids))) : [module.network.subnet_ids[0]]
  security_groups     = [module.network.security_group_id]
  publicly_accessible = false

  encryption_options {
    use_aws_owned_key = local.kms_key == null
    kms_key_id        = local.kms_key
  }

  user {
    username       = "app"
    password       = var.password
    console_access = true
  }

  logs {
    general = true
  }

  auto_minor_version_upgrade = true
  apply_immediately          = true

  maintenance_window_start_time {
    day_of_week = "SUNDAY"
    time_of_day = "02:30"
    time_zone   = "UTC"
  }

  lifecycle {
    precondition {
      condition     = !(var.cluster && var.size == "small")
      error_message = "A cluster needs size medium or large."
    }
  }
}
