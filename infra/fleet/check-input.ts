import { Token } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { MigratorError } from "../../lib/errors.ts";
import { checkTargets } from "../../lib/fleet/check-targets.ts";
import { readFleetRequest } from "../../lib/fleet/read-request.ts";
import { readAllowed } from "../../lib/target/allowed.ts";
import type { NeonFleetProps } from "./props.ts";

/**
 * Holds `input` against what the function takes, by the function's own readers: a mistake in it would fail every start. Names
 * that are known only at deployment count as right.
 * @throws Error which names the field, and shows nothing of a connection string
 */
export function checkInput(
  scope: Construct,
  { input, targets }: Pick<NeonFleetProps, "input" | "targets">,
): void {
  if (input === undefined) return;
  try {
    const { targets: source } = readFleetRequest(input);
    if (!("inline" in source)) return;
    const list = source.inline.map((value, index) => ({
      ...{ value, where: `entry ${index + 1} of targets.inline` },
    }));
    const known = list.filter(({ value }) => !Token.isUnresolved(JSON.stringify(value)));
    checkTargets(known, readAllowed({ TARGETS: targets.join(",") }));
  } catch (thrown) {
    if (!(thrown instanceof MigratorError)) throw thrown;
    throw new Error(
      `${scope.node.path}: the function would not take input. ${thrown.message} Every field: docs/reference/fleet.md.`,
    );
  }
}
