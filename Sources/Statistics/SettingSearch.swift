import VitalModel

/// One alert of a replay: when it was open, and what it told of.
package struct ReplayedAlert: Hashable, Sendable {
  package var alertID: String
  package var patient: UInt32
  /// Its rule, and the rules that joined it.
  package var rules: Set<String>
  /// Engine clock, milliseconds since 1970.
  package var start: Int64
  /// nil: still open at the end of the replay.
  package var end: Int64?

  package init(alertID: String, patient: UInt32, rules: Set<String>, start: Int64, end: Int64? = nil) {
    self.alertID = alertID
    self.patient = patient
    self.rules = rules
    self.start = start
    self.end = end
  }

  func isOpen(during outcome: AlertOutcome) -> Bool {
    start < (outcome.end ?? .max) && outcome.start < (end ?? .max) || start == outcome.start
  }
}

/// What a patient's alerts of one rule would have been under another value of one parameter.
package struct SettingTrial: Hashable, Sendable {
  package var patient: UInt32
  package var rule: String
  package var parameter: String
  package var from: DecimalValue
  package var to: DecimalValue
  package var unit: String
  package var isHold: Bool
  package var movesBypass: Bool
  /// Stored alerts the replay reproduces, and those of them with a class.
  package var alerts: Int
  package var labelled: Int
  package var actionable: Int
  /// Of those, the ones that would not have been told while they were open.
  package var removed: Int
  package var removedLabelled: Int
  package var removedActionable: Int
  /// Longest time an actionable alert that stays would have come later, milliseconds.
  package var actionableDelay: Int64
  /// The patient's told alerts of all rules, as it was and under the trial: what one rule no longer tells another may.
  package var allBefore: Int
  package var allAfter: Int
}

