import Pipeline
import Service
import Statistics
import VitalModel

/// `vigil stats --suggest`: settings for single patients that would have removed alerts nobody acted on, by replay.
struct StatsSuggestions {
  private let access: StoreAccess
  private let ward: StoredWard
  private let input: FeedbackInput

  init(_ access: StoreAccess, _ ward: StoredWard, _ input: FeedbackInput) {
    self.access = access
    self.ward = ward
    self.input = input
  }

  func run(asJSON: Bool) throws(CommandFailure) -> Int32 {
    let plan = try StoreReplay.journaledPlan(access)
    let number = access.directory.adopt(ward.roster)
    let directory = access.directory
    let search = SettingSearch(outcomes: input.outcomes, plan: plan, range: input.range) { patient in
      directory.patientFacts(patient, roster: number)
    }
    // As a replay of the whole store is told, with no choice of its own.
    let none = try Arguments.parse([], flags: [], command: "stats")
    let isWhole = try StoreReplay.isWhole(access)
    let findings = try access.reading {
      try search.run { settings, patients in try replay(plan, none, settings, patients) }
    }
    printLine(asJSON ? json(findings, isWhole) : text(findings, isWhole))
    return ExitCode.ok
  }

  private func replay(
    _ plan: RulePlan, _ none: Arguments, _ settings: [UInt32: ParameterSetting], _ patients: Set<UInt32>
  ) throws -> [ReplayedAlert] {
    var options = try StoreReplay.options(none, access, plan: nil)
    options.patients = patients
    options.trials = settings
    var order: [String] = []
    var alerts: [String: ReplayedAlert] = [:]
    let replay = JournalReplay(
      plan: plan, directory: access.directory, options: options,
      onTransition: { transition in
        let document = transition.document
        if document.phase == .start, transition.isNotified {
          order.append(document.alertID)
          alerts[document.alertID] = ReplayedAlert(
            alertID: document.alertID, patient: transition.patient, rules: [document.ruleID],
            start: document.detectedTime)
        }
        alerts[document.alertID]?.rules.formUnion(document.members)
        if document.state == .inactive { alerts[document.alertID]?.end = document.detectedTime }
      }, onLedger: { _ in })
    try StoreReplay.feed(replay, access, none, options)
    _ = replay.finish(seconds: 0)
    return order.compactMap { alerts[$0] }
  }

  // MARK: Words

  private func text(_ findings: SettingSearch.Findings, _ isWhole: Bool) -> String {
    var lines = findings.suggestions.map(sentence)
    if lines.isEmpty { lines.append("nothing to suggest") }
    lines += ["", basis(findings, isWhole)]
    if findings.refused > 0 {
      lines.append("Not suggested, as every step would have removed an alert somebody acted on: \(findings.refused).")
    }
    if findings.patientsLeftOut > 0 {
      lines.append("Patients with fewer alerts, not tried: \(findings.patientsLeftOut); narrow with --from and --to.")
    }
    lines.append(
      "Found in, and computed on, the same recording: it looks better here than it will turn out.\n"
        + "Nothing is applied: whoever sets it (settings in roster.yaml) answers for it.")
    return lines.joined(separator: "\n")
  }

  private func basis(_ findings: SettingSearch.Findings, _ isWhole: Bool) -> String {
    guard findings.tried > 0 else {
      return
        "No rule with a limit or hold between bounds has \(SettingSearch.labelledMin) labelled alerts of one patient "
        + "with at most \(StatsText.percent(SettingSearch.actionableShareMax)) actionable."
    }
    var text =
      "\(findings.tried) \(findings.tried == 1 ? "parameter" : "parameters") tried in \(findings.replays) replays"
    text += isWhole ? " of the journal" : " of stored samples (the journal's beginning is gone)"
    text += "; \(findings.reproduced) of \(findings.stored) alerts came out the same and count."
    return text
  }

  /// `limit 90 -> 88 % for patient p-017 (rule spo2-low) would have removed 31 of 40 alerts, none of them actionable`, and
  /// below it what that rests on and costs.
  private func sentence(_ trial: SettingTrial) -> String {
    let unit = trial.isHold || trial.unit.isEmpty ? "" : " \(trial.unit)"
    var text =
      "\(trial.parameter) \(value(trial.from, trial)) -> \(value(trial.to, trial))\(unit) for patient "
      + "\(ward.name(trial.patient)) (rule \(trial.rule)) would have removed \(trial.removed) of \(trial.alerts) alerts, "
      + "none of them actionable"
    text += "\n  labelled: \(trial.removedLabelled) of the \(trial.removed) removed, \(trial.labelled) of all "
    text += "\(trial.alerts); the patient's alerts of all rules: \(trial.allBefore) -> \(trial.allAfter)"
    if trial.actionable > 0 {
      text +=
        trial.actionable == 1 ? "\n  the actionable one stays" : "\n  all \(trial.actionable) actionable ones stay"
      text += trial.actionableDelay > 0 ? ", up to \(trial.actionableDelay / 1000) s later" : ", no later"
    }
    if trial.movesBypass { text += "\n  the limit that knows no delay moves with it" }
    return text
  }

  private func value(_ value: DecimalValue, _ trial: SettingTrial) -> String {
    trial.isHold ? value.scaled(toExponent: 0).map(DurationText.format) ?? value.description : value.description
  }

  private func json(_ findings: SettingSearch.Findings, _ isWhole: Bool) -> String {
    var out = JSONText()
    out.object { out in
      out.field("from", Timestamp.format(input.range.lowerBound))
      out.field("to", Timestamp.format(input.range.upperBound))
      out.field("replayed", isWhole ? "journal" : "samples")
      out.field("same_data", true)
      out.field("replays", findings.replays)
      out.field("tried", findings.tried)
      out.field("refused", findings.refused)
      out.field("patients_left_out", findings.patientsLeftOut)
      out.field("alerts_stored", findings.stored)
      out.field("alerts_reproduced", findings.reproduced)
      out.array("suggestions") { list in
        for trial in findings.suggestions { list.object { write(trial, to: &$0) } }
      }
    }
    return out.text
  }

  private func write(_ trial: SettingTrial, to out: inout JSONText) {
    out.field("patient", ward.name(trial.patient))
    out.field("rule", trial.rule)
    out.field("parameter", trial.parameter)
    out.field("from", trial.from)
    out.field("to", trial.to)
    out.field("unit", trial.isHold ? "ms" : trial.unit)
    out.field("alerts", trial.alerts)
    out.field("labelled", trial.labelled)
    out.field("actionable", trial.actionable)
    out.field("removed", trial.removed)
    out.field("removed_labelled", trial.removedLabelled)
    out.field("removed_actionable", trial.removedActionable)
    out.field("actionable_delay_s", Double(trial.actionableDelay) / 1000)
    out.field("all_rules_before", trial.allBefore)
    out.field("all_rules_after", trial.allAfter)
    out.field("bypass_moves", trial.movesBypass)
  }
}
