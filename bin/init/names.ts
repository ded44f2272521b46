/** A project's name in the forms that the tools take. */
export interface Names {
  /** For names of functions, stacks and secrets: `my-shop`. */
  readonly plain: string;
  /** For logical ids of CloudFormation and constructs: `MyShop`. */
  readonly id: string;
  /** For identifiers of Terraform: `my_shop`. */
  readonly identifier: string;
}

/** A function's name has 64 characters, and `-migrations` is added to ours. */
const MAX_LENGTH = 48;

/**
 * Makes the forms of a name: a package's, with its scope, or any other. Pure.
 * @returns null for a name without a Latin letter or digit
 */
export function namesOf(name: string): Names | null {
  const words = name
    .replace(/^@[^/]*\//, "")
    .replaceAll("ß", "ss")
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "");
  if (words.length === 0) return null;
  // A function is called NAME-migrations.
  if (words.length > 1 && words.at(-1) === "migrations") words.pop();
  // Every tool wants a letter first.
  const started = /^\d/.test(words[0] ?? "") ? ["app", ...words] : words;
  const plain = started.join("-").slice(0, MAX_LENGTH).replace(/-$/, "");
  const parts = plain.split("-");
  return {
    plain,
    id: parts.map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join(""),
    identifier: parts.join("_"),
  };
}
