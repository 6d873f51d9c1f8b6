import YAMLText

/// `extends: NAME`: a template's keys below a rule's own, its `<name>` places filled from `with`.
///
/// A template may live in another file. Problems of one rule have one file, so lines of a template carry the number of
/// their file in their upper bits while the rule is read; ``restored(_:)`` gives them back.
struct RuleTemplates {
  struct Template {
    var name: String
    var file: String
    var node: YAMLNode
  }

  private(set) var all: [Template] = []
  private var files: [String] = []
  /// More lines than a text of `YAMLDocument.bytesMax` can have.
  private static let lineStep = 1 << 23
  /// Templates that extend templates.
  private static let depthMax = 8

  mutating func add(_ node: YAMLNode, file: String, _ problems: inout Problems) {
    guard let map = YAMLMapping(node, of: "a template", keys: RuleKeys.template, &problems),
      let name = map.requiredString("template", &problems)
    else { return }
    if let first = all.first(where: { $0.name == name }) {
      problems.add(
        map.place(of: "template"), "a second template `\(name)`; the first is in \(first.file):\(first.node.line)")
      return
    }
    if !files.contains(file) { files.append(file) }
    all.append(Template(name: name, file: file, node: node))
  }

  /// The rule with everything it extends written out.
  func resolved(_ node: YAMLNode, _ problems: inout Problems) -> YAMLNode {
    guard node.entries != nil, let extends = node["extends"] else {
      if let with = node.entries?.first(where: { $0.key.scalar == "with" }) {
        problems.add(with.key, "`with` without `extends` fills nothing")
      }
      return node
    }
    return resolved(node, extends, depth: 0, &problems)
  }

  private func resolved(
    _ node: YAMLNode, _ extends: YAMLNode, depth: Int, _ problems: inout Problems
  ) -> YAMLNode {
    guard let name = extends.scalar, let template = all.first(where: { $0.name == name }) else {
      let text = extends.scalar ?? ""
      problems.add(
        extends, "no template `\(text)`", suggestion: Suggestion.nearest(text, among: all.map(\.name)))
      return without(["extends", "with"], node)
    }
    guard depth < RuleTemplates.depthMax else {
      problems.add(extends, "templates extend each other more than \(RuleTemplates.depthMax) deep")
      return without(["extends", "with"], node)
    }
    let filled = filled(template, with: node["with"], at: extends, &problems)
    let merged = RuleTemplates.merged(without(["template"], filled), below: without(["extends", "with"], node))
    guard let further = merged["extends"] else { return merged }
    return resolved(merged, further, depth: depth + 1, &problems)
  }

  private func without(_ keys: Set<String>, _ node: YAMLNode) -> YAMLNode {
    guard let entries = node.entries else { return node }
    var copy = node
    copy.content = .mapping(entries.filter { !keys.contains($0.key.scalar ?? "") })
    return copy
  }

  /// Mappings are merged key by key; the rule's own lists and texts take the place of the template's.
  static func merged(_ template: YAMLNode, below own: YAMLNode) -> YAMLNode {
    guard let base = template.entries, let entries = own.entries else { return own }
    var result = entries
    for entry in base {
      if let index = result.firstIndex(where: { $0.key.scalar == entry.key.scalar }) {
        result[index].value = merged(entry.value, below: result[index].value)
      } else {
        result.append(entry)
      }
    }
    var copy = own
    copy.content = .mapping(result)
    return copy
  }

  // MARK: Places to fill

  private func filled(
    _ template: Template, with: YAMLNode?, at extends: YAMLNode, _ problems: inout Problems
  ) -> YAMLNode {
    var values: [String: String] = [:]
    var unused: [String: YAMLNode] = [:]
    if let with {
      for entry in YAMLMapping(with, of: "with", &problems)?.entries ?? [] {
        guard let key = entry.key.scalar, let text = YAMLMapping.text(entry.value, of: "with", &problems) else {
          continue
        }
        values[key] = text
        unused[key] = entry.key
      }
    }
    var missing: Set<String> = []
    let number = (files.firstIndex(of: template.file) ?? 0) + 1
    let node = fill(template.node, values, line: number * RuleTemplates.lineStep, &unused, &missing)
    for name in missing.sorted() {
      problems.add(extends, "template `\(template.name)` needs `\(name)` in `with`")
    }
    let places = Set(RuleTemplates.places(template.node))
    for (name, key) in unused.sorted(by: { $0.key < $1.key }) {
      problems.add(
        key, "template `\(template.name)` has no place `<\(name)>`",
        suggestion: Suggestion.nearest(name, among: places))
    }
    return node
  }

  private func fill(
    _ node: YAMLNode, _ values: [String: String], line: Int, _ unused: inout [String: YAMLNode],
    _ missing: inout Set<String>
  ) -> YAMLNode {
    var copy = node
    copy.line += line
    switch node.content {
    case .null: break
    case .scalar(let text, let style):
      var result = ""
      for piece in RuleTemplates.pieces(text) {
        guard let name = piece.name else {
          result += piece.text
          continue
        }
        unused[name] = nil
        if let value = values[name] {
          result += value
        } else {
          missing.insert(name)
        }
      }
      copy.content = .scalar(result, style)
    case .sequence(let elements):
      copy.content = .sequence(elements.map { fill($0, values, line: line, &unused, &missing) })
    case .mapping(let entries):
      var list: [YAMLNode.Entry] = []
      for entry in entries {
        var key = entry.key
        key.line += line
        list.append(YAMLNode.Entry(key: key, value: fill(entry.value, values, line: line, &unused, &missing)))
      }
      copy.content = .mapping(list)
    }
    return copy
  }

  private static func places(_ node: YAMLNode) -> [String] {
    switch node.content {
    case .null: []
    case .scalar(let text, _): pieces(text).compactMap(\.name)
    case .sequence(let elements): elements.flatMap(places)
    case .mapping(let entries): entries.flatMap { places($0.value) }
    }
  }

  /// A text cut at its `<name>` places; a name is letters, digits and `_`, without spaces, so `a <b` stays a comparison.
  private static func pieces(_ text: String) -> [(text: String, name: String?)] {
    var list: [(String, String?)] = []
    var rest = text[...]
    var plain = ""
    while let open = rest.firstIndex(of: "<") {
      plain += rest[..<open]
      let after = rest[rest.index(after: open)...]
      let name = after.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
      if let first = name.first, first.isLetter, after[name.endIndex...].first == ">" {
        list.append((plain, nil))
        list.append(("", String(name)))
        plain = ""
        rest = after[after.index(after: name.endIndex)...]
      } else {
        plain += "<"
        rest = after
      }
    }
    list.append((plain + rest, nil))
    return list
  }

  /// A problem of a rule, moved to the template's file where it belongs there.
  func restored(_ problem: TextProblem, rule: String) -> TextProblem {
    let number = problem.line / RuleTemplates.lineStep
    guard number > 0, number <= files.count else { return problem }
    var copy = problem
    copy.file = files[number - 1]
    copy.line = problem.line % RuleTemplates.lineStep
    copy.message += " (in rule `\(rule)`)"
    return copy
  }

  /// The line as its file counts it.
  static func line(_ line: Int) -> Int { line % lineStep }
}
