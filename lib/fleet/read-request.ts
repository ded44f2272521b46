import { MigratorError } from "../errors.ts";
import { asText, isRecord } from "../json.ts";
import { parseRequest } from "../request.ts";
import { holdsConnectionString, tryTargetReference } from "../target-reference.ts";
import { quoted } from "../text.ts";
import { refuseUnknown } from "../unknown-fields.ts";
import type { AskedWave, FleetRequest, TargetSource } from "./fleet-request.ts";

type Fields = Readonly<Record<string, unknown>>;

const FIELDS = [
  ...["targets", "request", "waves", "maxConcurrency", "tolerated", "perHost", "skip", "sample"],
  ...["list", "allowEmpty", "gone", "failOn", "rehearse"],
];
/** What Step Functions' console adds to the input where another machine starts this one. */
const ADDED = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID";
const SOURCES = ["inline", "s3", "sql", "neon"] as const;
/** The most waves: their plan has room for so many. */
const MAX_WAVES = 12;
/** Step Functions runs no more children of one map at once (quotas of Step Functions). */
const MAX_CONCURRENCY = 10_000;
/** The longest pause of a wave: a week. */
const MAX_PAUSE_S = 604_800;

/**
 * Reads the input of an execution. Everything unknown is refused: a misspelled `tolerated` would be a budget of another size.
 * @throws MigratorError `FLEET_INVALID`, which names the field
 */
export function readFleetRequest(value: unknown): FleetRequest {
  const fields = recordIn(value, "the input");
  refuseConnectionStrings(fields);
  refuseOthers(fields, [...FIELDS, ADDED], "the input");
  const tolerated = recordIn(fields.tolerated ?? {}, "tolerated");
  refuseOthers(tolerated, ["count", "percent"], "tolerated");
  return {
    targets: readSource(fields.targets),
    request: readTenantsRequest(fields.request ?? {}),
    waves: readWaves(fields.waves ?? [{ percent: 100 }]),
    maxConcurrency: whole(fields.maxConcurrency ?? 50, "maxConcurrency", 1, MAX_CONCURRENCY),
    tolerated: {
      count: whole(tolerated.count ?? 0, "tolerated.count", 0, Number.MAX_SAFE_INTEGER),
      percent: ratio(tolerated.percent ?? 0, "tolerated.percent", 100),
    },
    perHost: fields.perHost == null ? null : whole(fields.perHost, "perHost", 1, MAX_CONCURRENCY),
    skip: choice(fields, "skip", ["ledger", "none"]),
    sample: ratio(fields.sample ?? 0.01, "sample", 1),
    list: choice(fields, "list", ["whole", "part"]),
    allowEmpty: flag(fields.allowEmpty ?? false, "allowEmpty"),
    gone: choice(fields, "gone", ["error", "skip"]),
    failOn: choice(fields, "failOn", ["any", "budget"]),
    rehearse: choice(fields, "rehearse", ["none", "canary"]),
  };
}

/** Makes the error of a fleet that cannot be prepared. */
export function fleetInvalid(message: string): MigratorError {
  return new MigratorError("FLEET_INVALID", message);
}

/** The signs of a connection string within SQL. There, a column may be called `host`. */
const IN_QUERY = /postgres(?:ql)?:\/\/|\bpassword\s*=/i;

/**
 * Refuses a connection string anywhere in an input: many may read it. Each entry of a list is looked at by itself, so that it
 * can be named.
 * @throws MigratorError `FLEET_INVALID`, which shows nothing of it
 */
export function refuseConnectionStrings(input: unknown): void {
  const { targets, ...others } = Object(input);
  const { inline: _, sql, ...places } = Object(targets);
  const { query, ...control } = Object(sql);
  const parts = { ...others, ...below("targets", places), ...below("targets.sql", control) };
  const inPart = Object.entries(parts).find(([, part]) => holdsConnectionString(part))?.[0];
  const where = IN_QUERY.test(asText(query)) ? "targets.sql.query" : inPart;
  if (where === undefined) return;
  throw fleetInvalid(
    `${where} holds a connection string, or a part of one, and everyone can read it who may look at an execution. Name the place of the string instead, as each target does.`,
  );
}

function below(name: string, fields: object): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [`${name}.${key}`, value]),
  );
}

