import { expect, test } from "vitest";
import { recognise } from "../../../lib/events/recognise.ts";
import { whoCalls } from "../../../lib/events/who-calls.ts";
import { recordedEvent, recordedEvents } from "../../setup/recorded-events.ts";

const SHOP = "arn:aws:ecs:eu-central-1:123456789012";

const KNOWN: Readonly<Record<string, object>> = {
  "cloudformation/create": {
    source: "cloudformation",
    stack:
      "arn:aws:cloudformation:eu-central-1:123456789012:stack/shop/b8c6f3a0-8a1e-11f0-9c2b-0a5b3c7d9e11",
    ...{ resource: "Migrations", request: "Create" },
  },
  "codepipeline/job": {
    source: "codepipeline",
    job: expect.stringMatching(/^[0-9a-f-]{36}$/),
    revision: expect.any(String),
  },
  "codedeploy/before-allow-traffic": { source: "codedeploy", deployment: "d-EBUDRRMNF" },
  "ecs/pre-scale-up": {
    source: "ecs",
    deployment: `${SHOP}:service-deployment/shop/web/EZe5RNVLH6PPzHXINuP28`,
    service: `${SHOP}:service/shop/web`,
    revision: `${SHOP}:service-revision/shop/web/9313423515462893900`,
  },
  "ecs/reconcile-service-flat": {
    source: "ecs",
    service: `${SHOP}:service/shop/web`,
    revision: `${SHOP}:service-revision/shop/web/9313423515462893900`,
  },
  "step-functions/request": {
    source: "direct",
    execution: "arn:aws:states:eu-central-1:123456789012:execution:deploy:6b1f",
  },
  "cdk-trigger/no-payload": { source: "direct" },
  "queued-run/event": { source: "queued-run", run: "4f9c0a9e-4f4e-4c37-9a55-6b8f1f6c2d10" },
};

test.for(Object.entries(KNOWN))("tells who sent %s", async ([name, facts]) => {
  const event = recordedEvent(name);

  expect(await whoCalls(recognise(event).source, event)).toEqual(facts);
});

test("names whom AWS has identified behind an HTTP call, at once and later", async () => {
  const event = recordedEvent("http/function-url-post");
  const facts = await whoCalls("http", event);
  const later = {
    "neon-migrate.run": { id: "4f9c0a9e", request: {}, requestedBy: facts.identity ?? "" },
  };

  expect(facts.identity).toMatch(/^arn:aws:/);
  expect(await whoCalls("queued-run", later)).toEqual({
    ...{ source: "queued-run", run: "4f9c0a9e", identity: facts.identity },
  });
});

test.for(recordedEvents())("keeps no secret of $name", async ({ event }) => {
  const facts = await whoCalls(recognise(event).source, event);

  expect(JSON.stringify(facts)).not.toContain("mArKer");
  expect(Object.values(facts).every((each) => typeof each === "string")).toBe(true);
});
