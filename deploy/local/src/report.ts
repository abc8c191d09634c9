const NAME_WIDTH = 15

/** What the launcher says on the terminal: one aligned line for each thing done; colour on a terminal alone. */
export const report = {
  title(text: string): void {
    process.stdout.write(`${bold(text)}\n`)
  },

  done(name: string, text: string): void {
    process.stdout.write(`${green('•')} ${name.padEnd(NAME_WIDTH)} ${text}\n`)
  },

  trouble(name: string, text: string): void {
    process.stdout.write(`${red('!')} ${name.padEnd(NAME_WIDTH)} ${text}\n`)
  },

  error(text: string): void {
    process.stderr.write(`${text}\n`)
  }
}

// Whoever read our output may be gone; that is no reason to leave the platform without its supervisor.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

/** Measures from now: the function returns the seconds since then, as they are printed. */
export function stopwatch(): () => string {
  const startedAt = performance.now()
  return () => `${((performance.now() - startedAt) / 1000).toFixed(1)} s`
}

export const bold = (text: string) => colour(1, text)
export const green = (text: string) => colour(32, text)
export const red = (text: string) => colour(31, text)

function colour(code: number, text: string): string {
  return process.stdout.isTTY && !process.env.NO_COLOR ? `\x1b[${code}m${text}\x1b[0m` : text
}
