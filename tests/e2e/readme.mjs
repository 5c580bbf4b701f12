// README.md, read literally: its commands are run in its order, in a fresh clone, by a shell, as a newcomer would type them.
//
// `make test` is not run again in here, since CI runs it as a gate of its own; what is checked is that CI does. Every other
// command is run, those within sentences too, and a command this file does not know is a failure: say here what it promises.
//
//   node readme.mjs
//
// What is cloned is the last commit. The clone is gone afterwards, but not its build: that stays in target/readme, apart
// from the checkout's own, so that neither is ever taken for the other.

import { access, mkdir, mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Browser } from './browser.mjs';
import { Child, run, stopAll, until, within } from './children.mjs';
import { Report } from './report.mjs';
import { Terminal } from './terminal.mjs';

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));
const BUILD_DEADLINE_MS = 900_000;
const INSTALL_DEADLINE_MS = 300_000;
const TOTAL_DEADLINE_MS = 960_000;
const LINK = /https?:\/\/\S+\/connect\/\S+/;

// What the service and `make upstream` are promised to listen on.
const PORTS = [7400, 7401, 7402, 9000, 9001];

// ---- the blocks ------------------------------------------------------------------------------------------------------

const BLOCKS = [
  { says: /serve --dev$/, run: serve },
  { says: /^make test$/, run: testedElsewhere },
  { says: /^make upstream$/, run: upstream },
  { says: /^stationmaster server create /m, run: register },
  { says: /^stationmaster connect /, run: connect },
  { says: /^stationmaster resolve .*--output json >/, run: call },
  { says: /^stationmaster resolve /, run: resolve },
  { says: /^stationmaster disconnect /, run: disconnect },
];

async function serve({ report, clone, environment }, block) {
  const child = new Child('serve', 'bash', ['-c', block], { cwd: clone, env: environment, group: true, stopSignal: 'SIGINT' });
  const started = Date.now();
  const ready = until(BUILD_DEADLINE_MS, 'the service to be built and ready', () => answers('http://127.0.0.1:7402/readyz'));
  await child.orEnd(BUILD_DEADLINE_MS, 'the service', ready);
  console.log(`built and ready after ${((Date.now() - started) / 1000).toFixed(0)} s`);

  report.holds('gRPC is on 7400', await accepts(7400));
  report.holds('browsers are on 7401', await answers('http://127.0.0.1:7401/'));
  report.holds('metrics are on 7402', await answers('http://127.0.0.1:7402/metrics'));
  for (const file of ['stationmaster.db', 'cli.toml']) {
    const found = await stat(join(clone, 'stationmaster-data', file)).catch(() => undefined);
    report.holds(`stationmaster-data/${file} is there, for its owner only`, found && (found.mode & 0o077) === 0, found);
  }
  return child;
}

async function testedElsewhere({ report, clone }, block) {
  await isGate(report, clone, block);
}

async function upstream({ report, clone, environment }, block) {
  const child = new Child('upstream', 'bash', ['-c', block], { cwd: clone, env: environment, group: true, stopSignal: 'SIGINT' });
  await child.line((line) => (line.includes('until interrupted') ? true : undefined), INSTALL_DEADLINE_MS);
  report.holds('it says where the MCP server is', child.stdout.includes('http://127.0.0.1:9000/mcp'), child.tail());
  report.same('which refuses strangers', (await fetch('http://127.0.0.1:9000/mcp', { method: 'POST' })).status, 401);
  return child;
}

async function register({ report, terminal }, block) {
  const { code, output } = await terminal.type(block);
  report.same('the server is created', code, 0);
  report.holds('and discovered', /http:\/\/127\.0\.0\.1:9001/.test(output), output);
}

async function connect({ report, terminal }, block) {
  const browser = new Browser();
  let visited;
  const hear = (line) => {
    const link = line.match(LINK)?.[0];
    if (link) visited ??= browser.visit(link, { login: 'any name' });
  };
  const { code, output } = await terminal.type(block, { hear });
  const page = await visited;
  report.holds('a link is printed, and leads to a page that says it is done', /is connected/.test(page?.text), `${output}\n${browser.story()}`);
  report.same('the command ends well', code, 0);
  report.holds('and says who is connected', /alice is connected/.test(output), output);
}

