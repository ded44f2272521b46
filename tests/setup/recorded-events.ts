import { readdirSync, readFileSync } from "node:fs";

/** An event as its source sends it, with every field. Values that must not leave the function contain `mArKer`. */
export interface RecordedEvent {
  /** The name of its file below `tests/fixtures/events`, without the extension: `ecs/pre-scale-up`. */
  readonly name: string;
  readonly event: unknown;
}

const FOLDER = "tests/fixtures/events";

/** Returns every recorded event, by name. */
export function recordedEvents(): readonly RecordedEvent[] {
  return readdirSync(FOLDER, { encoding: "utf8", recursive: true })
    .filter((path) => path.endsWith(".json"))
    .map((path) => path.replace(/\.json$/, "").replaceAll("\\", "/"))
    .toSorted()
    .map((name) => ({ name, event: recordedEvent(name) }));
}

/** Returns one recorded event. The URL for its answer is as if it were signed now: it says how old the event is. */
export function recordedEvent(name: string): unknown {
  const expires = Math.floor(Date.now() / 1_000) + 7_200;
  const text = readFileSync(`${FOLDER}/${name}.json`, "utf8");
  return JSON.parse(text.replace(/(?<=[?&]Expires=)\d+/g, String(expires)));
}
