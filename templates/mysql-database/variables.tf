variable "soma" {
  description = "What Soma knows about the service."
  type = object({
    name        = string
    team        = string
    owner       = string
    cost_centre = string
    environment = string
    region      = string
    tags        = map(string)
    endpoints   = map(string)
  })
}

variable "server_version" {
  description = "Major version of the server."
  type        = string
  default     = "8.4"
}

variable "size" {
  description = "Size of the machine: small, medium or large."
  type        = string
  default     = "small"
}

variable "storage_gib" {
  description = "Storage to begin with, in GiB; it grows by itself to four times that."
  type        = number
  default     = 20
}

variable "standby" {
  description = "Whether a copy stands ready in another availability zone; null: in production."
  type        = bool
  default     = null
}

variable "backup_days" {
  description = "How long daily backups are kept."
  type        = number
  default     = 7
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the database; null: in production."
  type        = bool
  default     = null
}

variable "password" {
  description = "The owner's password. Soma makes and keeps it."
  type        = string
  sensitive   = true
}
