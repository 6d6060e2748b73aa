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
}

# Keys come from the environment's credentials, which only the provider sees.
provider "aws" {
  region                      = var.soma.region
  max_retries                 = local.other ? 3 : null
  skip_credentials_validation = local.other
  skip_metadata_api_check     = local.other
  skip_region_validation      = local.other
  skip_requesting_account_id  = local.other

  default_tags {
    tags = var.soma.tags
  }

  endpoints {
    rds = local.endpoint
    ec2 = local.endpoint
    kms = local.endpoint
    sts = local.endpoint
    iam = local.endpoint
  }
}

module "database" {
  source              = "../modules/rds"
  soma                = var.soma
  engine              = "postgres"
  engine_version      = var.server_version
  family              = "postgres${var.server_version}"
  port                = 5432
  settings            = { "rds.force_ssl" = "1" }
  logs                = ["postgresql", "upgrade"]
  size                = var.size
  storage_gib         = var.storage_gib
  standby             = var.standby
  backup_days         = var.backup_days
  deletion_protection = var.deletion_protection
  password            = var.password
}
