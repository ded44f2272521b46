import { MigratorError } from "../errors.ts";
import { parseJson } from "../json.ts";
import type { Patience } from "../rights.ts";
import { isProjectId } from "./project-id.ts";
import { readSecretText, type SecretReference } from "./read-secret.ts";

/** The way to a project of Neon, as settings give it. */
export interface NeonSettings {
  readonly key: NeonKeyReference;
  /** Null where it is to be found by the API. */
  readonly projectId: string | null;
  /** The API's address (`NEON_API_URL`); null means Neon's own. */
  readonly url: string | null;
}

/** The source of the API key. A reference is better than the key itself. */
export type NeonKeyReference =
  | { readonly from: "environment"; readonly key: string }
  | SecretReference;

/** The fields of a JSON secret in which people keep an API key. */
const KEY_FIELDS = ["apiKey", "NEON_API_KEY", "api_key", "key"];

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the environment. Exactly one of `NEON_API_KEY_SECRET`, `NEON_API_KEY_PARAMETER` and `NEON_API_KEY` names the key.
 * @throws MigratorError `CONFIG_INVALID`; no message shows the key
 */
export function readNeonSettings(environment: Environment = process.env): NeonSettings {
  const projectId = setting(environment, "NEON_PROJECT_ID");
  if (projectId !== null && !isProjectId(projectId)) {
    throw invalid(
      "NEON_PROJECT_ID is no project's id. One has small letters, digits and hyphens, such as late-frost-12345678.",
    );
  }
  return { ...readNeonWay(environment), projectId };
}

/** Reads the part of the settings that is the same for every project. @throws MigratorError as `readNeonSettings` */
export function readNeonWay(
  environment: Environment = process.env,
): Omit<NeonSettings, "projectId"> {
  return { key: keyReference(environment), url: apiUrl(environment) };
}

/**
 * Reads the API key, anew each time.
 * @param patience how long a right to read it that is denied is waited for
 * @throws MigratorError `SECRET_UNAVAILABLE`, `CONFIG_INVALID`; no message shows the key
 */
export async function readNeonKey(
  reference: NeonKeyReference,
  patience: Patience,
): Promise<string> {
  if (reference.from === "environment") return asKey(reference.key, "NEON_API_KEY");
  const { text, where } = await readSecretText(reference, patience);
  if (!text.trimStart().startsWith("{")) return asKey(text, where);
  const named =
    reference.from === "secret" && reference.field !== null ? [reference.field] : KEY_FIELDS;
  const fields = Object(parseJson(text));
  const value = named.map((name) => fields[name]).find((each) => typeof each === "string");
  return asKey(typeof value === "string" ? value : "", `${where} (${named.join(", ")})`);
}

/** A key is one word. Another text would break the header that carries it. */
function asKey(text: string, where: string): string {
  const key = text.trim();
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  throw new MigratorError("SECRET_UNAVAILABLE", `${where} holds no API key of Neon.`);
}

function keyReference(environment: Environment): NeonKeyReference {
  const secret = setting(environment, "NEON_API_KEY_SECRET");
  const parameter = setting(environment, "NEON_API_KEY_PARAMETER");
  const key = setting(environment, "NEON_API_KEY");
  if (secret !== null && parameter !== null) {
    throw invalid(
      "NEON_API_KEY_SECRET and NEON_API_KEY_PARAMETER are both set. Keep the one that holds the key.",
    );
  }
  if (secret !== null) {
    const [id = "", field = ""] = secret.split("#").map((part) => part.trim());
    return { from: "secret", id, field: field === "" ? null : field };
  }
  if (parameter !== null) return { from: "parameter", name: parameter };
  if (key !== null) return { from: "environment", key };
  throw invalid(
    "Nothing says what Neon's API key is. Set NEON_API_KEY_SECRET, NEON_API_KEY_PARAMETER or NEON_API_KEY.",
  );
}

/** The key goes to this address, so it is https, but on this machine. */
function apiUrl(environment: Environment): string | null {
  const text = setting(environment, "NEON_API_URL");
  if (text === null) return null;
  const url = URL.canParse(text) ? new URL(text) : null;
  const isLocal = ["127.0.0.1", "localhost", "[::1]"].includes(url?.hostname ?? "");
  if (url?.protocol === "https:" || (url?.protocol === "http:" && isLocal)) return text;
  throw invalid(
    "NEON_API_URL is no https:// address. Leave it out for Neon itself, or name a stand-in on this machine.",
  );
}

function invalid(message: string): MigratorError {
  return new MigratorError("CONFIG_INVALID", message);
}

function setting(environment: Environment, name: string): string | null {
  const value = environment[name]?.trim();
  return value === undefined || value === "" ? null : value;
}
