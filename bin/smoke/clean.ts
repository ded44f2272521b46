import { toError } from "../../lib/errors.ts";
import { quoteIdentifier } from "../../lib/postgres/names.ts";
import { runCdk } from "./cdk.ts";
import { dropSchema } from "./database.ts";
import type { Names } from "./scratch.ts";
import { lastOf, type Scene, type Seen, type Step } from "./steps.ts";

/** A thing that could not be removed. */
export interface Left {
  readonly what: string;
  /** The command that removes it by hand. */
  readonly how: string;
  /** The reason. */
  readonly why: string;
}

export const CLEANING: Step = { step: "Remove stack and schema", expected: "removed" };

/**
 * Removes what a run has made, as often as somebody likes. What is gone is no failure, and one part that cannot be removed
 * does not keep the other.
 */
export async function clean(scene: Scene): Promise<Seen & { readonly left: readonly Left[] }> {
  const { cdk, scratch, onLine, project, names } = scene;
  const [stack, schema] = everythingOf(names);
  // The stack first: its function may be working in the schema.
  const tried = [
    await leftOf(stack, async () => {
      const { exitCode, output } = await runCdk(cdk, "destroy", scratch, onLine);
      if (exitCode !== 0) throw new Error(lastOf(output));
    }),
    await leftOf(schema, () => dropSchema(project, names.schema)),
  ];
  const left = tried.filter((each) => each !== null);
  if (left.length === 0) return { seen: CLEANING.expected, left };
  const details = left.map(({ what, why }) => `${what}: ${why}`).join("\n");
  return { seen: `left: ${left.map(({ what }) => what).join(" and ")}`, details, left };
}

/** @returns null where the removal has succeeded */
async function leftOf(left: Left, remove: () => Promise<void>): Promise<Left | null> {
  try {
    await remove();
    return null;
  } catch (thrown) {
    return { ...left, why: toError(thrown).message };
  }
}

/** Names all that a run may make, with the commands that remove it. */
export function everythingOf({ stack, schema }: Names): readonly [Left, Left] {
  const destroy = `aws cloudformation delete-stack --stack-name ${stack}`;
  const drop = `drop schema if exists ${quoteIdentifier(schema)} cascade;`;
  return [
    { what: `the stack ${stack}`, how: destroy, why: "" },
    { what: `the schema ${schema}`, how: drop, why: "" },
  ];
}
