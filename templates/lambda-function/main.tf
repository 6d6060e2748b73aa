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

  starter = startswith(var.runtime, "nodejs") ? "nodejs" : "python"
}

# Keys come from the environment's credentials, which only the provider sees.
provider "aws" {
  region                      = var.soma.region
  max_retries                 = local.other ? 3 : null
  s3_use_path_style           = local.other
  skip_credentials_validation = local.other
  skip_metadata_api_check     = local.other
  skip_region_validation      = local.other

  default_tags {
    tags = var.soma.tags
  }

  endpoints {
    lambda = local.endpoint
    s3     = local.endpoint
    logs   = local.endpoint
    sts    = local.endpoint
    iam    = local.endpoint
    ec2    = local.endpoint
  }
}

data "aws_caller_identity" "current" {}

# ---- where the code lies: deployments put newer packages here ----

resource "aws_s3_bucket" "code" {
  bucket        = "${local.name}-code-${substr(sha256("${data.aws_caller_identity.current.account_id}/${var.soma.region}"), 0, 8)}"
  force_destroy = true # packages alone, which the pipeline can make anew
}

resource "aws_s3_bucket_public_access_block" "code" {
  bucket                  = aws_s3_bucket.code.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "code" {
  bucket = aws_s3_bucket.code.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "code" {
  bucket = aws_s3_bucket.code.id
  versioning_configuration {
    status = "Enabled"
  }
}

# The first package: a few lines that answer. Read here and handed over as a value, since the provider sees no files.
resource "aws_s3_object" "starter" {
  bucket         = aws_s3_bucket_versioning.code.bucket
  key            = "function.zip"
  content_base64 = filebase64("${path.module}/starter/${local.starter}.zip")

  lifecycle {
    ignore_changes = [content_base64, etag]
  }
}

# ---- what the function may do: write its log ----

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "log" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }
}

resource "aws_iam_role" "this" {
  name                 = local.name
  description          = "Function ${var.soma.name} of team ${var.soma.team}"
  assume_role_policy   = data.aws_iam_policy_document.assume.json
  permissions_boundary = lookup(var.soma.endpoints, "aws_permissions_boundary", null)
}

resource "aws_iam_role_policy" "log" {
  name   = "log"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.log.json
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${local.name}"
  retention_in_days = var.log_days
}

# ---- the function; nobody outside the account may call it ----

resource "aws_lambda_function" "this" {
  function_name = local.name
  description   = "${var.soma.name} of team ${var.soma.team}"
  role          = aws_iam_role.this.arn
  runtime       = var.runtime
  handler       = "index.handler"
  architectures = ["arm64"]
  memory_size   = var.memory_mib
  timeout       = var.timeout_seconds

  s3_bucket = aws_s3_bucket.code.bucket
  s3_key    = aws_s3_object.starter.key

  reserved_concurrent_executions = var.concurrency
  kms_key_arn                    = lookup(var.soma.endpoints, "aws_kms_key_arn", null)

  dynamic "environment" {
    for_each = length(var.variables) == 0 ? [] : [1]
    content {
      variables = var.variables
    }
  }

  # A mock forgets it, and would be set right in every plan.
  dynamic "logging_config" {
    for_each = local.other ? [] : [1]
    content {
      log_format = "JSON"
      log_group  = aws_cloudwatch_log_group.this.name
    }
  }

  depends_on = [aws_iam_role_policy.log]

  lifecycle {
    ignore_changes = [s3_key, s3_object_version, source_code_hash] # deployments change the code
  }
}
