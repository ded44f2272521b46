import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type BuildOptions, build } from "esbuild";
import { LAMBDA_BUILD } from "../../build/lambda.ts";

/** The function that a team writes by hand today. */
const BARE = `
import { neonConfig, Pool } from "@neondatabase/serverless";
import { drizzle } from "drizzle-orm/neon-serverless";
import { migrate } from "drizzle-orm/neon-serverless/migrator";
import { WebSocket } from "ws";
export async function handler() {
  neonConfig.webSocketConstructor = WebSocket;
  neonConfig.useSecureWebSocket = false;
  neonConfig.wsProxy = (host, port) => process.env.NEON_WS_PROXY + "?address=" + host + ":" + port;
  const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 1 });
  await migrate(drizzle(pool), { migrationsFolder: new URL("./drizzle", import.meta.url).pathname });
  await pool.end();
  return { ok: true };
}
`;

/**
 * Builds that function for a comparison, as our own handler is built. It expects its migrations in `drizzle/` beside it.
 * @returns the size of its `index.mjs`
 */
export async function buildBare(folder: string): Promise<number> {
  const options: BuildOptions = {
    ...LAMBDA_BUILD,
    splitting: false,
    outfile: join(folder, "index.mjs"),
    stdin: { contents: BARE, resolveDir: LAMBDA_BUILD.absWorkingDir, sourcefile: "bare.mjs" },
  };
  await build(options);
  return (await stat(join(folder, "index.mjs"))).size;
}
