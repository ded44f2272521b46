import { Template } from "aws-cdk-lib/assertions";
import { describe, expect, test } from "vitest";
import { type FleetProps, fleetScene, INPUT } from "../setup/fleet-construct.ts";

describe("GIVEN an input", () => {
  const inline = (...list: readonly object[]) => ({ targets: { inline: list } });
  const acme = { id: "acme", parameter: "/tenants/acme" };

  test.each<[object, RegExp]>([
    [{ ...INPUT, tolerate: { count: 1 } }, /^Shop\/Fleet: .* has the field "tolerate"/],
    [{ ...INPUT, waves: [{ percent: 101 }] }, /waves\[0\]\.percent is 101/],
    [{ ...INPUT, request: { dryRun: true } }, /dryRun/],
    [{ targets: { s3: { bucket: "b" } } }, /targets\.s3\.key is no text/],
    [
      inline({ id: "acme", url: "postgres://u:marker@h/d" }),
      /Entry 1 of targets\.inline holds a connection/,
    ],
    [
      { ...INPUT, request: { note: "postgres://u:marker@h/d" } },
      /request holds a connection string/,
    ],
    [inline(acme, { ...acme, id: "ACME" }), /Entry 2 of targets\.inline, "ACME", has the id of/],
    [inline({ id: "prod", parameter: "/prod/url" }), /The target "prod" is not allowed/],
  ])(
    "WHEN it is %j THEN the synth fails as the run would, and shows no connection string",
    (input, message) => {
      const synth = () => fleetScene({ input: input as NonNullable<FleetProps["input"]> });

      expect(synth).toThrow(message);
      expect(synth).not.toThrow(/marker/);
    },
  );

  test("WHEN names in it are known only at deployment THEN they count as right", () => {
    const { stack } = fleetScene((within) => ({
      startOnDeploy: true,
      input: inline(
        { id: "acme", parameter: `/tenants/${within.stackId}` },
        { id: "globex", parameter: "/tenants/globex" },
      ) as NonNullable<FleetProps["input"]>,
    }));

    Template.fromStack(stack).resourceCountIs("AWS::Events::Rule", 1);
  });
});
