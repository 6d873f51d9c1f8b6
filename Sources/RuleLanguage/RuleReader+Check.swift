import VitalModel
import YAMLText

/// Rules that judge a device's own alarm instead of opening one (SEMANTICS C5).
extension RuleReader {
  /// Keys of rules that open alerts: a rule with `checks` opens none.
  static let refusedBesideChecks = [
    "when", "for", "clear", "bypass", "max_hold", "refractory", "hold_last", "raise", "message", "priority", "kind",
    "each", "quality", "confirm", "inhibited_by", "inhibited_in", "inhibit_max", "smart_delay", "worsening", "flap",
    "escalate", "latch", "renew", "adapt",
  ]

  /// Reads `checks` into the rule.
  func readCheck(
    _ map: YAMLMapping, _ adapted: Adaptation, _ rule: inout RuleDefinition, _ checker: inout ExpressionChecker,
    _ problems: inout Problems
  ) -> RuleConditions {
    var found = RuleConditions()
    for key in RuleReader.refusedBesideChecks where map.has(key) {
      problems.add(
        map.place(of: key),
        "a rule with `checks` only judges device alarms and opens nothing: `\(key)` has no meaning here, remove it")
    }
    if rule.mode == .shadow {
      problems.add(
        map.place(of: map.has("mode") ? "mode" : "checks"),
        "a rule with `checks` tells nobody anything of its own: `mode` is `live` or `off`")
    }
    if adapted.priority != nil {
      problems.add(map.place(of: "checks"), "a rule with `checks` has no priority a set could change")
    }
    guard let block = map.mapping("checks", keys: RuleKeys.checks.map(\.key), &problems) else { return found }
    let events = events(block, &problems)
    found.supported = condition(block, "supported", &checker, &problems)
    found.unsupported = condition(block, "unsupported", &checker, &problems)
    guard let supported = found.supported, let unsupported = found.unsupported else { return found }
    if supported.program.instructions == unsupported.program.instructions {
      problems.add(
        block.place(of: "unsupported"), "`unsupported` is `supported` itself, so it would never be the answer")
    }
    rule.holdLast = false
    rule.check = AlarmCheck(
      events: events, supported: RuleReader.oneLine(supported.program),
      unsupported: RuleReader.oneLine(unsupported.program))
    return found
  }

  /// Conditions of checks are long and written over several lines; explanations show them on one.
  private static func oneLine(_ program: Program) -> Program {
    Program(
      instructions: program.instructions,
      text: program.text.split(whereSeparator: \.isWhitespace).joined(separator: " "))
  }

  private func events(_ block: YAMLMapping, _ problems: inout Problems) -> [String] {
    guard block.requiredValue("events", &problems) != nil else { return [] }
    var events: [String] = []
    for name in block.strings("events", orSingle: true, &problems) ?? [] {
      let event = name.lowercased()
      let isName = event.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
      if event.isEmpty || !isName {
        problems.add(
          block.place(of: "events"),
          "`\(name)` is no device alarm: a key such as `asystole` or an MDC reference id such as `MDC_EVT_ECG_ASYSTOLE`"
        )
      } else if events.contains(event) {
        problems.add(block.place(of: "events"), "`\(name)` is listed twice")
      }
      events.append(event)
    }
    if events.isEmpty, let node = block.value("events", &problems) {
      problems.add(node, "`events` names no device alarm, so nothing would ever be checked")
    }
    return events
  }

  private func condition(
    _ block: YAMLMapping, _ key: String, _ checker: inout ExpressionChecker, _ problems: inout Problems
  ) -> RuleCondition? {
    guard let node = block.requiredValue(key, &problems),
      let text = YAMLMapping.text(node, of: key, &problems)
    else { return nil }
    do throws(ExpressionProblem) {
      return RuleCondition(checked: try checker.condition(text, .check), text: text, node: node)
    } catch {
      let (line, column) = RuleCondition.place(error.column, node)
      problems.add(line: line, column: column, error.message, suggestion: error.suggestion)
      return nil
    }
  }
}

extension ExpressionChecker {
  /// `hr`, or `hr@ecg2`: the series of one source, which only a check may name. Other conditions judge every series, or the
  /// preferred one, and must not go blind when that source is gone.
  func vitalOfSource(_ name: String, _ column: Int) throws(ExpressionProblem) -> (code: VitalCode, source: String?) {
    guard let at = name.firstIndex(of: "@") else { return (try vital(name, column), nil) }
    let key = String(name[..<at])
    let source = String(name[name.index(after: at)...])
    let code = try vital(key, column)
    let place = column + key.unicodeScalars.count
    guard self.place == .check else {
      throw ExpressionProblem(
        place, "one source of a vital can be named in `checks` only: write `\(key)`, and every series of it is judged")
    }
    let known = registry[code].sources
    guard known.contains(source) else {
      throw ExpressionProblem(
        place + 1, "`\(source)` is no source of \(key) (\(known.joined(separator: ", ")))",
        suggestion: Suggestion.nearest(source, among: known))
    }
    return (code, source)
  }
}
