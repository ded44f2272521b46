import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { packageRoot } from "../../lib/package-root.ts";
import { cdkFile } from "./cdk.ts";
import type { Facts } from "./facts.ts";
import type { Tool } from "./tools.ts";

type Replacement = readonly [from: string | RegExp, to: string];

/**
 * Makes the file for a tool: the package's example of it, with the facts of the project in the place of the example's.
 * @param out the path of the file, seen from the working directory
 */
export function snippetFor(tool: Tool, facts: Facts, out: string): string {
  if (tool === "cdk") return cdkFile(facts);
  const example = readFileSync(join(packageRoot(), "infra/examples", EXAMPLES[tool]), "utf8");
  const replacements = REPLACEMENTS[tool](facts, out);
  return replacements.reduce(replaceAll, example);
}

const EXAMPLES = {
  terraform: "terraform/main.tf",
  sam: "sam/template.yaml",
  sst: "sst/sst.config.ts",
  serverless: "serverless/serverless.yml",
  "github-actions": "github-actions/deploy.yml",
} as const;

const REPLACEMENTS: Readonly<
  Record<keyof typeof EXAMPLES, (facts: Facts, out: string) => readonly Replacement[]>
> = { terraform, sam, sst, serverless, "github-actions": githubActions };

/** An example that has changed must not keep its own names in silence. */
function replaceAll(text: string, [from, to]: Replacement): string {
  const isThere = typeof from === "string" ? text.includes(from) : text.search(from) >= 0;
  if (!isThere) throw new Error(`The example has no ${from}.`);
  return text.replaceAll(from, (_match, group: unknown) =>
    typeof from !== "string" && typeof group === "string" ? to.replace("$1", () => group) : to,
  );
}

const DESCRIPTION = "Applies the Drizzle migrations of this deployment to Neon.";

function common({ names, flags }: Facts): readonly Replacement[] {
  return [
    [DESCRIPTION, `Applies the Drizzle migrations of ${names.plain} to Neon.`],
    ["neon-migrate bundle --out asset", `neon-migrate bundle${flags} --out asset`],
  ];
}

function terraform(facts: Facts, out: string): readonly Replacement[] {
  const { plain, identifier } = facts.names;
  const [label, folder] = [`${identifier}_migrations`, posix.dirname(out)];
  const variables = { DATABASE_URL_SECRET: "", ...facts.variables };
  const width = Math.max(...Object.keys(variables).map((name) => name.length));
  const lines = Object.entries(variables).map(
    ([name, value]) =>
      `      ${name.padEnd(width)} = ${value === "" ? "var.database_url_secret" : hclText(value)}\n`,
  );
  const isPlain = lines.length === 1;
  const one = "{ DATABASE_URL_SECRET = var.database_url_secret }";
  const block = 'terraform {\n  required_providers {\n    aws = { source = "hashicorp/aws"';
  return [
    ...common(facts),
    ["shop-migrations", `${plain}-migrations`],
    [/(resource "aws_\w+" )"migrations"/g, `$1"${label}"`],
    [/\b(aws_\w+)\.migrations\b/g, `$1.${label}`],
    ['variable "asset"', 'variable "migrations_asset"'],
    ["var.asset", "var.migrations_asset"],
    ['default     = "asset"', `default     = ${hclText(posix.relative(folder, "asset"))}`],
    ["  hash = jsondecode", "  migrations_hash = jsondecode"],
    ["local.hash", "local.migrations_hash"],
    ...(folder === "."
      ? []
      : [["terraform apply", `terraform -chdir=${shellWord(folder)} apply`] as const]),
    ...(facts.hasProviders
      ? [[providers(block), "# AWS' provider must be 6.20 or later.\n"] as const]
      : []),
    ...(isPlain ? [] : [[one, `{\n${lines.join("")}    }`] as const]),
  ];
}

function providers(start: string): RegExp {
  const escaped = start.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`${escaped}[^]*?\\n}\\n`, "g");
}

