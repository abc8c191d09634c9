import { colleagues, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { launchBrowser, WEB_ROOT } from '../src/index.ts'

t.test('without the demo one signs in with a token, for as long as it is valid', async t => {
  const [platform, browser] = await Promise.all([startPlatform(t, { env: { WEB_ROOT } }), launchBrowser(t)])
  const [ada, ben] = colleagues('Ada Adams', 'Ben Brown')
  await platform.client(ben).get('/me')
  const { body: direct } = await platform.client(ada).post(`/conversations/dm/${ben.id}`)
  const page = await browser.newPage({ locale: 'en-GB' })
  page.setDefaultTimeout(10_000)
  const field = page.getByLabel('Access token')
  const signIn = async (token: string) => {
    await field.fill(token)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }

  await page.goto(`${platform.urls[0]}/messages/${direct.id}`)
  await signIn('not a token')
  await page.getByRole('alert').getByText('That did not work').waitFor()
  await until(() => field.evaluate(element => element.matches(':focus')), { what: 'the field has the focus' })

  await signIn(platform.token(ada, { expires_in_seconds: 4 }))
  await page.getByRole('heading', { name: 'Ben Brown' }).waitFor()
  await page.getByRole('form').getByRole('textbox').fill('a draft')

  await page.getByText('Your sign-in has ended.').waitFor()
  await page.getByRole('button', { name: 'Sign in again' }).click()
  await signIn(platform.token(ada))
  await page.getByRole('heading', { name: 'Ben Brown' }).waitFor()
  t.equal(await page.getByRole('form').getByRole('textbox').inputValue(), 'a draft', 'what was written is still there')
  await page.reload()
  await page.getByRole('heading', { name: 'Ben Brown' }).waitFor()
})
