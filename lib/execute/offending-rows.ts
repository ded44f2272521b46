import type { PostgresFacts } from "../postgres/errors.ts";
import { quoteIdentifier, quoteLiteral, quoteName } from "../postgres/names.ts";

/** A statement that the server refused, with the server's words. */
export interface Refused {
  readonly server: PostgresFacts;
  /** The statement's kind in the parser's words. */
  readonly kind: string;
  readonly text: string;
}

/** Statements that write rows. Any other looks at the rows that are there. */
const WRITES = /^(?:Insert|Update|Delete|Merge|Copy|Truncate|Select|Call|Do)Stmt$/;

/** Whether the statement itself writes rows. */
export function writesRows({ kind }: Pick<Refused, "kind">): boolean {
  return WRITES.test(kind);
}

/**
 * Makes queries that may show the rows that contradict a statement, the best first. They are guesses by texts: the server
 * has to read each of them before a person gets it.
 * @param definition of the constraint or the index, as the catalog has it after the roll-back; null without one
 */
export function queriesFor(refused: Refused, definition: string | null): readonly string[] {
  const make = MAKERS[refused.server.sqlstate];
  if (make === undefined) return [];
  const texts = [refused.text, ...(definition === null ? [] : [definition])];
  const found = texts.map((text) => make(refused, text, relationOf(refused.server)));
  return [
    ...new Set(
      [...found, withSameKey(refused), unfitByWords(refused)].filter((each) => each !== null),
    ),
  ];
}

type Maker = (refused: Refused, definition: string, relation: string) => string | null;

const MAKERS: Readonly<Record<string, Maker>> = {
  "23502": nulls,
  "23503": withoutParent,
  "23505": duplicates,
  "23514": againstCheck,
  "23P01": inConflict,
  ...Object.fromEntries(["22P02", "22001", "22003", "22007", "22008"].map((of) => [of, unfit])),
};

function relationOf({ schema, table }: PostgresFacts): string {
  return quoteName({ schema, name: table ?? "" });
}

function nulls(refused: Refused, _definition: string, relation: string): string | null {
  const { column } = refused.server;
  if (writesRows(refused) || column === null) return null;
  return `select * from ${relation} where ${quoteIdentifier(column)} is null;`;
}

function duplicates(refused: Refused, definition: string, relation: string): string | null {
  const key = keyOf(refused.server.detail);
  if (key === null) return null;
  const { columns, values } = key;
  if (writesRows(refused)) return `select * from ${relation} where ${hasKey(columns, [values])};`;
  const bare = blanked(definition);
  const at = bare.search(/\bwhere\b/i);
  const conditions = [
    ...(/\bnulls\s+not\s+distinct\b/i.test(bare) ? [] : [`(${columns}) is not null`]),
    ...(at < 0 ? [] : [`(${definition.slice(at + 5).trim()})`]),
  ];
  const where = conditions.length === 0 ? "" : ` where ${conditions.join(" and ")}`;
  return `select ${columns}, count(*) from ${relation}${where} group by ${columns} having count(*) > 1;`;
}

/** The foreign keys that a definition makes: name, columns, referenced table and columns. */
const NAME = String.raw`(?:"(?:[^"]|"")+"|[\w$]+)`;
const QUALIFIED = String.raw`${NAME}(?:\s*\.\s*${NAME})?`;
const FOREIGN_KEY = new RegExp(
  String.raw`(?:constraint\s+(${NAME})\s+)?foreign\s+key\s*\(([^()]*)\)\s*references\s+(?:only\s+)?(${QUALIFIED})\s*\(([^()]*)\)`,
  "gi",
);

function withoutParent(refused: Refused, definition: string, relation: string): string | null {
  const { constraint, detail, table } = refused.server;
  const key = keyOf(detail);
  if (key === null) return null;
  const made = Array.from(definition.matchAll(FOREIGN_KEY));
  const [, , columns, parent, parentColumns] =
    made.find(([, name]) => isNamed(name, constraint)) ?? (made.length === 1 ? made : [])[0] ?? [];
  if (columns === undefined || parentColumns === undefined) return null;
  // The server names the table that refers in both cases; its words name the other one where a row has no parent.
  const isReferred = lastName(detail) === table && parent !== undefined && writesRows(refused);
  if (isReferred) return `select * from ${relation} where ${hasKey(columns, [key.values])};`;
  if (writesRows(refused)) return null;
  const child = `(${prefixed("c", columns)})`;
  return `select c.* from ${relation} c where ${child} is not null and not exists (select from ${parent} p where (${prefixed("p", parentColumns)}) = ${child});`;
}

/** The last resort: the rows with the one key that the server names, where nothing tells the columns of the parent. */
function withSameKey(refused: Refused): string | null {
  const { server } = refused;
  const key = server.sqlstate === "23503" && !writesRows(refused) ? keyOf(server.detail) : null;
  if (key === null) return null;
  const columns = key.columns.split(", ").map(quoteIdentifier).join(", ");
  return `select * from ${relationOf(server)} where ${hasKey(columns, [key.values])};`;
}

function againstCheck(refused: Refused, definition: string, relation: string): string | null {
  if (writesRows(refused) || refused.server.constraint === null) return null;
  const bare = blanked(definition);
  const checks = Array.from(definition.matchAll(CHECK)).filter(({ index }) => bare[index] !== " ");
  const named = checks.find(([, name]) => isNamed(name, refused.server.constraint));
  const check = named ?? (checks.length === 1 ? checks[0] : undefined);
  if (check === undefined) return null;
  const from = check.index + check[0].length;
  const condition = definition.slice(from, endOfGroup(bare, from)).trim();
  return `select * from ${relation} where not (${condition});`;
}

