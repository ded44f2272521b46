import type { Deployed } from "./registry.ts";

/** Makes the answer of `GetFunction`: enough for `aws lambda wait`, and for Terraform's data source. */
export function describeFunction({ lambda }: Deployed, qualifier: string | undefined) {
  const FunctionArn = lambda.functionArn;
  const FunctionName = FunctionArn.split(":")[6] ?? "";
  return {
    Configuration: {
      FunctionName,
      FunctionArn: qualifier === undefined ? FunctionArn : `${FunctionArn}:${qualifier}`,
      Runtime: "nodejs24.x",
      Role: "arn:aws:iam::123456789012:role/local",
      Handler: "index.handler",
      CodeSize: 1,
      Description: "",
      Timeout: 900,
      MemorySize: 512,
      LastModified: "2026-01-01T00:00:00.000+0000",
      CodeSha256: "",
      Version: "$LATEST",
      State: "Active",
      LastUpdateStatus: "Successful",
      PackageType: "Zip",
      Architectures: ["arm64"],
      EphemeralStorage: { Size: 512 },
      LoggingConfig: { LogFormat: "Text", LogGroup: `/aws/lambda/${FunctionName}` },
      TracingConfig: { Mode: "PassThrough" },
    },
    Code: { RepositoryType: "S3", Location: "" },
    Tags: {},
  };
}
