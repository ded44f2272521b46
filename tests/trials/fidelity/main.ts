import { preferMemory } from "../../../local/postgres/memory.ts";
import { readArguments } from "./arguments.ts";
import { renderDetails, renderFolder } from "./render.ts";
import { openServer } from "./server.ts";
import { tryFolder } from "./trial.ts";

const USAGE = `usage: npm run fidelity -- [--server postgres://superuser@host/postgres] [--before file.sql] <folder>…

Applies each folder of migrations by Drizzle's own migrator and by ours, and compares all that they leave in the catalog.
Ends with 1 where a folder differs. --server  Default: a PostgreSQL of its own   --before  SQL that runs first`;

async function main(): Promise<void> {
  const { server: url, before, folders } = await readArguments(USAGE);
  preferMemory();
  const server = await openServer(url, before);
  const counts = { applied: 0, refused: 0, mismatch: 0 };
  console.log(`PostgreSQL ${server.version}`);
  try {
    for (const folder of folders) {
      const result = await tryFolder(server, folder);
      counts[result.outcome] += 1;
      for (const line of [renderFolder(result), ...renderDetails(result)]) console.log(line);
    }
  } finally {
    await server.close();
  }
  const { applied, refused, mismatch } = counts;
  console.log(
    `${folders.length} tried: ${applied} applied alike, ${refused} refused by both, ${mismatch} not alike`,
  );
  process.exitCode = mismatch === 0 ? 0 : 1;
}

await main();
