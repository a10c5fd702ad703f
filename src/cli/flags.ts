import type { Flag } from './command.ts';

// Flags that several commands share. Nothing heavy may be imported here: a server over stdio reads this before it answers.

/** Which store. */
export const STORE: readonly Flag[] = [
  { name: 'db', kind: 'path', value: 'FILE', help: 'the store (MIMIR_DB_PATH; ~/.mimir/data/mimir.db)' },
  { name: 'encryption-key', kind: 'path', value: 'FILE', help: 'key of an encrypted store' },
];

/** For programs. */
export const JSON_OUT: Flag = { name: 'json', kind: 'switch', help: 'print JSON, for programs' };

/** Which workspace. */
export const WORKSPACE: Flag = {
  name: 'workspace-hash',
  kind: 'text',
  value: 'NAME',
  help: 'the workspace',
  mayBeEmpty: true,
  field: 'workspace_hash',
};

const later = (name: string, what: string, value?: string): Flag => ({
  name,
  kind: value === undefined ? 'switch' : 'text',
  ...(value !== undefined && { value }),
  help: what,
  later: what,
});

/** Which models, and where they are. */
export const MODEL: readonly Flag[] = [
  {
    name: 'embedding-model',
    kind: 'text',
    value: 'NAME',
    help: 'search by meaning as well, with this model of the server below; without one, the folder of a model (MIMIR_EMBEDDING_MODEL)',
  },
  {
    name: 'embedding-endpoint',
    kind: 'text',
    value: 'URL',
    help: 'Ollama, or any server with /v1/embeddings (MIMIR_EMBEDDING_ENDPOINT)',
  },
  { name: 'embedding-api-key', kind: 'text', value: 'KEY', help: 'its key (MIMIR_EMBEDDING_API_KEY)' },
  {
    name: 'llm-endpoint',
    kind: 'text',
    value: 'URL',
    help: 'a language model for mimir_ask and mimir_synthesize: Ollama, or any server with /v1/chat/completions (MIMIR_LLM_ENDPOINT)',
  },
  { name: 'llm-model', kind: 'text', value: 'NAME', help: 'its name (MIMIR_LLM_MODEL; llama3)' },
  { name: 'llm-api-key', kind: 'text', value: 'KEY', help: 'its key (MIMIR_LLM_API_KEY)' },
  { name: 'offline', kind: 'switch', help: 'ask no model server and run no connectors, whatever else is set' },
];

/** The same for one call, which ends before a search by meaning would be ready. */
export const MODEL_OF_CALL: readonly Flag[] = MODEL.map((flag) =>
  flag.name === 'embedding-model'
    ? {
        ...flag,
        help: 'for mimir_embed: this model of the server below; without one, the folder of a model (MIMIR_EMBEDDING_MODEL). A recall from here goes by words; a server searches by meaning',
      }
    : flag,
);

/** What brings documents in. */
export const CONNECTORS: Flag = {
  name: 'connectors-config',
  kind: 'path',
  value: 'FILE',
  help: 'bring in files and GitHub issues as this YAML file says (docs/sources.md)',
};

/** Everything that a server can be told. */
export const SERVER: readonly Flag[] = [
  ...STORE,
  {
    name: 'transport',
    kind: 'text',
    value: 'WORD',
    help: 'how clients reach it: stdio or http (stdio); sse is the same as http',
  },
  { name: 'port', kind: 'count', value: 'N', most: 65_535, help: 'HTTP port (8767); 0 takes a free one' },
  { name: 'web-bind', kind: 'text', value: 'ADDRESS', help: 'HTTP address (127.0.0.1); others need a token' },
  { name: 'mcp-token', kind: 'text', value: 'TOKEN', help: 'demand this bearer token (MIMIR_TOKEN)' },
  { name: 'mcp-token-file', kind: 'path', value: 'FILE', help: 'the same, read from a file' },
  { name: 'allow-host', kind: 'texts', value: 'NAME', help: 'accept this Host header too' },
  { name: 'allow-origin', kind: 'texts', value: 'ORIGIN', help: 'accept this web origin, with CORS' },
  {
    name: 'tools',
    kind: 'text',
    value: 'LIST',
    help: 'which tools clients are shown (MIMIR_TOOLS; core): core, all, or names with commas between them; all can be called',
  },
  ...MODEL,
  CONNECTORS,
  later('web', 'the web page is not there yet'),
  later('web-auth-token', 'the web page is not there yet', 'TOKEN'),
  // Refused with a sentence by config.ts.
  { name: 'workspace-token', kind: 'text', value: 'TOKEN', help: '', hidden: true },
  { name: 'mcp', kind: 'switch', help: '', hidden: true },
];
