import AlertJournal
import Foundation
import VitalModel

/// A stored JSON object looked into by keys; what is not there is nil.
struct FactsText {
  private let object: [String: Any]

  init(_ json: String) {
    object = (try? JSONSerialization.jsonObject(with: Data(json.utf8))) as? [String: Any] ?? [:]
  }
  private init(_ object: [String: Any]) { self.object = object }

  private func value(_ path: [String]) -> Any? {
    var current: Any? = object
    for key in path { current = (current as? [String: Any])?[key] }
    return current is NSNull ? nil : current
  }

  func hasValue(_ path: String...) -> Bool { value(path) != nil }
  func string(_ path: String...) -> String? { value(path) as? String }
  func bool(_ path: String...) -> Bool { value(path) as? Bool ?? false }

  /// A number or text as text.
  func text(_ path: String...) -> String? {
    switch value(path) {
    case let text as String: text
    case let number as NSNumber: number.stringValue
    default: nil
    }
  }

  func strings(_ path: String...) -> [String] { value(path) as? [String] ?? [] }

  /// Objects of an array.
  func list(_ path: String...) -> [FactsText] { (value(path) as? [[String: Any]] ?? []).map(FactsText.init) }

  /// `name = value` of every field of an object, by name.
  func fields(_ path: String...) -> [(name: String, text: String)] {
    guard let object = value(path) as? [String: Any] else { return [] }
    let facts = FactsText(object)
    return object.keys.sorted().map { ($0, facts.text($0) ?? "none") }
  }
}

/// What each stage means, for a reader who does not know the code (SEMANTICS D6).
enum StageWords {
  static let meaning = [
    "quality": "the signal was too poor to judge",
    "smoothing": "smoothing took the short excursion away",
    "hysteresis": "the value had not come back far enough to count as a new episode",
    "persistence": "it did not last long enough",
    "confirmation": "no second signal confirmed it",
    "inhibition": "another active alert of the patient covers it",
    "refractory": "the same alert had just been told",
    "duplicate": "the same alert is active already",
    "flap": "it kept coming and going",
    "silence": "a person silenced it",
    "acknowledged": "a person has taken it on",
    "grouping": "it joined another alert of the patient",
    "budget": "the patient's alerts per time were used up",
    "stale": "the signal was lost before it could be decided",
    "retrospective": "the samples came too late to page anybody",
    "shadow": "the rule is on trial and tells nobody",
  ]
}

/// An explanation for a person at a terminal: the answer first, then what it rests on.
struct ExplanationText {
  private let explanation: AlertExplanation
  private var lines: [String] = []
  /// Newest samples shown of the evidence that opened the alert, and of each later one; `--json` has all.
  private static let samplesMax = (first: 16, later: 5)

  init(_ explanation: AlertExplanation) {
    self.explanation = explanation
    addHeadline()
    addTransitions()
    addRule()
    addHeld()
    addDeliveries()
  }

  var text: String { lines.joined(separator: "\n") }

  private mutating func section(_ title: String) { lines += ["", title] }

  private mutating func addHeadline() {
    let document = explanation.newest
    let place = [document.string("location", "unit"), document.string("location", "bed").map { "bed \($0)" }]
      .compactMap { $0 }.joined(separator: " ")
    let priority = (document.string("priority") ?? "").uppercased()
    let title = document.string("rule", "title") ?? "alert"
    let state = explanation.candidate == nil ? document.string("state") ?? "" : "not sent"
    lines.append(
      "\(priority)  \(title): patient \(document.string("patient") ?? "unknown")" + (place.isEmpty ? "" : ", \(place)"))
    lines.append("\(explanation.alertID) is \(state)" + (document.bool("simulated") ? " (SIMULATED DATA)" : ""))
    lines.append("why: \(explanation.why)")
    let first = explanation.first
    let times = [
      first.string("onset_time").map { "began \($0)" }, first.string("detected_time").map { "detected \($0)" },
    ]
    lines.append("when: " + times.compactMap { $0 }.joined(separator: ", "))
    lines.append("who: \(explanation.responsible.text)")
    let sources = first.strings("sources")
    if !sources.isEmpty { lines.append("from: \(sources.joined(separator: ", "))") }
    let members = explanation.newest.strings("members")
    if !members.isEmpty { lines.append("with: \(members.joined(separator: ", "))") }
    if document.bool("unverified") { lines.append("note: the value was not verified by a second sample yet") }
    if document.bool("retrospective") { lines.append("note: found in samples that came late") }
  }

