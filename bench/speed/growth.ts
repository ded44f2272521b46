import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileBundle } from "../../lib/compile/compile.ts";
import { type Idle, startRig } from "./growth-runs.ts";
import { writeCompiled, writeFolder } from "./workload.ts";

/** The work of a run for one number of migrations. */
export interface GrowthFigure extends Idle {
  readonly migrations: number;
  readonly statements: number;
  readonly bundleBytes: number;
  readonly compileMs: number;
  /** Reading all of the bundle and checking its hashes. */
  readonly readMs: number;
  /** The plan with nothing applied. */
  readonly planFreshMs: number;
  /** The plan with every migration but the last applied. */
  readonly planMs: number;
  readonly reportMs: number;
}

/** The numbers from the measured process. */
export type Planned = Pick<GrowthFigure, "readMs" | "planFreshMs" | "planMs" | "reportMs">;

/**
 * Measures how the work grows with the number of migrations. Nothing is applied: their rows are written into the ledger.
 * @param sizes the folders to measure
 */
export async function measureGrowth(
  sizes: readonly { readonly migrations: number; readonly statements: number }[],
  scratch: string,
): Promise<readonly GrowthFigure[]> {
  const rig = await startRig(join(scratch, "growth"));
  try {
    const figures: Omit<GrowthFigure, keyof Idle>[] = [];
    const sites: Awaited<ReturnType<typeof rig.settle>>[] = [];
    for (const { migrations, statements } of sizes) {
      const folder = join(scratch, `growth-${migrations}`);
      await writeFolder(statements, folder, statements / migrations);
      const started = performance.now();
      const bundle = await compileBundle(folder);
      const compileMs = performance.now() - started;
      const written = join(folder, "bundle");
      const bundleBytes = await writeCompiled(bundle, written);
      const path = join(written, "bundle.json");
      const planned = await planElsewhere(path);
      const site = await rig.settle(written);
      sites.push(site);
      await rig.fill(site, bundle);
      figures.push({ migrations, statements, bundleBytes, compileMs, ...planned });
    }
    const idle = await rig.idle(sites);
    return figures.flatMap((figure, index) => {
      const measured = idle[index];
      return measured === undefined ? [] : [{ ...figure, ...measured }];
    });
  } finally {
    await rig.stop();
  }
}

/** Plans in a process of its own, so that its memory is measured alone. */
function planElsewhere(path: string): Promise<Planned> {
  return new Promise((resolve, reject) => {
    const script = fileURLToPath(new URL("./growth-process.ts", import.meta.url));
    const child = spawn(process.execPath, ["--import", "tsx", script, path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (part) => {
      output += part;
    });
    child.on("error", reject);
    // Written by growth-process.ts.
    child.on("close", (code) =>
      code === 0 ? resolve(JSON.parse(output) as Planned) : reject(new Error(`exit code ${code}`)),
    );
  });
}