function sam(facts: Facts, out: string): readonly Replacement[] {
  const { plain, id } = facts.names;
  const file = out === "template.yaml" ? "" : ` --template-file ${shellWord(out)}`;
  return [
    ...common(facts),
    ["shop-migrations", `${plain}-migrations`],
    ["sam deploy", `sam deploy${file}`],
    [/(?<!:)\bFunction(?=:\n|EventInvokeConfig\b|\.Arn)/g, `${id}MigrationsFunction`],
    [/(?<=^ {2}|DependsOn: |GetAtt )Migrations\b/gm, `${id}Migrations`],
    ["CodeUri: asset", `CodeUri: ${posix.relative(posix.dirname(out), "asset")}`],
    ...yamlVariables(facts, "          DATABASE_URL_SECRET: !Ref DatabaseUrlSecret\n"),
  ];
}

function serverless(facts: Facts, out: string): readonly Replacement[] {
  const file = out === "serverless.yml" ? "" : ` --config ${shellWord(out)}`;
  return [
    ...common(facts),
    ["shop-migrations", `${facts.names.plain}-migrations`],
    ["osls deploy", `osls deploy${file}`],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: A variable of Serverless.
    ...yamlVariables(facts, "      DATABASE_URL_SECRET: ${param:databaseUrlSecret}\n"),
  ];
}

function yamlVariables({ variables }: Facts, first: string): readonly Replacement[] {
  const indent = /^ */.exec(first)?.[0] ?? "";
  const lines = Object.entries(variables).map(
    ([name, value]) => `${indent}${name}: ${JSON.stringify(value)}\n`,
  );
  return lines.length === 0 ? [] : [[first, `${first}${lines.join("")}`]];
}

function sst(facts: Facts, out: string): readonly Replacement[] {
  const { names, secret, variables } = facts;
  const key = secret.startsWith("arn:") ? "arn" : "name";
  const lines = Object.entries({ DATABASE_URL_SECRET: null, ...variables }).map(
    ([name, value]) => `${name}: ${value === null ? "secret.arn" : JSON.stringify(value)}`,
  );
  return [
    ...common(facts),
    // An app of its own: a second one with the name of the first would remove what the first has made.
    ['name: "shop"', `name: "${names.plain}-migrations"`],
    ['{ name: "shop/database-url" }', `{ ${key}: ${JSON.stringify(secret)} }`],
    ["sst deploy", `sst deploy${out === "sst.config.ts" ? "" : ` --config ${shellWord(out)}`}`],
    ["{ DATABASE_URL_SECRET: secret.arn }", `{ ${lines.join(", ")} }`],
  ];
}

function githubActions(facts: Facts, out: string): readonly Replacement[] {
  const { names, flags, packages, branch, region, hasDeploy } = facts;
  const run = (command: string) => `- run: ${yamlText(command)}`;
  const bundle = `${packages.exec} neon-migrate bundle${flags} --out asset && (cd asset && zip -qr ../asset.zip .)`;
  const check = `${packages.exec} neon-migrate check${flags} --since origin/\${{ github.base_ref }}`;
  return [
    [".github/workflows/deploy.yml", out],
    ["name: deploy\n", `name: ${names.plain} migrations\n`],
    ["branches: [main]", `branches: [${JSON.stringify(branch)}]`],
    ["shop-migrations", `${names.plain}-migrations`],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: An expression of GitHub's.
    ["eu-central-1", region ?? "${{ vars.AWS_REGION }}"],
    [/- run: npx neon-migrate bundle.*/g, run(bundle)],
    [/- run: npx neon-migrate check.*/g, run(check)],
    ["npx neon-migrate invoke", `${packages.exec} neon-migrate invoke`],
    [", cache: npm", packages.isCached === false ? "" : `, cache: ${packages.name}`],
    ["npm ci", packages.install],
    ...(packages.setup === null
      ? []
      : [
          [
            "      - uses: actions/setup-node",
            `${packages.setup}      - uses: actions/setup-node`,
          ] as const,
        ]),
    [
      "      - run: npm run deploy #",
      hasDeploy ? `      - run: ${packages.run} deploy #` : "      # - run: YOUR DEPLOYMENT #",
    ],
    ["`npm run deploy`", hasDeploy ? `\`${packages.run} deploy\`` : "your deployment"],
  ];
}

function yamlText(text: string): string {
  return /: | #|["'\\]/.test(text) ? JSON.stringify(text) : text;
}

function hclText(text: string): string {
  return JSON.stringify(text).replace(/[$%](?=\{)/g, "$&$&");
}

/** Quotes a word for a shell where it needs that. */
export function shellWord(word: string): string {
  return /^[\w./@:=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
