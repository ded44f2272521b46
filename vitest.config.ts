import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";

const project = (name: string, extra: object = {}) => ({
  extends: true as const,
  test: { name, include: [`tests/${name}/**/*.test.ts`], ...extra },
});

export default defineConfig({
  test: {
    // Most of a test is waiting for a database or a process: on two cores four take half the time of the default.
    maxWorkers: 4,
    // Nothing of ours keeps a state of the process, so what a file has loaded may serve the next one.
    isolate: false,
    // On Node 20 every process that loads an AWS client would say so on seven lines.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      project("unit"),
      project("integration", {
        globalSetup: ["tests/setup/postgres.ts", "tests/setup/programs.ts"],
      }),
      project("bundle", {
        globalSetup: [
          "tests/setup/postgres.ts",
          "tests/setup/programs.ts",
          "tests/setup/bundle.ts",
        ],
      }),
      // Each synthesises apps and starts processes: much work, and little of it ours.
      project("infra", {
        testTimeout: 60_000,
        globalSetup: ["tests/setup/temporary.ts"],
        // CDK's own look at templates takes seconds in each process; `npm run synth` has it.
        env: {
          TMPDIR: join(tmpdir(), `neon-migrations-infra-${process.pid}`),
          CDK_VALIDATION: "false",
        },
      }),
    ],
  },
});
