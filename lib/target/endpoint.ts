import { MigratorError, type Warning } from "../errors.ts";
import { EXAMPLE_URL } from "../text.ts";
import { misreadBy } from "./misread.ts";

/** The parts of a connection string: the place to log in, and the role. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Null for a connection string without a password. */
  readonly password: string | null;
  readonly database: string;
  /** Startup options (`-c name=value`), as the connection string gives them; null without any. */
  readonly options: string | null;
  readonly warnings: readonly Warning[];
}

/**
 * Takes a connection string apart. Parameters that mean nothing over a WebSocket (`sslmode`, `channel_binding`,
 * `sslrootcert` …) are left out, because the driver would fail on some of them. A pooled Neon host is replaced by its
 * direct one, because session locks do not survive a pooler.
 * @throws MigratorError `DATABASE_URL_INVALID`; the message never shows the string
 */
export function parseEndpoint(connectionString: string): Endpoint {
  const url = readUrl(connectionString);
  const user = decode(url.username);
  const direct = directHost(url.hostname);
  return {
    host: direct ?? url.hostname,
    port: url.port === "" ? 5432 : Number(url.port),
    user,
    password: url.password === "" ? null : decode(url.password),
    database: decode(url.pathname.slice(1)) || user,
    options: withoutZero(url.searchParams.get("options")),
    warnings: direct === null ? [] : [pooledWarning(url.hostname, direct)],
  };
}

function readUrl(connectionString: string): URL {
  const mistake = misreadBy(connectionString);
  if (mistake !== null) throw invalid(mistake);
  const url = URL.canParse(connectionString) ? new URL(connectionString) : null;
  if (url === null) throw invalid(`is not a URL of the form ${EXAMPLE_URL}`);
  if (url.hostname === "") throw invalid("names no host");
  if (url.username === "") throw invalid("names no user");
  if (url.port === "0") throw invalid("names port 0");
  return url;
}

/** Whether a host is one of Neon's own. */
export function isNeonHost(host: string): boolean {
  return /\.neon\.(tech|build)\.?$/i.test(host);
}

/**
 * Returns the direct host of a pooled one of Neon's; null for a host that is direct already, and for anybody else's:
 * another host would get the password. Neon's pooled host is the direct one with `-pooler` behind its first label.
 */
function directHost(host: string): string | null {
  if (!isNeonHost(host)) return null;
  const direct = host.replace(/^([^.]+)-pooler\./i, "$1.");
  return direct === host ? null : direct;
}

function pooledWarning(pooled: string, direct: string): Warning {
  return {
    code: "POOLED_ENDPOINT",
    message: `The connection string names the pooled host ${pooled}. Session locks do not survive a pooler, so the direct host ${direct} was used instead. Put the direct host into the connection string.`,
  };
}

function decode(text: string): string {
  return withoutZero(percentDecode(text));
}

/**
 * Refuses a text with a zero byte. The startup message ends its texts with one: a zero byte inside a text would start
 * a parameter of its own.
 */
function withoutZero<Text extends string | null>(text: Text): Text {
  if (text?.includes("\0")) throw invalid("holds a zero byte (%00)");
  return text;
}

function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(
      "holds a percent sign that is not followed by two hexadecimal digits; write it as %25",
    );
  }
}

function invalid(reason: string): MigratorError {
  return new MigratorError("DATABASE_URL_INVALID", `The connection string ${reason}.`);
}
