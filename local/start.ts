/*
 * The demonstration behind `npm start`. The function comes in, and an answer for each step of a deployment goes out, on
 * a real PostgreSQL and on the stand-ins in the folders beside this file. A stand-in behaves as its service does,
 * and has faults on command. Nothing here calls a service outside this machine, and nothing of the product imports it.
 */

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pc from "picocolors";
import { buildLambda } from "../build/lambda.ts";
import { writeAsset } from "../lib/compile/asset.ts";
import { compileBundle } from "../lib/compile/compile.ts";
import type { Report } from "../lib/report/report.ts";
import { startCloudFormation } from "./cloudformation/cloudformation.ts";
import { readCommandLine } from "./command-line.ts";
import { type LocalLambda, startLambda } from "./lambda/lambda.ts";
import { type LocalPostgres, startPostgres } from "./postgres/postgres.ts";
import { type Relay, startRelay } from "./relay/relay.ts";

/** A step of the deployment and its expected end. Any other end makes the exit code of the demonstration 1. */
interface Step {
  readonly caller: string;
  readonly expected: string;
  /** Returns the end of the step, in the words of `expected`, and the full answer. */
  play(): Promise<{ readonly seen: string; readonly line: string; readonly answer: unknown }>;
}

const USAGE = `usage: npm start -- [--json]

Plays a deployment from the first Create to the Delete, on a real PostgreSQL. Ends with 1 where a step went wrong.`;

const OPTIONS = { json: { type: "boolean", default: false } } as const;

const json = readCommandLine(
  { usage: USAGE, config: { options: OPTIONS } },
  ({ values }) => values.json,
);
const print = (line: string) => {
  if (!json) console.log(line);
};

/** `npm start`: plays a deployment from the first Create to the Delete, on a real PostgreSQL. */
async function main(): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "neon-lambda-migrator-"));
  const started = Date.now();
  print(
    "Starting PostgreSQL and a relay that behaves like Neon's proxy, and building the function …",
  );
  const [postgres] = await Promise.all([startPostgres(), buildLambda(join(scratch, "handler"))]);
  const { host, port } = postgres;
  const relay = await startRelay({ target: { host, port }, mode: "neon" });
  const stage = new Stage(scratch, postgres, relay);
  try {
    print(`Ready after ${seconds(started)}.\n`);
    const failures = await playAll(await stage.steps(), scratch);
    print(`\nThe full JSON reports: ${join(scratch, "reports.json")}`);
    print(
      failures === 0
        ? pc.green(`All as it should be, ${seconds(started)}.`)
        : pc.red(`${failures} steps went wrong.`),
    );
    process.exitCode = failures === 0 ? 0 : 1;
  } finally {
    await stage.close();
    await relay.stop();
    await postgres.stop();
    for (const name of [
      "handler",
      "asset",
      "asset-next",
      "asset-guarded",
      "asset-broken",
      "folder",
    ]) {
      rmSync(join(scratch, name), { recursive: true, force: true });
    }
  }
}

async function playAll(steps: readonly Step[], scratch: string): Promise<number> {
  const answers: unknown[] = [];
  let failures = 0;
  for (const { caller, expected, play } of steps) {
    const started = Date.now();
    const { seen, line, answer } = await play();
    const good = seen === expected;
    failures += good ? 0 : 1;
    print(
      `${good ? pc.green("✓") : pc.red("✗")} ${caller.padEnd(44)} ${line} ${pc.dim(seconds(started))}`,
    );
    if (!good) print(pc.red(`  expected ${expected}, but saw ${seen}`));
    answers.push({ caller, answer });
  }
  const text = JSON.stringify(answers, null, 2);
  writeFileSync(join(scratch, "reports.json"), `${text}\n`);
  if (json) console.log(text);
  return failures;
}

/** The database and the function, which the steps of the deployment use and change. */
class Stage {
  readonly #scratch: string;
  readonly #postgres: LocalPostgres;
  readonly #relay: Relay;
  readonly #lambdas: LocalLambda[] = [];
  #current: LocalLambda | null = null;

  constructor(scratch: string, postgres: LocalPostgres, relay: Relay) {
    this.#scratch = scratch;
    this.#postgres = postgres;
    this.#relay = relay;
  }

