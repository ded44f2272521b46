import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { compileBundle } from "../../../lib/compile/compile.ts";
import { readFolder } from "../../../lib/compile/folder.ts";
import { drizzle0, drizzle1, type Line, useInterop } from "../../setup/interop.ts";
import { neonMigrate } from "../../setup/neon-migrate.ts";

const interop = useInterop();

const DAY = 86_400_000;
/** A time far enough away for every run of this test. */
const FUTURE = Date.UTC(2199, 0, 1);
const NOW = Date.UTC(2026, 0, 1);

/** Writes a folder whose journal has these values, of any type, in the place of its times. */
function folderWith(whens: readonly unknown[]): string {
  const migrations = whens.map((_, index) => ({
    tag: `000${index}_m${index}`,
    when: index,
    sql: `CREATE TABLE t${index} ();`,
  }));
  const folder = interop.folderOf(drizzle0, migrations);
  const path = join(folder, "meta", "_journal.json");
  const journal: { entries: object[] } = JSON.parse(readFileSync(path, "utf8"));
  const entries = journal.entries.map((entry, index) => ({ ...entry, when: whens[index] }));
  writeFileSync(path, JSON.stringify({ ...journal, entries }));
  return folder;
}

describe("a journal's time that Drizzle applies is let through, with a warning:", () => {
  test.each<readonly [string, unknown, string]>([
    ["in the future", FUTURE, "dated 2199-01-01T00:00:00Z, in the future"],
    ["an hour ahead", NOW + DAY / 24, "dated 2026-01-01T01:00:00Z, in the future"],
    ["in seconds", 1_767_225_600, ".*: 1767225600 looks like seconds, and .* write 1767225600000"],
    [
      "in microseconds",
      NOW * 1_000,
      "dated .* looks like microseconds, and .* write 1767225600000",
    ],
    ["beyond the last date", 9e15, "dated \\+275760-09-13T00:00:00Z"],
    ["negative", -1, "dated before 1970 \\(-1\\)"],
    ["a text of digits", `${NOW}`, 'dated by a text, "1767225600000"'],
    ["a negative text", "-5", "dated before 1970 \\(-5\\)"],
  ])("%s", async (_name, when, words) => {
    const folder = folderWith([when]);

    const { warnings } = await readFolder(folder, NOW);
    await interop.byDrizzle(drizzle0, folder);
    const { status } = await interop.byUs(folder);

    expect(warnings).toEqual([
      {
        code: "JOURNAL_TIME",
        message: expect.stringMatching(`0000_m0 is ${words}`),
        settledBy: ["0000_m0"],
      },
    ]);
    // Drizzle wrote its row, and we recognise it.
    expect([await interop.ledger(), status]).toMatchObject([
      [{ created_at: Number(when) }],
      "up-to-date",
    ]);
  });

  test("several are one warning, which names the latest", async () => {
    const folder = folderWith([NOW, FUTURE, FUTURE + 2, FUTURE + 1]);

    const { warnings } = await readFolder(folder, NOW);

    expect(warnings.map(({ code, message }) => [code, message.split("drizzle-kit")[0]])).toEqual([
      ["JOURNAL_ORDER", expect.stringContaining("lists 0003_m3 behind 0002_m2")],
      ["JOURNAL_TIME", expect.stringContaining("0002_m2 (and 2 more) is dated 2199-")],
    ]);
  });

  test.each([
    ["a clock that is a minute ahead", [NOW, NOW + 60_000]],
    ["small numbers, as tests have them", [0, 1, 2]],
  ])("nothing is said of %s", async (_name, whens) => {
    expect((await readFolder(folderWith(whens), NOW)).warnings).toEqual([]);
  });
});

test("check and bundle speak of a time in the future, and neither fails", async () => {
  const folder = folderWith([FUTURE]);

  const words = ["--folder", folder];
  const text = await neonMigrate(["check", ...words], { GITHUB_ACTIONS: "true" });
  const json = await neonMigrate(["check", "--json", ...words]);
  const bundle = await neonMigrate(["bundle", "--json", "--out", join(folder, "out"), ...words]);

  const warnings = [{ code: "JOURNAL_TIME", message: expect.stringContaining("in the future") }];
  expect([text.exitCode, json.exitCode, bundle.exitCode]).toEqual([0, 0, 0]);
  expect(text.stdout).toContain("! JOURNAL_TIME ");
  expect(text.stdout).toContain("\n::warning title=JOURNAL_TIME::");
  expect(JSON.parse(json.stdout)).toMatchObject({ warnings });
  expect(JSON.parse(bundle.stdout)).toMatchObject({ warnings });
});

