output "file_system_id" {
  value = aws_efs_file_system.this.id
}

output "arn" {
  value = aws_efs_file_system.this.arn
}

output "access_point_id" {
  value = aws_efs_access_point.this.id
}

output "host" {
  value = aws_efs_file_system.this.dns_name
}

output "mount_command" {
  value = "mount -t efs -o tls,accesspoint=${aws_efs_access_point.this.id} ${aws_efs_file_system.this.id}:/ /mnt"
}

output "region" {
  value = var.soma.region
}
