// One line per check, and a closing line that counts them.

import { isDeepStrictEqual, inspect } from 'node:util';

export class Report {
  /** How many checks were fine so far. */
  passed = 0;

  /** How many were not. */
  failed = 0;

  #chapter = '';
  #started = Date.now();

  /** What the next checks are about. */
  chapter(name) {
    this.#chapter = name;
    this.#started = Date.now();
  }

  /** A fact that must hold. `detail` is printed when it does not. */
  holds(name, fact, detail = '') {
    if (fact) {
      this.passed += 1;
      console.log(`ok - ${this.#chapter}: ${name}`);
      return;
    }
    this.failed += 1;
    console.log(`not ok - ${this.#chapter}: ${name}`);
    if (detail) console.log(indent(typeof detail === 'string' ? detail : inspect(detail, { depth: 6 })));
  }

  /** Two values that must be the same. */
  same(name, actual, expected) {
    this.holds(name, isDeepStrictEqual(actual, expected), `expected ${inspect(expected)}\nfound    ${inspect(actual)}`);
  }

  /** The journey cannot go on. */
  stopped(error) {
    const seconds = ((Date.now() - this.#started) / 1000).toFixed(1);
    this.holds(`the journey reaches its end (stopped after ${seconds} s)`, false, error?.stack ?? String(error));
  }

  /** Prints the closing line. Was everything fine, and was there anything? */
  finish() {
    console.log(`${this.passed} passed, ${this.failed} failed`);
    return this.failed === 0 && this.passed > 0;
  }
}

const indent = (text) => text.split('\n').map((line) => `    ${line}`).join('\n');
