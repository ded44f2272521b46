import type { Faults } from "./faults.ts";
import { ENDED, type Operation, type Project } from "./project.ts";

/** An operation, and what it does. */
export interface Step {
  readonly operation: Operation;
  act(): void | Promise<void>;
}

/** Whether an operation of the project has not ended. Then Neon takes no other. */
export function isBusy({ operations }: Project): boolean {
  return operations.some(({ status }) => !ENDED.includes(status));
}

/**
 * Carries out operations one after another. The first that fails says why, and the others are skipped. Never rejects.
 * @param undo puts the project back as it was, after a failure
 */
export async function carryOut(
  faults: Faults,
  steps: readonly Step[],
  undo: () => Promise<void> = async () => undefined,
): Promise<void> {
  for (const [index, { operation, act }] of steps.entries()) {
    mark(operation, "running");
    try {
      await faults.delay(operation);
      await act();
      mark(operation, "finished");
    } catch (thrown) {
      const undone = await undo().then(
        () => "",
        (second: unknown) => ` Then: ${textOf(second)}`,
      );
      operation.error = `${textOf(thrown)}${undone}`;
      for (const { operation: later } of steps.slice(index + 1)) mark(later, "skipped");
      // Last, because who waits for the end looks at all of it then.
      mark(operation, "failed");
      return;
    }
  }
}

function mark(operation: Operation, status: Operation["status"]): void {
  operation.status = status;
  operation.updatedAt = new Date();
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
