import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { preferMemory } from "../../../local/postgres/memory.ts";
import { renderDetails, renderFolder } from "./render.ts";
import { openServer } from "./server.ts";
import { tryFolder } from "./trial.ts";

const USAGE =
  "npm run fidelity -- [--server postgres://superuser@host/postgres] [--before file.sql] <folder>…";

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { server: { type: "string" }, before: { type: "string" } },
    allowPositionals: true,
  });
  if (positionals.length === 0) throw new Error(`No folder is named. ${USAGE}`);
  preferMemory();
  const before = values.before === undefined ? null : await readFile(values.before, "utf8");
  const server = await openServer(values.server ?? null, before);
  const counts = { applied: 0, refused: 0, mismatch: 0 };
  console.log(`PostgreSQL ${server.version}`);
  try {
    for (const folder of positionals) {
      const result = await tryFolder(server, folder);
      counts[result.outcome] += 1;
      for (const line of [renderFolder(result), ...renderDetails(result)]) console.log(line);
    }
  } finally {
    await server.close();
  }
  const { applied, refused, mismatch } = counts;
  console.log(
    `${positionals.length} tried: ${applied} applied alike, ${refused} refused by both, ${mismatch} not alike`,
  );
  process.exitCode = mismatch === 0 ? 0 : 1;
}

await main();
