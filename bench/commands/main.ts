/*
 * The time that a person waits for a command. The options of `npm run bench:commands` come in, and tables go out: how long it
 * takes to compile a folder, and how long whole commands take, beside other tools. Nothing here judges a number.
 */

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus, tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { readCommandLine, wholeNumber } from "../../local/command-line.ts";
import { startPostgres } from "../../local/postgres/postgres.ts";
import { readable } from "../speed/statistics.ts";
import { textTable } from "../speed/text-table.ts";
import { writeFolder } from "../speed/workload.ts";
import { type CommandFigure, measureCommands } from "./command-lines.ts";
import { type CompileFigure, measureCompiling } from "./compiling.ts";

const USAGE = `usage: npm run bench:commands -- [--migrations 100,1000] [--folder FOLDER] [--dist dist] [--runs 9] [--dbmate PROGRAM] [--prisma PROGRAM] [--json]

Compiles folders of so many migrations of ten statements, and the named one, in fresh processes; then runs whole commands beside
drizzle-kit and the named programs, in turn. Prints medians, and judges nothing. It measures the built package: npm run build.`;

const STATEMENTS = 10;

/** The folder that the database of the commands has. */
const APPLIED = "drizzle";

function readArguments() {
  const options = {
    migrations: { type: "string", default: "100,1000" },
    folder: { type: "string" },
    dist: { type: "string", default: "dist" },
    runs: { type: "string", default: "9" },
    dbmate: { type: "string" },
    prisma: { type: "string" },
    json: { type: "boolean", default: false },
  } as const;
  return readCommandLine({ usage: USAGE, config: { options } }, ({ values }) => ({
    ...values,
    migrations: values.migrations.split(",").map(wholeNumber),
    folders: values.folder === undefined ? [] : [resolve(values.folder)],
    dist: resolve(values.dist),
    runs: wholeNumber(values.runs),
  }));
}

type Arguments = ReturnType<typeof readArguments>;

async function main(): Promise<void> {
  const wanted = readArguments();
  if (!existsSync(join(wanted.dist, "bin", "neon-migrate.js"))) {
    throw new Error(`${wanted.dist} holds no built package. Make it with npm run build.`);
  }
  const scratch = await mkdtemp(join(tmpdir(), "bench-"));
  try {
    const folders = await foldersOf(wanted, scratch);
    const { dist, runs } = wanted;
    const compiling = measureCompiling({ folders, dist, runs, cache: join(scratch, "kept") });
    const large = folders[wanted.migrations.length - 1]?.path ?? APPLIED;
    const commands = await commandsOf(wanted, scratch, large);
    console.log(
      wanted.json
        ? JSON.stringify({ compiling, commands }, null, 2)
        : [machine(), renderCompiling(compiling), renderCommands(commands)].join("\n\n"),
    );
  } finally {
    await rm(scratch, { recursive: true });
  }
}

async function foldersOf({ migrations, folders }: Arguments, scratch: string) {
  const made: { readonly name: string; readonly path: string }[] = [];
  for (const count of migrations) {
    const path = join(scratch, `migrations-${count}`);
    await writeFolder(count * STATEMENTS, path, STATEMENTS);
    made.push({ name: "generated", path });
  }
  return [...made, ...folders.map((path) => ({ name: basename(path), path }))];
}

async function commandsOf(
  { dist, runs, dbmate, prisma }: Arguments,
  scratch: string,
  large: string,
): Promise<readonly CommandFigure[]> {
  const postgres = await startPostgres();
  try {
    const [applied, url] = [resolve(APPLIED), postgres.url()];
    const program = join(dist, "bin", "neon-migrate.js");
    const words = [program, "up", "--no-config", "--folder", applied, "--url", url, "--quiet"];
    execFileSync(process.execPath, words, { stdio: "ignore" });
    const kit = dirname(createRequire(import.meta.url).resolve("drizzle-kit"));
    return await measureCommands({
      ...{ dist, scratch, applied, large, url, runs },
      peers: {
        "drizzle-kit": [process.execPath, join(kit, "bin.cjs")],
        ...(dbmate === undefined ? {} : { dbmate: [resolve(dbmate)] as const }),
        ...(prisma === undefined ? {} : { prisma: [resolve(prisma)] as const }),
      },
    });
  } finally {
    await postgres.stop();
  }
}

function machine(): string {
  const [{ model = "unknown" } = {}] = cpus();
  return `${cpus().length} × ${model.trim()}, Node ${process.version}`;
}

function renderCompiling(figures: readonly CompileFigure[]): string {
  const headings = [
    ...["folder", "migrations", "statements", "compile, cold", "its processor time", "again"],
    ...["kept, cold", "its processor time", "peak memory"],
  ];
  const rows = figures.map((each) => [
    ...[each.folder, String(each.migrations), String(each.statements)],
    ...[each.coldMs, each.coldProcessorMs, each.warmMs].map(readable),
    ...[each.keptMs, each.keptProcessorMs].map(readable),
    `${each.peakMb.toFixed(0)} MB`,
  ]);
  return textTable(headings, rows);
}

function renderCommands(figures: readonly CommandFigure[]): string {
  const rows = figures
    .toSorted((one, other) => one.task.localeCompare(other.task, "en"))
    .map((each) => [
      `${each.task}: ${each.tool}`,
      ...[each.wallMs, each.processorMs].map(readable),
    ]);
  return textTable(["whole process", "time", "processor time"], rows);
}

await main();
