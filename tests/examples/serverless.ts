import { cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runTool, ToolMissing } from "./check.ts";
import { SECRET_ARN, type Stage } from "./stage.ts";
import type { Template } from "./template.ts";

const OSLS = fileURLToPath(new URL("../../.ci/examples/node_modules/.bin/osls", import.meta.url));

/**
 * Packages the service as `osls deploy` would.
 * @returns the template that would be deployed
 */
export async function packageService(file: string, stage: Stage): Promise<Template> {
  if (!existsSync(OSLS)) throw new ToolMissing("osls");
  const cwd = join(stage.scratch, "serverless");
  mkdirSync(cwd);
  cpSync(file, join(cwd, "serverless.yml"));
  cpSync(stage.asset, join(cwd, "asset"), { recursive: true });
  await runTool(OSLS, ["package", "--param", `databaseUrlSecret=${SECRET_ARN}`], {
    cwd,
    env: { AWS_ACCESS_KEY_ID: "local", AWS_SECRET_ACCESS_KEY: "local" },
  });
  const written = join(cwd, ".serverless", "cloudformation-template-update-stack.json");
  return JSON.parse(readFileSync(written, "utf8"));
}
