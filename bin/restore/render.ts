import type { Report } from "../../lib/report/report.ts";
import type { Restored } from "../../lib/restore/restore.ts";
import { ago } from "../render/ago.ts";
import { renderError } from "../render/error.ts";
import type { RenderOptions } from "../render/options.ts";
import { lineTexts } from "../render/printable.ts";
import { renderReport } from "../render/report.ts";
import { wrapped } from "../render/wrap.ts";

/** The answer of `restore`. */
export interface RestoreAnswer extends Restored {
  readonly schemaVersion: 1;
  readonly requestId: string;
  /** Production behind a restore in place; null where there was none. */
  readonly status: Report | null;
}

type Options = Pick<RenderOptions, "folder" | "colors" | "width">;

/** Renders the answer of `restore` for a person. Pure. */
export function renderRestore({ status, ...raw }: RestoreAnswer, options: Options): string {
  const { colors, width } = options;
  const answer = lineTexts(raw);
  const lines = [pointLine(answer), ...WHAT[answer.kind](answer, colors)];
  const asked =
    status === null
      ? []
      : [renderReport(status, { ...options, action: "status", bundle: null, isHeaded: true })];
  return [...lines.map((line) => wrapped(line, width)), ...asked].join("\n");
}

/** Renders a failure for a person. Pure. */
export function renderRestoreFailure(report: Report, options: Options): string {
  const { error } = report;
  if (error === undefined) return "";
  const about = { ...options, action: "status", bundle: null } as const;
  return renderError(report, error, about).join("\n");
}

type Answer = Omit<RestoreAnswer, "status">;
type Colors = RenderOptions["colors"];

const WHAT: Readonly<
  Record<Answer["kind"], (answer: Answer, colors: Colors) => readonly string[]>
> = { branch: branchLines, shown: shownLines, restored: restoredLines };

/** Says which moment it is. */
function pointLine({ point, agoMs }: Answer): string {
  const { time, lsn, run } = point;
  const at = `${time}${lsn === null ? "" : ` (${lsn})`}, ${ago(agoMs)} ago`;
  if (run === null) return `The state of ${at}`;
  const { requestId, by, migrations } = run;
  const applied = migrations.length === 0 ? "nothing" : migrations.join(", ");
  return `The state before the run ${requestId}${by === "" ? "" : ` of ${by}`}, which applied ${applied}: ${at}`;
}

function branchLines({ branch, production }: Answer, colors: Colors): readonly string[] {
  if (branch === null) return [];
  const { id, name, host, database, role, samePasswords, expiresAt } = branch;
  const password = samePasswords
    ? `The password is that of ${role} on ${production.name}.`
    : `${production.name} is protected, so ${role} has a new password on the branch.`;
  const until =
    expiresAt === null ? "It stays until you delete it." : `It expires at ${expiresAt}.`;
  return [
    colors.green(`✓ It is in the new branch ${name} (${id}). ${production.name} was not touched.`),
    `Connect to postgres://${role}@${host}/${database}`,
    `${password} Neon's console shows the connection string of the branch, under Connect.`,
    colors.dim(until),
  ];
}

function shownLines(answer: Answer, colors: Colors): readonly string[] {
  const { production, preservedName, agoMs, windowSeconds } = answer;
  return [
    `Branch ${production.name} (${production.branchId}) on ${production.host} would get that state.`,
    `All that was written in the ${ago(agoMs)} since moves to a new branch, ${preservedName}-… It is not deleted, and not in ${production.name}.`,
    "Every session is ended. The host, the roles and the database's name stay.",
    `Neon keeps the last ${ago(windowSeconds * 1_000)} of this project.`,
    colors.yellow("Nothing was changed. Repeat with --yes to do it."),
  ];
}

function restoredLines({ production, preservedName }: Answer, colors: Colors): readonly string[] {
  return [
    colors.green(`✓ ${production.name} has that state again.`),
    `What was written since is in the branch ${preservedName}.`,
  ];
}
