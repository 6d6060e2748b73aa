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

variable "fifo" {
  description = "Whether messages keep their order and come exactly once."
  type        = bool
  default     = false
}

variable "dead_letter" {
  description = "Whether messages that fail again and again go to a queue of their own."
  type        = bool
  default     = false
}

variable "visibility_seconds" {
  description = "How long a received message is hidden from other receivers."
  type        = number
  default     = 30
}

variable "retention_days" {
  description = "How long a message waits before it is dropped."
  type        = number
  default     = 4
}
