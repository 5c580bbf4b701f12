// The official suite as its users meet it: the command line, its exit status, the records it leaves. Everything this test
// assumes about them is in this file, and the table of scenarios in `scenarios.txt`.

import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Child, run, within } from '../e2e/children.mjs';

const here = (file) => fileURLToPath(new URL(file, import.meta.url));
const SUITE = here('node_modules/@modelcontextprotocol/conformance/dist/index.js');
const CLIENT = process.env.STATIONMASTER_CONFORMANCE_BIN ?? here('../../target/debug/stationmaster-conformance');
// The suite gives a client 30 seconds, and the client itself 25.
const SCENARIO_DEADLINE_MS = 45_000;

/**
 * The table: what to run and what not.
 *
 * @returns {Promise<{run: {name: string, auth: string, ends: string}[], leftOut: {name: string, why: string}[]}>}
 */
export async function scenarios() {
  const lines = (await readFile(here('scenarios.txt'), 'utf8')).split('\n').filter((line) => line && !line.startsWith('#'));
  const rows = lines.map((line) => line.match(/^(?<name>\S+)\s+\S+\s+(?<auth>\S+)\s+(?<ends>.+?)\s*$/).groups);
  await covers(rows.map(({ name }) => name));
  return {
    run: rows.filter(({ auth }) => auth !== '-'),
    leftOut: rows.filter(({ auth }) => auth === '-').map(({ name, ends: why }) => ({ name, why })),
  };
}

// The table holds every scenario the suite has, or "all passed" would mean little.
async function covers(named) {
  const listed = await run('conformance list', process.execPath, [SUITE, 'list', '--client']);
  const existing = [...listed.matchAll(/^\s+- (auth\/\S+)/gm)].map(([, name]) => name);
  const different = [...existing.filter((name) => !named.includes(name)), ...named.filter((name) => !existing.includes(name))];
  if (existing.length === 0 || different.length > 0) {
    throw new Error(`scenarios.txt and the suite differ in: ${different.join(', ') || 'everything'}`);
  }
}

/**
 * Runs one scenario at one wire against a service.
 *
 * @param {{name: string, auth: string, ends: string}} scenario
 * @param {{wire: string, tenant: string, service: import('../e2e/service.mjs').Service, completionUrl?: string, records: string}} options
 * @returns {Promise<string[]>} what is wrong, nothing when it passed
 */
export async function runScenario(scenario, { wire, tenant, service, completionUrl, records }) {
  // The suite splits the command at spaces and hands it to a shell: the path stays out of it.
  const command = ['"$CLIENT"', '--endpoint', service.endpoint, '--tenant', tenant, '--auth', scenario.auth];
  if (completionUrl) command.push('--completion-url', completionUrl);
  const options = ['--scenario', scenario.name, '--spec-version', wire, '--force', '--output-dir', records];
  const child = new Child(scenario.name, process.execPath, [SUITE, 'client', '--command', command.join(' '), ...options], {
    env: { ...process.env, CLIENT, STATIONMASTER_API_KEY: service.operatorKey },
    group: true,
  });
  const ended = await within(SCENARIO_DEADLINE_MS, 'the scenario to end', child.ended).catch(async (error) => {
    await child.stop('SIGKILL');
    return { late: error.message };
  });
  const { checks, said, complaint } = await record(records);

  const wrong = checks.filter(({ status }) => status === 'FAILURE' || status === 'WARNING');
  const faults = wrong.map(({ status, id, errorMessage, description }) => `${status} ${id}: ${errorMessage ?? description}`);
  if (said !== scenario.ends) faults.push(`the daemon saw it end with ${said || 'nothing'}, not ${scenario.ends}\n${complaint}`);
  if (!checks.some(({ status }) => status === 'SUCCESS')) faults.push('nothing was checked');
  if (ended.late) faults.push(ended.late);
  if (ended.code !== 0 && faults.length === 0) faults.push(`the suite ended with ${ended.signal ?? ended.code}\n${child.tail()}`);
  return faults.map((fault) => fault.trim());
}

// The one record of a run: its checks, the client's last word, and what it complained of.
async function record(records) {
  const file = async (name) => {
    const [folder] = await readdir(join(records, 'auth'));
    return (await readFile(join(records, 'auth', folder, name), 'utf8')).trim();
  };
  try {
    const said = (await file('stdout.txt')).split('\n').at(-1);
    return { checks: JSON.parse(await file('checks.json')), said, complaint: await file('stderr.txt') };
  } catch (error) {
    return { checks: [], said: '', complaint: error.message };
  }
}
