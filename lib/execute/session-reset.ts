import { type Migration, type Statement, statementText } from "../bundle/bundle.ts";
import { quoteIdentifier, quoteLiteral } from "../postgres/names.ts";
import type { Part } from "./transaction.ts";

/**
 * Kinds of statements that run no code but the server's own, or run it under a nest of settings that the server takes
 * back. Every other kind may set something for the session: by a trigger, a function, EXECUTE.
 */
const LEAVES_NOTHING: ReadonlySet<string> = new Set([
  ...["CreateStmt", "AlterTableStmt", "DropStmt", "RenameStmt", "IndexStmt", "ReindexStmt"],
  ...["CreateEnumStmt", "AlterEnumStmt", "CompositeTypeStmt", "CreateDomainStmt", "ViewStmt"],
  ...["CreateSeqStmt", "AlterSeqStmt", "CreateSchemaStmt", "CommentStmt", "GrantStmt"],
  ...["CreatePolicyStmt", "AlterPolicyStmt", "CreateFunctionStmt", "CreateTrigStmt"],
  ...["AlterOwnerStmt", "AlterObjectSchemaStmt", "TransactionStmt", "VacuumStmt"],
]);

/** Words of DDL behind which a call is evaluated at once, for the rows that are there or for the catalog. */
const EVALUATES = /\b(?:default|check|using|generated|validate|values)\b[^;]*\(|\bvalidate\b/i;

/** Calls in a default that are the server's own, and as frequent as harmless. */
const HARMLESS_CALLS = /\b(?:now|gen_random_uuid|clock_timestamp)\(\)/gi;

/** Whether a statement may set something for its session. */
function mayLeaveTraces(migration: Migration, statement: Statement): boolean {
  if (!LEAVES_NOTHING.has(statement.kind)) return true;
  if (statement.kind !== "AlterTableStmt" && statement.kind !== "CreateStmt") return false;
  const text = statementText(migration, statement);
  // A new table has no rows: only the bounds of a partition are evaluated.
  if (statement.kind === "CreateStmt") return /\bfor\s+values\b/i.test(text);
  return EVALUATES.test(text.replaceAll(HARMLESS_CALLS, ""));
}

/** Statements that make what only a statement of another kind ends, with that statement. */
const ENDED_BY: Readonly<Record<string, string>> = {
  PrepareStmt: "deallocate all",
  DeclareCursorStmt: "close all",
  ListenStmt: "unlisten *",
};

/**
 * Returns the parts that put the session back into its state after the login. So a file means the same whatever was
 * deployed along with it: a `set_config('search_path', '', false)` as pg_dump writes it, a SET ROLE or a temporary
 * table ends with its file. The parts come before the ledger row, which our own role must write.
 * @param ownSettings the SELECT that makes our own settings again
 */
export function sessionResetParts(
  migration: Migration,
  lockTimeoutMs: number,
  ownSettings: string,
): readonly Part[] {
  const { statements, sql } = migration;
  const traces = statements.some((each) => mayLeaveTraces(migration, each)) || /temp/i.test(sql);
  if (!traces) return [];
  // Each statement has its price, and nearly every file needs these. Without a value, set_config resets a setting.
  const resets = [
    ...["session_authorization", "role"].map((name) => `set_config('${name}', null, false)`),
    `set_config('lock_timeout', '${lockTimeoutMs}ms', true)`,
  ];
  const texts = [
    "reset all",
    [ownSettings, ...resets.map((call) => `pg_catalog.${call}`)].join(", "),
    "discard temp",
    ...new Set(statements.flatMap(({ kind }) => ENDED_BY[kind] ?? [])),
  ];
  return texts.map((text): Part => ({ kind: "setting", text, mayLag: true }));
}

/** Constraints go back to what they were made as: only those that check at once get their check here. */
const CONSTRAINTS_AS_MADE = `do $do$ declare each record; begin
  set constraints all deferred;
  for each in select distinct n.nspname, c.conname from pg_catalog.pg_constraint c
    join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.connamespace
    where c.condeferrable and not c.condeferred
  loop execute pg_catalog.format('set constraints %I.%I immediate', each.nspname, each.conname); end loop;
end $do$`;

/**
 * Returns the part that takes back SET CONSTRAINTS, which lasts until the COMMIT. A file behind it in the same transaction
 * shall not depend on it.
 */
export function constraintsParts(migration: Migration): readonly Part[] {
  if (!/\bset\s+constraints\b/i.test(migration.sql)) return [];
  const index = migration.statements.length;
  return [{ kind: "statement", text: CONSTRAINTS_AS_MADE, migration, index }];
}

/** The forms of a statement about savepoints, with the savepoint's name. */
const SAVEPOINT = /^(savepoint|release|rollback)\b.*?("(?:[^"]|"")+"|[^\s"]+)$/is;

/**
 * Returns the parts that release the savepoints which these statements leave open. Otherwise the next file could roll
 * back to one of them, and so undo what this file has done and its ledger row.
 */
export function releaseParts(migration: Migration, indexes: readonly number[]): readonly Part[] {
  const open = indexes
    .flatMap((index) => migration.statements[index] ?? [])
    .reduce<readonly Savepoint[]>((all, each) => savepointsAfter(all, migration, each, []), []);
  // A name may stand twice; then the newer one hides the older.
  const names = open.map(({ name }) => name).reverse();
  return names.map((name) => ({ kind: "setting", text: `release savepoint ${name}` }));
}

