import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chmod, chown, mkdir, mkdtemp, open, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import {
  type Account,
  findAccount,
  findBinaries,
  majorVersion,
  type PostgresBinaries,
  reachableBinaries,
} from "./binaries.ts";

const run = promisify(execFile);

/** The settings of a new cluster. */
export interface ClusterOptions {
  readonly superuser: string;
  readonly password: string;
  readonly authMethod: "password" | "scram-sha-256";
  /** Server settings beside the defaults, as `postgresql.conf` spells them. */
  readonly settings: Readonly<Record<string, string>>;
}

/** A data directory, with all that a server on it needs. */
export interface Cluster {
  /** The directory with the data, the log and the password file. It is deleted as a whole. */
  readonly directory: string;
  readonly binaries: PostgresBinaries;
  readonly account: Account | null;
  readonly settings: Readonly<Record<string, string>>;
}

/** A running server. */
export interface Server {
  readonly process: ChildProcess;
  readonly port: number;
}

/** Settings for a database of short life: nothing has to survive a crash of the machine. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  // One time zone on every machine: the cost of a changed type may depend on it.
  timezone: "GMT",
  log_timezone: "GMT",
  unix_socket_directories: "",
  max_connections: "200",
  max_prepared_transactions: "20",
  shared_buffers: "64MB",
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  wal_level: "minimal",
  max_wal_senders: "0",
  jit: "off",
};

/** The role whose members the server asks for SCRAM, whatever it asks of all others. */
export const SCRAM_ROLE = "scram_login";

const START_TIMEOUT_MS = 120_000;
const POLL_INTERVAL_MS = 10;
const PORT_ATTEMPTS = 5;

/** Makes the temporary directory, which is empty. */
export async function createDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "neon-migrate-postgres-"));
  // The server's account must be able to pass through.
  await chmod(directory, 0o711);
  return directory;
}

/** Runs `initdb` in the directory. */
export async function createCluster(directory: string, options: ClusterOptions): Promise<Cluster> {
  const account = await findAccount();
  const binaries = await reachableBinaries(await findBinaries(), account, directory);
  const data = join(directory, "data");
  const passwordFile = join(directory, "password");
  await mkdir(data, { mode: 0o700 });
  await writeFile(passwordFile, options.password, { mode: 0o600 });
  if (account !== null) {
    await Promise.all([data, passwordFile].map((each) => chown(each, account.uid, account.gid)));
  }
  const builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
  await run(
    binaries.initdb,
    [
      `--pgdata=${data}`,
      `--username=${options.superuser}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--no-sync",
      "--no-instructions",
      "--encoding=UTF8",
      "--locale=C",
      ...((await majorVersion(binaries)) < 17 ? [] : builtin),
    ],
    { ...account, cwd: directory },
  );
  await writeFile(join(data, "pg_hba.conf"), hostRules(options.authMethod));
  return { directory, binaries, account, settings: { ...SETTINGS, ...options.settings } };
}

function hostRules(authMethod: string): string {
  return `host all +${SCRAM_ROLE} all scram-sha-256\nhost all all all ${authMethod}\n`;
}

/**
 * Starts a server on the cluster and waits until it accepts connections.
 * @param port a fixed port; null takes a free one
 * @throws Error with the server's log when it does not start
 */
export async function startServer(cluster: Cluster, port: number | null): Promise<Server> {
  for (let attempt = 1; ; attempt += 1) {
    const chosen = port ?? (await freePort());
    const child = await launch(cluster, chosen);
    const ready = await untilReady(cluster, child);
    if (ready) return { process: child, port: chosen };
    const log = await readFile(join(cluster.directory, "server.log"), "utf8");
    // Another process took the port between our look and the server's.
    const taken = log.includes("could not create any TCP/IP sockets");
    if (!taken || port !== null || attempt === PORT_ATTEMPTS) {
      throw new Error(`PostgreSQL did not start. Its log:\n${log}`);
    }
  }
}

/** Ends the server, open sessions included, and waits until it is gone. */
export async function stopServer(server: Server): Promise<void> {
  if (hasEnded(server.process)) return;
  const ended = new Promise((resolve) => server.process.once("exit", resolve));
  server.process.ref();
  server.process.kill("SIGINT");
  await ended;
}

async function launch(cluster: Cluster, port: number): Promise<ChildProcess> {
  const settings = Object.entries(cluster.settings).flatMap(([name, value]) => [
    "-c",
    `${name}=${value}`,
  ]);
  const log = await open(join(cluster.directory, "server.log"), "w");
  try {
    // A session of its own keeps Ctrl-C in the terminal from the server: we decide when it ends.
    const child = spawn(
      cluster.binaries.postgres,
      ["-D", join(cluster.directory, "data"), "-p", String(port), ...settings],
      {
        ...cluster.account,
        cwd: cluster.directory,
        detached: true,
        stdio: ["ignore", log.fd, log.fd],
      },
    );
    child.unref();
    return child;
  } finally {
    await log.close();
  }
}

/** Waits for the server as `pg_ctl` does: the eighth line of its pid file says `ready`. Returns whether it came. */
async function untilReady(cluster: Cluster, child: ChildProcess): Promise<boolean> {
  const file = join(cluster.directory, "data", "postmaster.pid");
  const deadline = Date.now() + START_TIMEOUT_MS;
  let failed = false;
  child.once("error", () => {
    failed = true;
  });
  while (!failed && !hasEnded(child) && Date.now() < deadline) {
    const lines = (await readOptional(file)).split("\n");
    if (lines[0] === String(child.pid) && lines[7]?.trim() === "ready") return true;
    await pause(POLL_INTERVAL_MS);
  }
  child.kill("SIGQUIT");
  return false;
}

async function readOptional(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (thrown) {
    if (thrown instanceof Error && Reflect.get(thrown, "code") === "ENOENT") return "";
    throw thrown;
  }
}

/** Whether a program has ended, by itself or by a signal. */
export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Finds a port on loopback on which nobody listens at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
