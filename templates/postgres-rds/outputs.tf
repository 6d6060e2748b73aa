output "identifier" {
  value = module.database.identifier
}

output "arn" {
  value = module.database.arn
}

output "host" {
  value = module.database.host
}

output "port" {
  value = module.database.port
}

output "database" {
  value = module.database.database
}

output "username" {
  value = module.database.username
}

output "password" {
  value     = var.password
  sensitive = true
}

output "url" {
  value     = "postgresql://${module.database.username}:${var.password}@${module.database.host}:${module.database.port}/${module.database.database}?sslmode=require"
  sensitive = true
}

output "region" {
  value = var.soma.region
}
