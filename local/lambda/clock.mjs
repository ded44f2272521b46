/**
 * A clock that a test can move. A function's process with a movable clock loads this file before everything else, and
 * `sandbox.ts` sends it the time. Until the first word the clock runs as always. At a word it jumps to the given moment
 * and stands still: timers that are due by then go off, and later ones wait for another word. A pause that begins while
 * the clock stands takes its real time, and moves the clock on at its end. After the call the clock runs again.
 */

const { clearTimeout: clear, setTimeout: set } = globalThis;
const read = Date.now;
/** The longest wait of Node's timers. */
const FOREVER_MS = 2 ** 31 - 1;

/** The timers that have not gone off, by the handles that their owners have. */
const timers = new Map();
/** How far this clock is ahead of the real one, in ms. */
let aheadMs = 0;
/** The time at which the clock stands; null while it runs. */
let standing = null;

const now = () => standing ?? read() + aheadMs;

function goOff(timer) {
  timers.delete(timer.handle);
  if (standing !== null) standing = Math.max(standing, timer.due);
  timer.run();
}

/** Gives every timer another delay, in the order in which they are due. */
function rearm(delayOf) {
  for (const timer of [...timers.values()].toSorted((a, b) => a.due - b.due)) {
    const keepsAlive = timer.native.hasRef();
    clear(timer.native);
    timer.native = set(goOff, delayOf(timer), timer);
    if (!keepsAlive) timer.native.unref();
  }
}

const hooks = {
  setTimeout(run, delayMs, ...words) {
    const timer = { due: now() + (Number(delayMs) || 0), run: () => run(...words) };
    timer.handle = set(goOff, delayMs, timer);
    timer.native = timer.handle;
    timers.set(timer.handle, timer);
    return timer.handle;
  },
  clearTimeout(handle) {
    clear(timers.get(handle)?.native ?? handle);
    timers.delete(handle);
  },
};
Object.defineProperties(hooks.setTimeout, Object.getOwnPropertyDescriptors(set));
Object.assign(globalThis, hooks);
Date.now = now;
AbortSignal.timeout = (delayMs) => {
  const controller = new AbortController();
  const late = () => controller.abort(new DOMException("The time is over.", "TimeoutError"));
  hooks.setTimeout(late, delayMs).unref();
  return controller.signal;
};

process.on("message", ({ standAt, goAheadMs }) => {
  if (standAt !== undefined) {
    standing = standAt;
    rearm(({ due }) => (due > standAt ? FOREVER_MS : 0));
  } else {
    standing = null;
    aheadMs = goAheadMs;
    rearm(({ due }) => due - now());
  }
});
// The channel to the parent must not keep a function alive.
process.channel.unref();
