output "role_arn" {
  description = "The role that nibai takes."
  value       = aws_iam_role.nibai.arn
}

output "queue_url" {
  description = "Where endpoint events arrive."
  value       = aws_sqs_queue.events.url
}
