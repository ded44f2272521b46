import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import pc from "picocolors";
import { buildLambda } from "../../build/lambda.ts";
import { writeAsset } from "../../lib/compile/asset.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import type { Report } from "../../lib/report/report.ts";
import {
  type LocalCloudFormation,
  type Operation,
  startCloudFormation,
} from "../cloudformation/cloudformation.ts";
import type { LocalFleetOptions } from "../fleet/fleet.ts";
import { type LocalLambda, startLambda } from "../lambda/lambda.ts";
import { type LocalNeon, startNeon } from "../neon/neon.ts";
import { type Relay, startRelay } from "../relay/relay.ts";

/** A program's end: all that it has printed, in order, and its exit code. */
export interface Played {
  readonly exitCode: number;
  readonly output: string;
}

/** The migration that a chapter adds to the folder. */
export interface Added {
  readonly tag: string;
  readonly sql: string;
}

const require = createRequire(import.meta.url);

const START_OF_LINE = "\u001b[1G";

/** The shop's service: it counts the accounts, and says which version of its code does so. */
const SERVICE = (version: number) => `import pg from ${JSON.stringify(import.meta.resolve("pg"))};
export async function handler() {
  const client = new pg.Client(process.env.DATABASE_URL);
  await client.connect();
  const { rows } = await client.query("select count(*)::int as accounts from accounts");
  await client.end();
  return { version: ${version}, accounts: rows[0].accounts };
}
`;

/** What drizzle-kit and neon-migrate read. */
const CONFIG = `export default {
  dialect: "postgresql",
  out: "./drizzle",
  dbCredentials: { url: process.env.DATABASE_URL },
};
`;

/** The code of a function in the stack, which a rollback of the stack exchanges for the one before. */
class FunctionCode {
  readonly #all: LocalLambda[] = [];
  #current: LocalLambda | null = null;
  #previous: LocalLambda | null = null;

  get current(): LocalLambda {
    if (this.#current === null) throw new Error("No function is deployed.");
    return this.#current;
  }

  deploy(handlerDirectory: string, environment: Readonly<Record<string, string>>): void {
    this.#previous = this.#current;
    this.#current = startLambda({ handlerDirectory, environment });
    this.#all.push(this.#current);
  }

  restore(): void {
    this.#current = this.#previous;
  }

  async stop(): Promise<void> {
    for (const lambda of this.#all) await lambda.stop();
  }
}

interface Parts {
  readonly scratch: string;
  readonly neon: LocalNeon;
  readonly relay: Relay;
  readonly stack: LocalCloudFormation;
  /** The variables of the migrations' function. */
  readonly environment: Readonly<Record<string, string>>;
  /** The variables of programs that know nothing of Neon's driver. */
  readonly plain: Readonly<Record<string, string>>;
  /** The variables of the programs that are run: of our own only what they need to start. */
  readonly shell: NodeJS.ProcessEnv;
  readonly migrations: FunctionCode;
}

/** A project, its stack, its service and its database, which the chapters of the story use and change. */
export class Stage {
  readonly #parts: Parts;
  readonly #server: LocalFleetOptions["postgres"];
  readonly #service = new FunctionCode();
  readonly #ends: (() => Promise<void>)[] = [];
  #version = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { neon } = parts;
    this.#server = {
      admin: neon.branch(PRODUCTION).admin,
      url: (database, role) =>
        Object.assign(new URL(neon.productionUrl), {
          ...{ pathname: `/${database}`, username: role?.name, password: role?.password },
        }).href,
    };
  }

