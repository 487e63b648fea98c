variable "name" {
  description = "Name of the role, and head of all other names."
  type        = string
  default     = "nibai"
}

variable "trusted_role_arn" {
  description = "Who may take the role: the role of the instance, task or service account of nibai."
  type        = string
}

variable "capture_bucket" {
  description = "Bucket of SageMaker Data Capture; nothing of it can be read while it is not there."
  type        = string
  default     = "no-data-capture"
}

variable "capture_prefix" {
  description = "Folder in that bucket, without a slash at either end."
  type        = string
  default     = "none"
}

variable "model_bucket" {
  description = "Bucket of model artifacts: overwritten weights are seen there; without it they are not."
  type        = string
  default     = "no-models"
}

variable "model_prefix" {
  description = "Folder in that bucket, without a slash at either end."
  type        = string
  default     = "none"
}

variable "benchmark_bucket" {
  description = "Bucket in which AI benchmark jobs leave their figures; without it they are named, not read."
  type        = string
  default     = "no-benchmarks"
}

variable "benchmark_prefix" {
  description = "Folder in that bucket, without a slash at either end."
  type        = string
  default     = "none"
}

variable "bedrock_log_group" {
  description = "Log group of Bedrock's invocation logs, where they go to CloudWatch Logs."
  type        = string
  default     = "no-bedrock-logs"
}
