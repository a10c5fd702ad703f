import { stemmer } from 'stemmer';

/** Changes whenever the same text would give other tokens; it stands in the file, and another number means a rebuild. */
export const TOKENISER_VERSION = 4;

/** A longer run (a key, a base64 blob) is cut: nobody types more of it. */
const TOKEN_MAX_CHARS = 64;

/** English function words. */
const FUNCTION_WORDS: ReadonlySet<string> = new Set(
  (
    'a about above after again against all am an and any are as at be because been before being below between both but by ' +
    'can could did do does doing down during each few for from further had has have having he her here hers herself him ' +
    'himself his how i if in into is it its itself just me more most my myself no nor not now of off on once only or other others ' +
    'our ours ourselves out over own same she should so some such than that the their theirs them themselves then there ' +
    'these they this those through to too under until up us very was we were what when where which while who whom why will ' +
    'with would you your yours yourself yourselves s t nt d ll m re ve wo ca sha don'
  ).split(' '),
);

/** Runs of letters, digits and marks, held together by the joiners of identifiers, paths, versions and addresses. */
const RUN = /[\p{L}\p{N}\p{M}_]+(?:[.'’\-/:@#+\\,]+[\p{L}\p{N}\p{M}_]+)*/gu;
const JOINERS = /[.'’\-/:@#+\\,_]+/u;
const PLAIN_WORD = /^[a-z]+$/;
/** "v24", "pg15", "16gb": a word and a number, and no hash, which changes between them again and again. */
const WORD_AND_NUMBER = /^(?:([a-z]{1,12})(\d{1,12})|(\d{1,12})([a-z]{1,12}))$/;
const ASCII_ONLY = /^[\x20-\x7e\s]*$/;
/** Scripts that are written without spaces between words, and Hangul, whose particles stick to the word. */
const UNSPACED =
  /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}ー]/u;
const UNSPACED_RUNS =
  /([\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}ー\p{M}]+)/u;
const SUB_WORDS = /\p{Lu}+(?=\p{Lu}\p{Ll})|\p{Lu}?[\p{Ll}\p{M}]+|\p{Lu}+|\p{N}+|[\p{L}\p{M}]+/gu;

/** English forms that no suffix explains, and what they are forms of. */
const IRREGULAR: ReadonlyMap<string, string> = new Map(
  (
    'went:go gone:go goes:go came:come ate:eat eaten:eat bought:buy brought:bring thought:think taught:teach caught:catch ' +
    'sold:sell told:tell said:say paid:pay made:make took:take taken:take gave:give given:give got:get gotten:get saw:see ' +
    'seen:see knew:know known:know grew:grow grown:grow flew:fly flown:fly drew:draw drawn:draw wrote:write written:write ' +
    'drove:drive driven:drive rode:ride ridden:ride rose:rise spoke:speak spoken:speak broke:break broken:break chose:choose ' +
    'chosen:choose froze:freeze stole:steal wore:wear worn:wear ran:run began:begin begun:begin swam:swim swum:swim sang:sing ' +
    'sung:sing drank:drink drunk:drink won:win met:meet led:lead felt:feel kept:keep slept:sleep left:leave lost:lose ' +
    'built:build sent:send spent:spend lent:lend held:hold heard:hear stood:stand understood:understand found:find fell:fall ' +
    'fallen:fall forgot:forget forgotten:forget hid:hide hidden:hide shot:shoot sat:sit slid:slide threw:throw thrown:throw ' +
    'children:child men:man women:woman people:person feet:foot teeth:tooth mice:mouse wives:wife lives:life knives:knife ' +
    'better:good best:good worse:bad worst:bad mom:mother mum:mother dad:father'
  )
    .split(' ')
    .map((pair) => {
      const [form = '', base = ''] = pair.split(':');
      return [form, base];
    }),
);

/** Tokens of function words, as {@link tokenise} makes them: indexed, but a query drops them while it has anything else. */
export const STOP_TOKENS: ReadonlySet<string> = new Set(
  [...FUNCTION_WORDS].map((word) => (word.length < 3 ? word : porter(word))),
);

