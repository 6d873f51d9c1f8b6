import RuleLanguage
import Statistics
import VitalModel
import YAMLText

/// Inputs a fitted score may use, as `vigil tune --inputs` reads them (docs/score-fitting.md).
package struct ScoreCandidates: Sendable {
  package struct Candidate: Hashable, Sendable {
    /// Of the component it may become.
    package var name: String
    /// An expression of the rule language that gives a number.
    package var value: String
    /// As written; nil: the resolution of its vital.
    package var resolution: String?
    package var trend: ScoreTrend
    /// Values at which bands may end; nil: quantiles.
    package var ends: [Int32]?
    /// Its bands are of steps of 10^`exponent`.
    package var exponent: Int
  }

  package let id: String
  package let title: String
  package let candidates: [Candidate]
  /// Every candidate once, as components of scores by which the engine computes them.
  package let definitions: [ScoreDefinition]

  /// Candidates of one file.
  package static let countMax = 120

  /// - Throws: every problem with its line.
  package init(text: String, file: String, registry: VitalRegistry) throws(TextProblems) {
    let root = try YAMLDocument.root(text, file: file)
    var problems = Problems(file: file)
    let read = ScoreCandidates.read(root, &problems)
    guard let read, problems.isEmpty else { throw TextProblems(problems.sorted) }
    (id, title) = (read.id, read.title)
    var candidates = read.candidates
    definitions = try ScoreCandidates.definitions(candidates, read.nodes, file: file, registry)
    let components = definitions.flatMap(\.components)
    for (place, component) in components.enumerated() {
      candidates[place].exponent = component.expression?.exponent ?? 0
      for feature in component.expression?.features ?? [] {
        guard let reason = TimeInStay.reason(feature) else { continue }
        problems.add(read.nodes[place], "`\(candidates[place].name)`: \(reason)")
        break
      }
      guard let ends = read.ends[place] else { continue }
      candidates[place].ends = ScoreCandidates.ends(ends, exponent: candidates[place].exponent, &problems)
    }
    guard problems.isEmpty else { throw TextProblems(problems.sorted) }
    self.candidates = candidates
  }

  private struct Raw {
    var id: String
    var title: String
    var candidates: [Candidate] = []
    var nodes: [YAMLNode] = []
    var ends: [[YAMLNode]?] = []
  }

  private static func read(_ root: YAMLNode, _ problems: inout Problems) -> Raw? {
    guard let map = YAMLMapping(root, of: "a file of inputs", keys: ["inputs", "title", "candidates"], &problems),
      let id = map.requiredString("inputs", &problems), map.requiredValue("candidates", &problems) != nil
    else { return nil }
    var raw = Raw(id: id, title: map.string("title", &problems) ?? id)
    for node in map.list("candidates", &problems) ?? [] {
      let keys = ["name", "value", "resolution", "trend", "ends"]
      guard let entry = YAMLMapping(node, of: "a candidate", keys: keys, &problems),
        let name = entry.requiredString("name", &problems), let value = entry.requiredString("value", &problems),
        entry.requiredValue("trend", &problems) != nil,
        let trend = entry.word("trend", ScoreTrend.self, &problems)
      else { continue }
      if raw.candidates.contains(where: { $0.name == name }) { problems.add(node, "a second candidate `\(name)`") }
      let resolution = entry.string("resolution", &problems)
      raw.candidates.append(
        Candidate(name: name, value: value, resolution: resolution, trend: trend, ends: nil, exponent: 0))
      raw.nodes.append(node)
      raw.ends.append(entry.has("ends") ? entry.list("ends", &problems) ?? [] : nil)
    }
    if !(1...countMax).contains(raw.candidates.count), problems.isEmpty {
      problems.add(root, "a file of inputs has 1 to \(countMax) candidates")
    }
    return raw
  }

  /// The candidates as charts of twelve components each, checked by the reader of scores.
  private static func definitions(
    _ candidates: [Candidate], _ nodes: [YAMLNode], file: String, _ registry: VitalRegistry
  ) throws(TextProblems) -> [ScoreDefinition] {
    var definitions: [ScoreDefinition] = []
    for first in stride(from: 0, to: candidates.count, by: ScoreDefinition.componentsMax) {
      let places = first..<min(candidates.count, first + ScoreDefinition.componentsMax)
      // One line a component, so that a problem's line says which.
      var lines = ["score: fitting_\(definitions.count)", "title: candidates", "source: none", "components:"]
      for place in places { lines.append("  - " + component(candidates[place], bands: "[[max, 0]]")) }
      let source = RuleSource(path: "scores/candidates.yaml", text: lines.joined(separator: "\n") + "\n")
      do throws(TextProblems) {
        definitions += try RuleLibrary.scores(sources: [source], registry: registry)
      } catch {
        throw TextProblems(
          error.all.map { problem in
            let place = first + problem.line - 5
            let node = nodes.indices.contains(place) ? nodes[place] : nil
            return TextProblem(
              file: file, line: node?.line ?? 1, column: node?.column ?? 1,
              message: (node == nil ? "" : "`\(candidates[place].name)`: ") + problem.message,
              suggestion: problem.suggestion)
          })
      }
    }
    return definitions
  }

  private static func ends(_ nodes: [YAMLNode], exponent: Int, _ problems: inout Problems) -> [Int32] {
    var ends: [Int32] = []
    for node in nodes {
      guard let value = node.scalar.flatMap({ DecimalValue($0) }), let grid = value.scaled(toExponent: exponent),
        DecimalValue(mantissa: grid, exponent: Int8(exponent)).isSameNumber(as: value), let end = Int32(exactly: grid),
        end > ends.last ?? .min
      else {
        problems.add(node, "`ends` must be ascending numbers on the input's grid, not `\(node.scalar ?? "")`")
        continue
      }
      ends.append(end)
    }
    return ends
  }

  /// One component in YAML's flow style.
  static func component(_ candidate: Candidate, bands: String) -> String {
    let resolution = candidate.resolution.map { ", resolution: \($0)" } ?? ""
    return
      "{ name: \(candidate.name), value: \(YAMLWriting.quoted(candidate.value))\(resolution), absent: 0, bands: \(bands) }"
  }
}

/// Text as YAML holds it.
enum YAMLWriting {
  /// In double quotes, on one line.
  static func quoted(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      default: out += scalar.value < 32 || scalar.value == 127 ? " " : String(scalar)
      }
    }
    return out + "\""
  }
}
