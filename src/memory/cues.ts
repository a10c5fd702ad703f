/**
 * Words by which a text says that something is different from before, in the languages whose notes were looked at. A cue and
 * no proof: it counts only between two memories about the same thing.
 */
const CHANGE =
  /\b(?:now|no longer|no more|any ?more|instead|moves?d?|changed?|switche[sd]|replace[sd]|renamed|raised?|raises|lowered|increased?|reduced|upgraded|swapped|retired|stopped|becomes?|became|again|once more|postponed|rescheduled|cancell?ed|new|updated?|as of|is off|took over|jetzt|neu|neue[rsmn]?|statt|nicht mehr|geändert|verschoben|umgezogen|ab sofort|désormais|maintenant|nouve(?:au|lle)s?|ne .{1,20} plus|passe|report[ée]e?|à partir de|changé|ahora|nuev[oa]s?|ya no|cambi(?:a|ó|ado)|subi(?:do|ó)|a partir de)(?![\p{L}])|теперь|больше не|перенес|сейчас|変更|今後|今は|改为|改成|现在|不再|이제|변경|τώρα|πλέον|الآن|अब|ตอนนี้|เปลี่ยน/iu;

/** Whether a text says that something has changed. */
export function tellsChange(text: string): boolean {
  return CHANGE.test(text);
}
