import { InvalidDefinition, NotStoodIn } from "./errors.ts";
import type { Evaluate } from "./expressions.ts";
import type { Fields } from "./fields.ts";

/** The fields of a Map that goes through its items in executions of their own. */
export interface Distribution {
  /** The name of its children in ARNs. */
  readonly label: string;
  /** Null: 10,000. */
  readonly maxConcurrency: Evaluate | null;
  readonly toleratedCount: Evaluate | null;
  readonly toleratedPercentage: Evaluate | null;
  /** Null: `items`, or the input. */
  readonly reader: ItemReader | null;
  readonly items: Evaluate | null;
  readonly selector: Evaluate | null;
  /** Null: the outputs are the result. */
  readonly writer: Evaluate | null;
}

/** A file in a bucket with the items. */
export interface ItemReader {
  readonly inputType: "JSON" | "JSONL";
  readonly maxItems: Evaluate | null;
  readonly arguments: Evaluate;
}

const OWN = [
  ...["Label", "MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage", "Items"],
  ...["ItemReader", "ItemSelector", "ItemProcessor", "ResultWriter"],
];
/** Of blanks, wildcards, brackets, special and control characters none is allowed (developer guide, "Label"). */
const LABEL = /^[\w.-]{1,40}$/;

/** Reads a distributed Map. @throws NotStoodIn for an inline one, and for what else is not here */
export function readDistribution(fields: Fields, common: readonly string[]): Distribution {
  fields.allow([...common, ...OWN]);
  const config = fields.object("ItemProcessor").object("ProcessorConfig");
  config.allow(["Mode", "ExecutionType"]);
  config.only("Mode", "DISTRIBUTED");
  config.only("ExecutionType", "STANDARD");
  const label = fields.has("Label") ? fields.text("Label") : labelOf(fields.path);
  if (!LABEL.test(label)) {
    throw new InvalidDefinition(`${fields.path}.Label`, `${JSON.stringify(label)} is not a label.`);
  }
  return {
    label,
    maxConcurrency: fields.template("MaxConcurrency"),
    toleratedCount: fields.template("ToleratedFailureCount"),
    toleratedPercentage: fields.template("ToleratedFailurePercentage"),
    reader: fields.has("ItemReader") ? readReader(fields.object("ItemReader")) : null,
    items: fields.template("Items"),
    selector: fields.template("ItemSelector"),
    writer: fields.has("ResultWriter") ? readWriter(fields.object("ResultWriter")) : null,
  };
}

/** The service makes a name of its own where there is no label. */
function labelOf(path: string): string {
  return path.replaceAll(/[^\w.-]/g, "").slice(0, 40) || "Map";
}

function readReader(fields: Fields): ItemReader {
  fields.allow(["Resource", "ReaderConfig", "Arguments"]);
  fields.only("Resource", "arn:aws:states:::s3:getObject");
  const config = fields.object("ReaderConfig");
  config.allow(["InputType", "MaxItems"]);
  config.only("InputType", "JSON", "JSONL");
  return {
    inputType: config.value("InputType") === "JSON" ? "JSON" : "JSONL",
    maxItems: config.template("MaxItems"),
    arguments: argumentsOf(fields),
  };
}

function readWriter(fields: Fields): Evaluate {
  fields.allow(["Resource", "WriterConfig", "Arguments"]);
  fields.only("Resource", "arn:aws:states:::s3:putObject");
  if (fields.has("WriterConfig")) {
    const config = fields.object("WriterConfig");
    config.allow(["Transformation", "OutputType"]);
    config.only("Transformation", "NONE");
    config.only("OutputType", "JSON");
  }
  return argumentsOf(fields);
}

function argumentsOf(fields: Fields): Evaluate {
  const template = fields.template("Arguments");
  if (template === null) throw new NotStoodIn(`${fields.path} without Arguments`);
  return template;
}
