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

variable "versioning" {
  description = "Whether overwritten and deleted objects are kept for 90 days."
  type        = bool
  default     = true
}

variable "expire_days" {
  description = "After how many days objects are deleted; null: never."
  type        = number
  default     = null
}

variable "delete_contents" {
  description = "Whether a destroy deletes what the bucket holds."
  type        = bool
  default     = false
}
