#!/usr/bin/env node
// The command. Parseable by old versions of Node, so that they can say what is wrong before anything native is loaded.
import { existsSync } from 'fs';

import { nodeProblem } from './node-version.js';

const source = new URL('../src/main.ts', import.meta.url);
const isCheckout = existsSync(source);
const problem = nodeProblem(process.versions.node, isCheckout);

if (problem === '') {
  const program = isCheckout ? source : new URL('../dist/main.js', import.meta.url);
  void import(program.href).then((module) => module.main(process.argv.slice(2)));
} else {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 1;
}
