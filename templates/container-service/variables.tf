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

variable "image" {
  description = "Image with its tag or digest."
  type        = string
  default     = "public.ecr.aws/nginx/nginx-unprivileged:stable"
}

variable "port" {
  description = "Port on which the container listens."
  type        = number
  default     = 8080
}

variable "health_path" {
  description = "Path that answers with 200 to 399 when the service is well."
  type        = string
  default     = "/"
}

variable "size" {
  description = "CPU and memory of each container: small, medium, large or xlarge."
  type        = string
  default     = "small"
}

variable "architecture" {
  description = "X86_64 or ARM64, as the image is built."
  type        = string
  default     = "X86_64"
}

variable "replicas" {
  description = "Containers at work; null: two in production, else one."
  type        = number
  default     = null
}

variable "variables" {
  description = "Environment variables of the container. No secrets: they can be read by everybody who may see the service."
  type        = map(string)
  default     = {}
}

variable "log_days" {
  description = "How long the log is kept."
  type        = number
  default     = 30
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the load balancer; null: in production."
  type        = bool
  default     = null
}
