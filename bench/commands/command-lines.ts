import { cp, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { median } from "../speed/statistics.ts";
import { type Timed, timeInTurn } from "./time-process.ts";

/** A command of ours or of another tool. */
interface CommandLine extends Timed {
  /** What a person wants of it. */
  readonly task: string;
  readonly tool: string;
}

/** The time of one command, medians. */
export interface CommandFigure {
  readonly task: string;
  readonly tool: string;
  readonly wallMs: number;
  readonly processorMs: number;
}

/** The input of the measurement. */
export interface CommandOptions {
  /** The folder of the built package. */
  readonly dist: string;
  readonly scratch: string;
  /** A folder of migrations that the database has. */
  readonly applied: string;
  /** A large folder of migrations, for the commands that ask no database. */
  readonly large: string;
  /** The connection string of the database. */
  readonly url: string;
  /** Other tools, by their names: the program of each, with the words before its command. */
  readonly peers: Readonly<Record<string, readonly [string, ...string[]]>>;
  readonly runs: number;
}

/** Measures whole processes, from the start to the end, in turn. */
export async function measureCommands(options: CommandOptions): Promise<readonly CommandFigure[]> {
  const project = await writeProject(options);
  const commands = [...ours(options, project), ...others(options, project)];
  const times = [...timeInTurn(commands, options.runs)];
  return times.map(([{ task, tool }, seen]) => ({
    ...{ task, tool },
    wallMs: median(seen.map(({ wallMs }) => wallMs)),
    processorMs: median(seen.map(({ processorMs }) => processorMs)),
  }));
}

/** Writes a project as a user of each tool has it: the config files, the same migrations for each, and the packages. */
async function writeProject({ scratch, applied }: CommandOptions): Promise<string> {
  const project = join(scratch, "project");
  await cp(applied, join(project, "drizzle"), { recursive: true });
  const packages = dirname(dirname(createRequire(import.meta.url).resolve("drizzle-kit")));
  await symlink(packages, join(project, "node_modules"));
  await mkdir(join(project, "prisma"));
  await mkdir(join(project, "db", "migrations"), { recursive: true });
  const names = (await readdir(applied)).filter((name) => name.endsWith(".sql"));
  for (const [index, name] of names.entries()) {
    const sql = await readFile(join(applied, name), "utf8");
    const place = join("db", "migrations", `${20_260_101_000_000 + index}_${name}`);
    await writeFile(join(project, place), `-- migrate:up\n${sql}\n-- migrate:down\n`);
  }
  for (const [name, text] of Object.entries(FILES)) await writeFile(join(project, name), text);
  return project;
}

const FILES: Readonly<Record<string, string>> = {
  "package.json": "{}\n",
  "schema.ts": "export {};\n",
  "drizzle.config.ts": `import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "postgresql",
  out: "./drizzle",
  schema: "./schema.ts",
  dbCredentials: { url: process.env.DATABASE_URL ?? "" },
});
`,
  "prisma/schema.prisma": `datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}
`,
};

function ours({ dist, scratch, large, url }: CommandOptions, cwd: string): readonly CommandLine[] {
  const program = [process.execPath, join(dist, "bin", "neon-migrate.js")] as const;
  const environment = { DATABASE_URL: url, NEON_MIGRATE_CACHE: join(scratch, "cache") };
  const command = (task: string, ...words: readonly string[]): CommandLine => ({
    ...{ task, tool: "neon-migrate", words: [...program, ...words], cwd, environment },
  });
  const unkept = (each: CommandLine): CommandLine => ({
    ...{ ...each, tool: "neon-migrate, nothing kept" },
    environment: { ...environment, NEON_MIGRATE_CACHE: "off" },
  });
  const folder = ["--no-config", "--folder", large];
  const bare = command("status", "status", "--no-config");
  const status = command("status", "status");
  const check = command("check", "check", "--fail-on", "never");
  const largeCheck = command("check of the large folder", "check", ...folder, "--fail-on", "never");
  const out = ["--out", join(scratch, "asset")];
  const bundle = command("bundle of the large folder", "bundle", ...folder, ...out, "--json");
  const floor = { task: "help", tool: "floor: an empty Node", cwd, environment } as const;
  return [
    { ...floor, words: [process.execPath, "-e", "0"] },
    command("help", "--help"),
    status,
    unkept(status),
    { ...bare, tool: "neon-migrate, no config file" },
    check,
    unkept(check),
    largeCheck,
    unkept(largeCheck),
    bundle,
    unkept(bundle),
  ];
}

/** The commands of other tools that answer the same question, as far as they have one. */
const TASKS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  "drizzle-kit": { help: ["--help"], check: ["check"] },
  dbmate: { help: ["--help"], status: ["status"] },
  prisma: { help: ["--help"], status: ["migrate", "status"], check: ["validate"] },
};

function others({ url, peers }: CommandOptions, cwd: string): readonly CommandLine[] {
  const environment = {
    DATABASE_URL: `${url}?sslmode=disable`,
    DBMATE_NO_DUMP_SCHEMA: "true",
    // Neither may ask its maker for a newer version meanwhile.
    ...{ PRISMA_HIDE_UPDATE_MESSAGE: "1", CHECKPOINT_DISABLE: "1" },
  };
  return Object.entries(peers).flatMap(([tool, program]) =>
    Object.entries(TASKS[tool] ?? {}).map(([task, words]) => ({
      ...{ task, tool, words: [...program, ...words], cwd, environment },
    })),
  );
}
