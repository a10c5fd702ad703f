// A server with what the official suite calls by name, on our own transports: it proves them where the real tools, which
// never ask a client anything, cannot. Run by scripts/conformance.mjs; prints its address.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import {
  acceptedContent,
  createRequestStateCodec,
  inputRequired,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  Server,
  type CallToolResult,
  type InputRequiredResult,
  type ServerContext,
} from '@modelcontextprotocol/server';

import { monotonicMs } from '../../../src/clock.ts';
import { LIMITS } from '../../../src/limits.ts';
import { createStreamable } from '../../../src/mcp/streamable.ts';
import { listen } from '../../../src/transport/http.ts';
import { webRoute } from '../../../src/transport/web.ts';

type Result = CallToolResult | InputRequiredResult;
type Args = Readonly<Record<string, unknown>>;
type Tool = (args: Args, context: ServerContext, server: Server) => Promise<Result> | Result;

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';
/** A WAV header without a sample. */
const SILENCE = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=';
const states = createRequestStateCodec<{ round: number }>({ key: randomBytes(32) });

const say = (text: string): CallToolResult => ({ content: [{ type: 'text', text }] });
const image = { type: 'image', data: PIXEL, mimeType: 'image/png' } as const;
const ask = (message: string, name: string, type: 'string' | 'boolean' = 'string') =>
  inputRequired.elicit({
    message,
    requestedSchema: {
      type: 'object',
      properties: { [name]: type === 'boolean' ? { type } : { type } },
      required: [name],
    },
  });
const question = (text: string, maxTokens = 100) =>
  inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text } }], maxTokens });
const has = (context: ServerContext, key: string): boolean => context.mcpReq.inputResponses?.[key] !== undefined;

/** What the client can, by its envelope. */
function declaredBy(envelope: object | undefined): Args | undefined {
  return (envelope as Readonly<Record<string, Args>> | undefined)?.['io.modelcontextprotocol/clientCapabilities'];
}

/** Asks for a confirmation under a state that must come back unchanged. */
const confirming =
  (done: string): Tool =>
  async (_, context) => {
    const state = context.mcpReq.requestState<{ round: number }>();
    if (state !== undefined && has(context, 'confirm')) return say(done);
    return inputRequired({
      inputRequests: { confirm: ask('Please confirm', 'ok', 'boolean') },
      requestState: await states.mint({ round: 1 }),
    });
  };

const elicited =
  (properties: object): Tool =>
  async (_, context) => {
    const requestedSchema = { type: 'object' as const, properties: properties as Record<string, never> };
    const { action, content } = await context.mcpReq.elicitInput({ message: 'Please look at these', requestedSchema });
    return say(`Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`);
  };

const titled = (...names: string[]): object[] => names.map((title, i) => ({ const: `value${i + 1}`, title }));

