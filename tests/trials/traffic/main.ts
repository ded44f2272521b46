import { cpus } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { readCommandLine, wholeNumber } from "../../../local/command-line.ts";
import { startPostgres } from "../../../local/postgres/postgres.ts";
import { startRelay } from "../../../local/relay/relay.ts";
import { type Migrator, playRound, type Round } from "./rounds.ts";
import { judge } from "./verdict.ts";

const USAGE = `usage: npm run bench:traffic -- [--hold-ms 9000] [--json]

An application reads and writes a table. One session has read it, and sits idle in its transaction. Meanwhile
"alter table … add column" is to be applied: by nobody, by Drizzle's own migrate(), by us. What does the application feel? Ends with 1 where neon-migrate holds all
requests until the session leaves.`;

const NAMES: Readonly<Record<Migrator, string>> = {
  nobody: "nobody migrates",
  drizzle: "Drizzle's migrate()",
  "neon-migrate": "neon-migrate",
};

async function main(): Promise<void> {
  const options = {
    "hold-ms": { type: "string", default: "9000" },
    json: { type: "boolean", default: false },
  } as const;
  const { holdMs, json } = readCommandLine({ usage: USAGE, config: { options } }, ({ values }) => ({
    holdMs: wholeNumber(values["hold-ms"]),
    json: values.json,
  }));
  const rounds = await playAll(holdMs);
  const problems = judge(rounds);
  if (json) console.log(JSON.stringify({ holdMs, rounds, problems }, null, 2));
  else console.log([render(rounds, holdMs), ...problems].join("\n"));
  process.exitCode = problems.length === 0 ? 0 : 1;
}

async function playAll(holdMs: number): Promise<readonly Round[]> {
  const postgres = await startPostgres();
  const relay = await startRelay({ target: { host: postgres.host, port: postgres.port } });
  const ground = { url: postgres.url(), relay: relay.address, sit: () => pause(holdMs) };
  const rounds: Round[] = [];
  try {
    for (const migrator of ["nobody", "drizzle", "neon-migrate"] as const) {
      rounds.push(await playRound(migrator, ground));
    }
  } finally {
    await relay.stop();
    await postgres.stop();
  }
  return rounds;
}

function render(rounds: readonly Round[], holdMs: number): string {
  const header = [
    "while a reader sits",
    "reads",
    "worst ms",
    "writes",
    "worst ms",
    "migrated after ms",
  ];
  const rows = rounds.map(({ migrator, service: { reads, writes }, migratedMs }) => [
    NAMES[migrator],
    reads.count,
    reads.worstMs,
    writes.count,
    writes.worstMs,
    migratedMs ?? "",
  ]);
  const cells = [header, ...rows].map((row) => row.map(String));
  const widths = header.map((_name, column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0)),
  );
  const lines = cells.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  "),
  );
  return [
    `The reader sits for ${holdMs} ms; 2 sessions read, 2 write, 10 ms between requests; ${cpus().length} CPUs.`,
    ...lines,
  ].join("\n");
}

await main();
