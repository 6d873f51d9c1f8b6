import RuleLanguage
import VitalModel
import YAMLText

/// The tests of one rule, and where the rule's parts are written.
package struct RuleTestFile: Sendable {
  package var rule: String
  /// Path as messages show it.
  package var file: String
  package var line: Int
  /// Line of each key of the rule, for reports that point at one.
  package var keyLines: [String: Int]
  package var tests: [RuleTest]
}

/// Rule files to tests. Every mistake is a problem with its place.
package struct RuleTestReader {
  let plan: RulePlan
  var registry: VitalRegistry { plan.registry }

  /// Reads the `tests:` of every rule of `plan` found in `sources`, in the order of files and of rules inside them.
  ///
  /// - Parameter plan: the checked rules; those of `sources` that are not in it are left out.
  /// - Throws: every problem found.
  package static func read(
    sources: [RuleSource], plan: RulePlan, directory: String
  ) throws(TextProblems) -> [RuleTestFile] {
    let reader = RuleTestReader(plan: plan)
    let ids = Set(plan.rules.map(\.id))
    var found: [TextProblem] = []
    var files: [RuleTestFile] = []
    for document in try RuleLibrary.documents(sources: sources, registry: plan.registry, directory: directory)
    where ids.contains(document.id) {
      var problems = Problems(file: document.file)
      files.append(reader.read(document, &problems))
      found += problems.sorted
    }
    guard found.isEmpty else { throw TextProblems(found) }
    return files
  }

  private func read(_ document: RuleLibrary.Document, _ problems: inout Problems) -> RuleTestFile {
    let id = document.id
    var lines: [String: Int] = [:]
    for entry in document.node.entries ?? [] where entry.key.line < RuleTestReader.templateLines {
      if let key = entry.key.scalar { lines[key] = entry.key.line }
    }
    var file = RuleTestFile(rule: id, file: document.file, line: document.line, keyLines: lines, tests: [])
    guard let list = document.tests else { return file }
    guard let elements = list.elements else {
      problems.add(list, "`tests` must be a list of tests, not \(list.kindText)")
      return file
    }
    for element in elements {
      guard let test = test(element, rule: id, &problems) else { continue }
      if let first = file.tests.first(where: { $0.name == test.name }) {
        problems.add(element, "a second test `\(test.name)` of `\(id)`, the first is at line \(first.line)")
      }
      file.tests.append(test)
    }
    return file
  }

  /// Lines of a template are told from those of the rule by their size; what a template brings is at the rule's first line.
  private static let templateLines = 1 << 23

  // MARK: One test

  static let testKeys = ["name", "patient", "every", "series", "settings", "with", "alarm", "expect", "suppressed"]

  private func test(_ node: YAMLNode, rule: String, _ problems: inout Problems) -> RuleTest? {
    guard let map = YAMLMapping(node, of: "a test of `\(rule)`", keys: Self.testKeys, &problems) else { return nil }
    let name = map.requiredString("name", &problems) ?? ""
    if map.has("name"), name.isEmpty { problems.add(map.place(of: "name"), "a test's `name` is empty") }
    let tick =
      map.read("every", as: "a duration such as `1s`", &problems) { text in
        ClockText.parse(text).flatMap { $0 > 0 ? $0 : nil }
      } ?? 1000
    if isCheck(rule) { return checkTest(node, map, name: name, rule: rule, tick: tick, &problems) }
    let patient = patient(map, &problems)
    let series = series(map, tick: tick, &problems)
    let settings = settings(map, rule: rule, &problems)
    let companions = companions(map, rule: rule, &problems)
    if map.has("alarm") {
      problems.add(map.place(of: "alarm"), "`alarm` is for rules with `checks`: `\(rule)` judges no device alarm")
    }
    if !map.has("expect") {
      problems.add(node, "a test of `\(rule)` needs `expect` (`expect: []` where nothing may be told)")
    }
    var expected: [ExpectedTransition] = []
    // An empty `expect:` is a list left out, not an empty one.
    for element in map.list("expect", &problems) ?? [] {
      if let one = transition(element, &problems) { expected.append(one) }
    }
    checkOrder(expected.map(\.time), map, "expect", &problems)
    var suppressed: [ExpectedHeld]?
    if let elements = map.list("suppressed", &problems) {
      suppressed = elements.compactMap { held($0, &problems) }
      checkOrder(suppressed?.map(\.time) ?? [], map, "suppressed", &problems)
    }
    return RuleTest(
      name: name, line: node.line, column: node.column, patient: patient, tick: tick, series: series,
      settings: settings, companions: companions, expected: expected, suppressed: suppressed)
  }

  private func checkOrder(_ times: [Int64], _ map: YAMLMapping, _ key: String, _ problems: inout Problems) {
    for (earlier, later) in zip(times, times.dropFirst()) where later < earlier {
      problems.add(
        map.place(of: key),
        "`\(key)` must be in the order of time: \(ClockText.format(later)) is after \(ClockText.format(earlier))")
      return
    }
  }

  func patient(_ map: YAMLMapping, _ problems: inout Problems) -> TestPatient {
    var patient = TestPatient()
    let keys = ["age", "age_months", "flags", "unit", "state", "state_until", "listed"]
    guard let block = map.mapping("patient", keys: keys, &problems) else { return patient }
    if let node = block.value("age", &problems) {
      if node.scalar == "unknown" {
        patient.years = nil
      } else {
        patient.years = YAMLMapping.parsed(node, of: "age", as: "whole years from 0 to 130 or `unknown`", &problems) {
          Int($0).flatMap { (0...130).contains($0) ? $0 : nil }
        }
      }
    }
    if block.has("age_months") {
      if block.has("age") {
        problems.add(block.place(of: "age_months"), "a patient has either `age` or `age_months`")
      }
      patient.years = nil
      patient.months = block.int("age_months", in: 0...1560, &problems)
    }
    patient.flags = block.strings("flags", orSingle: true, &problems) ?? []
    patient.unit = block.string("unit", &problems)
    patient.state = block.word("state", AdmissionState.self, &problems) ?? .admitted
    patient.stateUntil = block.read("state_until", as: "a time such as `10m`", &problems, ClockText.parse)
    if block.has("state_until"), !block.has("state") {
      problems.add(block.place(of: "state_until"), "`state_until` needs `state`")
    }
    patient.isListed = block.bool("listed", &problems) ?? true
    return patient
  }

  // MARK: Series

  func series(_ map: YAMLMapping, tick: Int64, _ problems: inout Problems) -> [TestSeries] {
    guard map.requiredValue("series", &problems) != nil,
      let block = map.mapping("series", &problems)
    else { return [] }
    var list: [TestSeries] = []
    for entry in block.entries {
      guard let one = series(entry, tick: tick, &problems) else { continue }
      if list.contains(where: { $0.code == one.code && $0.source == one.source && $0.device == one.device }) {
        problems.add(entry.key, "`\(one.name)` is a series given already under another name")
      }
      list.append(one)
    }
    if block.entries.isEmpty { problems.add(map.place(of: "series"), "`series` needs at least one series") }
    // The order in which the samples of one tick are a message (SEMANTICS B8).
    return list.sorted { ($0.device, $0.code.index, $0.source) < ($1.device, $1.code.index, $1.source) }
  }

  private func series(_ entry: YAMLNode.Entry, tick: Int64, _ problems: inout Problems) -> TestSeries? {
    let name = entry.key.scalar ?? ""
    let parts = name.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    let origin = parts.count > 1 ? parts[1].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false) : []
    guard let found = registry.lookup(String(parts.first ?? "")) else {
      problems.add(
        entry.key, "unknown vital `\(parts.first ?? "")`",
        suggestion: Suggestion.nearest(String(parts.first ?? ""), among: registry.vitals.map(\.key)))
      return nil
    }
    let unit = max(0, found.unit)
    let source = origin.first.map(String.init) ?? ""
    let device = origin.count > 1 ? String(origin[1]) : "monitor"
    if device.isEmpty || (parts.count > 1 && source.isEmpty && origin.count < 2) {
      problems.add(entry.key, "`\(name)` must be a vital, `vital@source` or `vital@source/device`")
      return nil
    }
    guard let text = YAMLMapping.text(entry.value, of: name, &problems) else { return nil }
    let strip = StripText(vital: registry[found.code], unit: unit, source: source, tick: tick)
    do throws(StripText.Mistake) {
      let samples = try strip.read(text)
      return TestSeries(
        code: found.code, unit: UInt8(clamping: unit), source: source, device: device, name: name, samples: samples)
    } catch {
      problems.add(
        line: entry.value.line, column: column(in: entry.value, text: text, offset: error.offset), error.message,
        suggestion: error.suggestion)
      return nil
    }
  }

  /// Column of a word inside a text; of the text itself where it goes over several lines.
  private func column(in node: YAMLNode, text: String, offset: Int) -> Int {
    guard case .scalar(_, let style) = node.content, !text.contains(where: \.isNewline) else { return node.column }
    return node.column + offset + (style == .plain ? 0 : 1)
  }

  // MARK: Settings and companions

  func settings(_ map: YAMLMapping, rule: String, _ problems: inout Problems) -> [ParameterSetting] {
    let own = plan.rules.first { $0.id == rule }
    var list: [ParameterSetting] = []
    for element in map.list("settings", &problems) ?? [] {
      let keys = ["parameter", "value", "from", "until"]
      guard let block = YAMLMapping(element, of: "a setting", keys: keys, &problems),
        let name = block.requiredString("parameter", &problems),
        let value = block.requiredRead("value", as: "a number or a duration", &problems, Self.quantity)
      else { continue }
      guard let parameter = own?.parameters.first(where: { $0.name == name }) else {
        problems.add(
          block.place(of: "parameter"), "`\(rule)` has no parameter `\(name)`",
          suggestion: Suggestion.nearest(name, among: own?.parameters.map(\.name) ?? []))
        continue
      }
      if value.double < parameter.lowest?.double ?? -.infinity || value.double > parameter.highest?.double ?? .infinity
      {
        problems.add(block.place(of: "value"), "\(value) lies outside the bounds of `\(name)`: it would be refused")
        continue
      }
      let from = block.read("from", as: "a time such as `30s`", &problems, ClockText.parse)
      let until = block.read("until", as: "a time such as `30s`", &problems, ClockText.parse)
      list.append(
        ParameterSetting(
          rule: rule, parameter: name, value: value, author: "test", reason: "test",
          from: from.map { $0 + RuleTestRun.origin }, until: until.map { $0 + RuleTestRun.origin }))
    }
    return list
  }

  private static func quantity(_ text: String) -> DecimalValue? {
    DecimalValue(text) ?? DurationText.parse(text).map { DecimalValue(mantissa: $0) }
  }

  func companions(_ map: YAMLMapping, rule: String, _ problems: inout Problems) -> [String] {
    var list: [String] = []
    for element in map.list("with", orSingle: true, &problems) ?? [] {
      guard let id = YAMLMapping.text(element, of: "with", &problems) else { continue }
      guard plan.rules.contains(where: { $0.id == id }) else {
        problems.add(element, "no rule `\(id)`", suggestion: Suggestion.nearest(id, among: plan.rules.map(\.id)))
        continue
      }
      if id != rule, !list.contains(id) { list.append(id) }
    }
    return list
  }

  // MARK: What is expected

  private static let phases: [(String, AlertPhase)] = [
    ("start", .start), ("escalate", .escalate), ("de-escalate", .deEscalate), ("update", .update), ("end", .end),
  ]

  private func transition(_ node: YAMLNode, _ problems: inout Problems) -> ExpectedTransition? {
    let keys = ["at", "value", "limit", "message", "unverified"] + Self.phases.map(\.0)
    guard let map = YAMLMapping(node, of: "an expected transition", keys: keys, &problems),
      let time = map.requiredRead("at", as: "a time such as `75s`", &problems, ClockText.parse)
    else { return nil }
    let given = Self.phases.filter { map.has($0.0) }
    guard given.count == 1, let (key, phase) = given.first else {
      problems.add(node, "an expected transition needs one of `start`, `escalate`, `de-escalate`, `update` and `end`")
      return nil
    }
    var expected = ExpectedTransition(time: time, phase: phase)
    guard let node = map.value(key, &problems) else { return nil }
    if node.scalar == "true", phase == .end || phase == .update {
      expected.priority = nil
    } else if phase == .end {
      problems.add(node, "`end` must be `true`, not `\(node.scalar ?? node.kindText)`")
      return nil
    } else {
      let priorities = Priority.allCases.map { ($0.text, $0) }
      guard let priority = YAMLMapping.word(node, of: key, priorities, &problems) else { return nil }
      expected.priority = priority
    }
    func number(_ key: String, _ problems: inout Problems) -> DecimalValue? {
      map.read(key, as: "a number", &problems) { DecimalValue($0) }
    }
    expected.value = number("value", &problems)
    expected.limit = number("limit", &problems)
    expected.message = map.string("message", &problems)
    expected.isUnverified = map.bool("unverified", &problems)
    return expected
  }

  private func held(_ node: YAMLNode, _ problems: inout Problems) -> ExpectedHeld? {
    guard let map = YAMLMapping(node, of: "a suppressed row", keys: ["at", "stage"], &problems) else { return nil }
    let time = map.requiredRead("at", as: "a time such as `30s`", &problems, ClockText.parse)
    guard map.requiredValue("stage", &problems) != nil,
      let stage = map.word("stage", SuppressionStage.self, &problems), let time
    else { return nil }
    return ExpectedHeld(time: time, stage: stage)
  }
}
