import { createHash } from "node:crypto";
import { Html, html } from "./html.ts";
import type { Outcome } from "./outcome.ts";
import { STYLE } from "./style.ts";

/** The parts of a page that differ from one kind to the next. */
export interface PageParts {
  /** What made it, for the title and the foot: `neon-migrate`. */
  readonly maker: string;
  readonly outcome: Outcome;
  /** Where it was, in a line above the sentence of the outcome. */
  readonly place: string;
  readonly body: readonly (Html | null)[];
  /** Stands in the foot, behind the maker. */
  readonly foot: Html;
}

/** The policy of a page: its own style, and nothing else, from nowhere. */
export function contentSecurityPolicy(): string {
  const hash = createHash("sha256").update(STYLE).digest("base64");
  return `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
}

/** Makes the text of a page. */
export function pageOf({ maker, outcome, place, body, foot }: PageParts): string {
  const { tone, label, sentence } = outcome;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${contentSecurityPolicy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${sentence} ${maker}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<header><p><span class="pill ${tone}">${label}</span> ${place}</p>
<h1>${sentence}</h1></header>
<main>
${body}
</main>
<footer><p>${maker} · ${foot}</p></footer>
</body>
</html>
`.markup;
}
