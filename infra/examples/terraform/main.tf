# neon-migrate bundle --out asset && (cd asset && zip -qr ../asset.zip .)
# terraform apply -var database_url_secret=SECRET_ARN

terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 6.20" }
  }
}

variable "database_url_secret" {
  description = "The whole ARN of the secret with the connection string."
  type        = string
}

variable "asset" {
  description = "What `neon-migrate bundle --out` wrote; with a zip of the same name beside it."
  type        = string
  default     = "asset"
}

locals {
  hash = jsondecode(file("${var.asset}/bundle.json")).hash
}

resource "aws_iam_role" "migrations" {
  name_prefix = "neon-migrations-"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "migrations" {
  role = aws_iam_role.migrations.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = var.database_url_secret },
      { Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "${aws_cloudwatch_log_group.migrations.arn}:*" },
    ]
  })
}

resource "aws_cloudwatch_log_group" "migrations" {
  name_prefix       = "neon-migrations-"
  retention_in_days = 180
}

resource "aws_lambda_function" "migrations" {
  function_name    = "shop-migrations"
  description      = "Applies the Drizzle migrations of this deployment to Neon."
  role             = aws_iam_role.migrations.arn
  runtime          = "nodejs24.x"
  architectures    = ["arm64"]
  handler          = "index.handler"
  filename         = "${var.asset}.zip"
  source_code_hash = filebase64sha256("${var.asset}.zip")
  memory_size      = 512
  timeout          = 900

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.migrations.name
  }

  environment {
    variables = { DATABASE_URL_SECRET = var.database_url_secret }
  }
}

# For events that are queued, such as a pipeline's jobs: only a process that died is repeated.
resource "aws_lambda_function_event_invoke_config" "migrations" {
  function_name                = aws_lambda_function.migrations.function_name
  maximum_retry_attempts       = 1
  maximum_event_age_in_seconds = 1020
}

# A new hash replaces this, which invokes once more. `terraform destroy` does not invoke: that would be `lifecycle_scope = "CRUD"`, and its
# call on destroy asks for nothing. What needs the new schema says `depends_on = [aws_lambda_invocation.migrations]`.
resource "aws_lambda_invocation" "migrations" {
  function_name = aws_lambda_function.migrations.function_name
  input         = jsonencode({ action = "up", migrationsHash = local.hash }) # A zip of other migrations is refused.
  triggers      = { migrations = local.hash }
  depends_on    = [aws_iam_role_policy.migrations]
}

output "applied_migrations" {
  value = length(jsondecode(aws_lambda_invocation.migrations.result).applied)
}
