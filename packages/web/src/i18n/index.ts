import { ref, shallowRef } from 'vue'
import { en } from './en.ts'

export type Key = keyof typeof en
/** A text, or its forms by plural category; `{name}` is filled in. */
export type Text = string | ({ other: string } & Partial<Record<Intl.LDMLPluralRule, string>>)
export type Catalogue = Record<Key, Text>

export const LANGUAGES = { en: 'English', ko: '한국어', ja: '日本語', ar: 'العربية' } as const
export type Language = keyof typeof LANGUAGES

const catalogues: Record<Language, () => Promise<Catalogue>> = {
  en: async () => en,
  ko: async () => (await import('./ko.ts')).ko,
  ja: async () => (await import('./ja.ts')).ja,
  ar: async () => (await import('./ar.ts')).ar
}

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/

export const language = ref<Language>('en')
/** How dates and numbers are written: in the language shown, as the browser's own region does it. */
export const locale = ref<string>('en')
const catalogue = shallowRef<Catalogue>(en)

/** The first of the browser's languages that there are words for. */
export function languageOf(wanted: readonly string[]): Language {
  for (const tag of wanted) {
    const base = tag.split('-')[0]!.toLowerCase()
    if (base in LANGUAGES) return base as Language
  }
  return 'en'
}

export async function setLanguage(next: Language): Promise<void> {
  catalogue.value = await catalogues[next]()
  language.value = next
  locale.value = navigator.languages.find(tag => tag.toLowerCase().startsWith(`${next}-`) && isKnown(tag)) ?? next
  document.documentElement.lang = next
  document.documentElement.dir = next === 'ar' ? 'rtl' : 'ltr'
}

/** The words for a key; where they depend on a number, `count` chooses the form. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  const text = catalogue.value[key]
  const form = typeof text === 'string' ? text : (text[plural(Number(values.count))] ?? text.other)
  return form.replace(/\{(\w+)\}/g, (_, name: string) => show(values[name]))
}

function plural(count: number): Intl.LDMLPluralRule {
  return new Intl.PluralRules(language.value).select(count)
}

function show(value: string | number | undefined): string {
  if (typeof value === 'number') return number(value)
  if (value === undefined) return ''
  // A name of the other direction must not pull the words around it to its side.
  return language.value === 'ar' || RIGHT_TO_LEFT.test(value) ? `\u2068${value}\u2069` : value
}

/** Several names in one line, as the language shown puts them together. */
export function listed(names: readonly string[]): string {
  return new Intl.ListFormat(locale.value, { type: 'conjunction' }).format(names)
}

export function number(value: number): string {
  return new Intl.NumberFormat(locale.value).format(value)
}

/** Some browsers name a region that their own formats refuse, such as en-US@posix. */
function isKnown(tag: string): boolean {
  try {
    return Intl.DateTimeFormat.supportedLocalesOf(tag).length > 0
  } catch {
    return false
  }
}
