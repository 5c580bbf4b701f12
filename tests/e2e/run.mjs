// The main job, end to end, on both engines: an administrator registers an MCP server, a user connects through the pages, a
// chat daemon gets headers and calls tools with them, tokens expire and rotate, the user leaves.
//
// Only public interfaces, and software at the other ends that was written elsewhere: see provider.mjs and mcp-server.mjs.
//
//   node run.mjs [sqlite] [postgres]

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { startNode, stopAll, within } from './children.mjs';
import { FrontEnd } from './front-end.mjs';
import { journey } from './journey.mjs';
import { startPostgres } from './postgres.mjs';
import { Report } from './report.mjs';
import { Service } from './service.mjs';

const ALL_ENGINES = ['sqlite', 'postgres'];
const TOTAL_DEADLINE_MS = 240_000;
const ENGINE_DEADLINE_MS = 110_000;

const here = (file) => fileURLToPath(new URL(file, import.meta.url));

async function onEngine(engine, report) {
  const directory = await mkdtemp(join(tmpdir(), `stationmaster-e2e-${engine}-`));
  let postgres;
  let service;
  const frontEnd = await FrontEnd.start();
  try {
    postgres = engine === 'postgres' ? await startPostgres() : undefined;
    const provider = await startNode('provider', here('provider.mjs'), {});
    const mcpServer = await startNode('mcp-server', here('mcp-server.mjs'), { E2E_ISSUER: provider.url });
    service = await Service.start({ directory: join(directory, 'data'), databaseUrl: postgres?.url, completionUrl: frontEnd.url });

    await journey({ report, service, provider, mcpServer, frontEnd });
  } catch (error) {
    report.stopped(error);
    if (service) console.log(service.log());
  } finally {
    await stopAll();
    await frontEnd.stop();
    await postgres?.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

function selected(names) {
  const unknown = names.filter((name) => !ALL_ENGINES.includes(name));
  if (unknown.length > 0) throw new Error(`unknown engine: ${unknown.join(', ')}; there are ${ALL_ENGINES.join(' and ')}`);
  return names.length > 0 ? names : ALL_ENGINES;
}

async function main() {
  const report = new Report();
  const overtime = setTimeout(() => {
    report.stopped(new Error(`not done after ${TOTAL_DEADLINE_MS} ms`));
    report.finish();
    process.exit(1);
  }, TOTAL_DEADLINE_MS);

  for (const engine of selected(process.argv.slice(2))) {
    report.chapter(engine);
    const journeyed = onEngine(engine, report);
    await within(ENGINE_DEADLINE_MS, `the journey on ${engine}`, journeyed).catch(async (error) => {
      report.stopped(error);
      await stopAll();
      await journeyed.catch(() => {});
    });
  }

  clearTimeout(overtime);
  process.exitCode = report.finish() ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => process.exit(1));
}
await main();
