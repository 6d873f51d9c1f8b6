import YAMLText

/// Where a secret is kept: never the secret itself.
package enum SecretReference: Hashable, Sendable, CustomStringConvertible {
  case environment(String)
  case file(String)

  /// Reads `env:NAME` or `file:PATH`; nil for anything else, a literal secret above all.
  package init?(_ text: String) {
    if text.hasPrefix("env:"), text.utf8.count > 4 {
      let name = text.dropFirst(4)
      guard name.utf8.allSatisfy({ ($0 | 32 >= 97 && $0 | 32 <= 122) || (48...57).contains($0) || $0 == 95 }) else {
        return nil
      }
      self = .environment(String(name))
    } else if text.hasPrefix("file:"), text.utf8.count > 5 {
      self = .file(String(text.dropFirst(5)))
    } else {
      return nil
    }
  }

  package var description: String {
    switch self {
    case .environment(let name): "env:\(name)"
    case .file(let path): "file:\(path)"
    }
  }
}

/// A resolved secret. Printing it in any way shows where it is kept, never what it is.
package struct Secret: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package let reference: SecretReference
  /// The secret. Only the code that presents it to its counterpart reads this.
  package let value: String

  package init(reference: SecretReference, value: String) {
    self.reference = reference
    self.value = value
  }

  package var description: String { "<secret \(reference)>" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: ["reference": reference]) }
}

/// Where references are looked up; handed in, so that nothing here touches the environment or the disk.
package struct SecretSources: Sendable {
  /// The value of an environment variable, nil if unset.
  package var environment: @Sendable (String) -> String?
  /// The text of a file, nil if it cannot be read.
  package var file: @Sendable (String) -> String?

  package init(
    environment: @escaping @Sendable (String) -> String?, file: @escaping @Sendable (String) -> String?
  ) {
    self.environment = environment
    self.file = file
  }

  /// The secret without the line ends an editor leaves behind it, or why there is none.
  func resolve(_ reference: SecretReference) -> Result<Secret, SecretProblem> {
    let found: String?
    switch reference {
    case .environment(let name): found = environment(name)
    case .file(let path): found = file(path)
    }
    guard var value = found else { return .failure(.absent) }
    while let last = value.last, last.isNewline { value.removeLast() }
    if value.isEmpty { return .failure(.empty) }
    return .success(Secret(reference: reference, value: value))
  }

  enum SecretProblem: Error {
    case absent
    case empty
  }
}

extension YAMLMapping {
  /// A secret by reference; the text itself is never repeated in a message, it may be the secret.
  func secret(_ key: String, from sources: SecretSources, _ problems: inout Problems) -> Secret? {
    value(key, &problems).flatMap { Self.secret($0, of: key, from: sources, &problems) }
  }

  static func secretReference(_ node: YAMLNode, of key: String, _ problems: inout Problems) -> SecretReference? {
    guard let reference = node.scalar.flatMap(SecretReference.init) else {
      problems.add(node, "`\(key)` must be env:NAME or file:PATH: a secret is never written here")
      return nil
    }
    return reference
  }

  static func secret(
    _ node: YAMLNode, of key: String, from sources: SecretSources, _ problems: inout Problems
  ) -> Secret? {
    guard let reference = secretReference(node, of: key, &problems) else { return nil }
    switch (sources.resolve(reference), reference) {
    case (.success(let secret), _): return secret
    case (.failure(.empty), _): problems.add(node, "`\(key)`: \(reference) is empty")
    case (.failure(.absent), .environment): problems.add(node, "`\(key)`: \(reference) is not set")
    case (.failure(.absent), .file): problems.add(node, "`\(key)`: \(reference) cannot be read")
    }
    return nil
  }
}
