import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";

/** Packages are found from there, and git does not see it. */
const LOCAL = ".local";
mkdirSync(LOCAL, { recursive: true });
const folder = mkdtempSync(join(LOCAL, "snippets-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What the snippets take for granted. */
const GIVEN = `
import { App, Stack } from "aws-cdk-lib";
import { Vpc } from "aws-cdk-lib/aws-ec2";
import { Cluster, ContainerImage, FargateService, FargateTaskDefinition } from "aws-cdk-lib/aws-ecs";
import { AccountRootPrincipal, Role } from "aws-cdk-lib/aws-iam";
import { LambdaDeploymentGroup } from "aws-cdk-lib/aws-codedeploy";
import { Code, Function as LambdaFunction, Runtime } from "aws-cdk-lib/aws-lambda";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { Topic } from "aws-cdk-lib/aws-sns";
import { NeonMigrations } from "neon-lambda-migrator/infra";
export { NeonMigrations } from "neon-lambda-migrator/infra";

const env = { account: "123456789012", region: "eu-central-1" };
export const app = new App();
export const stack = new Stack(app, "Given", { env });
export const secret = Secret.fromSecretNameV2(stack, "GivenSecret", "shop/database-url");
export const migrations = new NeonMigrations(stack, "GivenMigrations", {
  migrations: "drizzle",
  databaseUrl: { secret },
});
export const service = new LambdaFunction(stack, "GivenService", {
  runtime: Runtime.NODEJS_24_X,
  handler: "index.handler",
  code: Code.fromInline("exports.handler = async () => 1;"),
});
export const database = new Topic(stack, "GivenDatabase");
export const topic = new Topic(stack, "GivenTopic");
export const deployRole = new Role(stack, "GivenRole", { assumedBy: new AccountRootPrincipal() });
export const deploymentGroup = new LambdaDeploymentGroup(stack, "GivenGroup", {
  alias: service.addAlias("live"),
});
const cluster = new Cluster(stack, "GivenCluster", { vpc: new Vpc(stack, "GivenVpc") });
const taskDefinition = new FargateTaskDefinition(stack, "GivenTask");
taskDefinition.addContainer("app", { image: ContainerImage.fromRegistry("app") });
export const fargateService = new FargateService(stack, "GivenFargate", { cluster, taskDefinition });
`;
const NAMES = ["NeonMigrations"].concat(
  Array.from(GIVEN.matchAll(/export const (\w+)/g), ([, name = ""]) => name),
);

function snippetsOf(file: string): readonly string[] {
  const found = readFileSync(file, "utf8").matchAll(/```ts\n(.*?)```/gs);
  return Array.from(found, ([, text = ""]) => text);
}

/** A snippet as a module: what it uses and does not declare is given. */
function moduleOf(snippet: string): string {
  const isDeclared = (name: string) =>
    new RegExp(`(?:const|import \\{.*) ${name}\\b`).test(snippet);
  const isUsed = (name: string) => new RegExp(`\\b${name}\\b`).test(snippet);
  const missing = NAMES.filter((name) => isUsed(name) && !isDeclared(name));
  return `import { ${missing.join(", ")} } from "./given.ts";\n${snippet}`;
}

/** Writes the modules, and one that loads all of them and synthesises the app that they share. */
function writeModules(snippets: readonly string[]): void {
  const write = (name: string, text: string) =>
    writeFileSync(
      join(folder, name),
      text.replaceAll("neon-lambda-migrator/infra", "../../infra/neon-migrations.ts"),
    );
  write("given.ts", GIVEN);
  for (const [index, snippet] of snippets.entries()) {
    write(`snippet-${index}.ts`, moduleOf(snippet));
  }
  const loading = snippets.map((_, index) => `import "./snippet-${index}.ts";`);
  write("main.ts", [...loading, 'import { app } from "./given.ts";', "app.synth();"].join("\n"));
  // CDK's own types are not exact about optional properties.
  const compilerOptions = { noUnusedLocals: false, exactOptionalPropertyTypes: false };
  const config = { extends: resolve("tsconfig.json"), compilerOptions, include: ["*.ts"] };
  write("tsconfig.json", JSON.stringify(config));
}

test("GIVEN the snippets of README and docs/construct.md WHEN they are compiled and run THEN they synthesise", async () => {
  const snippets = ["README.md", "docs/construct.md"].flatMap(snippetsOf);
  writeModules(snippets);
  const config = join(folder, "tsconfig.json");
  const node = (...words: readonly string[]) =>
    promisify(execFile)(process.execPath, words).catch(({ stdout, stderr }) => ({
      stdout,
      stderr,
    }));
  const [compiled, synthesised] = await Promise.all([
    node("node_modules/typescript/bin/tsc", "-p", config),
    node("node_modules/tsx/dist/cli.mjs", "--tsconfig", config, join(folder, "main.ts")),
  ]);

  expect(snippets.length).toBeGreaterThan(9);
  expect(compiled).toEqual({ stdout: "", stderr: "" });
  expect(synthesised).toEqual({ stdout: "", stderr: "" });
}, 120_000);
