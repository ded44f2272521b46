import { MigratorError } from "../errors.ts";
import {
  PLACE_KINDS,
  type Place,
  type PlaceKind,
  placeOf,
  type TargetReference,
} from "../target-reference.ts";
import { isProjectId } from "./project-id.ts";

/** One entry of the setting `TARGETS`: a name, or the beginning of many. */
export interface AllowedPlace {
  readonly kind: PlaceKind;
  readonly name: string;
  readonly isPrefix: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The names that AWS and PostgreSQL take. A name with other characters is another spelling of one, or a trick. */
const NAMES: Readonly<Record<PlaceKind, RegExp>> = {
  secret: /^[\w/+=.@-]{1,512}$/,
  parameter: /^[\w/.-]{1,1011}$/,
  neon: /^[a-z0-9-]{1,60}$/,
  database: /^[\p{L}\p{M}\p{N}_$.+~ -]{1,63}$/u,
};

/** An ARN, written as AWS writes it. */
const ARNS: Readonly<Record<string, RegExp>> = {
  secret: /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/+=.@-]{1,520}$/,
  parameter: /^arn:aws[a-z-]*:ssm:[a-z0-9-]+:\d{12}:parameter\/[\w/.-]{1,1011}$/,
};

/** An ARN of an entry: its account must be there in full. */
const ALLOWED_ARN =
  /^arn:aws[a-z-]*:(?:secretsmanager|ssm):[a-z0-9-]+:\d{12}:(?:secret:|parameter\/)/;

/** Parameters by which Systems Manager reads other services, secrets among them. */
const OTHER_SERVICES = /^\/*aws(?:\/|$)/i;

/**
 * Reads `TARGETS`: prefixes with a `*` behind them, or whole names, with commas between them.
 * @throws MigratorError `CONFIG_INVALID`
 */
export function readAllowed(environment: Environment = process.env): readonly AllowedPlace[] {
  const entries = (environment.TARGETS ?? "").split(",").map((entry) => entry.trim());
  return entries.filter((entry) => entry !== "").map(readEntry);
}

/** Reads the name of the fleet's bucket. @throws MigratorError `CONFIG_INVALID` where this function serves no fleet */
export function readFleetBucket(environment: Environment = process.env): string {
  const bucket = environment.FLEET_BUCKET?.trim() ?? "";
  if (bucket !== "") return bucket;
  throw new MigratorError(
    "CONFIG_INVALID",
    "FLEET_BUCKET is not set, so this function serves no fleet. The construct NeonFleet sets it.",
  );
}

/**
 * Refuses a target that the setting does not name. Names are compared character by character: nothing is resolved or
 * folded on either side.
 * @throws MigratorError `TARGET_DENIED`
 */
export function assertAllowed(reference: TargetReference, allowed: readonly AllowedPlace[]): void {
  if (allowed.length === 0) {
    throw denied(reference, "TARGETS is not set, so this function migrates its own database only");
  }
  const { kind, name } = placeOf(reference);
  if (!isPlain(reference)) {
    throw denied(reference, `its ${kind} is not written as the place of a tenant is`);
  }
  const isArn = name.startsWith("arn:");
  const fits = allowed.some(
    (each) =>
      each.kind === kind &&
      each.name.startsWith("arn:") === isArn &&
      (each.isPrefix ? name.startsWith(each.name) : name === each.name),
  );
  if (!fits) throw denied(reference, `no entry of TARGETS for ${kind} names it`);
}

/** Whether a place is written in the one way in which it may be. */
function isPlain(place: Place): boolean {
  const { kind, name } = placeOf(place);
  const path = name.split(/[/:]/);
  if (path.includes("..") || path.includes(".") || name.includes("//")) return false;
  if (kind === "parameter" && OTHER_SERVICES.test(name.replace(/^arn:.*?:parameter/, "")))
    return false;
  if (!NAMES[kind].test(name) && !(ARNS[kind]?.test(name) ?? false)) return false;
  if ("neon" in place) return isNeonPlace(place.neon);
  return kind !== "database" || isDatabase(name);
}

function isNeonPlace({
  project,
  database,
  role,
  branch,
}: Extract<Place, { readonly neon: unknown }>["neon"]): boolean {
  const isBranch = branch === undefined || /^br-[a-z0-9-]{1,57}$/.test(branch);
  return isProjectId(project) && isBranch && isDatabase(database) && isDatabase(role);
}

/** PostgreSQL cuts a longer name off, which makes another one of it. */
function isDatabase(name: string): boolean {
  return NAMES.database.test(name) && name.trim() === name && Buffer.byteLength(name) <= 63;
}

function readEntry(entry: string): AllowedPlace {
  const colon = entry.indexOf(":");
  const kind = PLACE_KINDS.find((each) => each === entry.slice(0, colon));
  const pattern = entry.slice(colon + 1);
  const isPrefix = pattern.endsWith("*");
  const name = isPrefix ? pattern.slice(0, -1) : pattern;
  if (kind === undefined || pattern === "" || /[*?]/.test(name)) {
    throw invalid(
      entry,
      `An entry is ${PLACE_KINDS.map((each) => `${each}:`).join(", ")} and a name, or the beginning of one with a * behind it, such as parameter:/tenants/*`,
    );
  }
  if (name.startsWith("arn:") && !ALLOWED_ARN.test(name)) {
    throw invalid(entry, "An ARN in it needs its region and its account in full");
  }
  return { kind, name, isPrefix };
}

function invalid(entry: string, advice: string): MigratorError {
  return new MigratorError("CONFIG_INVALID", `TARGETS has ${JSON.stringify(entry)}. ${advice}.`);
}

function denied({ id }: TargetReference, reason: string): MigratorError {
  return new MigratorError(
    "TARGET_DENIED",
    `The target ${JSON.stringify(id)} is not allowed: ${reason}. Nothing was run. If it should be, add its prefix to the function's setting TARGETS, and let its role read it.`,
  );
}
