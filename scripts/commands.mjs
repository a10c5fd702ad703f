// Writes docs/commands.md from the command table.
import { writeFileSync } from 'node:fs';

import { COMMANDS } from '../src/cli/commands.ts';
import { commandsPage } from '../src/cli/help.ts';

writeFileSync(new URL('../docs/commands.md', import.meta.url), commandsPage(COMMANDS));
