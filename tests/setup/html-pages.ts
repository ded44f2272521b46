import type { Bundle, Statement } from "../../lib/bundle/bundle.ts";
import { MigratorError } from "../../lib/errors.ts";
import { buildReport, failedReport, type Report, type RunFacts } from "../../lib/report/report.ts";

const MADE = Date.UTC(2026, 9, 1, 9);
const DAY_MS = 86_400_000;

/** Texts by which something from a database could leave its place in a page. */
export const HOSTILE: readonly string[] = [
  "</script><script>window.broken=1</script>",
  "</style><img src=x onerror=window.broken=1>",
  `" onmouseover="window.broken=1" x="`,
  `' autofocus onfocus='window.broken=1`,
  "<!-- --!> ]]> <![CDATA[",
  '"><img onerror=window.broken=1 src=http://example.test/x>',
  "a\u2028b\u0000c\ud800d\u202ee",
  "&lt;b&gt;&#60;",
];

const database = { host: "db.example.test", name: "shop", serverVersion: "17.5", role: "owner" };
const ledger = { schema: "drizzle", table: "__drizzle_migrations", format: "0.x" } as const;
const timings = { totalMs: 4_210, connectMs: 180, lockMs: 40, planMs: 4, executeMs: 3_986 };

function facts(count: number, statements: number): RunFacts {
  let startedMs = 224;
  const applied = Array.from({ length: count }, (_, index) => {
    const durationMs = 20 + ((index * 37) % 900);
    const times = {
      startedMs,
      statementMs: Array.from({ length: statements }, () => Math.floor(durationMs / statements)),
    };
    startedMs += durationMs;
    return {
      tag: `${String(index).padStart(4, "0")}_step_${["users", "bookings", "invoices"][index % 3]}`,
      hash: "0".repeat(64),
      ...{ when: MADE + index * DAY_MS, statements, durationMs, ...times },
    };
  });
  const totalMs = applied.reduce((sum, { durationMs }) => sum + durationMs, 230);
  return {
    ...{ database, ledger, applied, executor: "drizzle", atomic: true, roundTrips: 3 },
    ...{ latest: applied.at(-1)?.tag ?? null, timings: { ...timings, totalMs } },
  };
}

/** A run that ended well. */
export function successfulRun(count = 5, statements = 4): Report {
  return buildReport("5b0c9a9e", "applied", facts(count, statements));
}

/** A run that waited for others, and that others waited for. */
export function waitingRun(text = "shop-api"): Report {
  const { applied = [], ...rest } = facts(5, 4);
  const second = "0001_step_bookings";
  const session = (pid: number) => ({ pid, gid: null, application: text, role: text });
  const later = applied.map((each, index) => {
    const startedMs = (each.startedMs ?? 0) + (index === 0 ? 0 : 2_300);
    return index === 1
      ? { ...each, durationMs: 1_457, startedMs, statementMs: [14, 1_400, 14, 29] }
      : { ...each, startedMs: startedMs + (index > 1 ? 1_400 : 0) };
  });
  return buildReport("5b0c9a9e", "applied", {
    ...{ ...rest, applied: later, timings: { ...timings, totalMs: 4_760, executeMs: 4_530 } },
    waits: [
      { migration: null, statement: null, startedMs: 180, durationMs: 40, blockedBy: [session(7)] },
      {
        ...{ migration: second, statement: 2, startedMs: 258, durationMs: 3_600 },
        blockedBy: [
          { ...session(4_711), application: "psql" },
          { pid: 0, gid: text, application: null, role: "owner" },
        ],
      },
    ],
    stalls: [
      {
        ...{ migration: second, statement: 2, startedMs: 900, durationMs: 2_980 },
        ...{ sessions: 7, longestMs: 1_020, examples: [session(812), session(813)] },
      },
    ],
    lockouts: [
      {
        ...{ migration: second, statement: 2, startedMs: 258, durationMs: 5_012 },
        ...{ relation: text, mode: "ACCESS EXCLUSIVE", committed: true },
      },
    ],
    lockedOutMs: 5_012,
  });
}

/** The same report as a version wrote it that knew neither the times of statements nor waits. */
export function withoutTimes(report: Report): Report {
  const without = <Entry extends Report["applied"][number] | Report["pending"][number]>({
    startedMs: _startedMs,
    statementMs: _statementMs,
    ...rest
  }: Entry) => rest;
  return {
    ...{ ...report, waits: [], stalls: [], lockouts: [], lockedOutMs: null },
    applied: report.applied.map((each) => without(each)),
    pending: report.pending.map((each) => without(each)),
  };
}

