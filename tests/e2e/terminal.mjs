// A terminal that a person types into: one shell, so that what a command sets is there for the next.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Child } from './children.mjs';

const DONE = '--- done:';

export class Terminal {
  #shell;
  #scripts;
  #typed = 0;

  constructor(shell, scripts) {
    this.#shell = shell;
    this.#scripts = scripts;
  }

  /** Opens one. */
  static async open(name, options) {
    const scripts = await mkdtemp(join(tmpdir(), 'stationmaster-terminal-'));
    const shell = new Child(name, 'bash', ['--norc', '--noprofile'], {
      ...options,
      stdio: ['pipe', 'pipe', 'pipe'],
      group: true,
    });
    shell.process.stdin.write("exec 2>&1; set -E; trap 'failed=$?' ERR\n");
    return new Terminal(shell, scripts);
  }

  /**
   * Types lines and waits until the last has ended.
   *
   * @param {string} lines
   * @param {object} options
   * @param {number} [options.deadline] in milliseconds
   * @param {(line: string) => void} [options.hear] is told every line that is printed
   * @returns {Promise<{code: number, output: string}>} the exit code of the last command that failed, or 0
   */
  async type(lines, { deadline = 60_000, hear = () => {} } = {}) {
    this.#typed += 1;
    const mark = `${DONE}${this.#typed}:`;
    const script = join(this.#scripts, `${this.#typed}.sh`);
    await writeFile(script, `${lines}\n`);

    const output = [];
    const heard = new Promise((resolve) => {
      this.#shell.follow((line) => {
        if (line.startsWith(mark)) {
          resolve(Number(line.slice(mark.length)));
          return false;
        }
        output.push(line);
        hear(line);
        return true;
      });
    });
    // Commands must not read what is typed after them, hence no standard input.
    this.#shell.process.stdin.write(`failed=0; . ${script} </dev/null; printf '\\n${mark}%s\\n' "$failed"\n`);
    const code = await this.#shell.orEnd(deadline, `the end of\n${lines}`, heard);
    return { code, output: output.join('\n').trim() };
  }

  async close() {
    await this.#shell.stop('SIGKILL');
    await rm(this.#scripts, { recursive: true, force: true });
  }
}
