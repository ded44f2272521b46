import type { Colors } from "picocolors/types.js";
import type { Bundle } from "../../lib/bundle/bundle.ts";

/** The settings for showing a report to a person. */
export interface RenderOptions {
  readonly action: "up" | "plan" | "status";
  /** The folder of the migrations' files, for `file:line:column`; null where no file is at hand, as in Lambda. */
  readonly folder: string | null;
  /** The bundle, for the line of an error as its file has it; null where the folder could not be compiled. */
  readonly bundle: Bundle | null;
  /** Picocolors, or its `createColors(false)`. */
  readonly colors: Colors;
}