function readSource(value: unknown): TargetSource {
  const fields = recordIn(value, "targets");
  const named = SOURCES.filter((each) => fields[each] !== undefined);
  const [source] = named;
  if (source === undefined || named.length > 1) {
    throw fleetInvalid(
      `targets names ${named.join(" and ") || "no source"}. It takes one of ${SOURCES.join(", ")}.`,
    );
  }
  refuseOthers(fields, [source], "targets");
  const given = fields[source];
  if (source === "inline") {
    if (Array.isArray(given)) return { inline: given };
    throw fleetInvalid("targets.inline is no list.");
  }
  const inner = recordIn(given, `targets.${source}`);
  const text = (name: string) => textIn(inner, name, `targets.${source}.${name}`);
  if (source === "s3") {
    refuseOthers(inner, ["bucket", "key"], "targets.s3");
    return { s3: { bucket: text("bucket"), key: text("key") } };
  }
  if (source === "neon") {
    refuseOthers(inner, ["organization", "database", "role"], "targets.neon");
    return {
      neon: { organization: text("organization"), database: text("database"), role: text("role") },
    };
  }
  refuseOthers(inner, ["target", "query"], "targets.sql");
  const control = tryTargetReference({
    id: "targets.sql",
    ...recordIn(inner.target, "targets.sql.target"),
  });
  if ("mistake" in control) throw fleetInvalid(`targets.sql.target ${control.mistake}.`);
  return { sql: { target: control.reference, query: text("query") } };
}

/** Reads the request of every tenant. A failure that is returned would count as a success. */
function readTenantsRequest(value: unknown): Fields {
  const fields = recordIn(value, "request");
  const own = ["target", "expect", "onFailure"].find((name) => fields[name] !== undefined);
  if (own !== undefined)
    throw fleetInvalid(
      `request has ${own}, which a fleet sets for each tenant itself. Take it away.`,
    );
  try {
    refuseUnknown(fields);
    if (parseRequest(fields).action !== "up") {
      throw fleetInvalid("request.action must be up: a fleet applies. Take it away.");
    }
  } catch (thrown) {
    if (!(thrown instanceof MigratorError)) throw thrown;
    throw fleetInvalid(thrown.message);
  }
  return { action: "up", ...fields };
}

function readWaves(value: unknown): readonly AskedWave[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_WAVES) {
    throw fleetInvalid(`waves is no list of 1 to ${MAX_WAVES} waves.`);
  }
  return value.map((each, index) => readWave(each, `waves[${index}]`));
}

function readWave(value: unknown, where: string): AskedWave {
  const fields = recordIn(value, where);
  const { tenants, count, percent, pauseSeconds = 0 } = fields;
  const sizes = Object.entries({ tenants, count, percent }).filter(
    ([, each]) => each !== undefined,
  );
  refuseOthers(fields, ["tenants", "count", "percent", "pauseSeconds"], where);
  if (sizes.length !== 1) throw fleetInvalid(`${where} takes one of tenants, count and percent.`);
  const pause = { pauseSeconds: whole(pauseSeconds, `${where}.pauseSeconds`, 0, MAX_PAUSE_S) };
  if (count !== undefined) {
    return { count: whole(count, `${where}.count`, 1, Number.MAX_SAFE_INTEGER), ...pause };
  }
  if (percent !== undefined) return { percent: ratio(percent, `${where}.percent`, 100), ...pause };
  const ids: readonly unknown[] = Array.isArray(tenants) ? tenants : [];
  if (ids.length > 0 && ids.every((id) => typeof id === "string"))
    return { tenants: ids, ...pause };
  throw fleetInvalid(`${where}.tenants is no list of ids.`);
}

function recordIn(value: unknown, where: string): Fields {
  if (isRecord(value)) return value;
  throw fleetInvalid(`${where} is no JSON object.`);
}

function refuseOthers(fields: Fields, known: readonly string[], where: string): void {
  const other = Object.keys(fields).find((name) => !known.includes(name));
  if (other === undefined) return;
  throw fleetInvalid(`${where} has the field ${quoted(other)}. It takes ${known.join(", ")}.`);
}

function textIn(fields: Fields, name: string, where: string): string {
  const text = asText(fields[name]);
  if (text.trim() !== "") return text;
  throw fleetInvalid(`${where} is no text.`);
}

function whole(value: unknown, where: string, least: number, most: number): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= least && value <= most) {
    return value;
  }
  throw fleetInvalid(`${where} is ${quoted(value)}, and no whole number from ${least} to ${most}.`);
}

function ratio(value: unknown, where: string, most: number): number {
  if (typeof value === "number" && value >= 0 && value <= most) return value;
  throw fleetInvalid(`${where} is ${quoted(value)}, and no number from 0 to ${most}.`);
}

function flag(value: unknown, where: string): boolean {
  if (typeof value === "boolean") return value;
  throw fleetInvalid(`${where} is ${quoted(value)}, and neither true nor false.`);
}

/** Reads a choice; the first is the default. */
function choice<Choice extends string>(
  fields: Fields,
  name: string,
  allowed: readonly [Choice, ...Choice[]],
): Choice {
  const value = fields[name] ?? allowed[0];
  const found = allowed.find((each) => each === value);
  if (found !== undefined) return found;
  throw fleetInvalid(`${name} is ${quoted(value)}. Allowed: ${allowed.join(", ")}.`);
}
