import type { Colors } from "picocolors/types.js";
import type { SessionFacts } from "../../lib/postgres/activity.ts";
import { counted, oneLine } from "../../lib/text.ts";
import { elapsed, took } from "./elapsed.ts";
import { columnsFor } from "./list-columns.ts";
import { namesOf, sessionLines } from "./sessions.ts";
import { cutText } from "./table.ts";
import { wrapped } from "./wrap.ts";

/** The place where a run is. */
export interface RunPlace {
  readonly migration: string;
  /** Number of the statement, from 1; null where the statements are through. */
  readonly statement: number | null;
  /** The statement's text. */
  readonly text: string;
}

/** A migration of the plan. */
interface Row {
  readonly tag: string;
  readonly statements: number;
  startedMs: number | null;
  /** How long its statements took; null where they are not through. */
  tookMs: number | null;
  isApplied: boolean;
  /** Whether a log has its line. */
  isTold: boolean;
}

/** What a run does beside the statements. */
interface Note {
  readonly text: string;
  /** The number of the next attempt to connect, and the text says why there is one; null for anything else. */
  readonly attempt: number | null;
}

/** The work of a run that began at some time. */
interface Since<What> {
  readonly what: What;
  readonly sinceMs: number;
}

/** The most migrations that are shown while a run goes on, of those that are through. */
const MAX_ROWS = 8;

/**
 * All that is known of a run while it goes on. It hears events, and answers with lines for a person: those that a log would
 * have, one after the other, or the picture of the moment, which a terminal rewrites in place.
 */
export class RunView {
  readonly #colors: Colors;
  readonly #now: () => number;
  readonly #startedMs: number;
  #heading: readonly string[] = [];
  #isAtomic = false;
  #rows: readonly Row[] = [];
  #place: Since<RunPlace> | null = null;
  #waiting: Since<readonly SessionFacts[]> | null = null;
  #note: Since<Note>;
  /** Whether nothing has happened since the note: no plan, no statement and no commit. */
  #isNoted = true;
  /** When the last of those happened. */
  #movedMs: number;

  /**
   * @param doing what happens first
   * @param now tells the time, in ms
   */
  constructor(doing: string, colors: Colors, now: () => number = Date.now) {
    this.#colors = colors;
    this.#now = now;
    this.#startedMs = now();
    this.#movedMs = this.#startedMs;
    this.#note = { what: { text: doing, attempt: null }, sinceMs: this.#startedMs };
  }

