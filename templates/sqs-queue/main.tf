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
  sqs      = lookup(var.soma.endpoints, "sqs_endpoint", local.endpoint)
  other    = local.sqs != null

  # At most 80 characters, of which ".fifo" and "-dead" take ten.
  name    = "${var.soma.name}-${trimsuffix(substr(var.soma.environment, 0, 28), "-")}"
  suffix  = var.fifo ? ".fifo" : ""
  seconds = var.retention_days * 24 * 60 * 60
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
    sqs = local.sqs
    sts = local.endpoint
    iam = local.endpoint
  }
}

resource "aws_sqs_queue" "this" {
  name                       = "${local.name}${local.suffix}"
  fifo_queue                 = var.fifo
  visibility_timeout_seconds = var.visibility_seconds
  message_retention_seconds  = local.seconds
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true

  redrive_policy = var.dead_letter ? jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead[0].arn, maxReceiveCount = 5 }) : null
}

resource "aws_sqs_queue" "dead" {
  count                     = var.dead_letter ? 1 : 0
  name                      = "${local.name}-dead${local.suffix}"
  fifo_queue                = var.fifo
  message_retention_seconds = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled   = true
}
