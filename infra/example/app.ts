import { App } from "aws-cdk-lib";
// Your own app has these flags in its cdk.json, where `cdk init` writes them.
import recommendedFlags from "aws-cdk-lib/recommended-feature-flags.json" with { type: "json" };
import { ExampleStack } from "./stack.ts";

const app = new App({ context: recommendedFlags });
const { migrations } = new ExampleStack(app, "NeonMigrationsExample");
for (const { stackName, template, templateFile } of app.synth().stacks) {
  const resources = Object.keys(template.Resources).length;
  process.stdout.write(`${stackName}: ${resources} resources in ${app.outdir}/${templateFile}\n`);
}
process.stdout.write(`Migrations: ${migrations.migrationsHash}\n`);
