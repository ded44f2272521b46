import { openBundle } from "../../lib/bundle/open-bundle.ts";
import type { Ledger, LedgerRow } from "../../lib/ledger/ledger.ts";
import { planMigrations } from "../../lib/plan/plan-migrations.ts";
import { buildReport, describePending } from "../../lib/report/report.ts";
import { parseRequest } from "../../lib/request.ts";
import type { Planned } from "./growth.ts";

/** Reads a bundle, plans it against an empty ledger and a full one, reports, and prints how long each took. */
function main(path: string): void {
  const [bundle, readMs] = timed(() => {
    const opened = openBundle(path);
    for (const { statements } of opened.migrations) void statements;
    return opened;
  });
  const request = parseRequest({});
  const [fresh, planFreshMs] = timed(() => planMigrations(bundle, ledgerOf([]), request));
  const rows = bundle.migrations
    .slice(0, -1)
    .map(({ hash, when }, index) => ({ id: index + 1, hash, when, name: null }));
  const [, planMs] = timed(() => planMigrations(bundle, ledgerOf(rows), request));
  const [, reportMs] = timed(() =>
    JSON.stringify(
      buildReport("growth", "planned", {
        pending: fresh.pending.map(({ migration, reasons }) =>
          describePending(migration, reasons, 0),
        ),
      }),
    ),
  );
  const told: Planned = { readMs, planFreshMs, planMs, reportMs };
  console.log(JSON.stringify(told));
}

function timed<Result>(work: () => Result): readonly [Result, number] {
  const started = performance.now();
  const result = work();
  return [result, performance.now() - started];
}

function ledgerOf(rows: readonly LedgerRow[]): Ledger {
  return {
    place: { schema: "drizzle", table: "__drizzle_migrations" },
    exists: rows.length > 0,
    format: "0.x",
    checkpoints: [],
    rows,
    warnings: [],
    mayBootstrap: true,
    homes: [],
  };
}

main(process.argv[2] ?? "");