  /** Adds a migration at the end of the project's folder, or writes the last one anew. */
  write({ tag, sql }: Added): void {
    const folder = join(this.#parts.scratch, "drizzle");
    const file = join(folder, "meta/_journal.json");
    const journal = JSON.parse(readFileSync(file, "utf8"));
    const last = journal.entries.at(-1);
    if (last.tag !== tag) {
      journal.entries.push({ ...last, idx: last.idx + 1, when: last.when + 1_000, tag });
      writeFileSync(file, JSON.stringify(journal, null, 2));
    }
    writeFileSync(join(folder, `${tag}.sql`), `${sql}\n`);
  }

  /**
   * Deploys the folder and a new version of the service. The service waits for the migrations, as with `executeBefore()`.
   * @param meanwhile begins when the function has its new code, while CloudFormation calls it
   */
  async deploy(meanwhile: () => Promise<unknown> = () => Promise.resolve()): Promise<Operation> {
    const { scratch, stack, migrations, environment } = this.#parts;
    this.#version += 1;
    const asset = join(scratch, `asset-${this.#version}`);
    const bundle = await compileBundle(join(scratch, "drizzle"));
    await writeAsset(bundle, asset, join(scratch, "handler"));
    migrations.deploy(asset, environment);
    const properties = { MigrationsHash: String(this.#version) };
    const operation =
      this.#version === 1 ? stack.create("Run", properties) : stack.update("Run", properties);
    const [done] = await Promise.all([operation, meanwhile()]);
    if (done.status === "CREATE_COMPLETE" || done.status === "UPDATE_COMPLETE") this.#renew();
    return done;
  }

  #renew(): void {
    const folder = join(this.#parts.scratch, `service-${this.#version}`);
    mkdirSync(folder);
    writeFileSync(join(folder, "index.mjs"), SERVICE(this.#version));
    this.#service.deploy(folder, this.#parts.plain);
  }

  /** Calls the migrations' function, as a pipeline does. */
  async invoke(): Promise<Report> {
    const { payload } = await this.#parts.migrations.current.invoke({ onFailure: "return" });
    return reportIn(payload);
  }

  /** Asks the service that is live. */
  async visit(): Promise<{ readonly version: number; readonly accounts: number }> {
    const { payload } = await this.#service.current.invoke({});
    const { version, accounts } = Object(payload);
    return { version, accounts };
  }

  /** Returns the names of the branches of the project at Neon. */
  branches(): readonly string[] {
    return this.#parts.neon.branchNames();
  }

  /** @param branch of the project at Neon. Default: production */
  async sql(
    text: string,
    branch = PRODUCTION,
  ): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return await this.#parts.neon.branch(branch).admin.sql(text, [], DATABASE);
  }

  /** Runs drizzle-kit in the project, as its user does. */
  async drizzleKit(...words: readonly string[]): Promise<Played> {
    const program = join(dirname(require.resolve("drizzle-kit")), "bin.cjs");
    const { exitCode, output } = await this.#run([program, ...words], this.#parts.plain);
    // The spinner writes its line again and again: a terminal shows the last.
    const lines = output.split("\n").map((line) => line.split(START_OF_LINE).at(-1));
    return { exitCode, output: lines.join("\n") };
  }

  async neonMigrate(...words: readonly string[]): Promise<Played> {
    return await this.run({}, ...words);
  }

  /** Runs our command line with more variables than the project has. */
  async run(
    environment: Readonly<Record<string, string>>,
    ...words: readonly string[]
  ): Promise<Played> {
    const program = resolve("bin/neon-migrate.ts");
    const { neon } = this.#parts;
    return await this.#run(["--import", import.meta.resolve("tsx"), program, ...words], {
      ...this.#parts.environment,
      ...neon.environment,
      ...environment,
    });
  }

  /** The folder of the project, in which the handler is built, too. */
  get scratch(): string {
    return this.#parts.scratch;
  }

  get relay(): Relay {
    return this.#parts.relay;
  }

  /** The server of production, for the databases of others. Its connection strings lead through the relay. */
  get server(): LocalFleetOptions["postgres"] {
    return this.#server;
  }

  /** Ends something of a chapter with the stage. */
  onClose(end: () => Promise<void>): void {
    this.#ends.push(end);
  }

  async #run(
    words: readonly string[],
    variables: Readonly<Record<string, string>>,
  ): Promise<Played> {
    const child = spawn(process.execPath, words, {
      cwd: this.#parts.scratch,
      env: { ...this.#parts.shell, ...variables },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const read: Buffer[] = [];
    // As on a terminal: what goes to either output stands where it came.
    for (const output of [child.stdout, child.stderr]) {
      output.on("data", (part: Buffer) => read.push(part));
    }
    const [exitCode] = await once(child, "close");
    return { exitCode: exitCode ?? 1, output: Buffer.concat(read).toString() };
  }

  async close(): Promise<void> {
    const { migrations, stack, relay, neon } = this.#parts;
    for (const end of this.#ends) await end();
    await Promise.all([migrations.stop(), this.#service.stop(), stack.stop()]);
    await relay.stop();
    await neon.stop();
  }
}

const DATABASE = "shop";
const PRODUCTION = "main";

/** Starts everything, and writes the project into a folder of its own. */
export async function openStage(scratch: string): Promise<Stage> {
  const [neon] = await Promise.all([
    startNeon({
      role: { name: "shop_owner" },
      database: DATABASE,
      domain: "eu-central-1.neon.test",
    }),
    buildLambda(join(scratch, "handler")),
  ]);
  const { port, url } = neon.branch(PRODUCTION);
  const target = { host: "127.0.0.1", port };
  const relay = await startRelay({ target, mode: "neon", route: (host) => neon.route(host) });
  cpSync("drizzle", join(scratch, "drizzle"), { recursive: true });
  writeFileSync(join(scratch, "drizzle.config.ts"), CONFIG);
  const migrations = new FunctionCode();
  const stack = await startCloudFormation({
    invoke: (event) => migrations.current.invokeAsync(event),
    restoreCode: () => migrations.restore(),
  });
  const environment = { DATABASE_URL: neon.productionUrl, NEON_WS_PROXY: relay.address };
  const { PATH, HOME, TMPDIR } = process.env;
  const colors = pc.isColorSupported ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" };
  const shell = { PATH, HOME, TMPDIR, ...colors };
  const plain = { DATABASE_URL: url };
  return new Stage({ scratch, neon, relay, stack, environment, plain, shell, migrations });
}

/** Takes a value for a report: the function made it, and tests check such values by the schema. */
function reportIn(value: unknown): Report {
  return value as Report;
}
