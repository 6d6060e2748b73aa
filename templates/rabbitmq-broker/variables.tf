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

variable "size" {
  description = "Size of each machine: small, medium or large."
  type        = string
  default     = "small"
}

variable "cluster" {
  description = "Whether three machines in three zones share the work."
  type        = bool
  default     = false
}

variable "password" {
  description = "Of the user \"app\". Soma makes and keeps it."
  type        = string
  sensitive   = true
}
