import { describe, expect, test } from "vitest";
import {
  advanceLedger,
  type LedgerChanges,
  type LedgerEntry,
  parseFleetLedger,
} from "../../../lib/fleet/fleet-ledger.ts";
import { sourceNameOf } from "../../../lib/fleet/sources.ts";
import { memoryStore } from "../../setup/fleet.ts";

const HASH = "5".repeat(64);
const NEWER_HASH = "6".repeat(64);
const [FIRST, SECOND, THIRD] = [1, 2, 3].map((day) => `2026-11-0${day}T00:00:00.000Z`) as [
  string,
  string,
  string,
];

const entry = (id: string, at = FIRST, more: Partial<LedgerEntry> = {}): LedgerEntry => ({
  ...{ id, at, listed: at, hash: HASH, latest: "0002_b", fingerprint: "f".repeat(16) },
  ...{ source: "given", ...more },
});

const text = (...entries: readonly object[]) =>
  entries.map((each) => `${JSON.stringify(each)}\n`).join("");

/** What a run has found out that began then: those that are up to date, and those that are doubtful. */
function run(
  startedAt: string,
  current: readonly string[],
  more: Partial<LedgerChanges> & { readonly hash?: string } = {},
): LedgerChanges {
  const { doubtful = [], hash = HASH, listed = new Set([...current, ...doubtful]) } = more;
  return {
    ...{ startedAt, source: "given", isWhole: true, doubtful, listed, ...more },
    current: current.map((id) => ({ id, hash, latest: "0002_b", fingerprint: "f".repeat(16) })),
  };
}

/** Writes what these runs report, in this order, and returns who is known as up to date by which bundle, since when. */
async function knownAfter(...runs: readonly LedgerChanges[]) {
  const store = memoryStore({});
  for (const each of runs) expect(await advanceLedger(store, each)).toBe(true);
  const entries = [...parseFleetLedger(store.text("ledger.jsonl")).values()];
  return entries.filter(({ hash }) => hash !== null).map(({ id, hash, at }) => [id, hash, at]);
}

describe("the fleet's ledger", () => {
  test.each([
    ["is missing", null],
    ["is no JSON", `${JSON.stringify(entry("a"))}\n{"id":`],
    ["has another shape", text(entry("a"), { id: "b" })],
    ["is empty", ""],
  ])("that %s is an empty one", (_what, content) => {
    expect(parseFleetLedger(content).size).toBe(0);
  });

  test("that is damaged is written anew", async () => {
    const store = memoryStore({ "ledger.jsonl": '{"id":' });

    expect(await advanceLedger(store, run(FIRST, ["a"]))).toBe(true);

    expect([...parseFleetLedger(store.text("ledger.jsonl")).keys()]).toEqual(["a"]);
  });

  test("forgets those that are doubtful, and keeps those that a run has not come to", async () => {
    const listed = new Set(["a", "b", "c"]);

    expect(
      await knownAfter(
        run(FIRST, ["a", "b", "c"]),
        run(SECOND, ["b"], { doubtful: ["c"], listed }),
      ),
    ).toEqual([
      ["a", HASH, FIRST],
      ["b", HASH, SECOND],
    ]);
  });

  test("of two runs that write at once has both, and the one that loses each time loses cleanly", async () => {
    const store = memoryStore({});
    store.beforeReplace(1, () =>
      store.put("ledger.jsonl", text(entry("other", FIRST, { source: "elsewhere" }))),
    );

    expect(await advanceLedger(store, run(FIRST, ["mine"]))).toBe(true);
    expect([...parseFleetLedger(store.text("ledger.jsonl")).keys()]).toEqual(["mine", "other"]);

    store.beforeReplace(99, () => store.put("ledger.jsonl", `${store.text("ledger.jsonl")}\n`));
    const before = store.text("ledger.jsonl")?.trim();

    expect(await advanceLedger(store, run(SECOND, ["late"]))).toBe(false);
    expect(store.text("ledger.jsonl")?.trim()).toBe(before);
  });
});

