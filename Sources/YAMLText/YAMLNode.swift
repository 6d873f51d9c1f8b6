/// One value of a YAML text, with the place it was written at.
///
/// Scalars stay text: `off`, `no`, `7d` and `12` mean what their reader makes of them.
package struct YAMLNode: Hashable, Sendable {
  package enum Style: Hashable, Sendable {
    case plain
    /// In quotes or as a block: never null, whatever the text.
    case quoted
  }

  package struct Entry: Hashable, Sendable {
    /// Always a scalar.
    package var key: YAMLNode
    package var value: YAMLNode

    package init(key: YAMLNode, value: YAMLNode) {
      self.key = key
      self.value = value
    }
  }

  package indirect enum Content: Hashable, Sendable {
    case scalar(String, Style)
    case sequence([YAMLNode])
    /// In the order written; keys are distinct.
    case mapping([Entry])
    /// Nothing, `~` or `null`.
    case null
  }

  package var content: Content
  /// 1-based. A node reached through an alias has the place of its anchor.
  package var line: Int
  /// 1-based, in characters.
  package var column: Int

  package init(_ content: Content, line: Int, column: Int) {
    self.content = content
    self.line = line
    self.column = column
  }

  /// The text of a scalar, nil for anything else.
  package var scalar: String? {
    guard case .scalar(let text, _) = content else { return nil }
    return text
  }

  /// The elements of a sequence, nil for anything else.
  package var elements: [YAMLNode]? {
    guard case .sequence(let elements) = content else { return nil }
    return elements
  }

  /// The entries of a mapping, nil for anything else.
  package var entries: [Entry]? {
    guard case .mapping(let entries) = content else { return nil }
    return entries
  }

  package var isNull: Bool { content == .null }

  /// The value of `key` in a mapping; linear in the number of keys.
  package subscript(key: String) -> YAMLNode? { entries?.first { $0.key.scalar == key }?.value }

  /// What it is, for messages.
  package var kindText: String {
    switch content {
    case .scalar: "text"
    case .sequence: "a list"
    case .mapping: "a mapping"
    case .null: "nothing"
    }
  }
}