async function resolve({ report, terminal }, block) {
  const { code, output } = await terminal.type(block);
  report.same('it ends well', code, 0);
  report.holds('the server is ready, and the secret hidden from the screen', /ready/.test(output) && !/Bearer/.test(output), output);
}

async function call({ report, terminal }, block) {
  const { code, output } = await terminal.type(block);
  report.same('it ends well', code, 0);
  report.holds('the tool answers', output.includes('"hello"'), output);
}

async function disconnect({ report, terminal, clone }, block) {
  const { code, output } = await terminal.type(block);
  report.same('it ends well', code, 0);
  report.holds('and says so', /alice is not connected/.test(output), output);
  report.same('no headers are left behind', await exists(join(clone, 'resolved.json')), false);
  const { output: after } = await terminal.type('stationmaster resolve tools --user alice');
  report.holds('a resolve says that the grant is gone', /not-connected/.test(after), after);
}

// ---- the sentences ---------------------------------------------------------------------------------------------------

const SENTENCES = {
  async 'stationmaster --help'({ report, terminal }, command) {
    const { code, output } = await terminal.type(command);
    report.holds('the commands are listed', code === 0 && /Commands:/.test(output), output);
  },
  async 'stationmaster apikey create --role daemon --name chat'({ report, terminal }, command) {
    const { code, output } = await terminal.type(command);
    report.holds('a key is shown', code === 0 && /\bstm_/.test(output), output);
  },
  async 'stationmaster header set'({ report, terminal }, command) {
    const { code, output } = await terminal.type(`${command} --help`);
    report.holds('it says how values are given', code === 0 && /--header-file|--header-env/.test(output), output);
  },
  async 'stationmaster keys generate'({ report, production }, command) {
    const { code } = await production.type(`umask 077\n${command} > root.key`);
    report.same('a root key is made', code, 0);
  },
  async 'stationmaster config check'({ report, production }, command) {
    const bare = await production.type(command);
    report.holds('what is missing is asked for', bare.code === 1 && /public\.url/.test(bare.output) && /root_keys/.test(bare.output), bare.output);
    await production.type('export STATIONMASTER_PUBLIC__URL=https://mcp.example.com STATIONMASTER_KEYS__ROOT_KEYS_FILE=root.key');
    const { code, output } = await production.type(command);
    const row = /public\.url.*https:\/\/mcp\.example\.com.*STATIONMASTER_PUBLIC__URL/;
    report.holds('every setting is shown with its value and who said it', code === 0 && row.test(output), output);
  },
  async 'stationmaster apikey bootstrap'({ report, production }, command) {
    const { code, output } = await production.type(command);
    report.holds('the first operator key is shown', code === 0 && /\bstm_/.test(output), output);
  },
  'make lint': ({ report, clone }, command) => isGate(report, clone, command),
  'make test': ({ report, clone }, command) => isGate(report, clone, command),
  'make model': ({ report, clone }, command) => isGate(report, clone, command),
  'make storm-quick': ({ report, clone }, command) => isGate(report, clone, command),
  'make e2e': ({ report, clone }, command) => isGate(report, clone, command),
  'make conformance': ({ report, clone }, command) => isGate(report, clone, command),
  'make readme': ({ report, clone }, command) => isGate(report, clone, command),
};

async function isGate(report, clone, command) {
  const target = command.replace(/^make /, '');
  const makefile = await readFile(join(clone, 'Makefile'), 'utf8');
  const gates = await readFile(join(clone, '.ci/run'), 'utf8');
  report.holds('the Makefile has it', new RegExp(`^${target}:`, 'm').test(makefile));
  report.holds('.ci/run runs it', new RegExp(`^gate ${target} \\d+ ${command}$`, 'm').test(gates));
}

// ---- reading and running -------------------------------------------------------------------------------------------------

