import { spawn } from "node:child_process";
import { cp, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build } from "esbuild";
import { buildLambda, LAMBDA_BUILD } from "../../bin/lambda-artefact.ts";
import { startPostgres } from "../../local/postgres.ts";
import { startRelay } from "../../local/relay.ts";
import { median } from "./statistics.ts";
import type { Workload } from "./workload.ts";

/** How one bundle starts on one Node. */
export interface ColdFigure {
  readonly bundle: string;
  readonly node: string;
  readonly bytes: number;
  /** From the start of the process to a handler that can be called, median in ms. */
  readonly readyMs: number;
  /** From there to the report of a run with nothing to do, median in ms. */
  readonly answerMs: number;
  /** Peak memory of the process, median in MB. */
  readonly peakMb: number;
  readonly runs: number;
}

/** What is measured. */
export interface ColdOptions {
  readonly workload: Workload;
  readonly scratch: string;
  readonly runs: number;
  /** Paths of the `node` programs to measure with. */
  readonly nodes: readonly string[];
}

interface Candidate {
  readonly name: string;
  readonly folder: string;
  readonly bytes: number;
}

/** What is printed by the process that is measured. */
interface Told {
  readonly readyAt: number;
  readonly answeredAt: number;
  readonly peakKb: number;
}

/** Starts processes with our bundle, and with one of driver and Drizzle only, in turn. */
export async function measureCold(options: ColdOptions): Promise<readonly ColdFigure[]> {
  const postgres = await startPostgres();
  const relay = await startRelay({ target: { host: postgres.host, port: postgres.port } });
  try {
    const candidates = await buildCandidates(options);
    const environment = { DATABASE_URL: postgres.url(), NEON_WS_PROXY: relay.address };
    const figures: ColdFigure[] = [];
    for (const node of options.nodes) {
      figures.push(...(await measureOn(node, candidates, options.runs, environment)));
    }
    return figures;
  } finally {
    await relay.stop();
    await postgres.stop();
  }
}

async function measureOn(
  node: string,
  candidates: readonly Candidate[],
  runs: number,
  environment: Readonly<Record<string, string>>,
): Promise<readonly ColdFigure[]> {
  const told = new Map<Candidate, { ready: number[]; answer: number[]; peak: number[] }>(
    candidates.map((each) => [each, { ready: [], answer: [], peak: [] }]),
  );
  // The first of each applies, and warms the file cache; it does not count.
  for (let run = -1; run < runs; run += 1) {
    for (const [{ folder }, seen] of told) {
      const startedAt = Date.now();
      const { readyAt, answeredAt, peakKb } = await start(node, folder, environment);
      if (run < 0) continue;
      seen.ready.push(readyAt - startedAt);
      seen.answer.push(answeredAt - readyAt);
      seen.peak.push(peakKb / 1_024);
    }
  }
  const version = await versionOf(node);
  return Array.from(told, ([{ name, bytes }, { ready, answer, peak }]) => ({
    bundle: name,
    node: version,
    bytes,
    readyMs: median(ready),
    answerMs: median(answer),
    peakMb: median(peak),
    runs,
  }));
}

/** Calls the handler as Lambda would, and tells when. Epoch ms, with fractions. */
const STARTER = `
const { handler } = await import(process.argv[2]);
const now = () => performance.timeOrigin + performance.now();
const readyAt = now();
const context = { awsRequestId: "cold", invokedFunctionArn: "arn:cold", getRemainingTimeInMillis: () => 60000 };
await handler({}, context);
const answeredAt = now();
process.stdout.write(JSON.stringify({ readyAt, answeredAt, peakKb: process.resourceUsage().maxRSS }), () => process.exit(0));
`;

async function start(
  node: string,
  folder: string,
  environment: Readonly<Record<string, string>>,
): Promise<Told> {
  const output = await run(
    node,
    [join(folder, "start.mjs"), join(folder, "index.mjs")],
    environment,
  );
  // Written by the starter above.
  return JSON.parse(output) as Told;
}

async function versionOf(node: string): Promise<string> {
  return (await run(node, ["--version"], {})).trim();
}

function run(
  program: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...words], {
      env: { ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    let errors = "";
    child.stdout.on("data", (part) => {
      output += part;
    });
    child.stderr.on("data", (part) => {
      errors += part;
    });
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve(output) : reject(new Error(errors))));
  });
}

async function buildCandidates({ workload, scratch }: ColdOptions): Promise<readonly Candidate[]> {
  const ours = join(scratch, "ours");
  await buildLambda(ours);
  await writeFile(join(ours, "bundle.json"), workload.bundleText);
  const bare = join(scratch, "bare");
  await buildBare(bare, workload.folder);
  for (const folder of [ours, bare]) await writeFile(join(folder, "start.mjs"), STARTER);
  return await Promise.all(
    Object.entries({ ours, "driver + Drizzle + ws": bare }).map(async ([name, folder]) => ({
      name,
      folder,
      bytes: (await stat(join(folder, "index.mjs"))).size,
    })),
  );
}

/** What a team writes by hand today. */
const BARE = `
import { neonConfig, Pool } from "@neondatabase/serverless";
import { drizzle } from "drizzle-orm/neon-serverless";
import { migrate } from "drizzle-orm/neon-serverless/migrator";
import { WebSocket } from "ws";
export async function handler() {
  neonConfig.webSocketConstructor = WebSocket;
  neonConfig.useSecureWebSocket = false;
  neonConfig.wsProxy = (host, port) => process.env.NEON_WS_PROXY + "?address=" + host + ":" + port;
  const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 1 });
  await migrate(drizzle(pool), { migrationsFolder: new URL("./drizzle", import.meta.url).pathname });
  await pool.end();
  return { ok: true };
}
`;

async function buildBare(folder: string, migrations: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const options: BuildOptions = {
    ...LAMBDA_BUILD,
    splitting: false,
    metafile: false,
    outfile: join(folder, "index.mjs"),
    stdin: { contents: BARE, resolveDir: root, sourcefile: "bare.mjs" },
  };
  await build(options);
  await cp(migrations, join(folder, "drizzle"), { recursive: true });
}

/** The `node` programs at hand: the one that runs this, and those of the runtimes if they are installed. */
export async function findNodes(): Promise<readonly string[]> {
  const runtimes = fileURLToPath(new URL("../../.ci/runtimes/package.json", import.meta.url));
  const installed = await readFile(runtimes, "utf8").catch(() => null);
  if (installed === null) return [process.execPath];
  const require = createRequire(runtimes);
  const found = ["node-22", "node-24"].flatMap((name) => {
    try {
      return [join(require.resolve(`${name}/package.json`), "..", "bin", "node")];
    } catch {
      return [];
    }
  });
  return [process.execPath, ...found];
}
