import VitalModel
import YAMLText

/// Gates and confirmations against `when`.
extension BranchCheck {
  /// A gate or confirmation must be able to pass, must be able to hold, and a lost signal must confirm (SEMANTICS D3).
  func checkHolding(_ when: RuleCondition, _ problems: inout Problems) {
    for gate in conditions.gates { checkUse(of: gate, called: "gate", when, &problems) }
    guard let confirm = conditions.confirm else { return }
    checkUse(of: confirm, called: "confirm", when, &problems)
    checkLoss(in: confirm, &problems)
  }

  private func checkUse(
    of condition: RuleCondition, called name: String, _ when: RuleCondition, _ problems: inout Problems
  ) {
    for (values, note) in assignments {
      var cases = cases(values, isSteady: false)
      let opens = cases.formula(when.checked)
      let passes = cases.formula(condition.checked)
      guard cases.isComplete, cases.first(where: { opens.holds($0) }) != nil else { return }
      if cases.first(where: { opens.holds($0) && passes.holds($0) }) == nil {
        add(
          condition.checked, condition,
          "`\(name)` never holds where `when` does\(note): every alert would wait for `max_hold`", &problems)
        return
      }
      if cases.first(where: { opens.holds($0) && !passes.holds($0) }) == nil {
        add(
          condition.checked, condition, "`\(name)` always holds where `when` does\(note), so it would hold nothing",
          &problems)
        return
      }
    }
  }

  /// What is missing counts as confirmed: a signal whose loss makes the confirmation false would hold the alert back.
  private func checkLoss(in confirm: RuleCondition, _ problems: inout Problems) {
    var cases = cases(rule.parameters.map(\.value.double), isSteady: false)
    let confirms = cases.formula(confirm.checked)
    for (index, variable) in cases.variables.enumerated() {
      guard case .feature(let feature) = variable, let isHigh = feature.technicalIsHigh else { continue }
      let found = cases.first { values in
        guard (values[index] != 0) == isHigh, !confirms.holds(values) else { return false }
        var well = values
        well[index] = isHigh ? 0 : 1
        return confirms.holds(well)
      }
      guard found != nil else { continue }
      add(
        confirm.checked, confirm,
        "a lost signal (`\(feature.kind.rawValue)`) must confirm: a second sign nobody can see may not hold an alert back",
        &problems)
      return
    }
  }
}
