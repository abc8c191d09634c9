import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'

/** Serves the built web client; its own addresses (`/messages/…`) are the page too. */
export async function web(door: FastifyInstance, root: string): Promise<void> {
  if (root === '' || !existsSync(join(root, 'index.html'))) return
  await door.register(fastifyStatic, {
    root,
    wildcard: false,
    setHeaders: (response, path) => {
      // Built files carry their hash in their name; the page that names them is asked for each time.
      response.header('cache-control', path.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache')
    }
  })
  door.get('/messages/*', (_, reply) => reply.sendFile('index.html'))
  door.get('/messages', (_, reply) => reply.sendFile('index.html'))
}
