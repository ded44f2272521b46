import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { requestOf } from "../setup/call.ts";
import { lambdaContext } from "../setup/lambda-context.ts";
import { recordedEvents } from "../setup/recorded-events.ts";

const page = readFileSync("docs/reference/events.md", "utf8");
const sections = page.split(/^## /m).slice(1);
const titles = sections.map((section) => section.split("\n", 1)[0] ?? "");
const plain = (text: string) => text.toLowerCase().replaceAll(/[^a-z]/g, "");

test("docs/reference/events.md has a section for every source that is recorded", () => {
  const folders = new Set(recordedEvents().map(({ name }) => name.split("/", 1)[0] ?? ""));
  folders.delete("refused");

  const missing = [...folders].filter(
    (folder) => !titles.some((title) => plain(title).includes(plain(folder))) && !isShared(folder),
  );

  expect(missing).toEqual([]);
});

test("docs/reference/events.md shows events that are recognised, and ask for a run", async () => {
  const shown = sections.flatMap((section) =>
    Array.from(section.matchAll(/```json\n(.*?)```/gs), ([, text]) => JSON.parse(text ?? "")),
  );

  const asked = await Promise.all(shown.map((event) => requestOf(event, lambdaContext())));

  expect(asked.map((request) => request?.action)).toEqual(Array(6).fill("up"));
});
function isShared(folder: string): boolean {
  return folder === "cdk-trigger" && titles.includes("CDK Provider and CDK Trigger");
}