  // MARK: Transitions

  private mutating func addTransitions() {
    for transition in explanation.transitions {
      let document = FactsText(transition.document)
      section(
        "\(transition.sequence). \(transition.phase.rawValue) \(Timestamp.format(transition.detectedTime))"
          + "  \(transition.priority.text), \(transition.state.rawValue)"
          + (transition.isNotified ? "" : ", nobody told"))
      lines.append("   \(document.string("message") ?? "")")
      if let evidence = transition.evidence { addEvidence(FactsText(evidence), isFirst: transition.sequence == 1) }
    }
  }

  private mutating func addEvidence(_ evidence: FactsText, isFirst: Bool) {
    var rows = verification(evidence)
    if let when = evidence.string("when") { rows.append(["condition", when]) }
    if let hold = evidence.string("for") { rows.append(["held for", hold]) }
    if let bypass = evidence.string("bypass") { rows.append(["at once if", bypass]) }
    if let clear = evidence.string("clear") { rows.append(["over when", clear]) }
    if let at = evidence.string("evaluated_at") {
      rows.append(["evaluated at", at + (evidence.string("clock").map { " (\($0) clock)" } ?? "")])
    }
    for (name, text) in evidence.fields("parameters") {
      rows.append(["parameter", "\(name) = \(parameter(name, text))"])
    }
    for setting in evidence.list("settings") { rows.append(["set for this patient", settingText(setting)]) }
    for raise in evidence.list("raises") {
      let text = "\(raise.string("to") ?? "") if \(raise.string("when") ?? ""): \(raise.string("holds") ?? "")"
      rows.append(["raised to", text])
    }
    for input in evidence.list("inputs") {
      rows.append(["input", "\(input.string("input") ?? "") = \(input.text("value") ?? "unknown")"])
    }
    if let age = evidence.string("age") { rows.append(["age", age]) }
    if let id = evidence.string("score", "id") {
      let total = evidence.text("score", "total") ?? "?"
      rows.append(["score", "\(id) = \(total)" + (evidence.bool("score", "complete") ? "" : " (incomplete)")])
    }
    lines.append(TextTable.format(rows, indent: "   "))
    addComponents(evidence)
    addSamples(evidence, limit: isFirst ? ExplanationText.samplesMax.first : ExplanationText.samplesMax.later)
  }

  /// What the numerics said about a device's alarm, by which check, and the condition that decided.
  private func verification(_ evidence: FactsText) -> [[String]] {
    guard let answer = evidence.string("verification", "answer") else { return [] }
    func fact(_ key: String) -> String { evidence.string("verification", key) ?? "" }
    var rows = [["numerics say", answer], ["checked by", "\(fact("rule")), version \(fact("version"))"]]
    for key in ["supported", "unsupported"] where evidence.hasValue("verification", key) {
      rows.append([answer == key ? "because" : "not \(key)", fact(key)])
    }
    return rows
  }

  /// Evidence holds durations in milliseconds; the rule's text says which parameters are durations.
  private func parameter(_ name: String, _ text: String) -> String {
    let line = explanation.rule?.text.split(separator: "\n").first {
      $0.trimmingCharacters(in: .whitespaces).hasPrefix("\(name):")
    }
    let value = line?.components(separatedBy: "default:").dropFirst().first?
      .split(whereSeparator: { ", }".contains($0) }).first
    guard let value, Int64(value) == nil, DurationText.parse(value) != nil, let milliseconds = Int64(text) else {
      return text
    }
    return DurationText.format(milliseconds)
  }

