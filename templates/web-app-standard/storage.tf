locals {
  # Set in environments that are no AWS: a mock or a compatible service.
  endpoint = lookup(var.soma.endpoints, "aws_endpoint", null)
  s3       = lookup(var.soma.endpoints, "s3_endpoint", local.endpoint)
  other    = local.s3 != null

  # Bucket names are shared by everybody on AWS, hence the digest, which is the same for each run of the service. At most 63 characters.
  account = data.aws_caller_identity.current.account_id
  digest  = substr(sha256(join("/", [local.account, var.soma.region, var.soma.team, var.soma.environment, var.soma.name])), 0, 8)
  bucket  = "${var.soma.name}-${trimsuffix(substr(var.soma.environment, 0, 12), "-")}-${local.digest}"
}

data "aws_caller_identity" "current" {}

resource "aws_s3_bucket" "files" {
  bucket        = local.bucket
  force_destroy = var.delete_contents
}

resource "aws_s3_bucket_public_access_block" "files" {
  bucket                  = aws_s3_bucket.files.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "files" {
  bucket = aws_s3_bucket.files.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "files" {
  bucket = aws_s3_bucket.files.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "files" {
  bucket = aws_s3_bucket.files.id
  versioning_configuration {
    status = var.versioning ? "Enabled" : "Suspended"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "files" {
  bucket = aws_s3_bucket_versioning.files.bucket

  rule {
    id     = "tidy"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
    noncurrent_version_expiration {
      noncurrent_days = 90
    }
  }
}

data "aws_iam_policy_document" "tls" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.files.arn, "${aws_s3_bucket.files.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

# A compatible service inside the house may speak plain HTTP.
resource "aws_s3_bucket_policy" "tls" {
  count  = local.other ? 0 : 1
  bucket = aws_s3_bucket.files.id
  policy = data.aws_iam_policy_document.tls.json

  depends_on = [aws_s3_bucket_public_access_block.files]
}
