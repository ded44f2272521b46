import type { Bundle } from "../../lib/bundle/bundle.ts";
import type { Report } from "../../lib/report/report.ts";
import { printable } from "../../lib/text.ts";

/**
 * Returns a folder's migrations without those of which a report means another text: their SQL is not what would run. Says on
 * standard error which these are.
 */
export function asReported(bundle: Bundle, { pending, applied }: Report): Bundle {
  const reported = [...pending, ...applied];
  const own = new Map(bundle.migrations.map(({ tag, hash }) => [tag, hash]));
  const others = reported.filter(({ tag, hash }) => own.get(tag) !== hash).map(({ tag }) => tag);
  if (others.length > 0) {
    const shown = others.slice(0, 5).join(", ");
    const more = others.length > 5 ? ` and ${others.length - 5} more` : "";
    console.error(
      printable(
        `The folder does not have ${shown}${more} as the report means it. The SQL is not shown.`,
      ),
    );
  }
  return { ...bundle, migrations: bundle.migrations.filter(({ tag }) => !others.includes(tag)) };
}
