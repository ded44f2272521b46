# neon-migrate bundle --out asset && (cd asset && zip -qr ../asset.zip .)
# terraform apply
# neon-migrate fleet start --machine "$(terraform output -raw machine)" --targets tenants.jsonl --waves acme,1%/300,100%

terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 6.20" }
  }
}

variable "tenant_parameters" {
  description = "How the names of the SSM parameters with the tenants' connection strings begin."
  type        = string
  default     = "/tenants/"
}

variable "asset" {
  description = "What `neon-migrate bundle --out` wrote; with a zip of the same name beside it."
  type        = string
  default     = "asset"
}

variable "definition" {
  description = "The state machine of the package."
  type        = string
  default     = "node_modules/neon-lambda-migrator/infra/fleet.asl.json"
}

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  place   = "${data.aws_region.this.id}:${data.aws_caller_identity.this.account_id}"
  arn     = "arn:${data.aws_partition.this.partition}"
  machine = "shop-fleet"
}

resource "aws_s3_bucket" "fleet" {
  bucket_prefix = "shop-fleet-"
}

resource "aws_s3_bucket_versioning" "fleet" {
  bucket = aws_s3_bucket.fleet.id
  versioning_configuration { status = "Enabled" }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "fleet" {
  bucket = aws_s3_bucket.fleet.id
  rule {
    apply_server_side_encryption_by_default { sse_algorithm = "AES256" }
  }
}

resource "aws_s3_bucket_public_access_block" "fleet" {
  bucket                  = aws_s3_bucket.fleet.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "fleet" {
  bucket = aws_s3_bucket.fleet.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Deny"
      Principal = { AWS = "*" }
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.fleet.arn, "${aws_s3_bucket.fleet.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

# The ledger stays: without it every tenant is asked again.
resource "aws_s3_bucket_lifecycle_configuration" "fleet" {
  bucket = aws_s3_bucket.fleet.id
  rule {
    id     = "runs"
    status = "Enabled"
    filter { prefix = "runs/" }
    expiration { days = 30 }
  }
  rule {
    id     = "lists"
    status = "Enabled"
    filter { prefix = "lists/" }
    expiration { days = 30 }
  }
  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration { noncurrent_days = 30 }
    abort_incomplete_multipart_upload { days_after_initiation = 7 }
  }
}

resource "aws_iam_role" "function" {
  name_prefix = "shop-fleet-"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

# The same prefix as in TARGETS. Without the right to list, S3 answers 403 for a ledger that is not there yet.
resource "aws_iam_role_policy" "function" {
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "ssm:GetParameter", Resource = "${local.arn}:ssm:${local.place}:parameter${var.tenant_parameters}*" },
      { Effect = "Allow", Action = "s3:GetObject", Resource = [for key in ["runs/*", "lists/*", "ledger.jsonl"] : "${aws_s3_bucket.fleet.arn}/${key}"] },
      { Effect = "Allow", Action = "s3:PutObject", Resource = [for key in ["runs/*", "ledger.jsonl"] : "${aws_s3_bucket.fleet.arn}/${key}"] },
      { Effect = "Allow", Action = "s3:ListBucket", Resource = aws_s3_bucket.fleet.arn },
      { Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "${aws_cloudwatch_log_group.function.arn}:*" },
    ]
  })
}

resource "aws_cloudwatch_log_group" "function" {
  name_prefix       = "shop-fleet-"
  retention_in_days = 180
}

resource "aws_lambda_function" "fleet" {
  function_name    = "shop-fleet"
  description      = "Applies the Drizzle migrations of this deployment to one tenant of a fleet."
  role             = aws_iam_role.function.arn
  runtime          = "nodejs24.x"
  architectures    = ["arm64"]
  handler          = "index.handler"
  filename         = "${var.asset}.zip"
  source_code_hash = filebase64sha256("${var.asset}.zip")
  memory_size      = 512
  timeout          = 900
  publish          = true # A run keeps the version that it began with.

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function.name
  }

  environment {
    variables = {
      TARGETS      = "parameter:${var.tenant_parameters}*"
      FLEET_BUCKET = aws_s3_bucket.fleet.id
    }
  }
}

resource "aws_iam_role" "machine" {
  name_prefix = "shop-fleet-"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "states.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

# It reads no secret and no ledger.
resource "aws_iam_role_policy" "machine" {
  role = aws_iam_role.machine.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "lambda:InvokeFunction", Resource = "${aws_lambda_function.fleet.arn}:*" },
      { Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"], Resource = "${aws_s3_bucket.fleet.arn}/runs/*" },
      { Effect = "Allow", Action = "states:StartExecution", Resource = "${local.arn}:states:${local.place}:stateMachine:${local.machine}" },
      { Effect = "Allow", Action = ["states:DescribeExecution", "states:StopExecution"], Resource = "${local.arn}:states:${local.place}:execution:${local.machine}:*" },
      { Effect = "Allow", Action = "states:RedriveExecution", Resource = "${local.arn}:states:${local.place}:execution:${local.machine}/wave:*" },
    ]
  })
}

resource "aws_sfn_state_machine" "fleet" {
  name     = local.machine
  role_arn = aws_iam_role.machine.arn
  definition = templatefile(var.definition, {
    FunctionArn = aws_lambda_function.fleet.qualified_arn
    Bucket      = aws_s3_bucket.fleet.id
  })
}

output "machine" {
  value = aws_sfn_state_machine.fleet.arn
}

output "bucket" {
  value = aws_s3_bucket.fleet.id
}