const TOOLS: Readonly<Record<string, Tool>> = {
  test_simple_text: () => say('This is a simple text response for testing.'),
  test_image_content: () => ({ content: [image] }),
  test_audio_content: () => ({ content: [{ type: 'audio', data: SILENCE, mimeType: 'audio/wav' }] }),
  test_embedded_resource: () => ({
    content: [
      {
        type: 'resource',
        resource: {
          uri: 'test://embedded-resource',
          mimeType: 'text/plain',
          text: 'This is an embedded resource content.',
        },
      },
    ],
  }),
  test_multiple_content_types: () => ({
    content: [
      { type: 'text', text: 'Multiple content types test:' },
      image,
      {
        type: 'resource',
        resource: {
          uri: 'test://mixed-content-resource',
          mimeType: 'application/json',
          text: '{"test":"data","value":123}',
        },
      },
    ],
  }),
  test_error_handling: () => ({ ...say('This tool intentionally returns an error for testing'), isError: true }),
  test_tool_with_logging: async (_, { mcpReq }) => {
    await mcpReq.log('info', 'Tool execution started');
    await sleep(50);
    await mcpReq.log('info', 'Tool processing data');
    await sleep(50);
    await mcpReq.log('info', 'Tool execution completed');
    return say('logged');
  },
  test_logging_tool: async (_, { mcpReq }) => {
    await mcpReq.log('info', 'only for who asked');
    return say('logged');
  },
  test_tool_with_progress: async (_, { mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined) {
        await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
      }
      await sleep(50);
    }
    return say('went from 0 to 100');
  },
  test_sampling: async ({ prompt }, { mcpReq }) => {
    const content = { type: 'text', text: String(prompt) } as const;
    const answer = await mcpReq.requestSampling({ messages: [{ role: 'user', content }], maxTokens: 100 });
    return say(`LLM response: ${JSON.stringify(answer.content)}`);
  },
  test_elicitation: async ({ message }, { mcpReq }) => {
    const text = (description: string) => ({ type: 'string' as const, description });
    const properties = { username: text("User's response"), email: text("User's email address") };
    const requestedSchema = { type: 'object' as const, properties, required: ['username', 'email'] };
    const answer = await mcpReq.elicitInput({ message: String(message), requestedSchema });
    return say(`User response: ${JSON.stringify(answer)}`);
  },
  test_elicitation_sep1034_defaults: elicited({
    name: { type: 'string', default: 'John Doe' },
    age: { type: 'integer', default: 30 },
    score: { type: 'number', default: 95.5 },
    status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
    verified: { type: 'boolean', default: true },
  }),
  test_elicitation_sep1330_enums: elicited({
    untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
    titledSingle: { type: 'string', oneOf: titled('First Option', 'Second Option', 'Third Option') },
    legacyEnum: {
      type: 'string',
      enum: ['opt1', 'opt2', 'opt3'],
      enumNames: ['Option One', 'Option Two', 'Option Three'],
    },
    untitledMulti: { type: 'array', items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
    titledMulti: { type: 'array', items: { anyOf: titled('First Choice', 'Second Choice', 'Third Choice') } },
  }),
  test_reconnection: async (_, { http }) => {
    await sleep(50);
    http?.closeSSE?.();
    await sleep(100);
    return say('told after the stream was closed');
  },
  test_missing_capability: (_, { mcpReq }) => {
    const declared = declaredBy(mcpReq.envelope);
    if (declared?.['sampling'] !== undefined) return say('sampling was declared');
    throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { sampling: {} } });
  },
  test_streaming_elicitation: async (_, context) => {
    if (has(context, 'name')) return say('thank you');
    return inputRequired({ inputRequests: { name: ask('Your name?', 'name') } });
  },
  test_input_required_result_elicitation: (_, { mcpReq }) => {
    const name = acceptedContent<{ name: string }>(mcpReq.inputResponses, 'user_name')?.name;
    if (name !== undefined) return say(`Hello, ${name}!`);
    return inputRequired({ inputRequests: { user_name: ask('What is your name?', 'name') } });
  },
  test_input_required_result_sampling: (_, context) => {
    if (has(context, 'capital_question')) return say(JSON.stringify(context.mcpReq.inputResponses));
    return inputRequired({ inputRequests: { capital_question: question('What is the capital of France?') } });
  },
  test_input_required_result_list_roots: (_, context) => {
    if (has(context, 'client_roots')) return say(JSON.stringify(context.mcpReq.inputResponses));
    return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
  },
  test_input_required_result_request_state: confirming('state-ok'),
  test_input_required_result_tampered_state: confirming('confirmed'),
  test_input_required_result_multiple_inputs: async (_, context) => {
    const keys = ['user_name', 'greeting', 'client_roots'];
    if (keys.every((key) => has(context, key))) return say('all three came');
    return inputRequired({
      inputRequests: {
        user_name: ask('What is your name?', 'name'),
        greeting: question('Generate a greeting', 50),
        client_roots: inputRequired.listRoots(),
      },
      requestState: await states.mint({ round: 1 }),
    });
  },
  test_input_required_result_multi_round: async (_, context) => {
    const round = context.mcpReq.requestState<{ round: number }>()?.round ?? 0;
    if (round === 2 && has(context, 'step2')) return say('three rounds');
    return round === 1 && has(context, 'step1')
      ? inputRequired({
          inputRequests: { step2: ask('Step 2: What is your favorite color?', 'color') },
          requestState: await states.mint({ round: 2 }),
        })
      : inputRequired({
          inputRequests: { step1: ask('Step 1: What is your name?', 'name') },
          requestState: await states.mint({ round: 1 }),
        });
  },
  test_input_required_result_capabilities: (_, { mcpReq }) => {
    const declared = declaredBy(mcpReq.envelope);
    return inputRequired({
      inputRequests: {
        ...(declared?.['sampling'] !== undefined && { say: question('Say something') }),
        ...(declared?.['elicitation'] !== undefined && { name: ask('Your name?', 'name') }),
      },
    });
  },
};

const RESOURCES: Readonly<Record<string, object>> = {
  'test://static-text': { mimeType: 'text/plain', text: 'This is the content of the static text resource.' },
  'test://static-binary': { mimeType: 'image/png', blob: PIXEL },
  'test://watched-resource': { mimeType: 'text/plain', text: 'watched' },
};

