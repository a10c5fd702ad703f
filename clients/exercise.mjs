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
  const { resources } = await client.listResources();
  const { contents } = await client.readResource({ uri: resources[0].uri });
  const { resourceTemplates } = await client.listResourceTemplates();
  const { prompts } = await client.listPrompts();
  const { messages } = await client.getPrompt({ name: 'what_do_you_know', arguments: { topic: 'heron' } });
  const missing = await client.readResource({ uri: 'mimir://entity/mem-000000000000' }).catch((error) => error.code);
  process.stdout.write(
    `${JSON.stringify({
      tools: tools.length,
      action: stored.structuredContent.action,
      keys: found.structuredContent.items.map((item) => item.key),
      same: JSON.parse(found.content[0].text).total === found.structuredContent.total,
      refused: refused.isError === true,
      resources: resources.map((resource) => resource.name),
      read: JSON.parse(contents[0].text).key,
      templates: resourceTemplates.map((template) => template.uriTemplate),
      prompts: prompts.map((prompt) => prompt.name),
      told: messages[0].content.text.includes('heron host'),
      missing,
    })}\n`,
  );
}
