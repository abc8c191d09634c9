import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { findWrongEdges } from '../src/layers.ts'
import { ROOT } from '../src/settings.ts'
import { temporaryFolder } from './platform.ts'

const PACKAGES = {
  'packages/contracts': ['@sinclair/typebox'],
  'packages/service-kit': ['@parley/contracts', 'fastify'],
  'packages/nats-kit': ['@parley/contracts', 'nats'],
  'packages/test-kit': ['@parley/contracts', '@parley/local', '@parley/nats-kit'],
  'packages/client': ['@parley/contracts'],
  'packages/web': ['@parley/contracts', '@parley/client', 'vue'],
  'services/gateway': ['@parley/contracts', '@parley/nats-kit', 'fastify'],
  'services/message-store': ['@parley/contracts', '@parley/service-kit']
}

/** A small workspace in good order, plus the given files and dependencies. */
async function wrongEdges(t: Test, files: Record<string, string>, dependencies: Record<string, string[]> = {}): Promise<string[]> {
  const root = await temporaryFolder(t)
  for (const [folder, listed] of Object.entries(PACKAGES)) {
    const name = `@parley/${folder.split('/')[1]}`
    const all = Object.fromEntries([...listed, ...(dependencies[folder] ?? [])].map(dependency => [dependency, '1.0.0']))
    await write(join(root, folder, 'package.json'), JSON.stringify({ name, exports: { '.': './src/index.ts' }, dependencies: all }))
    await write(join(root, folder, 'src/index.ts'), '')
  }
  await write(join(root, 'services/gateway/src/main.ts'), "import { buildApp } from './app.ts'")
  await write(join(root, 'services/gateway/src/app.ts'), "import route from './routes/messages.ts'\nimport { bus } from '@parley/nats-kit'")
  await write(
    join(root, 'services/gateway/src/routes/messages.ts'),
    "import { list } from '../queries/list.ts'\nimport { z } from 'node:fs'"
  )
  await write(join(root, 'services/gateway/src/queries/list.ts'), "import type { Database } from '../db.ts'")
  await write(join(root, 'services/gateway/src/db.ts'), '')
  await write(join(root, 'packages/nats-kit/test/consumer.test.ts'), "import { createApp } from '@parley/service-kit'")
  await write(join(root, 'services/gateway/test/app.test.ts'), "import { person } from '@parley/test-kit'\nimport '../src/app.ts'")
  for (const [file, source] of Object.entries(files)) await write(join(root, file), source)
  return findWrongEdges(root)
}

async function write(file: string, content: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, content)
}

t.test('this repository has no edge that points the wrong way', async t => {
  t.same(await findWrongEdges(ROOT.replace(/\/$/, '')), [])
})

t.test('a workspace in good order passes', async t => {
  t.same(await wrongEdges(t, {}), [])
})

t.test('each wrong list in a package.json is found', async t => {
  const found = await wrongEdges(
    t,
    {},
    {
      'packages/contracts': ['fastify'],
      'packages/service-kit': ['@parley/nats-kit'],
      'packages/nats-kit': ['@parley/gateway'],
      'packages/client': ['@parley/service-kit'],
      'packages/web': ['@parley/gateway'],
      'services/gateway': ['@parley/message-store'],
      'services/message-store': ['@parley/test-kit']
    }
  )
  t.same(found, [
    'packages/client/package.json lists @parley/service-kit: a client imports contracts alone',
    'packages/contracts/package.json lists fastify: contracts import typebox alone',
    'packages/nats-kit/package.json lists @parley/gateway: a kit imports contracts and a library',
    'packages/service-kit/package.json lists @parley/nats-kit: a kit imports no other kit',
    'packages/web/package.json lists @parley/gateway: a client imports contracts alone',
    'services/gateway/package.json lists @parley/message-store: a service imports contracts and kits alone',
    'services/message-store/package.json lists @parley/test-kit: only tests import the test kit'
  ])
})

t.test('each wrong import is found, in whatever form it is written', async t => {
  const found = await wrongEdges(t, {
    'packages/contracts/src/messages.ts': "export { z } from 'zod'",
    'packages/nats-kit/src/bus.ts': "import type { Kit } from '@parley/service-kit'",
    'packages/web/src/App.vue': '<script setup>\nimport { app } from "@parley/gateway"\n</script>',
    'services/gateway/src/socket/hub.ts': "import {\n  parse\n} from '@parley/contracts/src/frames.ts'",
    'services/gateway/src/socket/route.ts': "const store = await import('../../../message-store/src/app.ts')",
    'services/message-store/src/app.ts': "import '@parley/gateway'",
    'services/message-store/src/endpoints/send.ts': "import { person } from '@parley/test-kit'"
  })
  t.same(found, [
    'packages/contracts/src/messages.ts imports zod: contracts import typebox alone',
    'packages/nats-kit/src/bus.ts imports @parley/service-kit: a kit imports no other kit',
    'packages/web/src/App.vue imports @parley/gateway: a client imports contracts alone',
    "services/gateway/src/socket/hub.ts imports @parley/contracts/src/frames.ts: nobody imports past a package's index",
    'services/gateway/src/socket/route.ts imports ../../../message-store/src/app.ts: a package is imported by its name',
    'services/message-store/src/app.ts imports @parley/gateway: a service imports contracts and kits alone',
    'services/message-store/src/endpoints/send.ts imports @parley/test-kit: only tests import the test kit'
  ])
})

t.test('inside a service no import points upwards, not even by way of another file', async t => {
  const found = await wrongEdges(t, {
    'services/gateway/src/db.ts': "import { list } from './queries/list.ts'",
    'services/gateway/src/plugins/auth.ts': "import type { App } from '../app.ts'",
    'services/gateway/src/queries/list.ts': "import type { Database } from '../db.ts'\nimport { x } from '../endpoints/send.ts'",
    'services/gateway/src/rules.ts': "import { limits } from './limits.ts'",
    'services/gateway/src/limits.ts': "import { hub } from './socket/hub.ts'"
  })
  t.same(found, [
    'services/gateway/src/db.ts reaches queries/list.ts: inside a service imports point downwards',
    'services/gateway/src/plugins/auth.ts reaches app.ts: inside a service imports point downwards',
    'services/gateway/src/queries/list.ts reaches endpoints/send.ts: inside a service imports point downwards',
    'services/gateway/src/rules.ts reaches socket/hub.ts: inside a service imports point downwards'
  ])
})

t.test('an import in a comment is none', async t => {
  const comments = "// import { app } from '@parley/gateway'\n/* import { app } from '@parley/gateway' */"
  t.same(await wrongEdges(t, { 'services/message-store/src/app.ts': comments }), [])
})
