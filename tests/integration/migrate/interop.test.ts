import { beforeAll, describe, expect, test } from "vitest";
import { STATEMENT_BREAKPOINT } from "../../../lib/bundle/bundle.ts";
import type { Report } from "../../../lib/report/report.ts";
import { drizzle0, drizzle1, type Line, useInterop } from "../../setup/interop.ts";

const interop = useInterop();

/** A migration of the `second`-th second of some minute, called as its layout calls it. */
function authored(layout: Line["layout"], second: number, name: string, sql: string) {
  const stamp = `202601021304${String(second).padStart(2, "0")}`;
  const when = Date.UTC(2026, 0, 2, 13, 4, second, layout === "0.x" ? 123 : 0);
  const tag = layout === "0.x" ? `${String(second).padStart(4, "0")}_${name}` : `${stamp}_${name}`;
  return { tag, when, sql };
}

/** Without a key or a conflict clause, so that a second run of anything shows. */
function history(layout: Line["layout"]) {
  const step = (index: number, ...statements: readonly string[]) =>
    authored(layout, index, `step_${index}`, statements.join(`;${STATEMENT_BREAKPOINT}\n`));
  return [
    step(0, "create table accounts (id int, balance int)", "insert into accounts values (1, 100)"),
    step(1, "insert into accounts values (2, 50)"),
    step(2, "update accounts set balance = balance + 10"),
    step(3, "alter table accounts add note text", "insert into accounts values (3, 7, 'x')"),
  ] as const;
}

const accounts = () => interop.database.sql("select * from accounts order by id");

/** All that two histories are compared by: the moment of a run is none of it. */
async function state(): Promise<object> {
  const rows = (await interop.ledger()).map((row) =>
    "applied_at" in row ? { ...row, applied_at: row.applied_at !== null } : row,
  );
  return { ledger: rows, table: await interop.ledgerTable(), accounts: await accounts() };
}

describe.each([drizzle0, drizzle1])("Drizzle $version and the layout $layout", (line) => {
  const migrations = history(line.layout);
  let reference: object;

  beforeAll(async () => {
    await interop.empty();
    await interop.byDrizzle(line, interop.folderOf(line, migrations));
    reference = await state();
  });

  test.each([
    ["us", "us", "us", "us"],
    ["Drizzle", "Drizzle", "us", "us"],
    ["us", "us", "Drizzle", "Drizzle"],
    ["Drizzle", "us", "Drizzle", "us"],
    ["us", "Drizzle", "us", "Drizzle"],
  ])("leave the same, row by row, when run by %s, %s, %s and %s", async (...runners) => {
    for (const [index, runner] of runners.entries()) {
      const folder = interop.folderOf(line, migrations.slice(0, index + 1));
      if (runner === "Drizzle") await interop.byDrizzle(line, folder);
      else
        expect((await interop.byUs(folder)).applied.map(({ tag }) => tag)).toEqual([
          migrations[index]?.tag,
        ]);
    }
    const whole = interop.folderOf(line, migrations);
    await interop.byDrizzle(line, whole);
    expect(await interop.byUs(whole)).toMatchObject({ status: "up-to-date", warnings: [] });

    expect(await state()).toEqual(reference);
  });

  test("apply in the same order, also where one run applies everything", async () => {
    const report = await interop.byUs(interop.folderOf(line, migrations));

    expect(report).toMatchObject({ atomic: true, ledger: { format: line.layout } });
    expect(await state()).toEqual(reference);
  });
});

