import type { ObjectStore } from "../../lib/fleet/object-store.ts";
import type { Prepared } from "../../lib/fleet/prepared.ts";

/** Objects in memory, for tests of what is read and written: S3 itself is stood in for by `local/s3`. */
export interface MemoryStore extends ObjectStore {
  text(key: string): string | null;
  put(key: string, text: string): void;
  /** Does something before each of the next conditional writes. */
  beforeReplace(times: number, act: () => void): void;
  /** Does something before the list of this number, from now on. */
  onList(number: number, act: () => void): void;
}

/** Makes a store with these objects. */
export function memoryStore(objects: Readonly<Record<string, string>>): MemoryStore {
  const texts = new Map(Object.entries(objects));
  const versions = new Map<string, number>();
  const nothing: () => void = () => undefined;
  let replacing = { times: 0, act: nothing };
  let listing = { number: 0, act: nothing };
  const put = (key: string, text: string) => {
    texts.set(key, text);
    versions.set(key, (versions.get(key) ?? 0) + 1);
  };
  const etagOf = (key: string) => `"${versions.get(key) ?? 0}"`;
  return {
    bucket: "fleet",
    put,
    text: (key) => texts.get(key) ?? null,
    beforeReplace: (times, act) => {
      replacing = { times, act };
    },
    onList: (number, act) => {
      listing = { number, act };
    },
    read: (key) => {
      const text = texts.get(key);
      return Promise.resolve(text === undefined ? null : { text, etag: etagOf(key) });
    },
    write: (key, text) => Promise.resolve(put(key, text)),
    replace: (key, text, before) => {
      replacing.times -= 1;
      if (replacing.times >= 0) replacing.act();
      const isSame = before === null ? !texts.has(key) : etagOf(key) === before.etag;
      if (isSame) put(key, text);
      return Promise.resolve(isSame);
    },
    list: (prefix) => {
      listing.number -= 1;
      if (listing.number === 0) listing.act();
      return Promise.resolve([...texts.keys()].filter((key) => key.startsWith(prefix)));
    },
  };
}

/** Makes the record of a child that succeeded, as Step Functions writes it into a result file. */
export function recordOf(id: string, output: object): Readonly<Record<string, unknown>> {
  return {
    ...{
      Name: id,
      Status: "SUCCEEDED",
      StartDate: "2026-11-29T00:00:00Z",
      StopDate: "2026-11-29T00:00:02Z",
    },
    Input: JSON.stringify({ target: { id, parameter: `/t/${id}` }, request: { action: "up" } }),
    Output: JSON.stringify({ id, ...output }),
  };
}

/** Makes the record of a tenant whose call failed with a code of ours. */
export function failureOfTenant(
  id: string,
  code: string,
  {
    migration = null,
    words = "Failed without data.",
  }: { readonly migration?: string | null; readonly words?: string } = {},
): Readonly<Record<string, unknown>> {
  const report = {
    error: { code, publicMessage: words, migration, sqlstate: null, statement: null },
  };
  const errorMessage = `Failed with data.\n${JSON.stringify(report)}`;
  const { Output: _, ...record } = recordOf(id, {});
  return {
    ...record,
    Status: "FAILED",
    Error: code,
    Cause: JSON.stringify({ errorType: code, errorMessage }),
  };
}

type Files = Readonly<Record<string, readonly object[]>>;

/** Makes a run that was prepared, with these tenants in its waves. */
export function preparedRun(
  waves: readonly (readonly string[])[],
  {
    toleratedCount = 0,
    gone = "error",
  }: { readonly toleratedCount?: number; readonly gone?: "error" | "skip" } = {},
) {
  const store = memoryStore({});
  const ids = waves.flat();
  const prefix = "runs/run-1";
  const prepared: Prepared = {
    ...{ startedAt: "2026-11-29T00:00:00.000Z", latest: "0002_b", skipped: [] },
    ...{ source: "given", isWhole: true },
    fingerprints: Object.fromEntries(ids.map((id) => [id, "f"])),
    plan: {
      ...{ run: "run-1", bucket: "fleet", prefix, expect: { hash: "a".repeat(64) } },
      ...{ request: { action: "up" }, failOn: "any", gone },
      counts: { total: ids.length, skipped: 0, due: ids.length },
      waves: waves.map((tenants, index) => ({
        ...{ index, name: `${index}`, key: `${prefix}/wave-${index}.jsonl`, count: tenants.length },
        ...{ maxConcurrency: 50, toleratedCount, pauseSeconds: 0, rehearse: false },
      })),
    },
  };
  for (const [index, tenants] of waves.entries()) {
    const lines = tenants.map((id) => JSON.stringify({ target: { id, parameter: `/t/${id}` } }));
    store.put(`${prefix}/wave-${index}.jsonl`, lines.join("\n"));
  }
  return {
    prepared,
    store,
    onList: store.onList,
    /** Writes the results of a wave: a file of each kind, or several. */
    end(index: number, ...files: readonly Files[]) {
      const folder = `${prefix}/wave-${index}/5f2b`;
      const ResultFiles: Record<string, object[]> = { SUCCEEDED: [], FAILED: [], PENDING: [] };
      for (const [number, kinds] of files.entries()) {
        for (const [kind, records] of Object.entries(kinds)) {
          const Key = `${folder}/${kind}_${number}.json`;
          store.put(Key, JSON.stringify(records));
          ResultFiles[kind]?.push({ Key, Size: 1 });
        }
      }
      store.put(
        `${folder}/manifest.json`,
        JSON.stringify({ DestinationBucket: "fleet", ResultFiles }),
      );
    },
  };
}
