import { join } from "node:path";
import { type Bundle, type Migration, migrationFile } from "../bundle/bundle.ts";
import { describeFinding, findingsOf, type ReportedFinding } from "../bundle/finding.ts";

/** A finding and its file. */
export interface FiledFinding extends ReportedFinding {
  readonly file: string;
}

/** Returns the migrations of a bundle that `check` looks at. @param since tags of the new ones; null: all of them */
export function checkedMigrations(
  { migrations }: Bundle,
  since: readonly string[] | null,
): readonly Migration[] {
  return migrations.filter(({ tag }) => since?.includes(tag) ?? true);
}

/**
 * Returns the findings of a bundle, by its texts alone. Pure.
 * @param since tags of the migrations that are deployed together; null: all, each as a deployment of its own
 */
export function findingsByText(
  bundle: Bundle,
  since: readonly string[] | null,
): readonly ReportedFinding[] {
  const checked = checkedMigrations(bundle, since);
  // Deployed one by one, no migration sees a table of another as new.
  const placed =
    since === null ? checked.flatMap((each) => findingsOf([each])) : findingsOf(checked);
  return placed.map((each) => describeFinding(each));
}

/** Adds to each finding its file. Pure. */
export function fileFindings(
  findings: readonly ReportedFinding[],
  { layout }: Bundle,
  folder: string,
): readonly FiledFinding[] {
  return findings.map((each) => ({
    ...each,
    file: join(folder, migrationFile(layout, each.migration)),
  }));
}