  async close(): Promise<void> {
    for (const lambda of this.#lambdas) await lambda.stop();
  }

  async #deploy(folder: string, name: string, url: string): Promise<LocalLambda> {
    const asset = join(this.#scratch, name);
    await writeAsset(await compileBundle(folder), asset, join(this.#scratch, "handler"));
    const environment = { DATABASE_URL: url, NEON_WS_PROXY: this.#relay.address };
    const lambda = startLambda({ handlerDirectory: asset, environment });
    this.#lambdas.push(lambda);
    return lambda;
  }

  get #function(): LocalLambda {
    if (this.#current === null) throw new Error("No function is deployed.");
    return this.#current;
  }

  async steps(): Promise<readonly Step[]> {
    const { admin } = this.#postgres;
    const owner = await admin.createRole("neondb_owner");
    const guest = await admin.createRole("guest");
    await admin.createDatabase("neondb", { owner: owner.name });
    await admin.createDatabase("guarded");
    await admin.sql("grant create on schema public to guest", [], "guarded");
    const url = this.#postgres.url("neondb", owner);
    this.#current = await this.#deploy("drizzle", "asset", url);
    const stack = await startCloudFormation({
      invoke: (event) => this.#function.invokeAsync(event),
      serviceToken: this.#function.functionArn,
    });
    const operation = async (work: ReturnType<typeof stack.create>) => {
      const answer = await work;
      const { status = "", appliedCount = "0", latest = "" } = stack.attributes("Run") ?? {};
      const seen = answer.problems.length === 0 ? answer.status : answer.problems.join(", ");
      return {
        seen,
        line: `${answer.status}: ${status}${status === "applied" ? ` ${appliedCount}, up to ${latest}` : ""}`,
        answer,
      };
    };
    return [
      {
        caller: "CloudFormation creates the stack",
        expected: "CREATE_COMPLETE",
        play: () => operation(stack.create("Run", { MigrationsHash: "1" })),
      },
      this.#direct("The pipeline invokes the function", "up-to-date"),
      {
        caller: "A new migration arrives, Update",
        expected: "UPDATE_COMPLETE",
        play: async () => {
          const folder = this.#extend(
            "0011_add_notes",
            "CREATE TABLE notes (id bigint PRIMARY KEY, body text NOT NULL);",
          );
          this.#current = await this.#deploy(folder, "asset-next", url);
          return await operation(stack.update("Run", { MigrationsHash: "2" }));
        },
      },
      this.#http("HTTP GET /migrations/plan", "/migrations/plan"),
      this.#http("HTTP GET /migrations", "/migrations"),
      {
        caller: "A role that may not create schemas",
        expected: "applied statements schema-creation-blocked",
        play: async () => {
          const lambda = await this.#deploy(
            "drizzle",
            "asset-guarded",
            this.#postgres.url("guarded", guest),
          );
          const { payload } = await lambda.invoke({ onFailure: "return" });
          const report = reportIn(payload);
          const seen = `${report.status} ${report.executor} ${report.executorReason}`;
          return {
            seen,
            line: `${report.status} by ${report.executor} (${report.executorReason}), ledger in ${report.ledger?.schema}`,
            answer: report,
          };
        },
      },
      {
        caller: "A broken migration",
        expected: "MIGRATION_FAILED 2",
        play: async () => {
          const broken =
            "CREATE TABLE half_done (id int);\n--> statement-breakpoint\nINSERT INTO nowhere VALUES (1);";
          const lambda = await this.#deploy(
            this.#extend("0012_broken", broken),
            "asset-broken",
            url,
          );
          const { payload } = await lambda.invoke({ onFailure: "return" });
          const { error, atomic } = reportIn(payload);
          const seen = `${error?.code} ${error?.statement?.index}`;
          return {
            seen,
            line: `${atomic ? "rolled back" : "left half-way"}. ${error?.message}`,
            answer: payload,
          };
        },
      },
      {
        caller: "CloudFormation deletes the stack",
        expected: "DELETE_COMPLETE",
        play: async () => {
          const done = await operation(stack.delete("Run"));
          await stack.stop();
          return { ...done, line: "DELETE_COMPLETE: the database is left as it is" };
        },
      },
    ];
  }

  #direct(caller: string, expected: string): Step {
    return {
      caller,
      expected,
      play: async () => {
        const { payload } = await this.#function.invoke({});
        const report = reportIn(payload);
        return {
          seen: report.status,
          line: `${report.status}, ${report.roundTrips} round trips`,
          answer: report,
        };
      },
    };
  }

  #http(caller: string, rawPath: string): Step {
    return {
      caller,
      expected: "200 up-to-date",
      play: async () => {
        const event = { version: "2.0", rawPath, requestContext: { http: { method: "GET" } } };
        const { payload } = await this.#function.invoke(event);
        const { statusCode, body } = Object(payload);
        const report = reportIn(JSON.parse(body));
        return {
          seen: `${statusCode} ${report.status}`,
          line: `${statusCode}: ${report.status}, ${report.applied.length} applied, ${report.pending.length} pending`,
          answer: report,
        };
      },
    };
  }

  /** Makes a copy of the example's folder with one more migration. */
  #extend(tag: string, sql: string): string {
    const folder = join(this.#scratch, "folder");
    cpSync("drizzle", folder, { recursive: true, force: false, errorOnExist: false });
    const file = join(folder, "meta/_journal.json");
    const journal = JSON.parse(readFileSync(file, "utf8"));
    const idx = journal.entries.length;
    const when = journal.entries[idx - 1].when + 1_000;
    journal.entries.push({ idx, version: "7", when, tag, breakpoints: true });
    writeFileSync(file, JSON.stringify(journal));
    writeFileSync(join(folder, `${tag}.sql`), sql);
    return folder;
  }
}

/** Takes a value for a report: the function made it, and tests check such values by the schema. */
function reportIn(value: unknown): Report {
  return value as Report;
}

function seconds(started: number): string {
  return `${((Date.now() - started) / 1_000).toFixed(1)} s`;
}

await main();
