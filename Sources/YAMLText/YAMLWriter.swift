/// Writes a tree of nodes as YAML text that reads back as the same tree; comments and places are not kept.
package enum YAMLWriter {
  /// Longest line of a list or mapping written in braces; a longer one is written over several lines.
  private static let lineMax = 110

  /// A document: one line an entry where it fits.
  package static func text(_ node: YAMLNode) -> String {
    var lines: [String] = []
    write(node, indent: 0, &lines)
    return lines.joined(separator: "\n") + "\n"
  }

  private static func write(_ node: YAMLNode, indent: Int, _ lines: inout [String]) {
    let space = String(repeating: " ", count: indent)
    switch node.content {
    case .mapping(let entries) where !entries.isEmpty:
      for entry in entries {
        let key = space + inline(entry.key, isFlow: false) + ":"
        if let value = short(entry.value, after: key) {
          lines.append(key + " " + value)
        } else {
          lines.append(key)
          write(entry.value, indent: indent + 2, &lines)
        }
      }
    case .sequence(let elements) where !elements.isEmpty:
      for element in elements {
        if let value = short(element, after: space + "-") {
          lines.append(space + "- " + value)
        } else {
          lines.append(space + "-")
          write(element, indent: indent + 2, &lines)
        }
      }
    default: lines.append(space + inline(node, isFlow: false))
    }
  }

  /// What may stand on the line of its key; nil: too long.
  private static func short(_ node: YAMLNode, after key: String) -> String? {
    switch node.content {
    case .scalar, .null: return inline(node, isFlow: false)
    case .mapping(let entries) where entries.isEmpty: return "{}"
    case .sequence(let elements) where elements.isEmpty: return "[]"
    case .mapping, .sequence:
      let text = inline(node, isFlow: true)
      return key.count + text.count < lineMax ? text : nil
    }
  }

  private static func inline(_ node: YAMLNode, isFlow: Bool) -> String {
    switch node.content {
    case .null: "null"
    case .scalar(let text, let style): style == .plain && isPlain(text, isFlow: isFlow) ? text : quoted(text)
    case .sequence(let elements): "[" + elements.map { inline($0, isFlow: true) }.joined(separator: ", ") + "]"
    case .mapping(let entries):
      entries.isEmpty
        ? "{}"
        : "{ "
          + entries.map { inline($0.key, isFlow: true) + ": " + inline($0.value, isFlow: true) }
          .joined(separator: ", ") + " }"
    }
  }

  /// Whether a text may stand without quotes: sure only of what looks like a word, a number or a condition.
  private static func isPlain(_ text: String, isFlow: Bool) -> Bool {
    guard let first = text.unicodeScalars.first, let last = text.unicodeScalars.last, last != " " else { return false }
    func isWord(_ scalar: Unicode.Scalar) -> Bool {
      ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || ("0"..."9").contains(scalar)
    }
    guard isWord(first) || first == "$" || first == "-" && text.dropFirst().unicodeScalars.first.map(isWord) == true
    else { return false }
    let allowed: [Unicode.Scalar] = ["_", "-", ".", "$", "/", "%", "(", ")", "<", ">", "=", "+", "*", " "]
    return text.unicodeScalars.allSatisfy { isWord($0) || allowed.contains($0) || !isFlow && $0 == "," }
  }

  private static func quoted(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\t": out += "\\t"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F || (0x80..<0xA0).contains(scalar.value):
        let digits = String(scalar.value, radix: 16, uppercase: true)
        out += "\\x" + (digits.count < 2 ? "0" : "") + digits
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }
}
