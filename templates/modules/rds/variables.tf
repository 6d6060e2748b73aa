variable "soma" {
  description = "What Soma knows about the service."
  type = object({
    name        = string
    team        = string
    environment = string
    endpoints   = map(string)
  })
}

variable "engine" {
  description = "mysql or postgres."
  type        = string
}

variable "engine_version" {
  description = "Major version; RDS takes the newest minor one."
  type        = string
}

variable "family" {
  description = "Family of the parameter group."
  type        = string
}

variable "port" {
  description = "Port that clients connect to."
  type        = number
}

variable "settings" {
  description = "Parameters of the server, by name."
  type        = map(string)
}

variable "logs" {
  description = "Logs that go to CloudWatch."
  type        = set(string)
}

variable "size" {
  description = "small, medium or large."
  type        = string
}

variable "storage_gib" {
  description = "Storage to begin with."
  type        = number
}

variable "standby" {
  description = "Whether a copy stands ready in another zone; null: in production."
  type        = bool
}

variable "backup_days" {
  description = "How long backups are kept."
  type        = number
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete it; null: in production."
  type        = bool
}

variable "password" {
  description = "Of the owner."
  type        = string
  sensitive   = true
}
