// Writes docs/tools.md from the tools, and test/snapshots/tools.json: what clients are shown of all of them.
import { mkdirSync, writeFileSync } from 'node:fs';

import { toolsPage } from './tools-page.ts';
import { TOOLS } from '../src/tools/table.ts';

writeFileSync(new URL('../docs/tools.md', import.meta.url), toolsPage(TOOLS));
mkdirSync(new URL('../test/snapshots', import.meta.url), { recursive: true });
const listed = TOOLS.map(({ listing }) => listing);
writeFileSync(new URL('../test/snapshots/tools.json', import.meta.url), `${JSON.stringify(listed, null, 2)}\n`);