describe("of three runs of a fleet, reported late and in any order,", () => {
  const first = run(FIRST, ["acme", "globex", "initech"]);
  const second = run(SECOND, ["acme"], { hash: NEWER_HASH, doubtful: ["globex"] });
  const third = run(THIRD, ["acme"], { hash: NEWER_HASH, listed: new Set(["acme", "globex"]) });

  test.each([
    ["in their order", [first, second, third]],
    ["the first one again behind the second", [first, second, first, third]],
    ["the first one again behind the third", [first, second, third, first]],
    ["the second one behind the third", [first, third, second]],
    ["each twice, backwards", [first, second, third, third, second, first]],
  ])("the newest word counts: %s", async (_order, runs) => {
    // Globex was not come to by the third run, and doubtful in the second. Initech has left.
    expect(await knownAfter(...runs)).toEqual([["acme", NEWER_HASH, THIRD]]);
  });

  test("one that reports for the first time behind newer ones adds only whom nobody knows better", async () => {
    const late = await knownAfter(third, second, first);

    // Nobody told the ledger of Initech before, so that nobody could tell that it has left. The next run does.
    expect(late).toEqual([
      ["acme", NEWER_HASH, THIRD],
      ["initech", HASH, FIRST],
    ]);
    expect(
      await knownAfter(third, first, {
        ...third,
        startedAt: `${THIRD.slice(0, 10)}T01:00:00.000Z`,
      }),
    ).toEqual([
      ["acme", NEWER_HASH, "2026-11-03T01:00:00.000Z"],
      ["globex", HASH, FIRST],
    ]);
  });
});

describe("a tenant that is not in the list any more", () => {
  test("leaves the ledger with the next report over the same source", async () => {
    expect(await knownAfter(run(FIRST, ["a", "b"]), run(SECOND, ["a"]))).toEqual([
      ["a", HASH, SECOND],
    ]);
  });

  test("comes back with a later list, and is asked then", async () => {
    const all = new Set(["a", "b"]);
    const back = run(THIRD, ["b"], { listed: all });

    expect(await knownAfter(run(FIRST, ["a", "b"]), run(SECOND, ["a"]), back)).toEqual([
      ["a", HASH, SECOND],
      ["b", HASH, THIRD],
    ]);
  });

  test.each([
    ["has another source", { source: "elsewhere" }],
    ["is a part of it", { isWhole: false }],
  ])("stays where the list %s", async (_what, more) => {
    expect(await knownAfter(run(FIRST, ["a", "b"]), run(SECOND, ["a"], more))).toEqual([
      ["a", HASH, SECOND],
      ["b", HASH, FIRST],
    ]);
  });

  test("is gone for good 30 days behind the last list that had it, and so is the word that it left", async () => {
    const store = memoryStore({});
    await advanceLedger(store, run(FIRST, ["stays", "left"]));
    await advanceLedger(store, run(FIRST, ["elsewhere"], { source: "moved" }));
    await advanceLedger(store, run(SECOND, ["stays"]));
    expect(store.text("ledger.jsonl")).toContain("left");

    await advanceLedger(store, run("2027-01-01T00:00:00.000Z", [], { listed: new Set(["stays"]) }));

    expect(parseFleetLedger(store.text("ledger.jsonl"))).toEqual(
      new Map([["stays", entry("stays", SECOND, { listed: "2027-01-01T00:00:00.000Z" })]]),
    );
  });
});

describe("a source", () => {
  const name = (key: string, bucket = "fleet") => sourceNameOf({ s3: { bucket, key } }, "fleet");

  test("is the same for all lists that somebody gives by hand, and another one for each that is elsewhere", () => {
    const given = [
      sourceNameOf({ inline: [] }, "fleet"),
      name("lists/1.jsonl"),
      name("lists/2.jsonl"),
    ];
    const others = [name("lists/1.jsonl", "other"), name("all.jsonl"), name("eu.jsonl")];

    expect(given).toEqual(["given", "given", "given"]);
    expect(new Set([...given, ...others]).size).toBe(4);
  });
});
