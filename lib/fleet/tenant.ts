import { MigratorError } from "../errors.ts";
import type { Report, ReportedError } from "../report/report.ts";
import type { Patience } from "../rights.ts";
import type { Config } from "../target/config.ts";
import { readNeonKey, readNeonWay } from "../target/neon-access.ts";
import type { Target } from "../target/target.ts";
import type { NeonPlace, TargetReference } from "../target-reference.ts";

/** AWS' names for what is not there. A secret that is to be deleted cannot be read any more, either. */
const NOT_THERE = ["ParameterNotFound", "ResourceNotFoundException"];
const TO_BE_DELETED = /marked for deletion|scheduled for deletion/i;

/** Neon's proxy, about an endpoint that was deleted. */
const NO_ENDPOINT = /\b(?:endpoint|project|branch)\b (?:cannot|could not) be found/i;

/** The needs of the search for a tenant's database. */
export interface TenantDependencies {
  /** Reads where a database is, by the settings of this function with some of them replaced. */
  resolve(replaced: Partial<Config>, patience: Patience): Promise<Target>;
  /** How long a right that is denied is waited for. */
  readonly patience: Patience;
  /** Epoch ms after which Neon's API is asked no more. */
  readonly deadline: number;
}

/**
 * Finds the database of a tenant: reads its connection string where the reference says it is, anew each time. The reference
 * must have been allowed before.
 * @throws MigratorError `TARGET_GONE` where that place is not there any more; otherwise as `resolveTarget`
 */
export async function resolveTenant(
  reference: TargetReference,
  { resolve, patience, deadline }: TenantDependencies,
): Promise<Target> {
  try {
    if ("database" in reference) {
      return besides(await resolve({}, patience), reference.database);
    }
    if ("neon" in reference) {
      const url = await neonUrl(reference.neon, patience, deadline);
      // Nobody sees this string in a setting.
      return await resolve(
        { inLambda: false, databaseUrl: { from: "environment", url } },
        patience,
      );
    }
    const databaseUrl =
      "secret" in reference
        ? ({ from: "secret", id: reference.secret, field: reference.field ?? null } as const)
        : ({ from: "parameter", name: reference.parameter } as const);
    return await resolve({ databaseUrl }, patience);
  } catch (thrown) {
    // What the function needs for itself, such as its key of Neon's API, is no tenant's.
    const isOwn = "secret" in reference || "parameter" in reference;
    throw isGone(thrown) || (isOwn && isNotThere(thrown)) ? gone(reference.id, thrown) : thrown;
  }
}

/** Makes the report of a run that of its tenant. A database that is not there any more has a code of its own. */
export function signReport(report: Report, id: string): Report {
  const { error } = report;
  const signed = { ...report, target: { id } };
  return error !== undefined && isGoneIn(error)
    ? { ...signed, error: { ...error, ...goneWords(id, error), retryable: false } }
    : signed;
}

function isGoneIn({ code, message }: ReportedError): boolean {
  return (
    code === "DATABASE_NOT_FOUND" || (code === "ENDPOINT_UNAVAILABLE" && NO_ENDPOINT.test(message))
  );
}

function goneWords(id: string, { message, publicMessage }: ReportedError) {
  return {
    code: "TARGET_GONE" as const,
    message: goneMessage(id, message),
    publicMessage: goneMessage(id, publicMessage),
  };
}

function gone(id: string, cause: MigratorError): MigratorError {
  return new MigratorError("TARGET_GONE", goneMessage(id, cause.message), { cause });
}

function goneMessage(id: string, reason: string): string {
  return `The tenant ${JSON.stringify(id)} is not there any more. ${reason} If it was deleted, take it off the list of targets.`;
}

function isGone(thrown: unknown): thrown is MigratorError {
  return thrown instanceof MigratorError && thrown.code === "TARGET_GONE";
}

function isNotThere(thrown: unknown): thrown is MigratorError {
  if (!(thrown instanceof MigratorError) || thrown.code !== "SECRET_UNAVAILABLE") return false;
  const { cause } = thrown.facts;
  return (
    cause instanceof Error && (NOT_THERE.includes(cause.name) || TO_BE_DELETED.test(cause.message))
  );
}

/** Returns the same server with another database. */
function besides(own: Target, database: string): Target {
  const url = new URL(own.url);
  url.pathname = `/${encodeURIComponent(database)}`;
  return { ...own, url: url.href };
}

async function neonUrl(place: NeonPlace, patience: Patience, deadline: number): Promise<string> {
  const { key, url } = readNeonWay();
  const access = {
    ...{ key: await readNeonKey(key, patience), url, projectId: place.project },
    ...{ deadline, code: "SECRET_UNAVAILABLE" as const },
  };
  const { readConnectionUri } = await import("../neon/neon-api.ts");
  const found = await readConnectionUri(access, place);
  if (found !== null) return found;
  throw new MigratorError(
    "TARGET_GONE",
    `Neon knows no database ${place.database} of ${place.role} in the project ${place.project}, or the API key may not see it.`,
  );
}