/// Looks for settings that would have removed alerts nobody acted on, by replaying what was recorded. It applies nothing.
///
/// One rule's parameter of a patient is changed at a time; patients are tried beside each other, as their alerts do not
/// depend on one another's settings.
package struct SettingSearch {
  /// A rule of a patient with fewer labelled alerts than this suggests nothing.
  package static let labelledMin = 8
  /// Nor does one of which more than this share is actionable: its alerts are worth having.
  package static let actionableShareMax = 0.1
  /// A value that removes fewer alerts is not worth a setting.
  package static let removedMin = 3
  /// Rules tried of one patient, those with most alerts first; and patients, those with most alerts first.
  package static let rulesMax = 4
  package static let patientsMax = 100

  /// One replay: alerts of these patients, each under its setting.
  package typealias Replay = (_ settings: [UInt32: ParameterSetting], _ patients: Set<UInt32>) throws -> [ReplayedAlert]

  /// What was found, and what it rests on.
  package struct Findings: Sendable {
    /// By patient, then rule, then parameter.
    package var suggestions: [SettingTrial] = []
    /// Parameters whose every useful step would have removed an alert somebody acted on.
    package var refused = 0
    /// Parameters tried, and replays made.
    package var tried = 0
    package var replays = 0
    /// Stored alerts of the patients tried, and those the replay raised again: only these count.
    package var stored = 0
    package var reproduced = 0
    /// Patients left out by ``patientsMax``.
    package var patientsLeftOut = 0
  }

  /// One parameter of one rule of one patient, on its way through its steps.
  private struct Line {
    var patient: UInt32
    var rule: RuleDefinition
    var steps: QuieterSteps
    var next = 0
    var best: SettingTrial?
    var wasRefused = false
    var isDone: Bool { next >= steps.values.count }
  }

  private let outcomes: [AlertOutcome]
  private let plan: RulePlan
  private let facts: (UInt32) -> PatientFacts
  /// Alerts that started in it are counted; settings in force at its end are those suggestions start from. Milliseconds.
  private let range: Range<Int64>

  /// - Parameters:
  ///   - outcomes: stored alerts with what people said of them.
  ///   - plan: the rules in force now.
  ///   - facts: a patient's flags and settings in force now.
  package init(
    outcomes: [AlertOutcome], plan: RulePlan, range: Range<Int64>, facts: @escaping (UInt32) -> PatientFacts
  ) {
    self.outcomes = outcomes
    self.plan = plan
    self.range = range
    self.facts = facts
  }

  /// Runs the search: one replay as things were, then one for each further step, all patients in each.
  package func run(_ replay: Replay) throws -> Findings {
    var findings = Findings()
    var lines = lines(&findings)
    guard !lines.isEmpty else { return findings }
    let patients = Set(lines.map(\.patient))
    let before = try replay([:], patients)
    findings.replays = 1
    findings.tried = lines.count
    let known = Set(before.map(\.alertID))
    let stored = outcomes.filter { patients.contains($0.patient) }
    let reproduced = stored.filter { known.contains($0.alertID) }
    findings.stored = stored.count
    findings.reproduced = reproduced.count
    while true {
      let turn = turn(lines)
      guard !turn.isEmpty else { break }
      let settings = Dictionary(uniqueKeysWithValues: turn.map { (lines[$0].patient, setting(lines[$0])) })
      let after = try replay(settings, patients)
      findings.replays += 1
      for index in turn {
        let trial = compare(lines[index], reproduced, before: before, after: after)
        SettingSearch.take(trial, &lines[index])
      }
    }
    findings.suggestions = lines.compactMap(\.best)
    findings.refused = lines.count { $0.best == nil && $0.wasRefused }
    return findings
  }

  // MARK: What to try

  private func lines(_ findings: inout Findings) -> [Line] {
    let byPatient = Dictionary(grouping: outcomes, by: \.patient)
    let order = byPatient.keys.sorted { a, b in
      (byPatient[b]?.count ?? 0, a) < (byPatient[a]?.count ?? 0, b)
    }
    let candidates = order.map { ($0, lines(of: $0, byPatient[$0] ?? [])) }.filter { !$0.1.isEmpty }
    findings.patientsLeftOut = max(0, candidates.count - SettingSearch.patientsMax)
    return candidates.prefix(SettingSearch.patientsMax).flatMap(\.1)
      .sorted { ($0.patient, $0.rule.id, $0.steps.parameter) < ($1.patient, $1.rule.id, $1.steps.parameter) }
  }

  private func lines(of patient: UInt32, _ outcomes: [AlertOutcome]) -> [Line] {
    let facts = facts(patient)
    let byRule = Dictionary(grouping: outcomes, by: \.rule)
    let worth = byRule.keys.sorted { (byRule[$1]?.count ?? 0, $0) < (byRule[$0]?.count ?? 0, $1) }.filter { id in
      let labelled = (byRule[id] ?? []).filter { $0.judgement != nil }
      let actionable = labelled.count(where: \.isActionable)
      return labelled.count >= SettingSearch.labelledMin
        && Double(actionable) <= SettingSearch.actionableShareMax * Double(labelled.count)
    }
    return worth.prefix(SettingSearch.rulesMax).flatMap { id -> [Line] in
      // Versions of one id side by side have no one value to start from.
      let versions = plan.rules.filter { $0.id == id && $0.mode == .live }
      guard versions.count == 1, let rule = versions.first else { return [] }
      let steps = QuieterSteps.all(rule) { index in
        let parameter = rule.parameters[index]
        return facts.setting(rule: id, parameter: parameter.name, at: range.upperBound)?.value
          ?? parameter.value(for: facts.flags)
      }
      return steps.map { Line(patient: patient, rule: rule, steps: $0) }
    }
  }

  /// The next open line of every patient.
  private func turn(_ lines: [Line]) -> [Int] {
    var taken: Set<UInt32> = []
    return lines.indices.filter { !lines[$0].isDone && taken.insert(lines[$0].patient).inserted }
  }

  private func setting(_ line: Line) -> ParameterSetting {
    ParameterSetting(
      rule: line.rule.id, parameter: line.rule.parameters[line.steps.parameter].name,
      value: line.steps.values[line.next], author: "trial", reason: "replayed, not applied")
  }

  // MARK: What came of it

  private func compare(
    _ line: Line, _ reproduced: [AlertOutcome], before: [ReplayedAlert], after: [ReplayedAlert]
  ) -> SettingTrial {
    let parameter = line.rule.parameters[line.steps.parameter]
    let own = after.filter { $0.patient == line.patient && $0.rules.contains(line.rule.id) }
    var trial = SettingTrial(
      patient: line.patient, rule: line.rule.id, parameter: parameter.name, from: line.steps.current,
      to: line.steps.values[line.next], unit: parameter.unit, isHold: line.steps.isHold,
      movesBypass: line.steps.movesBypass, alerts: 0, labelled: 0, actionable: 0, removed: 0, removedLabelled: 0,
      removedActionable: 0, actionableDelay: 0,
      allBefore: before.count { $0.patient == line.patient && range.contains($0.start) },
      allAfter: after.count { $0.patient == line.patient && range.contains($0.start) })
    for outcome in reproduced where outcome.patient == line.patient && outcome.rule == line.rule.id {
      let kept = own.filter { $0.isOpen(during: outcome) }.map(\.start).min()
      trial.alerts += 1
      if outcome.judgement != nil { trial.labelled += 1 }
      if outcome.isActionable { trial.actionable += 1 }
      if let kept {
        if outcome.isActionable { trial.actionableDelay = max(trial.actionableDelay, kept - outcome.start) }
      } else {
        trial.removed += 1
        if outcome.judgement != nil { trial.removedLabelled += 1 }
        if outcome.isActionable { trial.removedActionable += 1 }
      }
    }
    return trial
  }

  /// The first step that removes half of the alerts is enough; else the one that removes most. What would have removed an
  /// alert somebody acted on is never suggested, and nothing beyond it is tried.
  private static func take(_ trial: SettingTrial, _ line: inout Line) {
    line.next += 1
    guard trial.removedActionable == 0 else {
      line.wasRefused = true
      line.next = line.steps.values.count
      return
    }
    guard trial.removed >= removedMin, trial.allAfter < trial.allBefore else { return }
    if trial.removed > (line.best?.removed ?? 0) { line.best = trial }
    if 2 * trial.removed >= trial.alerts { line.next = line.steps.values.count }
  }
}
