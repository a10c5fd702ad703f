/** Where progress is shown. */
export interface ProgressScreen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Long work, as its user sees it. */
export interface Progress {
  /** So much is done, of so much when that is known. Needs no `this`. */
  readonly update: (done: number, total?: number) => void;
  /** Takes the line away. */
  readonly end: () => void;
}

const BAR_CHARS = 24;
/** A screen that is written more often flickers, and is slow over a network. */
const EVERY_MS = 100;

/**
 * One line that says how far long work has come, on a terminal only: a file or a pipe gets nothing. `nowMs` is a clock that only
 * goes forward. With `afterMs` the line appears with the first news after so long.
 */
export function showProgress(
  label: string,
  screen: ProgressScreen,
  nowMs: () => number,
  afterMs: number | null = null,
): Progress {
  if (screen.isTTY !== true) return { update: () => undefined, end: () => undefined };
  let shownMs = afterMs === null ? Number.NEGATIVE_INFINITY : nowMs() + afterMs - EVERY_MS;
  let isShown = false;
  const show = (text: string): void => {
    shownMs = nowMs();
    isShown = true;
    const { columns = 0 } = screen;
    screen.write(`\r\u001b[K${text.slice(0, (columns > 0 ? columns : 80) - 1)}`);
  };
  if (afterMs === null) show(`${label} ...`);
  return {
    update: (done, total) => {
      if ((done !== total || !isShown) && nowMs() - shownMs < EVERY_MS) return;
      if (total === undefined || total <= 0) return show(`${label} ... ${done}`);
      const part = Math.min(1, done / total);
      const filled = Math.round(part * BAR_CHARS);
      const bar = '#'.repeat(filled).padEnd(BAR_CHARS, '.');
      show(`${label} [${bar}] ${Math.floor(part * 100)} % (${done} of ${total})`);
    },
    end: () => {
      if (isShown) screen.write('\r\u001b[K');
    },
  };
}
