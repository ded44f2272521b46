/** The ARN of a function that is given none. */
export const LOCAL_FUNCTION_ARN =
  "arn:aws:lambda:eu-central-1:123456789012:function:neon-migrations";

/** Where, and as whom, the stand-ins are called. A function's own credentials are the same. */
export const LOCAL_ACCOUNT = {
  region: LOCAL_FUNCTION_ARN.split(":")[3] ?? "",
  id: LOCAL_FUNCTION_ARN.split(":")[4] ?? "",
  secrets: { local: "local" },
} as const;
