import VitalModel

/// The keys of a rule: what the reader accepts and the reference prints.
enum RuleKeys {
  static let all: [(key: String, meaning: String)] = [
    ("rule", "the id: lower-case letters, digits and hyphens"),
    ("title", "what it is called on screens"),
    ("source", "where the numbers come from"),
    ("rationale", "why this priority and these times"),
    ("applies", "whom it is for: `{ age, unless, only, units }`"),
    ("kind", "`physiological` (default), `technical` or `advisory`"),
    ("priority", "`info`, `low`, `medium` or `high`"),
    ("mode", "`live` (default), `shadow` (ledger only) or `off`"),
    ("each", "`series`: judged for every series of every vital (signal rules)"),
    ("parameters", "numbers that may be set: `name: { default, min, max, unit, when: [{ flag, value }] }`"),
    ("when", "the condition that opens the alert"),
    ("for", "how long `when` must hold: a duration or `$parameter`"),
    ("clear", "the condition that ends the alert, or `{ when, for }`; without it the alert ends when `when` is false"),
    ("bypass", "the condition that acts at once, or `{ when, priority }`; priority `high` unless given"),
    ("max_hold", "rolling window in which short breaches add up to `for`"),
    ("refractory", "how long after its end an alert stays quiet"),
    ("renew", "still true so long after its start (1h to 7d; `0s`: never), an alert ends and a new one starts at once"),
    ("hold_last", "`true` (default): an empty window uses the newest sample that is not stale"),
    (
      "raise",
      "text `CONDITION -> PRIORITY` or `{ when, to }`, or a list of them: raises an open alert, never lowers it"
    ),
    ("checks", "in place of `when`: device alarms this rule judges: `{ events, supported, unsupported }`"),
    (
      "quality",
      "`{ min, gate }`: the least signal quality that opens it, and conditions on the signal without which it waits"
    ),
    ("confirm", "a second sign; while it is known to be absent the alert waits, at most `max_hold`"),
    ("inhibited_by", "ids of technical rules whose active alert holds this one"),
    ("inhibited_in", "states (`off-ward`, `discharged`) and flags of patients that hold it"),
    ("inhibit_max", "the longest inhibition lasts, at most 12h; 30m unless given"),
    ("smart_delay", "`{ halves_at }`: so far beyond the limit half of `for` is enough"),
    ("worsening", "so far beyond what was told it is told again; the distance from limit to bypass unless given"),
    ("flap", "`{ count, within, quiet }`: coming so often it becomes one alert that stays; `false`: never"),
    (
      "escalate",
      "`{ after, to }`, or a list of them: who is told when nobody has answered, each counted from the step before"
    ),
    ("latch", "whether it stays after its end until somebody answers; by its priority unless given"),
    ("adapt", "`PARAMETER: { to, floor, ceiling }`: follows the patient where adaptive limits are switched on"),
    ("message", "what people read; may hold `{value}` and other placeholders"),
    ("tests", "series in, alerts out; run by `vigil test`"),
    ("extends", "name of a template this rule completes"),
    ("with", "texts for the `<name>` places of the template"),
  ]

  /// Keys a set may give anew for one of its rules: what is a matter of the ward, not of the condition.
  static let ofSets = [
    "inhibited_by", "inhibited_in", "inhibit_max", "smart_delay", "worsening", "flap", "escalate", "latch",
    "renew",
  ]

  /// Keys of a template: those of a rule, its name in place of the id.
  static let template = ["template"] + all.map(\.key).filter { $0 != "rule" && $0 != "tests" }

  static let applies: [(key: String, meaning: String)] = [
    ("age", "one or two bounds in years or months, as in `>=16y` or `>=3mo <12mo`; unknown ages apply"),
    ("unless", "flags of patients it is not for"),
    ("only", "flags a patient must carry"),
    ("units", "care units it is for"),
  ]

  static let checks: [(key: String, meaning: String)] = [
    ("events", "keys or MDC reference ids of the device alarms it judges"),
    ("supported", "the condition under which the numerics show what the alarm says; it wins where both hold"),
    ("unsupported", "the condition under which they show that it cannot be; neither: unknown"),
  ]

  static let quality: [(key: String, meaning: String)] = [
    (
      "min",
      "what samples of a lower quality (0 to 1) say waits, at most `max_hold`; under 0.4 only a bypass value is judged"
    ),
    (
      "gate",
      "one condition or a list; what is found while one is known not to hold waits, at most `max_hold`; unknown lets it pass"
    ),
  ]

  static let flap: [(key: String, meaning: String)] = [
    ("count", "starts that make it one recurrent alert, 2 to 100; 4 unless given"),
    ("within", "the time they fall into, at most 24h; 2h unless given"),
    ("quiet", "how long without the condition ends it, at most 24h; 30m unless given"),
  ]

  static let adapt: [(key: String, meaning: String)] = [
    ("to", "what the parameter follows, in its unit; `baseline(VITAL, WINDOW)` needs no bounds of its own here"),
    ("floor", "never lower than this"),
    ("ceiling", "never higher than this"),
  ]

  static let placeholders: [(name: String, piece: MessagePiece, meaning: String)] = [
    ("value", .value, "the value `when` compares first"), ("limit", .limit, "the limit it is compared with"),
    ("duration", .duration, "how long it has held"), ("trend", .trend, "the way the value is moving"),
    ("code", .code, "the vital"), ("device", .device, "the device"),
    ("missing", .missing, "components a score could not know"), ("total", .total, "a score's total"),
    ("unit", .unit, "the vital's unit"),
  ]
}
