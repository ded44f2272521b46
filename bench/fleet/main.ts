/*
 * Fleet: time and memory of the two steps of a fleet's run, by the built function, each in a process of its own with 256 MB.
 * A number of tenants comes in, and a table goes out. S3 is the stand-in, and no tenant's database is there: how often one
 * would have been connected to is counted. Nothing here judges a number.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { buildLambda } from "../../build/lambda.ts";
import { writeAsset } from "../../lib/compile/asset.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import type { FleetPlan } from "../../lib/fleet/fleet-plan.ts";
import { readCommandLine, wholeNumber } from "../../local/command-line.ts";
import { type LocalS3, startS3 } from "../../local/s3/s3.ts";
import { startFunction } from "../speed/function-process.ts";
import { median, readable } from "../speed/statistics.ts";
import { textTable } from "../speed/text-table.ts";

const USAGE = `npx tsx bench/fleet/main.ts [--tenants 10000] [--runs 5]`;
const MEMORY_MB = 256;

/** One step, measured. */
interface Measured {
  readonly step: string;
  readonly ms: readonly number[];
  readonly processorMs: readonly number[];
  readonly peakMb: number;
  readonly bytes: number;
  readonly note: string;
}

const { tenants, runs } = readCommandLine(
  {
    usage: USAGE,
    config: {
      options: {
        tenants: { type: "string", default: "10000" },
        runs: { type: "string", default: "5" },
      },
    },
  },
  ({ values }) => ({
    tenants: wholeNumber(values.tenants),
    runs: wholeNumber(values.runs),
  }),
);
const folder = await mkdtemp(join(tmpdir(), "bench-fleet-"));
const s3 = await startS3({ buckets: ["fleet"] });
let connections = 0;
const databases = createServer((socket) => {
  connections += 1;
  socket.destroy();
}).listen(0, "127.0.0.1");
try {
  const measured = await measure();
  console.log(
    `${tenants} tenants, median of ${runs}, ${cpus().length} processors, Node ${process.versions.node}`,
  );
  console.log(render(measured));
  console.log(`connections to databases: ${connections}`);
} finally {
  databases.close();
  await s3.stop();
  await rm(folder, { recursive: true });
}

async function measure(): Promise<readonly Measured[]> {
  const built = await buildLambda(join(folder, "built"));
  const asset = join(folder, "asset");
  await writeAsset(await compileBundle("drizzle"), asset, built.folder);
  const ids = Array.from(
    { length: tenants },
    (_, index) => `tenant-${String(index).padStart(6, "0")}`,
  );
  const lines = ids.map((id) => JSON.stringify({ id, parameter: `/tenants/${id}/url` }));
  s3.store.put("fleet", "lists/all.jsonl", lines.join("\n"));
  const request = {
    targets: { s3: { bucket: "fleet", key: "lists/all.jsonl" } },
    waves: [{ count: 5 }, { percent: 1 }, { percent: 10 }, { percent: 100 }],
    tolerated: { percent: 5 },
    sample: 0,
  };
  const prepare = (run: string) => call(asset, { step: "prepare", run, request });
  const first = await times("prepare, all due", (index) => prepare(`all-${index}`));
  const plan = first.answer as FleetPlan;
  for (const wave of plan.waves) writeResults(s3, plan, wave.index);
  const report = await times("report, 3 % failed", () =>
    call(asset, { step: "report", run: plan.run, plan }),
  );
  const failed = Math.round(tenants * 0.03);
  const good = await prepare("good");
  const left = (good.answer as FleetPlan).counts;
  // Those that failed succeed in a second run, so that the ledger knows everybody.
  const second = good.answer as FleetPlan;
  for (const wave of second.waves) writeResults(s3, second, wave.index, 0);
  await call(asset, { step: "report", run: "good", plan: second });
  const known = await times("prepare, none due", (index) => prepare(`none-${index}`));
  const { counts } = known.answer as FleetPlan;
  return [
    { ...first, note: `${plan.waves.length} waves` },
    { ...report, note: `${failed} failed, ${left.due} due again` },
    { ...known, note: `${counts.skipped} left out by the ledger` },
  ];
}

