import type { Colors } from "picocolors/types.js";
import type { Bundle } from "../../lib/bundle/bundle.ts";

/** How a report is shown to a person. */
export interface RenderOptions {
  readonly action: "up" | "plan" | "status";
  /** Where the migrations' files are, for `file:line:column`; null where there are none, as in Lambda. */
  readonly folder: string | null;
  /** Shows the line of an error as it stands in its file; null where the folder could not be compiled. */
  readonly bundle: Bundle | null;
  /** Picocolors, or what its `createColors(false)` returns. */
  readonly colors: Colors;
}