  /// `limit = 88 by dr-a (known COPD), from 2026-11-20T08:00:00.000Z`.
  private func settingText(_ setting: FactsText) -> String {
    let name = setting.string("parameter") ?? ""
    var text = "\(name) = \(parameter(name, setting.text("value") ?? "")) by \(setting.string("author") ?? "")"
    text += " (\(setting.string("reason") ?? ""))"
    if let from = setting.string("from") { text += ", from \(from)" }
    if let until = setting.string("until") { text += ", until \(until)" }
    return text
  }

  private mutating func addComponents(_ evidence: FactsText) {
    let rows = evidence.list("score", "components").map { component in
      [
        component.string("name") ?? "", component.text("points") ?? "missing", component.string("time") ?? "",
        component.text("age_s").flatMap { Int64($0) }.map { DurationText.format($0 * 1000) } ?? "",
      ]
    }
    guard !rows.isEmpty else { return }
    lines.append(TextTable.format([["COMPONENT", "POINTS", "MEASURED", "AGE"]] + rows, indent: "     "))
    for component in evidence.list("score", "components") {
      let name = component.string("name") ?? ""
      let input = component.string("input")
      if component.bool("absent") {
        lines.append("     \(name): \(input ?? "its input") is unknown and counts as absent")
      } else if let input {
        lines.append("     \(name): \(input) = \(component.text("value") ?? "unknown")")
      }
    }
  }

  private mutating func addSamples(_ evidence: FactsText, limit: Int) {
    let samples = evidence.list("samples")
    guard !samples.isEmpty else { return }
    let newest = samples.sorted { ($0.string("time") ?? "") < ($1.string("time") ?? "") }.suffix(limit)
    let rows = newest.map { sample in
      [
        sample.string("time") ?? "", sample.string("code") ?? "", sample.text("value") ?? "",
        sample.text("quality") ?? "", sample.string("source") ?? "",
      ]
    }
    lines.append(TextTable.format([["TIME", "VITAL", "VALUE", "QUALITY", "SOURCE"]] + rows, indent: "     "))
    if samples.count > newest.count {
      lines.append("     the newest \(newest.count) of \(samples.count); --json has all")
    }
  }

  // MARK: What surrounds it

  private mutating func addRule() {
    let document = explanation.first
    section(
      "rule \(document.string("rule", "id") ?? "unknown"), version \(document.string("rule", "version") ?? "unknown")")
    guard let rule = explanation.rule else {
      lines.append("   built in: no rule file describes it")
      return
    }
    lines.append("   \(rule.path)" + (rule.set.map { ", in set \($0)" } ?? ""))
    lines += rule.text.split(separator: "\n").map { "   | \($0)" }
  }

  private mutating func addHeld() {
    guard !explanation.held.isEmpty else { return }
    section("not sent about this patient within 10 minutes")
    let rows = explanation.held.map { row in
      let document = FactsText(row.document)
      let stage = document.string("suppressed", "reason") ?? "unknown"
      return [
        Timestamp.format(row.detectedTime), document.string("rule", "id") ?? "", stage,
        StageWords.meaning[stage] ?? "", document.string("alert_id") ?? "",
      ]
    }
    lines.append(TextTable.format([["TIME", "RULE", "STAGE", "BECAUSE", "CANDIDATE"]] + rows, indent: "   "))
  }

  private mutating func addDeliveries() {
    guard explanation.candidate == nil else { return }
    section("deliveries tried")
    if explanation.deliveries.isEmpty { lines.append("   none") }
    let rows = explanation.deliveries.map { attempt in
      [
        Timestamp.format(attempt.timeMs), "to \(attempt.receiver)", "transition \(attempt.sequence)",
        "attempt \(attempt.attempt)", attempt.isDelivered ? "delivered" : "failed",
        attempt.status > 0 ? "HTTP \(attempt.status)" : attempt.detail,
      ]
    }
    if !rows.isEmpty { lines.append(TextTable.format(rows, indent: "   ")) }
    for row in explanation.waiting {
      lines.append("   waiting: transition \(row.row.sequence) to \(row.row.receiver), \(row.attempts) attempts so far")
    }
  }
}
