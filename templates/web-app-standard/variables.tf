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

variable "title" {
  description = "What people call it; for the repository alone."
  type        = string
  default     = "Web application"
}

variable "database_size" {
  description = "Connections of the database: small, medium or large."
  type        = string
  default     = "small"
}

variable "versioning" {
  description = "Whether overwritten and deleted files are kept for 90 days."
  type        = bool
  default     = true
}

variable "delete_contents" {
  description = "Whether a destroy deletes what the bucket holds."
  type        = bool
  default     = false
}

variable "password" {
  description = "The database owner's password. Soma makes and keeps it."
  type        = string
  sensitive   = true
}
