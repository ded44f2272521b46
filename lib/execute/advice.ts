import { type Bundle, statementText } from "../bundle/bundle.ts";
import type { Connection } from "../connection/connection.ts";
import { type ErrorCode, MigratorError } from "../errors.ts";
import { postgresFacts } from "../postgres/errors.ts";
import { queriesFor, type Refused, writesRows } from "./offending-rows.ts";

/*
 * Advice: the next step of somebody whose statement was refused. It goes by PostgreSQL's SQLSTATE and the circumstances,
 * because the statement is wrong in few of the cases. Only a run that failed loads this file.
 */

/** The things at hand when a run fails. */
export interface AtHand {
  readonly bundle: Bundle;
  readonly connection: Connection;
}

/** The codes whose messages leave the next step to this file. */
const ADVISED: readonly ErrorCode[] = ["MIGRATION_FAILED"];

/** Adds the advice to an error, and the query that shows the rows in its way. Never rejects. */
export async function withAdvice(thrown: unknown, atHand: AtHand): Promise<unknown> {
  if (!(thrown instanceof MigratorError) || !ADVISED.includes(thrown.code)) return thrown;
  const server = postgresFacts(thrown);
  if (server === null) return thrown;
  const refused = { server, ...statementOf(thrown, atHand.bundle) };
  const query = DATA.test(server.sqlstate) ? await queryFor(refused, atHand.connection) : null;
  const advice = adviceFor(refused, query !== null);
  return new MigratorError(thrown.code, thrown.message, {
    ...(advice === "" ? {} : { advice: advice.replace("TAG", thrown.facts.migration ?? "TAG") }),
    ...thrown.facts,
    ...(query === null ? {} : { query }),
  });
}

function statementOf(
  { facts }: MigratorError,
  { migrations }: Bundle,
): Pick<Refused, "kind" | "text"> {
  const migration = migrations.find(({ tag }) => tag === facts.migration);
  const statement = migration?.statements[(facts.statement?.index ?? 0) - 1];
  return migration === undefined || statement === undefined
    ? { kind: "", text: "" }
    : { kind: statement.kind, text: statementText(migration, statement) };
}

/** Data exceptions, and constraints that were violated. */
const DATA = /^2[23]/;

/** The longest wait for a lock, and for an answer, of the questions behind a failure. */
const LIMITS = "set local lock_timeout = '500ms'; set local statement_timeout = '2s'";

const DEFINITION = `select coalesce(
    (select pg_catalog.pg_get_constraintdef(c.oid) from pg_catalog.pg_constraint c, pg_catalog.pg_class t, pg_catalog.pg_namespace n
     where c.conname operator(pg_catalog.=) $3::pg_catalog.text and t.oid operator(pg_catalog.=) c.conrelid and t.relname operator(pg_catalog.=) $2::pg_catalog.text
       and n.oid operator(pg_catalog.=) t.relnamespace and n.nspname operator(pg_catalog.=) $1::pg_catalog.text limit 1),
    (select pg_catalog.pg_get_indexdef(i.oid) from pg_catalog.pg_class i, pg_catalog.pg_namespace n
     where i.relname operator(pg_catalog.=) $3::pg_catalog.text and i.relkind operator(pg_catalog.=) 'i' and n.oid operator(pg_catalog.=) i.relnamespace
       and n.nspname operator(pg_catalog.=) $1::pg_catalog.text)
  ) as "definition"`;

/** Returns the first query that the server can read: tables of a migration that is rolled back are not there. */
async function queryFor(refused: Refused, connection: Connection): Promise<string | null> {
  const { schema, table, constraint } = refused.server;
  try {
    const [row] =
      constraint === null
        ? []
        : await connection.query<{ definition: string | null }>(DEFINITION, [
            schema,
            table,
            constraint,
          ]);
    for (const query of queriesFor(refused, row?.definition ?? null)) {
      if (await canBeRead(query, connection)) return query;
    }
  } catch {
    // Nobody answers any more: the failure itself is told without a query.
  }
  return null;
}

/** Whether the server can plan a query. It is not run. */
async function canBeRead(query: string, connection: Connection): Promise<boolean> {
  try {
    await connection.batch([
      "begin read only",
      ...LIMITS.split("; "),
      `explain ${query}`,
      "rollback",
    ]);
    return true;
  } catch (thrown) {
    if (postgresFacts(thrown) === null) throw thrown;
    await connection.cleanUp("rollback");
    return false;
  }
}

/** A row of the table: SQLSTATEs, a circumstance, and what to do then. The first that fits is taken. */
type Row = readonly [
  sqlstate: RegExp,
  when: (refused: Refused, hasQuery: boolean) => boolean,
  advice: string | ((refused: Refused) => string),
];

