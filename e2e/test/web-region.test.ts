import { colleagues, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { launchBrowser, WEB_ROOT } from '../src/index.ts'

t.test('a browser that names a region its own formats refuse shows the conversations all the same', async t => {
  const [platform, browser] = await Promise.all([startPlatform(t, { env: { WEB_ROOT } }), launchBrowser(t)])
  const [ada, ben] = colleagues('Ada Adams', 'Ben Brown')
  await platform.client(ben).get('/me')
  await platform.client(ada).post('/messages', { recipient_id: ben.id, content: 'Hello' })
  const page = await browser.newPage({ locale: 'en-US' })
  await page.addInitScript("Object.defineProperty(navigator, 'languages', { value: ['en-US@posix', 'en'] })")

  await page.goto(platform.urls[0]!)
  await page.getByLabel('Access token').fill(platform.token(ada))
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('link', { name: /Ben Brown/ }).waitFor({ timeout: 10_000 })
  t.pass('the list has them')
})
