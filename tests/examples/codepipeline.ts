import { startDeployments } from "../../local/deployments/deployments.ts";
import { type Check, expectEqual } from "./check.ts";
import { SECRET_ARN, type Stage } from "./stage.ts";
import type { Template } from "./template.ts";

interface Action {
  readonly ActionTypeId: { readonly Provider: string };
  readonly Namespace?: string;
  readonly Configuration: Readonly<Record<string, unknown>>;
}

/** Delivers the job that the pipeline's action makes; its output variables have to be those that later actions read. */
export function jobAnswered(template: Template, stage: Stage): Check {
  return {
    by: "a job of CodePipeline on the stand-in",
    run: async () => {
      const actions = actionsOf(template);
      const migrate = actions.find(({ ActionTypeId }) => ActionTypeId.Provider === "Lambda");
      const pipeline = await startDeployments();
      try {
        const { lambda, migrations } = await stage.deploy({
          DATABASE_URL_SECRET: SECRET_ARN,
          AWS_ENDPOINT_URL_CODEPIPELINE: pipeline.url,
        });
        await lambda.invokeAsync(jobOf(migrate?.Configuration));
        const [call] = pipeline.calls;
        expectEqual([call?.operation, call?.refusedWith], ["PutJobSuccessResult", null]);
        expectEqual(await migrations(), stage.bundle.migrations.length);
        const known = Object.keys(Object(call?.input.outputVariables));
        const read = variablesRead(actions, migrate?.Namespace);
        expectEqual(
          read.filter((name) => !known.includes(name)),
          [],
        );
      } finally {
        await pipeline.stop();
      }
    },
  };
}

function actionsOf(template: Template): readonly Action[] {
  const stages: readonly { readonly Actions: readonly Action[] }[] = Object(
    template.Resources.Pipeline?.Properties,
  ).Stages;
  return stages.flatMap(({ Actions }) => Actions);
}

function jobOf(configuration: object | undefined): object {
  const id = "11111111-abcd-1111-abcd-111111abcdef";
  const data = { actionConfiguration: { configuration } };
  return { "CodePipeline.job": { id, accountId: "123456789012", data } };
}

function variablesRead(actions: readonly Action[], namespace = ""): readonly string[] {
  const read = new RegExp(`#\\{${namespace}\\.(\\w+)\\}`, "g");
  return [...JSON.stringify(actions).matchAll(read)].map(([, name = ""]) => name);
}
