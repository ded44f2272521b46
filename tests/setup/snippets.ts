import { itemsOf } from "./pages.ts";

/** The code that the snippets take for granted. */
const GIVEN = `
import { App, Stack } from "aws-cdk-lib";
import { Vpc } from "aws-cdk-lib/aws-ec2";
import { Cluster, ContainerImage, FargateTaskDefinition } from "aws-cdk-lib/aws-ecs";
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
export const cluster = new Cluster(stack, "GivenCluster", { vpc: new Vpc(stack, "GivenVpc") });
export const taskDefinition = new FargateTaskDefinition(stack, "GivenTask");
taskDefinition.addContainer("app", { image: ContainerImage.fromRegistry("app") });
`;
const NAMES = ["NeonMigrations"].concat(
  Array.from(GIVEN.matchAll(/export const (\w+)/g), ([, name = ""]) => name),
);

/** Returns the TypeScript snippets of a page. Files of a scenario are left out: the scenario runs them. */
export function snippetsOf(page: string): readonly string[] {
  const items = itemsOf(page);
  return items.flatMap((item, index) => {
    const before = items[index - 1];
    const isFile = before?.kind === "order" && before.words[0] === "file" && before.body === "";
    return item.kind === "block" && item.language === "ts" && !isFile ? [item.text] : [];
  });
}

/**
 * Makes an ESM app of snippets. Each is a module, and `main.mts` loads all of them, synthesises the app that they share,
 * and prints the hash of its migrations.
 */
export function appOf(snippets: readonly string[]): Readonly<Record<string, string>> {
  const modules = snippets.map(
    (snippet, index) => [`snippet-${index}`, moduleOf(snippet)] as const,
  );
  const main = [
    ...modules.map(([name]) => `import "./${name}.mjs";`),
    'import { app, migrations } from "./given.mjs";',
    "app.synth();",
    "console.log(migrations.migrationsHash);",
  ];
  const all = [["given", GIVEN], ...modules, ["main", main.join("\n")]];
  return Object.fromEntries(all.map(([name, text]) => [`${name}.mts`, text]));
}

/** Makes a module of a snippet, with the names that it uses and does not declare. */
function moduleOf(snippet: string): string {
  const isDeclared = (name: string) =>
    new RegExp(`(?:const|import \\{.*) ${name}\\b`).test(snippet);
  const isUsed = (name: string) => new RegExp(`\\b${name}\\b`).test(snippet);
  const missing = NAMES.filter((name) => isUsed(name) && !isDeclared(name));
  return `import { ${missing.join(", ")} } from "./given.mjs";\n${snippet}`;
}