const ALWAYS = (): boolean => true;
const from =
  (...files: readonly string[]) =>
  ({ server }: Refused): boolean =>
    files.includes(server.file ?? "");
const says =
  (pattern: RegExp) =>
  ({ server: { message, hint } }: Refused): boolean =>
    pattern.test(`${message}\n${hint ?? ""}`);

/** Words that come from extensions, and the extension of each. */
const EXTENSIONS: readonly (readonly [RegExp, string])[] = [
  [/\b(?:vector|halfvec|sparsevec|hnsw|ivfflat|(?:vector|halfvec)_\w+_ops)\b/i, "vector"],
  [/\bcitext\b/i, "citext"],
  [/\bhstore\b/i, "hstore"],
  [/\bltree\b/i, "ltree"],
  [/\b(?:geometry|geography|st_\w+)\b/i, "postgis"],
  [/\b(?:gin|gist)_trgm_ops\b|\bsimilarity\(/i, "pg_trgm"],
  [/\buuid_(?:generate|ns)_\w+\b/i, '"uuid-ossp"'],
  [/\b(?:crypt|gen_salt|digest|hmac|gen_random_bytes|pgp_\w+)\(/i, "pgcrypto"],
  [/\bunaccent\b/i, "unaccent"],
  [/\b(?:cube|ll_to_earth|earth_distance)\b/i, "cube and earthdistance"],
];

function extensionOf({ server }: Refused): string | undefined {
  return EXTENSIONS.find(([words]) => words.test(server.message))?.[1];
}

const CORRECT = "Correct the statement, then run again.";

/** The table. SQLSTATEs: PostgreSQL's Appendix A. Files are those of its source: words come in many languages. */
const TABLE: readonly Row[] = [
  // the data contradicts the statement
  [
    /^23505/,
    (of, has) => has && writesRows(of),
    "A row has this key already: the query shows it. Change the row, or leave it out of the statement, then run again.",
  ],
  [
    /^23505/,
    writesRows,
    "The statement writes a key that a row has already, or the same key twice. Change the row, or leave it out of the statement, then run again.",
  ],
  [
    /^23503/,
    (of, has) => has && writesRows(of),
    "Other rows still refer to the row: the query shows them. Change or delete these first, then run again.",
  ],
  [
    /^23503/,
    writesRows,
    "The row that the statement refers to is not there. Write that row first, then run again.",
  ],
  [
    DATA,
    (_of, has) => has,
    "The data contradicts the statement, which may be right: the query shows the rows. Correct them, in a statement before this one or by hand, then run again.",
  ],
  [
    /^23502/,
    (of) => !writesRows(of),
    "The column comes with this migration, and is empty in the rows that are there. Give it a DEFAULT; or add it without NOT NULL, fill it, and set NOT NULL then.",
  ],
  [/^22/, ({ server }) => server.position !== null, CORRECT],
  [
    DATA,
    (of) => !writesRows(of),
    "The data contradicts the statement, which may be right. Correct the rows, in a statement before this one or by hand, then run again.",
  ],
  [
    DATA,
    ALWAYS,
    "A value that the statement writes or computes does not fit. Correct the statement or the rows that it reads, then run again.",
  ],

  // it exists already
  [
    /^42701/,
    ALWAYS,
    "The column is there already: something else than the migrations has made it, or an earlier migration. Take the statement out, or write ADD COLUMN IF NOT EXISTS, then run again.",
  ],
  [
    /^(?:42P0[67]|42710|42723|42P04)/,
    ALWAYS,
    'It is there already: made by hand, by "drizzle-kit push", by another tool or by an earlier migration. Where the database has all that the migration makes, count it as applied: "neon-migrate baseline --to TAG" shows what that means. Otherwise take the statement out, or write IF NOT EXISTS, then run again.',
  ],

  // it does not exist
  [
    /^(?:42704|22023)/,
    from("acl.c", "user.c"),
    "The role is not there. Roles belong to the whole server and not to one database: create it (on Neon in the console or with CREATE ROLE), then run again.",
  ],
  [/^(?:42704|42883|42P01|3F000|42703)/, (of) => extensionOf(of) !== undefined, missingExtension],
  [
    /^42P01/,
    ALWAYS,
    "The table or view is not there under this name. Correct the name, or create it in a migration before this one. Outside of the search path a name needs its schema.",
  ],
  [
    /^3F000/,
    ALWAYS,
    "The schema is not there. Correct the name, or create the schema in a statement before this one, then run again.",
  ],
  [
    /^(?:42703|42704|42883)/,
    ALWAYS,
    "No object has this name, or none with these types. Correct the name, or create it in a migration before this one. Outside of the search path a name needs its schema.",
  ],

  // the server does not have it
  [
    /^(?:58P01|0A000)/,
    (of) => from("extension.c")(of) || says(/extension|\$libdir/i)(of),
    'The server does not have this extension. "select name from pg_available_extensions" lists those that it has. On Neon some need an approval first: https://neon.com/docs/extensions/pg-extensions.',
  ],
  [
    /^55000/,
    says(/shared_preload_libraries/),
    "The server has to load this extension when it starts (shared_preload_libraries). On Neon that is a setting of the project; elsewhere change it and restart the server. Then run again.",
  ],
  [
    /^0A000/,
    ALWAYS,
    "The server does not do this, or not in this version. Write the statement in another way, then run again.",
  ],

  // resources
  [
    /^53200/,
    says(/max_locks_per_transaction/),
    'The transaction needs more locks than the server has room for. Commit more often with "transaction": "each", split the migration, or raise max_locks_per_transaction on the server. Then run again.',
  ],
  [
    /^53200/,
    ALWAYS,
    "The server has no memory left for this. Let the statement do less at a time, lower work_mem or maintenance_work_mem, or take a larger compute, then run again.",
  ],
  [
    /^53100/,
    ALWAYS,
    "The disk is full, or the project has reached its limit of storage. Make room or raise the limit, then run again. A rewrite of a table needs its size once more.",
  ],
  [
    /^53300/,
    ALWAYS,
    "The server or the role has too many connections. End some, or raise the limit, then run again.",
  ],
  [
    /^53400|^54/,
    ALWAYS,
    "A limit of the server was passed. Let the statement do less at a time, then run again.",
  ],

  // others, and time
  [
    /^57014/,
    says(/statement_timeout|statement timeout/i),
    'The statement took longer than statement_timeout allows, which is set on the role, on the database or in the migration. Write "set statement_timeout = 0" in a statement before this one, then run again.',
  ],
  [
    /^57014/,
    ALWAYS,
    'The statement was cancelled: by somebody, or by statement_timeout of the role, the database or the migration. For a time-out write "set statement_timeout = 0" in a statement before this one. Then run again.',
  ],
  [
    /^(?:25P0[34]|57P05)/,
    ALWAYS,
    "A time-out of the migration has ended the transaction. Raise it where the migration sets it, then run again.",
  ],
  [
    /^55006/,
    says(/pending trigger events/i),
    'Constraints wait for the COMMIT, and the table cannot change before. Write "set constraints all immediate" in a statement before this one, or put this one into a migration of its own. Then run again.',
  ],
  [
    /^55006/,
    ALWAYS,
    "Something in use is in the way: an open cursor, a trigger that waits for the COMMIT, or another session. Wait for it, or put the statement into a migration of its own. Then run again.",
  ],
  [
    /^(?:40P01|40001|55P03)/,
    ALWAYS,
    "Other sessions were in the way. Run again at a quieter time.",
  ],

  // rights
  [/^42501/, ALWAYS, rightsFor],
  // The message names the statement that makes transactions read-only, and what to do.
  [/^25006/, ALWAYS, ""],
  // it is the statement
  [
    /^2BP01/,
    ALWAYS,
    "Other objects depend on it: the detail names them. Change or drop these first, or write CASCADE if they may go, too. Then run again.",
  ],
  [
    /^P0001/,
    ALWAYS,
    "A function, a trigger or a DO block has raised this: its message says why. Meet what it asks for, then run again.",
  ],
  [
    /^XX/,
    ALWAYS,
    "The server has met an error of its own. Run again. If it happens once more, ask whoever runs the server: for Neon its support.",
  ],
  [
    /^58/,
    ALWAYS,
    "The server's machine has failed it. Run again. If it happens once more, ask whoever runs the server: for Neon its support.",
  ],
];

/** Says what to do about a statement that was refused. It quotes no data. Empty where the message says it. */
function adviceFor(refused: Refused, hasQuery: boolean): string {
  const { sqlstate } = refused.server;
  const [, , advice = CORRECT] =
    TABLE.find(([of, when]) => of.test(sqlstate) && when(refused, hasQuery)) ?? [];
  return typeof advice === "string" ? advice : advice(refused);
}

function missingExtension(refused: Refused): string {
  const name = extensionOf(refused);
  return `This comes with the extension ${name}. Write "create extension if not exists ${name}" in a statement before this one, or correct the name. Then run again. If it is installed in another schema, name that schema.`;
}

function rightsFor(refused: Refused): string {
  return ownerOnly(refused)
    ? "Only the owner may do this. Let the owner run the migrations, or give the table to the role that runs them: alter table … owner to …. Then run again."
    : "The role of the connection string lacks a right. Grant it, or let a role that has it run the migrations. Then run again.";
}

function ownerOnly({ server }: Refused): boolean {
  return /\bowner\b/i.test(server.message);
}
