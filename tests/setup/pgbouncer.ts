import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { chmod, chown, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Account, findAccount } from "../../local/postgres/binaries.ts";
import { freePort, hasEnded } from "../../local/postgres/server.ts";

/** The settings of a PgBouncer. */
export interface PgBouncerOptions {
  /** The owner's connection string. Only its database and its role are let through. */
  readonly url: string;
  /** Default: `transaction`. */
  readonly poolMode?: "transaction" | "session";
  /** The largest number of backends at a time. Default: 20. */
  readonly poolSize?: number;
  /** Whether backends are used in turn, instead of the one that became free last. Default: false. */
  readonly roundRobin?: boolean;
}

/** A running PgBouncer on loopback. */
export interface PgBouncer {
  readonly host: string;
  readonly port: number;
  /** The connection string through the PgBouncer. */
  readonly url: string;
  /** Ends the PgBouncer and every connection, and deletes its folder. */
  stop(): Promise<void>;
}

const HOST = "127.0.0.1";
const START_TIMEOUT_MS = 120_000;
const POLL_INTERVAL_MS = 10;
const PORT_ATTEMPTS = 5;

/** Finds the program; null when it is not installed. Debian keeps it in a folder that only root's PATH names. */
export function pgBouncerPath(): string | null {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"];
  const paths = folders.filter((folder) => folder !== "").map((each) => join(each, "pgbouncer"));
  return paths.find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Starts a PgBouncer in front of a database. @throws Error with its log when it does not start */
export async function startPgBouncer(options: PgBouncerOptions): Promise<PgBouncer> {
  const program = pgBouncerPath();
  if (program === null) throw new Error("PgBouncer is not installed.");
  const folder = await mkdtemp(join(tmpdir(), "pgbouncer-"));
  try {
    const { child, port } = await launch(program, folder, options);
    const url = new URL(options.url);
    url.port = String(port);
    return {
      host: HOST,
      port,
      url: url.href,
      stop: async () => {
        await end(child);
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (thrown) {
    await rm(folder, { recursive: true, force: true });
    throw thrown;
  }
}

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
}

async function launch(
  program: string,
  folder: string,
  options: PgBouncerOptions,
): Promise<Running> {
  // Like PostgreSQL, PgBouncer refuses to run as root, so it gets the server's account.
  const account = await findAccount();
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    await writeSettings(folder, settingsOf(options, folder, port), account);
    const child = await spawnInto(program, folder, account);
    if (await untilReady(child, port)) return { child, port };
    await end(child);
    const log = readFileSync(join(folder, "log"), "utf8");
    // Another process took the port between our look and PgBouncer's.
    const taken = log.includes("Address already in use");
    if (!taken || attempt === PORT_ATTEMPTS) throw new Error(`PgBouncer did not start:\n${log}`);
  }
}

interface Settings {
  readonly "pgbouncer.ini": string;
  readonly "users.txt": string;
}

function settingsOf(
  { url, poolMode = "transaction", poolSize = 20, roundRobin = false }: PgBouncerOptions,
  folder: string,
  port: number,
): Settings {
  const server = new URL(url);
  const database = server.pathname.slice(1);
  const [user, password] = [server.username, server.password].map(decodeURIComponent);
  return {
    "pgbouncer.ini": `
[databases]
${database} = host=${server.hostname} port=${server.port} dbname=${database}
[pgbouncer]
listen_addr = ${HOST}
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = ${join(folder, "users.txt")}
pool_mode = ${poolMode}
default_pool_size = ${poolSize}
server_round_robin = ${roundRobin ? 1 : 0}
ignore_startup_parameters = extra_float_digits
query_wait_timeout = 0
`,
    "users.txt": `"${user}" "${password}"\n`,
  };
}

async function writeSettings(
  folder: string,
  settings: Settings,
  account: Account | null,
): Promise<void> {
  await chmod(folder, 0o711);
  for (const [name, text] of Object.entries(settings)) {
    const file = join(folder, name);
    await writeFile(file, text, { mode: 0o600 });
    if (account !== null) await chown(file, account.uid, account.gid);
  }
}

async function spawnInto(
  program: string,
  folder: string,
  account: Account | null,
): Promise<ChildProcess> {
  const log = await open(join(folder, "log"), "w");
  try {
    const child = spawn(program, [join(folder, "pgbouncer.ini")], {
      ...account,
      cwd: folder,
      stdio: ["ignore", log.fd, log.fd],
    });
    const abandon = () => child.kill("SIGKILL");
    process.once("exit", abandon);
    child.once("exit", () => process.off("exit", abandon));
    return child;
  } finally {
    await log.close();
  }
}

async function untilReady(child: ChildProcess, port: number): Promise<boolean> {
  const until = Date.now() + START_TIMEOUT_MS;
  while (!hasEnded(child) && Date.now() < until) {
    if (await listens(port)) return !hasEnded(child);
    await pause(POLL_INTERVAL_MS);
  }
  return false;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Ends PgBouncer. SIGTERM is its immediate shutdown. */
async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await ended;
}
