// The words of the test's bodies. They are English and in rough order of use, because a search engine has it easy with
// invented words: none of them is a stop word, none shares a stem with another, and no query meets half the store.
const WORDS = `
the of and to a in is that it for was on are as with be by this at from or have an they which not but we had were
you one all can there their has what so if would when will more no about who up other into out them then some could
time these than been its my only two also now like may he she his her me our your do did does over any just after
first most where how much before through back such because even here well must should those very each both between
many still being under same own us too while against never during without again why however off often together
always almost already another around within among until since though rather either neither whether toward upon
every few several none people way year day work make made use used new good man world life part number place case
point hand right state high small large group problem fact system program question government company night home
water room mother area money story month lot study book eye job word business issue side kind head house service
friend father power hour game line end member law car city community name president team minute idea body
information nothing ago lead social understand watch follow stop create speak read allow add spend grow open walk
win offer remember love consider appear buy wait serve die send expect build stay fall cut reach remain suggest
raise pass sell require report decide pull return explain hope develop carry break receive agree support hit
produce eat cover catch draw choose cause listen realize involve relate see get go come take know think say tell
ask give find want look try need feel become leave put mean keep let begin seem help talk turn start show hear play
run move live believe hold bring happen write provide sit stand lose pay meet include continue set learn change
test user file data server client memory request answer error record key value table index page query search result
store database connection writer reader thread process message session agent note version release branch commit
merge review deploy script config option default flag command module package library function method class object
type string list array map queue stack cache buffer stream socket port host network address protocol header token
secret password account login role permission policy rule limit timeout retry delay latency budget cost price order
invoice payment customer product market sale profit loss tax bank credit debt fund share stock trade school student
teacher child family parent woman boy girl son daughter brother sister wife husband baby person doctor nurse
patient health hospital disease drug medicine treatment pain blood heart brain skin bone arm leg foot finger hair
face mouth nose ear voice sound music song dance film movie picture image photo camera paint color red blue green
black white brown yellow gray light dark bright deep wide long short tall thin thick heavy soft hard warm cold hot
cool dry wet clean dirty fresh sweet bitter sour rich poor young old early late fast slow quick quiet loud strong
weak easy simple difficult complex clear sure true false real final main major minor general special common usual
rare single double whole full empty free busy ready able possible likely certain local national public private
personal human natural physical political economic legal medical military foreign international american european
western eastern northern southern central door window wall floor roof kitchen bathroom bedroom garden yard street
road bridge park building office shop restaurant hotel church station airport train bus truck plane ship boat
bicycle wheel engine machine tool computer phone screen keyboard printer paper pen pencil letter card box bag
bottle cup glass plate knife fork spoon pot pan oven stove bread butter cheese milk egg meat fish chicken beef rice
bean potato tomato onion apple orange banana lemon fruit vegetable sugar salt pepper oil coffee tea wine beer juice
breakfast lunch dinner meal food drink taste smell touch sight land sea ocean lake river island mountain hill
valley forest tree leaf flower grass plant seed root wood stone rock sand earth sky sun moon star cloud rain snow
wind storm weather summer winter spring autumn season morning afternoon evening midnight noon today tomorrow
yesterday week weekend monday tuesday wednesday thursday friday saturday sunday january february april june july
august september october november december century decade moment second period future past present history event
dog cat horse cow pig sheep bird lion tiger bear wolf fox rabbit mouse snake frog insect bee spider butterfly
animal creature nature environment climate energy gas coal fuel electricity fire smoke heat air oxygen carbon metal
gold silver iron steel copper plastic rubber cotton wool leather cloth dress shirt coat jacket hat shoe sock glove
belt pocket button ring clock gift toy ball bat net goal score match race player coach club league sport football
baseball basketball tennis golf swimming running climbing fishing hunting travel trip journey tour visit guest
party wedding birthday holiday vacation festival ceremony tradition culture language english french german spanish
chinese japanese russian italian religion god faith prayer spirit soul mind thought dream sleep emotion feeling
fear anger joy happiness sadness surprise trust doubt pride shame guilt worry stress peace war battle fight army
soldier weapon gun attack defense enemy victory defeat prison crime police judge court jury lawyer trial evidence
witness victim theft fraud economy industry factory worker labor union strike wage salary income pension insurance
contract deal agreement negotiation meeting conference speech debate argument discussion conversation interview
opinion view belief theory concept principle approach technique strategy plan project task duty position rank title
leader manager director chief officer secretary assistant clerk engineer scientist artist author editor actor
singer musician driver pilot farmer fisherman cook waiter baker butcher carpenter mechanic plumber electrician
tailor guard sailor captain king queen prince princess lord lady knight servant master citizen voter candidate
election vote campaign congress senate minister governor council board agency department institute college academy
museum theater cinema stadium gym pool coast harbor design structure shape size width height weight speed distance
edge circle square center top front left middle outside south east direction route sign mark code symbol chart
graph formula calculation measure unit mile inch ton percent ratio average sum difference decrease growth rise gain
range grade quantity amount sort example sample model original detail aspect factor component material substance
acid gene protein bacteria muscle nerve diet fitness therapy vaccine symptom cancer wound accident rescue danger
safety protection accept achieve advise afford aim apply approve arrange arrive assume attach attend attract bake
ban base beg belong bend bind bite bless boil borrow bounce breathe breed burn bury calculate calm cancel care cast
celebrate charge chat check chew clap climb collapse combine comfort compare complain complete concern conclude
confirm connect construct contain control convert cope count crack crawl cross cry damage dare decorate define
deliver deny describe deserve detect dig disagree discover dislike dismiss divide download drain drill drive earn
educate elect embarrass emphasize employ encourage enjoy ensure entertain escape estimate examine exceed excite
exist expand explode export expose extend fail fasten feed fetch finance fit fix flood fly fold forget freeze
frighten gather glance govern grant greet grip guess guide hang hate heal hire hurry hurt ignore imagine implement
import impose improve influence inform injure insist inspect install intend interpret introduce invest investigate
isolate jail joke justify kick kneel knock lack laugh lay lean lend lick lie link load locate maintain manage march
matter melt miss monitor motivate multiply nod notice observe obtain occur organize overcome pack pause perform
persuade pinch please poke pop possess pour practice pray predict prefer preserve pretend prevent proceed promote
propose prove punch punish pursue push quit react recognize recover refer reflect regard reject relax remind repair
repeat reply represent resist respond restore retain reveal reverse roll ruin rush satisfy scare scatter scream
seal select settle shake shift shoot shout shut sing sink slap slip smile solve spare spill split spoil squeeze
stare steal step sting stir strengthen strip struggle succeed suffer suppose survive suspect swallow sweep swell
swing tear tempt terminate threaten throw tip tolerate transfer translate transport treat trick trouble twist
unlock update vanish volunteer wander wash waste weigh whip whisper wipe wonder wrap yell zoom ability abuse
achievement action addition adult adventure advice age alarm alcohol alternative analysis angel anniversary
apartment appearance application arrival article association atmosphere attention audience authority award
background band bar basket beauty bed behavior bell benefit birth blanket boss breath brick bucket cabinet cable
calendar candy cap capital career category chain chair champion channel chapter charity chip chocolate cigarette
coin collar colleague column comedy commerce communication competition concert conclusion confidence confusion
consequence construction content contest contrast contribution cookie couch counter couple cousin cream crew
criticism crop crown current curtain cushion custom dad deadline death decoration democracy dentist deposit
description desert dessert device diamond dirt disaster discount dish disk document dozen draft drawer dust
economics education efficiency effort employee engineering entertainment entrance entry equipment estate evaluation
excitement expansion expense explanation extension extreme failure fantasy farm fate fault fence field flame flavor
focus folk frame frequency friendship funny garage garbage gear generation genius giant goat grandmother gravity
grocery guidance habit hall headline heaven hell hero hobby honor housing humor ice illness imagination importance
improvement incident infrastructure innovation inquiry inspection inspector instrument interaction interest
introduction item jewel journal jungle justice kingdom knee knowledge lane laptop layer lecture legend lesson
lifestyle lip literature luck luggage magazine maintenance majority management manner margin mask mass maximum
media membership mess mirror mission mixture monkey mood motor mud nail nation neck neighbor newspaper noise notion
objective obligation offense opportunity opposite outfit outline output pace painting palace panic parade parking
partner passage passion patience peak percentage perception personality phase philosophy physics pie pile pin pitch
pizza pleasure poem poet poison pole pollution portion portrait possibility poverty preference presence pressure
priest prize profession professor progress promotion property prospect psychology puzzle radio rail reaction reason
reception recognition recording recovery reflection region relation relative relief replacement requirement
research resident resort resource responsibility revenue revolution rhythm ribbon rope row royal sandwich
satisfaction scale schedule science scissors seat self senior sentence sequence setting shadow shelf shoulder
shrimp signature silk site situation skirt slope snack software soil source space specialist specific staff stage
standard statistics status stomach straw stroke style subject suit surface survey sympathy talent tank target
teammate technology television temple tension term territory textbook thing throat ticket timber tone tooth tower
track tragedy trend tribe trousers trunk tunnel uniform universe van vehicle vessel village violin virtue vitamin
warning wealth whale wheat wing wisdom workshop youth zebra absolute active adequate afraid alone ancient angry
anxious apparent asleep available awake awful bare basic blind boring brave broad capable careful cheap cheerful
clever commercial competitive confident conservative considerable constant convenient cruel dangerous deaf dear
delicate delicious dependent different digital distant domestic dramatic eager effective efficient electric
emotional endless entire equal eventual exact excellent exotic explicit external extraordinary fair familiar fatal
federal female fine firm flexible fond foolish former fragile frequent frozen gentle genuine glorious graceful
grand great guilty happy healthy helpful holy horrible huge hungry identical idle illegal immense impossible
inadequate incredible indirect inevitable inner intelligent interesting internal invisible keen lazy liberal
literary lively lonely loose lucky magic male mechanical mere mild missing moderate modern moral multiple mutual
narrow native neat negative nervous nice noisy normal obvious official ordinary overall parallel partial passive
peaceful permanent plain pleasant popular powerful practical precise previous primary productive prominent proper
pure purple rapid raw reasonable regular reliable reluctant remote responsible robust round rural sad scientific
secondary sensitive severe sharp shy significant silent similar skilled sleepy smart sophisticated spatial stable
steady sticky straight strange stupid successful sudden suitable supreme suspicious sympathetic temporary tender
terrific theoretical tiny tough toxic tremendous typical ugly unable unexpected unfair unique unknown unusual urban
urgent useless valid valuable verbal viable violent visible vivid vulnerable wild wise wooden worth wrong`;

