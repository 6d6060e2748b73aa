# One RDS instance as this house runs them: encrypted, reachable from the house's own networks alone and over TLS alone, backed up.

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
  other      = lookup(var.soma.endpoints, "aws_endpoint", null) != null
  production = can(regex("^prod", var.soma.environment))

  # RDS takes up to 63 lower-case letters, digits and hyphens, none of them doubled or at the end. The digest keeps names apart that this
  # makes alike, and those of other installations in the same account. The same rule stands in every golden path of the cloud.
  digest = substr(sha256(join("/", [var.soma.team, var.soma.environment, var.soma.name])), 0, 8)
  name   = "${trimsuffix(substr(replace(var.soma.name, "/-+/", "-"), 0, 31), "-")}-${local.digest}"

  class = {
    small  = "db.t4g.small"
    medium = "db.m6g.large"
    large  = "db.m6g.xlarge"
  }[var.size]

  kms_key = lookup(var.soma.endpoints, "aws_kms_key_arn", null)
}

module "network" {
  source      = "../network"
  settings    = var.soma.endpoints
  name        = local.name
  description = "Clients of the database ${var.soma.name}"
  ports       = [var.port]
}

resource "aws_db_subnet_group" "this" {
  name        = local.name
  description = "Subnets of the database ${var.soma.name}"
  subnet_ids  = module.network.subnet_ids
}

# Settings that keep connections in clear out.
resource "aws_db_parameter_group" "this" {
  name        = local.name
  description = "Parameters of the database ${var.soma.name}"
  family      = var.family

  dynamic "parameter" {
    for_each = local.other ? {} : var.settings # a mock forgets them, and would be set right in every plan
    content {
      name         = parameter.key
      value        = parameter.value
      apply_method = "immediate"
    }
  }
}

resource "aws_db_instance" "this" {
  identifier     = local.name
  engine         = var.engine
  engine_version = var.engine_version
  instance_class = local.class
  db_name        = "app"
  port           = var.port

  username                            = "app_owner"
  password                            = var.password
  iam_database_authentication_enabled = true

  storage_type          = "gp3"
  allocated_storage     = var.storage_gib
  max_allocated_storage = var.storage_gib * 4 # grows by itself up to here
  storage_encrypted     = true
  kms_key_id            = local.kms_key

  multi_az               = coalesce(var.standby, local.production)
  db_subnet_group_name   = aws_db_subnet_group.this.name
  parameter_group_name   = aws_db_parameter_group.this.name
  vpc_security_group_ids = [module.network.security_group_id]
  publicly_accessible    = false

  backup_retention_period    = var.backup_days
  backup_window              = "01:00-02:00"
  maintenance_window         = "sun:02:30-sun:03:30"
  auto_minor_version_upgrade = true
  copy_tags_to_snapshot      = true
  delete_automated_backups   = !local.production

  # While it is on, AWS refuses the destroy.
  deletion_protection       = coalesce(var.deletion_protection, local.production)
  skip_final_snapshot       = !local.production
  final_snapshot_identifier = local.production ? "${local.name}-final" : null

  enabled_cloudwatch_logs_exports = var.logs

  lifecycle {
    # AWS moves these by itself: newer minor versions, and more storage.
    ignore_changes = [engine_version, allocated_storage]
  }
}
