/**
 * Three ways to let time pass, for every folder: a pause, the length of the next one, and a promise with a limit.
 * Nothing here knows the reason of a wait.
 */

/** Node strikes a longer timer at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

function timerMs(ms: number): number {
  return Math.min(Math.max(ms, 0), LONGEST_TIMER_MS);
}

/** Resolves after so many ms. Anything below 0 counts as 0. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, timerMs(ms));
  });
}

/**
 * Returns the pause after a failed attempt: 200 ms, doubling up to 5 s. A random part of at most half is taken off,
 * so that many callers spread out.
 */
export function backoffMs(attempt: number): number {
  const full = Math.min(100 * 2 ** attempt, 5_000);
  return full / 2 + Math.random() * (full / 2);
}

/**
 * Waits for a promise, but no longer than so many ms. A process that stood still finds that the time is over and
 * that the answer lies there, both at once. Node strikes the timer first, so the answer gets one turn of the event
 * loop to be read before it counts as late.
 * @param ms anything below 0 counts as 0; `Infinity` never strikes
 * @param onLate called once the promise is late, and only then; its value, or what it throws, is the outcome
 */
export async function within<Result, Late>(
  promise: Promise<Result>,
  ms: number,
  onLate: () => Late,
): Promise<Result | Late> {
  let timer: NodeJS.Timeout | undefined;
  let turn: NodeJS.Immediate | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      turn = setImmediate(resolve);
    }, timerMs(ms));
  });
  try {
    return await Promise.race([promise, late.then(onLate)]);
  } finally {
    clearTimeout(timer);
    clearImmediate(turn);
  }
}
