# Where a service of the cloud lives: a VPC, its subnets, and a security group that lets in clients of the house alone.
#
# An environment may name them in its settings: aws_vpc_id; aws_subnet_ids (one in each availability zone, separated by commas); and
# aws_client_cidrs, the networks from which clients come. Without these: the account's default VPC, all its subnets, the VPC's own network.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

variable "settings" {
  description = "The environment's settings."
  type        = map(string)
}

variable "name" {
  description = "Name of the security group."
  type        = string
}

variable "description" {
  description = "What the security group lets in; AWS keeps it for good."
  type        = string
}

variable "ports" {
  description = "TCP ports that clients connect to."
  type        = set(number)
}

variable "outgoing" {
  description = "Whether what is in the group may open connections of its own."
  type        = bool
  default     = false
}

locals {
  vpc_id  = lookup(var.settings, "aws_vpc_id", "")
  subnets = compact([for id in split(",", lookup(var.settings, "aws_subnet_ids", "")) : trimspace(id)])
  clients = compact([for net in split(",", lookup(var.settings, "aws_client_cidrs", "")) : trimspace(net)])
}

data "aws_vpc" "this" {
  id      = local.vpc_id == "" ? null : local.vpc_id
  default = local.vpc_id == "" ? true : null
}

data "aws_subnets" "this" {
  count = length(local.subnets) == 0 ? 1 : 0

  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.this.id]
  }
}

resource "aws_security_group" "this" {
  name        = var.name
  description = var.description
  vpc_id      = data.aws_vpc.this.id

  dynamic "ingress" {
    for_each = var.ports
    content {
      description = "clients"
      protocol    = "tcp"
      from_port   = ingress.value
      to_port     = ingress.value
      cidr_blocks = length(local.clients) == 0 ? [data.aws_vpc.this.cidr_block] : local.clients
    }
  }

  dynamic "egress" {
    for_each = var.outgoing ? [1] : []
    content {
      description = "images, logs and whatever the service calls"
      protocol    = "-1"
      from_port   = 0
      to_port     = 0
      cidr_blocks = ["0.0.0.0/0"]
    }
  }

  tags = { Name = var.name }
}

output "vpc_id" {
  value = data.aws_vpc.this.id
}

output "subnet_ids" {
  value = length(local.subnets) > 0 ? local.subnets : sort(data.aws_subnets.this[0].ids)
}

output "security_group_id" {
  value = aws_security_group.this.id
}
