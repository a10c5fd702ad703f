#!/usr/bin/env node
// The command. Parseable by old versions of Node, so that they can say what is wrong before anything native is loaded.
import { existsSync } from 'fs';
import * as nodeModule from 'module';
import { homedir } from 'os';
import { join } from 'path';

import { nodeProblem } from './node-version.js';

const source = new URL('../src/main.ts', import.meta.url);
const isCheckout = existsSync(source);
const problem = nodeProblem(process.versions.node, isCheckout);

/** Keeps compiled code in the user's cache: most clients start a server for each session, and it starts in half the time. */
function keepCompiledCode() {
  const home = homedir();
  if (!existsSync(home)) return;
  // In the user's own folder: who could write there could change the program as well.
  nodeModule.enableCompileCache(join(home, '.cache', 'mimir-memory'));
}

if (problem === '') {
  keepCompiledCode();
  const program = isCheckout ? source : new URL('../dist/main.js', import.meta.url);
  void import(program.href).then((module) => module.main(process.argv.slice(2)));
} else {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 1;
}
