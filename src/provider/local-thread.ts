// Entry of the thread in which a local model computes.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';

import { errorToData, MimirError } from '../errors.ts';
import type { FromModel, ToModel } from './local-embedder.ts';

const PACKAGE = '@huggingface/transformers';
const INSTALL = `Install it beside mimir-memory: npm install --ignore-scripts ${PACKAGE}`;

interface Tensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

type Pipeline = (texts: readonly string[], options: object) => Promise<Tensor>;

interface Transformers {
  readonly env: { allowRemoteModels: boolean };
  readonly pipeline: (task: string, model: string, options: object) => Promise<Pipeline>;
}

/** Files of a model by how they are named in transformers.js, the quickest first. */
const FILES = [
  ['model_quantized', 'q8'],
  ['model_int8', 'int8'],
  ['model_fp16', 'fp16'],
  ['model', 'fp32'],
] as const;

function refuse(message: string, hint: string): never {
  throw new MimirError('provider_refused', message, { hint });
}

function transformers(): Transformers {
  try {
    // By require, because it looks into NODE_PATH as well.
    return createRequire(import.meta.url)(PACKAGE) as Transformers;
  } catch (thrown) {
    const missing = thrown instanceof Error && 'code' in thrown && thrown.code === 'MODULE_NOT_FOUND';
    return missing
      ? refuse(`A model in a folder needs the package ${PACKAGE}, which is not installed.`, `${INSTALL}.`)
      : refuse(`The package ${PACKAGE} cannot be loaded: its native part is missing.`, `${INSTALL}.`);
  }
}

/** The model's file, and what transformers.js wants to know of it. */
function fileOf(folder: string): { readonly path: string; readonly dtype: string; readonly subfolder: string } {
  for (const subfolder of ['onnx', '']) {
    for (const [name, dtype] of FILES) {
      const path = join(folder, subfolder, `${name}.onnx`);
      if (existsSync(path)) return { path, dtype, subfolder };
    }
  }
  return refuse(
    `There is no ONNX model in ${folder}.`,
    'Name a folder with tokenizer.json, config.json and onnx/model.onnx or onnx/model_quantized.onnx; for a model of a server, --embedding-endpoint too.',
  );
}

/** Models of sentence-transformers say how the vectors of the words become one. */
function poolingOf(folder: string): 'mean' | 'cls' {
  const file = join(folder, '1_Pooling', 'config.json');
  if (!existsSync(file)) return 'mean';
  const config: unknown = JSON.parse(readFileSync(file, 'utf8'));
  const cls = typeof config === 'object' && config !== null && 'pooling_mode_cls_token' in config;
  return cls && config.pooling_mode_cls_token === true ? 'cls' : 'mean';
}

const port = parentPort;
if (port === null) throw new Error('local-thread.ts is the entry of a worker thread');
const send = (message: FromModel): void => port.postMessage(message);

async function serve(folder: string): Promise<void> {
  const { path, dtype, subfolder } = fileOf(folder);
  const { env, pipeline } = transformers();
  env.allowRemoteModels = false;
  const embed = await pipeline('feature-extraction', folder, {
    dtype,
    subfolder,
    // More threads take the processors of everybody else, and their sums differ from run to run.
    session_options: { intraOpNumThreads: 1, interOpNumThreads: 1 },
  });
  const pooling = poolingOf(folder);
  const fingerprint = createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 12);
  let busy: Promise<unknown> = Promise.resolve();
  port?.on('message', ({ id, texts }: ToModel) => {
    busy = busy.then(async () => {
      try {
        const { data, dims } = await embed(texts, { pooling, normalize: true });
        const size = dims.at(-1) ?? 0;
        send({ kind: 'vectors', id, vectors: texts.map((_, i) => data.slice(i * size, (i + 1) * size)) });
      } catch (thrown) {
        send({ kind: 'failed', id, error: errorToData(thrown) });
      }
    });
  });
  send({ kind: 'loaded', identity: `${basename(folder)}@${fingerprint}` });
}

try {
  await serve((workerData as { readonly folder: string }).folder);
} catch (thrown) {
  const known = thrown instanceof MimirError;
  const message = 'The model in this folder cannot be loaded.';
  const hint =
    'Look whether its files are whole: tokenizer.json, tokenizer_config.json, config.json and the ONNX file.';
  send({
    kind: 'failed',
    id: null,
    error: errorToData(known ? thrown : new MimirError('provider_refused', message, { hint })),
  });
}
