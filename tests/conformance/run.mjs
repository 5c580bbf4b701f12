// The official MCP conformance suite against a real service: every `auth` scenario alone, at both wires, on both engines.
//
// At 2025-11-25 the link alone binds the user's browser, at 2026-07-28 a front end confirms: both ways are walked.
//
//   node run.mjs [sqlite] [postgres] [--rounds N] [--together] [--only TEXT]
//
//   --rounds N    the whole set N times against one service, as it meets one deployment over the days
//   --together    all scenarios of a wire at once
//   --only TEXT   scenarios whose name holds this

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { stopAll } from '../e2e/children.mjs';
import { startPostgres } from '../e2e/postgres.mjs';
import { Report } from '../e2e/report.mjs';
import { Service } from '../e2e/service.mjs';
import { runScenario, scenarios } from './suite.mjs';

const ALL_ENGINES = ['sqlite', 'postgres'];
// The client takes what arrives there itself; nothing is sent to it.
const COMPLETION_URL = 'https://chat.example/connected';
const WIRES = [
  { wire: '2025-11-25', completionUrl: undefined },
  { wire: '2026-07-28', completionUrl: COMPLETION_URL },
];
// What the suite presumes about a deployment.
const SETTINGS = {
  STATIONMASTER_OAUTH__CLIENT_METADATA_URL: 'https://conformance-test.local/client-metadata.json',
};
const RECORDS = fileURLToPath(new URL('.work/', import.meta.url));

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '1' },
      together: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
    },
  });
  const unknown = positionals.filter((name) => !ALL_ENGINES.includes(name));
  if (unknown.length > 0) throw new Error(`unknown engine: ${unknown.join(', ')}; there are ${ALL_ENGINES.join(' and ')}`);
  if (!/^[1-9]\d*$/.test(values.rounds)) throw new Error(`--rounds is a number, not ${values.rounds}`);
  return { ...values, rounds: Number(values.rounds), engines: positionals.length > 0 ? positionals : ALL_ENGINES };
}

async function onEngine(engine, selected, { rounds, together }) {
  const report = new Report();
  const directory = await mkdtemp(join(tmpdir(), `stationmaster-conformance-${engine}-`));
  let postgres;
  let service;
  try {
    postgres = engine === 'postgres' ? await startPostgres() : undefined;
    service = await Service.start({
      directory: join(directory, 'data'),
      databaseUrl: postgres?.url,
      completionUrl: COMPLETION_URL,
      settings: SETTINGS,
    });
    for (let round = 1; round <= rounds; round += 1) {
      for (const { wire, completionUrl } of WIRES) {
        report.chapter([engine, wire, ...(rounds > 1 ? [`round ${round}`] : [])].join(', '));
        const one = async (scenario, place) => {
          const tenant = `r${round}-${wire}-${place}`;
          const records = join(RECORDS, engine, tenant);
          const faults = await runScenario(scenario, { wire, tenant, service, completionUrl, records });
          report.holds(scenario.name, faults.length === 0, faults.join('\n'));
        };
        if (together) await Promise.all(selected.map(one));
        else for (const [place, scenario] of selected.entries()) await one(scenario, place);
      }
    }
  } catch (error) {
    report.stopped(error);
  } finally {
    if (service && report.failed > 0) {
      const log = join(RECORDS, engine, 'service.log');
      await mkdir(join(RECORDS, engine), { recursive: true });
      await writeFile(log, service.log());
      console.log(`what the service logged: ${log}`);
    }
    await stopAll();
    await postgres?.stop();
    await rm(directory, { recursive: true, force: true });
  }
  return report;
}

async function main() {
  const chosen = options();
  await rm(RECORDS, { recursive: true, force: true });
  const table = await scenarios();
  const selected = table.run.filter(({ name }) => name.includes(chosen.only));

  const reports = [];
  for (const engine of chosen.engines) {
    const report = await onEngine(engine, selected, chosen);
    console.log(`${engine}: ${report.passed} passed, ${report.failed} failed`);
    reports.push(report);
  }

  for (const { name, why } of table.leftOut) console.log(`not run - ${name}: ${why}`);
  const sum = (count) => reports.reduce((total, report) => total + report[count], 0);
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
  process.exitCode = sum('failed') === 0 && sum('passed') > 0 ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => process.exit(1));
}
await main();
