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
  /// Texts of templates whose places were filled, by rule and line: to find columns of the text as written.
  private var filled: [String: [Int: [FilledText]]] = [:]

  /// A text with its filled places.
  private struct FilledText {
    /// Column of its first character.
    var column: Int
    /// Characters of each piece as filled and as written.
    var pieces: [(filled: Int, written: Int)]

    /// The column as written of a column as filled.
    func written(_ place: Int) -> Int {
      var rest = place - column
      var result = column
      for piece in pieces {
        if rest < piece.filled { return result + min(rest, piece.written) }
        rest -= piece.filled
        result += piece.written
      }
      return result + rest
    }
  }
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
  mutating func resolved(_ node: YAMLNode, rule: String, _ problems: inout Problems) -> YAMLNode {
    guard node.entries != nil, let extends = node["extends"] else {
      if let with = node.entries?.first(where: { $0.key.scalar == "with" }) {
        problems.add(with.key, "`with` without `extends` fills nothing")
      }
      return node
    }
    return resolved(node, extends, rule: rule, depth: 0, &problems)
  }

  private mutating func resolved(
    _ node: YAMLNode, _ extends: YAMLNode, rule: String, depth: Int, _ problems: inout Problems
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
    let filled = fill(template, with: node["with"], at: extends, rule: rule, &problems)
    let merged = RuleTemplates.merged(without(["template"], filled), below: without(["extends", "with"], node))
    guard let further = merged["extends"] else { return merged }
    return resolved(merged, further, rule: rule, depth: depth + 1, &problems)
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

  /// Nodes of another file, their lines marked as those of a template are.
  mutating func moved(_ entries: [YAMLNode.Entry], from file: String) -> [YAMLNode.Entry] {
    if !files.contains(file) { files.append(file) }
    let shift = ((files.firstIndex(of: file) ?? 0) + 1) * RuleTemplates.lineStep
    func moved(_ node: YAMLNode) -> YAMLNode {
      var copy = node
      copy.line += shift
      switch node.content {
      case .null, .scalar: break
      case .sequence(let elements): copy.content = .sequence(elements.map(moved))
      case .mapping(let entries): copy.content = .mapping(entries.map(moved))
      }
      return copy
    }
    func moved(_ entry: YAMLNode.Entry) -> YAMLNode.Entry {
      YAMLNode.Entry(key: moved(entry.key), value: moved(entry.value))
    }
    return entries.map(moved)
  }

  /// A node with whole keys in place of its own.
  static func replacing(_ replaced: [YAMLNode.Entry], in node: YAMLNode) -> YAMLNode {
    guard !replaced.isEmpty, let entries = node.entries else { return node }
    let keys = Set(replaced.compactMap(\.key.scalar))
    var copy = node
    copy.content = .mapping(entries.filter { !keys.contains($0.key.scalar ?? "") } + replaced)
    return copy
  }

  // MARK: Places to fill

  private mutating func fill(
    _ template: Template, with: YAMLNode?, at extends: YAMLNode, rule: String, _ problems: inout Problems
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
    let number = (files.firstIndex(of: template.file) ?? 0) + 1
    var filling = Filling(values: values, line: number * RuleTemplates.lineStep, unused: unused)
    let node = filling.fill(template.node)
    filled[rule, default: [:]].merge(filling.texts) { $0 + $1 }
    for name in filling.missing.sorted() {
      problems.add(extends, "template `\(template.name)` needs `\(name)` in `with`")
    }
    let places = Set(RuleTemplates.places(template.node))
    for (name, key) in filling.unused.sorted(by: { $0.key < $1.key }) {
      problems.add(
        key, "template `\(template.name)` has no place `<\(name)>`",
        suggestion: Suggestion.nearest(name, among: places))
    }
    return node
  }

  /// One template being filled for one rule.
  private struct Filling {
    let values: [String: String]
    /// Added to every line.
    let line: Int
    /// Keys of `with` no place has asked for.
    var unused: [String: YAMLNode]
    var missing: Set<String> = []
    var texts: [Int: [FilledText]] = [:]

    init(values: [String: String], line: Int, unused: [String: YAMLNode]) {
      self.values = values
      self.line = line
      self.unused = unused
    }

    mutating func fill(_ node: YAMLNode) -> YAMLNode {
      var copy = node
      copy.line += line
      switch node.content {
      case .null: break
      case .scalar(let text, let style): copy.content = .scalar(fill(text, copy, style), style)
      case .sequence(let elements): copy.content = .sequence(elements.map { fill($0) })
      case .mapping(let entries):
        copy.content = .mapping(
          entries.map { entry in
            var key = entry.key
            key.line += line
            return YAMLNode.Entry(key: key, value: fill(entry.value))
          })
      }
      return copy
    }

    private mutating func fill(_ text: String, _ node: YAMLNode, _ style: YAMLNode.Style) -> String {
      var result = ""
      var filled = FilledText(column: node.column + (style == .plain ? 0 : 1), pieces: [])
      for piece in RuleTemplates.pieces(text) {
        guard let name = piece.name else {
          result += piece.text
          filled.pieces.append((piece.text.unicodeScalars.count, piece.text.unicodeScalars.count))
          continue
        }
        unused[name] = nil
        if values[name] == nil { missing.insert(name) }
        let value = values[name] ?? ""
        result += value
        filled.pieces.append((value.unicodeScalars.count, name.unicodeScalars.count + 2))
      }
      if filled.pieces.count > 1 { texts[node.line, default: []].append(filled) }
      return result
    }
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
  fileprivate static func pieces(_ text: String) -> [(text: String, name: String?)] {
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
    let text = filled[rule]?[problem.line]?.filter { $0.column <= problem.column }.max { $0.column < $1.column }
    if let text { copy.column = text.written(problem.column) }
    copy.file = files[number - 1]
    copy.line = problem.line % RuleTemplates.lineStep
    copy.message += " (in rule `\(rule)`)"
    return copy
  }

  /// Whether a line was written in a template and not in the rule itself.
  static func isTemplate(line: Int) -> Bool { line >= lineStep }
}
