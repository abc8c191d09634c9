/** Web storage that may be refused, full, or filled by an older version: then it holds nothing. */
function box(storage: () => Storage) {
  return {
    get<T>(key: string): T | undefined {
      try {
        const text = storage().getItem(`parley.${key}`)
        return text === null ? undefined : (JSON.parse(text) as T)
      } catch {
        return undefined
      }
    },
    keys(prefix: string): string[] {
      try {
        const found = Object.keys(storage()).filter(key => key.startsWith(`parley.${prefix}`))
        return found.map(key => key.slice('parley.'.length))
      } catch {
        return []
      }
    },
    set(key: string, value: unknown): void {
      try {
        if (value === undefined) storage().removeItem(`parley.${key}`)
        else storage().setItem(`parley.${key}`, JSON.stringify(value))
      } catch {
        // What cannot be kept is still in memory.
      }
    }
  }
}

/** Shared by all windows of this browser. */
export const kept = box(() => localStorage)
/** Of this window alone, and gone with it. */
export const windowKept = box(() => sessionStorage)