/** A savepoint that is set. */
interface Savepoint {
  /** As SQL writes it, quoted. */
  readonly name: string;
  /** The settings that ROLLBACK TO brings back. */
  readonly settings: readonly Statement[];
}

/** @param settings those in force at the statement */
function savepointsAfter(
  open: readonly Savepoint[],
  migration: Migration,
  statement: Statement,
  settings: readonly Statement[],
): readonly Savepoint[] {
  if (statement.kind !== "TransactionStmt") return open;
  if (statement.mode !== "transactional") return [];
  const [, written = "", as = ""] = SAVEPOINT.exec(statementText(migration, statement)) ?? [];
  const name = as.startsWith('"') ? as : `"${as.toLowerCase()}"`;
  const verb = written.toLowerCase();
  if (verb === "savepoint") return [...open, { name, settings }];
  const at = open.findLastIndex((each) => each.name === name);
  return at < 0 ? open : open.slice(0, verb === "release" ? at : at + 1);
}

const RESET_ALL = /^reset\s+all$/i;

/** Whether it is a ROLLBACK TO SAVEPOINT. */
function isRollbackTo(migration: Migration, statement: Statement): boolean {
  const isOfTransactions = statement.kind === "TransactionStmt";
  if (!isOfTransactions || statement.mode !== "transactional") return false;
  return /^rollback\b/i.test(statementText(migration, statement));
}

/** Returns what is in force behind a statement. It sets something itself, or ends what others have set. */
function settingsBehind(
  migration: Migration,
  statement: Statement,
  kept: readonly Statement[],
  saved: readonly Savepoint[],
): readonly Statement[] {
  if (statement.kind === "DiscardStmt" && statement.mode === "alone") return [];
  if (isRollbackTo(migration, statement)) return saved.at(-1)?.settings ?? kept;
  return statement.effect?.kind === "sets" ? [...kept, statement] : kept;
}

/** Whether each statement is a transaction of its own behind one of this mode. */
function autocommitsAfter(mode: Statement["mode"], before: boolean): boolean {
  if (mode.endsWith("begin")) return false;
  return before || mode === "commit" || mode === "rollback";
}

/**
 * Returns the settings that are in force before this statement: none that was rolled back, or ended by DISCARD ALL.
 */
export function settingsIn(migration: Migration, before: number): readonly Statement[] {
  let kept: readonly Statement[] = [];
  let atBegin = kept;
  let saved: readonly Savepoint[] = [];
  let autocommits = migration.directives?.noTransaction === true;
  for (const each of migration.statements.slice(0, before)) {
    saved = savepointsAfter(saved, migration, each, kept);
    kept = each.mode.startsWith("rollback")
      ? atBegin
      : settingsBehind(migration, each, kept, saved);
    autocommits = autocommitsAfter(each.mode, autocommits);
    if (autocommits || each.mode !== "transactional") atBegin = kept;
  }
  return kept;
}

/** Whether the file itself has set the session's lock time-out before this statement. */
export function setsLockTimeout(migration: Migration, before: number): boolean {
  const settings = settingsIn(migration, before).map((each) => statementText(migration, each));
  const reset = settings.findLastIndex((text) => RESET_ALL.test(text));
  return settings.slice(reset + 1).some((text) => /lock_timeout/i.test(text));
}

/**
 * Returns the parts that take our own role back until the end of the transaction. A checkpoint in the middle of a
 * file needs them if the file has set another role.
 * @param role the role of the session's start. A login may work as another role (`alter role … set role`)
 */
export function ownRoleParts(migration: Migration, role: string): readonly Part[] {
  const set = migration.statements.some((each) => mayLeaveTraces(migration, each));
  if (!set) return [];
  const texts = [
    ...(setsAuthorization(migration) ? ["set local session authorization default"] : []),
    `set local role ${quoteIdentifier(role)}`,
  ];
  return texts.map((text) => ({ kind: "setting", text }));
}

/** Only a superuser may do that. To go back to our own role takes more then. */
function setsAuthorization({ sql }: Migration): boolean {
  return /session[\s_]+authorization/i.test(sql);
}

/** The roles that a session works as: its authorization too, where a file may have set that. */
export type Roles = Readonly<Record<string, string>>;

/** Returns the names of the settings that `asOurselves` brings back; none where the file sets no role. */
export function rolesOf(migration: Migration, role: string): readonly string[] {
  if (ownRoleParts(migration, role).length === 0) return [];
  return setsAuthorization(migration) ? ["session_authorization", "role"] : ["role"];
}

/**
 * Returns these parts as our own role sends them. Behind them the role is again the one that the file has set.
 * @param known the roles, where that was asked before the transaction. To ask in it takes a snapshot
 */
export function asOurselves(
  migration: Migration,
  role: string,
  parts: readonly Part[],
  known: Roles | null = null,
): readonly Part[] {
  const kept = rolesOf(migration, role);
  const set = (name: string, value: string): Part => ({
    kind: "setting",
    text: `select pg_catalog.set_config('${name}', ${value}, true)`,
  });
  const current = (name: string) => `pg_catalog.current_setting('${name}')`;
  return [
    ...(known === null ? kept.map((name) => set(`neon_migrate.${name}`, current(name))) : []),
    ...ownRoleParts(migration, role),
    ...parts,
    ...kept.map((name) =>
      set(name, known === null ? current(`neon_migrate.${name}`) : quoteLiteral(known[name] ?? "")),
    ),
  ];
}
