import Foundation
import TestSupport
import Testing

/// Texts kept beside the tests. `VIGIL_REWRITE_GOLDEN=1` writes them anew; read the difference before it is committed.
enum Golden {
  static let folder = RepositoryRoot.path + "/Tests/RuleLanguageTests"

  static func check(_ text: String, _ path: String) throws {
    if ProcessInfo.processInfo.environment["VIGIL_REWRITE_GOLDEN"] == "1" {
      try text.write(toFile: path, atomically: true, encoding: .utf8)
    }
    let kept = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text == kept, "\(path)")
  }
}
