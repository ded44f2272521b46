import { readFile, rename, writeFile } from "node:fs/promises";

/*
 * `npm pack` and `npm publish` call this ahead of packing (`prepack`) and behind it (`postpack`). A `package.json` that is
 * published has no scripts, and nothing that only a clone needs: npm would warn of `prepare` at every installation.
 */

const KEPT = "package.json.whole";

/** What only a clone needs. */
const OF_A_CLONE = ["scripts", "devDependencies", "workspaces", "allowScripts"];

async function strip(): Promise<void> {
  const text = await readFile("package.json", "utf8");
  const manifest: Record<string, unknown> = JSON.parse(text);
  for (const field of OF_A_CLONE) delete manifest[field];
  await writeFile(KEPT, text, { flag: "wx" });
  await writeFile("package.json", `${JSON.stringify(manifest, null, 2)}\n`);
}

await (process.argv[2] === "restore" ? rename(KEPT, "package.json") : strip());
