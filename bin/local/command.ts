import { randomUUID } from "node:crypto";
import pc from "picocolors";
import { failedReport } from "../../lib/report/report.ts";
import { printableJson } from "../../lib/text.ts";
import { serve } from "../../local/serve.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { renderReport } from "../render/report.ts";

/** The options of `local`. */
export interface LocalOptions {
  readonly folder: string;
  readonly json: boolean;
}

/**
 * Runs the stand-ins of `local/` until a signal ends them.
 * @returns the exit code
 */
export async function localCommand({ folder, json }: LocalOptions): Promise<number> {
  try {
    await serve({ folder });
    return EXIT_CODE.done;
  } catch (thrown) {
    const report = failedReport(randomUUID(), thrown);
    console.error(
      json
        ? printableJson(report, 2)
        : renderReport(report, { action: "plan", folder, bundle: null, colors: pc }),
    );
    return EXIT_CODE.failed;
  }
}
