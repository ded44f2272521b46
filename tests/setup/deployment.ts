import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { STATEMENT_BREAKPOINT } from "../../lib/bundle/bundle.ts";
import { writeAsset } from "../../lib/compile/asset.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import { RETRY_ATTEMPTS } from "../../lib/events/redelivery.ts";
import { LOCAL_FUNCTION_ARN } from "../../local/aws/account.ts";
import { lambdaEnvironment } from "../../local/lambda/lambda.ts";
import { type Job, type Outcome, Sandbox } from "../../local/lambda/sandbox.ts";
import type { Runtime } from "./runtimes.ts";

/** One migration as its author writes it. */
export interface AuthoredMigration {
  readonly tag: string;
  readonly when: number;
  readonly statements: readonly string[];
}

/** A deployed function. A test sees each delivery of an event, and chooses its request id. */
export interface Deployment {
  readonly functionArn: string;
  /** Every ended delivery, in the order of the ends. */
  readonly ended: readonly Outcome[];
  /** Counts the processes that were started so far. */
  starts(): number;
  /** Counts the deliveries that have not ended yet. */
  underWay(): number;
  /** Replaces the code, as a deployment does. Returns the hash of its migrations. */
  deploy(...migrations: readonly AuthoredMigration[]): Promise<string>;
  /** Replaces the code by that of a Drizzle folder. Returns the hash of its migrations. */
  deployFolder(folder: string): Promise<string>;
  /** Delivers an event to a free process, or to a new one. A job may be delivered any number of times. */
  deliver(job: Job): Promise<Outcome>;
  /** Delivers a job as Lambda's queue does: a failed call is repeated as often as it is deployed, with the same request id. */
  deliverFromQueue(job: Job): Promise<readonly Outcome[]>;
  /** Ends every process with SIGKILL. */
  kill(): Promise<void>;
  /** Stops every process with SIGSTOP, so that its time runs out. */
  freeze(): void;
  /**
   * Lets the time of every present call pass until only so many ms are left; with 0 Lambda ends the call. Only a movable
   * clock allows it.
   */
  leaveOnly(leftMs: number): void;
  /** Kills every process, and deletes the code. */
  remove(): Promise<void>;
}

/** The settings of a deployed function. */
export interface DeploymentOptions {
  /** The Node and the runtime client. Default: the stand-in's own client, in our Node. */
  readonly runtime?: Pick<Runtime, "nodePath" | "clientPath">;
  /** Whether a call's time passes only when the test says so. Default: false. */
  readonly movableClock?: boolean;
}

/** Lambda's longest time-out. */
export const TIMEOUT_MS = 900_000;

/** Prepares a function with the handler of a real deployment. */
export function prepareDeployment(
  environment: Readonly<Record<string, string>>,
  { runtime = { nodePath: process.execPath }, movableClock = false }: DeploymentOptions = {},
): Deployment {
  const folder = mkdtempSync(join(tmpdir(), "deployment-"));
  const sandboxes = new Set<Sandbox>();
  const ended: Outcome[] = [];
  const options = {
    ...runtime,
    functionArn: LOCAL_FUNCTION_ARN,
    timeoutMs: TIMEOUT_MS,
    movableClock,
    environment: { ...lambdaEnvironment(folder, LOCAL_FUNCTION_ARN), ...environment },
    taskRoot: folder,
  };
  let idle: Sandbox[] = [];
  let starts = 0;
  let underWay = 0;
  const start = async (): Promise<Sandbox> => {
    starts += 1;
    const sandbox = new Sandbox(options);
    sandboxes.add(sandbox);
    await sandbox.start();
    return sandbox;
  };
  const deliver = async (job: Job): Promise<Outcome> => {
    const ofThisCode = idle;
    underWay += 1;
    const sandbox = ofThisCode.pop() ?? (await start());
    const outcome = await sandbox.invoke(job);
    underWay -= 1;
    if (sandbox.usable) ofThisCode.push(sandbox);
    ended.push(outcome);
    return outcome;
  };
  const deployFolder = async (drizzle: string): Promise<string> => {
    // Processes with the old code finish their call, and get no other one.
    idle = [];
    const bundle = await compileBundle(drizzle);
    await writeAsset(bundle, folder, inject("assetFolder"));
    return bundle.hash;
  };
  const kill = async (): Promise<void> => {
    const running = [...sandboxes];
    sandboxes.clear();
    idle = [];
    await Promise.all(running.map((sandbox) => sandbox.stop()));
  };
  return {
    functionArn: LOCAL_FUNCTION_ARN,
    ended,
    starts: () => starts,
    underWay: () => underWay,
    deploy: async (...migrations) => {
      const drizzle = join(folder, "drizzle");
      writeDrizzleFolder(drizzle, migrations);
      const hash = await deployFolder(drizzle);
      rmSync(drizzle, { recursive: true });
      return hash;
    },
    deployFolder,
    deliver,
    deliverFromQueue: (job) => repeated(() => deliver(job)),
    kill,
    freeze: () => {
      for (const sandbox of sandboxes) sandbox.freeze();
    },
    leaveOnly: (leftMs) => {
      const busy = [...sandboxes].filter((sandbox) => sandbox.busy);
      if (busy.length === 0) throw new Error("No call is under way.");
      for (const sandbox of busy) sandbox.leaveOnly(leftMs);
    },
    remove: async () => {
      await kill();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Repeats a call that fails, as often as our construct asks Lambda to. */
export async function repeated(
  call: (attempt: number) => Promise<Outcome>,
): Promise<readonly Outcome[]> {
  const attempts: Outcome[] = [];
  do attempts.push(await call(attempts.length));
  while (attempts.at(-1)?.functionError !== null && attempts.length <= RETRY_ATTEMPTS);
  return attempts;
}

/** Writes a folder as drizzle-kit 0.x leaves it. */
export function writeDrizzleFolder(folder: string, migrations: readonly AuthoredMigration[]): void {
  const entries = migrations.map(({ tag, when }, idx) => ({
    idx,
    version: "7",
    when,
    tag,
    breakpoints: true,
  }));
  mkdirSync(join(folder, "meta"), { recursive: true });
  const journal = { version: "7", dialect: "postgresql", entries };
  writeFileSync(join(folder, "meta", "_journal.json"), JSON.stringify(journal));
  for (const { tag, statements } of migrations) {
    const sql = statements.map((each) => `${each};`).join(`${STATEMENT_BREAKPOINT}\n`);
    writeFileSync(join(folder, `${tag}.sql`), sql);
  }
}
