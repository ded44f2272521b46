import type { WireFigure } from "./wire.ts";

const WIDTH = 720;
const HEIGHT = 440;
const LEFT = 76;
const RIGHT = 170;
const TOP = 48;
const BOTTOM = 56;

/** Colours that people with red-green blindness can tell apart, too. */
const COLOURS = ["#c44e00", "#0072b2", "#56a0d3", "#555555"];

interface Scale {
  at(value: number): number;
  readonly ticks: readonly number[];
}

/**
 * Plots the time of an apply over the number of statements for every contestant, as SVG. Both axes are logarithmic.
 * @param figures the figures of one latency
 */
export function renderPlot(figures: readonly WireFigure[], roundTripMs: number): string {
  const known = figures.filter((each) => each.pending > 0 && each.ms !== null);
  const x = logScale(
    known.map(({ pending }) => pending),
    LEFT,
    WIDTH - RIGHT,
  );
  const y = logScale(
    known.map(({ ms }) => ms ?? 1),
    HEIGHT - BOTTOM,
    TOP,
  );
  const names = [...new Set(figures.map(({ contestant }) => contestant))];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="13">`,
    `<title>Time of a fresh apply over the number of statements, at ${roundTripMs} ms round trip</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    `<text x="${LEFT}" y="26" font-size="16" font-weight="600">Fresh apply at ${roundTripMs} ms round trip</text>`,
    ...x.ticks.map((tick) => gridX(x.at(tick), count(tick))),
    ...y.ticks.map((tick) => gridY(y.at(tick), time(tick))),
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 14}" text-anchor="middle">statements pending</text>`,
    ...names.flatMap((name, index) => {
      const colour = COLOURS[index % COLOURS.length] ?? "#000000";
      return series(
        known.filter((each) => each.contestant === name),
        { name, colour, x, y },
      );
    }),
    ...legend(names),
    "</svg>",
    "",
  ].join("\n");
}

function series(
  figures: readonly WireFigure[],
  { colour, x, y }: { name: string; colour: string; x: Scale; y: Scale },
): readonly string[] {
  const points = figures.map(({ pending, ms }) => [x.at(pending), y.at(ms ?? 1)] as const);
  const line = points.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(" ");
  return [
    `<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...points.map(
      ([px, py]) =>
        `<circle cx="${px.toFixed(1)}" cy="${py.toFixed(1)}" r="3.5" fill="${colour}"/>`,
    ),
  ];
}

/** Draws the names beside the plot: at the ends of lines that meet they would cover each other. */
function legend(names: readonly string[]): readonly string[] {
  return names.flatMap((name, index) => {
    const colour = COLOURS[index % COLOURS.length] ?? "#000000";
    const y = TOP + 12 + index * 24;
    const x = WIDTH - RIGHT + 20;
    return [
      `<line x1="${x}" y1="${y}" x2="${x + 22}" y2="${y}" stroke="${colour}" stroke-width="3"/>`,
      `<text x="${x + 30}" y="${y + 4}">${name}</text>`,
    ];
  });
}

function gridX(x: number, label: string): string {
  return `<line x1="${x}" y1="${TOP}" x2="${x}" y2="${HEIGHT - BOTTOM}" stroke="#e4e4e4"/><text x="${x}" y="${HEIGHT - BOTTOM + 20}" text-anchor="middle" fill="#444444">${label}</text>`;
}

function gridY(y: number, label: string): string {
  return `<line x1="${LEFT}" y1="${y}" x2="${WIDTH - RIGHT}" y2="${y}" stroke="#e4e4e4"/><text x="${LEFT - 8}" y="${y + 4}" text-anchor="end" fill="#444444">${label}</text>`;
}

function logScale(values: readonly number[], from: number, to: number): Scale {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(Math.ceil(Math.log10(Math.max(...values))), low + 1);
  const at = (value: number) => from + ((Math.log10(value) - low) / (high - low)) * (to - from);
  return { at, ticks: Array.from({ length: high - low + 1 }, (_, step) => 10 ** (low + step)) };
}

function count(value: number): string {
  return value >= 1_000 ? `${value / 1_000},000` : String(value);
}

function time(ms: number): string {
  return ms >= 1_000 ? `${ms / 1_000} s` : `${ms} ms`;
}
