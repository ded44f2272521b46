import type { Rehearsal, Rewrite, Standstill } from "../report/rehearsed.ts";
import type { Report } from "../report/report.ts";
import { counted } from "../text.ts";
import { type Html, html } from "./html.ts";
import { duration } from "./outcome.ts";

/** The work of others that waits, in words. */
export const WHO_WAITS: Readonly<Record<Standstill["blocks"], string>> = {
  reads: "reads and writes",
  writes: "writes",
  ddl: "other DDL, VACUUM",
};

/** The longest list of relations. The longest standstills come first. */
const MAX_RELATIONS = 100;

/** What a rehearsal has seen: relation by relation what would stand still, what is written anew, and what it cannot show. */
export function rehearsalSection({ rehearsal }: Report): Html | null {
  if (rehearsal == null) return null;
  const { standstills, rewrites, caveats, limits } = rehearsal;
  const still = standstills.slice(0, MAX_RELATIONS).map((each) => {
    const { relation, table, blocks, ms, since, sampled } = each;
    const isOver = isOverLimit(each, limits);
    const most = isOver ? `, at most ${duration(limits.blockedMs ?? 0)}` : "";
    const tone = blocks === "ddl" ? "good" : isOver ? "bad" : "open";
    return html`<li><p><code>${relation}</code>${ofTable(table)} <span class="pill ${tone}">${WHO_WAITS[blocks]} wait ${duration(ms)}${most}</span></p>
<p class="dim">${sampled ? "sampled during" : "from"} statement ${since.statement} of ${since.migration}${sampled ? "" : " to the COMMIT"} · ${sizeOf(each)}</p></li>`;
  });
  const held = limitSentences(rehearsal).map((each) => html`<p>${each}</p>`);
  const anew = rewrites
    .slice(0, MAX_RELATIONS)
    .map(
      ({ relation, table, by, ...of }) =>
        html`<li><code>${relation}</code>${ofTable(table)} is written anew by statement ${by.statement} of ${by.migration} · ${sizeOf(of)}</li>`,
    );
  // What was rolled back has held no lock to its COMMIT.
  const none =
    rehearsal.status === "failed" || still.length > 0
      ? null
      : html`<p>Nothing that was there before would stand still.</p>`;
  return html`<section aria-labelledby="rehearsed"><h2 id="rehearsed">The rehearsal</h2>
<p>${branchSentence(rehearsal)} ${costSentence(rehearsal)} ${findingsSentence(rehearsal)}</p>${held}${none}
<ul class="list">${still}${moreThan(standstills)}${anew}${moreThan(rewrites)}</ul>
<details><summary>What it cannot show</summary><ul>${caveats.map((each) => html`<li>${each}</li>`)}</ul></details></section>`;
}

function moreThan({ length }: readonly unknown[]): Html | null {
  const more = length - MAX_RELATIONS;
  return more <= 0 ? null : html`<li>${more} more in the report</li>`;
}

function ofTable(table: string | null): string {
  return table === null ? "" : ` of ${table}`;
}

/** Names the branch, and says what became of it. */
export function branchSentence({ branch }: Rehearsal): string {
  const end = branch.deleted ? "is deleted again" : `expires at ${branch.expiresAt}`;
  return `The branch ${branch.name} of ${branch.parentId} ${end}.`;
}

/** Says in one sentence how much work the statements were. */
export function costSentence({ statements, walBytes, sizeBefore, sizeAfter }: Rehearsal): string {
  const ms = statements.reduce((sum, each) => sum + each.ms, 0);
  const log = walBytes === null ? "" : `, ${bytesText(walBytes)} of write-ahead log`;
  const grown =
    sizeAfter === null ? "" : `, the database ${bytesText(sizeBefore)} → ${bytesText(sizeAfter)}`;
  return `${counted(statements.length, "statement")} in ${duration(ms)}${log}${grown}.`;
}

/** Whether reads or writes stand still for longer than the request allows. */
export function isOverLimit(
  { blocks, ms }: Pick<Standstill, "blocks" | "ms">,
  { blockedMs }: Rehearsal["limits"],
): boolean {
  return blockedMs !== null && blocks !== "ddl" && ms > blockedMs;
}

/** Holds what was seen against each limit of the request; a rehearsal that failed has seen too little. */
export function limitSentences({
  status,
  limits: { blockedMs, totalMs },
  standstills,
  statements,
}: Rehearsal): readonly string[] {
  if (status === "failed") return [];
  const longestMs = Math.max(
    0,
    ...standstills.map((each) => (each.blocks === "ddl" ? 0 : each.ms)),
  );
  const allMs = statements.reduce((sum, { ms }) => sum + ms, 0);
  return [
    { what: "The longest standstill", ms: longestMs, mostMs: blockedMs },
    { what: "The time of all statements", ms: allMs, mostMs: totalMs },
  ].flatMap(({ what, ms, mostMs }) => {
    if (mostMs === null) return [];
    const verdict = ms > mostMs ? "exceeds" : "keeps";
    return [`${what}, ${duration(ms)}, ${verdict} its limit of ${duration(mostMs)}.`];
  });
}

/** Says which findings about locks and rewrites were confirmed; empty without such findings. */
export function findingsSentence({ findings }: Rehearsal): string {
  const graded = findings.filter(({ seen }) => seen !== null);
  if (graded.length === 0) return "";
  const unseen = graded.filter(({ seen }) => seen === false);
  const places = unseen.map(
    ({ rule, migration, statement }) => `${rule} (statement ${statement} of ${migration})`,
  );
  const rest = unseen.length === 0 ? "" : ` Not seen: ${places.join(", ")}.`;
  const confirmed = graded.length - unseen.length;
  return `${confirmed} of ${counted(graded.length, "finding")} about locks and rewrites confirmed.${rest}`;
}

/** Writes the size of a relation: `49.7 MB, 200,000 rows`. */
export function sizeOf({ bytes, rows }: Pick<Rewrite, "bytes" | "rows">): string {
  return `${bytesText(bytes)}${rows === null ? "" : `, ${counted(Math.round(rows), "row")}`}`;
}

/** Writes a number of bytes for a person, in units of 1,000: `340 bytes`, `49.7 MB`. */
export function bytesText(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
