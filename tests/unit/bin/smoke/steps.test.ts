import { describe, expect, test } from "vitest";
import { failed, lastOf } from "../../../../bin/smoke/steps.ts";

const REASON =
  "Received response status [FAILED] from custom resource. Message returned: UNREACHABLE: No answer.";

describe("the end of a deployment that failed, in CDK's output", () => {
  test.each([
    [
      "a list of events that is cut off at 23 characters",
      `S | 1/2 | UPDATE_FAILED | Custom::NeonMigrations | ${REASON}
S | 2/2 | UPDATE_ROLLBACK_IN_PROG | AWS::CloudFormation::Stack | S
S | 2/2 | UPDATE_ROLLBACK_COMPLET | AWS::CloudFormation::Stack | S`,
      "UPDATE_ROLLBACK_COMPLETE for UNREACHABLE",
    ],
    [
      "a list of events that is cut off at 20",
      `S | 2/2 | UPDATE_ROLLBACK_IN_P | S\nS | 2/2 | UPDATE_ROLLBACK_COMP | S\n${REASON}`,
      "UPDATE_ROLLBACK_COMPLETE for UNREACHABLE",
    ],
    [
      "the sentence of an older CDK alone",
      `❌  S failed: Error: The stack named S failed creation, it may need to be manually deleted: ROLLBACK_COMPLETE: ${REASON}`,
      "ROLLBACK_COMPLETE for UNREACHABLE",
    ],
    [
      "a rollback that failed",
      `S | UPDATE_ROLLBACK_IN_PROG | S\nS | UPDATE_ROLLBACK_FAILED | S`,
      "UPDATE_ROLLBACK_FAILED",
    ],
    [
      "another custom resource",
      "Message returned: HTTP_500: no. UPDATE_ROLLBACK_COMPLETE",
      "UPDATE_ROLLBACK_COMPLETE",
    ],
    ["no stack at all", "❌ AccessDenied: no identity-based policy allows it", "not deployed"],
    ["a rollback that goes on", "S | UPDATE_ROLLBACK_IN_PROGRESS | S", "not deployed"],
  ])("%s", (_, output, seen) => {
    expect(failed({ output }).seen).toBe(seen);
  });

  test("is shown from CDK's mark on, without the places of its own code", () => {
    const output = `S: deploying...\n\n❌  S failed to deploy\n‣ DeploymentError: no\n    at f (x.js:1:2)\nSource Location: ...aws-cdk-lib\n   (no user code in 10 frames)\n`;

    expect(lastOf(output)).toBe("❌  S failed to deploy\n‣ DeploymentError: no");
  });

  test("is its last twelve lines where there is no mark", () => {
    const lines = Array.from({ length: 30 }, (_, index) => `line ${index}`);

    expect(lastOf(lines.join("\n")).split("\n")).toEqual(lines.slice(18));
  });
});
