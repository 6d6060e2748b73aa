locals {
  host     = var.soma.endpoints["postgres_host"]
  port     = tonumber(lookup(var.soma.endpoints, "postgres_port", "5432"))
  loopback = contains(["127.0.0.1", "::1", "localhost"], local.host)
  sslmode  = lookup(var.soma.endpoints, "postgres_sslmode", local.loopback ? "disable" : "require")

  connection_limit = { small = 20, medium = 50, large = 100 }[var.database_size]
}

# Role and database have the same name: the server admits a role to the database of its own name and to no other.
resource "postgresql_role" "owner" {
  name             = var.soma.name
  login            = true
  password         = var.password
  connection_limit = local.connection_limit
}

resource "postgresql_database" "this" {
  name             = var.soma.name
  owner            = postgresql_role.owner.name
  connection_limit = local.connection_limit
}
