import type { Bundle } from "../bundle/bundle.ts";
import { excerpt } from "../bundle/text-position.ts";
import type { Report, ReportedError } from "../report/report.ts";
import { hidePasswords } from "../text.ts";
import { type Html, html } from "./html.ts";

/** Shows a failure: its place, the statement with a caret, PostgreSQL's words, and the way out. */
export function failureSection({ error }: Report, bundle: Bundle | null): Html | null {
  if (error === undefined) return null;
  const { code, sqlstate, message, detail, hint, where, advice, query, retryable } = error;
  const facts: readonly (readonly [string, string | null])[] = [
    ["Detail", detail],
    ["Hint", hint],
    ["Where", where],
  ];
  const shown = facts
    .filter(([, text]) => typeof text === "string")
    .map(([name, text]) => html`<dt>${name}</dt><dd class="text">${text}</dd>`);
  const state = typeof sqlstate === "string" ? html` · SQLSTATE <code>${sqlstate}</code>` : null;
  const asks =
    typeof query === "string"
      ? html`<p>A query that shows the rows in the way:</p>${codeBlock(query)}`
      : null;
  return html`<section class="failure" aria-labelledby="failure"><h2 id="failure">What failed</h2>
<p><code class="code">${code}</code>${state}${placeOf(error)}</p>
<p class="text">${message}</p>
${sqlOf(error, bundle)}
${shown.length === 0 ? null : html`<dl class="facts">${shown}</dl>`}
${wayOut(advice, retryable)}${asks}
</section>`;
}

function wayOut(advice: string | null, retryable: boolean): Html | null {
  const again = retryable ? "Run it again later: nothing has to be changed first." : "";
  const text = [again, advice ?? ""].filter(Boolean).join(" ");
  return text === "" ? null : html`<h3>The way out</h3><p class="text">${text}</p>`;
}

function placeOf({ migration, statement }: ReportedError): Html | null {
  if (migration === null) return null;
  const at =
    statement === null
      ? ""
      : `, statement ${statement.index}, line ${statement.line}, column ${statement.column}`;
  return html` · ${migration}${at}`;
}

function sqlOf({ migration, statement }: ReportedError, bundle: Bundle | null): Html | null {
  if (statement === null) return null;
  const sql = bundle?.migrations.find(({ tag }) => tag === migration)?.sql;
  if (sql === undefined) return codeBlock(statement.excerpt);
  const { shown, indent, carets } = excerpt(hidePasswords(sql), statement);
  const label = `${statement.line} | `;
  return html`${codeBlock(`${label}${shown}\n${" ".repeat(label.length)}${indent}${carets}`)}<details><summary>The whole statement</summary>${codeBlock(statement.excerpt)}</details>`;
}

function codeBlock(text: string): Html {
  return html`<pre tabindex="0"><code>${text}</code></pre>`;
}
