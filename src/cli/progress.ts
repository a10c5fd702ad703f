/** Where progress is shown. */
export interface ProgressScreen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Long work, as its user sees it. */
export interface Progress {
  /** So much is done, of so much when that is known. */
  update(done: number, total?: number): void;
  /** Takes the line away. */
  end(): void;
}

const BAR_CHARS = 24;
/** A screen that is written more often flickers, and is slow over a network. */
const EVERY_MS = 100;

/**
 * One line that says how far long work has come, on a terminal only: a file or a pipe gets nothing. `nowMs` is a clock that only
 * goes forward.
 */
export function showProgress(label: string, screen: ProgressScreen, nowMs: () => number): Progress {
  if (screen.isTTY !== true) return { update: () => undefined, end: () => undefined };
  let shownMs = Number.NEGATIVE_INFINITY;
  const show = (text: string): void => {
    shownMs = nowMs();
    const { columns = 0 } = screen;
    screen.write(`\r\u001b[K${text.slice(0, (columns > 0 ? columns : 80) - 1)}`);
  };
  show(`${label} ...`);
  return {
    update: (done, total) => {
      if (done !== total && nowMs() - shownMs < EVERY_MS) return;
      if (total === undefined || total <= 0) return show(`${label} ... ${done}`);
      const part = Math.min(1, done / total);
      const filled = Math.round(part * BAR_CHARS);
      const bar = '#'.repeat(filled).padEnd(BAR_CHARS, '.');
      show(`${label} [${bar}] ${Math.floor(part * 100)} % (${done} of ${total})`);
    },
    end: () => void screen.write('\r\u001b[K'),
  };
}