const argument = (name: string) => ({ name, description: 'A test argument.', required: true });
const PROMPTS = [
  { name: 'test_simple_prompt' },
  { name: 'test_prompt_with_arguments', arguments: [argument('arg1'), argument('arg2')] },
  { name: 'test_prompt_with_embedded_resource', arguments: [argument('resourceUri')] },
  { name: 'test_prompt_with_image' },
  { name: 'test_input_required_result_prompt' },
].map((prompt) => ({ ...prompt, description: 'A prompt for the official suite.' }));

function makeServer(): Server {
  const server = new Server(
    { name: 'fixture', version: '1' },
    {
      capabilities: { tools: {}, resources: { subscribe: true }, prompts: {}, logging: {}, completions: {} },
      requestState: { verify: states.verify.bind(states) },
    },
  );
  server.setRequestHandler('tools/list', async () => ({
    tools: Object.keys(TOOLS).map((name) => ({
      name,
      description: 'A tool for the official suite.',
      inputSchema: { type: 'object' },
    })),
  }));
  server.setRequestHandler('tools/call', async ({ params }, context) => {
    const tool = Object.hasOwn(TOOLS, params.name) ? TOOLS[params.name] : undefined;
    if (tool === undefined) throw new ProtocolError(-32602, `Unknown tool: ${params.name}`);
    return await tool(params.arguments ?? {}, context, server);
  });
  server.setRequestHandler('resources/list', async () => ({
    resources: Object.keys(RESOURCES).map((uri) => ({ uri, name: uri })),
  }));
  server.setRequestHandler('resources/templates/list', async () => ({
    resourceTemplates: [{ uriTemplate: 'test://template/{id}/data', name: 'by id' }],
  }));
  server.setRequestHandler('resources/read', async ({ params: { uri } }) => {
    const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
    if (id !== undefined) {
      const text = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
      return { contents: [{ uri, mimeType: 'application/json', text }] };
    }
    const found = RESOURCES[uri];
    if (found === undefined) throw new ProtocolError(-32602, 'Resource not found', { uri });
    return { contents: [{ uri, ...found } as { uri: string; text: string }] };
  });
  server.setRequestHandler('resources/subscribe', async () => ({}));
  server.setRequestHandler('resources/unsubscribe', async () => ({}));
  server.setRequestHandler('completion/complete', async () => ({ completion: { values: ['paris', 'park', 'party'] } }));
  server.setRequestHandler('prompts/list', async () => ({ prompts: PROMPTS }));
  server.setRequestHandler('prompts/get', async ({ params: { name, arguments: args = {} } }, context) => {
    const user = <C>(content: C) => ({ role: 'user' as const, content });
    const text = (words: string) => user({ type: 'text' as const, text: words });
    switch (name) {
      case 'test_simple_prompt':
        return { messages: [text('This is a simple prompt for testing.')] };
      case 'test_prompt_with_arguments':
        return { messages: [text(`Prompt with arguments: arg1='${args['arg1']}', arg2='${args['arg2']}'`)] };
      case 'test_prompt_with_embedded_resource': {
        const resource = {
          uri: args['resourceUri'] ?? '',
          mimeType: 'text/plain',
          text: 'Embedded resource content for testing.',
        };
        const embedded = user({ type: 'resource' as const, resource });
        return { messages: [embedded, text('Please process the embedded resource above.')] };
      }
      case 'test_prompt_with_image':
        return { messages: [user(image), text('Please analyze the image above.')] };
      case 'test_input_required_result_prompt':
        if (has(context, 'user_context')) return { messages: [text(JSON.stringify(context.mcpReq.inputResponses))] };
        return inputRequired({
          inputRequests: { user_context: ask('What context should the prompt use?', 'context') },
        });
      default:
        throw new ProtocolError(-32602, `Unknown prompt: ${name}`);
    }
  });
  return server;
}

const onBug = (error: unknown): string => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return 'none';
};
const streamable = createStreamable({
  makeServer,
  newSessionId: () => randomBytes(16).toString('hex'),
  nowMs: monotonicMs,
  onBug,
  limits: LIMITS,
});
const { port } = await listen({
  admission: { host: '127.0.0.1', allowedHosts: [], allowedOrigins: [], token: null },
  port: 0,
  routes: { '/mcp': webRoute(streamable.fetch) },
  ready: () => true,
  onBug,
});
process.stderr.write(`MCP clients connect to http://127.0.0.1:${port}/mcp\n`);
