import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pc from "picocolors";
import { readCommandLine } from "../../local/command-line.ts";
import { type Check, ToolMissing } from "./check.ts";
import { jobAnswered } from "./codepipeline.ts";
import { stepRun, workflowValid } from "./github-actions.ts";
import { lint, translated } from "./python.ts";
import { packageService } from "./serverless.ts";
import { declaredAndInvoked } from "./sst.ts";
import { type Stage, startStage } from "./stage.ts";
import { deployed, readTemplate, type Template } from "./template.ts";
import { terraformChecks, validated } from "./terraform.ts";

const EXAMPLES = fileURLToPath(new URL("../../infra/examples/", import.meta.url));

/** `npm run examples`: each example by its own tool, and as far as it can be run here. */
async function main(): Promise<void> {
  const stage = await startStage();
  try {
    for (const [example, checks] of Object.entries(checksOf(stage))) {
      for (const check of checks) await report(example, check);
    }
  } finally {
    await stage.stop();
  }
}

function checksOf(stage: Stage): Readonly<Record<string, readonly Check[]>> {
  const file = (path: string) => join(EXAMPLES, path);
  const cloudformation = file("cloudformation/template.yaml");
  const sam = file("sam/template.yaml");
  const codepipeline = file("codepipeline/template.yaml");
  const workflow = file("github-actions/deploy.yml");
  return {
    cloudformation: [linted(cloudformation), deployed(readTemplate(cloudformation), stage)],
    sam: [
      linted(sam),
      {
        by: "AWS' SAM translator, cfn-lint",
        run: async () => lint(await translated(readTemplate(sam), stage)),
      },
      deployed(readTemplate(sam), stage),
    ],
    serverless: serverlessChecks(file("serverless/serverless.yml"), stage),
    codepipeline: [linted(codepipeline), jobAnswered(readTemplate(codepipeline), stage)],
    "sam, fleet": [
      linted(file("sam/fleet.yaml")),
      {
        by: "AWS' SAM translator, cfn-lint",
        run: async () => lint(await translated(readTemplate(file("sam/fleet.yaml")), stage)),
      },
    ],
    terraform: terraformChecks(file("terraform/main.tf"), stage),
    "terraform, fleet": [validated(file("terraform-fleet/main.tf"), stage)],
    "github-actions": [
      workflowValid(workflow),
      workflowValid(file("github-actions/rehearse.yml")),
      stepRun(workflow, stage),
    ],
    sst: [declaredAndInvoked(file("sst/sst.config.ts"), stage)],
  };
}

function linted(template: string): Check {
  return { by: "cfn-lint", run: () => lint(template) };
}

function serverlessChecks(file: string, stage: Stage): readonly Check[] {
  let packaged: Promise<Template> | null = null;
  const template = () => {
    packaged ??= packageService(file, stage);
    return packaged;
  };
  return [
    {
      by: "osls package, cfn-lint",
      run: async () => {
        const written = join(stage.scratch, "serverless.json");
        writeFileSync(written, JSON.stringify(await template()));
        await lint(written);
      },
    },
    {
      by: "a stack on the stand-in",
      run: async () => deployed(await template(), stage).run(),
    },
  ];
}

async function report(example: string, { by, run }: Check): Promise<void> {
  const line = `${example.padEnd(16)}${by}`;
  try {
    await run();
    console.log(`${pc.green("✓")} ${line}`);
  } catch (thrown) {
    if (thrown instanceof ToolMissing) {
      console.log(pc.dim(`- ${line}: not on this machine (${thrown.message})`));
      return;
    }
    process.exitCode = 1;
    console.log(`${pc.red("✗")} ${line}\n${thrown instanceof Error ? thrown.message : thrown}`);
  }
}

const USAGE = `usage: npm run examples

Tries each example of infra/examples by its own tool, and as far as it can be run here.`;

readCommandLine({ usage: USAGE, config: {} }, () => null);
await main();