async function call(asset: string, step: object) {
  const { port } = databases.address() as { readonly port: number };
  return await startFunction({
    folder: asset,
    environment: {
      ...s3.environment,
      ...{
        FLEET_BUCKET: "fleet",
        TARGETS: "parameter:/tenants/*",
        NEON_WS_PROXY: `127.0.0.1:${port}/v2`,
      },
    },
    memoryMb: MEMORY_MB,
    event: { "neon-migrate.fleet": step },
  });
}

async function times(step: string, work: (index: number) => ReturnType<typeof call>) {
  const started = [];
  for (let index = 0; index < runs; index += 1) started.push(await work(index));
  const answer = started.at(-1)?.answer;
  return {
    ...{ step, answer, bytes: Buffer.byteLength(JSON.stringify(answer)) },
    ms: started.map(({ answerMs }) => answerMs),
    processorMs: started.map(({ processorMs }) => processorMs),
    peakMb: Math.max(...started.map(({ peakMb }) => peakMb)),
  };
}

/** Writes the results of a wave, in files of 4 MB at most, as Step Functions does. */
function writeResults({ store }: LocalS3, plan: FleetPlan, index: number, share = 0.03): void {
  const text = store.get("fleet", plan.waves[index]?.key ?? "").body.toString();
  const lines = text.split("\n").filter(Boolean);
  const records = lines.map((line, at) =>
    recordOf(JSON.parse(line), plan, at < lines.length * share),
  );
  const folderOf = `${plan.prefix}/wave-${index}/0f9e`;
  const ResultFiles = Object.fromEntries(
    ["SUCCEEDED", "FAILED"].map((status) => {
      const of = records.filter(({ Status }) => Status === status);
      const files = Array.from({ length: Math.ceil(of.length / 2_000) }, (_, part) => {
        const Key = `${folderOf}/${status}_${part}.json`;
        const body = JSON.stringify(of.slice(part * 2_000, (part + 1) * 2_000));
        store.put("fleet", Key, body);
        return { Key, Size: body.length };
      });
      return [status, files];
    }),
  );
  store.put("fleet", `${folderOf}/manifest.json`, JSON.stringify({ ResultFiles }));
}

function recordOf(
  { target }: { readonly target: { readonly id: string } },
  plan: FleetPlan,
  failed: boolean,
) {
  const { id } = target;
  const Input = JSON.stringify({ target, expect: plan.expect, request: plan.request });
  const base = {
    ExecutionArn: `arn:aws:states:eu-central-1:123456789012:execution:fleet/wave:${id}`,
    Name: id,
    Input,
  };
  const dates = { StartDate: "2026-11-29T00:00:00Z", StopDate: "2026-11-29T00:00:02Z" };
  if (!failed) {
    const Output = JSON.stringify({
      id,
      status: "applied",
      applied: 2,
      latest: "0010_latest",
      ms: 1_500,
    });
    return { ...base, ...dates, Status: "SUCCEEDED", Output };
  }
  // A cause has up to 32 KB.
  const report = {
    error: {
      code: "MIGRATION_FAILED",
      sqlstate: "23505",
      migration: "0010_latest",
      statement: { index: 2 },
      publicMessage: "Refused.",
    },
    padding: "x".repeat(8_000),
  };
  const Cause = JSON.stringify({
    errorType: "MIGRATION_FAILED",
    errorMessage: `Refused.\n${JSON.stringify(report)}`,
  });
  return { ...base, ...dates, Status: "FAILED", Error: "MIGRATION_FAILED", Cause };
}

function render(all: readonly Measured[]): string {
  return textTable(
    ["step", "time", "slowest", "processor", "peak MB", "answer, bytes", ""],
    all.map(({ step, ms, processorMs, peakMb, bytes, note }) => [
      step,
      readable(median(ms)),
      readable(Math.max(...ms)),
      readable(median(processorMs)),
      peakMb.toFixed(0),
      String(bytes),
      note,
    ]),
  );
}
