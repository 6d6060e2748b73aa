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

variable "runtime" {
  description = "What runs the code."
  type        = string
  default     = "python3.13"
}

variable "memory_mib" {
  description = "Memory; the share of a processor grows with it."
  type        = number
  default     = 256
}

variable "timeout_seconds" {
  description = "When a call that has not ended is cut off."
  type        = number
  default     = 10
}

variable "concurrency" {
  description = "Calls at once at most; -1: as many as the account allows."
  type        = number
  default     = -1
}

variable "variables" {
  description = "Environment variables of the function. No secrets: they can be read by everybody who may see the function."
  type        = map(string)
  default     = {}
}

variable "log_days" {
  description = "How long the log is kept."
  type        = number
  default     = 30
}
