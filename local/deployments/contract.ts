import { Ajv, type ValidateFunction } from "ajv";

const text = (maxLength: number) => ({ type: "string", minLength: 1, maxLength });

const JOB_ID = {
  type: "string",
  pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
};

const object = (required: readonly string[], properties: object) => ({
  type: "object",
  additionalProperties: false,
  required,
  properties,
});

/**
 * The calls that the services accept, by their models of 2015-07-09 and 2014-10-06 in botocore 1.43. Two rules are from
 * the documentation only: output variables come without a continuation token, and CodeDeploy accepts only two of its
 * statuses.
 */
const SCHEMAS: Readonly<Record<string, object>> = {
  "CodePipeline_20150709.PutJobSuccessResult": {
    ...object(["jobId"], {
      jobId: JOB_ID,
      currentRevision: object(["revision", "changeIdentifier"], {
        revision: text(1_500),
        changeIdentifier: text(100),
        created: { type: "number" },
        revisionSummary: text(2_048),
      }),
      continuationToken: text(2_048),
      executionDetails: object([], {
        summary: text(2_048),
        externalExecutionId: text(1_500),
        percentComplete: { type: "integer", minimum: 0, maximum: 100 },
      }),
      outputVariables: {
        type: "object",
        propertyNames: { pattern: "^[A-Za-z0-9@\\-_]+$" },
        additionalProperties: { type: "string" },
      },
    }),
    not: { required: ["continuationToken", "outputVariables"] },
  },
  "CodePipeline_20150709.PutJobFailureResult": object(["jobId", "failureDetails"], {
    jobId: JOB_ID,
    failureDetails: object(["type", "message"], {
      type: {
        enum: [
          "JobFailed",
          "ConfigurationError",
          "PermissionError",
          "RevisionOutOfSync",
          "RevisionUnavailable",
          "SystemUnavailable",
        ],
      },
      message: text(5_000),
      externalExecutionId: text(1_500),
    }),
  }),
  "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus": object(
    ["deploymentId", "lifecycleEventHookExecutionId", "status"],
    {
      deploymentId: text(1_000),
      lifecycleEventHookExecutionId: text(10_000),
      status: { enum: ["Succeeded", "Failed"] },
    },
  ),
};

const ajv = new Ajv({ strict: false, allErrors: true });
const validators: ReadonlyMap<string, ValidateFunction> = new Map(
  Object.entries(SCHEMAS).map(([target, schema]) => [target, ajv.compile(schema)]),
);

/**
 * Checks one call by the model of its service.
 * @param target the value of `X-Amz-Target`
 * @returns the problem of the call; null for a good call, undefined for an operation that is not served
 */
export function problemOf(target: string, input: unknown): string | null | undefined {
  const validate = validators.get(target);
  if (validate === undefined) return undefined;
  return validate(input) ? null : ajv.errorsText(validate.errors, { dataVar: "input" });
}
