import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Check, expectEqual, runTool, ToolMissing } from "./check.ts";
import { SECRET_ARN, type Stage } from "./stage.ts";

/** Where a machine without a network may keep Terraform's providers. */
const PLUGINS = process.env.TF_PLUGINS ?? "/opt/tf-plugins";

const QUIET = { CHECKPOINT_DISABLE: "1", TF_IN_AUTOMATION: "1", NO_COLOR: "1" };

/** Validates a module of which no stand-in makes the resources. */
export function validated(file: string, stage: Stage): Check {
  const cwd = join(stage.scratch, "terraform-alone");
  const terraform = (...args: string[]) => runTool("terraform", args, { cwd, env: QUIET });
  return { by: "terraform validate", run: () => validate(file, cwd, terraform) };
}

async function validate(
  file: string,
  cwd: string,
  terraform: (...args: string[]) => Promise<string>,
): Promise<void> {
  mkdirSync(cwd, { recursive: true });
  writeFileSync(join(cwd, "main.tf"), forInstalled(readFileSync(file, "utf8")));
  await terraform("version");
  if (!existsSync(PLUGINS)) throw new ToolMissing("the AWS provider of Terraform");
  await terraform("init", "-input=false", `-plugin-dir=${PLUGINS}`);
  await terraform("fmt", "-check");
  await terraform("validate");
}

/**
 * Validates the module and runs it: role, log and function are given, since no stand-in makes them; the
 * invocation is the provider's own call of Lambda's API. */
export function terraformChecks(file: string, stage: Stage): readonly Check[] {
  const cwd = join(stage.scratch, "terraform");
  const terraform = (...args: string[]) => runTool("terraform", args, { cwd, env: QUIET });
  return [
    {
      by: "terraform validate",
      run: () => validate(file, cwd, terraform),
    },
    {
      by: "terraform test, its invocation on the stand-in",
      run: async () => {
        if (!existsSync(join(cwd, ".terraform"))) throw new ToolMissing("terraform");
        execFileSync("python3", ["-c", ZIP, stage.asset]);
        writeFileSync(join(cwd, "stand-in.tftest.hcl"), testOf(stage));
        const { migrations } = await stage.deploy({ DATABASE_URL_SECRET: SECRET_ARN });
        const before = stage.api.calls.length;
        await terraform("test");
        expectEqual(await migrations(), stage.bundle.migrations.length);
        expectEqual(stage.api.calls.length - before, 1);
      },
    },
  ];
}

/** The last provider before version 6 knows no Node 24. Where it is what the machine has, it gets the runtime that it knows. */
function forInstalled(module: string): string {
  const found = existsSync(PLUGINS) ? readdirSync(PLUGINS, { recursive: true }) : [];
  if (!found.some((path) => /hashicorp\/aws\/5\.[^/]+$/.test(String(path)))) return module;
  return module.replace(">= 6.20", ">= 5.80").replace("nodejs24.x", "nodejs22.x");
}

const ZIP = "import shutil, sys; shutil.make_archive(sys.argv[1], 'zip', sys.argv[1])";

function testOf({ api, asset, bundle }: Stage): string {
  const given = (address: string, values: string) =>
    `override_resource {\n  target = ${address}\n  values = { ${values} }\n}\n`;
  return `
provider "aws" {
  region                      = "eu-central-1"
  access_key                  = "${api.environment.AWS_ACCESS_KEY_ID}"
  secret_key                  = "${api.environment.AWS_SECRET_ACCESS_KEY}"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
  endpoints { lambda = "${api.url}" }
}

variables {
  database_url_secret = "${SECRET_ARN}"
  asset               = "${asset}"
}

${given("aws_iam_role.migrations", 'arn = "arn:aws:iam::123456789012:role/migrations"')}
${given("aws_iam_role_policy.migrations", 'id = "migrations"')}
${given("aws_cloudwatch_log_group.migrations", 'arn = "arn:aws:logs:eu-central-1:123456789012:log-group:migrations"')}
${given("aws_lambda_function.migrations", 'arn = "arn:aws:lambda:eu-central-1:123456789012:function:shop-migrations"')}
${given("aws_lambda_function_event_invoke_config.migrations", 'id = "shop-migrations"')}

run "apply" {
  assert {
    condition     = output.applied_migrations == ${bundle.migrations.length}
    error_message = "It did not apply all."
  }
}

run "unchanged" {
  assert {
    condition     = output.applied_migrations == ${bundle.migrations.length}
    error_message = "It was invoked again."
  }
}
`;
}
