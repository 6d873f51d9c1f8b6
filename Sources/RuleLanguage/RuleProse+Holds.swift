import VitalModel

/// What holds an alert and what follows its telling, in plain English.
extension RuleProse {
  /// Sentences in the order in which the stages stand; none where the rule says nothing of its own.
  static func holds(_ read: ReadRule, _ english: PlainEnglish) -> [String] {
    waits(read, english) + inhibition(read.definition) + depth(read, english) + afterwards(read.definition)
      + adaptations(read, english)
  }

  private static func waits(_ read: ReadRule, _ english: PlainEnglish) -> [String] {
    let rule = read.definition
    let most = PlainEnglish.duration(rule.maxHold)
    var lines: [String] = []
    if let quality = rule.minimumQuality {
      lines.append("Waits at most \(most) while the newest sample has a quality under \(NumberText.plain(quality)).")
    }
    for gate in read.conditions.gates {
      lines.append(
        "Waits at most \(most) for a trusted signal: \(english.condition(gate.checked)). Where that is unknown it does not wait."
      )
    }
    if let confirm = read.conditions.confirm {
      lines.append(
        "Waits at most \(most) for a second sign: \(english.condition(confirm.checked)). Where that is unknown it does not wait."
      )
    }
    return lines
  }

  private static func inhibition(_ rule: RuleDefinition) -> [String] {
    guard rule.isInhibited else { return [] }
    var causes: [String] = []
    if !rule.inhibitedBy.isEmpty { causes.append("while \(list(rule.inhibitedBy, "or")) is active") }
    let states = rule.inhibitedIn.filter { AdmissionState(rawValue: $0) != nil }
    let flags = rule.inhibitedIn.filter { AdmissionState(rawValue: $0) == nil }
    if !states.isEmpty { causes.append("while the patient is \(list(states, "or"))") }
    if !flags.isEmpty { causes.append("while the patient carries the flag \(list(flags, "or"))") }
    return ["Held back \(causes.joined(separator: ", or ")), at most \(PlainEnglish.duration(rule.inhibitMax))."]
  }

  private static func depth(_ read: ReadRule, _ english: PlainEnglish) -> [String] {
    let rule = read.definition
    let type = read.conditions.when?.checked.firstCompared?.type ?? .plain
    var lines: [String] = []
    if let depth = rule.halvesAt {
      lines.append(
        "The deeper, the sooner: \(PlainEnglish.number(depth.double, type)) beyond the limit half of that time is enough."
      )
    }
    if let step = rule.worseningStep {
      lines.append("Told again when it is \(PlainEnglish.number(step.double, type)) worse than what was told.")
    }
    return lines
  }

  private static func afterwards(_ rule: RuleDefinition) -> [String] {
    var lines: [String] = []
    if let flap = rule.flap {
      let within = PlainEnglish.duration(flap.within)
      lines.append(
        flap.count == 0
          ? "However often it comes and goes, each time is told."
          : "Coming \(flap.count) times within \(within) it becomes one recurrent alert, until \(PlainEnglish.duration(flap.quiet)) without it."
      )
    }
    let steps = rule.escalation.enumerated().map { place, step in
      "\(step.to) after \(PlainEnglish.duration(step.after))\(place > 0 ? " more" : "")"
    }
    if !steps.isEmpty { lines.append("Unanswered, it is told to \(list(steps, "and")).") }
    if rule.renew > 0 {
      lines.append(
        "Still true \(PlainEnglish.duration(rule.renew)) after its start, it ends and is told as a new alert.")
    }
    if let latches = rule.latches {
      lines.append(latches ? "Stays after its end until somebody answers." : "Does not stay after its end.")
    }
    return lines
  }

  private static func adaptations(_ read: ReadRule, _ english: PlainEnglish) -> [String] {
    zip(read.definition.adaptations, read.conditions.adaptations).map { adaptation, to in
      let type = to.checked.type
      let bounds = [adaptation.floor, adaptation.ceiling].map { PlainEnglish.number($0.double, type) }
      let name = read.definition.parameters[adaptation.parameter].name
      return "Where adaptive limits are switched on, \(name) follows \(english.value(to.checked)), kept between "
        + "\(bounds[0]) and \(bounds[1])."
    }
  }
}

extension CheckedExpression {
  /// The left side of the first comparison.
  var firstCompared: CheckedExpression? {
    if case .binary(let instruction, let left, _) = content, instruction.isComparison { return left }
    for child in children {
      if let found = child.firstCompared { return found }
    }
    return nil
  }
}