  /** There is a plan, or another one. */
  planned(fields: Readonly<Record<string, unknown>>): readonly string[] {
    const before = this.#rows.filter(({ isApplied }) => isApplied);
    const pending = pendingIn(fields.pending);
    const isFirst = this.#heading.length === 0;
    this.#isAtomic = fields.atomic === true;
    this.#rows = [...before, ...pending];
    this.#place = null;
    this.#waiting = null;
    this.#moves();
    if (!isFirst) return [];
    const statements = pending.reduce((sum, each) => sum + each.statements, 0);
    const how = this.#isAtomic ? "in one transaction" : "in several transactions";
    this.#heading = [
      ...headingOf(fields),
      `${counted(pending.length, "migration")} pending, ${counted(statements, "statement")}, ${how}`,
    ];
    return this.#heading;
  }

  #moves(): void {
    this.#isNoted = false;
    this.#movedMs = this.#now();
  }

  /** Whether it has named the database and the ledger. */
  get isHeaded(): boolean {
    return this.#heading.length > 0;
  }

  /** The server has turned to another statement. @returns the line of a migration that is through */
  reached(place: RunPlace): readonly string[] {
    const before = this.#place?.what.migration;
    this.#moves();
    const now = this.#movedMs;
    const isAgain = this.#hasGoneBack(place);
    if (isAgain) this.#forgetUncommitted();
    const row = this.#rowOf(place.migration);
    if (row !== undefined) row.startedMs ??= now;
    this.#place = { what: place, sinceMs: now };
    if (this.#waiting !== null && this.#isBehindWait(place)) this.#waiting = null;
    const isNext = !isAgain && before !== undefined && before !== place.migration;
    const lines = isNext ? this.#through(before) : [];
    return place.statement === null ? [...lines, ...this.#through(place.migration)] : lines;
  }

  /** So many statements of the whole plan are done, and this migration is being applied. */
  counted(migration: string, done: number): readonly string[] {
    const before = this.#rows.slice(0, this.#indexOf(migration));
    const index = done - before.reduce((sum, { statements }) => sum + statements, 0);
    const statement = index < (this.#rowOf(migration)?.statements ?? 0) ? index + 1 : null;
    return this.reached({ migration, statement, text: "" });
  }

  #rowOf(migration: string): Row | undefined {
    return this.#rows.find(({ tag }) => tag === migration);
  }

  /** The place at which the present wait began. */
  #waitsAt: RunPlace | null = null;

  #isBehindWait({ migration, statement }: RunPlace): boolean {
    const at = this.#waitsAt;
    if (at === null) return true;
    const order = this.#indexOf(migration) - this.#indexOf(at.migration);
    return order > 0 || (order === 0 && (statement ?? Infinity) > (at.statement ?? Infinity));
  }

  #indexOf(migration: string): number {
    return this.#rows.findIndex(({ tag }) => tag === migration);
  }

  /** Whether a transaction is sent again. */
  #hasGoneBack({ migration, statement }: RunPlace): boolean {
    const before = this.#place?.what;
    if (before === undefined) return false;
    const order = this.#indexOf(migration) - this.#indexOf(before.migration);
    return order < 0 || (order === 0 && (statement ?? Infinity) < (before.statement ?? Infinity));
  }

  #forgetUncommitted(): void {
    for (const row of this.#rows) {
      if (row.isApplied) continue;
      row.startedMs = null;
      row.tookMs = null;
      row.isTold = false;
    }
  }

  #tell(row: Row): readonly string[] {
    row.isTold = true;
    return [this.#rowLine(row)];
  }

  #through(migration: string): readonly string[] {
    const row = this.#rowOf(migration);
    if (row === undefined || row.isApplied || row.tookMs !== null) return [];
    row.tookMs = this.#now() - (row.startedMs ?? this.#now());
    // Elsewhere the COMMIT comes soon, and has a line.
    return this.#isAtomic ? this.#tell(row) : [];
  }

  /** A migration is committed, and its row is in the ledger. @returns its line, where it was not told */
  applied(tag: string, durationMs: number): readonly string[] {
    const row = this.#rowOf(tag);
    this.#moves();
    if (row === undefined) return [`✓ ${oneLine(tag)}  ${took(durationMs)}`];
    row.isApplied = true;
    row.tookMs = durationMs;
    this.#waiting = null;
    if (this.#place?.what.migration === tag) this.#place = null;
    if (!row.isTold) return this.#tell(row);
    const isLast = this.#rows.every(({ isApplied }) => isApplied);
    return isLast ? [`✓ committed: ${counted(this.#rows.length, "migration")}`] : [];
  }

  /** The run waits for these sessions. @returns lines where it did not wait for them before */
  waits(sessions: readonly SessionFacts[]): readonly string[] {
    const before = this.#waiting;
    const isSame = before !== null && namesOf(before.what) === namesOf(sessions);
    const { sinceMs } = isSame ? before : (this.#place ?? this.#note);
    this.#waiting = { what: sessions, sinceMs };
    if (!isSame) this.#waitsAt = this.#place?.what ?? null;
    return isSame ? [] : ["Waiting for:", ...sessions.flatMap(sessionLines)];
  }

  /** The run does something else than the statements. @returns a line where it did something else before */
  notes(text: string): readonly string[] {
    return this.#noted({ text, attempt: null }) ? [text] : [];
  }

  /**
   * The database has not answered, and is tried again.
   * @param failures the number of attempts that are over
   * @returns a line where it is the first one, or the reason is another one
   */
  retries(reason: string, failures: number): readonly string[] {
    const isNews = this.#noted({ text: reason, attempt: failures + 1 });
    return isNews ? [`${reason}. Trying again (attempt ${failures + 1}).`] : [];
  }

  /** @returns whether it is another note than before */
  #noted(note: Note): boolean {
    const { what: before, sinceMs } = this.#note;
    const isSame = essence(before) === essence(note);
    // Attempts are counted from the first one, whatever their reasons.
    const isRetry = before.attempt !== null && note.attempt !== null;
    const lasts = this.#isNoted && (isSame || isRetry);
    this.#note = { what: note, sinceMs: lasts ? sinceMs : this.#now() };
    this.#isNoted = true;
    return !isSame;
  }

  /** Says what the run does, for somebody who has heard nothing for a while. */
  signOfLife(): string {
    const total = elapsed(this.#now() - this.#startedMs);
    if (this.#waiting !== null) {
      const names = namesOf(this.#waiting.what);
      return `${total}: still waiting for ${names}, ${this.#since(this.#waiting)} so far`;
    }
    if (this.#place === null) {
      const { what, detail } = this.#doing();
      return `${total}: ${what}${detail === null ? "" : `: ${detail}`}`;
    }
    const { migration } = this.#place.what;
    return `${total}: still in ${oneLine(migration)}, ${this.#statement()}`;
  }

  /** Draws the moment. @param width of the terminal */
  frame(width: number): readonly string[] {
    const { dim, yellow } = this.#colors;
    const columns = width - 1;
    const fits = (text: string) => cutText(text, columns);
    const through = this.#rows.filter((row) => row.tookMs !== null);
    const hidden = Math.max(through.length - MAX_ROWS, 0);
    const rest = this.#rows.filter((row) => row.tookMs === null && row.tag !== this.#shownTag());
    return [
      ...this.#heading.flatMap((line) =>
        wrapped(line, columns)
          .split("\n")
          .map((part) => dim(fits(part))),
      ),
      ...(hidden === 0 ? [] : [dim(fits(`  ${hidden} more are through`))]),
      ...through.slice(hidden).map((row) => this.#paint(row, fits(this.#rowLine(row)))),
      ...this.#present().map((line) => yellow(fits(line))),
      ...(this.#waiting === null ? [] : this.#waitLines(this.#waiting).map((line) => fits(line))),
      ...(rest.length > 0 ? [dim(fits(`· ${rest.length} more pending`))] : []),
    ];
  }

  /** The migration whose line begins with a triangle; null where no line does, or it tells something else. */
  #shownTag(): string | null {
    if (this.#isNoted && this.#waiting === null) return null;
    return this.#place?.what.migration ?? this.#next()?.tag ?? null;
  }

  #next(): Row | undefined {
    return this.#rows.find((row) => row.tookMs === null);
  }

  #present(): readonly string[] {
    if (this.#place !== null && (!this.#isNoted || this.#waiting !== null)) {
      return [`▸ ${oneLine(this.#place.what.migration)}  ${this.#statement()}`];
    }
    if (this.#waiting !== null) return [];
    const { what, detail, sinceMs } = this.#doing();
    const first = `▸ ${what}  ${elapsed(this.#now() - sinceMs)}`;
    return detail === null ? [first] : [first, `  ${detail}`];
  }

  /** Says what the run does where it is in no statement. */
  #doing(): Since<string> & { readonly detail: string | null } {
    if (!this.#isNoted) {
      const what = oneLine(this.#next()?.tag ?? "Closing the session");
      return { what, detail: null, sinceMs: this.#movedMs };
    }
    const { sinceMs } = this.#note;
    const { text, attempt } = this.#note.what;
    return attempt === null
      ? { what: text, detail: null, sinceMs }
      : { what: `Connecting, attempt ${attempt}`, detail: text, sinceMs };
  }

  #statement(): string {
    if (this.#place === null) return "";
    const { migration, statement, text } = this.#place.what;
    const of = this.#rowOf(migration)?.statements;
    if (statement === null) return `committing  ${this.#since(this.#place)}`;
    const number = of === undefined ? `${statement}` : `${statement} of ${of}`;
    const line = oneLine(text.trim().replace(/\s+/g, " "));
    // A statement that waits is sent again and again, and its time would begin with each attempt.
    const since = this.#waiting === null ? `${this.#since(this.#place)}  ` : "";
    return `${number}  ${since}${line}`.trimEnd();
  }

  #waitLines(waiting: Since<readonly SessionFacts[]>): readonly string[] {
    return [
      `  waiting for ${this.#since(waiting)}, until these are done:`,
      ...waiting.what.flatMap(sessionLines),
    ];
  }

  #since({ sinceMs }: Since<unknown>): string {
    return elapsed(this.#now() - sinceMs);
  }

  #rowLine({ tag, statements, tookMs, isApplied }: Row): string {
    const columns = columnsFor(this.#rows.map((row) => ({ ...row, tag: oneLine(row.tag) })));
    const end = isApplied ? "" : this.#isAtomic ? "  not committed yet" : "  has run";
    const size = `${columns.tag(oneLine(tag))}  ${columns.size(statements)}`;
    return `${isApplied ? "✓" : "·"} ${size}  ${took(tookMs ?? 0).padStart(7)}${end}`;
  }

  #paint({ isApplied }: Row, line: string): string {
    const { green, yellow, dim } = this.#colors;
    return `${(isApplied ? green : yellow)(line.slice(0, 1))}${dim(line.slice(1))}`;
  }
}

function headingOf(fields: Readonly<Record<string, unknown>>): readonly string[] {
  const { database, host, serverVersion, role, ledger } = fields;
  if (typeof database !== "string") return [];
  return [
    oneLine(`${database} on ${host}, PostgreSQL ${serverVersion}, as ${role}, ledger ${ledger}`),
  ];
}

function pendingIn(value: unknown): readonly Row[] {
  if (!Array.isArray(value)) return [];
  return value.map((each) => {
    const { tag, statements } = Object(each);
    return {
      ...{ tag: String(tag), statements: Number(statements) },
      ...{ startedMs: null, tookMs: null, isApplied: false, isTold: false },
    };
  });
}

/** Returns what makes a note another one: a time that it tells does not. */
function essence({ text, attempt }: Note): string {
  return `${attempt === null} ${text.replace(/\d+ m?s\b/g, "")}`;
}
