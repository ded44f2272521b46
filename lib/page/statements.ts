import { type Bundle, type Migration, statementText } from "../bundle/bundle.ts";
import { locksOf, type StatementLocks } from "../bundle/statement-locks.ts";
import type { Report } from "../report/report.ts";
import { hidePasswords, shortened } from "../text.ts";
import { type Html, html } from "./html.ts";

/** No reader needs more of one statement on a page. */
const MAX_SQL_LENGTH = 4_000;

/** The statements of a bundle, for those who want to see them. Without a bundle there are none. */
export class Statements {
  readonly #migrations: ReadonlyMap<string, Migration>;
  readonly #locks: StatementLocks;

  constructor(bundle: Bundle | null, { applied, pending }: Report) {
    const tags = new Set([...applied, ...pending].map(({ tag }) => tag));
    const migrations = (bundle?.migrations ?? []).filter(({ tag }) => tags.has(tag));
    this.#migrations = new Map(migrations.map((each) => [each.tag, each]));
    this.#locks = locksOf(migrations, pending);
  }

  /** Returns the statements of a migration, each with what it locks; null without a bundle. */
  list(tag: string, done = 0): Html | null {
    const migration = this.#migrations.get(tag);
    if (migration === undefined) return null;
    // Short markup: of these there may be thousands.
    const rows = migration.statements.map((statement, index) => {
      const sql = shortened(hidePasswords(statementText(migration, statement)), MAX_SQL_LENGTH);
      const locks = this.#locks
        .linesFor(tag, index)
        .map(({ text, blocks }) => html`<p${blocks ? html` class=w` : null}>${text}</p>`);
      const state = index < done ? "done" : "left to do";
      return html`<li><pre>${sql}</pre>${done === 0 ? null : html`<p>${state}</p>`}${locks}</li>`;
    });
    return html`<ol class="sql">${rows}</ol>`;
  }

  /** Whether there is any SQL to show. */
  get hasAny(): boolean {
    return this.#migrations.size > 0;
  }
}

/** Makes a row that opens where there is more to see, and a plain one otherwise. */
export function openable(head: Html, more: Html | null): Html {
  return more === null
    ? html`<li><div class="row">${head}</div></li>`
    : html`<li><details><summary class="row">${head}</summary>${more}</details></li>`;
}
