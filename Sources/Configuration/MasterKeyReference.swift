import YAMLText

/// Where the master key of an encrypted store is: never the key itself.
package enum MasterKeyReference: Hashable, Sendable, CustomStringConvertible {
  case secret(SecretReference)
  /// A program, by its path, and its words: it prints the key, as a hook to a key service does.
  case command([String])

  /// Reads `env:NAME`, `file:PATH` or `command:/PATH WORDS`; nil for anything else, a literal key above all.
  package init?(_ text: String) {
    guard text.hasPrefix("command:") else {
      guard let reference = SecretReference(text) else { return nil }
      self = .secret(reference)
      return
    }
    let words = text.dropFirst("command:".count).split(separator: " ").map(String.init)
    // An absolute path: what runs must not depend on where the service was started.
    guard words.first?.hasPrefix("/") == true, text.unicodeScalars.allSatisfy({ $0.value >= 32 }) else { return nil }
    self = .command(words)
  }

  package var description: String {
    switch self {
    case .secret(let reference): reference.description
    case .command(let words): "command:" + words.joined(separator: " ")
    }
  }
}
