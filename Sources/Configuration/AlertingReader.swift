import VitalModel
import YAMLText

/// Reads the section `alerting`: how alerts behave, and the ladders that say who is told when nobody answers.
struct AlertingReader {
  static let keys = [
    "latch", "realarm", "flap", "grouping", "budget", "outage", "adaptive", "escalation",
  ]
  /// Steps of one ladder at most.
  static let stepsMax = 16

  /// Where a step's name was written.
  struct Step {
    var ladder: Int
    var place: YAMLNode
    var name: String
  }

  private(set) var settings = AlertingSettings()
  /// Every step, for what is checked once all names are known.
  private(set) var steps: [Step] = []
  /// Place of each ladder.
  private var places: [YAMLNode] = []

  mutating func read(_ section: YAMLMapping, _ problems: inout Problems) {
    latching(section, &problems)
    realarm(section, &problems)
    flap(section, &problems)
    if let window = lengthOrOff("grouping", section, in: 1000...3_600_000, &problems) {
      settings.groupingWindow = window
    }
    if let budget = section.mapping("budget", keys: ["patient", "unit"], &problems) {
      settings.patientBudget = budget.int("patient", in: 0...10_000, &problems) ?? settings.patientBudget
      settings.unitBudget = budget.int("unit", in: 0...10_000, &problems) ?? settings.unitBudget
    }
    outage(section, &problems)
    settings.isAdaptive = section.bool("adaptive", &problems) ?? settings.isAdaptive
    for node in section.list("escalation", &problems) ?? [] { ladder(node, &problems) }
  }

  // MARK: Behaviour

  private mutating func latching(_ section: YAMLMapping, _ problems: inout Problems) {
    for node in section.list("latch", orSingle: true, &problems) ?? [] {
      if let priority = YAMLMapping.word(node, of: "latch", Self.priorities, &problems) {
        settings.latching.insert(priority)
      }
    }
  }

  /// An accepted alert stays quiet no longer than a silence of its priority may (SEMANTICS D5), nor less than a minute:
  /// less is no answer at all.
  private mutating func realarm(_ section: YAMLMapping, _ problems: inout Problems) {
    guard let entry = section.mapping("realarm", keys: Self.priorities.map(\.0), &problems) else { return }
    for (name, priority) in Self.priorities {
      guard let node = entry.value(name, &problems) else { continue }
      if node.scalar == "off" {
        if priority >= .medium {
          problems.add(
            node,
            "`\(name)` cannot be off: an accepted alert that is still true is told again (at most after "
              + "\(DurationText.format(Silence.longest(priority))))")
        }
        settings.realarm[priority] = nil
      } else if let after = YAMLMapping.duration(node, of: name, in: 60_000...Silence.longest(priority), &problems) {
        settings.realarm[priority] = after
      }
    }
  }

  private mutating func flap(_ section: YAMLMapping, _ problems: inout Problems) {
    guard let node = section.value("flap", &problems) else { return }
    if node.scalar == "off" {
      settings.flap = .never
      return
    }
    guard let entry = YAMLMapping(node, of: "flap", keys: ["count", "within", "quiet"], &problems) else { return }
    settings.flap.count = entry.int("count", in: 2...100, &problems) ?? settings.flap.count
    let range: ClosedRange<Int64> = 60_000...86_400_000
    settings.flap.within = entry.duration("within", in: range, &problems) ?? settings.flap.within
    settings.flap.quiet = entry.duration("quiet", in: range, &problems) ?? settings.flap.quiet
  }

  private mutating func outage(_ section: YAMLMapping, _ problems: inout Problems) {
    guard let node = section.value("outage", &problems) else { return }
    if node.scalar == "off" {
      settings.outagePatients = 0
      return
    }
    guard let entry = YAMLMapping(node, of: "outage", keys: ["patients", "within"], &problems) else { return }
    settings.outagePatients = entry.int("patients", in: 2...1000, &problems) ?? settings.outagePatients
    settings.outageWithin = entry.duration("within", in: 1000...600_000, &problems) ?? settings.outageWithin
  }

  private func lengthOrOff(
    _ key: String, _ section: YAMLMapping, in range: ClosedRange<Int64>, _ problems: inout Problems
  ) -> Int64? {
    guard let node = section.value(key, &problems) else { return nil }
    return node.scalar == "off" ? 0 : YAMLMapping.duration(node, of: key, in: range, &problems)
  }

