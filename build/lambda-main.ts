import { execFileSync } from "node:child_process";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { buildLambda } from "./lambda.ts";

const CONTRIBUTORS_SHOWN = 5;
const IMPORTS = 5;

/** `npm run bundle`: builds the prebuilt handler into `dist/lambda`, and prints its size unless it is told `--quiet`. */
async function main(): Promise<void> {
  const folder = fileURLToPath(new URL("../dist/lambda", import.meta.url));
  const { files, start } = await buildLambda(folder);
  if (process.argv.includes("--quiet")) return;
  console.log(`Lambda handler in ${relative(process.cwd(), folder)}, minified (gzip):`);
  for (const { name, bytes, gzipBytes } of files) {
    console.log(`  ${name.padEnd(40)} ${kilobytes(bytes)} (${kilobytes(gzipBytes).trim()})`);
  }
  const ms = importMs(join(folder, "index.mjs")).toFixed(0);
  console.log(`Every start loads ${start.files.join(" and ")}: ${kilobytes(start.bytes).trim()}.`);
  console.log(
    `Import of index.mjs: ${ms} ms on Node ${process.versions.node}, median of ${IMPORTS}.`,
  );
  console.log("Largest parts of what every start loads:");
  for (const { name, bytes } of start.contributors.slice(0, CONTRIBUTORS_SHOWN)) {
    console.log(`  ${name.padEnd(40)} ${kilobytes(bytes)}`);
  }
}

/** Measures the time of a cold start before the handler can be called: the median of five fresh processes, in ms. */
function importMs(path: string): number {
  const url = JSON.stringify(pathToFileURL(path).href);
  const script = `const started = performance.now(); await import(${url}); console.log(performance.now() - started);`;
  const words = ["--input-type=module", "--eval", script];
  const times = Array.from({ length: IMPORTS }, () =>
    Number(execFileSync(process.execPath, words, { encoding: "utf8" })),
  );
  return times.toSorted((a, b) => a - b)[Math.floor(IMPORTS / 2)] ?? Number.NaN;
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`.padStart(9);
}

await main();
