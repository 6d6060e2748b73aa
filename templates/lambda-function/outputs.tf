output "function_name" {
  value = aws_lambda_function.this.function_name
}

output "arn" {
  value = aws_lambda_function.this.arn
}

output "role" {
  value = aws_iam_role.this.name
}

output "log_group" {
  value = aws_cloudwatch_log_group.this.name
}

output "code_bucket" {
  value = aws_s3_bucket.code.bucket
}

output "code_key" {
  value = aws_s3_object.starter.key
}

output "deploy_command" {
  value = "aws lambda update-function-code --region ${var.soma.region} --function-name ${aws_lambda_function.this.function_name} --s3-bucket ${aws_s3_bucket.code.bucket} --s3-key ${aws_s3_object.starter.key}"
}

output "region" {
  value = var.soma.region
}
