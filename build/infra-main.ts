import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/**
 * The second part of `npm run build`: makes one CommonJS file of the construct. An ESM app can import it; a CommonJS
 * app, ts-node or Jest can require it; and all get the same class.
 * @param dist the folder of the compiler's output
 */
async function main(dist: string): Promise<void> {
  const folder = join(dist, "infra");
  const emitted = (await readdir(folder)).filter((name) => /\.js(?:\.map)?$/.test(name));
  for (const name of emitted) await rm(join(folder, name));
  await build({
    entryPoints: [fileURLToPath(new URL("../infra/neon-migrations.ts", import.meta.url))],
    outfile: join(folder, "neon-migrations.js"),
    bundle: true,
    format: "cjs",
    platform: "node",
    target: "node20.19",
    packages: "external",
    logLevel: "warning",
    define: { "import.meta.url": "__importMetaUrl" },
    banner: { js: 'const __importMetaUrl = require("node:url").pathToFileURL(__filename).href;' },
  });
  // It makes the types beside the file those of a CommonJS module, too.
  await writeFile(join(folder, "package.json"), '{ "type": "commonjs" }\n');
}

await main(process.argv[2] ?? fileURLToPath(new URL("../dist", import.meta.url)));