const blocksOf = (text) => [...text.matchAll(/^```sh\n(.*?)\n```$/gms)].map((found) => found[1]);

function commandsInSentences(text) {
  const prose = text.replace(/^```.*?^```$/gms, '');
  return [...prose.matchAll(/`((?:stationmaster|make|cargo) [^`]+)`/g)].map((found) => found[1].replace(/\s+/g, ' '));
}

const linksOf = (text) => [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map((found) => found[1]);

async function tour(report, clone, environment) {
  const text = await readFile(join(clone, 'README.md'), 'utf8');
  const nowhere = await mkdtemp(join(tmpdir(), 'stationmaster-production-'));
  const path = [join(clone, 'target/release'), environment.PATH].join(delimiter);
  const context = {
    report,
    clone,
    environment,
    terminal: await Terminal.open('terminal', { cwd: clone, env: environment }),
    production: await Terminal.open('production', { cwd: nowhere, env: { ...environment, PATH: path } }),
  };
  const background = [];
  try {
    for (const block of blocksOf(text)) {
      report.chapter(block.split('\n').at(-1));
      const known = BLOCKS.find(({ says }) => says.test(block));
      if (!known) report.holds('is known to this test', false, block);
      else background.push(await known.run(context, block));
    }
    for (const command of commandsInSentences(text)) {
      report.chapter(command);
      if (SENTENCES[command]) await SENTENCES[command](context, command);
      else report.holds('is known to this test', false);
    }
    report.chapter('README.md');
    for (const file of linksOf(text)) report.holds(`${file} is there`, await exists(join(clone, file)));

    report.chapter('Ctrl-C');
    for (const child of background.filter(Boolean).reverse()) await child.stop();
    for (const port of PORTS) report.same(`nothing listens on ${port} any more`, await accepts(port), false);
    report.same('git sees nothing that the tour left behind', await run('git', 'git', ['-C', clone, 'status', '--porcelain']), '');
  } finally {
    await context.terminal.close();
    await context.production.close();
    await rm(nowhere, { recursive: true, force: true });
  }
}

// What the release build does for speed takes minutes, and nothing here looks at speed.
const BUILD_QUICKLY = {
  CARGO_PROFILE_RELEASE_OPT_LEVEL: '0',
  CARGO_PROFILE_RELEASE_LTO: 'off',
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16',
};

// Nothing of the caller's own settings, profiles or build options leaks in. The toolchain stays where it is.
function cleanEnvironment(home) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(STATIONMASTER_|CARGO_TARGET_DIR$|MAKE|MFLAGS$)/.test(name));
  return { ...Object.fromEntries(inherited), ...BUILD_QUICKLY, XDG_CONFIG_HOME: join(home, 'config'), NO_COLOR: '1' };
}

async function onFreshClone(report) {
  const directory = await mkdtemp(join(tmpdir(), 'stationmaster-readme-'));
  const clone = join(directory, 'stationmaster');
  const target = join(CHECKOUT, 'target/readme');
  try {
    report.chapter('before');
    for (const port of PORTS) report.holds(`port ${port} is free`, !(await accepts(port)), 'the tour needs it; end what listens there');
    await run('git clone', 'git', ['clone', '--quiet', CHECKOUT, clone]);
    await mkdir(target, { recursive: true });
    await symlink(target, join(clone, 'target'));
    await tour(report, clone, cleanEnvironment(directory));
  } catch (error) {
    report.stopped(error);
  } finally {
    await stopAll();
    await rm(directory, { recursive: true, force: true });
  }
}

async function answers(url) {
  const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  return answer.ok ? true : undefined;
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = dial({ port, host: '127.0.0.1' });
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false)).on('close', () => socket.destroy());
    socket.on('connect', () => socket.destroy());
  });
}

const exists = (path) => access(path).then(() => true, () => false);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => process.exit(1));
}
const report = new Report();
const toured = onFreshClone(report);
await within(TOTAL_DEADLINE_MS, 'the tour to end', toured).catch(async (error) => {
  report.stopped(error);
  await stopAll();
  await toured;
});
process.exitCode = report.finish() ? 0 : 1;
