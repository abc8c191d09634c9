export type Segment = { text: string; href?: string }

// Linear: one character class with a bound, and no quantifier inside another.
const ADDRESS = /\b(?:https?:\/\/|mailto:)[^\s<>"'`\u200e\u200f\u202a-\u202e\u2066-\u2069]{1,2000}/giu
const TRAILING = /[.,;:!?…。、،؛؟'"”’]$/u

/**
 * Cuts a text into plain pieces and addresses. Only http, https and mailto become links, and only
 * what the platform's own parser accepts; a message is never turned into markup.
 */
export function segments(text: string): Segment[] {
  const pieces: Segment[] = []
  let from = 0
  for (const match of text.matchAll(ADDRESS)) {
    const address = withoutTail(match[0])
    const href = safeHref(address)
    if (!href) continue
    if (match.index > from) pieces.push({ text: text.slice(from, match.index) })
    pieces.push({ text: address, href })
    from = match.index + address.length
  }
  if (from < text.length || pieces.length === 0) pieces.push({ text: text.slice(from) })
  return pieces
}

/** Punctuation after an address belongs to the sentence; a closing bracket does unless it was opened inside. */
function withoutTail(address: string): string {
  let end = address.length
  for (;;) {
    const last = address[end - 1]!
    const head = address.slice(0, end)
    const unopened = (last === ')' && count(head, ')') > count(head, '(')) || (last === ']' && count(head, ']') > count(head, '['))
    if (!unopened && !TRAILING.test(last)) return head
    end -= 1
  }
}

function count(text: string, character: string): number {
  return text.split(character).length - 1
}

function safeHref(address: string): string | undefined {
  if (!URL.canParse(address)) return undefined
  const { protocol, href } = new URL(address)
  return protocol === 'http:' || protocol === 'https:' || protocol === 'mailto:' ? href : undefined
}

/** One to three emoji and nothing else are shown large. */
export function isOnlyEmoji(text: string): boolean {
  return text.length <= 40 && /^(?:\p{RGI_Emoji}\s*){1,3}$/v.test(text)
}
