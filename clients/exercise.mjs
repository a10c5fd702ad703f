// What every client does: list, store, find, and meet an error. It prints one line of JSON.
export async function exercise(client) {
  const { tools } = await client.listTools();
  const call = async (name, args) => await client.callTool({ name, arguments: args });
  const stored = await call('mimir_remember', {
    category: 'client',
    key: 'a',
    body_json: '{"content":"The heron host runs staging"}',
  });
  const found = await call('mimir_recall', { query: 'heron' });
  const refused = await call('mimir_remember', { category: 'client' });
  process.stdout.write(
    `${JSON.stringify({
      tools: tools.length,
      action: stored.structuredContent.action,
      keys: found.structuredContent.items.map((item) => item.key),
      same: JSON.parse(found.content[0].text).total === found.structuredContent.total,
      refused: refused.isError === true,
    })}\n`,
  );
}
