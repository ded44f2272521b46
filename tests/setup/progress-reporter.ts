import type { Reporter, TestModule, TestSpecification } from "vitest/node";

/** The share of the files from one line to the next. */
const SHARE = 0.1;

/** Prints the progress of a run in ten lines. Vitest's own reporter prints each failure, and the counts at the end. */
export class ProgressReporter implements Reporter {
  #files = 0;
  #filesDone = 0;
  #passed = 0;
  #failed = 0;
  #nextShare = SHARE;
  #startedAt = 0;

  onTestRunStart(specifications: readonly TestSpecification[]): void {
    this.#files = specifications.length;
    this.#startedAt = Date.now();
    say(`${this.#files} files of tests`);
  }

  onTestModuleEnd(module: TestModule): void {
    this.#filesDone += 1;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === "passed") this.#passed += 1;
      if (state === "failed") this.#failed += 1;
    }
    const share = this.#filesDone / this.#files;
    if (share < this.#nextShare) return;
    this.#nextShare = (Math.floor(share / SHARE) + 1) * SHARE;
    say(this.#line(share));
  }

  #line(share: number): string {
    const seconds = Math.round((Date.now() - this.#startedAt) / 1_000);
    const cells = [
      `${Math.round(share * 100)} %`.padStart(5),
      `${seconds} s`.padStart(6),
      `${this.#passed} tests passed`.padStart(18),
    ];
    return [...cells, this.#failed === 0 ? "" : `${this.#failed} failed`].join("  ").trimEnd();
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
