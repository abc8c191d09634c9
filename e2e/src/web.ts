import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { DEMO_ORG_ID } from '@parley/contracts'
import { type Person, type Platform, person, type Scope, startPlatform } from '@parley/test-kit'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { launchBrowser } from './browser.ts'

export const WEB_ROOT = fileURLToPath(new URL('../../packages/web/dist', import.meta.url))

const TIMEOUT_MS = 8_000

export type Window = Awaited<ReturnType<typeof openWindow>>

/** The whole platform with its page, a browser, and people of the demo's organization. */
export async function startWeb<const N extends readonly string[]>(t: Scope, ...names: N) {
  const [platform, browser] = await Promise.all([startPlatform(t, { demo: true, env: { WEB_ROOT } }), launchBrowser(t)])
  const people = names.map(name => person({ name, org_id: DEMO_ORG_ID })) as { [K in keyof N]: Person }
  // The first valid token of a person makes them known.
  for (const one of people) await platform.client(one).get('/me')
  return { platform, browser, people, open: (one: Person, options: WindowOptions = {}) => openWindow(t, platform, browser, one, options) }
}

interface WindowOptions extends BrowserContextOptions {
  path?: string
  /** What is done to the page before it is opened. */
  prepare?: (page: Page) => Promise<unknown>
}

/** A window of somebody's own, signed in. What the page says against its own policy, or throws, fails the test. */
async function openWindow(
  t: Scope,
  platform: Platform,
  browser: Browser,
  { name }: Person,
  { path = '/', prepare, ...options }: WindowOptions
) {
  const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'Asia/Seoul', ...options })
  const page = await context.newPage()
  const wrong: string[] = []
  page.on('pageerror', error => wrong.push(error.message))
  page.setDefaultTimeout(TIMEOUT_MS)
  await page.addInitScript(
    `addEventListener('securitypolicyviolation', event => console.error('violates ' + event.violatedDirective + ': ' + event.blockedURI))`
  )
  page.on('console', message => {
    // A lost connection is the browser's to report, and a test's to cause.
    if (message.type() === 'error' && !/WebSocket|Failed to load resource/.test(message.text())) wrong.push(message.text())
  })
  t.teardown(async () => {
    await context.close()
    if (wrong.length > 0) throw new Error(`the window of ${name} had errors:\n${wrong.join('\n')}`)
  })
  await prepare?.(page)
  await page.goto(`${platform.urls[0]}${path}`)
  await page.getByRole('button', { name }).click()
  return {
    page,
    composer: page.getByRole('form').getByRole('textbox'),
    conversation: (title: string | RegExp): Locator => page.getByRole('navigation').getByRole('link', { name: title }),
    /** Messages with this text, each an article of the thread. */
    message: (text: string | RegExp): Locator => page.getByRole('article').filter({ hasText: text }),
    async say(text: string): Promise<void> {
      const composer = page.getByRole('form').getByRole('textbox')
      await composer.fill(text)
      await composer.press('Enter')
    },
    async choose(text: string, action: string): Promise<void> {
      const row = page.getByRole('article').filter({ hasText: text })
      await row.hover()
      await row.getByRole('button', { name: 'More for this message' }).click()
      await page
        .getByRole('menuitem', { name: action })
        .or(page.getByRole('menuitemcheckbox', { name: action }))
        .click()
    }
  }
}

/** The texts of the messages in a window, from the oldest that is drawn to the newest. */
export async function textsIn(page: Page): Promise<string[]> {
  return page.locator('article .message-text').allInnerTexts()
}

/** What stands in the way of those who use the page in another way, by the rules of WCAG 2.2 AA and good practice. */
export async function faultsOf(page: Page): Promise<string[]> {
  await page.evaluate(await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'))
  return page.evaluate(`(async () => {
    // What is still fading in has not its own contrast yet.
    await Promise.allSettled(document.getAnimations().map(animation => animation.finished))
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
    const { violations } = await axe.run({ runOnly: { type: 'tag', values: tags } })
    return violations.map(({ id, impact, nodes }) => impact + ' ' + id + ': ' + nodes.map(({ html }) => html.slice(0, 160)).join(' | '))
  })()`)
}
