import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type LocalLambda, startLambda } from "../../../local/lambda/lambda.ts";
import { readContract } from "../../../local/neon/contract.ts";
import { type LocalNeon, startNeon } from "../../../local/neon/neon.ts";
import { startRelay } from "../../../local/relay/relay.ts";
import { openWire, type Wire } from "./wire.ts";

/** A project of Neon with production in it, and the function, which comes to the API by a wire that breaks. */
export interface Stage {
  readonly neon: LocalNeon;
  /** The ways from the function to the API, and to the branches. */
  readonly wires: Readonly<Record<"api" | "branch", Wire>>;
  /** Sessions that the relay has led to a branch, and to production. */
  readonly sessions: { readonly branch: number; readonly production: number };
  /** The function, its process started. It serves one try after the other. */
  warm(): Promise<LocalLambda>;
  /** The same in a process of its own. */
  cold(): LocalLambda;
  /** Counts what production's own log has of the owner of the database: logins and statements. */
  ownersLines(): Promise<number>;
  /** Puts the project back as it was: with production alone, and nothing that goes wrong. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** Nobody should ever wait so long; a call that does is unanswered. */
const FUNCTION_TIMEOUT_MS = 300_000;
const PLAN = { name: "launch_v3", branches: 50, computeUnits: 8, suspension: true };
const LOG_EVERYTHING = [
  "log_connections = on",
  "log_statement = 'all'",
  "log_line_prefix = '%u@%d '",
];
/** The mark of the owner's lines in the log. */
const OWNER = "neondb_owner@";
/** Longer than any branch of a rehearsal lives. */
const ALL_LIVES_MS = 7 * 3_600_000;

/** @param folder the asset of the function */
export async function openStage(folder: string): Promise<Stage> {
  const neon = await startNeon({ plan: PLAN, contract: await readContract() });
  const main = neon.branch("main");
  await main.sql("create table orders (id int primary key, total int)");
  await main.sql("insert into orders select i, i from generate_series(1, 20000) i");
  for (const setting of LOG_EVERYTHING) await main.admin.sql(`alter system set ${setting}`);
  await main.admin.sql("select pg_reload_conf()");
  const counted = { branch: 0, production: 0 };
  const relay = await startRelay({
    target: await nobody(),
    mode: "neon",
    route: (host) => {
      counted[host === main.host ? "production" : "branch"] += 1;
      return neon.route(host);
    },
  });
  const api = new URL(neon.url);
  const wires = {
    api: await openWire({ host: api.hostname, port: Number(api.port) }),
    branch: await openWire({ host: "127.0.0.1", port: relay.port }),
  };
  const cold = () =>
    startLambda({
      handlerDirectory: folder,
      environment: {
        ...{
          DATABASE_URL: neon.productionUrl,
          NEON_WS_PROXY: relay.address.replace(`:${relay.port}`, `:${wires.branch.port}`),
        },
        ...{ NEON_API_KEY: neon.apiKey, NEON_PROJECT_ID: neon.projectId },
        NEON_API_URL: `http://127.0.0.1:${wires.api.port}${api.pathname}`,
        CONNECT_TIMEOUT_MS: "60000",
      },
      timeoutMs: FUNCTION_TIMEOUT_MS,
    });
  let kept: LocalLambda | null = null;
  return {
    ...{ neon, wires, sessions: counted, cold },
    warm: async () => {
      if (kept !== null) return kept;
      kept = cold();
      // An event that nobody knows starts the process, and asks no database.
      await kept.invoke({ action: "none" });
      return kept;
    },
    ownersLines: async () => {
      const lines = (await readFile(main.serverLog, "utf8")).split("\n");
      return lines.filter((line) => line.startsWith(OWNER)).length;
    },
    reset: async () => {
      neon.clearFaults();
      await neon.idle();
      // Neon's own clean-up takes what is left: so it has an expiry.
      neon.passTime(ALL_LIVES_MS);
      await neon.idle();
      neon.passTime(-ALL_LIVES_MS);
      wires.api.reset();
      wires.branch.reset();
      Object.assign(counted, { branch: 0, production: 0 });
    },
    close: async () => {
      await kept?.stop();
      await wires.api.stop();
      await wires.branch.stop();
      await relay.stop();
      await neon.stop();
    },
  };
}

/** Finds a port at which nobody listens: no host may lead there. */
async function nobody(): Promise<{ readonly host: string; readonly port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  return { host: "127.0.0.1", port: typeof bound === "object" && bound !== null ? bound.port : 9 };
}
