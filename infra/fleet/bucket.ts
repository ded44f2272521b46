import { Duration, RemovalPolicy } from "aws-cdk-lib";
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";
import { definedOf } from "../function-settings.ts";
import { acknowledge } from "../role.ts";
import type { NeonFleetProps } from "./props.ts";

/** The folder of every run: its waves, its results and its report. */
export const RUNS = "runs/";
/** The folder of lists that the command line has brought here. */
export const LISTS = "lists/";
/** The fleet's ledger. */
export const LEDGER = "ledger.jsonl";

const KEPT = Duration.days(30);

/**
 * Makes the bucket of the fleet. What a run has left goes after 30 days; the ledger stays, because a fleet without one asks
 * every tenant again.
 */
export function makeBucket(
  scope: Construct,
  { bucketKey, bucketRemovalPolicy }: Pick<NeonFleetProps, "bucketKey" | "bucketRemovalPolicy">,
): Bucket {
  const bucket = new Bucket(scope, "Bucket", {
    versioned: true,
    encryption: bucketKey === undefined ? BucketEncryption.S3_MANAGED : BucketEncryption.KMS,
    ...definedOf({ encryptionKey: bucketKey }),
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
    removalPolicy: bucketRemovalPolicy ?? RemovalPolicy.RETAIN,
    lifecycleRules: [
      { id: "Runs", prefix: RUNS, expiration: KEPT },
      { id: "Lists", prefix: LISTS, expiration: KEPT },
      {
        id: "OldVersions",
        noncurrentVersionExpiration: KEPT,
        abortIncompleteMultipartUploadAfter: Duration.days(7),
      },
    ],
  });
  acknowledge(
    bucket,
    "AwsSolutions-S1",
    "It holds lists of references and reports of runs, for 30 days; CloudTrail's data events tell who reads them.",
  );
  return bucket;
}
