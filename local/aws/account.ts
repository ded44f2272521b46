/*
 * The parts that all stand-ins for AWS share: one account, servers on loopback, the check of signatures, and secrets. Calls
 * of the AWS SDK come in, and answers in AWS' words go out. Nothing here calls AWS.
 */

/** The ARN of a function without a given one. */
export const LOCAL_FUNCTION_ARN =
  "arn:aws:lambda:eu-central-1:123456789012:function:neon-migrations";

/** The account, region and credentials of the stand-ins. A function's own credentials are the same. */
export const LOCAL_ACCOUNT = {
  region: LOCAL_FUNCTION_ARN.split(":")[3] ?? "",
  id: LOCAL_FUNCTION_ARN.split(":")[4] ?? "",
  secrets: { local: "local" },
} as const;
