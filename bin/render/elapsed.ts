/** Says how long something takes, for a person who waits. */
export function elapsed(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Says how long something took: in ms, unless nobody would count them. */
export function took(ms: number): string {
  return ms < 10_000 ? `${ms} ms` : elapsed(ms);
}
