const KIB = 1024;
const MIB = 1024 * KIB;

/** Every bound of the program, each with its reason. Units are in the names. */
export const LIMITS = {
  // ---- what a call may carry
  /** A request body over HTTP: twice the largest memory, and 64 of them at once stay below 256 MiB. */
  httpBodyMaxBytes: 4 * MIB,
  /** A line on stdio: one local client, so generous; a 16 MB argument is still read and refused by name. */
  stdioLineMaxBytes: 32 * MIB,
  /** A memory's body: tokenising 1 MiB takes about 100 ms of the writer, everybody else waits for that. */
  bodyJsonMaxBytes: 1 * MIB,
  /** Identity texts (category, key, workspace, ids, tags, paths) stand in indexes and in every answer. */
  nameMaxBytes: 2 * KIB,
  tagsMax: 64,
  /** The original's bound for each of the three journal texts. */
  journalFieldMaxBytes: 64 * KIB,
  stateValueMaxBytes: 1 * MIB,
  /** Nesting of JSON: the original's parser stops at 128. */
  jsonDepthMax: 128,
  /** A query longer than this is cut: the words after it would not change the first page. */
  queryMaxChars: 10_000,
  /** Different terms of one query that are looked up; FTS5 expressions are trees of limited depth. */
  queryTermsMax: 64,
  recallLimitMax: 1_000,
  /** Memories of one `remember_many`: one transaction, in which all others wait; a write takes about 0.5 ms. */
  rememberManyMax: 500,
  /** Queries of one `recall_many`. */
  recallManyMax: 32,
  /** Problems of a store that one answer names: the first tell what kind of damage it is. */
  problemsMax: 100,
  /** What is wrong with a message: names of members are quoted there, and a client chooses their length. */
  problemMaxChars: 200,
  /** Memories that `resources/list` shows: a person picks from them. */
  resourcesListed: 50,
  offsetMax: 10_000,
  timelineLimitMax: 1_000,
  traverseDepthMax: 64,
  traverseNodesMax: 1_000,
  /** The original's bound for pinned rows in a context. */
  alwaysOnMax: 50,
  /** Context stays below this whatever is stored, so that it fits a prompt. */
  contextMaxChars: 32_000,
  alsoMax: 20,
  /** Categories, or types, that statistics name: the largest ones. */
  statsGroupsMax: 1_000,
  /** Categories of one context: each is a query of its own. */
  categoriesMax: 64,
  /** Stored text in one answer (the first item always fits): it is held several times while it is sent. */
  answerMaxChars: 8 * MIB,

  // ---- finding
  /** Candidates that are ranked: with fewer the right row is lost, since the index on disk looks at no lengths (docs/retrieval.md). */
  candidatesMin: 300,
  candidatesMax: 1_200,
  /**
   * Hits less likely to answer are held back: of the right ones this costs half a point of R@5 among notes and less in chats,
   * and a query of words that the store hardly knows gets nothing (docs/retrieval.md).
   */
  confidenceFloor: 0.08,
  /** Between two lines that say how far an older text index is made anew: who watches sees it move, and the log stays short. */
  rebuildToldMs: 10_000,
  /** The live rows in a reader's memory: about 700 bytes a row of 60 words, so up to 190,000 rows; larger stores are searched on disk. */
  ramIndexMaxBytes: 128 * MIB,
  /** Rows nearest in meaning that are ranked beside those that share a word; 50 and 200 were measured to find as much. */
  nearestMax: 100,
  /** Rows looked at for those nearest in meaning when a filter leaves most of them out: about 2 us each. */
  nearestLookedAt: 4_000,
  /** Vectors in a connection's memory, a byte a dimension: 316,000 of 384; with more, meaning only reorders what words find. */
  vectorIndexMaxBytes: 128 * MIB,
  /** Of a text that is embedded: about 500 word pieces; small models read 256 or 512. */
  embedTextMaxChars: 2_000,
  /** Memories that are embedded in one request, and by the model in this process at a time: a question waits for as many. */
  embedBatch: 32,
  embedBatchLocal: 8,
  /** Memories of one category that one call embeds: the caller waits for all of them. */
  embedManyMax: 500,
  vectorDimensionsMax: 8_192,
  /** How long a recall waits for the vector of its question before it answers by words alone. */
  questionEmbedMs: 800,
  /** How long somebody who asks whether a model works waits for a server, and for one in this process, which has to be loaded. */
  probeRemoteMs: 10_000,
  probeLocalMs: 60_000,
  /** Models of a server that are named to somebody who named another one. */
  modelsNamed: 5,
  /** How long a request to a model server may take in the background; loading a model takes many seconds there. */
  embedRequestMs: 30_000,
  /** An answer of a model server: 32 vectors of 8,192 numbers in JSON are below 8 MiB. */
  providerAnswerMaxBytes: 16 * MIB,
  /** A model server that failed is left alone so long, twice as long after each further failure. */
  providerPauseMs: 1_000,
  providerPauseMostMs: 60_000,
  /** Requests for vectors of questions that are out at a time; what comes meanwhile goes together with the next. */
  questionRequestsMax: 4,
  /** Memories that a question is answered from: an answer hardly ever needs more, and each gets less room. */
  askMemoriesMax: 50,
  /** What a model reads of one memory, and of all of them: about 3,000 tokens, so that it fits the 4,096 that Ollama takes unasked. */
  passageMaxChars: 2_000,
  passagesMaxChars: 12_000,
  /** What an answer shows of a memory that it was made from: the original's bound. */
  snippetMaxChars: 600,
  /** How long a language model may take, loading it included: clients give up after 60 s, and are to be told why. */
  modelAnswerMs: 55_000,
  /** Requests that wait for a language model at once: most servers work on a few and let the others wait in line. */
  modelRequestsMax: 16,
  /** An answer of a language model: as long as a context. */
  modelAnswerMaxChars: 32_000,
  /** The record of a session from which lessons are drawn: about as much as common models read. */
  sessionMaxBytes: 256 * KIB,
  /** Lessons of one session that a model is asked for, and that are stored: each takes about 0.5 ms of the writer. */
  lessonsAsked: 20,
  lessonsMax: 64,
  lessonTypeMaxChars: 64,
  /** The text in which they come: many times what so many lessons have. */
  lessonsAnswerMaxChars: 1 * MIB,
  /** Vectors of questions that are kept. */
  questionsKept: 256,
  /** How often is looked for memories without a vector that other processes wrote. */
  embedPollMs: 30_000,
  /** Rows that look alike are compared exactly only among this many. */
  similarCandidatesMax: 5,
  similarMin: 0.7,
  /** Longer bodies are not compared: the exact comparison of two of this length takes about 5 ms. */
  similarBodyMaxChars: 16_384,
  /** Memories of a category that are compared each with each: the original's window, about 20,000 pairs. */
  conflictRowsMax: 200,
  /** Their bodies together, in characters: comparing all pairs of these takes about 100 ms. */
  conflictMaxChars: 256 * KIB,
  /** Words of a situation that the index is asked for, in all their forms, and as many beginnings. */
  triggerTermsMax: 128,
  /** Rows whose triggers are looked at for one situation: the original's bound. */
  triggeredMax: 500,
  /** Stored text that is read for that, in characters: a second's work. */
  triggeredMaxChars: 16 * MIB,
  recallWhenLimitMax: 100,
  /** Each of a correction's three texts: they stand in the body twice, and in the journal. */
  lessonTextMaxBytes: 16 * KIB,
  /** Memories for which one `cohere` looks for related ones, the newest: about 2 ms each; and how many in one step. */
  relatedRowsMax: 500,
  relatedStepRows: 25,
  cohereLinksMax: 100,
  /** Memories that one `cohere` changes, and how many in one transaction: about 0.5 ms each, in which others wait. */
  cohereChangesMax: 2_000,
  cohereStepChanges: 64,
  /** Text that is archived in one transaction, in characters, the last memory apart: its words change their index, about 25 ms. */
  cohereStepMaxChars: 256 * KIB,
  /** Memories that one step of an export reads, and their text in characters, the last memory apart: about 20 ms of a reader. */
  vaultPageRows: 200,
  /** The same bound for what one step of an import writes: tokenising this much takes about 25 ms, in which others wait. */
  vaultStepMaxChars: 256 * KIB,
  /** Files or copies that are written in one transaction: about 0.5 ms each, in which others wait. */
  vaultStepMemories: 64,
  /** Earlier versions that an exported file names by 16 digits each, and those that a file is compared with. */
  vaultPastMax: 16,
  vaultVersionsMax: 200,
  /** A file of a vault: a memory's body at its largest, escaped, and its links. */
  vaultFileMaxBytes: 4 * MIB,
  /** Of that, the lines between the dashes, a body there apart: reading the worst YAML of this size takes a second. */
  vaultFrontMaxChars: 256 * KIB,
  /** Files that a report names of each kind; the rest is counted. */
  vaultNamedMax: 200,
  /** What is stored of a source is read in steps of so many rows: about 10 ms of whoever reads. */
  ingestKnownRows: 500,
  /** One step of an ingest: others wait for it. A piece takes about 0.5 ms, so this is mostly used up at once; long texts take longer. */
  ingestStepItems: 64,
  ingestStepMaxChars: 128 * KIB,
  ingestStepMs: 50,
  /** Links that are handed over for one such step: as many as there is time for when most of them are there already. */
  ingestStepLinks: 1_000,
  /** A document up to this long is one memory: recall shows it whole, and it is about two pages. */
  wholeDocumentMaxChars: 4_000,
  /** Pieces of longer ones: as much of a text as is embedded. */
  pieceMaxChars: 2_000,
  /** Larger files stay outside by default: texts that people write are smaller. */
  sourceFileMaxBytes: 1 * MIB,
  /** The most that settings may ask for: a file is read at once, and split. */
  sourceFileMostBytes: 16 * MIB,
  /** A file of another program that is imported: it is read at once, and takes about four times as much. */
  importFileMaxBytes: 128 * MIB,
  /** Quotes of a table that are closed nowhere, before each line is read by itself: each one is looked for up to the end of the file. */
  tableUnclosedMax: 100,
  /** How long after a change a watched folder is read by default (the original's number), and the longest. */
  watchAfterMs: 1_500,
  watchAfterMostMs: 600_000,
  /** After a run because something changed, so many times as long as it took passes before the next one: a fifth of a processor. */
  watchPauses: 4,
  /** How often it is looked whether what was named is still the same folder, or there at all: nothing else tells of that. */
  watchRootsMs: 1_000,
  /** Folders that are watched: each costs a handle of the system. */
  watchedFoldersMax: 8_192,
  /** Issues of a page, the most that GitHub gives, and how long one may take. */
  githubPage: 100,
  githubRequestMs: 30_000,
  /** A page at its largest: issues of 65,536 characters of four bytes. What is read of a refusal, to know a limit by its words. */
  githubPageMaxBytes: 32 * MIB,
  githubRefusalMaxBytes: 16 * KIB,
  /** Pages of one repository that one run reads, and how many of them that hold nothing new beyond those that did: a server may never end. */
  githubPagesMax: 1_000,
  githubStalePages: 3,
  /** How long GitHub may ask to wait for before the rest is left for the next run, and how often in one run. */
  githubWaitMs: 5_000,
  githubWaits: 3,
  /** How long nothing is asked after a limit that does not say how long it lasts: twice as long each time, as GitHub wants it. */
  githubLimitMs: 60_000,
  githubLimitMostMs: 3_600_000,
  githubRedirectsMax: 5,
  githubDaysPast: 90,
  githubItemsMax: 500,
  githubItemsMost: 10_000,
  /** Names that a dry run and a note give as examples. */
  ingestExamples: 10,
  /** How much of a text such an example shows: with its key, a line of a terminal. */
  exampleMaxChars: 60,
  /** What an import left out that is printed one by one: a wrong format has something wrong in every line. */
  printedProblems: 100,
  /** Expired state entries that one write closes on its way. */
  stateSweepMax: 100,

  // ---- upkeep
  /** Rows looked at in one read: about 5 ms, for which a recall may have to wait; 100,000 rows are 100 of them. */
  stretchRows: 1_000,
  /** Rows named in one writing step; how many of them it gets through is for `stepMs` to say. */
  stepRows: 500,
  /** How long a writing step may go on: its commit takes as long again, and with a batch before it (`batchMs`) others wait below 50 ms. */
  stepMs: 10,
  /** How long one call may go on in such steps; clients give up after 30 to 60 s, and the answer says what is left. */
  upkeepMs: 20_000,
  // ---- taking over files of the original
  /** Rows of one transaction, and their texts in characters beside the last one: others of this process wait about 0.2 s. */
  importRowsMax: 500,
  importChunkMaxChars: 4 * MIB,
  /** Memories of an old file that are read and written in one step: about 0.5 ms each, in which others wait. */
  migrateStepRows: 100,
  /** Rows that a report names; the rest is counted. */
  migrateNamedMax: 1_000,
  /** A store that is being built beside the original and has not changed for so long was given up: checking it writes nothing. */
  importQuietMs: 120_000,

  // ---- the pool
  batchOperationsMax: 64,
  batchMs: 20,
  /** Requests waiting for the writer, and for the readers: above, a client is told to come back. */
  queueMax: 4_096,
  /** Bytes of waiting writes. */
  queueMaxBytes: 64 * MIB,
  /** How long a call may wait in a queue. */
  queueDeadlineMs: 30_000,
  /** Usage notes reach the disk at the latest after this. */
  usageFlushMs: 200,
  usageFlushIdleMs: 60_000,
  checkpointEveryBatches: 50,
  /** The write-ahead log is emptied above this. */
  walMaxBytes: 16 * MIB,
  /** How long emptying it may wait for readers: their snapshots last a few milliseconds. */
  walResetMs: 250,
  poolMaxDefault: 16,
  poolMaxMost: 1_024,
  busyTimeoutDefaultMs: 5_000,
  busyTimeoutMostMs: 600_000,
  idempotencyMs: 24 * 60 * 60 * 1_000,

  // ---- HTTP and stdio
  connectionsMax: 1_024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 65_000,
  /** How often the timeouts are looked at: Node's default of 30 s would make 10 s into 40. */
  timeoutCheckMs: 1_000,
  headerMaxBytes: 16 * KIB,
  /** Bodies being read or answered at once over HTTP; above, 503. */
  httpInFlightMaxBytes: 128 * MIB,
  /** An answer of a read above this is given up (503) when that is used up: as many of this as run at once are as much again. */
  answerSmallChars: 64 * KIB,
  /** Requests that run at once over HTTP; above, 503. A connection may have one, or as many as connectionInFlightMax. */
  httpInFlightMax: 2_048,
  /** Requests of one connection that run at once (pipelined; clients do not do that): above, 429. */
  connectionInFlightMax: 16,
  /** Those and the refusals in line behind them, about 5 KiB each: above, the connection is cut. On all connections at once: 160 MiB. */
  connectionUnansweredMax: 32,
  /** Streams (SSE) that stay open: half of the connections, so that requests always find one. */
  streamsMax: 512,
  /** A comment on every open stream this often: proxies cut silent connections after 30 to 60 s. */
  streamKeepAliveMs: 15_000,
  /** An answer that does not move for so long is dropped with its connection. */
  answerStallMs: 60_000,
  /** Sessions of Streamable HTTP; an idle one costs about 10 KiB. Above, the one that was idle longest ends. */
  sessionsMax: 20_000,
  /**
   * A session that nobody uses ends. The official clients do not begin a new one after the 404, so it outlives a night;
   * sessionsMax bounds what idle ones cost.
   */
  sessionIdleMs: 24 * 60 * 60_000,
  /** What all sessions together keep of what was sent, for clients whose connection broke in between. */
  sessionEventsMaxChars: 8 * MIB,
  /** Requests without an answer in one SSE session, and answers its client has not read: above, 429, and no large answer joins them. */
  sessionOpenMax: 256,
  sessionUnreadMaxBytes: 4 * MIB,
  /** Answers that a stdio client has not read yet; above, its requests wait. */
  stdioUnreadMaxBytes: 64 * MIB,
  /** Requests of a stdio client that run at once; later lines wait in its pipe, so that no queue turns one away. */
  stdioOpenMax: 1_024,
  /**
   * A request on stdio or SSE that nobody works on was dropped in the SDK, and is answered -32603 after this. What the SDK
   * answers itself takes no time, or 3 s when it throws a probe away.
   */
  droppedAfterMs: 10_000,
  /** After end of input or SIGTERM: how long answers may take to leave. */
  drainMs: 10_000,
} as const;
