import type { Colors } from "picocolors/types.js";
import { APPLICATION_PREFIX } from "../../lib/connection/connection.ts";
import { describeQuery, endStatement, type SessionFacts } from "../../lib/postgres/activity.ts";
import { counted, oneLine } from "../../lib/text.ts";

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
  #note: Since<string>;

  /**
   * @param doing what happens first
   * @param now tells the time, in ms
   */
  constructor(doing: string, colors: Colors, now: () => number = Date.now) {
    this.#colors = colors;
    this.#now = now;
    this.#startedMs = now();
    this.#note = { what: doing, sinceMs: this.#startedMs };
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
    if (!isFirst) return [];
    const statements = pending.reduce((sum, each) => sum + each.statements, 0);
    const how = this.#isAtomic ? "in one transaction" : "in several transactions";
    this.#heading = [
      ...headingOf(fields),
      `${counted(pending.length, "migration")} pending, ${counted(statements, "statement")}, ${how}`,
    ];
    return this.#heading;
  }

  /** Whether it has named the database and the ledger. */
  get isHeaded(): boolean {
    return this.#heading.length > 0;
  }

  /** The server has turned to another statement. @returns the line of a migration that is through */
  reached(place: RunPlace): readonly string[] {
    const before = this.#place?.what.migration;
    const now = this.#now();
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
    if (row === undefined) return [`✓ ${oneLine(tag)}  ${durationMs} ms`];
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

  /** The run does something else than the statements. */
  notes(text: string): readonly string[] {
    const isSame = this.#note.what === text;
    this.#note = { what: text, sinceMs: isSame ? this.#note.sinceMs : this.#now() };
    return [text];
  }

  /** Says what the run does, for somebody who has heard nothing for a while. */
  signOfLife(): string {
    const total = elapsed(this.#now() - this.#startedMs);
    if (this.#waiting !== null) {
      const names = this.#waiting.what.map(nameOf).join(", ");
      return `${total}: still waiting for ${names}, ${this.#since(this.#waiting)} so far`;
    }
    if (this.#place === null) return `${total}: ${this.#note.what}`;
    const { migration } = this.#place.what;
    return `${total}: still in ${oneLine(migration)}, ${this.#statement()}`;
  }

  /** Draws the moment. @param width of the terminal */
  frame(width: number): readonly string[] {
    const { dim, yellow } = this.#colors;
    const fits = (text: string) => cut(text, width - 1);
    const through = this.#rows.filter((row) => row.tookMs !== null);
    const hidden = Math.max(through.length - MAX_ROWS, 0);
    const rest = this.#rows.length - through.length - (this.#place === null ? 0 : 1);
    return [
      ...this.#heading.map((line) => dim(fits(line))),
      ...(hidden === 0 ? [] : [dim(fits(`  ${hidden} more are through`))]),
      ...through.slice(hidden).map((row) => this.#paint(row, fits(this.#rowLine(row)))),
      ...this.#present().map((line) => yellow(fits(line))),
      ...(this.#waiting === null ? [] : this.#waitLines(this.#waiting).map((line) => fits(line))),
      ...(rest > 0 ? [dim(fits(`· ${rest} more pending`))] : []),
    ];
  }

  #present(): readonly string[] {
    const isLast = this.#place !== null && this.#note.sinceMs <= this.#place.sinceMs;
    if (this.#place !== null && (isLast || this.#waiting !== null)) {
      return [`▸ ${oneLine(this.#place.what.migration)}  ${this.#statement()}`];
    }
    return this.#waiting === null ? [`▸ ${this.#note.what}  ${this.#since(this.#note)}`] : [];
  }

  #statement(): string {
    if (this.#place === null) return "";
    const { migration, statement, text } = this.#place.what;
    const of = this.#rowOf(migration)?.statements;
    if (statement === null) return `committing  ${this.#since(this.#place)}`;
    const number = of === undefined ? `${statement}` : `${statement} of ${of}`;
    const line = oneLine(text.trim().replace(/\s+/g, " "));
    return `${number}  ${this.#since(this.#place)}  ${line}`.trimEnd();
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
    const width = Math.max(...this.#rows.map((row) => row.tag.length));
    const size = `${oneLine(tag).padEnd(width)}  ${counted(statements, "statement").padEnd(14)}`;
    const end = isApplied ? "" : this.#isAtomic ? "  not committed yet" : "  has run";
    return `${isApplied ? "✓" : "·"} ${size}  ${`${tookMs ?? 0} ms`.padStart(8)}${end}`;
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

function namesOf(sessions: readonly SessionFacts[]): string {
  return sessions.map(nameOf).join(", ");
}

function nameOf({ pid, gid = null, application }: SessionFacts): string {
  if (gid !== null) return `the prepared transaction ${oneLine(gid)}`;
  return application === null || application === ""
    ? `pid ${pid}`
    : `${oneLine(application)} (pid ${pid})`;
}

/** Describes a session in lines that mostly fit: who it is, since when, its statement, and how to end it. */
function sessionLines(session: SessionFacts): readonly string[] {
  const { role, since, state, stateSeconds, application, gid = null } = session;
  const times = [
    ...(since === null ? [] : [`since ${since}`]),
    ...(state === null ? [] : [`${state} for ${stateSeconds ?? 0} s`]),
  ];
  // To end another run is seldom what one wants.
  const isRun = gid === null && application?.startsWith(APPLICATION_PREFIX) === true;
  const facts = [
    ...(times.length === 0 ? [] : [times.join(", ")]),
    ...describeQuery(session),
    ...(isRun ? [] : [`to end it: ${endStatement(session)}`]),
  ];
  const who = role === null ? nameOf(session) : `${nameOf(session)}, role ${oneLine(role)}`;
  return [`    ${who}`, ...facts.map((fact) => `      ${oneLine(fact)}`)];
}

/** Says how long something takes, for a person who waits. */
function elapsed(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

function cut(text: string, width: number): string {
  const characters = Array.from(text);
  if (characters.length <= width) return text;
  return `${characters.slice(0, Math.max(width - 1, 0)).join("")}…`;
}
