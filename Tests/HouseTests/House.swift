import Foundation
import TestSupport

/// Every text of the repository, read once.
struct House: Sendable {
  struct Text: Sendable {
    /// From the top of the package, with `/`.
    let path: String
    let content: String

    var lines: [Substring] { content.split(separator: "\n", omittingEmptySubsequences: false) }
    var lineCount: Int { content.utf8.reduce(0) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 } }
    var isSwift: Bool { path.hasSuffix(".swift") }
    /// The folder below the first: `Sources/Delivery/…` is `Delivery`; empty at the top.
    var room: String {
      let parts = path.split(separator: "/")
      return parts.count > 2 ? String(parts[1]) : ""
    }
  }

  let texts: [Text]

  static let built = House()

  private static let tops = ["Sources", "Tests", "Benchmarks", "Rules", "Deploy", "docs", ".ci"]
  private static let loose = ["Package.swift", "README.md", "LICENSE", "SECURITY.md"]
  /// Binary or recorded test inputs, kept as they came.
  private static let skipped = [".zst", ".gz", ".png", ".pem", ".bin", ".pyc"]

  private init() {
    var texts: [Text] = []
    let root = RepositoryRoot.path
    var paths = Self.loose
    for top in Self.tops {
      for case let name as String in FileManager.default.enumerator(atPath: root + "/" + top) ?? .init() {
        paths.append(top + "/" + name)
      }
    }
    for path in paths.sorted() where !Self.skipped.contains(where: path.hasSuffix) {
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: root + "/" + path, isDirectory: &isFolder), !isFolder.boolValue
      else { continue }
      guard let content = try? String(contentsOfFile: root + "/" + path, encoding: .utf8) else { continue }
      texts.append(Text(path: path, content: content))
    }
    self.texts = texts
  }

  func text(_ path: String) -> String { texts.first { $0.path == path }?.content ?? "" }

  func below(_ top: String) -> [Text] { texts.filter { $0.path.hasPrefix(top + "/") } }

  /// Written by us as code: Swift, C and C++.
  var code: [Text] {
    texts.filter { text in
      ["Sources/", "Tests/", "Benchmarks/"].contains(where: text.path.hasPrefix)
        && [".swift", ".c", ".h", ".cpp"].contains(where: text.path.hasSuffix)
    }
  }
}

/// One `import` line.
struct Import: Sendable {
  let module: String
  let isTestable: Bool

  /// The module a line imports, whatever stands before and after it; nil: the line imports nothing.
  init?(line: Substring) {
    var words = line.prefix { $0 != "/" }.split(whereSeparator: { $0 == " " || $0 == ";" })
    isTestable = words.contains("@testable")
    while let word = words.first, word.hasPrefix("@") || Self.accessLevels.contains(String(word)) {
      words.removeFirst()
    }
    guard words.first == "import", words.count > 1 else { return nil }
    words.removeFirst()
    if words.count > 1, Self.kinds.contains(String(words[0])) { words.removeFirst() }
    module = String(words[0].prefix { $0 != "." })
  }

  private static let accessLevels: Set = ["public", "package", "internal", "fileprivate", "private"]
  private static let kinds: Set = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
}
