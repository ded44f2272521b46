import { beforeAll, expect, inject, test } from "vitest";
import { preferMemory } from "../../local/postgres/memory.ts";
import { tries } from "../setup/tries.ts";
import {
  failures,
  renderFailure,
  runBench,
  summarise,
  type TryResult,
} from "../trials/rehearsals/bench.ts";
import { type Disturbance, rehearse } from "../trials/rehearsals/disturb.ts";
import type { Stage } from "../trials/rehearsals/stage.ts";

const SEED = 20_261_129;
/** The share of branches that is deleted at once, of the rehearsals that are not killed. */
const DELETED_SHARE = 0.95;

/** What somebody does behind a rehearsal that nobody disturbed, and what the bench must say to it. */
const SPOILT: readonly (readonly [string, (stage: Stage) => Promise<unknown>, string])[] = [
  [
    "a statement reaches production",
    ({ neon }) => neon.branch("main").sql("select 1"),
    "onProduction",
  ],
  [
    "a branch is left, and nothing says so",
    (stage) => makeBranch(stage, { expires_at: new Date(Date.now() + 3_600_000).toISOString() }),
    "untrue",
  ],
  // The last one, because nothing deletes it.
  ["a branch has no expiry", (stage) => makeBranch(stage, {}), "withoutExpiry"],
];

/** On two quiet cores it takes a tenth of it. */
const BUSY_MACHINE_MS = 900_000;

let results: readonly TryResult[];
let spoilt: readonly TryResult[];

beforeAll(async () => {
  preferMemory();
  const count = tries(5, 20);
  const numbers = Array.from({ length: count + SPOILT.length }, (_, index) => index);
  const all = await runBench({
    ...{ seed: SEED, handler: inject("assetFolder"), numbers, progress: () => undefined },
    disturbance: (number, usual) => (number < count ? usual(number) : spoiling(number - count)),
  });
  [results, spoilt] = [all.slice(0, count), all.slice(count)];
}, BUSY_MACHINE_MS);

function spoiling(index: number): Disturbance {
  const [name = "", spoil] = SPOILT[index] ?? [];
  const disturb: Disturbance["disturb"] = async (stage) => {
    const answer = await rehearse(await stage.warm());
    await stage.neon.idle();
    await spoil?.(stage);
    return { what: name, answer, met: true };
  };
  return { name, share: 0, disturb };
}

async function makeBranch({ neon }: Stage, branch: object): Promise<void> {
  const { status } = await fetch(`${neon.url}/projects/${neon.projectId}/branches`, {
    method: "POST",
    headers: { authorization: `Bearer ${neon.apiKey}`, "content-type": "application/json" },
    body: JSON.stringify({ branch: { name: `spoilt-${Object.keys(branch).length}`, ...branch } }),
  });
  expect(status).toBe(201);
}

test("killed between create and delete, or cut anywhere: no statement on production, no branch without an expiry", () => {
  const told = failures(results).map((result) => renderFailure(result, SEED));
  const all = summarise(results).at(-1);

  expect(told).toEqual([]);
  expect(all?.met).toBeGreaterThan(0);
  expect(all?.deleted).toBeGreaterThanOrEqual(DELETED_SHARE * (all?.answered ?? 0));
});

test.each(SPOILT)("the bench notices when %s", (name, _, what) => {
  const verdict = spoilt.find((each) => each.name === name)?.verdict;
  const { onProduction = [], withoutExpiry = [], untrue = [] } = verdict ?? {};
  const found = Object.entries({ onProduction, withoutExpiry, untrue }).filter(
    ([, sentences]) => sentences.length > 0,
  );

  expect(found.map(([kind]) => kind)).toContain(what);
});
