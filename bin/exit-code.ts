import type { Report } from "../lib/report/report.ts";

/** What the process ends with; others script against it. */
export const EXIT_CODE = {
  /** Done, or nothing to do. */
  done: 0,
  /** The report, or what was printed, says why. */
  failed: 1,
  /** The command line cannot be understood. */
  usage: 2,
  /** Only with `--exit-code`: something is pending. */
  pending: 3,
} as const;

/** What a report ends the process with. */
export function exitCodeFor(
  { status, pending }: Pick<Report, "status" | "pending">,
  tellPending: boolean,
): number {
  if (status === "failed") return EXIT_CODE.failed;
  return tellPending && pending.length > 0 ? EXIT_CODE.pending : EXIT_CODE.done;
}
