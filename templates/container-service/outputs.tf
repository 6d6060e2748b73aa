output "service" {
  value = aws_ecs_service.this.name
}

output "cluster" {
  value = aws_ecs_cluster.this.name
}

output "task_family" {
  value = aws_ecs_task_definition.this.family
}

output "task_role" {
  value = aws_iam_role.task.name
}

output "log_group" {
  value = aws_cloudwatch_log_group.this.name
}

output "host" {
  value = aws_lb.this.dns_name
}

output "url" {
  value = "${local.scheme}://${aws_lb.this.dns_name}"
}

output "load_balancer" {
  value = aws_lb.this.arn_suffix
}

output "target_group" {
  value = aws_lb_target_group.this.arn_suffix
}

output "region" {
  value = var.soma.region
}
