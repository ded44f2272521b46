import { posix } from "node:path";
import type { Facts } from "./facts.ts";

/** Makes the module that adds the construct to a stack. */
export function cdkFile(facts: Facts): string {
  const { names, variables } = facts;
  const { source, place, module } = databaseOf(facts);
  const ledger = fields({ schema: variables.LEDGER_SCHEMA, table: variables.LEDGER_TABLE });
  return `// In the stack of the service that needs the new schema:
//   const migrations = add${names.id}Migrations(this);
//   migrations.executeBefore(service);

${module}
import type { Construct } from "constructs";
import { NeonMigrations } from "neon-lambda-migrator/infra";

/** Applies the Drizzle migrations of ${names.plain} to Neon at each deployment that changes them. */
export function add${names.id}Migrations(scope: Construct): NeonMigrations {
${source}
  return new NeonMigrations(scope, "${names.id}Migrations", {
    migrations: ${JSON.stringify(posix.relative(facts.appFolder, facts.folder))},
    databaseUrl: ${place},
${ledger === "" ? "" : `    ledger: { ${ledger} },\n`}  });
}
`;
}

/** The code that names the connection string by reference. */
function databaseOf({ names, secret, parameter, variables }: Facts) {
  const id = JSON.stringify(`${names.id}DatabaseUrl`);
  if (parameter !== null) {
    const name = `parameterName: ${JSON.stringify(parameter)}`;
    return {
      module: 'import { StringParameter } from "aws-cdk-lib/aws-ssm";',
      source: `  const parameter = StringParameter.fromSecureStringParameterAttributes(scope, ${id}, {\n    ${name},\n  });`,
      place: "{ parameter }",
    };
  }
  const make = makerOf(secret);
  const field = fields({ field: variables.DATABASE_URL_SECRET_FIELD });
  return {
    module: 'import { Secret } from "aws-cdk-lib/aws-secretsmanager";',
    source: `  const secret = Secret.${make}(scope, ${id}, ${JSON.stringify(secret)});`,
    place: field === "" ? "{ secret }" : `{ secret, ${field} }`,
  };
}

/** An ARN ends with six random characters, or has been cut off before them. */
function makerOf(secret: string): string {
  if (!secret.startsWith("arn:")) return "fromSecretNameV2";
  return /-[A-Za-z0-9]{6}$/.test(secret) ? "fromSecretCompleteArn" : "fromSecretPartialArn";
}

function fields(named: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(named)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${JSON.stringify(value)}`]))
    .join(", ");
}
