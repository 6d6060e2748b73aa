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

variable "throughput" {
  description = "elastic: as much as is used; bursting: with what is stored."
  type        = string
  default     = "elastic"
}

variable "archive_after_days" {
  description = "After how many days without access a file moves to the infrequent-access class; 0: never."
  type        = number
  default     = 30
}

variable "backup" {
  description = "Whether AWS Backup copies it every day; null: in production."
  type        = bool
  default     = null
}
