import { Annotations, ArnFormat, Stack, Token } from "aws-cdk-lib";
import { type IRole, PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { Construct } from "constructs";
import { toError } from "../../lib/errors.ts";
import { readAllowed } from "../../lib/target/allowed.ts";
import type { NeonFleetProps } from "./props.ts";

/** The kinds of references, as the setting `TARGETS` names them. */
const KINDS = ["parameter", "secret", "database", "neon"] as const;

/** One entry of `targets`: a kind, and how the names begin. */
interface Allowed {
  readonly kind: (typeof KINDS)[number];
  readonly pattern: string;
}

/** The service that has the values of a kind, its action, and the name of its resources. */
const SERVICES = {
  parameter: { service: "ssm", action: "ssm:GetParameter" },
  secret: { service: "secretsmanager", action: "secretsmanager:GetSecretValue" },
} as const;

/**
 * Returns the setting by which the function knows what it may be asked to migrate.
 * @throws Error for an entry that is no prefix of a kind, and for a kind whose own prop is missing
 */
export function targetsEnvironment(
  scope: Construct,
  { targets, databaseUrl, neonApiKey }: NeonFleetProps,
): Readonly<Record<string, string>> {
  const allowed = allowedIn(scope, targets);
  const needs = { database: databaseUrl, neon: neonApiKey };
  const props = { database: "databaseUrl", neon: "neonApiKey" };
  for (const kind of ["database", "neon"] as const) {
    if (needs[kind] !== undefined || !allowed.some((each) => each.kind === kind)) continue;
    throw new Error(
      `${scope.node.path}: targets has ${kind}:, and there is no ${props[kind]}. ${ADVICE[kind]}`,
    );
  }
  return { TARGETS: targets.join(",") };
}

const ADVICE = {
  database: "Name the server of these databases: databaseUrl: { secret }.",
  neon: "Name a key that may read these projects: neonApiKey: { secret }.",
};

/** Lets the function read the secrets and parameters that `targets` names, and no other. */
export function grantTargets(
  scope: Construct,
  { targets, encryptionKeys = [] }: NeonFleetProps,
  role: IRole,
): void {
  const allowed = allowedIn(scope, targets);
  for (const kind of ["parameter", "secret"] as const) {
    const resources = allowed
      .filter((each) => each.kind === kind)
      .map((each) => arnOf(scope, each));
    if (resources.length === 0) continue;
    if (allowed.some((each) => each.kind === kind && each.pattern === "*")) {
      Annotations.of(scope).addWarningV2(
        "neon-lambda-migrator:EveryTarget",
        `targets has ${kind}:*, so this function may read every ${kind} of the account in this Region, and may be asked to. Name how those of tenants begin.`,
      );
    }
    const { service, action } = SERVICES[kind];
    role.addToPrincipalPolicy(new PolicyStatement({ actions: [action], resources }));
    grantKeys(scope, encryptionKeys, service, role);
  }
}

function grantKeys(scope: Construct, keys: readonly IKey[], service: string, role: IRole): void {
  if (keys.length === 0) return;
  const { region, urlSuffix } = Stack.of(scope);
  role.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ["kms:Decrypt"],
      resources: keys.map(({ keyArn }) => keyArn),
      conditions: { StringEquals: { "kms:ViaService": `${service}.${region}.${urlSuffix}` } },
    }),
  );
}

function arnOf(scope: Construct, { kind, pattern }: Allowed): string {
  if (pattern.startsWith("arn:")) return pattern;
  if (kind === "parameter") {
    return Stack.of(scope).formatArn({
      ...{ service: "ssm", resource: "parameter" },
      resourceName: pattern.replace(/^\//, ""),
    });
  }
  return Stack.of(scope).formatArn({
    ...{ service: "secretsmanager", resource: "secret", arnFormat: ArnFormat.COLON_RESOURCE_NAME },
    // The ARN of a secret ends in six random characters, which a star covers, too.
    resourceName: pattern.endsWith("*") ? pattern : `${pattern}-??????`,
  });
}

function allowedIn(scope: Construct, targets: readonly string[]): readonly Allowed[] {
  if (targets.length === 0) {
    throw new Error(
      `${scope.node.path}: targets is empty, so the function would refuse every tenant. Name what it may migrate, such as parameter:/tenants/*.`,
    );
  }
  const allowed = targets.map((target) => allowedBy(scope, target));
  try {
    // Whatever the function would refuse at its first call, such as an ARN without an account.
    readAllowed({ TARGETS: targets.join(",") });
  } catch (thrown) {
    throw new Error(`${scope.node.path}: ${toError(thrown).message}`);
  }
  return allowed;
}

/** Reads one entry. A comma would end it in the setting, and a star stands at its end only. */
function allowedBy(scope: Construct, target: string): Allowed {
  const [, name = "", pattern = ""] = /^(\w+):([^,*?\s]*\*?)$/.exec(target) ?? [];
  const kind = KINDS.find((each) => each === name);
  if (Token.isUnresolved(target) || kind === undefined || pattern === "") {
    throw new Error(
      `${scope.node.path}: targets has ${JSON.stringify(target)}. An entry is parameter:, secret:, database: or neon:, and how the names begin, with one * at its end: parameter:/tenants/*.`,
    );
  }
  return { kind, pattern };
}
