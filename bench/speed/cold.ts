import { cp, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildLambda } from "../../build/lambda.ts";
import { startPostgres } from "../../local/postgres/postgres.ts";
import { startRelay } from "../../local/relay/relay.ts";
import { buildBare } from "./bare.ts";
import { run, startFunction } from "./function-process.ts";
import { median } from "./statistics.ts";
import type { Workload } from "./workload.ts";

/** The start of one bundle on one Node. */
export interface ColdFigure {
  readonly bundle: string;
  readonly node: string;
  /** The size of the files that every start loads. */
  readonly bytes: number;
  /** From the start of the process to a handler that can be called, median in ms. */
  readonly readyMs: number;
  /** From there to the report of a run with nothing to do, median in ms. */
  readonly answerMs: number;
  /** Peak memory of the process, median in MB. */
  readonly peakMb: number;
  readonly runs: number;
}

/** The input of the measurement. */
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

/** Starts processes in turn: with our bundle, and with a bundle of driver and Drizzle only. */
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
  // The first start of each bundle applies, and warms the file cache; it does not count.
  for (let turn = -1; turn < runs; turn += 1) {
    for (const [{ folder }, seen] of told) {
      const started = await startFunction({ node, folder, environment, memoryMb: null });
      if (turn < 0) continue;
      seen.ready.push(started.readyMs);
      seen.answer.push(started.answerMs);
      seen.peak.push(started.peakMb);
    }
  }
  const version = (await run(node, ["--version"])).trim();
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

async function buildCandidates({ workload, scratch }: ColdOptions): Promise<readonly Candidate[]> {
  const ours = join(scratch, "ours");
  const bare = join(scratch, "bare");
  const { start: loaded } = await buildLambda(ours);
  await cp(workload.bundle, ours, { recursive: true });
  const bareBytes = await buildBare(bare);
  await cp(workload.folder, join(bare, "drizzle"), { recursive: true });
  return [
    { name: "ours", folder: ours, bytes: loaded.bytes },
    { name: "driver + Drizzle + ws", folder: bare, bytes: bareBytes },
  ];
}

/** Finds the `node` programs: the one of this process, and those of the runtimes if they are installed. */
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
