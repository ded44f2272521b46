import type { Report } from "../lib/report/report.ts";

/**
 * The exit codes of the process. They stay the same, because scripts depend on them. Others are made elsewhere: 128 and the
 * number of the signal in `endings.ts`, and 9 by Node itself. Node looks for the file of `--env-file` in the words behind
 * the script, too, before our code runs (nodejs/node issue 54232; all versions up to 26).
 */
export const EXIT_CODE = {
  /** Done, or nothing to do. */
  done: 0,
  /** The report, or the printed text, says why. */
  failed: 1,
  /** The command line cannot be understood. */
  usage: 2,
  /** Only with `--exit-code`: something is pending. */
  pending: 3,
} as const;

/** Returns the exit code for a report. */
export function exitCodeFor(
  { status, pending }: Pick<Report, "status" | "pending">,
  tellPending: boolean,
): number {
  if (status === "failed") return EXIT_CODE.failed;
  return tellPending && pending.length > 0 ? EXIT_CODE.pending : EXIT_CODE.done;
}
