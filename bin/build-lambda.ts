import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { buildLambda } from "./lambda-artefact.ts";

const CONTRIBUTORS_SHOWN = 5;

/** `npm run bundle`: builds the prebuilt handler into `dist/lambda` and says what it weighs. */
async function main(): Promise<void> {
  const folder = fileURLToPath(new URL("../dist/lambda", import.meta.url));
  const { files, contributors } = await buildLambda(folder);
  console.log(`Lambda handler in ${relative(process.cwd(), folder)}, minified (gzip):`);
  for (const { name, bytes, gzipBytes } of files) {
    console.log(`  ${name.padEnd(40)} ${kilobytes(bytes)} (${kilobytes(gzipBytes).trim()})`);
  }
  console.log("Largest parts of index.mjs:");
  for (const { name, bytes } of contributors.slice(0, CONTRIBUTORS_SHOWN)) {
    console.log(`  ${name.padEnd(40)} ${kilobytes(bytes)}`);
  }
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`.padStart(9);
}

await main();
