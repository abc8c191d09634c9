import { defineStore } from 'pinia'
import { reactive, watch } from 'vue'
import { type Language, languageOf, setLanguage } from '../i18n/index.ts'
import { kept } from './storage.ts'

export type Theme = 'system' | 'light' | 'dark'
type Settings = { theme: Theme; language: Language | 'browser' }

/** How this browser shows the page. Applied at once and kept for the next visit. */
export const useSettingsStore = defineStore('settings', () => {
  const settings = reactive<Settings>({ theme: 'system', language: 'browser', ...kept.get<Partial<Settings>>('settings') })

  async function apply(): Promise<void> {
    const root = document.documentElement
    if (settings.theme === 'system') delete root.dataset.theme
    else root.dataset.theme = settings.theme
    await setLanguage(settings.language === 'browser' ? languageOf(navigator.languages) : settings.language)
  }

  watch(settings, () => {
    kept.set('settings', { theme: settings.theme, ...(settings.language === 'browser' ? {} : { language: settings.language }) })
    void apply()
  })

  return { settings, apply }
})