/** Porter's stem (M. F. Porter, 1980). */
function porter(word: string): string {
  return stemmer(IRREGULAR.get(word) ?? word);
}

const stems = new Map<string, string>();

/** The stem of a lower-case English word; other scripts stay as they are. "Outings" are no "out": they keep all but the s. */
function stem(word: string): string {
  if (word.length < 3 || !PLAIN_WORD.test(word)) return word;
  let known = stems.get(word);
  if (known === undefined) {
    known = porter(word);
    if (STOP_TOKENS.has(known) && !FUNCTION_WORDS.has(word)) {
      const single = word.replace(/s$/, '');
      known = FUNCTION_WORDS.has(single) ? word : single;
    }
    // A bounded memo: the words of a store repeat, and stemming is most of the cost of tokenising.
    if (stems.size >= 20_000) stems.clear();
    stems.set(word, known);
  }
  return known;
}

/** Lower case without the accents of Latin, Greek and Cyrillic; marks that carry vowels in other scripts stay. */
function fold(text: string): string {
  const folded = text
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .normalize('NFC')
    .toLowerCase();
  return folded.length > TOKEN_MAX_CHARS ? folded.slice(0, TOKEN_MAX_CHARS).toWellFormed() : folded;
}

/** The runs of a text in scripts without spaces between words, in order, at least two characters each. */
export function unspacedRuns(text: string): string[] {
  if (ASCII_ONLY.test(text)) return [];
  const pieces = text.toWellFormed().normalize('NFKC').toLowerCase().split(UNSPACED_RUNS);
  return pieces.filter((piece) => UNSPACED.test(piece) && Array.from(piece).length > 1);
}

function pushUnspaced(part: string, into: string[]): void {
  const characters = Array.from(part);
  if (characters.length === 1) into.push(part);
  for (let i = 0; i + 1 < characters.length; i++) into.push(`${characters[i]}${characters[i + 1]}`);
}

/** "won't" is no form of "win": the n of a clipped "not" goes with it. */
function unclipped(run: string): string {
  return run.replace(/n['’]t$/i, "'nt");
}

function pushPart(part: string, into: string[]): void {
  if (UNSPACED.test(part)) {
    for (const piece of part.normalize('NFKC').split(UNSPACED_RUNS)) {
      if (piece === '') continue;
      if (UNSPACED.test(piece)) pushUnspaced(piece.toLowerCase(), into);
      else pushPart(piece, into);
    }
    return;
  }
  const lower = fold(part);
  if (lower === '') return;
  into.push(stem(lower));
  const joined = WORD_AND_NUMBER.exec(lower);
  if (joined !== null) {
    for (const piece of joined.slice(1)) if (piece !== undefined) into.push(stem(piece));
    return;
  }
  if (lower === part || PLAIN_WORD.test(part.slice(1))) return;
  const pieces = part.match(SUB_WORDS);
  if (pieces !== null && pieces.length > 1) for (const piece of pieces) into.push(stem(fold(piece)));
}

/**
 * The tokens of a text, in order: words folded and stemmed; identifiers, paths and versions whole and in parts; two
 * characters at a time where a script has no spaces. A token never holds white space or control characters.
 */
export function tokenise(text: string): string[] {
  const tokens: string[] = [];
  const clean = ASCII_ONLY.test(text) ? text : text.toWellFormed();
  for (const [run] of clean.matchAll(RUN)) {
    if (!JOINERS.test(run)) {
      pushPart(run, tokens);
      continue;
    }
    const parts = unclipped(run)
      .split(JOINERS)
      .filter((part) => part !== '');
    for (const part of parts) pushPart(part, tokens);
    if (parts.length > 1 && !/['’]/.test(run)) {
      const whole = fold(run);
      if (!UNSPACED.test(whole)) tokens.push(whole);
    }
  }
  return tokens;
}
