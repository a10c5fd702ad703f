/**
 * Sentences about nothing in particular, of different fields. How near a question is to them says what nearness means nothing
 * for this model and this question: models differ in it, and so do questions. Short, so that any model takes them.
 */
export const UNRELATED: readonly string[] = [
  'The train leaves from platform nine at noon.',
  'Water boils at one hundred degrees.',
  'She painted the door green last summer.',
  'Please send the invoice before Friday.',
  'The parser fails when the file is empty.',
  'A flock of geese flew over the lake.',
  'We voted to close the meeting early.',
  'The recipe needs two eggs and some flour.',
  'My knee hurts after the long run.',
  'The court dismissed the appeal.',
  'Restart the router if the light stays red.',
  'The museum opens a new wing in autumn.',
  'Interest rates rose again this quarter.',
  'He tuned the violin before the concert.',
  'The password must have twelve characters.',
  'Snow covered the road to the village.',
];
