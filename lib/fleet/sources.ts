import { createHash } from "node:crypto";
import { withConnection } from "../connection/with-connection.ts";
import { MigratorError, toError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { type AllowedPlace, assertAllowed } from "../target/allowed.ts";
import { readNeonKey, readNeonWay } from "../target/neon-access.ts";
import { holdsConnectionString, PLACE_KINDS } from "../target-reference.ts";
import type { Listed } from "./check-targets.ts";
import type { FleetDependencies } from "./fleet-dependencies.ts";
import type { TargetSource } from "./fleet-request.ts";
import { openStore } from "./object-store.ts";
import { fleetInvalid } from "./read-request.ts";
import { resolveTenant } from "./tenant.ts";

/** The most tenants of one fleet. */
const MAX_TENANTS = 25_000;

/** Reads the list of targets from its source, unchecked. @throws MigratorError where it cannot be read */
export async function readList(
  source: TargetSource,
  allowed: readonly AllowedPlace[],
  dependencies: FleetDependencies,
): Promise<readonly Listed[]> {
  const list = await listIn(source, allowed, dependencies);
  if (list.length <= MAX_TENANTS) return list;
  throw fleetInvalid(
    `The list has ${list.length} targets, and a fleet may have ${MAX_TENANTS}. Cut it into several.`,
  );
}

async function listIn(
  source: TargetSource,
  allowed: readonly AllowedPlace[],
  dependencies: FleetDependencies,
): Promise<readonly Listed[]> {
  if ("inline" in source) {
    return source.inline.map((value, index) => ({
      value,
      where: `entry ${index + 1} of targets.inline`,
    }));
  }
  if ("s3" in source) {
    const { bucket, key } = source.s3;
    const store = await openStore(bucket, dependencies.deadline);
    const found = await store.read(key);
    if (found === null) throw fleetInvalid(`There is no list s3://${bucket}/${key}.`);
    return parseLines(found.text, `s3://${bucket}/${key}`);
  }
  if ("neon" in source) return await neonList(source.neon, dependencies);
  return await sqlList(source.sql, allowed, dependencies);
}

/** Lists that the command line has brought to the fleet's bucket, because they were too long for an input. */
const BROUGHT = "lists/";

/**
 * Names a source, so that the fleet's ledger knows whose tenants have left. Every list that somebody gives by hand is one
 * source: it is another file each time.
 */
export function sourceNameOf(source: TargetSource, fleetBucket: string): string {
  if ("inline" in source) return "given";
  if ("s3" in source && source.s3.bucket === fleetBucket && source.s3.key.startsWith(BROUGHT)) {
    return "given";
  }
  return createHash("sha256").update(JSON.stringify(source)).digest("hex").slice(0, 16);
}

/**
 * Takes a file of JSON lines apart. A mark of its byte order, line ends of Windows and blank lines at the end are fine.
 * @throws MigratorError `FLEET_INVALID`, which names the line, and shows nothing of it
 */
export function parseLines(text: string, name: string): readonly Listed[] {
  const lines = text
    .replace(/^\ufeff/, "")
    .trimEnd()
    .split(/\r?\n/);
  if (lines.length === 1 && lines[0] === "") return [];
  return lines.map((line, index) => {
    const where = `line ${index + 1} of ${name}`;
    const value = parseJson(line);
    if (value !== undefined) return { value, where };
    const what = holdsConnectionString(line) ? "holds a connection string" : "is no JSON";
    throw fleetInvalid(
      `L${where.slice(1)} ${what}. Each line is a target such as {"id":"acme","parameter":"/tenants/acme/url"}.`,
    );
  });
}

async function neonList(
  { organization, database, role }: Extract<TargetSource, { neon: unknown }>["neon"],
  { log, deadline, hide }: FleetDependencies,
): Promise<readonly Listed[]> {
  const { key, url } = readNeonWay();
  const read = await readNeonKey(key, { until: deadline, log });
  hide(read);
  const access = { key: read, url, projectId: "", deadline, code: "FLEET_UNAVAILABLE" as const };
  const { listOrganizationProjects } = await import("../neon/neon-api.ts");
  const projects = await listOrganizationProjects(access, organization);
  return projects.map(({ id, createdAt }) => ({
    value: { id, neon: { project: id, database, role } },
    where: `the project ${id} of ${organization}`,
    stamp: createdAt,
  }));
}

/** Reads the list from a database, in a transaction that may not write. */
async function sqlList(
  { target: reference, query }: Extract<TargetSource, { sql: unknown }>["sql"],
  allowed: readonly AllowedPlace[],
  { log, deadline, hide, requestId, resolve }: FleetDependencies,
): Promise<readonly Listed[]> {
  assertAllowed(reference, allowed);
  const patience = { until: deadline, log };
  const target = await resolveTenant(reference, { resolve, patience, deadline });
  hide(target.url);
  const reason = new MigratorError("DEADLINE", "The time for the query of targets.sql is over.", {
    retryable: true,
  });
  const options = { requestId, deadline, log, opening: {}, reason, graceMs: 3_000 };
  const rows = await withConnection(target, options, async (connection) => {
    await connection.query("start transaction read only", []);
    // The server prepares a text with a name, and takes one statement for that: a second one could end the transaction.
    const named = { name: "targets", text: query, values: [] };
    try {
      return (await connection.client.query<object>(named)).rows;
    } catch (thrown) {
      const explained = connection.explain(thrown);
      throw explained instanceof MigratorError ? explained : wrongQuery(query, explained);
    }
  });
  return rows.map((row, index) => ({
    value: withoutNulls(row),
    where: `row ${index + 1} of targets.sql`,
  }));
}

/** The names in the query are no data, and may be shown. */
function wrongQuery(query: string, cause: unknown): MigratorError {
  return new MigratorError(
    "FLEET_INVALID",
    `The query of targets.sql failed: ${toError(cause).message}.`,
    { cause, statement: { index: 1, line: 1, column: 1, excerpt: query } },
  );
}

/** A query for tenants of several kinds has a column for each kind, and nulls in the others. */
function withoutNulls(row: object): object {
  const known: readonly string[] = ["id", "field", ...PLACE_KINDS];
  return Object.fromEntries(
    Object.entries(row)
      .filter(([name, value]) => value !== null || !known.includes(name))
      .map(([name, value]) => [name, name === "id" ? String(value) : value]),
  );
}