const CHECK = new RegExp(String.raw`(?:constraint\s+(${NAME})\s+)?check\s*\(`, "gi");

function inConflict({ server }: Refused, _definition: string, relation: string): string | null {
  const [, columns, one, other] =
    /\((.*?)\)=\((.*)\).*\(\1\)=\((.*)\)/s.exec(server.detail ?? "") ?? [];
  if (columns === undefined || one === undefined || other === undefined) return null;
  return `select * from ${relation} where ${hasKey(columns, [one, other])};`;
}

const ALTER_TABLE = new RegExp(
  String.raw`^\s*alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?(${QUALIFIED})\s+(.*?)[\s;]*$`,
  "is",
);
const RETYPE = new RegExp(
  String.raw`^\s*alter\s+(?:column\s+)?(${NAME})\s+(?:set\s+data\s+)?type\s+((?:[^,()]|\([\d\s,]*\))+?)(?:\s+collate\s+${QUALIFIED})?(?:\s+using\s+(.+))?$`,
  "is",
);

/** A column that gets another type: the text that it becomes a value of that type from. */
interface Retyped {
  readonly value: string;
  readonly type: string;
}

/** Finds rows by the new type, which has to be there. Servers of version 16 and newer can be asked so. */
function unfit({ server, text }: Refused): string | null {
  // Enum types are often made anew by the same migration: then only the value tells.
  if (server.file === "enum.c") return null;
  return rowsWhere(
    text,
    ({ value, type }) => `not pg_input_is_valid(${value}, ${quoteLiteral(type)})`,
  );
}

/** Finds rows by the value in the server's words, or by their length. */
function unfitByWords({ server, text }: Refused): string | null {
  if (server.sqlstate === "22001") {
    return rowsWhere(text, ({ value, type }) => {
      const [, length] = /\(\s*(\d+)\s*\)$/.exec(type) ?? [];
      return length === undefined ? null : `char_length(${value}) > ${length}`;
    });
  }
  const [, said] = /:\s*["«„]\s?(.*?)\s?["»“]$/s.exec(server.message) ?? [];
  if (said === undefined || !/^22(?:P02|007|008)/.test(server.sqlstate)) return null;
  return rowsWhere(text, ({ value }) => `${value} = ${quoteLiteral(said)}`);
}

function rowsWhere(text: string, condition: (column: Retyped) => string | null): string | null {
  const [, relation, actions = ""] = ALTER_TABLE.exec(text) ?? [];
  const conditions = partsOf(actions)
    .flatMap(retyped)
    .map(condition)
    .filter((each) => each !== null);
  if (relation === undefined || conditions.length === 0) return null;
  return `select * from ${relation} where ${conditions.join(" or ")};`;
}

function retyped(action: string): readonly Retyped[] {
  const [, column, type, using = column] = RETYPE.exec(action) ?? [];
  if (type === undefined || using === undefined) return [];
  const source = using.trim().replace(/\s*::\s*[^:()']+(?:\([\d\s,]*\))?\s*(?:\[\])?$/, "");
  return [{ value: `(${source})::text`, type: type.trim() }];
}

/** Splits a text at its commas outside of brackets. */
function partsOf(text: string): readonly string[] {
  const bare = blanked(text);
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < bare.length; at += 1) {
    if (bare[at] === "(") depth += 1;
    if (bare[at] === ")") depth -= 1;
    if (bare[at] !== "," || depth > 0) continue;
    parts.push(text.slice(from, at));
    from = at + 1;
  }
  return [...parts, text.slice(from)];
}

/** The key in the detail of an error, `Key (a, b)=(1, 2) …`, in any language. Columns are as the server wrote them. */
function keyOf(
  detail: string | null,
): { readonly columns: string; readonly values: string } | null {
  const [, columns, values] = /\((.*?)\)=\((.*)\)/s.exec(detail ?? "") ?? [];
  return columns === undefined || values === undefined ? null : { columns, values };
}

/** The server joins the values of a key by a comma, as `concat_ws` does. One value is compared as it is. */
function hasKey(columns: string, values: readonly string[]): string {
  const texts = values.map(quoteLiteral);
  const known = columns.includes(", ") ? `concat_ws(', ', ${columns})` : `(${columns})::text`;
  return texts.length === 1 ? `${known} = ${texts[0]}` : `${known} in (${texts.join(", ")})`;
}

function lastName(detail: string | null): string | undefined {
  return /["«„]\s?([^"«»„“]*?)\s?["»“]\W*$/.exec(detail ?? "")?.[1];
}

function prefixed(alias: string, columns: string): string {
  return columns
    .split(",")
    .map((column) => `${alias}.${column.trim()}`)
    .join(", ");
}

function isNamed(written: string | undefined, name: string | null): boolean {
  if (written === undefined) return false;
  return written.startsWith('"')
    ? written.slice(1, -1).replaceAll('""', '"') === name
    : written.toLowerCase() === name;
}

/** Returns the offset of the bracket that closes the one before `from`. */
function endOfGroup(bare: string, from: number): number {
  let depth = 1;
  for (let at = from; at < bare.length; at += 1) {
    if (bare[at] === "(") depth += 1;
    if (bare[at] === ")") depth -= 1;
    if (depth === 0) return at;
  }
  return bare.length;
}

const NO_CODE = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*.*?\*\/|(\$\w*\$).*?\1/gs;

/** A statement with blanks in the place of its literals, quoted names and comments: what is left are words. */
function blanked(text: string): string {
  return text.replace(NO_CODE, (part) => " ".repeat(part.length));
}
