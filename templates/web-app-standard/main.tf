# Two providers in one root: the database lives on the environment's PostgreSQL server, the bucket in its cloud.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
    postgresql = {
      source  = "cyrilgdn/postgresql"
      version = ">= 1.7.1, < 2.0.0"
    }
  }
}

# Keys and passwords come from the environment's credentials, which only the provider that reads them sees.
provider "postgresql" {
  host            = local.host
  port            = local.port
  sslmode         = local.sslmode
  superuser       = false
  connect_timeout = 15
}

provider "aws" {
  region                      = var.soma.region
  max_retries                 = local.other ? 3 : null
  s3_use_path_style           = local.other
  skip_credentials_validation = local.other
  skip_metadata_api_check     = local.other
  skip_region_validation      = local.other

  default_tags {
    tags = var.soma.tags
  }

  endpoints {
    s3  = local.s3
    sts = local.endpoint
    iam = local.endpoint
  }
}
