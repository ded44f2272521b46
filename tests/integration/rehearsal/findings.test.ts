import { expect, onTestFinished, test } from "vitest";
import type { Migration } from "../../../lib/bundle/bundle.ts";
import { silentLog } from "../../../lib/log.ts";
import { migrate } from "../../../lib/migrate/migrate.ts";
import { HARMS, seenFindings } from "../../../lib/rehearsal/findings.ts";
import { rewrites } from "../../../lib/rehearsal/standstill.ts";
import type { SeenFinding } from "../../../lib/report/rehearsed.ts";
import { parseRequest } from "../../../lib/request.ts";
import { checkAll } from "../../setup/check-all.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { lookBefore } from "../../setup/observing.ts";
import { createTestTarget } from "../../setup/run.ts";

const SETUP = `
  create table accounts (id int primary key, email text);
  create table orders (id int primary key, account_id int, total int, note text, code varchar(50), status text);
  create index orders_note on orders (note);
  create table parted (at date) partition by range (at);
  create type status as enum ('open');
  create function same() returns int stable language sql as 'select 1';
  insert into accounts select i, i from generate_series(1, 50) i;
  insert into orders select i, i, i, 'x', 'x', 'open' from generate_series(1, 50) i;
`;

/** Applies migrations, one transaction for each, and grades their findings. */
async function grade(...files: readonly (readonly string[])[]): Promise<readonly SeenFinding[]> {
  const { database, target } = await createTestTarget();
  onTestFinished(() => database.close());
  await database.sqlAsOwner(SETUP);
  const texts = files.map((statements, index) =>
    makeMigration(`000${index}`.slice(-4), 1_000 + index, ...statements),
  );
  const checked = checkAll(texts);
  const migrations: readonly Migration[] = texts.map((migration, index) => ({
    ...migration,
    findings: checked[index] ?? [],
  }));
  const before = await lookBefore(database.name);
  const observer = before.observer();
  const report = await migrate(parseRequest({ transaction: "each" }), {
    ...{ bundle: makeBundle(...migrations), target: () => target, requestId: "test" },
    ...{ deadline: null, log: silentLog, observer },
  });
  expect(report.error).toBeUndefined();
  const { transactions } = observer;
  return seenFindings(
    report.findings,
    new Map(migrations.map(({ tag, findings }) => [tag, findings])),
    {
      ...{ transactions, relations: before.relations },
      rewrites: rewrites(transactions, before.relations),
    },
  );
}

const rulesOf = (graded: readonly SeenFinding[], wanted: boolean | null) => [
  ...new Set(graded.filter(({ seen }) => seen === wanted).map(({ rule }) => rule)),
];

test("every rule that speaks of a lock or of a rewrite is confirmed where that happens", async () => {
  const graded = await grade(
    ["create index orders_total on orders (total)"],
    ["create index orders_code on orders (code)"],
    ["drop index orders_note"],
    ["reindex table orders"],
    ["alter table orders add constraint positive check (total > 0)"],
    ["alter table orders add constraint fk foreign key (account_id) references accounts (id)"],
    ["alter table accounts add constraint email unique (email)"],
    ["alter table accounts add constraint apart exclude using btree (email with =)"],
    ["alter table orders alter total set not null"],
    [
      "alter table orders add constraint noted check (note <> '') not valid",
      "alter table orders validate constraint noted",
    ],
    ["alter table orders add column public_id uuid default gen_random_uuid()"],
    ["alter table orders add column gross int generated always as (total * 2) stored"],
    ["alter table orders alter account_id type bigint"],
    ["alter table orders add column currency text", "update orders set currency = 'EUR'"],
    ["alter table orders add column a int", "alter table accounts add column a int"],
    ["vacuum full orders"],
  );

  const rules = Object.keys(HARMS);
  expect(rulesOf(graded, false)).toEqual([]);
  expect(rulesOf(graded, true).toSorted()).toEqual(rules.toSorted());
});

test("a finding is not confirmed where nothing of it happens, and not graded where it speaks of something else", async () => {
  const graded = await grade(
    ["alter table orders alter code type varchar(99)"],
    ["alter table orders add column same int default same()"],
    ["alter table orders add column payload json"],
    ["alter table orders drop column status"],
  );

  expect(rulesOf(graded, true)).toEqual([]);
  expect(rulesOf(graded, false).toSorted()).toEqual(["column-type-changed", "volatile-default"]);
  expect(rulesOf(graded, null).toSorted()).toEqual(["column-dropped", "json", "varchar-length"]);
});