/** A run whose third migration failed, with every list filled by this text. */
export function failedRun(text = "duplicate key value violates unique constraint"): Report {
  const pending = [
    {
      ...{ tag: `0002_${text}`, hash: "1".repeat(64), when: MADE, statements: 3 },
      done: 0,
      reasons: [text],
      ...{ startedMs: 301, statementMs: [12, 3_580] },
    },
  ];
  const session = { pid: 4_711, gid: text, application: text, role: text };
  const place = { migration: text, statement: 1, startedMs: 301, durationMs: 9 };
  const error = new MigratorError("MIGRATION_FAILED", text, {
    ...{ migration: `0002_${text}`, sqlstate: "23505", detail: text, hint: text, where: text },
    statement: { index: 2, line: 4, column: 3, excerpt: `ALTER TABLE users -- ${text}` },
    ...{ advice: text, query: `select ${text}` },
  });
  const finding = {
    rule: "volatile-default",
    severity: "error",
    migration: text,
    statement: 1,
  } as const;
  return failedReport("5b0c9a9e", error, {
    ...facts(2, 3),
    ...{ pending, atomic: false, executor: "statements", executorReason: text },
    findings: [{ ...finding, line: 1, column: 1, message: text, rewrite: text, evidence: text }],
    warnings: [{ code: "LEFTOVER", message: text }],
    notices: [{ severity: text, message: text, migration: text }],
    waits: [{ ...place, blockedBy: [session, { ...session, gid: null }] }],
    stalls: [{ ...place, sessions: 1, longestMs: 9, examples: [session] }],
    lockouts: [{ ...place, relation: text, mode: "SHARE", committed: false }],
    lockedOutMs: 9,
    cuts: [{ migration: text, statement: 1, line: 1, reason: text }],
    asked: {
      request: { action: "up", transaction: "each", ddlLockTimeoutMs: 500 },
      by: { source: "http", identity: text },
    },
  });
}

/** A database with drift, a half-applied migration and a run under way. */
export function driftedStatus(text = "psql"): Report {
  const { applied = [], ...rest } = facts(4, 3);
  const at = (index: number) => new Date(MADE + (index + 2) * DAY_MS).toISOString();
  const pending = [
    {
      ...{ tag: "0004_half", hash: "1".repeat(64), when: MADE + 5 * DAY_MS, statements: 3 },
      done: 1,
      reasons: [],
    },
    {
      ...{ tag: `0005_${text}`, hash: "2".repeat(64), when: MADE, statements: 2 },
      done: 0,
      reasons: [],
    },
  ];
  return buildReport("5b0c9a9e", "planned", {
    ...rest,
    applied: applied.map((each, index) => ({ ...each, appliedAt: index === 0 ? null : at(index) })),
    pending,
    drift: {
      modified: [{ tag: "0001_step_bookings", ledgerHash: "a", bundleHash: "b" }],
      unknown: [{ hash: text, when: null, name: null, appliedAt: at(9) }],
      outOfOrder: [{ tag: `0005_${text}`, hash: "2".repeat(64), when: MADE }],
    },
    running: {
      ...{
        pid: 4711,
        application: text,
        role: text,
        since: text,
        state: "active",
        statement: text,
      },
    },
  });
}

/** A bundle with these migrations, each with so many statements. */
export function bundleFor({ applied, pending }: Report, text = "note"): Bundle {
  const migrations = [...applied, ...pending].map(({ tag, hash, when, statements: count }) => {
    const lines = Array.from(
      { length: count },
      (_, index) => `ALTER TABLE bookings ADD COLUMN c${index} text DEFAULT '${text}'`,
    );
    const sql = lines.join(";\n");
    let start = 0;
    const statements = lines.map((line, index) => {
      const end = start + line.length;
      const touch = {
        kind: "table",
        schema: null,
        name: "bookings",
        lock: "ACCESS EXCLUSIVE",
      } as const;
      const statement: Statement = {
        ...{ start, end, chunk: 0, line: index + 1, column: 1, digest: "0".repeat(12) },
        ...{ kind: "AlterTableStmt", mode: "transactional", effect: null, touches: [touch] },
      } as const;
      start = end + 2;
      return statement;
    });
    return { tag, name: tag, when, hash, sql, statements, findings: [] };
  });
  return { bundleVersion: 1, layout: "0.x", hash: "0".repeat(64), migrations, warnings: [] };
}

/** A rehearsal that went well: a table stands still, an index of it too, and the table is written anew. */
export function rehearsedRun(text = "orders"): Report {
  const at = { migration: `0001_${text}`, statement: 2 };
  const of = { relation: `public.${text}`, table: null, kind: "table" } as const;
  const size = { bytes: 49_700_000, rows: 200_000 };
  const pending = { tag: at.migration, hash: "1".repeat(64), when: MADE, statements: 2, done: 0 };
  const report = buildReport("5b0c9a9e", "planned", {
    ...facts(0, 0),
    pending: [{ ...pending, reasons: [] }],
  });
  const rehearsal: NonNullable<Report["rehearsal"]> = {
    status: "passed",
    limits: { blockedMs: null, totalMs: 600_000 },
    branch: {
      ...{ id: "br-copy-1", name: `neon-migrate-${text}`, parentId: "br-main-1" },
      ...{ expiresAt: "2026-10-01T15:00:00Z", deleted: true },
      compute: { minCu: 1, maxCu: 1 },
    },
    applied: [],
    standstills: [
      {
        ...of,
        ...size,
        mode: "ACCESS EXCLUSIVE",
        blocks: "reads",
        since: at,
        ms: 2_700,
        sampled: false,
      },
      {
        ...{ relation: `public.${text}_pkey`, table: of.relation, kind: "index" },
        ...{ mode: "SHARE", blocks: "writes", since: at, ms: 340, bytes: 900, rows: null },
        sampled: true,
      },
    ],
    rewrites: [{ ...of, ...size, by: at }],
    statements: [{ ...at, ms: 2_900, walBytes: 68_700_000, locks: [], samples: null }],
    ...{ findings: [], sizeBefore: 62_100_000, sizeAfter: 68_300_000, walBytes: 68_700_000 },
    timings: { branchMs: 800, executeMs: 2_950, deleteMs: 90 },
    ...{ calls: 6, caveats: ["Nobody else used the branch."] },
  };
  return { ...report, rehearsal };
}
