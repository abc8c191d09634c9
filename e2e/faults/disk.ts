import { execFile } from 'node:child_process'
import { chown, cp, mkdtemp, rename, rm, stat, statfs, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Scope } from '@parley/test-kit'

const run = promisify(execFile)

/** A disk of a few megabytes, in memory, that can be filled and emptied: a folder of a server is put on it. */
export class SmallDisk {
  readonly #path: string
  readonly #ballast: string

  private constructor(path: string) {
    this.#path = path
    this.#ballast = join(path, 'ballast')
  }

  /**
   * Mounts one, which ends with the scope.
   *
   * @throws Error where this may not be done: it takes root
   */
  static async mount(scope: Scope, megabytes: number): Promise<SmallDisk> {
    const path = await mkdtemp(join(tmpdir(), 'parley-disk-'))
    scope.teardown(() => rm(path, { recursive: true, force: true }))
    await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path]).catch(error => {
      throw new Error(`a small disk could not be mounted, which only root may: run it as root (${error.stderr?.trim() || error.message})`)
    })
    // Whoever still works on it is about to end as well.
    scope.teardown(() => run('umount', ['--lazy', path]).catch(() => {}))
    return new SmallDisk(path)
  }

  /** Moves a folder here and leaves a link in its place. Nobody may work in it meanwhile. */
  async take(folder: string): Promise<void> {
    const place = join(this.#path, 'folder')
    const { uid, gid } = await stat(folder)
    await chown(this.#path, uid, gid)
    await run('cp', ['--archive', folder, place])
    await rm(folder, { recursive: true })
    await symlink(place, folder)
  }

  /** Puts the folder back where it was. Nobody may work in it meanwhile. */
  async giveBack(folder: string): Promise<void> {
    await cp(join(this.#path, 'folder'), `${folder}.back`, { recursive: true, preserveTimestamps: true })
    const { uid, gid } = await stat(folder)
    await run('chown', ['--recursive', `${uid}:${gid}`, `${folder}.back`])
    await rm(folder)
    await rename(`${folder}.back`, folder)
  }

  /** Leaves no byte for anybody else. */
  async fill(): Promise<void> {
    const { bavail, bsize } = await statfs(this.#path)
    // Whoever works there may have been quicker with the last of it.
    await writeFile(this.#ballast, Buffer.alloc(bavail * bsize)).catch(error => {
      if (error.code !== 'ENOSPC') throw error
    })
  }

  async free(): Promise<void> {
    await rm(this.#ballast, { force: true })
  }
}
