import { buildLambda } from "../build/lambda.ts";
import { readCommandLine } from "./command-line.ts";
import { serve } from "./serve.ts";

const USAGE = `usage: npm run local [-- <folder>]

Runs a PostgreSQL, Neon's API, a relay and the function with the folder's migrations (drizzle) until Ctrl-C.`;

const folder = readCommandLine(
  { usage: USAGE, config: { allowPositionals: true } },
  ({ positionals }) => positionals[0] ?? "drizzle",
);

// `neon-migrate local` of a clone, with a handler that is built anew.
await serve({ folder, build: buildLambda }).catch((thrown: unknown) => {
  console.error(thrown instanceof Error ? thrown.message : thrown);
  process.exitCode = 1;
});
