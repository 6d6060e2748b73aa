output "name" {
  value = aws_sqs_queue.this.name
}

output "url" {
  value = aws_sqs_queue.this.url
}

output "arn" {
  value = aws_sqs_queue.this.arn
}

output "region" {
  value = var.soma.region
}

output "dead_letter_url" {
  value = var.dead_letter ? aws_sqs_queue.dead[0].url : ""
}

output "dead_letter_name" {
  value = var.dead_letter ? aws_sqs_queue.dead[0].name : ""
}
