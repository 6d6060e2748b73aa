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

  # At most 32 characters, no hyphens doubled or at the end: what load balancers take, and all others too. The digest keeps names apart that
  # this makes alike, and those of other installations in the same account.
  digest = substr(sha256(join("/", [var.soma.team, var.soma.environment, var.soma.name])), 0, 8)
  name   = "${trimsuffix(substr(replace(var.soma.name, "/-+/", "-"), 0, 23), "-")}-${local.digest}"

  # Pairs that Fargate offers: CPU units and MiB.
  size = {
    small  = { cpu = 256, memory = 512 }
    medium = { cpu = 512, memory = 1024 }
    large  = { cpu = 1024, memory = 2048 }
    xlarge = { cpu = 2048, memory = 4096 }
  }[var.size]

  replicas    = coalesce(var.replicas, local.production ? 2 : 1)
  certificate = lookup(var.soma.endpoints, "aws_certificate_arn", null)
  scheme      = local.certificate == null ? "http" : "https"
  entry       = local.certificate == null ? 80 : 443
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
    ecs   = local.endpoint
    elbv2 = local.endpoint
    ec2   = local.endpoint
    logs  = local.endpoint
    sts   = local.endpoint
    iam   = local.endpoint
  }
}

# ---- where it lives: callers reach the load balancer, and only that reaches the containers ----

module "entry" {
  source      = "../modules/network"
  settings    = var.soma.endpoints
  name        = "${local.name}-entry"
  description = "Callers of ${var.soma.name}"
  ports       = [local.entry]
  outgoing    = true
}

resource "aws_security_group" "tasks" {
  name        = local.name
  description = "Containers of ${var.soma.name}"
  vpc_id      = module.entry.vpc_id

  ingress {
    description     = "from the load balancer"
    protocol        = "tcp"
    from_port       = var.port
    to_port         = var.port
    security_groups = [module.entry.security_group_id]
  }

  egress {
    description = "images, logs and whatever the service calls"
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }

  tags = { Name = local.name }
}

resource "aws_lb" "this" {
  name                       = local.name
  internal                   = true
  load_balancer_type         = "application"
  subnets                    = module.entry.subnet_ids
  security_groups            = [module.entry.security_group_id]
  drop_invalid_header_fields = true

  # While it is on, AWS refuses the destroy.
  enable_deletion_protection = coalesce(var.deletion_protection, local.production)
}

resource "aws_lb_target_group" "this" {
  name                 = local.name
  vpc_id               = module.entry.vpc_id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = var.port
  deregistration_delay = 30

  health_check {
    path                = var.health_path
    matcher             = "200-399"
    interval            = 15
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

# TLS where the environment names a certificate; plain HTTP stays within the VPC.
resource "aws_lb_listener" "this" {
  load_balancer_arn = aws_lb.this.arn
  port              = local.entry
  protocol          = upper(local.scheme)
  certificate_arn   = local.certificate
  ssl_policy        = local.certificate == null ? null : "ELBSecurityPolicy-TLS13-1-2-2021-06"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this.arn
  }
}

# ---- what the containers may do: the service nothing, its agent fetch the image and write the log ----

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "agent" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }
  statement {
    actions   = ["ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]
    resources = ["*"]
  }
}

resource "aws_iam_role" "agent" {
  name                 = "${local.name}-agent"
  description          = "Starts the containers of ${var.soma.name}"
  assume_role_policy   = data.aws_iam_policy_document.assume.json
  permissions_boundary = lookup(var.soma.endpoints, "aws_permissions_boundary", null)
}

resource "aws_iam_role_policy" "agent" {
  name   = "agent"
  role   = aws_iam_role.agent.id
  policy = data.aws_iam_policy_document.agent.json
}

resource "aws_iam_role" "task" {
  name                 = "${local.name}-task"
  description          = "What ${var.soma.name} itself may do"
  assume_role_policy   = data.aws_iam_policy_document.assume.json
  permissions_boundary = lookup(var.soma.endpoints, "aws_permissions_boundary", null)
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/ecs/${local.name}"
  retention_in_days = var.log_days
}

# ---- the service ----

resource "aws_ecs_cluster" "this" {
  name = local.name

  setting {
    name  = "containerInsights"
    value = local.production ? "enabled" : "disabled"
  }
}

resource "aws_ecs_task_definition" "this" {
  family                   = local.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = local.size.cpu
  memory                   = local.size.memory
  execution_role_arn       = aws_iam_role.agent.arn
  task_role_arn            = aws_iam_role.task.arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  container_definitions = jsonencode([{
    name         = "app"
    image        = var.image
    essential    = true
    portMappings = [{ containerPort = var.port, hostPort = var.port, protocol = "tcp" }]
    environment  = [for name, value in var.variables : { name = name, value = value }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = var.soma.region
        awslogs-stream-prefix = "app"
      }
    }
  }])
}

resource "aws_ecs_service" "this" {
  name                          = local.name
  cluster                       = aws_ecs_cluster.this.id
  task_definition               = aws_ecs_task_definition.this.arn
  desired_count                 = local.replicas
  launch_type                   = "FARGATE"
  availability_zone_rebalancing = local.other ? "DISABLED" : "ENABLED"
  propagate_tags                = "SERVICE"
  enable_ecs_managed_tags       = !local.other

  network_configuration {
    subnets          = module.entry.subnet_ids
    security_groups  = [aws_security_group.tasks.id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.this.arn
    container_name   = "app"
    container_port   = var.port
  }

  # A version that does not come up is taken back.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  depends_on = [aws_lb_listener.this, aws_iam_role_policy.agent]

  lifecycle {
    ignore_changes = [task_definition] # deployments bring newer ones
  }
}
