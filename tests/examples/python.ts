import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runTool, ToolMissing } from "./check.ts";
import type { Stage } from "./stage.ts";
import type { Template } from "./template.ts";

/** Warnings that the examples mean: the path of local code is for `aws cloudformation package`. */
const MEANT = ["W3002"];

/** Holds a template against CloudFormation's own schemas. */
export async function lint(template: string): Promise<void> {
  await runTool("cfn-lint", ["--ignore-checks", ...MEANT, "--", template]);
}

const TRANSLATE = `
import json, sys
try:
    from samtranslator.translator.transform import transform
except ImportError:
    sys.exit(77)
class NoPolicies:
    def load(self): return {}
fragment = json.load(open(sys.argv[1]))
fragment["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://bucket/asset.zip"
machine = fragment["Resources"].get("Machine")
if machine: machine["Properties"]["DefinitionUri"] = "s3://bucket/fleet.asl.json"
json.dump(transform(fragment, {"DatabaseUrlSecret": "", "MigrationsHash": "", "TenantParameters": "/tenants/"}, NoPolicies()), open(sys.argv[1], "w"))
`;

/**
 * Lets AWS' own translator make CloudFormation of a SAM template.
 * @returns the file with what it made
 */
export async function translated(template: Template, stage: Stage): Promise<string> {
  const file = join(stage.scratch, "sam.json");
  writeFileSync(file, JSON.stringify(template));
  try {
    await runTool("python3", ["-c", TRANSLATE, file], {
      env: { AWS_DEFAULT_REGION: "eu-central-1" },
    });
  } catch (thrown) {
    const { code } = Object(Object(thrown).cause);
    throw code === 77 ? new ToolMissing("samtranslator") : thrown;
  }
  return file;
}