/** The fixed vocabulary: 2,000 words, the most frequent first. */
export const VOCABULARY: readonly string[] = WORDS.trim().split(/\s+/);

/** How many words from the front of the vocabulary are function words, which nobody searches for alone. */
export const FUNCTION_WORDS = 140;

const RANK_OF: ReadonlyMap<string, number> = new Map(VOCABULARY.map((word, rank) => [word, rank]));

/** Place of a word in the vocabulary: 0 is the most frequent. */
export function rankOf(word: string): number {
  return RANK_OF.get(word) ?? VOCABULARY.length;
}

// Zipf's law with Mandelbrot's offset: the share of the word at rank r is proportional to 1 / (r + 2.7).
const CUMULATIVE = new Float64Array(VOCABULARY.length);
let sum = 0;
for (let rank = 0; rank < VOCABULARY.length; rank++) {
  sum += 1 / (rank + 1 + 2.7);
  CUMULATIVE[rank] = sum;
}
const TOTAL = sum;

/** A stream of numbers in [0, 1), the same for the same seed. */
export type Random = () => number;

/** A stream of its own for each name, so that what one client does never changes what another one sends. */
export function randomOf(seed: number, name: string): Random {
  let state = seed >>> 0;
  for (let i = 0; i < name.length; i++) state = Math.imul(state ^ name.charCodeAt(i), 0x01000193) >>> 0;
  // mulberry32 (Tommy Ettinger): 32 bits of state are plenty for choosing words.
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A whole number from `from` to `to`, both included. */
export function between(random: Random, from: number, to: number): number {
  return from + Math.floor(random() * (to - from + 1));
}

function drawWord(random: Random): string {
  const wanted = random() * TOTAL;
  let low = 0;
  let high = CUMULATIVE.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((CUMULATIVE[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return VOCABULARY[low] ?? '';
}

/** 30 to 60 words with natural frequencies. */
export function drawText(random: Random): string[] {
  return Array.from({ length: between(random, 30, 60) }, () => drawWord(random));
}

/** Two or three different words of a text, at least one of them worth searching for. */
export function drawQuery(random: Random, text: readonly string[]): string[] {
  const known = [...new Set(text)];
  const content = known.filter((word) => rankOf(word) >= FUNCTION_WORDS);
  const first = pick(random, content.length > 0 ? content : known);
  const query = new Set([first]);
  const wanted = Math.min(between(random, 2, 3), known.length);
  while (query.size < wanted) query.add(pick(random, known));
  return [...query];
}

/** The rarest words of a text: what someone would type who wants exactly this row. */
export function rarestWords(text: readonly string[], count: number): string[] {
  return [...new Set(text)].sort((a, b) => rankOf(b) - rankOf(a)).slice(0, count);
}

function pick(random: Random, from: readonly string[]): string {
  return from[Math.floor(random() * from.length)] ?? '';
}
