/** What the process ends with; others script against it. */
export const EXIT_CODE = {
  /** Done, or nothing to do. */
  done: 0,
  /** The report, or what was printed, says why. */
  failed: 1,
  /** The command line cannot be understood. */
  usage: 2,
  /** Only with `plan --exit-code`: something is pending. */
  pending: 3,
} as const;
