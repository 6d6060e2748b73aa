output "name" {
  value = aws_elasticache_replication_group.this.replication_group_id
}

output "arn" {
  value = aws_elasticache_replication_group.this.arn
}

output "host" {
  value = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "reader_host" {
  value = aws_elasticache_replication_group.this.reader_endpoint_address
}

output "port" {
  value = 6379
}

output "password" {
  value     = var.password
  sensitive = true
}

output "url" {
  value     = "rediss://:${var.password}@${aws_elasticache_replication_group.this.primary_endpoint_address}:6379"
  sensitive = true
}

output "region" {
  value = var.soma.region
}
