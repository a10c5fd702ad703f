// Parseable by old versions of Node: no syntax here that Node 12 does not know.

/** The oldest Node that runs this program: native SQLite needs it, and it runs TypeScript sources as they are. */
export const OLDEST_NODE = '22.18';

/** What is wrong with this version of Node, as one sentence with its mend; '' when nothing is. */
export function nodeProblem(version, isCheckout) {
  const found = version.split('.').map(Number);
  const oldest = OLDEST_NODE.split('.').map(Number);
  if (found[0] > oldest[0] || (found[0] === oldest[0] && found[1] >= oldest[1])) return '';
  const mend = isCheckout
    ? 'run `npm ci`, which installs Node 24 for every `npm` command of this folder, or install a newer Node from https://nodejs.org'
    : 'install a newer Node from https://nodejs.org';
  return `Mimir needs Node ${OLDEST_NODE} or newer and found Node ${version}: ${mend}.`;
}
