import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { STATEMENT_BREAKPOINT } from "../../lib/bundle/bundle.ts";
import { writeAsset } from "../../lib/compile/asset.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
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

/** A deployed function, each of whose deliveries is seen, with the request id that it came with. */
export interface Deployment {
  readonly functionArn: string;
  /** Every delivery that has ended, in the order of the ends. */
  readonly ended: readonly Outcome[];
  /** How many processes were started so far. */
  starts(): number;
  /** How many deliveries have not ended yet. */
  underWay(): number;
  /** Replaces the code, as a deployment does. Returns the hash of its migrations. */
  deploy(...migrations: readonly AuthoredMigration[]): Promise<string>;
  /** Replaces the code by what is made of a Drizzle folder. Returns the hash of its migrations. */
  deployFolder(folder: string): Promise<string>;
  /** Delivers an event to a process that is free, or a new one. A job may be delivered as often as one likes. */
  deliver(job: Job): Promise<Outcome>;
  /** Delivers it as Lambda's queue does: a failed call is repeated, at most twice, with the same request id. */
  deliverFromQueue(job: Job): Promise<readonly Outcome[]>;
  /** Ends every process with SIGKILL. */
  kill(): Promise<void>;
  /** Stops every process in its tracks, so that its time runs out. */
  freeze(): void;
  /**
   * Lets the time of every call under way pass until only so many ms of it are left; with 0 Lambda ends it. Where the
   * clock is not movable, it passes by itself.
   */
  leaveOnly(leftMs: number): void;
  /** Kills what runs, and deletes the code. */
  remove(): Promise<void>;
}

/** What a deployed function runs in. */
export interface DeploymentOptions {
  /** Default: the stand-in's own client, in our Node. */
  readonly runtime?: Pick<Runtime, "nodePath" | "clientPath">;
  /** Whether a call's time passes only when the test says so. Default false. */
  readonly movableClock?: boolean;
}

const MAX_RETRIES = 2;
/** As long as Lambda lets a function run. */
const TIMEOUT_MS = 900_000;

/** Prepares a function with the handler that would be deployed. */
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
    // Processes with the old code finish what they do, and get nothing more.
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
    deliverFromQueue: async (job) => {
      const attempts: Outcome[] = [];
      do attempts.push(await deliver(job));
      while (attempts.at(-1)?.functionError !== null && attempts.length <= MAX_RETRIES);
      return attempts;
    },
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
