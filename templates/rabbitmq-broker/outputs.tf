output "broker_id" {
  value = aws_mq_broker.this.id
}

output "name" {
  value = aws_mq_broker.this.broker_name
}

output "arn" {
  value = aws_mq_broker.this.arn
}

output "host" {
  value = local.host
}

output "port" {
  value = 5671
}

output "console_url" {
  value = aws_mq_broker.this.instances[0].console_url
}

output "username" {
  value = "app"
}

output "password" {
  value     = var.password
  sensitive = true
}

output "url" {
  value     = "amqps://app:${var.password}@${local.host}:5671"
  sensitive = true
}

output "region" {
  value = var.soma.region
}
