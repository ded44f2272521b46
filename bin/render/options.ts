import type { Colors } from "picocolors/types.js";
import type { Bundle } from "../../lib/bundle/bundle.ts";

/** What a renderer of reports needs beside the report. */
export interface RenderOptions {
  readonly action: "up" | "plan" | "status" | "rehearse";
  /** The folder of the migrations' files, for `file:line:column`; null where no file is at hand, as in Lambda. */
  readonly folder: string | null;
  /** The bundle, for the line of an error as its file has it; null where the folder could not be compiled. */
  readonly bundle: Bundle | null;
  /** Picocolors, or its `createColors(false)`. */
  readonly colors: Colors;
  /** Columns of the terminal. Default: no limit. */
  readonly width?: number;
  /** Whether a plan shows its statements as a whole. */
  readonly sql?: boolean;
  /** Whether times and round trips are shown. */
  readonly verbose?: boolean;
  /** Whether a reader has the names of database and ledger already. */
  readonly isHeaded?: boolean;
  /** Whether a reader has the list of what was applied already. */
  readonly isListed?: boolean;
  /** Whether only warnings and errors are shown. */
  readonly quiet?: boolean;
}
