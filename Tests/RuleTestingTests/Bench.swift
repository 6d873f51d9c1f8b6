import RuleLanguage
import RuleTesting
import Testing
import VitalModel
import YAMLText

/// A small registry and rules given as text.
enum Bench {
  static func vital(
    _ key: String, unit: String, reject: (Int64, Int64), zero: [String]? = nil, resolution: Int = 0,
    staleness: Int64 = 60_000, sources: [String] = [], letters: [(text: String, value: Int64)] = []
  ) -> VitalDefinition {
    VitalDefinition(
      key: key, title: key, unit: unit, units: [UnitConversion(unit: unit)],
      rejectBelow: DecimalValue(mantissa: reject.0), rejectAbove: DecimalValue(mantissa: reject.1), zeroSources: zero,
      resolutionExponent: resolution, staleness: staleness, sources: sources, letters: letters)
  }

  static let registry = VitalRegistry([
    vital("hr", unit: "/min", reject: (0, 350), zero: ["ecg"], sources: ["ecg", "pleth"]),
    vital("spo2", unit: "%", reject: (1, 100)),
    vital("temp", unit: "Cel", reject: (20, 45), resolution: -1, staleness: 3_600_000),
    vital(
      "consciousness", unit: "1", reject: (0, 4), staleness: 3_600_000,
      letters: [("A", 0), ("C", 1), ("V", 2), ("P", 3), ("U", 4)]),
  ])

  static let low = """
    rule: low
    title: Low
    source: test
    priority: medium
    applies: { age: ">=16y", unless: [palliative] }
    parameters:
      limit: { default: 90, min: 80, max: 95, unit: "%", when: [{ flag: copd, value: 88 }] }
    when: last(spo2) < $limit
    for: 15s
    max_hold: 60s
    clear: { when: "last(spo2) >= $limit + 2", for: 10s }
    bypass: last(spo2) < $limit - 10
    refractory: 10m
    message: "SpO2 {value} % for {duration} (limit {limit})"

    """

  static func sources(_ text: String) -> [RuleSource] { [RuleSource(path: "low.yaml", text: text)] }

  static func suite(_ text: String) throws -> RuleTestSuite {
    let plan = try RuleLibrary.plan(sources: sources(text), set: nil, registry: registry)
    return RuleTestSuite(
      plan: plan, files: try RuleTestReader.read(sources: sources(text), plan: plan, directory: "Rules"))
  }

  /// `low` with these tests, run.
  static func results(
    _ tests: String, of rule: String = low, _ options: RuleTestSuite.Options = .init()
  ) throws -> [RuleTestResult] {
    try suite(rule + tests).run(options)
  }

  static func report(
    _ tests: String, of rule: String = low, _ options: RuleTestSuite.Options = .init()
  ) throws -> RuleTestReport {
    RuleTestReport(try results(tests, of: rule, options))
  }

  /// Every problem of a rule (`low`) with these tests, one line each.
  static func problems(_ tests: String, of rule: String = low) -> [String] {
    do {
      _ = try suite(rule + tests)
      return []
    } catch let problems as TextProblems {
      return problems.all.map(\.description)
    } catch {
      return ["\(error)"]
    }
  }
}
