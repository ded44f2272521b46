import type { Bundle } from "../../lib/bundle/bundle.ts";
import { excerpt } from "../../lib/bundle/text-position.ts";
import { lockoutSentence } from "../../lib/page/lockouts.ts";
import { duration, outcomeOf } from "../../lib/page/outcome.ts";
import {
  branchSentence,
  costSentence,
  findingsSentence,
  isOverLimit,
  limitSentences,
  sizeOf,
  WHO_WAITS,
} from "../../lib/page/rehearsal.ts";
import { fitReport } from "../../lib/report/fit.ts";
import type { Report, ReportedError } from "../../lib/report/report.ts";
import { counted, hidePasswords, printable } from "../../lib/text.ts";

/** Longest text, in bytes. GitHub takes 1 MiB for the summary of one step (GitHub Docs, "Workflow commands"). */
export const MAX_MARKDOWN_BYTES = 900_000;
/** A report that makes a shorter text, whatever it holds: escaping makes a text six times as long at the most. */
const SHORT_REPORT_BYTES = 100_000;
/** Rows of each list. Nobody reads more of them in a summary. */
const MAX_ROWS = 100;

/** The sign before an outcome. */
export const SIGNS = { good: "✅", open: "⏳", bad: "❌" } as const;

/**
 * Writes a report in Markdown, for the summary of a step on GitHub: the outcome, the failed statement with the way out, the
 * migrations, who waited, the findings. Every text from outside is escaped.
 * @param bundle for the line of the failed statement; null where it is not at hand
 */
export function renderMarkdown(report: Report, bundle: Bundle | null): string {
  const whole = render(report, bundle);
  if (Buffer.byteLength(whole) <= MAX_MARKDOWN_BYTES) return whole;
  return render(fitReport(report, SHORT_REPORT_BYTES), null);
}

function render(report: Report, bundle: Bundle | null): string {
  const { tone, sentence } = outcomeOf(report);
  const blocks = [
    `## ${SIGNS[tone]} ${escaped(sentence)}`,
    placeOf(report),
    ...failure(report.error, bundle),
    ...rehearsed(report),
    ...section("Migrations", migrations(report)),
    ...section("Who waited for whom", waits(report)),
    ...section("Findings", findings(report)),
    ...section("Warnings", warnings(report)),
    `Request ${code(report.requestId)}, ${duration(report.timings.totalMs)}`,
  ];
  return `${blocks.filter(Boolean).join("\n\n")}\n`;
}

function placeOf({ database }: Report): string {
  if (database === null) return "";
  const { name, host, serverVersion, role } = database;
  return escaped(`${name} on ${host}, PostgreSQL ${serverVersion}, as ${role}`);
}

function failure(error: ReportedError | undefined, bundle: Bundle | null): readonly string[] {
  if (error === undefined) return [];
  const { code: name, sqlstate, migration, statement, message, advice, query, retryable } = error;
  const at = statement == null ? "" : `, statement ${statement.index}, line ${statement.line}`;
  const place = migration == null ? "" : ` in ${code(migration)}${at}`;
  const state = sqlstate == null ? "" : ` (SQLSTATE ${escaped(sqlstate)})`;
  const facts = Object.entries({ Detail: error.detail, Hint: error.hint, Where: error.where })
    .filter(([, text]) => typeof text === "string")
    .map(([label, text]) => `- ${label}: ${escaped(text ?? "")}`);
  const again = retryable ? ["Run it again later: nothing has to be changed first."] : [];
  const next = [...again, ...(advice == null ? [] : [escaped(advice)])].join(" ");
  return [
    `### What failed`,
    `**${escaped(name)}**${state}${place}`,
    escaped(message),
    sqlOf(error, bundle),
    facts.join("\n"),
    next === "" ? "" : `**The way out:** ${next}`,
    query == null ? "" : fenced(query),
  ];
}

function sqlOf({ migration, statement }: ReportedError, bundle: Bundle | null): string {
  if (statement == null) return "";
  const sql = bundle?.migrations.find(({ tag }) => tag === migration)?.sql;
  if (sql === undefined) return fenced(statement.excerpt);
  const { shown, indent, carets } = excerpt(hidePasswords(sql), statement);
  const label = `${statement.line} | `;
  return fenced(`${label}${shown}\n${" ".repeat(label.length)}${indent}${carets}`);
}

function migrations({ applied, pending, error, running, drift }: Report): readonly string[] {
  // The answer to `status` lists everything that was ever applied.
  const ran = running === undefined ? applied : [];
  const rows = [
    ...ran.map(({ tag, statements, durationMs }) =>
      row(code(tag), statements, durationMs === null ? "" : duration(durationMs), "applied"),
    ),
    ...pending.map(({ tag, statements, done }) => {
      const state = done === 0 ? "pending" : `${done} of ${statements} done`;
      const isFailed = error?.migration === tag;
      return row(code(tag), statements, "", isFailed ? `**failed**, ${state}` : state);
    }),
    ...drift.modified.map(({ tag }) => row(code(tag), "", "", "modified since it was applied")),
    ...drift.unknown.map(({ name, hash }) =>
      row(code(name ?? hash), "", "", "in the ledger, and in no file"),
    ),
  ];
  if (rows.length === 0) return [];
  return [
    row("migration", "statements", "time", "state"),
    row("---", "---:", "---:", "---"),
    ...listed(rows),
  ];
}

