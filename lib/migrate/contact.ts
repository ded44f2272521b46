import type { Attempt } from "./attempt.ts";
import type { Planned } from "./make-plan.ts";

/**
 * Looks around in a database that others may have migrated: something is pending, the ledger has nothing of the folder, and
 * tables are there.
 * @throws MigratorError `LEDGER_ELSEWHERE`, and but for `status` `NOT_BASELINED`
 */
export async function meetDatabase(self: Attempt, planned: Planned): Promise<void> {
  const { ledger, plan } = planned;
  if (plan.pending.length === 0 || ledger.isBlank === true) return;
  if (plan.applied.length > 0 || ledger.checkpoints.length > 0) return;
  const { lookAround } = await import("./first-contact.ts");
  await lookAround(self, planned);
}

/** Returns the handler of a failure. In a database without a row of the folder, what exists already has another reason. */
export function adviseOn(
  { bundle }: Attempt,
  { plan, ledger }: Planned,
): (thrown: unknown) => Promise<never> {
  return async (thrown) => {
    if (plan.applied.length > 0) throw thrown;
    const { withAdvice } = await import("./first-contact.ts");
    throw withAdvice(thrown, bundle.migrations, ledger.place.schema);
  };
}
