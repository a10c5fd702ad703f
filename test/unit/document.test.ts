import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import {
  FACTS,
  FIELDS,
  LIST_HEAD,
  ownTokens,
  packEntity,
  questionsOf,
  readBody,
  TRAITS,
} from '../../src/memory/document.ts';
import { hash32 } from '../../src/memory/similarity.ts';

const pack = (body: unknown, before?: string) =>
  packEntity({ bodyJson: JSON.stringify(body), key: 'k', tags: ['blue'], category: 'c', before });
const field = (tokens: string, name: (typeof FIELDS)[number]['name']): string =>
  tokens.split('\n')[FIELDS.findIndex((one) => one.name === name)]?.trim() ?? '';

describe('a body', () => {
  it('is read as text without JSON syntax; the names of its members are words too', () => {
    assert.equal(
      readBody('{"content":"The host","port":5432,"tags":{"deep":[true]}}').text,
      'The host\nport\n5432\ntags\ndeep\ntrue',
    );
    assert.equal(readBody('"plain"').text, 'plain');
    assert.equal(readBody('not json').text, 'not json');
    assert.equal(readBody('[1,"two"]').text, '1\ntwo');
  });
  it('of a turn tells who, when and where in which session', () => {
    const said = readBody(
      '{"content":"Hi","speaker":"Anna","session":"D1","turn":3,"date":"2023-05-08T13:56:00","caption":"a cat","mood":"fine"}',
    );
    assert.deepEqual(said, {
      text: 'Hi\nmood\nfine',
      caption: 'a cat',
      speaker: 'Anna',
      day: 19_485,
      turn: { session: 'D1', turn: 3 },
    });
  });
  it('with members of other kinds is no turn, and loses nothing', () => {
    const odd = readBody('{"content":7,"session":"D1","turn":"x"}');
    assert.equal(odd.turn, undefined);
    assert.match(odd.text, /7[^]*D1[^]*x/);
    assert.equal(readBody('{"content":"a","session":"s","turn":"first"}').turn, undefined);
    assert.match(readBody('{"content":"a","speaker":{"name":"Bo"}}').text, /Bo/);
  });
});

describe('a packed list', () => {
  it('has each text in its field', () => {
    const { tokens, terms } = pack(
      { content: 'I like it. Do you?', speaker: 'Anna', session: 's', turn: 2, caption: 'a cat', date: '2023-05-08' },
      'What about the pony? It rains.',
    );
    assert.deepEqual(
      FIELDS.map(({ name }) => `${name}: ${field(tokens, name)}`),
      [
        'body: i like it',
        'question: do you',
        'caption: a cat',
        'speaker: anna',
        'key: k',
        'tags: blue',
        'category: c',
        'question_before: what about the poni',
        'before: it rain',
        'date: 2023-05-08 2023-05',
      ],
    );
    assert.equal(terms.length, LIST_HEAD + tokens.split(/[ \n]+/).filter((token) => token !== '').length);
    assert.equal(terms[FACTS.session], hash32('\0c\0s') | 0);
    assert.equal(terms[FACTS.day], 19_485);
    assert.deepEqual(ownTokens(tokens), ['i', 'like', 'it', 'do', 'you']);
  });
  it('keeps the questions of a note, and of a user, where statements are', () => {
    assert.equal(field(pack({ content: 'Why? Because.' }).tokens, 'body'), 'why becaus');
    const user = pack({ content: 'Why? Because.', speaker: 'User', session: 's', turn: 1 });
    assert.equal(field(user.tokens, 'body'), 'why becaus');
    assert.equal((user.terms[FACTS.traits] ?? 0) & TRAITS.user, TRAITS.user);
  });
  it('knows texts that tell a time or a number', () => {
    const traits = (content: string): number => pack({ content }).terms[FACTS.traits] ?? 0;
    assert.equal(traits('we left yesterday'), TRAITS.time);
    assert.equal(traits('three cats'), TRAITS.number);
    assert.equal(traits('a cat'), 0);
  });
  it('parts sentences in other scripts too', () => {
    assert.deepEqual(questionsOf('元気です。犬は好きですか？'), { stated: '元気です。', asked: '犬は好きですか？' });
    assert.deepEqual(questionsOf('no question'), { stated: 'no question', asked: '' });
  });
});
