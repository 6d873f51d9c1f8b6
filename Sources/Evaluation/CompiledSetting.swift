import VitalModel

/// A parameter's value for one patient, with rule and parameter found: what programs look up at every use.
package struct CompiledSetting: BitwiseCopyable, Sendable {
  /// Position in ``VitalModel/RulePlan/rules``, and in that rule's parameters.
  package var rule: Int32
  package var parameter: Int32
  /// In the parameter's canonical unit, or milliseconds.
  package var value: Double
  /// In force from (included) until (excluded), milliseconds since 1970.
  package var from: Int64
  package var until: Int64

  package init(rule: Int32, parameter: Int32, value: Double, from: Int64, until: Int64) {
    self.rule = rule
    self.parameter = parameter
    self.value = value
    self.from = from
    self.until = until
  }
}

/// A condition that raises a priority, compiled.
// `@unchecked`: the program's table belongs to the layout and is never written after it was made.
package struct CompiledRaise: @unchecked Sendable, BitwiseCopyable {
  package var when: CompiledProgram
  package var to: Priority
}

extension PlanLayout {
  /// A patient's settings as this plan's rules read them. Those of rules or parameters it does not have are left out: a
  /// roster may speak of rules of another set.
  package func settings(of facts: PatientFacts) -> [CompiledSetting] {
    var compiled: [CompiledSetting] = []
    for setting in facts.settings {
      // Versions of one id may run side by side.
      for (index, rule) in plan.rules.enumerated() where rule.id == setting.rule {
        // What lies outside the bounds, or has none, was refused where the roster was read; it has no effect here either.
        guard let parameter = rule.parameterIndex(setting.parameter),
          let lowest = rule.parameters[parameter].lowest, let highest = rule.parameters[parameter].highest,
          (lowest.double...max(lowest.double, highest.double)).contains(setting.value.double)
        else { continue }
        compiled.append(
          CompiledSetting(
            rule: Int32(index), parameter: Int32(parameter), value: setting.value.double, from: setting.from ?? .min,
            until: setting.until ?? .max))
      }
    }
    return compiled
  }
}

extension PatientView {
  /// The value a person set for a parameter, in force at `now`; NaN if there is none. Linear over the patient's few
  /// settings.
  @inlinable
  package func setting(rule: Int, parameter: Int, now: Int64) -> Double {
    for index in 0..<settingCount {
      guard let setting = settings?[index] else { break }
      if Int(setting.rule) == rule, Int(setting.parameter) == parameter, setting.from <= now, now < setting.until {
        return setting.value
      }
    }
    return .nan
  }
}
