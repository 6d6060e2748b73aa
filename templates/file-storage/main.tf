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
    efs = local.endpoint
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
  description = "NFS clients of the file storage ${var.soma.name}"
  ports       = [2049]
}

resource "aws_efs_file_system" "this" {
  creation_token   = local.name
  encrypted        = true
  kms_key_id       = lookup(var.soma.endpoints, "aws_kms_key_arn", null)
  performance_mode = "generalPurpose"
  throughput_mode  = var.throughput

  dynamic "lifecycle_policy" {
    for_each = var.archive_after_days == 0 ? [] : [var.archive_after_days]
    content {
      transition_to_ia = lifecycle_policy.value == 1 ? "AFTER_1_DAY" : "AFTER_${lifecycle_policy.value}_DAYS"
    }
  }

  dynamic "lifecycle_policy" {
    for_each = var.archive_after_days == 0 ? [] : [1]
    content {
      transition_to_primary_storage_class = "AFTER_1_ACCESS"
    }
  }

  tags = { Name = local.name }
}

# One in each availability zone: AWS refuses a second, so the environment names one subnet of each.
resource "aws_efs_mount_target" "this" {
  for_each        = toset(module.network.subnet_ids)
  file_system_id  = aws_efs_file_system.this.id
  subnet_id       = each.value
  security_groups = [module.network.security_group_id]
}

# Applications mount this: a folder of their own, as a user of their own, whoever they run as.
resource "aws_efs_access_point" "this" {
  file_system_id = aws_efs_file_system.this.id

  posix_user {
    uid = 1000
    gid = 1000
  }

  root_directory {
    path = "/data"
    creation_info {
      owner_uid   = 1000
      owner_gid   = 1000
      permissions = "0750"
    }
  }

  tags = { Name = local.name }
}

# Nobody without TLS, and nobody as root.
data "aws_iam_policy_document" "this" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["*"]
    resources = [aws_efs_file_system.this.arn]
    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  statement {
    sid       = "ThroughMountTargets"
    effect    = "Allow"
    actions   = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    resources = [aws_efs_file_system.this.arn]
    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "elasticfilesystem:AccessedViaMountTarget"
      values   = ["true"]
    }
  }
}

# Services that are compatible take none back.
resource "aws_efs_file_system_policy" "this" {
  count          = local.other ? 0 : 1
  file_system_id = aws_efs_file_system.this.id
  policy         = data.aws_iam_policy_document.this.json
}

# AWS Backup, daily, kept for 35 days. They have none of it either.
resource "aws_efs_backup_policy" "this" {
  count          = local.other ? 0 : 1
  file_system_id = aws_efs_file_system.this.id

  backup_policy {
    status = coalesce(var.backup, local.production) ? "ENABLED" : "DISABLED"
  }
}