/** What a rehearsal has seen, relation by relation, and what it cannot show. */
function rehearsed({ rehearsal }: Report): readonly string[] {
  if (rehearsal == null) return [];
  const { standstills, rewrites, status, caveats, limits } = rehearsal;
  const of = (table: string | null) => (table === null ? "" : ` of ${code(table)}`);
  const still = standstills.map((each) => {
    const { relation, table, blocks, ms, since, sampled } = each;
    const time = duration(ms);
    return row(
      `${code(relation)}${of(table)}`,
      WHO_WAITS[blocks],
      isOverLimit(each, limits) ? `❌ **${time}**` : time,
      escaped(sizeOf(each)),
      `${code(since.migration)}, statement ${since.statement}${sampled ? ", sampled" : ""}`,
    );
  });
  const header = [
    row("relation", "who waits", "for", "size", "since"),
    row("---", "---", "---:", "---", "---"),
  ];
  const none = status === "failed" ? [] : ["Nothing that was there before would stand still."];
  const anew = rewrites.map(
    ({ relation, table, by, ...size }) =>
      `- ${code(relation)}${of(table)} is written anew by statement ${by.statement} of ${code(by.migration)}: ${escaped(sizeOf(size))}`,
  );
  return [
    "### The rehearsal",
    escaped(
      [branchSentence(rehearsal), costSentence(rehearsal), findingsSentence(rehearsal)]
        .filter((sentence) => sentence !== "")
        .join(" "),
    ),
    escaped(limitSentences(rehearsal).join(" ")),
    (still.length === 0 ? none : [...header, ...listed(still)]).join("\n"),
    listed(anew).join("\n"),
    escaped(caveats.join(" ")),
  ];
}

function waits({ waits: waited, stalls, lockouts }: Report): readonly string[] {
  const namesOf = (sessions: Report["waits"][number]["blockedBy"]) =>
    sessions
      .map(({ pid, gid, application }) =>
        gid === null
          ? `${code(application || "a session without a name")} (pid ${pid})`
          : code(gid),
      )
      .join(", ");
  const at = ({
    migration,
    statement,
  }: Pick<Report["waits"][number], "migration" | "statement">) =>
    migration === null
      ? "Outside of the migrations the run"
      : `${code(migration)}${statement === null ? "" : `, statement ${statement}`}`;
  return [
    ...listed(
      waited.map(
        (wait) =>
          `- ${at(wait)} waited ${duration(wait.durationMs)} for ${namesOf(wait.blockedBy)}`,
      ),
    ),
    ...listed(
      stalls.map(
        (stall) =>
          `- Up to ${counted(stall.sessions, "other session")} waited for the run for ${duration(stall.durationMs)}: ${namesOf(stall.examples)}`,
      ),
    ),
    ...listed(lockouts.map((lockout) => `- ${lockoutSentence(lockout, code)}`)),
  ];
}

function findings({ findings: found }: Report): readonly string[] {
  if (found.length === 0) return [];
  const rows = found.map(({ severity, rule, migration, line, message }) =>
    row(severity, code(rule), `${code(migration)}, line ${line}`, escaped(message)),
  );
  return [
    row("severity", "rule", "place", "finding"),
    row("---", "---", "---", "---"),
    ...listed(rows),
  ];
}

function warnings({ warnings: found }: Report): readonly string[] {
  return listed(found.map(({ code: name, message }) => `- ${code(name)} ${escaped(message)}`));
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`### ${title}`, lines.join("\n")];
}

function listed(lines: readonly string[]): readonly string[] {
  const more = lines.length - MAX_ROWS;
  if (more <= 0) return lines;
  const last = `${more} more are in the report`;
  return [
    ...lines.slice(0, MAX_ROWS),
    lines[0]?.startsWith("|") ? row(last, "", "", "") : `- ${last}`,
  ];
}

/** Writes a row of a table; its cells are Markdown already. */
export function row(...cells: readonly (string | number)[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** Writes a text from outside as code. */
export function code(text: string): string {
  return `<code>${escaped(text)}</code>`;
}

/** Writes every sign that Markdown, HTML or GitHub could read as markup as its number. */
export function escaped(text: string): string {
  return printable(text)
    .replace(
      /[^\p{L}\p{N}\p{M}\p{S}\s,.;?%=/()–—…’“”]|[<>`|~^$+]/gu,
      (sign) => `&#${sign.codePointAt(0)};`,
    )
    .replace(/\n/g, "<br>");
}

/** Writes a text as a block of code, which only a longer fence than any in it can end. */
function fenced(text: string): string {
  const shown = printable(text);
  const longest = Math.max(0, ...(shown.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = "`".repeat(Math.max(longest + 1, 3));
  return `${fence}sql\n${shown}\n${fence}`;
}
