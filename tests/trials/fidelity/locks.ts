import { counted } from "../../../lib/text.ts";
import { preferMemory } from "../../../local/postgres/memory.ts";
import { readArguments } from "./arguments.ts";
import { renderLocks } from "./lock-render.ts";
import { openLockStage } from "./lock-stage.ts";
import { tryLocks } from "./lock-trial.ts";

const USAGE = `usage: npm run fidelity:locks -- [--server postgres://superuser@host/postgres] [--before file.sql] <folder>…

Applies 25 %, 50 % and 75 % of each folder of migrations, and then the rest, twice: watched as in a rehearsal, and by a witness
who asks the server for all locks behind every statement. Compares each lock on what was there before, and who took it.
Ends with 1 where they differ. --server  Default: a PostgreSQL of its own   --before  SQL that runs first`;

const PARTS = [0.25, 0.5, 0.75];

async function main(): Promise<void> {
  const { server: url, before, folders } = await readArguments(USAGE);
  preferMemory();
  const stage = await openLockStage(url, before);
  const sums = {
    compared: 0,
    migrations: 0,
    statements: 0,
    relations: 0,
    asked: 0,
    differences: 0,
  };
  console.log(`PostgreSQL ${stage.version}`);
  try {
    for (const folder of folders) {
      const result = await tryLocks(stage, folder, PARTS);
      for (const line of renderLocks(result)) console.log(line);
      if (result.splits.length > 0) sums.compared += 1;
      for (const { statements, relations, asked, wrong, missing } of result.splits) {
        sums.statements += statements;
        sums.relations += relations;
        sums.asked += asked;
        sums.differences += wrong.length + missing.length;
      }
      if (result.splits.length > 0) sums.migrations += result.migrations;
    }
  } finally {
    await stage.close();
  }
  const { compared, migrations, statements, relations, asked, differences } = sums;
  console.log(
    `${counted(folders.length, "folder")} tried, ${compared} compared: ${migrations} migrations, ${statements} statements, ${relations} locked relations, ${asked} questions, ${counted(differences, "difference")}`,
  );
  process.exitCode = differences === 0 ? 0 : 1;
}

await main();
