import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildLambda } from "../../build/lambda.ts";
import type { Bundle } from "../../lib/bundle/bundle.ts";
import { portable, writeAsset } from "../../lib/compile/asset.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import { type LocalSecrets, startSecrets } from "../../local/aws/secrets.ts";
import { type LocalLambda, startLambda } from "../../local/lambda/lambda.ts";
import { type LocalLambdaService, startLambdaService } from "../../local/lambda/service.ts";
import { type LocalPostgres, startPostgres } from "../../local/postgres/postgres.ts";
import { startRelay } from "../../local/relay/relay.ts";

/** The ARN that the examples are given for their secret. */
export const SECRET_ARN =
  "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop/database-url-AbCdEf";

/** The function's name in every example. */
const FUNCTION_ARN = "arn:aws:lambda:eu-central-1:123456789012:function:shop-migrations";

const FOLDER = "drizzle";

/** What an example runs on: the asset that `neon-migrate bundle` makes, and everything around it. */
export interface Stage {
  readonly asset: string;
  readonly bundle: Bundle;
  /** A folder for what the tools write; deleted in the end. */
  readonly scratch: string;
  /** Runs the asset with an example's environment variables, on an empty database of its own. */
  deploy(environment: Readonly<Record<string, string>>): Promise<Deployed>;
  /** Lambda's API, which knows the function that was deployed last as `shop-migrations`. */
  readonly api: LocalLambdaService;
  stop(): Promise<void>;
}

/** The function of an example. */
export interface Deployed {
  readonly lambda: LocalLambda;
  /** How many migrations its database has. */
  migrations(): Promise<number>;
}

/** Starts PostgreSQL, relay and secrets, and builds the function. */
export async function startStage(): Promise<Stage> {
  const scratch = mkdtempSync(join(tmpdir(), "examples-"));
  const asset = join(scratch, "asset");
  const postgres = await startPostgres();
  const { host, port } = postgres;
  const relay = await startRelay({ target: { host, port }, mode: "neon" });
  const secrets = await startSecrets();
  const api = await startLambdaService();
  const lambdas: LocalLambda[] = [];
  const bundle = portable(await compileBundle(FOLDER), FOLDER);
  await buildLambda(join(scratch, "handler"));
  await writeAsset(bundle, asset, join(scratch, "handler"));

  return {
    asset,
    bundle,
    scratch,
    api,
    deploy: async (environment) => {
      const url = await newDatabase(postgres, lambdas.length, secrets);
      const all = { ...secrets.environment, ...environment, NEON_WS_PROXY: relay.address };
      const options = { handlerDirectory: asset, environment: all, functionArn: FUNCTION_ARN };
      const lambda = startLambda(options);
      lambdas.push(lambda);
      api.deploy(lambda);
      return { lambda, migrations: () => rowsIn(postgres, url) };
    },
    stop: async () => {
      await api.stop();
      for (const lambda of lambdas) await lambda.stop();
      await secrets.stop();
      await relay.stop();
      await postgres.stop();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

/** The secret holds the newest database's address: examples run one after the other. */
async function newDatabase(
  { admin, url }: LocalPostgres,
  index: number,
  secrets: LocalSecrets,
): Promise<string> {
  const name = `shop_${index}`;
  const owner = await admin.createRole(`${name}_owner`);
  await admin.createDatabase(name, { owner: owner.name });
  secrets.set("shop/database-url", url(name, owner));
  return name;
}

async function rowsIn({ admin }: LocalPostgres, database: string): Promise<number> {
  const counted = "select count(*)::int as count from drizzle.__drizzle_migrations";
  const [row] = await admin.sql(counted, [], database);
  return Number(row?.count);
}
