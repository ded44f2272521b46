import { EXAMPLE_URL } from "../text.ts";

type Signs = readonly (readonly [RegExp, string])[];

/** The texts around a connection string that people leave there. */
const AROUND: Signs = [
  [/^jdbc:/i, "begins with jdbc:, as in Java"],
  [/^psql\b/i, "begins with psql, as a command line does"],
  [
    /^(?:export\s+|set\s+|\$env:|-+)?\w+\s*[=:]\s*["'`]?postgres/i,
    "begins with the name of a variable",
  ],
  [/^["'`]|["`]$/, "has a quotation mark around it"],
  [/[,;]$/, "ends with a comma or a semicolon"],
  [/\p{Cc}/u, "holds a line break, a tab or another control character"],
];

/** The texts that people write instead of one. */
const INSTEAD: Signs = [
  [/^postgres(?:ql)?\+\w+:/i, "begins with the name of a driver, as in Python"],
  [/^postgres(?:ql)?:/i, "has no // behind its first colon"],
  [/\b(?:host|dbname|user)\s*=/i, "is a list of keys and values"],
];

/** The characters that end the login in a URL. */
const ENDS_LOGIN = /[/?#]/;

/**
 * Finds the mistake in a connection string that a URL parser refuses, or takes for another one than its author meant.
 * @returns the predicate of a sentence without any part of the string; null where nothing is wrong
 */
export function misreadBy(text: string): string | null {
  const isUrl = /^postgres(?:ql)?:\/\//i.test(text);
  const signs = isUrl ? AROUND : [...AROUND, ...INSTEAD];
  const sign = signs.find(([pattern]) => pattern.test(text));
  if (sign !== undefined) return `${sign[1]}. Give it as ${EXAMPLE_URL} and nothing around it`;
  if (!isUrl) {
    const [scheme] = /^[a-z][a-z\d+.-]{1,15}:\/\//i.exec(text) ?? [];
    return `${scheme === undefined ? "is not a URL" : `begins with ${scheme}, and is not one`} of the form ${EXAMPLE_URL}`;
  }
  const [character] = ENDS_LOGIN.exec(loginOf(text)) ?? [];
  if (character !== undefined) {
    const code = encodeURIComponent(character);
    return `has a ${character} in front of its last @, and a URL ends its login there. In a password write ${character} as ${code}; if the @ is no part of the login, write it as %40`;
  }
  return text.includes("#") ? "holds a #. Write it as %23" : null;
}

/** The part behind the scheme and in front of the last @: a login, if everything in it is encoded. */
function loginOf(text: string): string {
  const rest = text.slice(text.indexOf("://") + 3);
  return rest.slice(0, Math.max(rest.lastIndexOf("@"), 0));
}