test.each([
  ["an equal time", NOW, "with the same date"],
  ["an earlier time", NOW - 1, "but dates it earlier"],
  ["seconds behind milliseconds", NOW / 1_000, "but dates it earlier"],
])("%s is applied, and told as one that Drizzle skips", async (_name, when, words) => {
  const folder = folderWith([NOW]);
  await interop.byDrizzle(drizzle0, folder);
  const longer = folderWith([NOW, when]);

  const { warnings } = await compileBundle(longer);
  await interop.byDrizzle(drizzle0, longer);
  const skipped = await interop.ledger();
  const report = await interop.byUs(longer, { outOfOrder: "apply" });

  expect(warnings[0]?.code).toBe("JOURNAL_ORDER");
  expect(warnings[0]?.message).toContain(`lists 0001_m1 behind 0000_m0, ${words}`);
  expect([skipped.length, report.status]).toEqual([1, "applied"]);
  expect(await interop.database.sql("select * from t1")).toEqual([]);
});

test.each<readonly [string, unknown]>([
  ["a date", "2026-01-01"],
  ["a fraction", 1.5],
  ["nothing", null],
  ["more than a bigint", 1e20],
  ["an empty text", ""],
])("%s in the place of a time is refused, and shown", async (_name, when) => {
  await expect(readFolder(folderWith([when]))).rejects.toMatchObject({
    code: "JOURNAL_INVALID",
    message: expect.stringContaining(
      `entry 1 (0000_m0) has no "when" in whole milliseconds, but ${JSON.stringify(when)}`,
    ),
  });
});

describe("behind an applied migration of the future", () => {
  async function refusedBehind(): Promise<string> {
    await interop.byUs(folderWith([FUTURE]));
    const report = await interop.byUs(folderWith([FUTURE, Date.now()]));
    expect(report).toMatchObject({ status: "failed", error: { code: "OUT_OF_ORDER" } });
    return report.error?.message ?? "";
  }

  test("a new one is refused, with the way out that works", async () => {
    const message = await refusedBehind();

    expect(message).toContain("dated 2199-01-01, in the future, so that generating it again does");
    expect(message).toContain(`"when" in the journal above ${FUTURE}`);
    expect(message).not.toContain("Generate it again");
    expect(await interop.ledger()).toHaveLength(1);
  });

  test("a later time in the journal lets us apply it, and Drizzle go on behind it", async () => {
    await refusedBehind();

    const { status } = await interop.byUs(folderWith([FUTURE, FUTURE + 1]));
    await interop.byDrizzle(drizzle0, folderWith([FUTURE, FUTURE + 1, FUTURE + 2]));

    expect(status).toBe("applied");
    expect(await interop.ledger()).toHaveLength(3);
    expect(await interop.database.sql("select * from t1, t2")).toEqual([]);
  });

  test('"outOfOrder": "apply" applies it as it is', async () => {
    await refusedBehind();

    const folder = folderWith([FUTURE, Date.now()]);
    const { status } = await interop.byUs(folder, { outOfOrder: "apply" });
    const again = await interop.byUs(folder);

    expect([status, again.status]).toEqual(["applied", "up-to-date"]);
  });

  test("the present time in its entry, before it is applied anywhere, is all that is needed", async () => {
    await interop.byUs(folderWith([NOW]));

    const { status, warnings } = await interop.byUs(folderWith([NOW, NOW + 1, NOW + 2]));

    expect([status, warnings]).toEqual(["applied", []]);
  });
});

test("a folder of the future in the layout of Drizzle 1.0 is warned of, and its way out works", async () => {
  const write = (line: Line, ...tags: string[]) =>
    interop.folderOf(
      line,
      tags.map((tag) => ({ tag, when: 0, sql: `CREATE TABLE "${tag}" ();` })),
    );
  const first = write(drizzle1, "21990101000000_far");
  const late = write(drizzle1, "20260101000000_next", "21990101000000_far");
  const renamed = write(drizzle1, "21990101000000_far", "21990101000001_next");

  const { warnings } = await compileBundle(first);
  await interop.byUs(first);
  const refused = await interop.byUs(late);
  const { status } = await interop.byUs(renamed);

  expect(warnings).toEqual([
    {
      code: "JOURNAL_TIME",
      message: expect.stringMatching(/21990101000000_far.*in the future/),
      settledBy: ["21990101000000_far"],
    },
  ]);
  expect(refused.error?.code).toBe("OUT_OF_ORDER");
  expect(refused.error?.message).toContain("the time in its folder's name");
  expect(status).toBe("applied");
});
