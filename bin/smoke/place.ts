import type { SmokeSettings } from "../../infra/smoke/settings.ts";
import { MigratorError } from "../../lib/errors.ts";
import { readConfig } from "../../lib/target/config.ts";
import type { Project } from "../project.ts";

/** The place in AWS from which function and command read the connection string. */
export type Place = Pick<SmokeSettings, "from" | "id" | "field" | "key">;

/**
 * Finds the secret or the parameter in a project's settings.
 * @param key the ARN of the customer-managed key that encrypts it; null without one
 * @throws MigratorError `CONFIG_INVALID` where the connection string is elsewhere, which the function could not read
 */
export function placeOf({ environment, origin, searched }: Project, key: string | null): Place {
  const named = readConfig(environment).databaseUrl;
  if (named?.from === "secret") return { from: "secret", id: named.id, field: named.field, key };
  if (named?.from === "parameter") return { from: "parameter", id: named.name, field: null, key };
  const found =
    origin === null
      ? `Nothing names one here: ${searched("dbCredentials")}`
      : `The connection string here is that of ${origin}, which the function cannot read.`;
  throw new MigratorError(
    "CONFIG_INVALID",
    `The smoke test needs a secret or a parameter of AWS that holds the connection string. ${found} Nothing was made. Name one with --secret or --parameter, or make one: aws secretsmanager create-secret --name NAME --secret-string CONNECTION-STRING`,
  );
}

/** Returns the flags that name the place to another call of the command. */
export function flagsFor({ from, id, field, key }: Place): string {
  const parts = [
    `--${from} ${id}`,
    ...(field === null ? [] : [`--secret-field ${field}`]),
    ...(key === null ? [] : [`--kms-key ${key}`]),
  ];
  return parts.join(" ");
}
