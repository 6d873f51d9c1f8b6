import Digests
import VitalModel
import YAMLText

/// The text of one file of a rule directory; the program reads files, this room only their text.
package struct RuleSource: Hashable, Sendable, Codable {
  /// Path relative to the rule directory, `/` between parts.
  package var path: String
  package var text: String
  package init(path: String, text: String) {
    self.path = path
    self.text = text
  }
}

/// Rule files to a checked plan. Pure: equal texts give equal plans, versions included.
///
/// A rule directory holds `vitals.yaml` (read by the caller), `scores/*.yaml`, `sets/*.yaml`, `maps/*.yaml` (recordings)
/// and rule files everywhere else, one rule a YAML document.
package enum RuleLibrary {
  /// The role a file's path gives it.
  private enum Role { case score, set, rule, other }

  private static func role(_ path: String) -> Role {
    guard path.hasSuffix(".yaml") || path.hasSuffix(".yml") else { return .other }
    if path == "vitals.yaml" || path.hasPrefix("maps/") { return .other }
    if path.hasPrefix("scores/") { return .score }
    return path.hasPrefix("sets/") ? .set : .rule
  }

  /// Checks everything and builds the plan of one set (`nil`: every rule).
  ///
  /// - Throws: every problem found, each with its file, line and column.
  package static func plan(
    sources: [RuleSource], set: String?, registry: VitalRegistry, directory: String = "Rules"
  ) throws(TextProblems) -> RulePlan {
    var found: [TextProblem] = []
    let sorted = sources.sorted { $0.path < $1.path }
    let scores = readScores(sorted, registry, directory, &found)
    let documents = ruleDocuments(sorted, directory, &found)
    let choice = chosen(sorted, set: set, documents: documents, directory, &found)
    let reader = RuleReader(registry: registry, scores: scores)
    var rules: [RuleDefinition] = []
    for document in documents {
      var problems = Problems(file: document.file)
      let adapted = choice?[document.id]
      let rule = reader.read(document.node, adapted: adapted ?? .init(), &problems)
      found += problems.sorted
      if var rule, choice == nil || adapted != nil {
        rule.version = "sha256:" + hex(sha256(rule.canonicalText))
        rules.append(rule)
      }
    }
    checkFlags(rules, scores, directory, &found)
    guard found.isEmpty else { throw TextProblems(found) }
    // Vital rules first, then scores, each by id: the order in which one message's rules are judged never depends on files.
    rules.sort { ($0.score == nil ? 0 : 1, $0.id) < ($1.score == nil ? 0 : 1, $1.id) }
    let registryText = registry.vitals.map(\.canonicalText).joined(separator: "\n")
    let modes = rules.map { "\($0.version) \($0.mode.rawValue)" }.joined(separator: "\n")
    let version = "sha256:" + hex(sha256(modes + "\n" + registryText))
    return RulePlan(registry: registry, rules: rules, scores: scores, version: version).keepingUsedScores
  }

  /// Every score of the directory, whether or not a rule uses it, by id.
  ///
  /// - Throws: every problem found in the charts.
  package static func scores(
    sources: [RuleSource], registry: VitalRegistry, directory: String = "Rules"
  ) throws(TextProblems) -> [ScoreDefinition] {
    var found: [TextProblem] = []
    let scores = readScores(sources.sorted { $0.path < $1.path }, registry, directory, &found)
    guard found.isEmpty else { throw TextProblems(found) }
    return scores.sorted { $0.id < $1.id }
  }

  /// A patient's flags are one 64-bit set at run time.
  private static func checkFlags(
    _ rules: [RuleDefinition], _ scores: [ScoreDefinition], _ directory: String, _ found: inout [TextProblem]
  ) {
    var flags = Set(scores.flatMap(\.flags))
    for rule in rules { flags.formUnion(rule.flags) }
    guard flags.count > flagsMax else { return }
    found.append(
      TextProblem(
        file: directory, line: 0, column: 0, message: "\(flags.count) different flags, at most \(flagsMax) are possible"
      ))
  }

  /// Different patient flags all rules and scores of a plan may ask for.
  package static let flagsMax = 64

  private static func readScores(
    _ sources: [RuleSource], _ registry: VitalRegistry, _ directory: String, _ found: inout [TextProblem]
  ) -> [ScoreDefinition] {
    var scores: [ScoreDefinition] = []
    for source in sources where role(source.path) == .score {
      for (file, node) in parse(source, directory, &found) {
        var problems = Problems(file: file)
        if let score = ScoreReader(registry: registry).read(node, &problems) {
          if scores.contains(where: { $0.id == score.id }) { problems.add(node, "a second score `\(score.id)`") }
          scores.append(score)
        }
        found += problems.sorted
      }
    }
    return scores
  }

  private struct RuleDocument {
    var id: String
    var file: String
    var node: YAMLNode
  }

  private static func ruleDocuments(
    _ sources: [RuleSource], _ directory: String, _ found: inout [TextProblem]
  ) -> [RuleDocument] {
    var list: [RuleDocument] = []
    for source in sources where role(source.path) == .rule {
      for (file, node) in parse(source, directory, &found) {
        let id = node["rule"]?.scalar ?? ""
        if let first = list.first(where: { $0.id == id && !id.isEmpty }) {
          let place = node["rule"] ?? node
          found.append(
            TextProblem(
              file: file, line: place.line, column: place.column,
              message: "a second rule `\(id)`; the first is in \(first.file):\(first.node.line)"))
          continue
        }
        list.append(RuleDocument(id: id, file: file, node: node))
      }
    }
    return list
  }

  private static func parse(
    _ source: RuleSource, _ directory: String, _ found: inout [TextProblem]
  ) -> [(String, YAMLNode)] {
    let file = directory.isEmpty ? source.path : directory + "/" + source.path
    do throws(TextProblem) {
      return try YAMLDocument.parseAll(source.text, file: file).filter { !$0.isNull }.map { (file, $0) }
    } catch {
      found.append(error)
      return []
    }
  }

  // MARK: Sets

  /// What the set changes, by rule id; nil: no set asked for.
  private static func chosen(
    _ sources: [RuleSource], set: String?, documents: [RuleDocument], _ directory: String,
    _ found: inout [TextProblem]
  ) -> [String: RuleReader.Adaptation]? {
    var sets: [String: [String: RuleReader.Adaptation]] = [:]
    for source in sources where role(source.path) == .set {
      for (file, node) in parse(source, directory, &found) {
        var problems = Problems(file: file)
        if let (name, members) = readSet(node, ids: documents.map(\.id), &problems) {
          if sets[name] != nil { problems.add(node, "a second set `\(name)`") }
          sets[name] = members
        }
        found += problems.sorted
      }
    }
    guard let set else { return nil }
    guard let members = sets[set] else {
      let known = sets.keys.sorted().joined(separator: ", ")
      found.append(
        TextProblem(
          file: directory + "/sets", line: 1, column: 1,
          message: "no rule set `\(set)` (sets: \(known.isEmpty ? "none" : known))",
          suggestion: Suggestion.nearest(set, among: sets.keys.sorted())))
      return [:]
    }
    return members
  }

  private static func readSet(
    _ node: YAMLNode, ids: [String], _ problems: inout Problems
  ) -> (String, [String: RuleReader.Adaptation])? {
    guard let map = YAMLMapping(node, of: "a rule set", keys: ["set", "title", "rationale", "rules"], &problems),
      let name = map.requiredString("set", &problems)
    else { return nil }
    var members: [String: RuleReader.Adaptation] = [:]
    for element in map.list("rules", &problems) ?? [] {
      var adaptation = RuleReader.Adaptation()
      adaptation.file = problems.file
      var idNode = element
      if element.scalar == nil {
        let keys = ["rule", "parameters", "mode", "priority"]
        guard let entry = YAMLMapping(element, of: "an entry of a set", keys: keys, &problems),
          let own = entry.requiredValue("rule", &problems)
        else { continue }
        idNode = own
        adaptation.mode = entry.word("mode", RuleMode.self, &problems)
        adaptation.priority = entry.word("priority", Priority.allCases.map { ($0.text, $0) }, &problems)
        for change in entry.mapping("parameters", &problems)?.entries ?? [] {
          guard let key = change.key.scalar,
            let value = YAMLMapping.parsed(
              change.value, of: key, as: "a number or a duration", &problems, RuleReader.quantity)
          else { continue }
          adaptation.parameters[key] = (value, change.value)
        }
      }
      guard let id = idNode.scalar else { continue }
      if !ids.contains(id) {
        problems.add(idNode, "no rule `\(id)`", suggestion: Suggestion.nearest(id, among: ids))
      } else if members[id] != nil {
        problems.add(idNode, "`\(id)` is in the set twice")
      }
      members[id] = adaptation
    }
    return (name, members)
  }
}
