import VitalModel
import YAMLText

/// What one rule cannot know of the rules that may hold its alerts (SEMANTICS D3): whether they exist, are technical, and do
/// not wait for each other.
struct InhibitionCheck {
  /// What the engine raises by itself, in every set.
  static let ofEngine = ["clock-skew", "device-offline", "pressure-inconsistent"]

  private struct Rule {
    var id: String
    var file: String
    var inhibitors: [YAMLNode]
  }

  /// Kind and whether it reads a score, by rule id.
  private var kinds: [String: (kind: AlertKind, readsScore: Bool)] = [:]
  private var rules: [Rule] = []

  init(documents: [RuleLibrary.Document]) {
    // Also of rules that could not be read: their own mistakes are told once.
    for document in documents {
      let kind = document.node["kind"]?.scalar.flatMap { AlertKind(rawValue: $0) } ?? .physiological
      kinds[document.id] = (kind, false)
    }
  }

  mutating func note(_ read: ReadRule, of document: RuleLibrary.Document) {
    let rule = read.definition
    kinds[rule.id] = (rule.kind, rule.score != nil)
    if !read.inhibitors.isEmpty {
      rules.append(Rule(id: rule.id, file: document.file, inhibitors: read.inhibitors))
    }
  }

  var problems: [(rule: String, problem: TextProblem)] {
    var list: [(rule: String, problem: TextProblem)] = []
    for rule in rules {
      for node in rule.inhibitors {
        guard let id = node.scalar, let (message, suggestion) = fault(of: id, in: rule.id) else { continue }
        list.append(
          (
            rule.id,
            TextProblem(
              file: rule.file, line: node.line, column: node.column, message: message, suggestion: suggestion)
          ))
      }
    }
    return list
  }

  private func fault(of id: String, in rule: String) -> (String, String?)? {
    if id == rule { return ("`\(id)` cannot hold its own alert", nil) }
    if InhibitionCheck.ofEngine.contains(id) { return nil }
    guard let (kind, readsScore) = kinds[id] else {
      let technical = kinds.filter { $0.value.kind == .technical }.map(\.key) + InhibitionCheck.ofEngine
      return ("no rule `\(id)` that could hold an alert", Suggestion.nearest(id, among: technical))
    }
    if readsScore { return ("`\(id)` reads a score: a score may not hold back the alert of a vital", nil) }
    if kind != .technical { return ("`\(id)` is \(kind.rawValue): only a technical rule may hold back an alert", nil) }
    guard let way = way(from: id, to: rule) else { return nil }
    return ("inhibition in a circle: \(([rule] + way).joined(separator: " by "))", nil)
  }

  /// Rules by which `from` is inhibited, one by the next, down to `to`; nil if it never is.
  private func way(from: String, to: String) -> [String]? {
    var seen: Set<String> = []
    func walk(_ id: String) -> [String]? {
      guard seen.insert(id).inserted else { return nil }
      if id == to { return [id] }
      for next in rules.first(where: { $0.id == id })?.inhibitors.compactMap(\.scalar) ?? [] {
        if let rest = walk(next) { return [id] + rest }
      }
      return nil
    }
    return walk(from)
  }
}
