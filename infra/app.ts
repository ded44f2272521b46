import { App } from "aws-cdk-lib";
import { ExampleStack } from "./example-stack.ts";

const app = new App();
const { migrations } = new ExampleStack(app, "NeonMigrationsExample");
for (const { stackName, template, templateFile } of app.synth().stacks) {
  const resources = Object.keys(template.Resources).length;
  process.stdout.write(`${stackName}: ${resources} resources in ${app.outdir}/${templateFile}\n`);
}
process.stdout.write(`Migrations: ${migrations.migrationsHash}\n`);
