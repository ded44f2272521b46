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

/** Returns one recorded event. */
export function recordedEvent(name: string): unknown {
  return JSON.parse(readFileSync(`${FOLDER}/${name}.json`, "utf8"));
}