describe("in the layout 1.0, beside Drizzle 1.0.0-rc.5,", () => {
  const [first, second, third] = history("1.0");

  test("a migration that was merged late is refused, and applied on request; Drizzle would run it by its name", async () => {
    await interop.byDrizzle(drizzle1, interop.folderOf(drizzle1, [first, third]));
    const merged = interop.folderOf(drizzle1, [first, second, third]);

    expect(await interop.byUs(merged)).toMatchObject({
      error: { code: "OUT_OF_ORDER" },
      drift: { outOfOrder: [{ tag: second.tag }] },
    });
    expect(await interop.byUs(merged, { outOfOrder: "apply" })).toMatchObject({
      applied: [{ tag: second.tag }],
    });
    await interop.byDrizzle(drizzle1, merged);

    expect((await interop.ledger()).map(({ name }) => name)).toEqual([
      first.tag,
      third.tag,
      second.tag,
    ]);
    expect(await accounts()).toHaveLength(2);
  });

  test("folders of the same second run in Drizzle's order, each once", async () => {
    const twins = ["b_1", "b1", "B", "a"].map((name) =>
      authored("1.0", 9, name, `insert into accounts (id) values (9) /* ${name} */`),
    );
    const folder = interop.folderOf(drizzle1, [first, ...twins]);
    await interop.byUs(folder);
    const ours = await state();
    await interop.byDrizzle(drizzle1, folder);
    expect(await state()).toEqual(ours);

    await interop.empty();
    await interop.byDrizzle(drizzle1, folder);
    expect(await state()).toEqual(ours);
  });

  test("a folder that was renamed is not run again, and what would make Drizzle run it is said", async () => {
    await interop.byUs(interop.folderOf(drizzle1, [first, second]));
    const renamed = { ...second, tag: `${second.tag}_renamed` };
    const folder = interop.folderOf(drizzle1, [first, renamed]);

    const report = await interop.byUs(folder);

    expect(report).toMatchObject({
      status: "up-to-date",
      warnings: [{ code: "LEDGER_NAME_MISSING" }],
    });
    await interop.database.sqlAsOwner(statementIn(report));
    await interop.byDrizzle(drizzle1, folder);
    expect(await interop.byUs(folder)).toMatchObject({ status: "up-to-date", warnings: [] });
    expect(await accounts()).toHaveLength(2);
  });

  test("rows that Drizzle 0.45.4 left without a name are not run again, and can be named", async () => {
    await interop.byDrizzle(drizzle1, interop.folderOf(drizzle1, [first]));
    const [early, late] = history("0.x");
    const behind = interop.folderOf(drizzle0, [{ ...early, when: first.when }, late]);
    await interop.byDrizzle(drizzle0, behind);
    expect((await interop.ledger()).map(({ name }) => name)).toEqual([first.tag, null]);
    const folder = interop.folderOf(drizzle1, [first, second, third]);

    const report = await interop.byUs(folder);

    expect(report).toMatchObject({
      applied: [{ tag: third.tag }],
      warnings: [{ code: "LEDGER_NAME_MISSING" }],
    });
    await interop.database.sqlAsOwner(statementIn(report));
    await interop.byDrizzle(drizzle1, folder);
    expect((await interop.ledger()).map(({ name }) => name)).toEqual([
      first.tag,
      second.tag,
      third.tag,
    ]);
    expect(await accounts()).toEqual([
      { id: 1, balance: 110 },
      { id: 2, balance: 60 },
    ]);
  });

  test("times that were kept as numeric, and rows without applied_at, are read and continued", async () => {
    await interop.byDrizzle(drizzle1, interop.folderOf(drizzle1, [first]));
    await interop.database.sql(
      "alter table drizzle.__drizzle_migrations alter column created_at type numeric; update drizzle.__drizzle_migrations set applied_at = null",
    );
    const folder = interop.folderOf(drizzle1, [first, second]);

    expect(await interop.byUs(folder)).toMatchObject({ applied: [{ tag: second.tag }] });
    await interop.byDrizzle(drizzle1, folder);

    expect(await interop.ledger()).toMatchObject([
      { created_at: first.when, applied_at: null },
      { created_at: second.when, applied_at: expect.any(Date) },
    ]);
  });
});

/** The statement that a warning offers. */
function statementIn({ warnings }: Report): string {
  return warnings.map(({ message }) => /on this database: (.*)$/s.exec(message)?.[1]).join(";");
}
