import { MigratorError } from "../lib/errors.ts";
import { createLog } from "../lib/log.ts";
import { readConfig } from "../lib/target/config.ts";
import { isNeonHost, parseEndpoint } from "../lib/target/endpoint.ts";
import { resolveTarget } from "../lib/target/secret.ts";
import type { Target } from "../lib/target/target.ts";
import type { Project, ProjectOptions } from "./project.ts";
import { type Relay, startRelay } from "./relay.ts";
import type { Shown } from "./render/progress.ts";

/** The options by which a command line names a database. */
export interface DatabaseOptions extends ProjectOptions {
  /** Whether the host is an ordinary PostgreSQL that speaks no WebSocket. */
  readonly relay: boolean;
}

/**
 * Hosts that are never Neon's. They are reached through a relay without being asked. Any other host that is not Neon's needs
 * `--relay`: the password passes in clear text there, and here it does not leave the machine.
 */
const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/i;

/** The place of a PostgreSQL. */
interface Place {
  readonly host: string;
  readonly port: number;
}

/** Somebody waits at the terminal: a host that is not there ends the command early, unless the environment says how long. */
const GONE_AFTER_MS = 5_000;

/**
 * Does some work with the database of a project, and ends the relay to it, if there is one.
 * @param work gets the way to find the database, which throws a MigratorError when nothing names one, or the connection
 *   string cannot be read
 * @param onRelay hears that a relay is on the way, where nobody asked for one. Default: it is said on standard error
 */
export async function withDatabase<Result>(
  project: Project,
  viaRelay: boolean,
  work: (target: () => Promise<Target>) => Promise<Result>,
  onRelay: (place: Place) => void = (place) => console.error(relayed(place)),
): Promise<Result> {
  const relays: Relay[] = [];
  let told = viaRelay;
  const stop = async () => {
    for (const relay of relays.splice(0)) await relay.stop();
  };
  try {
    return await work(async () => {
      const target = patient(withoutAdvice(await targetOf(project)), project);
      const { host, port } = parseEndpoint(target.url);
      if (!project.environment.NEON_API_URL) refuseAnotherServer(host, target.relay);
      const isHere = target.relay === null && LOOPBACK.test(host);
      if (!viaRelay && !isHere) return target;
      if (!LOOPBACK.test(host)) refuseClearText(target.url, host);
      if (!told) onRelay({ host, port });
      told = true;
      await stop();
      const relay = await startRelay({ host: host.replace(/^\[|\]$/g, ""), port });
      relays.push(relay);
      return { ...target, relay: relay.address };
    });
  } finally {
    await stop();
  }
}

/** Tells of a relay that is on the way. @param shown null where events are lines of JSON */
export function tellRelay(place: Place, shown: Shown | null, requestId: string): void {
  if (shown === null) createLog(requestId)("relay.started", { ...place });
  else shown.say(relayed(place));
}

function relayed({ host, port }: Place): string {
  return `${host} is this machine: its PostgreSQL is reached over TCP, as with --relay, on port ${port}.`;
}

/** @throws MigratorError where every answer would come from another server than the one that is named */
function refuseAnotherServer(host: string, proxy: string | null): void {
  if (proxy === null || !isNeonHost(host)) return;
  throw new MigratorError(
    "CONFIG_INVALID",
    `NEON_WS_PROXY is set to ${proxy}, so the server there would answer instead of ${host}. Unset it to reach Neon, or name the database behind the proxy.`,
  );
}

/** The modes of libpq that allow no way without TLS. */
const TLS_MODES: readonly string[] = ["require", "verify-ca", "verify-full"];

/** @throws MigratorError where the connection string asks for TLS, which the relay does not speak to the server */
function refuseClearText(url: string, host: string): void {
  const mode = new URL(url).searchParams.get("sslmode") ?? "";
  if (!TLS_MODES.includes(mode)) return;
  throw new MigratorError(
    "CONFIG_INVALID",
    `The connection string asks for TLS (sslmode=${mode}), and --relay reaches ${host} without it: the password could be read on the way. Use a tunnel to this machine, such as ssh -L; or write sslmode=disable where the network is your own.`,
  );
}

function patient(target: Target, { environment }: Project): Target {
  return environment.CONNECT_TIMEOUT_MS ? target : { ...target, goneAfterMs: GONE_AFTER_MS };
}

/** Finds the database. A message about its connection string says where that came from. */
async function targetOf(project: Project): Promise<Target> {
  const { environment, origin } = project;
  if (origin === null) throw databaseMissing(project);
  try {
    return await resolveTarget(readConfig(environment));
  } catch (thrown) {
    if (!(thrown instanceof MigratorError)) throw thrown;
    if (thrown.code === "DATABASE_URL_MISSING") throw emptyValue(origin);
    if (thrown.code !== "DATABASE_URL_INVALID") throw thrown;
    const message = thrown.message.replace(/^The connection string/, `$& of ${origin}`);
    throw new MigratorError(thrown.code, message, thrown.facts);
  }
}

/** A shell makes an empty word of a variable that is not set. */
function emptyValue(origin: string): MigratorError {
  return new MigratorError(
    "DATABASE_URL_MISSING",
    `${origin} is empty: is the variable in it not set? Give it a value. Without it the environment, .env and the drizzle.config file are read.`,
  );
}

function databaseMissing({ config, envFiles, searched }: Project): MigratorError {
  const files = ["the environment", ...envFiles.map(({ file }) => file)];
  const dotenv = envFiles.length === 0 ? ", and there is no .env" : "";
  const database = config?.database ?? null;
  const inConfig = database?.url === null ? database.reason : searched("dbCredentials");
  return new MigratorError(
    "DATABASE_URL_MISSING",
    `Nothing says where the database is. Name it with --url, --secret or --parameter, or set DATABASE_URL, DATABASE_URL_SECRET or DATABASE_URL_PARAMETER: ${files.join(" and ")} ${files.length === 1 ? "sets" : "set"} none of them${dotenv}. ${inConfig}`,
  );
}

/** Leaves out a warning that is for functions: a shell has no better place for a connection string. */
function withoutAdvice(target: Target): Target {
  const warnings = target.warnings.filter(({ code }) => code !== "PLAINTEXT_DATABASE_URL");
  return { ...target, warnings };
}
