import VitalModel

/// The reference of the rule language as Markdown, made from the tables the checker itself uses: `docs/rules-reference.md`.
package enum LanguageReference {
  /// The whole page; equal on every machine.
  package static var markdown: String {
    ([
      "# Rule language reference", "",
      "Made from the checker's own tables: a page that differs from them fails the tests.", "",
    ] + keys + expressions + aggregates + windows + functions + truth + problems).joined(separator: "\n")
  }

  private static func table(_ head: [String], _ rows: [[String]]) -> [String] {
    func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }
    return [line(head), line(head.map { _ in "---" })] + rows.map(line) + [""]
  }

  private static var keys: [String] {
    ["## Keys of a rule", ""] + table(["key", "meaning"], RuleKeys.all.map { ["`\($0.key)`", $0.meaning] })
      + [
        "A template has the same keys with `template: NAME` in place of `rule`, and no tests. The rule's own keys win: mappings",
        "are merged key by key, lists and texts replaced.", "", "### `applies`", "",
      ] + table(["key", "meaning"], RuleKeys.applies.map { ["`\($0.key)`", $0.meaning] })
      + ["### `checks`", ""]
      + table(["key", "meaning"], RuleKeys.checks.map { ["`\($0.key)`", $0.meaning] })
      + [
        "Such a rule opens nothing: it has no `when`, `for`, `clear`, `bypass`, `raise`, `message` or `priority`. It is asked",
        "when the device alarms, knows what came before, and its answer is in `verification` of the alarm's document. In its",
        "conditions a vital may name the source of its series: `max(beat_age@ecg2, 10s)`.", "",
      ]
      + ["### `quality`", ""] + table(["key", "meaning"], RuleKeys.quality.map { ["`\($0.key)`", $0.meaning] })
      + ["### `flap`", ""] + table(["key", "meaning"], RuleKeys.flap.map { ["`\($0.key)`", $0.meaning] })
      + ["### `adapt`", ""] + table(["key", "meaning"], RuleKeys.adapt.map { ["`\($0.key)`", $0.meaning] })
      + [
        "### Keys of a set's entry", "",
        "`rule`, `parameters`, `mode`, `priority`, and in place of the rule's own: "
          + RuleKeys.ofSets.map { "`\($0)`" }.joined(separator: ", ") + ".", "",
        "### Flags", "",
        "Where a rule directory has a `\(KnownFlags.path)` (`flags:` with a line `NAME: what it means` for each), a flag it does",
        "not name is refused wherever one is asked for.", "",
      ]
      + ["### Placeholders of `message`", ""]
      + table(["placeholder", "meaning"], RuleKeys.placeholders.map { ["`{\($0.name)}`", $0.meaning] })
  }

  private static var expressions: [String] {
    let comparisons = ExpressionParser.comparisons.map { "`\($0.symbol)`" }.joined(separator: " ")
    return [
      "## Expressions", "",
      "From the loosest to the tightest: `or`, `and`, `not`, comparison (\(comparisons)) and `within`, `+ -`, `* /`, unary `-`.",
      "",
      "- Numbers: `90`, or with a unit `3.9 [mmol/L]`, converted to the compared vital's unit the way samples are: exactly, then half",
      "  up to the vital's resolution. Differences, rates and areas are not rounded.",
      "- Durations: `250ms`, `15s`, `10m`, `12h`, `7d`, `52w`. A duration never compares with a bare number.",
      "- Parameters: `$limit`. A vital by its key is its newest value: `hr` is `last(hr)`. Letters of letter vitals: `consciousness != A`.",
      "- `CONDITION within 5m`: some sample of the last five minutes met it; newest values compared with constants, joined by `any` or",
      "  `or`. It is the same as `max` or `min` over that window.",
      "- At most \(ExpressionChecker.stepsMax) steps and \(ExpressionScanner.lengthMax) characters, nested at most \(ExpressionParser.depthMax) deep.",
      "",
    ]
  }

  private static var aggregates: [String] {
    let rows = Aggregate.all.map { aggregate in
      let forms = Aggregate.WindowForm.allCases
      let windows =
        aggregate.windows.isEmpty
        ? "none"
        : aggregate.windows.count == forms.count
          ? "all" : forms.filter { aggregate.windows.contains($0) }.map(\.rawValue).joined(separator: ", ")
      let least = aggregate.leastSamples > 1 ? "; at least \(aggregate.leastSamples) samples" : ""
      return ["`\(aggregate.form)`", aggregate.result.text, windows, aggregate.meaning + least]
    }
    return [
      "## Aggregates", "",
      "Each sample stands until the next one, the newest until now, none longer than its vital's staleness.", "",
    ] + table(["aggregate", "unit of the result", "windows", "meaning"], rows)
  }

  private static var windows: [String] {
    ["## Windows", ""]
      + table(
        ["window", "samples it looks at"],
        Aggregate.WindowForm.allCases.map { [$0.rawValue, $0.meaning] })
      + [
        "Windows by time are at most \(DurationText.format(ExpressionChecker.windowMax)), windows by count at most "
          + "\(ExpressionChecker.samplesMax) samples.", "",
      ]
  }

  private static var functions: [String] {
    ["## Functions and facts", ""]
      + table(["form", "meaning"], ExpressionChecker.functions.map { ["`\($0.form)`", $0.meaning] })
  }

  /// Kleene's strong logic of three values.
  private static var truth: [String] {
    let names = ["true", "unknown", "false"]
    let rows = names.indices.flatMap { a in
      names.indices.map { b in
        // Order true, unknown, false: `and` takes the later, `or` the earlier.
        [names[a], names[b], names[max(a, b)], names[min(a, b)]]
      }
    }
    return [
      "## Unknown", "",
      "A value that is not there makes a comparison unknown. Unknown never opens an alert and never ends one; `not` of unknown is",
      "unknown. `N of` is unknown where the unknown conditions decide.", "",
    ] + table(["a", "b", "a and b", "a or b"], rows)
  }

  /// What the checker refuses, by subject.
  private static var problems: [String] {
    ["## What is refused before it runs", ""]
      + table(["subject", "refused"], refusals.map { [$0.subject, $0.meaning] })
  }

  static let refusals: [(subject: String, meaning: String)] = [
    (
      "names",
      "unknown keys, vitals, functions, parameters, scores, fields, templates, placeholders; near ones are suggested"
    ),
    ("units", "numbers of different units added or compared; a duration and a bare number"),
    ("windows", "length 0 or over the longest; a step that does not divide the window; too few or too many samples"),
    ("since onset", "outside `clear` and `raise`, where it is never known in time"),
    ("limits", "outside the vital's reject range, with the default or any value the parameter may be set to"),
    ("branches", "an operand of `and` or `or` that another one makes idle; a condition that is always true or never"),
    ("clear", "one that can never be true, or that holds together with `when` for a steady signal"),
    ("bypass", "one that holds whenever `when` does, or where `when` does not; a lower priority than the rule's"),
    (
      "delays",
      "a physiological rule with `for` but without `bypass` or `max_hold`; `max_hold` shorter than `for` may be set"
    ),
    (
      "gates, confirmation",
      "without `max_hold`; of a medium or high physiological alert without `bypass`; one that reads a score; one that always or never holds where `when` does; a confirmation a lost signal makes false, or that would change the priority"
    ),
    (
      "inhibition",
      "by a rule that is not there, reads a score or is not technical; in a circle; in `admitted`; for more than 12h; of a medium or high physiological alert without `bypass`"
    ),
    (
      "depth",
      "`smart_delay` without `for`; `smart_delay` or `worsening` of 0, or where `when` does not first compare with a constant limit by < or >"
    ),
    ("escalate", "a step after no time at all, or to nobody"),
    (
      "adapt",
      "a floor below the parameter's minimum, a ceiling above its maximum, a floor not below the ceiling; a duration; what follows itself, a score, or nothing measured"
    ),
    ("raise", "to the rule's own priority or a lower one"),
    (
      "technical",
      "a signal condition that ends a physiological alert; a technical rule that reads a score, or has a limit on how a patient is"
    ),
    ("scores", "a high score that holds back the alert of a vital; two scores in one rule"),
    ("flags", "one that `flags.yaml` does not name, where there is such a file"),
    ("parameters", "a default or case outside its bounds; a duration mixed with bare numbers"),
    ("ages", "a range that no age is in"),
    ("ids", "two rules, scores, sets or templates of one name"),
  ]
}

extension Aggregate.WindowForm {
  /// Which samples a window of this form looks at.
  var meaning: String {
    switch self {
    case .sliding: "the last five minutes, up to and with now"
    case .hopping: "the last whole five minutes whose end is a multiple of the step since 1970"
    case .tumbling: "the last whole five minutes: a hop of its own length"
    case .samples: "the newest ten samples"
    case .sinceOnset:
      "from the onset of the rule's episode, at most \(DurationText.format(WindowShape.sinceOnsetMax)); unknown while there is none"
    case .session: "from the last gap longer than thirty minutes; unknown once the present gap is longer"
    }
  }
}
