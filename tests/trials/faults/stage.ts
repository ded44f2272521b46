import { type LocalLambda, startLambda } from "../../../local/lambda/lambda.ts";
import { databaseUrl, type Role } from "../../../local/postgres/admin.ts";
import { type LocalPostgres, startPostgres } from "../../../local/postgres/postgres.ts";
import { type Relay, startRelay } from "../../../local/relay/relay.ts";
import { createWatch, type Watch } from "./watch.ts";
import { APPLICATION, type Workload } from "./workloads.ts";

/** A PostgreSQL of its own, with one database that each try begins anew, and the function in front of it. */
export interface Stage {
  readonly postgres: LocalPostgres;
  readonly relay: Relay;
  readonly watch: Watch;
  /** Where the runs work. */
  readonly database: string;
  /** The connection string of the database's owner. */
  readonly url: string;
  /** The folder with the asset of a workload. */
  folderOf(workload: Workload): string;
  /** Puts the application back as it was before the first migration. */
  reset(): Promise<void>;
  /** A session on the database itself. */
  look(): Watch;
  /** The function with these migrations, its process started. It serves one try after the other. */
  warm(workload: Workload): Promise<LocalLambda>;
  /** The same in processes of its own. @param way default: the stage's relay, straight to the server */
  cold(workload: Workload, way?: Way): LocalLambda;
  /** Ends the processes that serve one try after the other. */
  cool(): Promise<void>;
  close(): Promise<void>;
}

/** How a function comes to the database. */
export interface Way {
  readonly relay: Relay;
  /** The server's port, as the connection string has it. */
  readonly port: number;
}

const DATABASE = "faults";
const TEMPLATE = "faults_before";
const ROLE = "deployer";
/** Nobody should ever wait so long; a run that does is unanswered. */
const FUNCTION_TIMEOUT_MS = 300_000;
/** On a busy machine a server that is started again may be away for longer than ten seconds. */
const CONNECT_TIMEOUT_MS = "60000";

/**
 * A crash must not take what was committed, as on Neon; deadlocks are to be found while a try lasts. With
 * `wal_level` `minimal` a crash takes the values back that a sequence has given out since the transaction
 * that made it.
 */
const SETTINGS = {
  wal_level: "replica",
  synchronous_commit: "on",
  deadlock_timeout: "100ms",
  max_wal_size: "64MB",
  min_wal_size: "32MB",
};

/** @param folderOf where the asset of a workload is */
export async function openStage(folderOf: (workload: Workload) => string): Promise<Stage> {
  const postgres = await startPostgres({ settings: SETTINGS });
  const { host, port, admin } = postgres;
  const role = await admin.createRole(ROLE);
  await prepareTemplate(postgres, role);
  const relay = await startRelay({ target: { host, port } });
  const watch = createWatch(postgres.url());
  const url = postgres.url(DATABASE, role);
  const warm = new Map<Workload, LocalLambda>();
  const cold = (workload: Workload, way: Way = { relay, port }) =>
    startLambda({
      handlerDirectory: folderOf(workload),
      environment: {
        DATABASE_URL: withPort(url, way.port),
        NEON_WS_PROXY: way.relay.address,
        CONNECT_TIMEOUT_MS,
      },
      timeoutMs: FUNCTION_TIMEOUT_MS,
    });
  const cool = async (): Promise<void> => {
    const lambdas = [...warm.values()];
    warm.clear();
    await Promise.all(lambdas.map((lambda) => lambda.stop()));
  };
  return {
    postgres,
    relay,
    watch,
    database: DATABASE,
    url,
    folderOf,
    reset: async () => {
      await watch.sql(`drop database if exists ${DATABASE} with (force)`);
      await watch.sql(
        `create database ${DATABASE} template ${TEMPLATE} owner ${ROLE} strategy file_copy`,
      );
    },
    look: () => createWatch(postgres.url(DATABASE)),
    warm: async (workload) => {
      const known = warm.get(workload);
      if (known !== undefined) return known;
      const started = cold(workload);
      warm.set(workload, started);
      await started.invoke({ action: "status" });
      return started;
    },
    cold,
    cool,
    close: async () => {
      await cool();
      await relay.stop();
      await watch.close();
      await postgres.stop();
    },
  };
}

function withPort(url: string, port: number): string {
  const other = new URL(url);
  other.port = String(port);
  return other.href;
}

async function prepareTemplate(postgres: LocalPostgres, role: Role): Promise<void> {
  const { admin } = postgres;
  await admin.createDatabase(TEMPLATE, { owner: role.name });
  const session = createWatch(databaseUrl(postgres.url(), TEMPLATE, role));
  for (const statement of APPLICATION) await session.sql(statement);
  await session.sql("vacuum analyze");
  await session.close();
}
