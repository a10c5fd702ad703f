import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import fc from 'fast-check';

import { packEntity } from '../../src/memory/document.ts';
import { analyseQuery } from '../../src/memory/query.ts';
import { STOP_TOKENS, tokenise } from '../../src/memory/text.ts';

/** The share of a query's words that a memory of this text has. */
function held(text: string, query: string): number {
  const { tokens } = packEntity({ bodyJson: JSON.stringify(text), key: '', tags: [], category: '' });
  const known = new Set(tokens.split(/[ \n]+/));
  const { terms } = analyseQuery(query, 64, 0);
  return terms.filter((term) => known.has(term)).length / terms.length;
}

const holds = (text: string, query: string): boolean => held(text, query) === 1;

describe('a query finds a text', () => {
  // Script, text, query that must find it, query that must not.
  const table: readonly (readonly [string, string, string, string])[] = [
    ['Latin, word forms', 'The children went to the deployments', 'child goes deployment', 'chill'],
    ['Latin, accents', 'Rendez-vous au café, à l’aéroport', 'cafe aeroport', 'cafetière'],
    ['Latin, German', 'Die Straße führt über die Brücke', 'straße brucke', 'strauch'],
    ['Latin, Vietnamese', 'Tôi thích cà phê sữa đá', 'ca phe', 'tra'],
    ['Latin, Turkish', 'Çalışma saatleri değişti', 'calısma saatleri', 'tatil'],
    ['Cyrillic', 'Ключ лежит под ковриком, ещё один у соседа', 'ключ еще', 'замок'],
    ['Greek', 'Το κλειδί είναι στο συρτάρι', 'κλειδι συρταρι', 'πορτα'],
    ['Han', '密码贴在路由器下面', '路由器 密码', '电视'],
    ['Hiragana and Katakana', 'サーバーは東京にあります', '東京 サーバー', '大阪'],
    ['Hangul', '비밀번호는 서랍 안에 있습니다', '비밀번호 서랍', '냉장고'],
    ['Thai', 'รหัสผ่านอยู่ใต้เราเตอร์', 'รหัสผ่าน', 'โทรทัศน์'],
    ['Arabic', 'كلمة السر في الدرج', 'الدرج', 'المطبخ'],
    ['Hebrew', 'הסיסמה מתחת לנתב', 'הסיסמה', 'מטבח'],
    ['Devanagari', 'पासवर्ड दराज में है', 'पासवर्ड दराज', 'रसोई'],
    ['Tamil', 'கடவுச்சொல் மேசையில் உள்ளது', 'கடவுச்சொல்', 'சமையல்'],
    ['Georgian', 'პაროლი უჯრაშია', 'პაროლი', 'სამზარეულო'],
    ['mixed', 'Wi-Fiのパスワードはswordfish', 'パスワード swordfish', '電話'],
  ];
  for (const [script, text, found, missed] of table) {
    it(`in ${script}`, () => {
      assert.equal(holds(text, found), true, found);
      assert.equal(holds(text, missed), false, missed);
    });
  }

  const code: readonly (readonly [string, string, ...string[]])[] = [
    ['camelCase', 'call getUserById(42) first', 'getUserById', 'user', 'getuserbyid'],
    ['snake_case', 'set max_retry_count to 5', 'max_retry_count', 'retry', 'count 5'],
    ['a path', 'edit src/storage/sqlite/open.ts', 'src/storage/sqlite/open.ts', 'open.ts', 'sqlite'],
    ['a version', 'upgrade to v24.21.0', 'v24.21.0', '24.21.0', '21'],
    ['an error code', 'it failed with ECONNREFUSED 127.0.0.1:8767', 'ECONNREFUSED', '127.0.0.1', '8767'],
    ['a word with a number', 'on pg15 with 16gb', 'pg15', 'pg 15', '16 gb'],
    ['a flag', 'pass --allow-host NAME', '--allow-host', 'allow-host', 'host'],
    ['an address', 'write to anna@example.org', 'anna@example.org', 'anna', 'example.org'],
    ['an acronym in a word', 'the HTTPServer class', 'HTTPServer', 'server', 'http'],
    ['a clipped not', "Jon won't come", "won't jon", 'jon'],
  ];
  for (const [name, text, ...queries] of code) {
    it(`with ${name}, whole and in parts`, () => {
      // A part that is an identifier itself has one more word, for where it stands alone.
      assert.deepEqual(
        queries.filter((query) => held(text, query) < 0.6),
        [],
      );
      assert.equal(holds(text, queries[0] ?? ''), true);
    });
  }

  it('by function words only when it has nothing else', () => {
    assert.deepEqual(analyseQuery('what was the name of it', 64, 0).terms, ['name']);
    assert.deepEqual(analyseQuery('who was it', 64, 0).terms, tokenise('who was it'));
    assert.ok(STOP_TOKENS.has('wa'), 'as the tokeniser makes it of "was"');
    assert.equal(holds("Jon won't come", 'win'), false, '"won\'t" is no form of "win"');
  });

  it('by a word whose stem is that of a function word', () => {
    for (const [text, query] of [
      ['three outings in May', 'outings'],
      ['an outing to the sea', 'outings'],
      ['who owns the parser', 'owns'],
      ['cans of paint', 'the cans'],
      ['human beings', 'beings'],
    ] as const)
      assert.equal(holds(text, query), true, query);
    assert.deepEqual(tokenise('outings out'), ['outing', 'out']);
    assert.equal(holds('the way out', 'outings'), false);
  });

  it('whatever it is: tokens hold no white space, and no text throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        for (const token of tokenise(text)) assert.match(token, /^\S+$/u);
        assert.equal(analyseQuery(text, 64, 0).terms.length === 0 || holds(text, text), true, 'a text finds itself');
      }),
    );
  });
});
