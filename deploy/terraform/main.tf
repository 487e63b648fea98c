# What nibai needs of AWS: a role that only reads, and SageMaker's events in a queue.
# Nothing here costs money while nothing happens; nothing switches on what costs money.
#   terraform init && terraform apply -var trusted_role_arn=arn:aws:iam::123456789012:role/eks-nibai
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }
  }
}

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}

locals {
  # The one policy, for people and for Terraform alike: its words in capitals are filled in.
  filled = {
    ACCOUNT           = data.aws_caller_identity.here.account_id
    BEDROCK_LOG_GROUP = var.bedrock_log_group
    BENCHMARK_BUCKET  = var.benchmark_bucket
    BENCHMARK_PREFIX  = var.benchmark_prefix
    CAPTURE_BUCKET    = var.capture_bucket
    CAPTURE_PREFIX    = var.capture_prefix
    MODEL_BUCKET      = var.model_bucket
    MODEL_PREFIX      = var.model_prefix
    QUEUE_ARN         = aws_sqs_queue.events.arn
  }
  pieces = regexall("[A-Z_]{4,}|[A-Z]|[^A-Z]+", file("${path.module}/../iam/nibai-read.json"))
  words  = join("", [for piece in local.pieces : lookup(local.filled, piece, piece)])
  # China, GovCloud and the others have partitions of their own.
  policy = replace(local.words, "arn:aws:", "arn:${data.aws_partition.here.partition}:")
}

resource "aws_iam_policy" "read" {
  name        = "${var.name}-read"
  description = "What nibai reads; it changes nothing but the messages of its own queue."
  policy      = local.policy
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [var.trusted_role_arn]
    }
  }
}

resource "aws_iam_role" "nibai" {
  name                 = var.name
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = 3600
}

resource "aws_iam_role_policy_attachment" "read" {
  role       = aws_iam_role.nibai.name
  policy_arn = aws_iam_policy.read.arn
}
