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
  description = "Size of each node: small, medium or large."
  type        = string
  default     = "small"
}

variable "replicas" {
  description = "Copies that read and take over; null: one in production, else none."
  type        = number
  default     = null
}

variable "eviction" {
  description = "What goes when the memory is full."
  type        = string
  default     = "allkeys-lru"
}

variable "backup_days" {
  description = "How long daily snapshots are kept; 0: none."
  type        = number
  default     = 0
}

variable "final_snapshot" {
  description = "Whether a snapshot is kept when the cache is destroyed; null: in production."
  type        = bool
  default     = null
}

variable "password" {
  description = "What clients sign in with. Soma makes and keeps it."
  type        = string
  sensitive   = true
}
