import type { AppliedMigration } from "../execute/executor.ts";
import type { LockMode } from "../postgres/locks.ts";
import type { RehearsalLimits } from "../request.ts";

/** A statement, by its migration and its number, from 1. */
export interface StatementAt {
  readonly migration: string;
  readonly statement: number;
}

/** The sort of a relation. */
export type RelationKind =
  | "table"
  | "view"
  | "materialized view"
  | "index"
  | "sequence"
  | "foreign table";

/** What others cannot do meanwhile. */
export type Blocks = "reads" | "writes" | "ddl";

/** A relation of before that others could not use for a while. */
export interface Standstill {
  /** `schema.name`, unquoted. */
  readonly relation: string;
  /** The table of an index; null for everything else. */
  readonly table: string | null;
  readonly kind: RelationKind;
  /** The strongest lock that keeps them out. */
  readonly mode: LockMode;
  /** `reads`: and writes and DDL. `writes`: and DDL. */
  readonly blocks: Blocks;
  /** The statement that took the first lock that does so. */
  readonly since: StatementAt;
  /**
   * From the beginning of that statement to the COMMIT, or to the rollback to a savepoint, in ms. Where it is sampled, from the
   * sample before the first that has the lock to the first that has it no more.
   */
  readonly ms: number;
  /** Whether it was sampled from a second session, as of a statement outside a transaction: a shorter one may be missed. */
  readonly sampled: boolean;
  /** Size on disk before, in bytes. */
  readonly bytes: number;
  /** PostgreSQL's estimate before; null where it has none. */
  readonly rows: number | null;
}

/** A relation that PostgreSQL wrote anew as a whole. */
export interface Rewrite
  extends Pick<Standstill, "relation" | "table" | "kind" | "bytes" | "rows"> {
  readonly by: StatementAt;
}

/** The work of one statement. */
export interface StatementCost extends StatementAt {
  /** By the server's clock. */
  readonly ms: number;
  /** Bytes of the write-ahead log, those of others included; null where the role may not ask. */
  readonly walBytes: number | null;
  /** The locks on relations of before, where no statement in front of it in its transaction had one as strong. */
  readonly locks: readonly { readonly relation: string; readonly mode: LockMode }[];
  /** How often the locks of a statement outside a transaction were asked for while it ran; null in a transaction. */
  readonly samples: number | null;
}

/** The branch on which the migrations were tried. */
export interface RehearsedBranch {
  readonly id: string;
  readonly name: string;
  /** The branch of production. */
  readonly parentId: string;
  /** When Neon deletes it, where nobody has. */
  readonly expiresAt: string;
  readonly deleted: boolean;
  /** The size of the compute, in Neon's units: that of production. */
  readonly compute: { readonly minCu: number; readonly maxCu: number };
}

/** A finding of `check`, held against what was seen. */
export interface SeenFinding extends StatementAt {
  readonly rule: string;
  /**
   * Whether it is confirmed: while the statement ran, its table was locked against the work of which the rule speaks, or was
   * written anew. Null where the rule speaks of neither, or where the statement has not come to its COMMIT.
   */
  readonly seen: boolean | null;
}

/** What a rehearsal has seen. */
export interface Rehearsal {
  /** `refused`: it went well, and was over a limit of the request. */
  readonly status: "passed" | "failed" | "refused";
  /** The most that the request allows, in ms; null: no limit. */
  readonly limits: RehearsalLimits;
  readonly branch: RehearsedBranch;
  readonly applied: readonly AppliedMigration[];
  /** The longest first. */
  readonly standstills: readonly Standstill[];
  readonly rewrites: readonly Rewrite[];
  readonly statements: readonly StatementCost[];
  readonly findings: readonly SeenFinding[];
  /** Size of the database, in bytes. */
  readonly sizeBefore: number;
  /** Null where the rehearsal failed. */
  readonly sizeAfter: number | null;
  /** The write-ahead log of all statements, in bytes; null where the role may not ask. */
  readonly walBytes: number | null;
  /** Whole ms: to make the branch, to work on it, and to delete it. */
  readonly timings: {
    readonly branchMs: number;
    readonly executeMs: number;
    readonly deleteMs: number;
  };
  /** Number of calls to Neon's API. */
  readonly calls: number;
  /** What a rehearsal cannot show. The same each time. */
  readonly caveats: readonly string[];
}
