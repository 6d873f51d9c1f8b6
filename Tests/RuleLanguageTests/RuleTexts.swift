import Configuration
import Foundation
import RuleLanguage
import TestSupport
import VitalModel
import YAMLText

/// The shipped registry and rules, and a small rule that is right.
enum RuleTexts {
  static let folder = RepositoryRoot.path + "/Rules"

  static func shipped(_ path: String) throws -> String {
    try String(contentsOfFile: folder + "/" + path, encoding: .utf8)
  }

  static func registry(_ change: (String) -> String = { $0 }) throws -> VitalRegistry {
    try VitalRegistryFile.parse(change(try shipped("vitals.yaml")), file: "vitals.yaml")
  }

  /// The shipped registry, read once.
  static let shippedRegistry: VitalRegistry = (try? registry()) ?? VitalRegistry([])

  static func sources() throws -> [RuleSource] {
    let names = try FileManager.default.subpathsOfDirectory(atPath: folder)
    return try names.sorted().filter { $0.hasSuffix(".yaml") }.map { RuleSource(path: $0, text: try shipped($0)) }
  }

  /// The shipped NEWS2 chart, read once.
  static let news2: String = (try? shipped("scores/news2.yaml")) ?? ""

  static let good = """
    rule: low
    title: Low
    source: test
    priority: medium
    parameters:
      limit: { default: 90, min: 80, max: 95, unit: "%" }
      hold: { default: 15s, min: 0s, max: 60s }
    when: median(spo2, 10s) < $limit
    for: $hold
    max_hold: 60s
    clear: { when: "median(spo2, 10s) >= $limit + 2", for: 30s }
    bypass: last(spo2) < $limit - 10
    refractory: 10m
    message: "SpO2 {value} (limit {limit})"
    """

  static func plan(_ rule: String, set: String? = nil, more: [RuleSource] = []) throws -> RulePlan {
    let score = RuleSource(path: "scores/news2.yaml", text: news2)
    return try RuleLibrary.plan(
      sources: [RuleSource(path: "r.yaml", text: rule), score] + more, set: set, registry: shippedRegistry,
      directory: "Rules")
  }

  /// What a check of the good rule with one change says, a line a problem.
  static func problems(
    _ replacing: String = "", _ by: String = "", add: String = "", more: [RuleSource] = [], set: String? = nil
  )
    throws -> [String]
  {
    let text =
      (replacing.isEmpty ? good : good.replacingOccurrences(of: replacing, with: by)) + (add.isEmpty ? "" : "\n" + add)
    do {
      _ = try plan(text, set: set, more: more)
      return []
    } catch let problems as TextProblems {
      return problems.all.map(\.description)
    }
  }
}
