// A private PostgreSQL cluster: made for one run, reachable on loopback with a password, gone afterwards.

import { chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Child, freePorts, run, until } from './children.mjs';

const FINDER = fileURLToPath(new URL('../scripts/postgres.sh', import.meta.url));
const PASSWORD = 'e2e-password';

// PostgreSQL refuses to run as root.
async function unprivileged() {
  if (process.getuid() !== 0) return {};
  const id = async (flag) => Number(await run('id', 'id', [flag, 'postgres']));
  return { uid: await id('-u'), gid: await id('-g') };
}

/** @returns {Promise<{url: string, child: Child, stop: () => Promise<void>}>} */
export async function startPostgres() {
  const bin = (await run('postgres.sh', 'bash', [FINDER], { deadline: 300_000 })).trim().split('\n').at(-1);
  const owner = await unprivileged();
  const directory = await mkdtemp(join(tmpdir(), 'stationmaster-e2e-postgres-'));
  const data = join(directory, 'data');
  const passwordFile = join(directory, 'password');
  await writeFile(passwordFile, PASSWORD, { mode: 0o600 });
  await mkdir(data, { mode: 0o700 });
  if (owner.uid !== undefined) {
    for (const path of [directory, data, passwordFile]) await chown(path, owner.uid, owner.gid);
  }

  const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', PGPASSWORD: PASSWORD };
  const options = { ...owner, cwd: directory, env };
  await run('initdb', join(bin, 'initdb'), [
    '--pgdata', data, '--username', 'stationmaster', '--pwfile', passwordFile,
    '--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C.UTF-8', '--no-sync',
  ], { ...options, deadline: 60_000 });

  const [port] = await freePorts(1);
  const child = new Child('postgres', join(bin, 'postgres'), [
    '-D', data, '-h', '127.0.0.1', '-p', String(port), '-k', directory,
    '-c', 'fsync=off', '-c', 'full_page_writes=off',
  ], { ...options, stopSignal: 'SIGINT' });
  const address = ['-h', '127.0.0.1', '-p', String(port), '-U', 'stationmaster'];
  await until(30_000, 'PostgreSQL to accept connections', async () => {
    await run('pg_isready', join(bin, 'pg_isready'), address, options);
    return true;
  });
  await run('createdb', join(bin, 'createdb'), [...address, 'stationmaster'], options);

  return {
    url: `postgres://stationmaster:${PASSWORD}@127.0.0.1:${port}/stationmaster`,
    child,
    async stop() {
      await child.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
