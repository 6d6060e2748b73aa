output "bucket" {
  value = aws_s3_bucket.this.bucket
}

output "arn" {
  value = aws_s3_bucket.this.arn
}

output "region" {
  value = var.soma.region
}

output "domain" {
  value = aws_s3_bucket.this.bucket_regional_domain_name
}
