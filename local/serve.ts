import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeAsset } from "../lib/compile/asset.ts";
import { compileBundle } from "../lib/compile/compile.ts";
import type { LedgerPlace } from "../lib/target/target.ts";
import { counted } from "../lib/text.ts";
import { startSecrets } from "./aws/secrets.ts";
import { FLEET_BUCKET, serveMachine } from "./fleet/serve-machine.ts";
import { startFunctionUrl } from "./function-url/function-url.ts";
import { type Greeting, greeting } from "./instructions.ts";
import { startLambda } from "./lambda/lambda.ts";
import { startLambdaService } from "./lambda/service.ts";
import { type LocalNeon, startNeon } from "./neon/neon.ts";
import { startRelay } from "./relay/relay.ts";
import { startS3 } from "./s3/s3.ts";

/** What is served, and with which handler. */
export interface Served {
  /** The folder of the migrations. */
  readonly folder: string;
  /** Where the function finds its ledger. Default: the usual place. */
  readonly ledger?: LedgerPlace | undefined;
  /** Builds the handler into a folder. Default: the prebuilt one that the package ships. */
  readonly build?: (folder: string) => Promise<unknown>;
}

/**
 * Runs a PostgreSQL for each branch of a project, Neon's API, a relay and the function with a folder's migrations until Ctrl-C. Prints what to export and to call on
 * standard output, and everything else on standard error.
 * @throws MigratorError for a folder that does not compile
 * @throws Error where PostgreSQL's programs are not installed, with the line that installs them
 */
export async function serve({ folder, ledger, build }: Served): Promise<void> {
  // From here on a signal does not end this process at once: servers and files would be left behind.
  let isEnding = false;
  const ended = untilSignal().then(() => {
    isEnding = true;
  });
  const scratch = mkdtempSync(join(tmpdir(), "neon-lambda-migrator-"));
  let neon: LocalNeon | undefined;
  try {
    const bundle = await compileBundle(folder);
    const handler = build === undefined ? undefined : join(scratch, "handler");
    if (handler !== undefined) await build?.(handler);
    console.error("PostgreSQL is being started …");
    neon = await startNeon({ domain: "eu-central-1.neon.test" });
    const asset = join(scratch, "asset");
    await writeAsset(bundle, asset, handler);
    const migrations = counted(bundle.migrations.length, "migration");
    const latest = bundle.migrations.at(-1)?.tag ?? null;
    const stop = await start(neon, asset, { folder, migrations, latest, ledger });
    await ended;
    console.error("Ending …");
    await stop();
  } catch (thrown) {
    // A terminal sends its signal to the programs of PostgreSQL, too.
    if (!isEnding) throw thrown;
  } finally {
    await neon?.stop();
    rmSync(scratch, { recursive: true });
  }
  console.error("Everything has ended, and the data is deleted.");
}

/** Starts everything but the database. @returns a function that ends it */
async function start(
  neon: LocalNeon,
  handlerDirectory: string,
  { ledger, ...of }: Pick<Greeting, "folder" | "migrations" | "latest"> & Pick<Served, "ledger">,
): Promise<() => Promise<void>> {
  const databaseUrl = neon.productionUrl;
  const { port, url: plainUrl, serverLog } = neon.branch("main");
  const target = { host: "127.0.0.1", port };
  const route = (host: string) => neon.route(host) ?? (host === target.host ? target : null);
  const relay = await startRelay({ target, mode: "neon", route });
  const [secrets, service, s3] = await Promise.all([
    startSecrets(),
    startLambdaService(),
    startS3({ buckets: [FLEET_BUCKET] }),
  ]);
  secrets.set("shop/database-url", databaseUrl);
  secrets.set("shop/neon-api-key", neon.apiKey);
  const lambda = startLambda({
    handlerDirectory,
    environment: {
      ...secrets.environment,
      ...service.environment,
      ...s3.environment,
      FLEET_BUCKET,
      TARGETS: "database:tenant_*",
      DATABASE_URL_SECRET: "shop/database-url",
      NEON_API_URL: neon.url,
      NEON_API_KEY_SECRET: "shop/neon-api-key",
      NEON_PROJECT_ID: neon.projectId,
      NEON_WS_PROXY: relay.address,
      ...(ledger === undefined ? {} : { LEDGER_SCHEMA: ledger.schema, LEDGER_TABLE: ledger.table }),
    },
  });
  service.deploy(lambda);
  const functionUrl = await startFunctionUrl(lambda);
  const machine = await serveMachine(lambda, s3.store);
  const variables = {
    DATABASE_URL: databaseUrl,
    NEON_WS_PROXY: relay.address,
    ...neon.environment,
    ...service.environment,
    ...s3.environment,
    ...machine.environment,
  };
  const machineArn = machine.stateMachineArn;
  console.log(
    greeting({ ...of, variables, functionUrl: functionUrl.url, plainUrl, serverLog, machineArn }),
  );
  return async () => {
    await machine.shutDown();
    for (const part of [functionUrl, service, lambda, s3, secrets, relay]) await part.stop();
  };
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => resolve());
    }
  });
}
