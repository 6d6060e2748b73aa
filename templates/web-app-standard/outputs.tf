locals {
  # An IPv6 address stands in brackets within a URL.
  url_host = strcontains(local.host, ":") ? "[${local.host}]" : local.host
}

output "host" {
  value = local.host
}

output "port" {
  value = local.port
}

output "database" {
  value = postgresql_database.this.name
}

output "username" {
  value = postgresql_role.owner.name
}

output "password" {
  value     = var.password
  sensitive = true
}

output "url" {
  value = format("postgresql://%s:%s@%s:%d/%s%s", urlencode(postgresql_role.owner.name), urlencode(var.password), local.url_host, local.port,
  urlencode(postgresql_database.this.name), local.sslmode == "disable" ? "" : "?sslmode=${local.sslmode}")
  sensitive = true
}

output "connection_limit" {
  value = local.connection_limit
}

output "bucket" {
  value = aws_s3_bucket.files.bucket
}

output "bucket_arn" {
  value = aws_s3_bucket.files.arn
}

output "region" {
  value = var.soma.region
}
