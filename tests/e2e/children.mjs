// Child processes that cannot outlive the test, and the deadlines that bound everything.

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const KEPT_LINES = 400;
const STOP_DEADLINE_MS = 15_000;

const running = new Set();

/** A running child: its output is kept line by line, the last lines of it. */
export class Child {
  lines = [];
  #listeners = new Set();

  /**
   * @param {string} name how reports call it
   * @param {string} command
   * @param {string[]} args
   * @param {import('node:child_process').SpawnOptions & {stopSignal?: string, group?: boolean}} options with `group`,
   *   signals reach everything it has started, as Ctrl-C at a terminal does
   */
  constructor(name, command, args, { stopSignal = 'SIGTERM', group = false, ...options } = {}) {
    this.name = name;
    this.stopSignal = stopSignal;
    this.group = group;
    this.process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: group, ...options });
    running.add(this);
    this.ended = new Promise((resolve) => {
      this.process.on('error', (error) => {
        this.#hear(String(error), 'stderr');
        resolve({ code: null, signal: null });
      });
      this.process.on('close', (code, signal) => resolve({ code, signal }));
    });
    this.ended.then(() => running.delete(this));
    for (const stream of ['stdout', 'stderr']) {
      createInterface({ input: this.process[stream] }).on('line', (line) => this.#hear(line, stream));
    }
  }

  #hear(line, stream) {
    this.lines.push({ line, stream });
    if (this.lines.length > KEPT_LINES) this.lines.shift();
    for (const listener of this.#listeners) listener(line);
  }

  /** The first result of `pick` over the lines, past ones included. */
  async line(pick, milliseconds) {
    for (const { line } of this.lines) {
      const found = pick(line);
      if (found !== undefined) return found;
    }
    let stop = false;
    const heard = new Promise((resolve) => {
      this.follow((line) => {
        const found = stop ? undefined : pick(line);
        if (found !== undefined) resolve(found);
        return !stop && found === undefined;
      });
    });
    try {
      return await this.orEnd(milliseconds, `a line of ${this.name}`, heard);
    } finally {
      stop = true;
    }
  }

  /** Hands every line from now on to `listener`, until that answers false. */
  follow(listener) {
    const heard = (line) => {
      if (!listener(line)) this.#listeners.delete(heard);
    };
    this.#listeners.add(heard);
  }

  /** The promise's result, unless the child ends or time is up before. */
  async orEnd(milliseconds, what, promise) {
    const over = this.ended.then(() => {
      throw new Error(`${this.name} ended before it said what was expected\n${this.tail()}`);
    });
    try {
      return await within(milliseconds, what, Promise.race([promise, over]));
    } catch (error) {
      if (error instanceof DeadlineExceeded) error.message += `\n${this.tail()}`;
      throw error;
    }
  }

  /** Everything still kept of standard output. */
  get stdout() {
    return this.lines.filter(({ stream }) => stream === 'stdout').map(({ line }) => line).join('\n');
  }

  /** The last lines, for a report. */
  tail(count = 40) {
    return this.lines.slice(-count).map(({ line }) => `  ${this.name} | ${line}`).join('\n');
  }

  /** Asks it to stop, and kills it when it does not. Answers how it ended. */
  async stop(signal = this.stopSignal) {
    if (running.has(this)) this.kill(signal);
    const killer = setTimeout(() => this.kill('SIGKILL'), STOP_DEADLINE_MS);
    const how = await this.ended;
    clearTimeout(killer);
    return how;
  }

  /** Sends a signal and waits for nothing. */
  kill(signal) {
    if (!this.group || this.process.pid === undefined) {
      this.process.kill(signal);
      return;
    }
    try {
      process.kill(-this.process.pid, signal);
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  }
}

/** Runs a command to its end; answers its standard output, throws when it fails or takes too long. */
export async function run(name, command, args, { deadline = 30_000, ...options } = {}) {
  const child = new Child(name, command, args, options);
  try {
    const { code, signal } = await within(deadline, `${name} to end`, child.ended);
    if (code !== 0) throw new CommandFailed(`${name} ended with ${signal ?? code}\n${child.tail()}`, code, child);
    return child.stdout;
  } finally {
    await child.stop('SIGKILL');
  }
}

/** A command that ended with another code than zero. */
export class CommandFailed extends Error {
  constructor(message, code, child) {
    super(message);
    this.code = code;
    this.child = child;
  }
}

export class DeadlineExceeded extends Error {}

/** The promise's result, or an error that names what was waited for. */
export async function within(milliseconds, what, promise) {
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new DeadlineExceeded(`waited ${milliseconds} ms for ${what}`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks until the answer is not undefined. An error counts as "not yet" and is shown when time is up. */
export async function until(milliseconds, what, ask) {
  const end = Date.now() + milliseconds;
  let last;
  while (Date.now() < end) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      last = error;
    }
    await sleep(50);
  }
  throw new DeadlineExceeded(`waited ${milliseconds} ms for ${what}${last ? `: ${last.message}` : ''}`);
}

/** Ports nobody listens on now, all different. */
export async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, () =>
      new Promise((resolve, reject) => {
        const server = createServer();
        server.on('error', reject);
        server.listen(0, '127.0.0.1', () => resolve(server));
      }),
    ),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Starts a Node program of this folder that prints `{"url": ...}` as its first JSON line. */
export async function startNode(name, file, env) {
  const child = new Child(name, process.execPath, [file], { env: { ...process.env, ...env } });
  child.url = await child.line((line) => (line.startsWith('{') ? JSON.parse(line).url : undefined), 15_000);
  return child;
}

/** Ends every child that is left, the last one started first. */
export async function stopAll() {
  for (const child of [...running].reverse()) await child.stop();
}

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
