import { readFileSync } from "node:fs";
import { transformSync } from "esbuild";
import { type Check, expectEqual } from "./check.ts";
import { SECRET_ARN, type Stage } from "./stage.ts";

/** What `new aws.lambda.Function(…)` and the others were given, by their names. */
type Declared = ReadonlyMap<string, Readonly<Record<string, unknown>>>;

/**
 * Runs `sst.config.ts` with globals that keep what is declared, and invokes the function as the
 * provider's `aws_lambda_invocation` would. SST itself brings its types and its engine with it, and
 * needs an account to start.
 */
export function declaredAndInvoked(file: string, stage: Stage): Check {
  return {
    by: "its function and invocation on the stand-in",
    run: async () => {
      const declared = await declare(file, stage);
      const { environment, code } = Object(declared.get("Migrations"));
      expectEqual(Object(code).path, stage.asset);
      const { lambda, migrations } = await stage.deploy(environment.variables);
      const { input, triggers } = Object(declared.get("Migrated"));
      expectEqual(triggers, { migrations: stage.bundle.hash });
      const { functionError, payload } = await lambda.invoke(JSON.parse(input));
      expectEqual(functionError, null);
      expectEqual(Object(payload).latest, stage.bundle.migrations.at(-1)?.tag);
      expectEqual(await migrations(), stage.bundle.migrations.length);
    },
  };
}

async function declare(file: string, stage: Stage): Promise<Declared> {
  const declared = new Map<string, Readonly<Record<string, unknown>>>();
  class Resource {
    readonly arn = "arn";
    readonly name = "name";
    readonly result = { apply: () => "" };
    constructor(name: string, args: Readonly<Record<string, unknown>>) {
      declared.set(name, args);
    }
  }
  const globals = {
    $config: (config: unknown) => config,
    $util: { asset: { FileArchive } },
    $cli: { paths: { root: stage.scratch } },
    aws: {
      secretsmanager: { getSecretOutput: () => ({ arn: SECRET_ARN }) },
      iam: {
        Role: Resource,
        RolePolicy: Resource,
        RolePolicyAttachment: Resource,
        ManagedPolicy: {},
        assumeRolePolicyForPrincipal: () => "",
        getPolicyDocumentOutput: () => ({ json: "" }),
      },
      lambda: { Function: Resource, FunctionEventInvokeConfig: Resource, Invocation: Resource },
    },
  };
  Object.assign(globalThis, globals);
  try {
    const { code } = transformSync(readFileSync(file, "utf8"), { loader: "ts", format: "esm" });
    const { default: config } = await import(
      `data:text/javascript;base64,${Buffer.from(code).toString("base64")}`
    );
    await config.run();
    return declared;
  } finally {
    for (const name of Object.keys(globals)) Reflect.deleteProperty(globalThis, name);
  }
}

class FileArchive {
  readonly path: string;
  constructor(path: string) {
    this.path = path;
  }
}
