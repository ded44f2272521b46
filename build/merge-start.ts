/*
 * One file for the start. esbuild cuts what several of its outputs share into files of their own, some thirty of which every
 * start would load one by one, at a third of a millisecond and more for each. Here they become one file, from which the
 * files that are loaded on use import. Nothing else of the build is changed.
 */

import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type BuildOptions, build, type Metafile, type Plugin } from "esbuild";

/** The one file. `index.mjs` only hands its handler on, so that a wrapper may load that under another name. */
export const START = "part-start.mjs";

/**
 * Merges the files of every start.
 * @param folder the folder of the files
 * @param start names of the files that every start loads, `index.mjs` first
 * @param rest names of all others
 * @throws Error where a file would still ask for one that is gone
 */
export async function mergeStart(
  folder: string,
  start: readonly string[],
  rest: readonly string[],
  { outputs }: Metafile,
  options: BuildOptions,
): Promise<void> {
  const exported = new Map(
    Object.entries(outputs).map(([path, output]) => [basename(path), output.exports]),
  );
  const merged = new Map(start.map((name, index) => [name, `f${index}_`]));
  const lines = Array.from(merged, ([name, prefix]) => {
    const names = (exported.get(name) ?? []).map((each) =>
      name === "index.mjs" ? each : `${each} as ${prefix}${each}`,
    );
    return names.length === 0 ? "" : `export{${names.join(",")}}from"./${name}";`;
  });
  await build({
    ...options,
    splitting: false,
    banner: {},
    outfile: join(folder, START),
    stdin: { contents: lines.join("\n"), resolveDir: folder, sourcefile: "start.mjs" },
    plugins: [onlyOf(merged)],
  });
  for (const name of rest) {
    const path = join(folder, name);
    await writeFile(path, redirected(await readFile(path, "utf8"), name, merged));
  }
  await mergeNotices(folder, start);
  for (const name of start) await rm(join(folder, name));
  const own = (exported.get("index.mjs") ?? []).join(",");
  await writeFile(join(folder, "index.mjs"), `export{${own}}from"./${START}";\n`);
}

/** Keeps the notices of others that esbuild has put beside the files. */
async function mergeNotices(folder: string, start: readonly string[]): Promise<void> {
  const texts: string[] = [];
  for (const path of start.map((name) => join(folder, `${name}.LEGAL.txt`))) {
    if (!existsSync(path)) continue;
    texts.push(await readFile(path, "utf8"));
    await rm(path);
  }
  if (texts.length > 0) await writeFile(join(folder, `${START}.LEGAL.txt`), texts.join("\n"));
}

/** Leaves the files that are loaded on use where they are. */
function onlyOf(merged: ReadonlyMap<string, string>): Plugin {
  return {
    name: "only-of-the-start",
    setup: ({ onResolve }) => {
      onResolve({ filter: /^\.\/[\w.-]+\.mjs$/ }, ({ path }) =>
        merged.has(path.slice(2)) ? null : { path, external: true },
      );
    },
  };
}

/** Lets a file import from the one file what it imports from those that are gone. */
function redirected(text: string, name: string, merged: ReadonlyMap<string, string>): string {
  const result = text
    .replace(/import\{([^{}]*)\}from"\.\/([\w.-]+)";/g, (whole, names: string, from: string) => {
      const prefix = merged.get(from);
      if (prefix === undefined) return whole;
      const renamed = names.split(",").map((each) => {
        const [outer = "", inner = outer] = each.trim().split(" as ");
        return `${prefix}${outer} as ${inner}`;
      });
      return `import{${renamed.join(",")}}from"./${START}";`;
    })
    .replace(/import"\.\/([\w.-]+)";/g, (whole, from: string) => (merged.has(from) ? "" : whole));
  const left = [...merged.keys()].find((gone) => result.includes(`"./${gone}"`));
  if (left === undefined) return result;
  throw new Error(`${name} still asks for ${left}, which is in ${START} now.`);
}
