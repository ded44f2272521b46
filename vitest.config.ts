import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { ProgressReporter } from "./tests/setup/progress-reporter.ts";

/** A test that takes so long hangs. None is expected to end in less: a busy machine is a slow one. */
const HANGS_MS = 300_000;

/** A deployment by CDK itself, or a hundred rehearsals, take a busy machine longer than a test that hangs. */
const TRIAL_HANGS_MS = 900_000;

const POSTGRES = ["tests/setup/postgres.ts", "tests/setup/programs.ts"];

/** Each has a short form in `npm test` and a long one in `npm run trials`. */
const TRIED_OFTEN = [
  "tests/bundle/{events,faults,fleet-faults,rehearsals,secrets-marker,streaming}.test.ts",
  "tests/local/fleet-machine.test.ts",
  "tests/integration/{events/callbacks,migrate/faults,report/secrets-marker,trials/traffic}.test.ts",
  "tests/unit/**/*-fuzz.test.ts",
  "tests/unit/{bundle/text-position,compile/statements,handler/handler}.test.ts",
];

/** These take long, and show what changes of the stand-ins, of the template or of foreign programs do. */
const TRIED_ONLY = [
  "tests/bundle/runtimes.test.ts",
  "tests/infra/lint.test.ts",
  "tests/integration/trials/{fidelity,fidelity-locks}.test.ts",
  "tests/local/{postgres,relay-plain,serve}.test.ts",
];

const project = (name: string, extra: object = {}) => ({
  extends: true as const,
  test: { name, include: [`tests/${name}/**/*.test.ts`], exclude: TRIED_ONLY, ...extra },
});

export default defineConfig({
  test: {
    // Most of a test is waiting for a database or a process: on two cores four take half the time of the default.
    maxWorkers: 4,
    // Nothing of ours keeps a state of the process, so what a file has loaded may serve the next one.
    isolate: false,
    // On Node 20 every process that loads an AWS client would say so on seven lines.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" },
    testTimeout: HANGS_MS,
    hookTimeout: HANGS_MS,
    reporters: [
      "minimal",
      new ProgressReporter(),
      ...(process.env.GITHUB_ACTIONS === "true" ? ["github-actions"] : []),
    ],
    projects: [
      project("unit", { include: ["tests/{unit,docs}/**/*.test.ts"] }),
      project("integration", {
        include: ["tests/{integration,local}/**/*.test.ts"],
        globalSetup: POSTGRES,
      }),
      project("bundle", { globalSetup: [...POSTGRES, "tests/setup/bundle.ts"] }),
      project("infra", {
        // Each process loads CDK for itself, and then computes more than it waits.
        maxWorkers: 2,
        sequence: { groupOrder: 1 },
        globalSetup: ["tests/setup/temporary.ts"],
        // CDK's own look at templates takes seconds in each process; `npm run synth` has it.
        env: {
          TMPDIR: join(tmpdir(), `neon-migrations-infra-${process.pid}`),
          CDK_VALIDATION: "false",
        },
      }),
      // The same tests with many tries, and those that need what only `.ci/run` installs.
      project("trials", {
        include: ["tests/trials/**/*.test.ts", ...TRIED_OFTEN, ...TRIED_ONLY],
        exclude: [],
        globalSetup: [...POSTGRES, "tests/setup/bundle.ts"],
        testTimeout: TRIAL_HANGS_MS,
        hookTimeout: TRIAL_HANGS_MS,
        env: { TRIES: "many" },
      }),
    ],
  },
});
