import type { PostgresFacts } from "./errors.ts";

/**
 * The files of the server's source that raise texts of others: the procedural languages (`pl_exec.c` for RAISE), and
 * those that hand on the errors of another server. A user gives such an error any SQLSTATE.
 */
const HANDS_ON = /^(?:pl|dblink|connection\.c$|util\.)|\.(?:rs|cc|cpp|xs)$/i;

/**
 * The SQLSTATEs whose texts are fixed, apart from names in the catalog: cardinality, constraints, transactions, resources,
 * the state of objects, an operator at work, and the data exceptions that quote no value (PostgreSQL's Appendix A).
 */
const FIXED = /^(?:2[1357]|40|53|55|57|22(?:001|004|011|012)|2201[EFGWX])/;

/** The SQLSTATEs whose texts quote names of the statement: syntax, access, features, schemas and cursors. */
const QUOTES_NAMES = /^(?:42|0A|2B|3[DF]|34|54)/;

const QUOTATION_MARK = /["'«»„“”‚‘’]/;

/**
 * Whether the text of an error may quote a value: of a row, of a parameter, or of a text that somebody raised. In doubt it
 * may. Names may be made of values too, by EXECUTE for example: a name counts as harmless if the statement has it.
 * @param statement the text of the statement, or its beginning; empty where it is not known
 */
export function mayQuoteData(
  { file, sqlstate, message }: PostgresFacts,
  statement: string,
): boolean {
  if (HANDS_ON.test(file ?? "pl")) return true;
  if (FIXED.test(sqlstate)) return false;
  const parts = message.split(QUOTATION_MARK);
  // "integer out of range" quotes nothing; 'value "99" is out of range for type smallint' does.
  if (sqlstate === "22003") return parts.length > 1;
  const known = statement.toLowerCase();
  const quotes = parts.filter((_, index) => index % 2 === 1);
  return !QUOTES_NAMES.test(sqlstate) || quotes.some((each) => !known.includes(each.toLowerCase()));
}