  // MARK: Ladders

  private mutating func ladder(_ node: YAMLNode, _ problems: inout Problems) {
    guard let entry = YAMLMapping(node, of: "ladder", keys: ["match", "steps"], &problems) else { return }
    var ladder = EscalationLadder(steps: [])
    if let match = entry.mapping("match", keys: ["priority", "unit"], &problems) {
      for node in match.list("priority", orSingle: true, &problems) ?? [] {
        if let priority = YAMLMapping.word(node, of: "priority", Self.priorities, &problems) {
          ladder.priorities.append(priority)
        }
      }
      ladder.units = match.strings("unit", orSingle: true, &problems) ?? []
      // An empty list would match everything while it reads like nothing.
      for entry in match.entries where entry.value.elements?.isEmpty == true {
        problems.add(entry.key, "`\(entry.key.scalar ?? "")` is an empty list: leave the key out to match everything")
      }
    }
    if !entry.has("steps") { problems.add(node, "ladder needs `steps`") }
    if let nodes = entry.list("steps", &problems) {
      if nodes.isEmpty { problems.add(entry.place(of: "steps"), "a ladder without steps reaches nobody") }
      if nodes.count > Self.stepsMax { problems.add(nodes[Self.stepsMax], "more than \(Self.stepsMax) steps") }
      for step in nodes { if let step = self.step(step, &problems) { ladder.steps.append(step) } }
    }
    refuseIfShadowed(ladder, node, &problems)
    settings.ladders.append(ladder)
    places.append(node)
  }

  private mutating func step(_ node: YAMLNode, _ problems: inout Problems) -> EscalationStep? {
    guard let entry = YAMLMapping(node, of: "step", keys: ["after", "to"], &problems) else { return nil }
    if !entry.has("after") { problems.add(node, "step needs `after`") }
    let after = entry.duration("after", in: 1000...86_400_000, &problems)
    guard let to = entry.requiredString("to", &problems), let place = entry.value("to", &problems) else { return nil }
    steps.append(Step(ladder: settings.ladders.count, place: place, name: to))
    return after.map { EscalationStep(after: $0, to: to) }
  }

  /// The first ladder that matches an alert is its own: one whose alerts an earlier one takes all is a mistake.
  private func refuseIfShadowed(_ ladder: EscalationLadder, _ node: YAMLNode, _ problems: inout Problems) {
    let wanted = ladder.priorities.isEmpty ? Priority.allCases : ladder.priorities
    let earlier = settings.ladders.firstIndex { other in
      let takesPriorities = other.priorities.isEmpty || wanted.allSatisfy(other.priorities.contains)
      let takesUnits =
        other.units.isEmpty || (!ladder.units.isEmpty && ladder.units.allSatisfy(other.units.contains))
      return takesPriorities && takesUnits
    }
    guard let earlier else { return }
    problems.add(node, "no alert comes to this ladder: the one at line \(places[earlier].line) takes all of them first")
  }

  private static let priorities = Priority.allCases.reversed().map { ($0.text, $0) }
}

/// The alerting settings of a file, for replays: no secret, person or receiver need be at hand.
package enum AlertingFile {
  /// Reads the section `alerting` of a `vigil.yaml`, whose other sections are not looked at, or a file that holds the
  /// section's keys alone. Whom a ladder's steps name is not checked.
  ///
  /// - Parameter isConfiguration: whether the file is a `vigil.yaml`: without the section it then gives the defaults.
  /// - Throws: every problem at once.
  package static func parse(
    _ text: String, file: String, isConfiguration: Bool
  ) throws(TextProblems) -> AlertingSettings {
    let root = try YAMLDocument.root(text, file: file)
    var problems = Problems(file: file)
    var reader = AlertingReader()
    let isWhole = isConfiguration || root["alerting"] != nil
    let top = YAMLMapping(root, of: "alerting", keys: isWhole ? nil : AlertingReader.keys, &problems)
    let section = isWhole ? top?.mapping("alerting", keys: AlertingReader.keys, &problems) : top
    if let section { reader.read(section, &problems) }
    try problems.check()
    return reader.settings
  }
}
