import { asRecord, asText, parseJson } from "../json.ts";
import { pause } from "../wait.ts";
import type { FleetPlan, PlannedWave } from "./fleet-plan.ts";
import type { ObjectStore } from "./object-store.ts";
import { type ChildEnd, lastEnds, readRecords } from "./results.ts";

/** The ends of one wave's tenants. */
export interface WaveResults {
  readonly wave: PlannedWave;
  /** All of its tenants, in their order. */
  readonly ids: readonly string[];
  /**
   * `ended`: its results are there; `lost`: they are not, although it must have begun; `never`: it did not begin; `doubtful`:
   * nobody knows whether it did.
   */
  readonly state: "ended" | "lost" | "never" | "doubtful";
  readonly ends: ReadonlyMap<string, ChildEnd>;
  readonly manifests: readonly string[];
}

/** How a run ended, as far as its machine says it. */
export interface RunEnding {
  /** What the machine caught; null where nothing. */
  readonly broken: { readonly error: string; readonly cause: string } | null;
  /** Whether the machine asks. Somebody else may ask while the run goes on, or when it was stopped. */
  readonly byMachine: boolean;
  /** Number of waves that began; null where nobody has seen it. */
  readonly begun: number | null;
}

/** For how long results are waited for. Step Functions may write them after it has told that a map failed. */
export interface Wait {
  readonly forMs: number;
  readonly everyMs: number;
}

/** The largest result file that is read: that of the largest fleet, with an error of each tenant. */
const MAX_RESULT_BYTES = 256 * 1024 ** 2;

/** Errors of a map that began no child. */
const NOT_BEGUN = /^States\.(?:ItemReaderFailed|Runtime|DataLimitExceeded)/;

/** Collects the results of all waves, and waits for those that must come. */
export async function collectResults(
  plan: FleetPlan,
  ending: RunEnding,
  store: ObjectStore,
  wait: Wait,
): Promise<readonly WaveResults[]> {
  const results: WaveResults[] = [];
  let goesOn = true;
  for (const wave of plan.waves) {
    const ids = await idsOf(wave, store);
    const missing = goesOn ? missingState(wave, ending) : "never";
    const forMs = missing === "lost" ? wait.forMs : 0;
    const found = await findResults(plan, wave, store, { ...wait, forMs });
    results.push(
      found === null ? lacking(wave, ids, missing) : { wave, ids, state: "ended", ...found },
    );
    // No wave begins behind one that is not there, that was stopped, or that went over its budget.
    goesOn &&= found !== null && isThrough(ids, found.ends) && isWithin(wave, found.ends);
  }
  return results;
}

/** What a wave without results is, if the one before it was within its budget. */
function missingState(
  { index }: PlannedWave,
  { broken, byMachine, begun }: RunEnding,
): "lost" | "never" | "doubtful" {
  if (begun !== null && index >= begun) return "never";
  if (broken !== null && NOT_BEGUN.test(broken.error)) return "never";
  return byMachine ? "lost" : "doubtful";
}

/** Whether each tenant of a wave came to an end of its own, also those whose results do not name them. */
function isThrough(ids: readonly string[], ends: WaveResults["ends"]): boolean {
  return [...ends.values()].filter(({ isThrough }) => isThrough).length >= ids.length;
}

function isWithin({ toleratedCount }: PlannedWave, ends: WaveResults["ends"]): boolean {
  return failuresIn(ends) <= toleratedCount;
}

/** How many of a wave's tenants count against its budget. */
export function failuresIn(ends: WaveResults["ends"]): number {
  return [...ends.values()].filter(({ isFailure }) => isFailure).length;
}

function lacking(
  wave: PlannedWave,
  ids: readonly string[],
  state: "lost" | "never" | "doubtful",
): WaveResults {
  return { wave, ids, state, ends: new Map(), manifests: [] };
}

async function findResults(
  { prefix }: FleetPlan,
  wave: PlannedWave,
  store: ObjectStore,
  { forMs, everyMs }: Wait,
): Promise<Pick<WaveResults, "ends" | "manifests"> | null> {
  const until = Date.now() + forMs;
  for (;;) {
    const keys = await store.list(`${prefix}/wave-${wave.index}/`);
    const manifests = keys.filter((key) => key.endsWith("/manifest.json"));
    const ends = manifests.length === 0 ? null : await readManifests(manifests, store);
    if (ends !== null) return { ends: lastEnds(ends), manifests };
    if (Date.now() >= until) return null;
    await pause(everyMs);
  }
}

/** Reads the files that manifests name. @returns null where one of them is not there, or is damaged */
async function readManifests(
  keys: readonly string[],
  store: ObjectStore,
): Promise<readonly ChildEnd[] | null> {
  const ends: ChildEnd[] = [];
  for (const key of keys) {
    const manifest = parseJson((await store.read(key, MAX_RESULT_BYTES))?.text ?? "");
    if (manifest === undefined) return null;
    for (const file of filesIn(manifest)) {
      const records = readRecords((await store.read(file, MAX_RESULT_BYTES))?.text ?? "?");
      if (records === null) return null;
      ends.push(...records);
    }
  }
  return ends;
}

function filesIn(manifest: unknown): readonly string[] {
  const lists = Object.values(asRecord(asRecord(manifest).ResultFiles));
  return lists.flatMap((list) =>
    Array.isArray(list) ? list.map((file) => asText(asRecord(file).Key)).filter(Boolean) : [],
  );
}

async function idsOf({ key }: PlannedWave, store: ObjectStore): Promise<readonly string[]> {
  const lines = ((await store.read(key))?.text ?? "").split("\n").filter(Boolean);
  return lines.map((line) => asText(asRecord(asRecord(parseJson(line)).target).id));
}
